/**
 * The device side of the protocol as a pure state machine: no I/O, no clock, no randomness but the seed. It follows the
 * rules of the Rust session (clients/rust/src/session), and tests replay what that one did, input by input.
 *
 * One {@link Session} is one device for as long as the app runs; connections come and go under it. Its user
 * 1. dials, and calls `connected` when frames can be written, or `disconnected` when they cannot;
 * 2. calls `receive` for every whole frame, in order;
 * 3. calls `tick` when `nextDeadline` is due, as often as it likes otherwise;
 * 4. after each of these, and after each command, drains `pollEvent` and writes all that `pollTransmit` gives, in order;
 * 5. on `dead` closes the connection and calls `disconnected`; on `reconnect` dials.
 *
 * Times are whole milliseconds of one clock that never steps back; its zero is arbitrary. Commands throw {@link Refusal}.
 */
import type { Root } from "../codec.js";
import { Frame } from "../frame.js";
import {
  AddMembers, CreateGroup, EditText, GetAbout, GetChannels, GetChannelsV2, GetHistory, GetHistoryV2, GetMembers, GetMentions, GetNotes, GetOwnPresence,
  GetPresence, GetReceipts, GetThread, GROUP_MEMBERS_MAX, InviteMembers, JoinGroup, LeaveGroup, LIST_ITEMS_MAX, MarkRead, MENTIONS_MAX, MENTIONS_PAGE_MAX,
  PAGE_MESSAGES_MAX, Pin, React, Recall, Reauth, RemoveMember, RenameGroup, SendText, SendTextV2, SetDraft, SetPrefs, SetPresence, SetRole,
  TOKEN_BYTES_MAX, U53_MAX, Unwatch,
  Watch,
} from "../generated.js";
import { groupChannel, ownChannel } from "../ids.js";
import { Answers } from "./answers.js";
import {
  checkChannel, checkCount, checkEmoji, checkFirst, checkGroup, checkName, checkNamed, checkPosition, checkPresence, checkRole, checkTarget, checkText, checkUser,
  checkUsers, Refusal, risingUsers,
} from "./check.js";
import { MENTIONS_ALL, MENTIONS_ONLINE, type Prefs, readContent, type Talk } from "./event.js";
import { BUSY_RETRY_MS, DRAFTS_PAGE, LOOKED_AT_MAX, PENDING_MAX, REQUESTS_WAITING_MAX, WATCHED_MAX } from "./limits.js";

/** Which window of a channel's history: messages with `after < seq < before`. */
export interface Window {
  after?: number | undefined;
  before?: number | undefined;
  /** 1 to 200, from the upper end when `newest`, else from the lower. */
  limit?: number | undefined;
  newest?: boolean | undefined;
}

/** Which part of the list of channels. */
export interface ListWindow {
  order?: 0 | 1 | 2 | undefined;
  generation?: number | undefined;
  at?: number | undefined;
  after?: bigint | undefined;
  limit?: number | undefined;
}

export class Session extends Answers {
  /** Sends text of 1 to 100,000 characters. `sendId`: a number of the app's own, else one is drawn. */
  sendText(channel: bigint, text: string, sendId?: bigint): bigint {
    return this.send(SendText, { channel, text }, sendId, () => {
      checkChannel(channel);
      checkText(text);
    });
  }

  /** Sends text as {@link sendText} does, and says what it is about. */
  sendTalk(channel: bigint, text: string, talk: Talk = {}, sendId?: bigint): bigint {
    const { replyTo = 0, thread = 0, forwardedFrom = 0n, all = false, online = false } = talk;
    const mentions = risingUsers(talk.mentions ?? []);
    const mentionFlags = (all ? MENTIONS_ALL : 0) | (online ? MENTIONS_ONLINE : 0);
    return this.send(SendTextV2, { replyTo, thread, forwardedFrom, mentions, mentionFlags, channel, text }, sendId, () => {
      checkChannel(channel);
      checkText(text);
      checkPosition("reply_to", replyTo);
      checkPosition("thread", thread);
      checkUsers(mentions, 0, MENTIONS_MAX);
    });
  }

  /** One of the user's own texts reads like this from here on. What it answers and whom it mentions stays. */
  edit(channel: bigint, target: number, text: string, sendId?: bigint): bigint {
    return this.send(EditText, { channel, target, text }, sendId, () => {
      checkChannel(channel);
      checkTarget(target);
      checkText(text);
    });
  }

