/**
 * How fast frames are written: a token bucket as the server keeps one for this session, from what WELCOME says, and a
 * little emptier than the server's. So a device that keeps to it meets no refusal `rate`, unless other devices of the
 * same user send at the same time; such a refusal empties the bucket and halves the pace for a while.
 */
import { type Frame, read } from "../frame.js";
import {
  AddMembers, CreateGroup, GetAbout, GetChannels, GetChannelsV2, GetHistory, GetMembers, GetMentions, GetNotes, GetPresence, GetReceipts,
  GetThread, GROUP_MEMBERS_MAX, InviteMembers, Kind, LIST_ITEMS_MAX, MENTIONS_MAX, MENTIONS_PAGE_MAX, PAGE_MESSAGES_MAX, SendTextV2, Watch,
} from "../generated.js";
import {
  DRAFT_TOKENS, HALVED_MAX, HALVED_MS, LOOKED_AT_MAX, ORDERED_LIST_TOKENS, PACE_PERCENT, REFUSALS_APART_MS, SUBSCRIBE_TOKENS, TOKEN_BYTES, TOKEN_LOOKS,
  TOKEN_PAGE_ITEMS, TOKENS_BURST_DEFAULT, TOKENS_BURST_PERCENT, TOKENS_PER_S_DEFAULT, TURN_TOKENS, WATCHED_MAX,
} from "./limits.js";

/** Parts of a token: with them a millisecond's share at PACE_PERCENT of any rate is a whole number. */
const PARTS = 100_000;
const U32_MAX = 2 ** 32 - 1;

/** A frame that waits, with what it costs beyond its bytes: itself, the members it names, the items it asks for. */
export interface Priced {
  frame: Frame;
  work: number;
}

export const priced = (frame: Frame): Priced => ({ frame, work: 1 + named(frame) });

function named(frame: Frame): number {
  const page = (limit: number | undefined, most: number) => Math.ceil(Math.min(limit ?? 0, most) / TOKEN_PAGE_ITEMS);
  const looks = (users: bigint[] | undefined, most: number) => Math.ceil(Math.min(users?.length ?? 0, most) / TOKEN_LOOKS);
  const users = (body: { members: bigint[] } | undefined) => Math.min(body?.members.length ?? 0, GROUP_MEMBERS_MAX);
  switch (frame.kind) {
    case Kind.GET_HISTORY: return page(read(GetHistory, frame)?.limit, PAGE_MESSAGES_MAX);
    case Kind.GET_MEMBERS: return page(read(GetMembers, frame)?.limit, LIST_ITEMS_MAX);
    case Kind.GET_CHANNELS: {
      const ordered = (read(GetChannelsV2, frame)?.order ?? 0) > 0 ? ORDERED_LIST_TOKENS : 0;
      return page(read(GetChannels, frame)?.limit, LIST_ITEMS_MAX) + ordered;
    }
    case Kind.GET_RECEIPTS: return page(read(GetReceipts, frame)?.limit, LIST_ITEMS_MAX);
    case Kind.GET_NOTES: return page(read(GetNotes, frame)?.limit, LIST_ITEMS_MAX);
    case Kind.WATCH: return looks(read(Watch, frame)?.users, WATCHED_MAX);
    case Kind.GET_PRESENCE: return looks(read(GetPresence, frame)?.users, LOOKED_AT_MAX);
    case Kind.GET_ABOUT: return page(read(GetAbout, frame)?.limit, PAGE_MESSAGES_MAX);
    case Kind.GET_THREAD: return page(read(GetThread, frame)?.limit, PAGE_MESSAGES_MAX);
    case Kind.GET_MENTIONS: return page(read(GetMentions, frame)?.limit, MENTIONS_PAGE_MAX);
    case Kind.SET_DRAFT: return DRAFT_TOKENS;
    case Kind.SUBSCRIBE_PUSH: return SUBSCRIBE_TOKENS;
    case Kind.SEND_TEXT: {
      const said = read(SendTextV2, frame);
      return page((said?.mentionFlags ?? 0) > 0 ? MENTIONS_MAX : said?.mentions.length, MENTIONS_MAX);
    }
    case Kind.CREATE_GROUP: return users(read(CreateGroup, frame));
    case Kind.ADD_MEMBERS: return users(read(AddMembers, frame));
    case Kind.INVITE_MEMBERS: return users(read(InviteMembers, frame));
    default: return 0;
  }
}

