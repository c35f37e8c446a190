/** Who is there: of the people of direct conversations and of friends what they show, and whether anybody is at this browser. */
import { effect, signal } from "@preact/signals";
import type { PresenceItem } from "@maru/sdk";
import { channels, chat, connection, me, phase } from "./chat.js";
import { keep, kept } from "./kept.js";
import { open } from "./look.js";
import { otherOf } from "./people.js";

export const [OFFLINE, ONLINE, AWAY, BUSY] = [1, 2, 3, 4] as const;

/** So many the server shows at a time. */
const WATCHED_MAX = 500;
/** What changed is looked at once in so long. */
const SETTLE_MS = 300;
const FRIEND_PAGES_MAX = 5;

const present = signal<ReadonlyMap<bigint, PresenceItem>>(new Map());
const friends = signal<readonly bigint[]>([]);
const watched = new Set<bigint>();

/** What somebody shows, as far as that is known here. */
export const presenceOf = (user: bigint | undefined): PresenceItem | undefined => (user === undefined ? undefined : present.value.get(user));
/** The status that somebody has given, while it lasts. */
export const statusOf = ({ status, statusUntilMs }: PresenceItem): string => (statusUntilMs === 0 || statusUntilMs > Date.now() ? status : "");

function show(items: readonly PresenceItem[]): void {
  if (items.length > 0) present.value = new Map([...present.peek(), ...items.map((item) => [item.user, item] as const)]);
}

effect(() => {
  if (phase.value !== "in") return;
  const end = chat().on("presence", ({ items }) => show(items));
  const seeing = setInterval(seen, SEEN_EVERY_MS);
  void readFriends();
  look();
  return () => {
    end();
    clearInterval(seeing);
    watched.clear();
    [present.value, friends.value] = [new Map(), []];
  };
});

/** Asks who the user's friends are; they are shown before others. */
export async function readFriends(): Promise<void> {
  try {
    const all: bigint[] = [];
    let after: string | undefined;
    for (let pages = 0; pages < FRIEND_PAGES_MAX; pages++) {
      const said = await chat().ask("GET", `/v1/friends${after ? `?after=${after}` : ""}`) as { friends: { user: string; state: string }[]; next?: string | null };
      all.push(...said.friends.filter(({ state }) => state === "friend").map(({ user }) => BigInt(user)));
      if (!said.next) break;
      after = said.next;
    }
    friends.value = all;
  } catch {
    // Without a connection nobody is shown anyway; the next start asks again.
  }
}

// Who is to be shown changes with the list of channels, so with every message: it is looked at a moment later.
let settling: ReturnType<typeof setTimeout> | undefined;
let wasLive = false;
effect(() => {
  const isLive = connection.value.state === "live";
  void [channels.value, friends.value, open.value];
  // Another tab may have the device now, and a device of its own: whom that is to show it is told again.
  if (isLive && !wasLive) {
    watched.clear();
    look();
  }
  wasLive = isLive;
  if (isLive && phase.value === "in") settling ??= setTimeout(watchWanted, SETTLE_MS);
});

/** Who is talked to now, then friends, then who was talked to last. */
function wanted(): Set<bigint> {
  const here = open.peek();
  const byTime = [...channels.peek().values()].sort((a, b) => b.lastMs - a.lastMs).map(({ channel }) => otherOf(channel));
  const users = [here === undefined ? undefined : otherOf(here), ...friends.peek(), ...byTime];
  return new Set(users.filter((user) => user !== undefined && user !== me()).slice(0, WATCHED_MAX) as bigint[]);
}

function watchWanted(): void {
  settling = undefined;
  if (phase.peek() !== "in") return;
  const users = wanted();
  const fresh = [...users].filter((user) => !watched.has(user));
  if (fresh.length === 0) return;
  const over = Math.max(0, watched.size + fresh.length - WATCHED_MAX);
  const gone = [...watched].filter((user) => !users.has(user)).slice(0, over);
  for (const user of gone) watched.delete(user);
  for (const user of fresh) watched.add(user);
  const here = chat();
  const asked = gone.length > 0 ? here.unwatch(gone) : Promise.resolve();
  // What is refused (another tab shows others) is asked for again when the connection is made anew.
  asked.then(() => here.watch(fresh)).then(show, () => {});
}

/** A page that is hidden for so long has nobody before it, unless another tab of this browser is seen. */
const HIDDEN_MS = 30_000;
const SEEN_EVERY_MS = 10_000;
let looking: ReturnType<typeof setTimeout> | undefined;

function say(isIdle: boolean): void {
  if (phase.peek() === "in") chat().idle(isIdle).catch(() => {});
}
function seen(): void {
  if (document.visibilityState !== "visible") return;
  keep("seen", String(Date.now()));
  say(false);
}
function look(): void {
  clearTimeout(looking);
  if (document.visibilityState === "visible") return seen();
  looking = setTimeout(() => {
    const isSeen = document.visibilityState === "visible" || Date.now() - Number(kept("seen") ?? 0) < HIDDEN_MS - SEEN_EVERY_MS;
    if (!isSeen) say(true);
  }, HIDDEN_MS);
}
document.addEventListener("visibilitychange", look);