  /** Takes a text back for everybody: an own one, or as an owner or admin of its group. Once more is no fault. */
  recall(channel: bigint, target: number, sendId?: bigint): bigint {
    return this.send(Recall, { channel, target }, sendId, () => {
      checkChannel(channel);
      checkTarget(target);
    });
  }

  /** Reacts to a text with an emoji, or takes that back. */
  react(channel: bigint, target: number, emoji: string, on: boolean, sendId?: bigint): bigint {
    return this.send(React, { channel, target, emoji, on }, sendId, () => {
      checkChannel(channel);
      checkTarget(target);
      checkEmoji(emoji);
    });
  }

  /** Pins a text in its channel, or takes it down. */
  pin(channel: bigint, target: number, on: boolean, sendId?: bigint): bigint {
    return this.send(Pin, { channel, target, on }, sendId, () => {
      checkChannel(channel);
      checkTarget(target);
    });
  }

  /** Says all of how a channel is to be shown and told of: a note in the user's own channel. */
  setPrefs(about: bigint, prefs: Prefs, sendId?: bigint): bigint {
    return this.send(SetPrefs, { channel: ownChannel(this.config.user), about, ...prefs }, sendId, () => checkChannel(about));
  }

  /** Says what the user is writing in a channel, for its other devices: a note in its own channel. Empty: nothing any more. */
  setDraft(about: bigint, text: string, sendId?: bigint): bigint {
    return this.send(SetDraft, { channel: ownChannel(this.config.user), about, thread: 0, text }, sendId, () => {
      checkChannel(about);
      if (text !== "") checkText(text);
    });
  }

  /** Creates a group with the user as owner; its channel is known at once. Order and repeats in `members` do not matter,
   * and the user may be among them. */
  createGroup(name: string, members: readonly bigint[], sendId = this.newSendId()): { sendId: bigint; channel: bigint } {
    const channel = groupChannel(this.config.user, sendId);
    const others = risingUsers(members).filter((user) => user !== this.config.user);
    this.send(CreateGroup, { channel, name, members: others }, sendId, () => {
      checkName(name);
      checkUsers(others, 0, GROUP_MEMBERS_MAX - 1);
    });
    return { sendId, channel };
  }

  addMembers(channel: bigint, members: readonly bigint[], sendId?: bigint): bigint {
    return this.sendNamed(AddMembers, channel, members, sendId);
  }

  /** Asks users whether they join a group: those who are not added unasked, and those who left it. */
  inviteMembers(channel: bigint, members: readonly bigint[], sendId?: bigint): bigint {
    return this.sendNamed(InviteMembers, channel, members, sendId);
  }

  private sendNamed(type: typeof AddMembers, channel: bigint, named: readonly bigint[], sendId?: bigint): bigint {
    const members = risingUsers(named);
    return this.send(type, { channel, members }, sendId, () => {
      checkGroup(channel);
      checkUsers(members, 1, GROUP_MEMBERS_MAX);
    });
  }

  /** Joins a group to which this user was invited. */
  join(channel: bigint, sendId?: bigint): bigint {
    return this.send(JoinGroup, { channel }, sendId, () => checkGroup(channel));
  }

  leave(channel: bigint, sendId?: bigint): bigint {
    return this.send(LeaveGroup, { channel }, sendId, () => checkGroup(channel));
  }

  removeMember(channel: bigint, member: bigint, sendId?: bigint): bigint {
    return this.send(RemoveMember, { channel, member }, sendId, () => {
      checkGroup(channel);
      checkUser("member", member);
    });
  }

  rename(channel: bigint, name: string, sendId?: bigint): bigint {
    return this.send(RenameGroup, { channel, name }, sendId, () => {
      checkGroup(channel);
      checkName(name);
    });
  }

  /** 0 member, 1 admin, 2 owner. */
  setRole(channel: bigint, member: bigint, role: number, sendId?: bigint): bigint {
    return this.send(SetRole, { channel, member, role }, sendId, () => {
      checkGroup(channel);
      checkUser("member", member);
      checkRole(role);
    });
  }

