/** What an app does with Maru, whether this tab holds the connection or another one does. All of it is plain data. */
import type { End } from "./dial/dialler.js";
import type { HeadItem, MemberItem, MentionItem, OwnPresence, PresenceItem, Push, ReceiptItem, SubscribePush } from "./generated.js";
import type { ChannelInfo, ChannelPage, Content, History, Message, Prefs, Said, Talk, ThreadPage } from "./session/event.js";
import type { State } from "./session/core.js";
import type { ListWindow, Window } from "./session/asks.js";
import type { Storage } from "./store/keeper.js";
import type { Span } from "./store/store.js";

/** An own send. It is shown at once, and told of again whenever its state changes. */
export interface Sending {
  sendId: bigint;
  channel: bigint;
  content: Content;
  /** `sending`: it will be, as soon as the server is there. `stored`: on stable storage there. `failed`: refused for good;
   * `retry` sends it once more, `discard` forgets it. */
  state: "sending" | "stored" | "failed";
  /** Of one that is stored. */
  seq?: number;
  timeMs?: number;
  /** Of one that failed. */
  failure?: { code: string; text: string };
}

/** What an app is told. */
export interface ChatEvents {
  /** Where the connection stands; `retryAtMs` (by `Date.now`) of one that is down. */
  state: { state: State; retryAtMs?: number };
  /** A message of somebody else, or of another device of this user; once. */
  message: Message;
  send: Sending;
  /** A channel looks different in the list: it has a newer message, was read, muted, renamed. */
  channel: ChannelInfo;
  /**
   * Large channels, and how far they have come: from here on each message of them is told. What is missing between what is held and that
   * is read from the history, and so is what is missing when a message comes whose seq is not the next.
   */
  heads: { items: HeadItem[] };
  /** Members came further in reading or receiving a channel. */
  receipts: { channel: bigint; items: ReceiptItem[] };
  /** Somebody types, or stopped. */
  typing: { channel: bigint; user: bigint; types: boolean };
  /** Users who are watched show something else. `state`: 0 unknown, 1 offline, 2 online, 3 away, 4 do not disturb. */
  presence: { items: PresenceItem[] };
  /** Another device of this user has changed what it shows. */
  ownPresence: OwnPresence;
  /** A draft is another one: written in another tab or on another device, or sent there (`text` empty). */
  draft: { channel: bigint; thread: number; text: string };
  /** The server's memory is another one (a backup was restored). What was kept of messages and channels is forgotten: read
   * what is shown anew. */
  resync: { generation: number };
  storage: { storage: Storage };
  /** The device is connected no more and does not come back. */
  end: End;
}

