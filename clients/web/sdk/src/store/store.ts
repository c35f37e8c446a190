/**
 * What a device keeps between runs. One contract (test/store.test.ts), two stores: IndexedDB, and memory for where there
 * is none. A store is a cache of the server but for three things that are nowhere else: sends without an ack, drafts, and
 * the tokens.
 */
import type { Login } from "../dial/account.js";
import type { Cursor } from "../session/clock.js";
import type { ChannelItem } from "../generated.js";
import type { Message } from "../session/event.js";

/** A send that is not stored by the server, in the order in which they were made. */
export interface KeptSend {
  sendId: bigint;
  /** The whole frame: what is sent again is the same bytes. */
  frame: Uint8Array;
  /** Refused for good: it waits for a person. */
  failed?: { code: string; text: string };
}

/** What is typed in a channel and not sent. */
export interface KeptDraft {
  channel: bigint;
  /** The seq with which a thread begins; 0, or none as earlier versions of this SDK kept it, for the channel itself. */
  thread?: number;
  text: string;
  /** When it was written, by the server's clock. An earlier version of this SDK did not keep what stands from here on. */
  timeMs?: number;
  /** The server was told exactly this; and whether it has a draft of the channel, be it another one. */
  isSaid?: boolean;
  isThere?: boolean;
}

/** What a run begins with. */
export interface Kept {
  login: Login | undefined;
  cursor: Cursor;
  sends: KeptSend[];
  channels: ChannelItem[];
  drafts: KeptDraft[];
}

/** What is written at once, or not at all: a cursor is never kept without the messages that it counts as taken. */
export interface Change {
  /** First: messages, channels and cursor are forgotten, for the inbox has a new life. */
  clear?: boolean;
  login?: Login;
  cursor?: Cursor;
  /** One that recalls another takes that from what is kept. */
  messages?: Message[];
  /** New ones, and ones that failed. */
  sends?: KeptSend[];
  /** Sends that are no more: they are stored, or given up. */
  settled?: bigint[];
  /** Each takes the place of what is kept of its channel. */
  channels?: ChannelItem[];
  /** Each takes the place of what is kept of its channel; an empty text takes it away. */
  drafts?: KeptDraft[];
}

/** Which messages of a channel: `after < seq < before`, the ones next to `before` if `newest`, else next to `after`. */
export interface Span {
  after?: number | undefined;
  before?: number | undefined;
  limit: number;
  newest: boolean;
}

/** A store of one device. Its calls are carried out in the order in which they were made. */
export interface Store {
  /** Whether what is kept is there after a restart. */
  readonly lasts: boolean;
  load(): Promise<Kept>;
  /** Rejects with {@link StoreFull} when there is no room; then nothing of the change is kept. */
  keep(change: Change): Promise<void>;
  /** Rising by seq. What was evicted, or never came, is missing without a word: the server has it. */
  messages(channel: bigint, span: Span): Promise<Message[]>;
  /** Forgets the oldest messages, so that at most this share of the bounds is left. */
  evict(share: number): Promise<void>;
  /** Forgets everything: the device was logged out. */
  erase(): Promise<void>;
  close(): void;
}

/** How much a store holds; above it the oldest messages of all channels go. */
export interface Bounds {
  messages: number;
  /** Of texts and names, as UTF-16 units. */
  chars: number;
}
export const BOUNDS: Bounds = { messages: 20_000, chars: 8 * 1024 * 1024 };
/** What eviction leaves, so that it is not needed with the next message again. */
export const EVICTED_SHARE = 0.9;

/** There is no room, although nothing above the bounds was kept. */
export class StoreFull extends Error {
  constructor(text: string) {
    super(text);
    this.name = "StoreFull";
  }
}

/** Whether a message may take back others. */
export const takesBack = ({ content }: Message): boolean => content.type === "recall" || content.type === "erased";

/** What stands in the place of a kept message from a recall on, when it is what that takes back: the text, or an edit of it; and from the
 * erasure of its sender on. */
export function recalledBy({ seq: by, sender: user, timeMs: recalledMs, content: recall }: Message, kept: Message): Message | undefined {
  const { seq, content } = kept;
  if (recall.type === "erased") {
    const ofEdit = content.type === "edited";
    if (kept.sender !== user || seq >= by || (content.type !== "text" && !ofEdit)) return undefined;
    return { ...kept, content: { type: "recalled", target: ofEdit ? content.target : seq, by, user, recalledMs, ofEdit } };
  }
  if (recall.type !== "recall") return undefined;
  const { target } = recall;
  const [isText, ofEdit] = [content.type === "text" && seq === target, content.type === "edited" && content.target === target];
  return isText || ofEdit ? { ...kept, content: { type: "recalled", target, by, user, recalledMs, ofEdit } } : undefined;
}

/** Whether a message has no place any more: what was recalled comes back with no page that is older than the recall. */
export const isOlder = (message: Message, kept: Message | undefined): boolean => kept?.content.type === "recalled" && message.content.type !== "recalled";

/** What a message counts against the bounds, besides itself. */
export function charsOf({ content }: Message): number {
  if (content.type === "text") return content.text.length;
  return content.type === "renamed" || content.type === "created" ? content.name.length : 0;
}
