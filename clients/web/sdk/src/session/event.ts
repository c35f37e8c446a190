/** What a session tells its app, and what a message says. */
import { type Frame, read } from "../frame.js";
import {
  type About as AboutPage, AddMembers, BanMember, type ChannelDetail, type ChannelItem, CreateGroup, type DraftItem, EditText, Erase, GrowGroup,
  type HeadItem, Hide, type HiddenItem, InviteMembers, JoinGroup, Kind, LeaveGroup, type MemberItem, type MentionItem, MuteMember,
  type OwnPresence, Pin, type PresenceItem, type Push, React, Recall, Recalled,
  type ReceiptItem, type Reject, RemoveMember, RenameGroup, SendText, SendTextV2, SetDraft, SetPrefs, SetRole, SetSlow, UnbanMember,
  type Welcome,
} from "../generated.js";

/** Bits of `mentionFlags`. */
export const [MENTIONS_ALL, MENTIONS_ONLINE] = [1, 2] as const;

/** What a text is about besides itself (docs/protocol.md, section 6). Absent: nothing. */
export interface Talk {
  /** The seq of the message that it answers. */
  replyTo?: number;
  /** The seq with which the thread begins that it stands in. */
  thread?: number;
  /** Users that it mentions by name. */
  mentions?: bigint[];
  /** All members are mentioned, or those who are connected. */
  all?: boolean;
  online?: boolean;
  /** Who is said to have written it first. */
  forwardedFrom?: bigint;
}

/** How a channel is to be shown to its user and told of: the app mutes, pins and archives. */
export interface Prefs {
  /** 0: not muted; 2^53 - 1: for ever. */
  mutedUntilMs: number;
  /** 0: not pinned; else its order. */
  pinned: number;
  markedUnread: boolean;
  /** Told of: 0 all, 1 mentions, 2 nothing. */
  notify: number;
  archived: boolean;
}

/** What a message says. */
export type Content =
  | ({ type: "text"; text: string } & Talk)
  | { type: "created"; name: string; members: bigint[] }
  | { type: "added"; users: bigint[] }
  /** Users may join; an invited one gets this message and until it joins none after it. */
  | { type: "invited"; users: bigint[] }
  | { type: "joined" }
  | { type: "grown" }
  /** The sender, who has no account any more, is erased: its texts before this message, edits of them and its reactions are gone. */
  | { type: "erased" }
  | { type: "removed"; user: bigint }
  | { type: "left" }
  | { type: "renamed"; name: string }
  /** 0 member, 1 admin, 2 owner. */
  | { type: "role"; member: bigint; role: number }
  /** A member may not send for so many seconds from here on; 0: it may again, 2^32 - 1: for ever. */
  | { type: "muted"; member: bigint; forS: number }
  /** A user is no member any more and cannot become one; or can again. */
  | { type: "banned"; user: bigint }
  | { type: "unbanned"; user: bigint }
  /** A plain member sends a text only so many seconds after its last; 0 for no wait. */
  | { type: "slowed"; intervalS: number }
  /** Said of a text that is there, `target`: it reads like this from here on; somebody reacts to it or does so no more; it is pinned
   * or taken down. */
  | { type: "edited"; target: number; text: string }
  | { type: "reacted"; target: number; emoji: string; on: boolean }
  | { type: "pinned"; target: number; on: boolean }
  /** The text `target` is taken back for everybody: what it and its edits said is shown no more, and kept nowhere. */
  | { type: "recall"; target: number }
  /** What stands in the place of a recalled text, or of an edit of one (`ofEdit`: nothing to show): recalled by the message `by` of `user`;
   * both are 0 when the server keeps it no longer, and so is the sender then. */
  | { type: "recalled"; target: number; by: number; user: bigint; recalledMs: number; ofEdit: boolean }
  /** Notes of the user about a channel, in its own channel: no messages to show. */
  | ({ type: "prefs"; about: bigint } & Prefs)
  | { type: "draft"; about: bigint; thread: number; text: string }
  | { type: "hidden"; about: bigint; from: number; through: number }
  /** A kind, or a body, that this version cannot read: show a placeholder. Only in pages of history, for such a message does
   * not say which channel it is for. */
  | { type: "unknown"; kind: number };

/** A message of a channel. */
export interface Message {
  channel: bigint;
  seq: number;
  /** Milliseconds since the Unix epoch, at the channel's home. */
  timeMs: number;
  sender: bigint;
  sendId: bigint;
  content: Content;
}

