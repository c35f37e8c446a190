/** What stands beside a conversation: its members, a thread of it, a search. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { type MemberItem, type Message, type PresenceItem, Refusal, type Sending } from "@maru/sdk";
import { attempt, carryOut, channels, chat, me } from "../state/chat.js";
import { goTo, panel, say } from "../state/look.js";
import { find, nameOf, nameOrYou, person, titleOf } from "../state/people.js";
import type { Room } from "../state/room.js";
import { count, t, whenOf } from "../words/words.js";
import { Composer } from "./composer.js";
import { Bubble } from "./message.js";
import { Face } from "./face.js";
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

/** Members of whom it is asked whether they are there. */
const LOOKED_AT_MAX = 100;
const ROLES = ["member", "admin", "owner"] as const;

export function Members({ channel }: { channel: bigint }) {
  const [members, name, newName] = [useSignal<MemberItem[]>([]), useSignal(""), useSignal(channels.peek().get(channel)?.name ?? "")];
  const looked = useSignal<ReadonlyMap<bigint, PresenceItem>>(new Map());
  const read = () => void attempt(async () => {
    members.value = await chat().members(channel);
    // Who is there is asked once, when the list is opened: a group is too many people to be shown every change.
    const users = members.value.map(({ user }) => user).filter((user) => user !== me()).slice(0, LOOKED_AT_MAX);
    if (users.length > 0) looked.value = new Map((await chat().presence(users)).map((item) => [item.user, item]));
  });
  useEffect(() => {
    read();
    const isOf = (message: Message) => message.channel === channel && message.content.type !== "text";
    return chat().on("message", (message) => { if (isOf(message)) read(); });
  }, [channel]);
  const mine = members.value.find(({ user }) => user === me())?.role ?? 0;
  const change = (work: () => Promise<Sending>) => attempt(async () => {
    await carryOut(work);
    read();
  });
  const add = async (event: SubmitEvent) => {
    event.preventDefault();
    const found = await find(name.value);
    if (!found) return;
    name.value = "";
    await attempt(async () => {
      try {
        await carryOut(() => chat().addMembers(channel, [found.user]));
      } catch (error) {
        // Who is not to be added unasked, or has left, is asked.
        if (!(error instanceof Refusal && error.code === "needs_consent")) throw error;
        await carryOut(() => chat().inviteMembers(channel, [found.user]));
        say(t("invited", t("you"), nameOf(found.user)));
      }
      read();
    });
  };
  const leave = () => {
    if (confirm(t("leaveSure"))) void change(() => chat().leave(channel)).then(close);
  };
  return (
    <Side title={t("membersCount", count(members.value.length))}>
      {mine > 0 && (
        <>
          <form class="inline" onSubmit={add}>
            <input value={name.value} placeholder={t("addByName")} aria-label={t("addByName")} required onInput={(event) => { name.value = event.currentTarget.value; }} />
            <button type="submit" class="primary">{t("add")}</button>
          </form>
          <form class="inline" onSubmit={(event) => { event.preventDefault(); void change(() => chat().rename(channel, newName.value)); }}>
            <input value={newName.value} aria-label={t("groupName")} required maxLength={100} onInput={(event) => { newName.value = event.currentTarget.value; }} />
            <button type="submit">{t("rename")}</button>
          </form>
        </>
      )}
      <ul class="people scrolls" tabIndex={0} aria-label={t("members")}>
        {members.value.map(({ user, role }) => (
          <li key={user.toString()}>
            <Face id={user} user={user} name={nameOf(user)} small is={looked.value.get(user)} />
            <span class="person"><b dir="auto">{nameOrYou(user)}</b><small>{person(user).name && `@${person(user).name}`} {role > 0 && `· ${t(ROLES[role] ?? "member")}`}</small></span>
            {mine === 2 && user !== me() && <button type="button" class="link" onClick={() => void change(() => chat().setRole(channel, user, role === 0 ? 1 : 0))}>{t(role === 0 ? "makeAdmin" : "makeMember")}</button>}
            {mine > role && user !== me() && <button type="button" class="link danger" onClick={() => void change(() => chat().removeMember(channel, user))}>{t("remove")}</button>}
          </li>
        ))}
      </ul>
      <button type="button" class="danger" onClick={leave}>{t("leave")}</button>
    </Side>
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
