/** What stands beside a conversation: a thread of it, a search. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { Message } from "@maru/sdk";
import { attempt, channels, chat } from "../state/chat.js";
import { goTo, panel } from "../state/look.js";
import { nameOrYou, titleOf } from "../state/people.js";
import type { Room } from "../state/room.js";
import { count, t, whenOf } from "../words/words.js";
import { Composer } from "./composer.js";
import { Bubble } from "./message.js";
import { IconButton } from "./parts.js";

const close = () => { panel.value = undefined; };

export function Side({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <aside class="side" aria-label={title}>
      <header><h2>{title}</h2><IconButton icon="close" label={t("close")} onClick={close} /></header>
      {children}
    </aside>
  );
}

export function Thread({ room, root }: { room: Room; root: number }) {
  const [first, messages] = [useSignal<Message | undefined>(undefined), useSignal<Message[]>([])];
  const end = useRef<HTMLLIElement>(null);
  useEffect(() => {
    first.value = undefined;
    messages.value = [];
    void attempt(async () => { first.value = await room.message(root); });
    void attempt(async () => {
      messages.value = (await chat().thread(room.channel, root)).messages;
      // A thread reaches further back than what the conversation shows.
      room.remarks.read(messages.value[0]?.seq ?? 0, messages.value.at(-1)?.seq ?? 0);
    });
  }, [room, root]);
  // What comes into the conversation and belongs here is shown here, too.
  const isOf = ({ content, seq }: Message) => content.type === "text" && content.thread === root && !messages.value.some((other) => other.seq === seq);
  const all = [...messages.value, ...room.messages.value.filter(isOf)].sort((a, b) => a.seq - b.seq);
  useEffect(() => end.current?.scrollIntoView({ block: "nearest" }), [all.length]);
  return (
    <Side title={t("thread")}>
      <ol class="thread scrolls" tabIndex={0} aria-label={t("thread")}>
        {[...(first.value ? [first.value] : []), ...all].map((message, at) => (
          <li key={message.seq} class={at === 0 ? "root" : ""}><Bubble shown={{ message, begins: true, ends: true }} room={room} isActive={false} inThread /></li>
        ))}
        <li ref={end} />
      </ol>
      <Composer key={`t${root}`} channel={room.channel} thread={root} title={t("thread")} />
    </Side>
  );
}

interface Hit { channel: string; seq: number; time_ms: number; sender: string; snippet: string; highlights: [number, number][] }

export function Search({ channel }: { channel: bigint | undefined }) {
  const [words, isHere, isToMe, hits, next, state] = [useSignal(""), useSignal(channel !== undefined), useSignal(false), useSignal<Hit[]>([]), useSignal<string | undefined>(undefined), useSignal("")];
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => box.current?.focus(), []);
  const ask = (after?: string) => attempt(async () => {
    const where = isHere.value && channel !== undefined && { channel: channel.toString() };
    const query = new URLSearchParams({ q: words.value, limit: "30", ...where, ...(isToMe.value && { mentions: "me" }), ...(after && { after }) });
    const said = await chat().ask("GET", `/v1/search?${query}`) as unknown as { hits: Hit[]; next?: string; complete: boolean };
    hits.value = after ? [...hits.value, ...said.hits] : said.hits;
    next.value = said.next;
    state.value = !said.complete ? t("incomplete") : hits.value.length === 0 ? t("noResults") : t("results", `${count(hits.value.length)}${said.next ? "+" : ""}`);
  });
  return (
    <Side title={t("search")}>
      <form class="inline" role="search" onSubmit={(event) => { event.preventDefault(); if (words.value.trim()) void ask(); }}>
        <input ref={box} type="search" value={words.value} placeholder={t("searchAll")} aria-label={t("searchAll")} maxLength={256} required
          onInput={(event) => { words.value = event.currentTarget.value; }} />
        <button type="submit" class="primary">{t("search")}</button>
      </form>
      {channel !== undefined && (
        <label class="check"><input type="checkbox" checked={isHere.value} onChange={(event) => { isHere.value = event.currentTarget.checked; }} />
          <span dir="auto">{titleOf(channel, channels.value.get(channel))}</span></label>
      )}
      <label class="check"><input type="checkbox" checked={isToMe.value} onChange={(event) => { isToMe.value = event.currentTarget.checked; }} />
        {t("mentionsMe")}</label>
      <p class="hint" aria-live="polite">{state.value || t("searchHint")}</p>
      <ul class="hits scrolls" tabIndex={0} aria-label={t("search")}>
        {hits.value.map((hit) => (
          <li key={`${hit.channel}/${hit.seq}`}>
            <button type="button" onClick={() => goTo(BigInt(hit.channel), hit.seq)}>
              <span class="hit-top"><b dir="auto">{nameOrYou(BigInt(hit.sender))}</b> <span dir="auto">{titleOf(BigInt(hit.channel), channels.value.get(BigInt(hit.channel)))}</span> <time>{whenOf(hit.time_ms)}</time></span>
              <span class="hit-text" dir="auto">{highlighted(hit)}</span>
            </button>
          </li>
        ))}
        {next.value && <li><button type="button" class="link" onClick={() => void ask(next.value)}>{t("moreResults")}</button></li>}
      </ul>
    </Side>
  );
}

/** The server counts characters, not UTF-16 units. */
function highlighted({ snippet, highlights }: Hit): ComponentChildren[] {
  const chars = [...snippet];
  const text = (from: number, to?: number) => chars.slice(from, to).join("");
  const parts = highlights.flatMap(([begin, end], at) => [text(highlights[at - 1]?.[1] ?? 0, begin), <mark>{text(begin, end)}</mark>]);
  return [...parts, text(highlights.at(-1)?.[1] ?? 0)];
}