/** A window of a channel's history. */
export interface History {
  request: bigint;
  channel: bigint;
  /** The page tells all that may be read with `from <= seq <= to`; both 0 when nothing is in the window. */
  from: number;
  to: number;
  /** The newest seq that may be read. */
  head: number;
  /** Whether the window holds more in the direction asked for. */
  more: boolean;
  /** Of a window around a place: the seq of the place, above `head` when nothing is there; and whether there is more on either side. */
  pivot?: number;
  moreBefore?: boolean;
  moreAfter?: boolean;
  /** Rising by seq. */
  messages: Message[];
}

/** A channel as the list of channels shows it. */
export interface ChannelInfo extends ChannelItem, ChannelDetail {
  /** A large channel: receipts and typing of others are not told, members come in pages. Kept here; the server says so by HEADS. */
  large?: boolean;
}

/** A page of that list: as of `through` of the inbox's life `generation`; the next one is asked for with `next`. */
export interface ChannelPage {
  request: bigint;
  generation: number;
  through: number;
  next: number;
  needsSnapshot: boolean;
  items: ChannelInfo[];
  more: boolean;
}

/** A page of a thread, as of history. */
export interface ThreadPage {
  request: bigint;
  channel: bigint;
  root: number;
  from: number;
  to: number;
  total: number;
  newest: number;
  more: boolean;
  messages: Message[];
}

/** What now holds of the messages `from ..= to` of a channel, and what is pinned in it; both 0 when none of them may be read. On with
 * `from: to + 1` while there is more. */
export type Said = AboutPage;

/** What a refusal is about. */
export type About = { type: "send" | "request" | "other"; id: bigint };

/** One thing that happened. Nothing needs an answer but `dead` and `reconnect`, which are for who holds the connection. */
export type Event =
  /** The server knows the device. What was missed follows, then what was pending is sent again. */
  | { type: "connected"; welcome: Welcome }
  /** The inbox has another life than the cursor, or the device is new to an inbox that is not empty. What the app holds is
   * in doubt: it forgets it and reads anew. */
  | { type: "resync"; generation: number; at: number }
  /** All that was in the inbox at the Welcome is here; pending sends go out. */
  | { type: "live" }
  /** A message of somebody else or of another device of this user, once. */
  | { type: "message"; message: Message }
  /** An own send is on stable storage, found by its ack or by meeting the message itself. */
  | { type: "ack"; sendId: bigint; channel: bigint; seq: number; timeMs: number }
  /** Everything in this inbox range has been told; the cursor stands at `to`. */
  | { type: "complete"; from: number; to: number }
  | { type: "history"; history: History }
  | { type: "channels"; request: bigint; items: ChannelItem[]; more: boolean }
  | ({ type: "list" } & ChannelPage)
  | { type: "said"; request: bigint; said: Said }
  | { type: "thread"; thread: ThreadPage }
  | { type: "mentions"; request: bigint; items: MentionItem[]; unread: { channel: bigint; unread: number }[]; more: boolean }
  | { type: "notes"; request: bigint; drafts: DraftItem[]; hidden: HiddenItem[]; more: boolean }
  /** How far members have read and received: asked for (`request`), or as it changes (0). */
  | { type: "receipts"; request: bigint; channel: bigint; items: ReceiptItem[]; more: boolean }
  /** What users show: of those who are watched, whenever it changes (`request` 0); of those who were asked for, once. */
  | { type: "presence"; request: bigint; items: PresenceItem[] }
  /** What this user shows: asked for, or because another device changed it (`request` 0). */
  | { type: "ownPresence"; request: bigint; own: OwnPresence }
  /** Where this user's devices are told of what they miss. */
  | { type: "push"; request: bigint; push: Push }
  /**
   * Messages of these large channels behind these heads come from here on. What is not held of one up to its head is read from
   * the history; and so it is when a message of one comes whose seq is not the next.
   */
  | { type: "heads"; items: HeadItem[] }
  /** Somebody types in a channel, or does so no more. */
  | { type: "typing"; channel: bigint; user: bigint; types: boolean }
  /** `total`: how many there are. An old server does not say so. */
  | { type: "members"; request: bigint; channel: bigint; items: MemberItem[]; more: boolean; total?: number }
  /** A request with no other answer was carried out. */
  | { type: "done"; request: bigint }
  /** Refused for good. What the server asked to retry is retried silently. */
  | { type: "rejected"; about: About; reject: Reject }
  /** Hello was refused; the server closes. */
  | { type: "helloRejected"; reject: Reject }
  /** The server knows the device no more. Final: a person has to log in; pending sends are kept. */
  | { type: "loggedOut"; reject: Reject }
  /** The token ends soon (or has ended): get another and call `reauth`. */
  | { type: "tokenDue" }
  | { type: "reauthed" }
  /** The server will close; the pause it asked for is honoured. */
  | { type: "goingAway"; reconnectAfterMs: number; reason: number }
  /** The connection does not answer. Its holder closes it and calls `disconnected`. */
  | { type: "dead" }
  /** The connection is gone; `reconnect` comes at that time. */
  | { type: "disconnected"; retryAtMs: number }
  | { type: "reconnect" };

