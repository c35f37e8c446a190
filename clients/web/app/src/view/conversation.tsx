/** The open conversation: its head, its history, and where one writes. */
import { useSignal } from "@preact/signals";
import { isOwn, usersOf } from "@maru/sdk";
import { attempt, carryOut, channels, chat, me, typists } from "../state/chat.js";
import { goTo, panel } from "../state/look.js";
import { faceOf, nameOf, otherOf, person, titleOf } from "../state/people.js";
import { FOR_EVER, type Room, setPrefs } from "../state/room.js";
import { count, t } from "../words/words.js";
import { Composer } from "./composer.js";
import { isMuted } from "./list.js";
import { Face, presenceText } from "./face.js";
import { Choice, IconButton } from "./parts.js";
import { Timeline } from "./timeline.js";

export function Conversation({ room }: { room: Room }) {
  const { channel } = room;
  const item = channels.value.get(channel);
  const title = titleOf(channel, item);
  const isGroup = usersOf(channel) === undefined;
  const mayWrite = !isGroup || item === undefined || item.member;
  const isInvited = isGroup && room.messages.value.findLast(({ content }) => content.type === "invited" && content.users.includes(me())) !== undefined;
  return (
    <main class="conversation" aria-label={title}>
      <header class="conversation-head">
        <IconButton icon="back" label={t("back")} onClick={() => goTo(undefined)} class="back" />
        <Face id={faceOf(channel)} user={otherOf(channel)} name={title} silent />
        <div class="conversation-title">
          <h1 dir="auto">{title}</h1>
          <Below room={room} />
        </div>
        {room.remarks.pins.value.length > 0 && <IconButton icon="pin" label={`${t("pinnedMessages")}: ${room.remarks.pins.value.length}`} pressed={panel.value?.what === "pins"}
          onClick={() => { panel.value = panel.value?.what === "pins" ? undefined : { what: "pins" }; }} />}
        {isGroup && mayWrite && <IconButton icon="group" label={t("members")} pressed={panel.value?.what === "members"}
          onClick={() => { panel.value = panel.value?.what === "members" ? undefined : { what: "members" }; }} />}
        <Menu room={room} />
      </header>
      <Timeline key={channel.toString()} room={room} />
      <p class="typing" aria-live="polite">{typingText(channel)}</p>
      {mayWrite ? <Composer key={`c${channel}`} channel={channel} title={title} /> : (
        <div class="closed">
          <p>{t(isInvited ? "invitedHere" : "leftHere")}</p>
          {isInvited && <button type="button" class="primary" onClick={() => void attempt(() => carryOut(() => chat().join(channel)))}>{t("join")}</button>}
        </div>
      )}
    </main>
  );
}

function Below({ room: { channel, total } }: { room: Room }) {
  const other = otherOf(channel);
  if (isOwn(channel)) return null;
  if (other === undefined) return total.value === undefined ? null : <p class="below">{t("membersCount", count(total.value))}</p>;
  const { name, display } = person(other);
  const words = [display && name ? `@${name}` : "", presenceText(other)].filter(Boolean).join(" · ");
  return words ? <p class="below" dir="auto">{words}</p> : null;
}

function typingText(channel: bigint): string {
  const [first, second, third] = (typists.value.get(channel) ?? []);
  if (first === undefined) return "";
  if (second === undefined) return t("typing1", nameOf(first));
  return third === undefined ? t("typing2", nameOf(first), nameOf(second)) : t("typingMany");
}

/** What is done with the conversation as a whole. */
function Menu({ room }: { room: Room }) {
  const { channel } = room;
  const isOpen = useSignal(false);
  const day = useSignal("");
  const item = channels.value.get(channel);
  const muted = item !== undefined && isMuted(item);
  const pinned = (item?.pinned ?? 0) > 0;
  const close = () => { isOpen.value = false; };
  const jump = () => {
    const at = new Date(`${day.value}T00:00`).getTime();
    if (Number.isNaN(at)) return;
    close();
    void attempt(() => room.show({ timeMs: Math.max(at, 0) }));
  };
  return (
    <div class="menu" onKeyDown={(event) => { if (event.key === "Escape" && isOpen.value) { event.stopPropagation(); close(); } }}>
      <button type="button" class="icon-button" aria-label={t("more")} title={t("more")} aria-expanded={isOpen.value} onClick={() => { isOpen.value = !isOpen.value; }}>
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="6" r="1.800" /><circle cx="12" cy="12" r="1.800" /><circle cx="12" cy="18" r="1.800" /></svg>
      </button>
      {isOpen.value && (
        <>
          <div class="menu-behind" onClick={close} />
          <div class="menu-items" role="group" aria-label={t("more")}>
            <button type="button" onClick={() => { setPrefs(channel, { mutedUntilMs: muted ? 0 : FOR_EVER }); close(); }}>{t(muted ? "unmute" : "mute")}</button>
            <div class="menu-choice">
              <Choice label={t("notices")} value={String(item?.notify ?? 0)} onChoose={(notify) => setPrefs(channel, { notify: Number(notify) })}
                choices={[["0", t("notifyAll")], ["1", t("notifyMentions")], ["2", t("notifyNothing")]]} />
            </div>
            <button type="button" onClick={() => { setPrefs(channel, { pinned: pinned ? 0 : nextPin() }); close(); }}>{t(pinned ? "unpin" : "pin")}</button>
            <button type="button" onClick={() => { panel.value = { what: "search" }; close(); }}>{t("search")}</button>
            <form onSubmit={(event) => { event.preventDefault(); jump(); }}>
              <label>{t("jumpToDate")}<input type="date" value={day.value} required onInput={(event) => { day.value = event.currentTarget.value; }} /></label>
              <button type="submit" class="primary">{t("go")}</button>
            </form>
          </div>
        </>
      )}
    </div>
  );
}

/** Behind those that are pinned. */
const nextPin = (): number => Math.max(0, ...[...channels.peek().values()].map(({ pinned }) => pinned)) + 1;