  private send<T extends { channel: bigint }>(type: Root<T>, body: T, id: bigint | undefined, check: () => void): bigint {
    if (this.pending.length >= PENDING_MAX) {
      throw new Refusal("busy", "", `${PENDING_MAX} sends wait for their acks`, BUSY_RETRY_MS);
    }
    if (id === 0n) throw new Refusal("limit", "send_id", "0; a send id is 1 or more");
    const sendId = id ?? this.newSendId();
    check();
    const frame = Frame.of(type, sendId, body);
    const same = this.pending.find(sendId);
    if (!same) {
      this.pending.push(body.channel, frame);
      this.marks.sent(body.channel);
    }
    // The app repeats itself: one of them is enough.
    else if (!isSame(same.bytes, frame.bytes)) throw new Refusal("conflict", "send_id", "this send id is pending with other content");
    return sendId;
  }

  /** The whole frame of a send without an ack: what an app keeps of it. */
  pendingFrame(sendId: bigint): Uint8Array | undefined {
    return this.pending.find(sendId)?.bytes;
  }

  /** Sends a frame that an app has kept once more, under its old send id. */
  sendAgain(bytes: Uint8Array): void {
    const frame = Frame.kept(bytes);
    const said = frame && readContent(frame);
    if (said && !this.pending.find(frame.id)) this.pending.push(said.channel, frame);
  }

  /** Asks for a window of history: a `history` event, or `rejected`. */
  history(channel: bigint, { after = 0, before = U53_MAX, limit = PAGE_MESSAGES_MAX, newest = true }: Window = {}): bigint {
    return this.request(GetHistory, { channel, after, before, limit, newest }, () => {
      checkChannel(channel);
      checkPosition("after", after);
      checkPosition("before", before);
      checkCount(limit, PAGE_MESSAGES_MAX);
    });
  }

  /** Asks for a window around a place: a `history` event with a `pivot`. `around`: 1 a seq, 2 a time, 3 the first unread. */
  historyAround(channel: bigint, around: 1 | 2 | 3, at = 0, limit = PAGE_MESSAGES_MAX): bigint {
    return this.request(GetHistoryV2, { channel, around, at, after: 0, before: U53_MAX, limit, newest: false }, () => {
      checkChannel(channel);
      checkPosition("at", at);
      checkCount(limit, PAGE_MESSAGES_MAX);
    });
  }

  /** Asks for the messages of a thread, as {@link history} does for a channel's: a `thread` event. */
  thread(channel: bigint, root: number, { after = 0, before = U53_MAX, limit = PAGE_MESSAGES_MAX, newest = true }: Window = {}): bigint {
    return this.request(GetThread, { channel, root, after, before, limit, newest }, () => {
      checkChannel(channel);
      checkPosition("root", root);
      checkCount(limit, PAGE_MESSAGES_MAX);
    });
  }

  /** Asks what is said about messages of a channel: a `said` event. With `who` it names who reacts, and not how texts read. */
  about(channel: bigint, from: number, through = U53_MAX, who = false, limit = PAGE_MESSAGES_MAX): bigint {
    return this.request(GetAbout, { channel, from, through, limit, who }, () => {
      checkChannel(channel);
      checkPosition("through", through);
      checkFirst(from, through);
      checkCount(limit, PAGE_MESSAGES_MAX);
    });
  }

  /** Asks for mentions of the user below `before`, newest first: a `mentions` event. */
  mentions(before = U53_MAX, limit = MENTIONS_PAGE_MAX): bigint {
    return this.request(GetMentions, { before, limit }, () => checkCount(limit, MENTIONS_PAGE_MAX));
  }

  /** Asks for drafts of the user behind that one of the page before: a `notes` event. */
  notedDrafts(after?: { about: bigint; thread: number }, limit = DRAFTS_PAGE): bigint {
    const [afterAbout, behind] = [after?.about ?? 0n, after?.thread ?? 0];
    return this.request(GetNotes, { about: 0n, afterAbout, after: behind, what: 0, limit }, () => checkCount(limit, LIST_ITEMS_MAX));
  }

  /** Asks how far members have read and received: a `receipts` event. */
  receipts(channel: bigint, after = 0n, limit = LIST_ITEMS_MAX): bigint {
    return this.request(GetReceipts, { channel, after, limit }, () => {
      checkChannel(channel);
      checkCount(limit, LIST_ITEMS_MAX);
    });
  }

  /** Asks for the user's channels with what a list shows of them: a `list` event. `order`: 0 by id behind `after`, 1 the newest
   * first, 2 what changed behind `at`. */
  list({ order = 0, generation = 0, at = 0, after = 0n, limit = LIST_ITEMS_MAX }: ListWindow = {}): bigint {
    return this.request(GetChannelsV2, { order, generation, at, after, limit }, () => checkCount(limit, LIST_ITEMS_MAX));
  }