/** A place in a channel's history. */
export type Around = { seq: number } | { timeMs: number } | { firstUnread: true };
/** Where the user was mentioned, newest first, and how often in channels where that is unread. */
export interface Mentioned {
  items: MentionItem[];
  unread: { channel: bigint; unread: number }[];
  more: boolean;
}
/** Members, rising by user. `total`: how many there are; an old server does not say so. */
export interface MemberPage {
  items: MemberItem[];
  more: boolean;
  total?: number;
}
export type Asked = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface Chat {
  /** Whose device this is. */
  readonly user: bigint;
  on<Name extends keyof ChatEvents>(name: Name, listener: (event: ChatEvents[Name]) => void): () => void;

  /** Sends text. Rejects with a `Refusal` what the server would refuse; else the send is shown at once, and is sent once
   * however often the connection breaks or the page is loaded. `sendId`: of a send that is perhaps given a second time. `talk`: what
   * the text answers, which thread it is of, whom it mentions. */
  send(channel: bigint, text: string, sendId?: bigint, talk?: Talk): Promise<Sending>;
  /** When the send is stored: its message. Rejects when it failed. */
  stored(sendId: bigint): Promise<Message>;
  retry(sendId: bigint): Promise<Sending>;
  discard(sendId: bigint): Promise<void>;
  /** Sends that are not stored, oldest first; also those of an earlier run. */
  sends(): Promise<Sending[]>;

  /** One of the user's own texts reads like this from here on; whom it mentions stays. As all sends it goes out once, also when the
   * connection breaks. */
  edit(channel: bigint, seq: number, text: string, sendId?: bigint): Promise<Sending>;
  /** Reacts to a text with an emoji of 1 to 32 bytes, or takes that back. */
  react(channel: bigint, seq: number, emoji: string, on: boolean, sendId?: bigint): Promise<Sending>;
  /** Takes a text back for everybody: an own one for as long as the server allows, or as an owner or admin of its group. What it said is gone. */
  recall(channel: bigint, seq: number, sendId?: bigint): Promise<Sending>;
  /** Pins a text in its channel, or takes it down. */
  pin(channel: bigint, seq: number, on: boolean, sendId?: bigint): Promise<Sending>;

  createGroup(name: string, members: bigint[], sendId?: bigint): Promise<Sending>;
  addMembers(channel: bigint, members: bigint[], sendId?: bigint): Promise<Sending>;
  inviteMembers(channel: bigint, members: bigint[], sendId?: bigint): Promise<Sending>;
  removeMember(channel: bigint, member: bigint, sendId?: bigint): Promise<Sending>;
  join(channel: bigint, sendId?: bigint): Promise<Sending>;
  grow(channel: bigint, sendId?: bigint): Promise<Sending>;
  leave(channel: bigint, sendId?: bigint): Promise<Sending>;
  rename(channel: bigint, name: string, sendId?: bigint): Promise<Sending>;
  setRole(channel: bigint, member: bigint, role: number, sendId?: bigint): Promise<Sending>;

  /** A window of history from the server; it waits for a connection. */
  history(channel: bigint, window?: Window): Promise<History>;
  /** A window of history around a place, with a `pivot` and what there is on either side. */
  around(channel: bigint, around: Around, limit?: number): Promise<History>;
  /** What now holds of messages of a channel, as far as a page goes: how they read, how many react, what is pinned. History has texts as they
   * were sent. With `who` it names who reacts, and not how texts read. */
  about(channel: bigint, from: number, through?: number, who?: boolean): Promise<Said>;
  thread(channel: bigint, root: number, window?: Window): Promise<ThreadPage>;
  mentions(before?: number): Promise<Mentioned>;
  /** What is kept of a channel here: at once, perhaps with gaps, also without a connection. */
  kept(channel: bigint, span?: Partial<Span>): Promise<Message[]>;
  /** All channels of the user, from the server. */
  channels(): Promise<ChannelInfo[]>;
  /** One page of them: in order 1 the pinned and the newest first, on with `at: next` and `generation`. */
  recent(window: ListWindow): Promise<Omit<ChannelPage, "request">>;
  /** The channels as they were last known here. */
  keptChannels(): Promise<ChannelInfo[]>;
  /** All of them: not for a large channel, where `memberPage` gives up to 500 with a larger id than `after`. */
  members(channel: bigint): Promise<MemberItem[]>;
  memberPage(channel: bigint, after?: bigint, limit?: number): Promise<MemberPage>;
  /** How far members have read and received; those who do not show it are not among them. */
  receipts(channel: bigint): Promise<ReceiptItem[]>;
  /** Says that the user types, or stopped; as often as you like. */
  typing(channel: bigint, types: boolean): Promise<void>;
  /** Shows what these users show: what is known of them already, and `presence` events from now on. At most 500 at a time. */
  watch(users: bigint[]): Promise<PresenceItem[]>;
  unwatch(users: bigint[]): Promise<void>;
  /** What up to 100 users show now. */
  presence(users: bigint[]): Promise<PresenceItem[]>;
  /** What the user shows from now on: 0 its activity, 1 away, 2 do not disturb, 3 nothing (invisible); and a status of up to 128
   * characters, which ends then (0: never). */
  setPresence(shows: number, status?: string, statusUntilMs?: number): Promise<void>;
  /** What the user shows, and its devices. */
  ownPresence(): Promise<OwnPresence>;
  /** This device is told by push of what it misses from now on (docs/protocol.md, SUBSCRIBE_PUSH), instead of where it said before for that
   * provider: 1 Web Push, 2 webhook, 3 FCM, 4 APNs. */
  subscribePush(wish: Partial<SubscribePush> & { provider: number }): Promise<void>;
  /** It, or another device of the user, is told there no more. */
  unsubscribePush(provider: number, device?: bigint): Promise<void>;
  /** None of the user's devices is told by push from now on, or all are again. */
  setPush(isOff: boolean): Promise<void>;
  /** Where the user's devices are told, and the key that a browser subscribes with. */
  push(): Promise<Push>;
  /** Nobody is at this device, or somebody is again; as often as you like. */
  idle(isIdle: boolean): Promise<void>;
  /** All of how a channel is shown and told of, for every device of the user. */
  setPrefs(channel: bigint, prefs: Prefs, sendId?: bigint): Promise<Sending>;
  /** The user has read the channel up to and with `seq`. */
  markRead(channel: bigint, seq: number): Promise<void>;
  /** What is typed and not sent, here or on another device: the newest writing. `thread`: not in the channel but in the thread that begins
   * with this seq. */
  draft(channel: bigint, thread?: number): Promise<string>;
  /** All of them, newest first. */
  drafts(): Promise<{ channel: bigint; thread: number; text: string }[]>;
  /** Keeps what is typed and not sent, and tells the user's other devices when the writer pauses, or goes away from it (`isLeft`); an
   * empty text takes it away everywhere. */
  setDraft(channel: bigint, text: string, isLeft?: boolean, thread?: number): Promise<void>;

  /** Asks the control plane (docs/http.md) as this device, with a token that is renewed when it has ended. Rejects with an `AccountError`. */
  ask(method: Asked, path: string, body?: object): Promise<Record<string, unknown>>;
  /** Where the connection stands now, and what is kept. */
  status(): Promise<{ state: State; storage: Storage }>;
  /** Ends the device, here and on the server, and forgets all that is kept. */
  logout(): Promise<void>;
  /** Goes away; what is kept stays. */
  close(): Promise<void>;
}
