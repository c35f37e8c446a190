/**
 * What people see of each other: how far the user's devices hold its channels is said to the server, and who types is told
 * to the app until it is over. The rules of clients/rust/src/session/marks.rs.
 */
import { Frame } from "../frame.js";
import { MarkDelivered, Typing } from "../generated.js";
import { isChannel } from "../ids.js";
import type { Event } from "./event.js";
import {
  CHANNELS_SEEN_MAX, DELIVERED_AGAIN_MS, DELIVERED_EVERY_MS, DELIVERED_WAIT_MS, TYPING_EVERY_MS, TYPING_EXPIRES_MS_MAX, TYPISTS_MAX,
} from "./limits.js";

/** The id of frames that nobody waits for: marked as a request's, and beyond all that a session makes. */
export const UNANSWERED = 0b11n << 62n;
const STOPPED = 0;
const TYPES = 1;

export class Marks {
  /** How far channels were delivered and it was not said yet, and since when anything is. */
  private readonly due = new Map<bigint, number>();
  private sinceMs: number | undefined;
  private readonly said = new Map<bigint, { seq: number; atMs: number }>();
  /** Where this user types, and when that was said last. */
  private readonly types = new Map<bigint, number>();
  private readonly typists = new Map<string, { channel: bigint; user: bigint; endsAtMs: number }>();

  constructor(private readonly events: Event[]) {}

  /** A message of somebody else is here that counts as unread. */
  delivered(nowMs: number, channel: bigint, seq: number): void {
    if (seq <= (this.said.get(channel)?.seq ?? 0)) return;
    this.due.set(channel, Math.max(seq, this.due.get(channel) ?? 0));
    this.sinceMs ??= nowMs;
  }

  /** What is read was delivered, and need not be said. */
  read(nowMs: number, channel: bigint, seq: number): void {
    const due = this.due.get(channel);
    if (due === undefined || due > seq) return;
    this.noteSaid(nowMs, channel, due);
  }

  private noteSaid(nowMs: number, channel: bigint, seq: number): void {
    this.due.delete(channel);
    if (this.due.size === 0) this.sinceMs = undefined;
    // What is forgotten is said once more, which changes nothing.
    if (this.said.size >= CHANNELS_SEEN_MAX && !this.said.has(channel)) this.said.clear();
    this.said.set(channel, { seq: Math.max(seq, this.said.get(channel)?.seq ?? 0), atMs: nowMs });
  }

  /** When the next one is said: a while after the message, and not too often of one channel. */
  readyAt(): number | undefined {
    if (this.sinceMs === undefined) return undefined;
    const waits = this.sinceMs + DELIVERED_WAIT_MS;
    return Math.min(...[...this.due.keys()].map((channel) => Math.max(this.againAt(channel), waits)));
  }

  private againAt(channel: bigint): number {
    const said = this.said.get(channel);
    return said ? said.atMs + DELIVERED_EVERY_MS : 0;
  }

  /** The next one that may be said. */
  next(nowMs: number): Frame | undefined {
    if (this.sinceMs === undefined || nowMs < this.sinceMs + DELIVERED_WAIT_MS) return undefined;
    for (const [channel, seq] of this.due) {
      if (nowMs < this.againAt(channel)) continue;
      this.noteSaid(nowMs, channel, seq);
      return Frame.of(MarkDelivered, UNANSWERED, { channel, seq });
    }
    return undefined;
  }

  /** The inbox has another life: what was said of channels is in doubt. */
  forget(): void {
    this.due.clear();
    this.said.clear();
    this.sinceMs = undefined;
  }

  /** What was said lately may be lost, here or with the server, and is said again. */
  doubt(nowMs: number): void {
    for (const [channel, { seq, atMs }] of [...this.said]) {
      if (nowMs >= atMs + DELIVERED_AGAIN_MS) continue;
      this.said.delete(channel);
      this.delivered(nowMs, channel, seq);
    }
  }

  /** The connection is gone. */
  down(nowMs: number): void {
    this.doubt(nowMs);
    this.types.clear();
    for (const { channel, user } of [...this.typists.values()]) this.stops(channel, user);
  }

  /** What to say of this user's typing: nothing when it was said a moment ago. */
  typing(nowMs: number, channel: bigint, types: boolean): Frame | undefined {
    const said = this.types.get(channel);
    if (!isChannel(channel) || (types ? said !== undefined && nowMs < said + TYPING_EVERY_MS : said === undefined)) return undefined;
    if (this.types.size >= TYPISTS_MAX) this.types.clear();
    if (types) this.types.set(channel, nowMs);
    else this.types.delete(channel);
    return Frame.of(Typing, UNANSWERED, { channel, user: 0n, expiresMs: 0, state: types ? TYPES : STOPPED });
  }

  /** The user has sent something: that says by itself that it types no more. */
  sent(channel: bigint): void {
    this.types.delete(channel);
  }

  /** Somebody types, or stopped. */
  take(nowMs: number, { channel, user, expiresMs, state }: Typing): void {
    if (state !== TYPES) return this.stops(channel, user);
    const name = `${channel}/${user}`;
    const isNew = !this.typists.has(name);
    if (isNew && this.typists.size >= TYPISTS_MAX) return;
    this.typists.set(name, { channel, user, endsAtMs: nowMs + Math.min(expiresMs, TYPING_EXPIRES_MS_MAX) });
    if (isNew) this.events.push({ type: "typing", channel, user, types: true });
  }

  stops(channel: bigint, user: bigint): void {
    if (this.typists.delete(`${channel}/${user}`)) this.events.push({ type: "typing", channel, user, types: false });
  }

  /** When somebody types no more. */
  endsAt(): number | undefined {
    return this.typists.size > 0 ? Math.min(...[...this.typists.values()].map(({ endsAtMs }) => endsAtMs)) : undefined;
  }

  tick(nowMs: number): void {
    for (const { channel, user, endsAtMs } of [...this.typists.values()]) if (endsAtMs <= nowMs) this.stops(channel, user);
  }
}
