/** The page as a whole. */
import { useEffect, useRef } from "preact/hooks";
import { effect, untracked, useSignal } from "@preact/signals";
import { channels, chat, connection, ended, me, phase, storage } from "../state/chat.js";
import { dialog, notice, offerReload, open, panel, target } from "../state/look.js";
import { nameOf } from "../state/people.js";
import { enterRoom, room } from "../state/room.js";
import { language, t } from "../words/words.js";
import { Conversation } from "./conversation.js";
import { NewChat, NewGroup } from "./dialogs.js";
import { Door, Mark } from "./door.js";
import { List, step, unreadAll } from "./list.js";
import { IconButton } from "./parts.js";
import { Settings } from "./settings.js";
import { Pins } from "./pins.js";
import { Reactors } from "./reactors.js";
import { Members } from "./members.js";
import { Search, Thread } from "./side.js";

/** In a large channel a message is read out this often at most. */
const HEARD_EVERY_MS = 5000;

effect(() => {
  document.documentElement.lang = language.value;
  document.title = phase.value === "in" && unreadAll.value > 0 ? `(${unreadAll.value}) ${t("maru")}` : t("maru");
});
effect(() => {
  const [channel, seq] = [phase.value === "in" ? open.value : undefined, target.value];
  untracked(() => enterRoom(channel, seq));
});

export function App() {
  if (phase.value === "starting") return <div class="starting"><Mark /></div>;
  return (
    <>
      {phase.value === "out" ? <Door /> : <Inside />}
      <div class="notices" aria-live="polite">
        {notice.value && (
          <p class={notice.value.isError ? "notice is-error" : "notice"} role={notice.value.isError ? "alert" : undefined}>
            <span>{notice.value.text}</span><IconButton icon="close" label={t("close")} onClick={() => { notice.value = undefined; }} />
          </p>
        )}
      </div>
    </>
  );
}

function Inside() {
  useEffect(() => {
    addEventListener("keydown", shortcut);
    return () => removeEventListener("keydown", shortcut);
  }, []);
  const here = room.value;
  // Whoever is no member any more sees who is one no more.
  const side = panel.value?.what === "members" && !(here?.isGroup && isMember(here.channel)) ? undefined : panel.value;
  return (
    <div class={`inside ${here ? "has-room" : ""} ${side ? "has-side" : ""}`}>
      <Connection />
      <List />
      {here ? <Conversation room={here} /> : <main class="nothing"><Mark /><p>{t("tagline")}</p></main>}
      {side?.what === "search" && <Search key={String(here?.channel)} channel={here?.channel} />}
      {here && side?.what === "members" && <Members key={String(here.channel)} room={here} />}
      {here && side?.what === "pins" && <Pins room={here} />}
      {here && side?.what === "reactions" && <Reactors key={side.seq} room={here} seq={side.seq} />}
      {here && side?.what === "thread" && <Thread room={here} root={side.root} />}
      {dialog.value === "chat" && <NewChat />}
      {dialog.value === "group" && <NewGroup />}
      {dialog.value === "settings" && <Settings />}
      <Heard />
    </div>
  );
}

const isMember = (channel: bigint): boolean => channels.value.get(channel)?.member !== false;

/** How the connection stands, when it is not simply there. */
function Connection() {
  const now = useSignal(Date.now());
  const { state, retryAtMs } = connection.value;
  useEffect(() => {
    if (state !== "down" || retryAtMs === undefined) return;
    const clock = setInterval(() => { now.value = Date.now(); }, 1000);
    return () => clearInterval(clock);
  }, [state, retryAtMs]);
  const end = ended.value;
  if (end?.why === "replaced") return <Bar text={t("replaced")} action={[t("useHere"), () => location.reload()]} />;
  if (end) return <Bar text={t("refused", end.text)} />;
  if (state === "down") {
    const left = retryAtMs === undefined ? 0 : Math.ceil((retryAtMs - now.value) / 1000);
    return <Bar text={left > 1 ? t("downRetry", left) : t("down")} action={[t("tryNow"), () => dispatchEvent(new Event("online"))]} />;
  }
  if (state !== "live") return <Bar text={t("catchingUp")} />;
  if (offerReload.value) return <Bar text={t("newerApp")} action={[t("loadNewer"), () => location.reload()]} />;
  if (storage.value === "full") return <Bar text={t("storageFull")} />;
  return storage.value === "none" ? <Bar text={t("storageNone")} /> : null;
}

const Bar = ({ text, action }: { text: string; action?: [string, () => void] }) => (
  <div class="bar" role="status"><span>{text}</span>{action && <button type="button" class="link" onClick={action[1]}>{action[0]}</button>}</div>
);

/** Says to who cannot see it what comes into the open conversation. */
function Heard() {
  const [said, saidMs] = [useSignal(""), useRef(0)];
  useEffect(() => chat().on("message", ({ channel, sender, content }) => {
    // Where very many talk not every word can be heard.
    const isMuch = room.peek()?.isLarge.peek() === true && Date.now() - saidMs.current < HEARD_EVERY_MS;
    if (channel !== open.peek() || sender === me() || content.type !== "text" || isMuch) return;
    saidMs.current = Date.now();
    said.value = `${nameOf(sender)}: ${content.text.slice(0, 200)}`;
  }), []);
  return <p class="unseen" aria-live="polite">{said.value}</p>;
}

function shortcut(event: KeyboardEvent): void {
  if (dialog.peek()) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "k") {
    event.preventDefault();
    document.getElementById("find-chat")?.focus();
  } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown") && channels.peek().size > 0) {
    event.preventDefault();
    step(event.key === "ArrowUp" ? -1 : 1);
  } else if (event.key === "Escape" && panel.peek()) {
    panel.value = undefined;
    document.getElementById("composer")?.focus();
  }
}