/** The channel and the content of a message or a send; undefined for what this version cannot read. */
export function readContent(frame: Frame): { channel: bigint; content: Content } | undefined {
  const as = <T extends { channel: bigint }>(body: T | undefined, content: (body: T) => Content) =>
    body && { channel: body.channel, content: content(body) };
  switch (frame.kind) {
    case Kind.SEND_TEXT: return as(read(SendTextV2, frame), talk) ?? as(read(SendText, frame), ({ text }) => ({ type: "text", text }));
    case Kind.EDIT_TEXT: return as(read(EditText, frame), ({ target, text }) => ({ type: "edited", target, text }));
    case Kind.RECALL: return as(read(Recall, frame), ({ target }) => ({ type: "recall", target }));
    case Kind.RECALLED: return as(read(Recalled, frame), ({ target, by, user, timeMs: recalledMs }) =>
      ({ type: "recalled", target, by, user, recalledMs, ofEdit: frame.stamp?.seq !== target }));
    case Kind.REACT: return as(read(React, frame), ({ target, emoji, on }) => ({ type: "reacted", target, emoji, on }));
    case Kind.PIN: return as(read(Pin, frame), ({ target, on }) => ({ type: "pinned", target, on }));
    case Kind.SET_PREFS: return as(read(SetPrefs, frame), ({ channel: _, ...prefs }) => ({ type: "prefs", ...prefs }));
    case Kind.SET_DRAFT: return as(read(SetDraft, frame), ({ channel: _, ...draft }) => ({ type: "draft", ...draft }));
    case Kind.HIDE: return as(read(Hide, frame), ({ about, seq: from, through }) => ({ type: "hidden", about, from, through }));
    case Kind.CREATE_GROUP: return as(read(CreateGroup, frame), ({ name, members }) => ({ type: "created", name, members }));
    case Kind.ADD_MEMBERS: return as(read(AddMembers, frame), ({ members: users }) => ({ type: "added", users }));
    case Kind.INVITE_MEMBERS: return as(read(InviteMembers, frame), ({ members: users }) => ({ type: "invited", users }));
    case Kind.JOIN_GROUP: return as(read(JoinGroup, frame), () => ({ type: "joined" }));
    case Kind.GROW_GROUP: return as(read(GrowGroup, frame), () => ({ type: "grown" }));
    case Kind.ERASE: return as(read(Erase, frame), () => ({ type: "erased" }));
    case Kind.REMOVE_MEMBER: return as(read(RemoveMember, frame), ({ member: user }) => ({ type: "removed", user }));
    case Kind.LEAVE_GROUP: return as(read(LeaveGroup, frame), () => ({ type: "left" }));
    case Kind.RENAME_GROUP: return as(read(RenameGroup, frame), ({ name }) => ({ type: "renamed", name }));
    case Kind.SET_ROLE: return as(read(SetRole, frame), ({ member, role }) => ({ type: "role", member, role }));
    case Kind.MUTE_MEMBER: return as(read(MuteMember, frame), ({ member, forS }) => ({ type: "muted", member, forS }));
    case Kind.BAN_MEMBER: return as(read(BanMember, frame), ({ member: user }) => ({ type: "banned", user }));
    case Kind.UNBAN_MEMBER: return as(read(UnbanMember, frame), ({ member: user }) => ({ type: "unbanned", user }));
    case Kind.SET_SLOW: return as(read(SetSlow, frame), ({ intervalS }) => ({ type: "slowed", intervalS }));
    default: return undefined;
  }
}

function talk({ text, replyTo, thread, mentions, mentionFlags: flags, forwardedFrom }: SendTextV2): Content {
  return {
    type: "text", text, ...(replyTo && { replyTo }), ...(thread && { thread }), ...(mentions.length > 0 && { mentions }),
    ...(flags & MENTIONS_ALL && { all: true }), ...(flags & MENTIONS_ONLINE && { online: true }), ...(forwardedFrom && { forwardedFrom }),
  };
}

/** A stamped frame as a message; undefined for what this version cannot read. */
export function readMessage(frame: Frame): Message | undefined {
  const stamp = frame.stamp;
  const said = stamp && readContent(frame);
  return said && { ...said, ...stamp, sendId: frame.id };
}
