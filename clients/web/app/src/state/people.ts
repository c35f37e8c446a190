/** Who is who: names of users, asked for once and kept in this browser for when there is no connection. */
import { effect, type Signal, signal } from "@preact/signals";
import { type ChannelInfo, isOwn, usersOf } from "@maru/sdk";
import { t } from "../words/words.js";
import { attempt, chat, me, phase } from "./chat.js";
import { forget, keep, kept } from "./kept.js";

export interface Person {
  user: bigint;
  /** Unique; empty while it is not known. */
  name: string;
  display: string;
  about: string;
}

const PEOPLE_MAX = 2000;
const ASKED_AT_ONCE = 4;
const KEPT_EVERY_MS = 500;
const people = new Map<bigint, Signal<Person>>();
const waiting: bigint[] = [];
let asking = 0;

try {
  for (const [id, name, display] of JSON.parse(kept("people") ?? "[]") as [string, string, string][]) {
    people.set(BigInt(id), signal({ user: BigInt(id), name, display, about: "" }));
  }
} catch {
  forget("people");
}

/** A person, at once; its name comes when it is known. */
export function person(user: bigint): Person {
  let known = people.get(user);
  if (!known) {
    known = signal({ user, name: "", display: "", about: "" });
    people.set(user, known);
    // Nobody: of whom what was purged is.
    if (user !== 0n) {
      waiting.push(user);
      void askNext();
    }
  }
  return known.value;
}

async function askNext(): Promise<void> {
  while (asking < ASKED_AT_ONCE && waiting.length > 0) {
    const user = waiting.shift() as bigint;
    asking += 1;
    try {
      learn(await chat().ask("GET", `/v1/users/${user}`));
    } catch {
      // Not there, or no connection: it is asked for again when it is shown the next time.
      people.delete(user);
    }
    asking -= 1;
  }
}

/** What the server said of somebody. */
export function learn(said: Record<string, unknown>): Person {
  const { user, name, display_name: display, about } = said as Record<string, string>;
  const id = BigInt(user ?? "0");
  const next = { user: id, name: name ?? "", display: display ?? "", about: about ?? "" };
  const known = people.get(id);
  if (known) known.value = next;
  else people.set(id, signal(next));
  keepSoon();
  return next;
}

/** The first name that is learned is kept at once, for the page may be closed; those behind it together. */
let keeping: ReturnType<typeof setTimeout> | undefined;
let isChanged = false;
function keepSoon(): void {
  isChanged = true;
  if (keeping === undefined) keepPeople();
}
function keepPeople(): void {
  keeping = undefined;
  if (!isChanged) return;
  isChanged = false;
  const rows = [...people.values()].map(({ value }) => value).filter(({ name }) => name !== "").slice(-PEOPLE_MAX);
  keep("people", JSON.stringify(rows.map(({ user, name, display }) => [user.toString(), name, display])));
  keeping = setTimeout(keepPeople, KEPT_EVERY_MS);
}

/** A user by its name; says so when there is none. */
export async function find(name: string): Promise<Person | undefined> {
  const said = await attempt(() => chat().ask("GET", `/v1/users/by-name/${encodeURIComponent(name.trim())}`));
  return said && learn(said);
}

export function nameOf(user: bigint): string {
  const { name, display } = person(user);
  return display || name || t("someone");
}
export const nameOrYou = (user: bigint): string => (user === me() ? t("you") : nameOf(user));

/** The other one of a direct channel. */
export function otherOf(channel: bigint): bigint | undefined {
  const users = usersOf(channel);
  return users && (users[0] === me() ? users[1] : users[0]);
}

/** Whose colour a channel has. */
export const faceOf = (channel: bigint): bigint => (isOwn(channel) ? channel : otherOf(channel) ?? channel);

/** What a channel is called. */
export function titleOf(channel: bigint, item?: ChannelInfo): string {
  if (isOwn(channel)) return t("savedMessages");
  const other = otherOf(channel);
  return other === undefined ? item?.name || "…" : nameOf(other);
}

// Who comes next in this browser does not find whom the last one knew.
effect(() => {
  if (phase.value === "out") people.clear();
});
