/** One message: who, what, when, and how far an own one has come. What it says is text and nothing else. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { type Content, type Message, type Sending, usersOf } from "@maru/sdk";
import { attempt, chat, discard, me } from "../state/chat.js";
import { picking } from "../state/composing.js";
import { panel } from "../state/look.js";
import { nameOf, nameOrYou, person } from "../state/people.js";
import type { Room } from "../state/room.js";
import { clockOf, count, t, wholeOf } from "../words/words.js";
import { Avatar, Icon, hueOf } from "./parts.js";
import { Actions, Picker, Reactions } from "./remarks.js";

/** A text above so many characters is folded: nobody reads it at once, and browsers lay it out slowly. */
const FOLDED_CHARS = 3000;

export interface Shown {
  message: Message;
  /** The first of several of one person in a row: it has the name. */
  begins: boolean;
  ends: boolean;
}

export function Bubble({ shown: { message: sent, begins, ends }, room, isActive, inThread }: { shown: Shown; room: Room; isActive: boolean; inThread?: boolean }) {
  const message = room.remarks.reading(sent);
  const { sender, content, timeMs, channel, seq } = message;
  if (content.type !== "text") return <p class="event">{eventText(message)}</p>;
  const isMine = sender === me();
  const isGroup = usersOf(channel) === undefined;
  const meant = !isMine && (content.all === true || content.mentions?.includes(me()) === true);
  return (
    <div class={`message ${isMine ? "mine" : ""} ${begins ? "begins" : ""} ${ends ? "ends" : ""} ${meant ? "meant" : ""}`}>
      {isGroup && !isMine && (begins ? <Avatar id={sender} name={nameOf(sender)} small /> : <span class="avatar small none" />)}
      <div class="bubble">
        {begins && isGroup && !isMine && <span class={`sender ${hueOf(sender)}`} dir="auto">{nameOf(sender)}</span>}
        {content.replyTo !== undefined && <Quote seq={content.replyTo} room={room} />}
        <Text content={content} />
        <span class="meta">
          {content.thread !== undefined && !inThread && (
            <button type="button" class="link in-thread" onClick={() => { panel.value = { what: "thread", root: content.thread ?? 0 }; }}>{t("inThread")}</button>
          )}
          {content !== sent.content && <span>{t("edited")}</span>}
          {(ends || isActive) && <time dateTime={new Date(timeMs).toISOString()} title={wholeOf(timeMs)}>{clockOf(timeMs)}</time>}
          {isMine && <Tick message={message} room={room} />}
        </span>
        <Reactions message={message} room={room} />
      </div>
      {isActive && <Actions message={message} room={room} />}
      {picking.value === seq && !inThread && <Picker message={message} />}
    </div>
  );
}

/** An own message that is not stored. */
export function Waiting({ send }: { send: Sending }) {
  if (send.content.type !== "text") return null;
  const isFailed = send.state === "failed";
  return (
    <div class={`message mine begins ends waiting ${isFailed ? "failed" : ""}`}>
      <div class="bubble">
        <Text content={send.content} />
        <span class="meta" aria-label={isFailed ? "" : t("sending")}><Icon name={isFailed ? "alert" : "clock"} /></span>
      </div>
      {isFailed && (
        <p class="failure" role="alert">
          {t("failed", send.failure?.text ?? "")}{" "}
          <button type="button" class="link" onClick={() => void attempt(() => chat().retry(send.sendId))}>{t("retry")}</button>{" "}
          <button type="button" class="link" onClick={() => void discard(send.sendId)}>{t("discard")}</button>
        </p>
      )}
    </div>
  );
}

function Tick({ message: { seq }, room }: { message: Message; room: Room }) {
  const others = [...room.receipts.value.values()].filter(({ user }) => user !== me());
  const readers = others.filter(({ read }) => read >= seq).length;
  const isRead = others.length > 0 && readers === others.length;
  const isDelivered = others.length > 0 && others.every(({ read, delivered }) => Math.max(read, delivered) >= seq);
  // In a group it is said how many have read it; those who do not show it are not counted. Of a large channel nobody is told.
  const word = room.isGroup && readers > 0 ? t("readBy", count(readers)) : t(isRead ? "read" : isDelivered ? "delivered" : "stored");
  return <span class={isRead ? "tick is-read" : "tick"} role="img" aria-label={word} title={word}><Icon name={isRead || isDelivered ? "checks" : "check"} /></span>;
}