  /** Says that the user types in a channel, or stopped. Say so with each key if you like: what would be too often goes no further,
   * and without a connection nothing does. */
  typing(nowMs: number, channel: bigint, types: boolean): void {
    this.nowMs = Math.max(this.nowMs, nowMs);
    const frame = this.state_ === "live" && !this.isGoingAway ? this.marks.typing(this.nowMs, channel, types) : undefined;
    if (frame) this.control.push(frame);
  }

  /** Asks for up to `limit` (1 to 500) members with a larger id than `after`. */
  members(channel: bigint, after = 0n, limit = LIST_ITEMS_MAX): bigint {
    return this.request(GetMembers, { channel, after, limit }, () => {
      checkChannel(channel);
      checkCount(limit, LIST_ITEMS_MAX);
    });
  }

  /** Asks for up to `limit` (1 to 500) of the user's channels with a larger id than `after`. */
  channels(after = 0n, limit = LIST_ITEMS_MAX): bigint {
    return this.request(GetChannels, { after, limit }, () => checkCount(limit, LIST_ITEMS_MAX));
  }

  /** Says that the user has read the channel up to and with `seq`: a `done` event. */
  markRead(channel: bigint, seq: number): bigint {
    const id = this.request(MarkRead, { channel, seq }, () => {
      checkChannel(channel);
      checkPosition("seq", seq);
    });
    this.marks.read(this.nowMs, channel, seq);
    return id;
  }

  /** Shows these users from now on, on this connection and every later one: a `presence` event of each, and of every change. */
  watch(users: readonly bigint[]): void {
    const fresh = this.presences.toWatch(users);
    if (fresh.length === 0) return;
    checkNamed(fresh, WATCHED_MAX);
    if (this.tellsPresence()) this.request(Watch, { users: fresh }, () => {});
    this.presences.watch(fresh);
  }

  /** Shows these users no more. */
  unwatch(users: readonly bigint[]): void {
    const known = this.presences.toUnwatch(users);
    if (known.length > 0 && this.tellsPresence()) this.request(Unwatch, { users: known }, () => {});
    this.presences.unwatch(known);
  }

  /** Asks once, of up to 100 users: a `presence` event with all of them. */
  presence(named: readonly bigint[]): bigint {
    const users = [...new Set(named)].sort((a, b) => (a < b ? -1 : 1));
    const id = this.request(GetPresence, { users }, () => checkNamed(users, LOOKED_AT_MAX));
    this.presences.look(id, users);
    return id;
  }

  /** Says what the user shows from now on (0 activity, 1 away, 2 do not disturb, 3 invisible), and a status that ends then, 0 for
   * never: a `done` event. */
  setPresence(shows: number, status = "", statusUntilMs = 0): bigint {
    return this.request(SetPresence, { shows, status, statusUntilMs }, () => checkPresence(shows, status, statusUntilMs));
  }

  /** Asks what the user shows, and for its devices: an `ownPresence` event. */
  ownPresence(): bigint {
    return this.request(GetOwnPresence, { device: 0n }, () => {});
  }

  /** Nobody is at the device, or somebody is again. Say so as often as you like. */
  idle(isIdle: boolean): void {
    const frame = this.presences.idle(isIdle);
    if (frame && this.tellsPresence()) this.control.push(frame);
  }

  private tellsPresence(): boolean {
    return this.presences.mayAsk && this.isWelcomed();
  }

  private request<T>(type: Root<T>, body: T, check: () => void): bigint {
    if (this.requests.length >= REQUESTS_WAITING_MAX) {
      throw new Refusal("busy", "", `${REQUESTS_WAITING_MAX} requests wait for their answers`, BUSY_RETRY_MS);
    }
    const id = this.newRequestId();
    check();
    this.requests.push(Frame.of(type, id, body));
    return id;
  }

  /** Shows a fresh token that lasts `lifetimeMs` more. Without a connection there is nothing to do: the next `connected`
   * takes it. */
  reauth(token: string, lifetimeMs: number): void {
    if (!this.isWelcomed() || token.length > TOKEN_BYTES_MAX) return;
    const id = this.newRequestId();
    this.control.push(Frame.of(Reauth, id, { token }));
    this.reauthing = { id, lifetimeMs };
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, at) => byte === b[at]);
