/** What a device asks, each answered by one event or by `rejected`. */
import type { Root } from "../codec.js";
import { Frame } from "../frame.js";
import {
  GetAbout, GetChannels, GetChannelsV2, GetHistory, GetHistoryV2, GetMembers, GetMentions, GetNotes, GetReceipts, GetThread, LIST_ITEMS_MAX, MarkRead,
  MENTIONS_PAGE_MAX, PAGE_MESSAGES_MAX, U53_MAX,
} from "../generated.js";
import { checkChannel, checkCount, checkFirst, checkPosition, Refusal } from "./check.js";
import { BUSY_RETRY_MS, DRAFTS_PAGE, REQUESTS_WAITING_MAX } from "./limits.js";
import { Says } from "./says.js";

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

export class Asks extends Says {
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

  protected request<T>(type: Root<T>, body: T, check: () => void): bigint {
    if (this.requests.length >= REQUESTS_WAITING_MAX) {
      throw new Refusal("busy", "", `${REQUESTS_WAITING_MAX} requests wait for their answers`, BUSY_RETRY_MS);
    }
    const id = this.newRequestId();
    check();
    this.requests.push(Frame.of(type, id, body));
    return id;
  }
}