function Quote({ seq, room }: { seq: number; room: Room }) {
  const quoted = useSignal<Message | undefined>(undefined);
  useEffect(() => { room.message(seq).then((message) => { quoted.value = message; }, () => {}); }, [seq]);
  const message = quoted.value && room.remarks.reading(quoted.value);
  return (
    <button type="button" class="quote" onClick={() => void attempt(() => room.show({ seq }, seq))}>
      <b dir="auto">{message ? nameOrYou(message.sender) : "…"}</b>
      <span dir="auto">{message?.content.type === "text" ? message.content.text.slice(0, 120) : message ? t("gone") : "…"}</span>
    </button>
  );
}

export function Text({ content }: { content: Extract<Content, { type: "text" }> }) {
  const isWhole = useSignal(false);
  const { text } = content;
  const isLong = text.length > FOLDED_CHARS;
  // No character is cut in half.
  const shown = isLong && !isWhole.value ? text.slice(0, FOLDED_CHARS).replace(/[\ud800-\udbff]$/, "") : text;
  return (
    <>
      <span class={isEmoji(text) ? "text emoji" : "text"} dir="auto">{decorated(shown, content)}</span>
      {isLong && (
        <button type="button" class="link more" onClick={() => { isWhole.value = !isWhole.value; }}>
          {isWhole.value ? t("showLess") : t("showAll", count(text.length))}
        </button>
      )}
    </>
  );
}

const isEmoji = (text: string): boolean => text.length <= 24 && /^(\p{Extended_Pictographic}|\p{Emoji_Modifier}|\u200d|\ufe0f){1,12}$/u.test(text);

const LINK = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/g;

/** Links and mentions stand out. They are made of nodes: what somebody wrote is never read as HTML. */
function decorated(text: string, content: Extract<Content, { type: "text" }>): ComponentChildren {
  const parts: ComponentChildren[] = [];
  let at = 0;
  for (const { 0: link, index } of text.matchAll(LINK)) {
    parts.push(...mentioned(text.slice(at, index), content), <a href={link} target="_blank" rel="noopener noreferrer">{link}</a>);
    at = index + link.length;
  }
  parts.push(...mentioned(text.slice(at), content));
  return parts;
}

function mentioned(text: string, { mentions = [], all }: Extract<Content, { type: "text" }>): ComponentChildren[] {
  const names = mentions.map((user) => person(user).name).filter(Boolean).map((name) => `@${name}`);
  if (all) names.push("@all");
  if (names.length === 0 || !text.includes("@")) return [text];
  const parts: ComponentChildren[] = [];
  let from = 0;
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    const name = names.find((one) => text.startsWith(one, at));
    if (!name) continue;
    parts.push(text.slice(from, at), <span class="mention">{name}</span>);
    from = at + name.length;
  }
  return [...parts, text.slice(from)];
}

/** What a change of a group says. */
export function eventText({ sender, content }: Pick<Message, "sender" | "content">): string {
  const who = nameOrYou(sender);
  const names = (users: bigint[]) => users.slice(0, 5).map(nameOrYou).join(", ") + (users.length > 5 ? ` +${count(users.length - 5)}` : "");
  switch (content.type) {
    case "created": return t("created", who, content.name);
    case "added": return t("added", who, names(content.users));
    case "invited": return t("invited", who, names(content.users));
    case "joined": return t("joined", who);
    case "removed": return t("removed", who, nameOrYou(content.user));
    case "left": return t("left", who);
    case "renamed": return t("renamed", who, content.name);
    case "role": return t("roleSet", who, nameOrYou(content.member), t(content.role === 2 ? "owner" : content.role === 1 ? "admin" : "member"));
    case "muted": return t(content.forS === 0 ? "unmutedMember" : "mutedMember", who, nameOrYou(content.member));
    case "banned": return t("banned", who, nameOrYou(content.user));
    case "unbanned": return t("unbanned", who, nameOrYou(content.user));
    case "slowed": return content.intervalS === 0 ? t("slowOff", who) : t("slowSet", who, content.intervalS);
    case "grown": return t("grown", who);
    case "erased": return t("erased", who);
    case "recalled": return content.by === 0 ? t("purged") : t("recalled", nameOrYou(content.user));
    case "text": return content.text;
    default: return t("unknown");
  }
}
