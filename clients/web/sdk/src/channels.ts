/** The channels of a user as they are known here: what the server listed, and what happened since. */
import { type ChannelItem, type HeadItem, Kind, type ReceiptItem } from "./generated.js";
import { isOwn, usersOf } from "./ids.js";
import type { ChannelInfo, Message, Prefs } from "./session/event.js";

/** Characters of the newest text that are shown in a list, as the server has them. */
const PREVIEW_CHARS = 100;

const EMPTY: Omit<ChannelInfo, "channel"> = {
  head: 0, read: 0, unread: 0, member: true, name: "", mentions: 0, lastSeq: 0, lastSender: 0n, lastMs: 0, lastKind: 0, mutedUntilMs: 0,
  pinned: 0, notify: 0, markedUnread: false, archived: false, hasDraft: false, text: "",
};

/** What is said about other messages, and notes of the user to its own devices. */
const UNSHOWN = ["edited", "reacted", "pinned", "recall", "prefs", "draft", "hidden"];
/** Whether a message is something to show in its place. */
export const isShown = ({ content }: Pick<Message, "content">): boolean =>
  !UNSHOWN.includes(content.type) && !(content.type === "recalled" && content.ofEdit);

/** The newest message that there is to read: what is said about others stands above it and is none. */
const lastOf = ({ lastSeq, head }: ChannelInfo): number => lastSeq || head;

export class Channels {
  private readonly items: Map<bigint, ChannelInfo>;
  /** Large channels, also those that are not listed yet. */
  private readonly large = new Set<bigint>();
  /** Large channels of which something was said that nobody told here: what a list shows of them is to be asked for. */
  private readonly behind = new Set<bigint>();

  /** An earlier version of this SDK kept less of a channel. */
  constructor(private readonly user: bigint, kept: ChannelItem[]) {
    this.items = new Map(kept.map((item) => [item.channel, { ...EMPTY, ...item }]));
  }

  get(channel: bigint): ChannelInfo | undefined {
    return this.items.get(channel);
  }

  all(): ChannelInfo[] {
    return [...this.items.values()].sort((a, b) => (a.channel < b.channel ? -1 : 1));
  }

  clear(): void {
    this.items.clear();
    this.behind.clear();
  }

  /** How far large channels have come that this device follows: the channels that look different now. */
  heads(items: HeadItem[]): ChannelInfo[] {
    for (const { channel } of items) this.large.add(channel);
    return items.flatMap(({ channel, head }) => {
      const known = this.items.get(channel);
      if (known && known.head < head) this.behind.add(channel);
      return known && !known.large ? [this.set({ ...known, large: true })] : [];
    });
  }

  /** One of those whose row misses something, until the server has listed it again. */
  nextBehind(): bigint | undefined {
    const [channel] = this.behind;
    return channel;
  }

  /** It cannot be asked for now. */
  forgetBehind(channel: bigint): void {
    this.behind.delete(channel);
  }

  /** What the server listed. What happened here since it was asked is newer and stays. */
  put(listed: ChannelInfo[]): ChannelInfo[] {
    return listed.map((item) => {
      const here = this.items.get(item.channel);
      this.behind.delete(item.channel);
      const isNewer = here !== undefined && here.head > item.head;
      const merged = isNewer ? { ...here, member: item.member, name: item.name || here.name } : { ...item, read: Math.max(item.read, here?.read ?? 0) };
      return this.set(merged.read >= lastOf(merged) ? { ...merged, unread: 0, mentions: 0 } : merged);
    });
  }

  private set(listed: ChannelInfo): ChannelInfo {
    const isLarge = this.large.has(listed.channel) || this.items.get(listed.channel)?.large === true;
    const item = isLarge && !listed.large ? { ...listed, large: true } : listed;
    this.items.set(item.channel, item);
    return item;
  }

  private at(channel: bigint): ChannelInfo {
    return this.items.get(channel) ?? { ...EMPTY, channel };
  }

