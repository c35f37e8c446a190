/** Who is in a group, and what its owners and admins do with it. Only the rows that are seen are in the page, and only their names are asked for. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { type Content, type MemberItem, Refusal, type Sending } from "@maru/sdk";
import { attempt, carryOut, channels, chat, me } from "../state/chat.js";
import { say } from "../state/look.js";
import { MemberList } from "../state/members.js";
import { find, nameOf, nameOrYou, person } from "../state/people.js";
import type { Room } from "../state/room.js";
import { clockOf, count, t } from "../words/words.js";
import { Face } from "./face.js";
import { IconButton, useSeenRows } from "./parts.js";
import { Side } from "./side.js";

const ROW_PX = 54;
const NEAR_ROWS = 30;
const ROLES = ["member", "admin", "owner"] as const;
const [ADMIN, OWNER] = [1, 2];

export function Members({ room }: { room: Room }) {
  const list = useMemo(() => new MemberList(room), [room]);
  const found = useSignal<MemberItem | undefined>(undefined);
  const isLarge = room.isLarge.value;
  const read = () => attempt(() => list.read());
  useEffect(() => () => list.close(), [list]);
  // A group that becomes a large channel has pages from then on.
  useEffect(() => void read(), [list, isLarge]);
  const mine = room.role.value ?? 0;
  const { channel } = room;
  const change = (work: () => Promise<Sending>, says?: Content) => attempt(async () => {
    await carryOut(work);
    if (says) list.changed(says);
  });
  const leave = () => {
    if (confirm(t("leaveSure"))) void change(() => chat().leave(channel));
  };
  const grow = () => {
    if (confirm(t("growSure"))) void change(() => chat().grow(channel), { type: "grown" });
  };
  return (
    <Side title={t("membersCount", count(room.total.value ?? list.items.value.length))}>
      {mine >= ADMIN && <Change room={room} list={list} />}
      {isLarge && <Find list={list} onFound={(item) => { found.value = item; }} />}
      {isLarge && list.readMs.value > 0 && (
        <p class="as-of">
          <span>{t("asOf", clockOf(list.readMs.value))}</span>
          <IconButton icon="refresh" label={t("refresh")} onClick={() => { found.value = undefined; void read(); }} />
        </p>
      )}
      <Rows list={list} found={found.value} act={(item) => <Acts item={item} room={room} change={change} />} />
      <div class="buttons">
        {mine === OWNER && !isLarge && <button type="button" onClick={grow}>{t("grow")}</button>}
        <button type="button" class="danger" onClick={leave}>{t("leave")}</button>
      </div>
    </Side>
  );
}

/** Adds somebody; gives the group another name. */
function Change({ room: { channel }, list }: { room: Room; list: MemberList }) {
  const [name, newName] = [useSignal(""), useSignal(channels.peek().get(channel)?.name ?? "")];
  const add = async (event: SubmitEvent) => {
    event.preventDefault();
    const found = await find(name.value);
    if (!found) return;
    name.value = "";
    await attempt(async () => {
      try {
        await carryOut(() => chat().addMembers(channel, [found.user]));
        list.changed({ type: "added", users: [found.user] });
        say(t("added", t("you"), nameOf(found.user)));
      } catch (error) {
        // Who is not to be added unasked, or has left, is asked.
        if (!(error instanceof Refusal && error.code === "needs_consent")) throw error;
        await carryOut(() => chat().inviteMembers(channel, [found.user]));
        say(t("invited", t("you"), nameOf(found.user)));
      }
    });
  };
  return (
    <>
      <form class="inline" onSubmit={add}>
        <input value={name.value} placeholder={t("addByName")} aria-label={t("addByName")} required
          onInput={(event) => { name.value = event.currentTarget.value; }} />
        <button type="submit" class="primary">{t("add")}</button>
      </form>
      <form class="inline" onSubmit={(event) => { event.preventDefault(); void attempt(() => carryOut(() => chat().rename(channel, newName.value))); }}>
        <input value={newName.value} aria-label={t("groupName")} required maxLength={100}
          onInput={(event) => { newName.value = event.currentTarget.value; }} />
        <button type="submit">{t("rename")}</button>
      </form>
    </>
  );
}

/** One of very many, by name. */
function Find({ list, onFound }: { list: MemberList; onFound: (item: MemberItem | undefined) => void }) {
  const name = useSignal("");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const one = await find(name.value);
    const item = one && await attempt(() => list.find(one.user));
    onFound(item);
    if (one && !item) say(t("noMember", nameOf(one.user)), true);
  };
  return (
    <form class="inline" role="search" onSubmit={submit}>
      <input type="search" value={name.value} placeholder={t("findMember")} aria-label={t("findMember")} required maxLength={64}
        onInput={(event) => { name.value = event.currentTarget.value; if (name.value === "") onFound(undefined); }} />
      <button type="submit">{t("search")}</button>
    </form>
  );
}

function Rows({ list, found, act }: { list: MemberList; found: MemberItem | undefined; act: (item: MemberItem) => ComponentChildren }) {
  const items = found ? [found] : list.items.value;
  const { first, last, seen } = useSeenRows(ROW_PX, items.length);
  useEffect(() => { if (!found && last > items.length - NEAR_ROWS) void list.readMore().catch(() => {}); }, [last, items.length, found]);
  return (
    <div class="member-rows scrolls" {...seen} tabIndex={0} role="region" aria-label={t("members")}>
      <ul class="people" style={{ height: `${items.length * ROW_PX}px` }}>
        {items.slice(first, last).map((item, at) => (
          <li key={item.user.toString()} style={{ transform: `translateY(${(first + at) * ROW_PX}px)` }}
            aria-setsize={list.more.value ? -1 : items.length} aria-posinset={first + at + 1}>
            <Face id={item.user} user={item.user} name={nameOf(item.user)} small is={list.present.value.get(item.user)} />
            <span class="person"><b dir="auto">{nameOrYou(item.user)}</b><small>{below(item)}</small></span>
            {act(item)}
          </li>
        ))}
      </ul>
      {list.more.value && !found && <p class="hint">{t("loading")}</p>}
    </div>
  );
}

const below = ({ user, role }: MemberItem): string =>
  [person(user).name && `@${person(user).name}`, role > 0 && t(ROLES[role] ?? "member")].filter(Boolean).join(" · ");

function Acts({ item: { user, role }, room: { channel, role: { value: mine = 0 } }, change }: {
  item: MemberItem; room: Room; change: (work: () => Promise<Sending>, says: Content) => Promise<unknown>;
}) {
  if (user === me()) return null;
  const next = role === 0 ? ADMIN : 0;
  const [appoint, remove] = [() => chat().setRole(channel, user, next), () => chat().removeMember(channel, user)];
  return (
    <>
      {mine === OWNER && <button type="button" class="link" onClick={() => void change(appoint, { type: "role", member: user, role: next })}>
        {t(role === 0 ? "makeAdmin" : "makeMember")}</button>}
      {mine > role && <button type="button" class="link danger" onClick={() => void change(remove, { type: "removed", user })}>{t("remove")}</button>}
    </>
  );
}
