/** The history of a conversation. What is read stays where it is on the screen, whatever comes above or below it. */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { Message } from "@maru/sdk";
import { channels, me } from "../state/chat.js";
import { answer, edit, picking } from "../state/composing.js";
import { panel } from "../state/look.js";
import type { Room } from "../state/room.js";
import { count, dayOf, isSameDay, t } from "../words/words.js";
import { Bubble, Waiting } from "./message.js";
import { Icon } from "./parts.js";

/** Messages of one person within so long stand together. */
const TOGETHER_MS = 5 * 60_000;
const NEAR_PX = 700;
const AT_END_PX = 60;
const FLASH_MS = 1600;

export function Timeline({ room }: { room: Room }) {
  const box = useRef<HTMLDivElement>(null);
  const place = useRef<{ seq: string; top: number } | undefined>(undefined);
  const atEnd = useSignal(true);
  const active = useSignal<number | undefined>(undefined);
  const messages = room.messages.value;
  const waiting = room.waiting.value;

  const look = () => {
    const element = box.current;
    if (!element) return;
    const below = element.scrollHeight - element.scrollTop - element.clientHeight;
    atEnd.value = below < AT_END_PX && !room.moreAfter.peek();
    room.isAtEnd = atEnd.value;
    const edge = element.getBoundingClientRect();
    const rows = [...element.querySelectorAll<HTMLElement>("[data-seq]")];
    const first = rows.find((row) => row.getBoundingClientRect().bottom > edge.top);
    place.current = first && { seq: first.dataset["seq"] ?? "", top: first.getBoundingClientRect().top - edge.top };
    const last = atEnd.value ? rows.at(-1) : rows.findLast((row) => row.getBoundingClientRect().bottom <= edge.bottom + 1);
    if (last) room.seen(atEnd.value ? Math.max(Number(last.dataset["seq"]), headOf(room)) : Number(last.dataset["seq"]));
    if (element.scrollTop < NEAR_PX) void room.loadBefore();
    if (below < NEAR_PX) void room.loadAfter();
  };

  /** Puts what was seen back to where it was. */
  const hold = () => {
    const element = box.current;
    if (!element) return;
    if (atEnd.peek() && !room.moreAfter.peek()) element.scrollTop = element.scrollHeight;
    else if (place.current) {
      const row = element.querySelector<HTMLElement>(`[data-seq="${place.current.seq}"]`);
      if (row) element.scrollTop += row.getBoundingClientRect().top - element.getBoundingClientRect().top - place.current.top;
    }
  };

  useLayoutEffect(() => {
    const jump = room.jump.peek();
    const row = jump === undefined ? null : box.current?.querySelector<HTMLElement>(`[data-seq="${jump}"]`);
    if (row) {
      room.jump.value = undefined;
      atEnd.value = false;
      row.scrollIntoView({ block: "center" });
      row.classList.add("flash");
      setTimeout(() => row.classList.remove("flash"), FLASH_MS);
    } else hold();
    look();
  }, [messages, waiting.length, room.jump.value, room.moreAfter.value]);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    // A picture of the keyboard, a longer composer, a text that was unfolded.
    const watch = new ResizeObserver(hold);
    watch.observe(element);
    for (const child of element.children) watch.observe(child);
    const focused = () => look();
    addEventListener("focus", focused);
    return () => {
      watch.disconnect();
      removeEventListener("focus", focused);
    };
  }, [room]);

  return (
    <div class="timeline" ref={box} tabIndex={0} role="region" aria-label={t("message")} onScroll={look} onMouseLeave={() => { active.value = undefined; }}>
      <ol onKeyDown={(event) => keys(event, room)}>
        {room.isReady.value && <li class="edge">{room.moreBefore.value ? t("loading") : messages.length + waiting.length > 0 ? t("beginning") : t("noMessages")}</li>}
        {rows(messages, room, active.value, (seq) => { active.value = seq; })}
        {!room.moreAfter.value && waiting.map((send) => <li key={`s${send.sendId}`}><Waiting send={send} /></li>)}
      </ol>
      {!atEnd.value && (
        <button type="button" class="to-end" aria-label={t("toNewest")} title={t("toNewest")}
          onClick={() => void room.toNewest().then(() => {
            atEnd.value = true;
            hold();
            look();
          }, () => {})}>
          <Icon name="down" />
          <Unread room={room} />
        </button>
      )}
    </div>
  );
}

/** How much there is to read further down. */
function Unread({ room }: { room: Room }) {
  const unread = channels.value.get(room.channel)?.unread ?? 0;
  return unread > 0 ? <><span class="badge" aria-hidden="true">{unread > 999 ? "999+" : unread}</span><span class="unseen">{t("unreadCount", count(unread))}</span></> : null;
}

/** Notes are at the head, too, and are nothing to see. */
const headOf = (room: Room): number => channels.peek().get(room.channel)?.lastSeq ?? 0;

function rows(messages: readonly Message[], room: Room, active: number | undefined, activate: (seq: number) => void): ComponentChildren[] {
  let isNewSaid = false;
  return messages.flatMap((message, at) => {
    const [before, after] = [messages[at - 1], messages[at + 1]];
    const made: ComponentChildren[] = [];
    const isDay = !before || !isSameDay(before.timeMs, message.timeMs);
    if (isDay) made.push(<li class="day" key={`d${message.seq}`}><span>{dayOf(message.timeMs)}</span></li>);
    const isNew = !isNewSaid && room.readBefore > 0 && message.seq > room.readBefore && message.sender !== me();
    if (isNew) {
      isNewSaid = true;
      made.push(<li class="new-line" key="new"><span>{t("newMessages")}</span></li>);
    }
    const together = (a: Message | undefined, b: Message | undefined) => a !== undefined && b !== undefined && a.sender === b.sender &&
      a.content.type === "text" && b.content.type === "text" && b.timeMs - a.timeMs < TOGETHER_MS && isSameDay(a.timeMs, b.timeMs);
    const shown = { message, begins: isNew || !together(before, message), ends: !together(message, after) };
    made.push(
      <li key={message.seq} data-seq={message.seq} tabIndex={after ? -1 : 0} onMouseEnter={() => activate(message.seq)} onFocus={() => activate(message.seq)}>
        <Bubble shown={shown} room={room} isActive={active === message.seq} />
      </li>,
    );
    return made;
  });
}

/** Arrows go from message to message; r answers, t opens the thread, e edits an own one, + reacts. */
function keys(event: KeyboardEvent, room: Room): void {
  const row = (event.target as HTMLElement).closest<HTMLElement>("[data-seq]");
  if (!row || event.target !== row || event.ctrlKey || event.metaKey || event.altKey) return;
  const sent = room.messages.peek().find(({ seq }) => String(seq) === row.dataset["seq"]);
  const message = sent?.content.type === "text" ? room.remarks.reading(sent) : undefined;
  const all = [...row.parentElement?.querySelectorAll<HTMLElement>("[data-seq]") ?? []];
  const next = all[all.indexOf(row) + (event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0)];
  if (event.key === "ArrowUp" || event.key === "ArrowDown") {
    event.preventDefault();
    next?.focus();
  } else if (event.key === "t" && message?.content.type === "text") {
    panel.value = { what: "thread", root: message.content.thread ?? message.seq };
  } else if (message && (event.key === "r" || event.key === "+" || (event.key === "e" && message.sender === me()))) {
    event.preventDefault();
    if (event.key === "r") answer(message);
    else if (event.key === "e") edit(message);
    else picking.value = message.seq;
  }
}
