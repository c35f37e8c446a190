/** The channels of the user, newest first, those that are pinned above. Only the rows that are seen are in the page. */
import { computed, signal } from "@preact/signals";
import { type ChannelInfo, isOwn, Kind, usersOf } from "@maru/sdk";
import { channels, isListed, me, sends, typists } from "../state/chat.js";
import { draftOf } from "../state/drafts.js";
import { dialog, goTo, open, panel } from "../state/look.js";
import { faceOf, nameOf, otherOf, titleOf } from "../state/people.js";
import { count, t, whenOf } from "../words/words.js";
import { Face } from "./face.js";
import { Icon, IconButton, useSeenRows } from "./parts.js";

const ROW_PX = 68;

const wanted = signal("");
const listed = computed<readonly ChannelInfo[]>(() => {
  const words = wanted.value.trim().toLocaleLowerCase();
  const shown = [...channels.value.values()].filter((item) =>
    (item.lastSeq > 0 || item.head > 0 || !usersOf(item.channel)) && !(isOwn(item.channel) && item.lastSeq === 0) && (words === "" || titleOf(item.channel, item).toLocaleLowerCase().includes(words)));
  const rank = (item: ChannelInfo) => item.pinned || Infinity;
  return shown.sort((a, b) => (rank(a) === rank(b) ? b.lastMs - a.lastMs : rank(a) - rank(b)));
});

export const unreadAll = computed(() =>
  [...channels.value.values()].filter((item) => !isMuted(item)).reduce((sum, { unread, markedUnread }) => sum + (unread > 0 || markedUnread ? 1 : 0), 0));
export const isMuted = ({ mutedUntilMs }: ChannelInfo): boolean => mutedUntilMs > Date.now();

/** The channel above or below the open one. */
export function step(by: 1 | -1): void {
  const items = listed.peek();
  const at = items.findIndex(({ channel }) => channel === open.peek());
  const next = items[at < 0 ? 0 : Math.min(Math.max(at + by, 0), items.length - 1)];
  if (next) goTo(next.channel);
}

export function List() {
  const items = listed.value;
  const { box, first, last, seen } = useSeenRows(ROW_PX, items.length);
  return (
    <nav class="list" aria-label={t("chats")}>
      <header class="list-head">
        <h1>{t("maru")}</h1>
        <IconButton icon="search" label={t("searchAll")} onClick={() => { panel.value = { what: "search" }; }} />
        <IconButton icon="group" label={t("newGroup")} onClick={() => { dialog.value = "group"; }} />
        <IconButton icon="plus" label={t("newChat")} onClick={() => { dialog.value = "chat"; }} />
        <IconButton icon="gear" label={t("settings")} onClick={() => { dialog.value = "settings"; }} />
      </header>
      <input id="find-chat" class="find" type="search" placeholder={t("filterChats")} aria-label={t("filterChats")} value={wanted.value}
        onInput={(event) => { wanted.value = event.currentTarget.value; }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && items[0]) goTo(items[0].channel);
          if (event.key === "Escape") wanted.value = "";
          if (event.key === "ArrowDown") box.current?.querySelector<HTMLElement>("a")?.focus();
        }} />
      <div class="rows" {...seen}>
        {items.length === 0 && isListed.value && (
          <div class="empty-list">
            <p>{t(wanted.value ? "noMatch" : "noChats")}</p>
            {!wanted.value && <button type="button" class="primary" onClick={() => { dialog.value = "chat"; }}>{t("newChat")}</button>}
          </div>
        )}
        <ul style={{ height: `${items.length * ROW_PX}px` }} onKeyDown={moveFocus}>
          {items.slice(first, last).map((item, at) => (
            <li key={item.channel.toString()} style={{ transform: `translateY(${(first + at) * ROW_PX}px)` }}><Row item={item} /></li>
          ))}
        </ul>
      </div>
    </nav>
  );
}

function moveFocus(event: KeyboardEvent): void {
  const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (by === 0 || event.altKey) return;
  event.preventDefault();
  const links = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("a")];
  const order = links.sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
  order[order.indexOf(document.activeElement as HTMLElement) + by]?.focus();
}

function Row({ item }: { item: ChannelInfo }) {
  const { channel, unread, mentions, lastMs, markedUnread } = item;
  const isOpen = open.value === channel;
  const title = titleOf(channel, item);
  const isNew = unread > 0 || markedUnread;
  return (
    <a class={`row ${isOpen ? "open" : ""} ${isNew ? "new" : ""}`} href={`#/c/${channel}`} aria-current={isOpen ? "page" : undefined}>
      <Face id={faceOf(channel)} user={otherOf(channel)} name={title} />
      <span class="row-text">
        <span class="row-top">
          <span class="row-title" dir="auto">{title}</span>
          {isMuted(item) && <><Icon name="mute" /><span class="unseen">{t("muted")}</span></>}
          {item.pinned > 0 && <><Icon name="pin" /><span class="unseen">{t("pinned")}</span></>}
          {lastMs > 0 && <time dateTime={new Date(lastMs).toISOString()}>{whenOf(lastMs)}</time>}
        </span>
        <span class="row-bottom">
          <Preview item={item} />
          {mentions > 0 && <><span class="badge at" aria-hidden="true">@</span><span class="unseen">{t("mentionsCount", count(mentions))}</span></>}
          {isNew && <><span class={isMuted(item) ? "badge quiet" : "badge"} aria-hidden="true">{unread > 0 ? (unread > 999 ? "999+" : unread) : ""}</span>
            <span class="unseen">{t("unreadCount", unread > 0 ? count(unread) : "")}</span></>}
        </span>
      </span>
    </a>
  );
}

function Preview({ item }: { item: ChannelInfo }) {
  const { channel, lastKind, lastSender, text } = item;
  const who = typists.value.get(channel) ?? [];
  const draft = draftOf(channel);
  const isFailed = sends.value.some((send) => send.channel === channel && send.state === "failed" && send.content.type === "text");
  if (isFailed) return <span class="preview is-failed"><Icon name="alert" /> {t("failed", "")}</span>;
  if (who[0] !== undefined) return <span class="preview is-typing">{t("typing1", nameOf(who[0]))}</span>;
  if (draft && open.value !== channel) return <span class="preview"><em>{t("draft")}:</em> <bdi>{draft.slice(0, 80)}</bdi></span>;
  if (lastKind === Kind.SEND_TEXT) {
    const sender = lastSender === me() ? t("you") : usersOf(channel) ? "" : nameOf(lastSender);
    return <span class="preview">{sender && !isOwn(channel) ? `${sender}: ` : ""}<bdi>{text}</bdi></span>;
  }
  return <span class="preview">{lastKind === Kind.CREATE_GROUP ? t("created", nameOf(lastSender), item.name) : lastKind === Kind.GROW_GROUP ? t("grown", nameOf(lastSender)) : item.member ? "" : t("leftHere")}</span>;
}
