/** What one does with a message, and what others have said about it: reactions under it, a picker for them. */
import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { Message } from "@maru/sdk";
import { attempt, chat, me } from "../state/chat.js";
import { answer, edit, picking } from "../state/composing.js";
import { panel, say } from "../state/look.js";
import type { Room } from "../state/room.js";
import { count, t } from "../words/words.js";
import { Icon, IconButton } from "./parts.js";

const COMMON = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "✅"];

export function Actions({ message, room }: { message: Message; room: Room }) {
  const { content, seq, sender, channel } = message;
  if (content.type !== "text") return null;
  const isPinned = room.remarks.isPinned(seq);
  return (
    <span class="actions">
      <IconButton icon="smile" label={t("react")} onClick={() => { picking.value = picking.value === seq ? undefined : seq; }} />
      <IconButton icon="reply" label={t("reply")} onClick={() => answer(message)} />
      <IconButton icon="thread" label={t("replyInThread")} onClick={() => { panel.value = { what: "thread", root: content.thread ?? seq }; }} />
      {sender === me() && <IconButton icon="pencil" label={t("edit")} onClick={() => edit(message)} />}
      {room.mayPin.value && <IconButton icon="pin" label={t(isPinned ? "unpinMessage" : "pinMessage")} onClick={() => void attempt(() => chat().pin(channel, seq, !isPinned))} />}
      {sender === me() && <IconButton icon="trash" label={t("recall")} onClick={() => { if (confirm(t("recallSure"))) void attempt(() => chat().recall(channel, seq)); }} />}
      <IconButton icon="copy" label={t("copy")} onClick={() => void attempt(async () => { await navigator.clipboard.writeText(content.text); say(t("copied")); })} />
    </span>
  );
}

const react = ({ channel, seq }: Message, emoji: string, on: boolean) => attempt(() => chat().react(channel, seq, emoji, on));

/** How many react in which way; a press joins them, another one takes it back. */
export function Reactions({ message, room }: { message: Message; room: Room }) {
  const { reactions } = room.remarks.of(message.seq);
  if (reactions.length === 0) return null;
  return (
    <ul class="reactions" aria-label={t("reactions")}>
      {reactions.map(({ emoji, count: many, own }) => (
        <li key={emoji}>
          <button type="button" aria-pressed={own} aria-label={t(own ? "reactionOwn" : "reactionOf", emoji, count(many))} onClick={() => void react(message, emoji, !own)}>
            <span class="way" dir="auto">{emoji}</span> {count(many)}
          </button>
        </li>
      ))}
      <li>
        <button type="button" class="who" aria-label={t("whoReacted")} title={t("whoReacted")} onClick={() => { panel.value = { what: "reactions", seq: message.seq }; }}>
          <Icon name="group" />
        </button>
      </li>
    </ul>
  );
}

/** A few emoji, and room for any other one. */
export function Picker({ message }: { message: Message }) {
  const [box, other] = [useRef<HTMLDivElement>(null), useSignal("")];
  useEffect(() => {
    box.current?.querySelector("button")?.focus();
    box.current?.scrollIntoView({ block: "nearest" });
  }, []);
  const close = () => {
    // The focus goes back to the message, and not to the beginning of the page.
    box.current?.closest<HTMLElement>("[data-seq]")?.focus();
    picking.value = undefined;
  };
  const choose = (emoji: string) => {
    if (emoji === "") return;
    close();
    void react(message, emoji, true);
  };
  return (
    <div ref={box} class="picker" role="group" aria-label={t("react")} onKeyDown={(event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    }}>
      {COMMON.map((emoji) => <button key={emoji} type="button" class="icon-button" onClick={() => choose(emoji)}>{emoji}</button>)}
      <form onSubmit={(event) => { event.preventDefault(); choose(other.value.trim()); }}>
        <input value={other.value} placeholder={t("otherReaction")} aria-label={t("otherReaction")} maxLength={32} required onInput={(event) => { other.value = event.currentTarget.value; }} />
      </form>
      <IconButton icon="close" label={t("cancel")} onClick={close} />
    </div>
  );
}