  /** A message came, or an own one was stored: the channels that look different now. */
  message(message: Message): ChannelInfo[] {
    const { channel, seq, timeMs, sender, content } = message;
    const before = this.at(channel);
    if (content.type === "grown") this.large.add(channel);
    if (seq <= before.head) return [];
    // Of what lies between it is known that it was said, not what.
    if (before.large && before.head > 0 && seq > before.head + 1) this.behind.add(channel);
    if (content.type === "prefs") {
      const { type: _, about, ...prefs } = content;
      return [this.set({ ...before, head: seq }), this.prefs(about, prefs)];
    }
    // What was said last is said no more.
    const isGone = content.type === "recall" && content.target === before.lastSeq;
    if (!isShown(message)) return [this.set({ ...before, head: seq, ...(isGone && { text: "", lastKind: Kind.RECALLED }) })];
    const isMine = sender === this.user;
    const counts = content.type === "text" && !isMine && !isOwn(channel);
    const isMeant = content.type === "text" && (content.all || content.mentions?.includes(this.user) === true);
    const name = content.type === "created" || content.type === "renamed" ? content.name : before.name;
    const text = content.type === "text" ? [...content.text.slice(0, 2 * PREVIEW_CHARS)].slice(0, PREVIEW_CHARS).join("") : "";
    return [this.set({
      ...before, head: seq, name, text, lastSeq: seq, lastSender: sender, lastMs: timeMs, lastKind: kindOf(content.type),
      unread: before.unread + (counts ? 1 : 0), mentions: before.mentions + (counts && isMeant ? 1 : 0), member: this.isMember(before.member, message),
    })];
  }

  private isMember(before: boolean, { sender, content }: Message): boolean {
    const isMine = sender === this.user;
    switch (content.type) {
      case "left": return isMine ? false : before;
      case "removed": case "banned": return content.user === this.user ? false : before;
      case "joined": return isMine || before;
      case "added": return content.users.includes(this.user) || before;
      case "invited": return content.users.includes(this.user) ? false : before;
      default: return before;
    }
  }

  /** Whether the server has to be asked about a channel: what a message says of it is not all. */
  isStrange({ channel, content }: Message): boolean {
    const known = this.items.get(channel);
    const isGroup = usersOf(channel) === undefined;
    return isGroup && content.type !== "created" && (known === undefined || known.name === "");
  }

  prefs(about: bigint, prefs: Prefs): ChannelInfo {
    return this.set({ ...this.at(about), ...prefs });
  }

  /** The user has read a channel, here or on another device. */
  read(channel: bigint, seq: number): ChannelInfo[] {
    const item = this.items.get(channel);
    if (!item || seq <= item.read) return [];
    const unread = Math.min(item.unread, Math.max(lastOf(item) - seq, 0));
    return [this.set({ ...item, read: seq, unread, mentions: Math.min(item.mentions, unread) })];
  }

  receipts(channel: bigint, items: ReceiptItem[]): ChannelInfo[] {
    const own = items.find(({ user }) => user === this.user);
    return own ? this.read(channel, own.read) : [];
  }
}

const KINDS: Record<string, number> = {
  text: Kind.SEND_TEXT, created: Kind.CREATE_GROUP, added: Kind.ADD_MEMBERS, invited: Kind.INVITE_MEMBERS, joined: Kind.JOIN_GROUP, grown: Kind.GROW_GROUP,
  erased: Kind.ERASE, removed: Kind.REMOVE_MEMBER, left: Kind.LEAVE_GROUP, renamed: Kind.RENAME_GROUP, role: Kind.SET_ROLE, recalled: Kind.RECALLED,
  muted: Kind.MUTE_MEMBER, banned: Kind.BAN_MEMBER, unbanned: Kind.UNBAN_MEMBER, slowed: Kind.SET_SLOW,
};
const kindOf = (type: string): number => KINDS[type] ?? 0;