export class Pace {
  /** In parts. Below 0 behind a frame that costs more than the burst, and behind frames that do not wait. */
  private level: number;
  /** How often the pace is halved, because others use a part of it. */
  private halved = 0;
  private halvedAtMs: number;
  /** Tokens that requests had more than sends, at most a turn either way. */
  private requestsLead = 0;
  private readonly perS: number;
  private readonly tokenBytes: number;
  private readonly full: number;

  /** A full bucket: the server begins one at each Hello. */
  constructor(private atMs: number, perS = TOKENS_PER_S_DEFAULT, burst = TOKENS_BURST_DEFAULT, tokenBytes = TOKEN_BYTES) {
    this.perS = Math.max(perS, 1);
    this.tokenBytes = Math.max(tokenBytes, 1);
    this.full = Math.max(Math.max(burst, 1) * (PARTS / 100) * TOKENS_BURST_PERCENT, PARTS);
    this.level = this.full;
    this.halvedAtMs = atMs;
  }

  /** For measuring servers only. */
  static unbounded(nowMs: number): Pace {
    return new Pace(nowMs, U32_MAX, U32_MAX, U32_MAX);
  }

  /** Tokens that a frame costs. */
  cost({ frame, work }: Priced): number {
    return Math.floor(frame.body.length / this.tokenBytes) + work;
  }

  /** Whether it is a request's turn when a request and a send both wait: neither starves the other. */
  isRequestsTurn(): boolean {
    return this.requestsLead <= 0;
  }

  /** When a frame of this cost may be written; not in the future when it may be now. */
  readyAt(nowMs: number, cost: number): number {
    // What costs more than the burst goes out when the bucket is full.
    const missing = Math.min(cost * PARTS, this.full) - this.levelAt(nowMs);
    return nowMs + Math.ceil(Math.max(missing, 0) / this.gainPerMs());
  }

  /** The same for a frame that nobody waits for: only the last quarter of the burst is for it, and nothing for a while after a refusal. */
  spareAt(nowMs: number, cost: number): number {
    const ready = this.readyAt(nowMs, cost + Math.floor((this.full / 4) * 3 / PARTS));
    return this.halved > 0 ? Math.max(ready, this.halvedAtMs + HALVED_MS) : ready;
  }

  /** A frame is written, whether the tokens are there or not. */
  charge(nowMs: number, cost: number): void {
    if (this.halved > 0 && nowMs >= this.halvedAtMs + HALVED_MS) {
      this.halved -= 1;
      this.halvedAtMs = nowMs;
    }
    this.level = this.levelAt(nowMs) - cost * PARTS;
    this.atMs = nowMs;
  }

  /** A frame that waited for its turn is written. */
  chargeTurn(nowMs: number, isRequest: boolean, cost: number): void {
    this.charge(nowMs, cost);
    const lead = this.requestsLead + (isRequest ? cost : -cost);
    this.requestsLead = Math.min(Math.max(lead, -TURN_TOKENS), TURN_TOKENS);
  }

  /** The server says that nothing is left. Many frames that were under way are refused for one reason. */
  refused(nowMs: number): void {
    this.level = Math.min(this.levelAt(nowMs), 0);
    this.atMs = nowMs;
    if (this.halved === 0 || nowMs >= this.halvedAtMs + REFUSALS_APART_MS) {
      this.halved = Math.min(this.halved + 1, HALVED_MAX);
      this.halvedAtMs = nowMs;
    }
  }

  private gainPerMs(): number {
    return Math.max(Math.floor((this.perS * PACE_PERCENT) / 2 ** this.halved), 1);
  }

  private levelAt(nowMs: number): number {
    return Math.min(this.level + Math.max(nowMs - this.atMs, 0) * this.gainPerMs(), this.full);
  }
}
