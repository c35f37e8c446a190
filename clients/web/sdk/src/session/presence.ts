/**
 * Who is there: whom the app wants to see, which every new connection is told again, and who was asked for once. The rules of
 * clients/rust/src/session/presence.rs.
 */
import { Frame } from "../frame.js";
import { Idle, Kind, type PresenceItem, type Welcome } from "../generated.js";
import { Refusal } from "./check.js";
import { WATCHED_MAX } from "./limits.js";
import { UNANSWERED } from "./marks.js";

const rising = (users: Iterable<bigint>): bigint[] => [...new Set(users)].sort((a, b) => (a < b ? -1 : 1));

export class Presences {
  private readonly watched = new Set<bigint>();
  /** Who was asked for once and not answered yet, and what was said of the others, by request. */
  private readonly looks = new Map<bigint, { awaited: Set<bigint>; items: Map<bigint, PresenceItem> }>();
  private isIdle = false;
  /** Whether this connection was told that; and whether it was refused, perhaps, and is to be said again. */
  private isIdleSaid = false;
  private isIdleDoubted_ = false;
  /** Whether the server of this connection knows what presence is. */
  private isKnown = false;

  /** Those who are not watched yet, when there is room for them. */
  toWatch(users: readonly bigint[]): bigint[] {
    const fresh = rising(users).filter((user) => !this.watched.has(user));
    if (this.watched.size + fresh.length > WATCHED_MAX) {
      throw new Refusal("limit", "users", `at most ${WATCHED_MAX} users are watched at a time`);
    }
    return fresh;
  }

  toUnwatch(users: readonly bigint[]): bigint[] {
    return rising(users).filter((user) => this.watched.has(user));
  }

  watch(users: readonly bigint[]): void {
    for (const user of users) this.watched.add(user);
  }

  unwatch(users: readonly bigint[]): void {
    for (const user of users) this.watched.delete(user);
  }

  get mayAsk(): boolean {
    return this.isKnown;
  }

  look(request: bigint, users: readonly bigint[]): void {
    this.looks.set(request, { awaited: new Set(users), items: new Map() });
  }

  /** What was said of those who were asked for, once it was said of all. */
  looked(request: bigint, items: readonly PresenceItem[]): PresenceItem[] | undefined {
    const look = this.looks.get(request);
    if (!look) return undefined;
    for (const item of items) {
      look.awaited.delete(item.user);
      look.items.set(item.user, item);
    }
    if (look.awaited.size > 0) return undefined;
    this.looks.delete(request);
    return [...look.items.values()];
  }

  /** A request was refused for good. */
  forgetLook(request: bigint): void {
    this.looks.delete(request);
  }

  /** Nobody is at the device, or somebody is again: the frame that says so. What is no news is not said. */
  idle(isIdle: boolean): Frame | undefined {
    if (this.isIdle === isIdle) return undefined;
    this.isIdle = isIdle;
    return this.idleFrame();
  }

  /** Something that nobody waits for was refused for now, and the refusal does not say what. */
  doubtIdle(): void {
    this.isIdleDoubted_ = this.isIdleSaid;
  }

  get isIdleDoubted(): boolean {
    return this.isIdleDoubted_;
  }

  /** The frame that says it again, if that is to be done. */
  idleAgain(): Frame | undefined {
    return this.isIdleDoubted_ ? this.said(this.idleFrame()) : undefined;
  }

  /** A frame of `idle` goes out. */
  said(frame: Frame): Frame {
    [this.isIdleSaid, this.isIdleDoubted_] = [true, false];
    return frame;
  }

  private idleFrame(): Frame {
    return Frame.of(Idle, UNANSWERED, { isIdle: this.isIdle });
  }

  /** A connection begins anew: the server knows nothing of what was watched. All of those, and what else is said. */
  begin({ kinds }: Welcome): { watched: bigint[]; idle: Frame | undefined } {
    [this.isIdleSaid, this.isIdleDoubted_] = [false, false];
    this.isKnown = kinds.some(({ kind }) => kind === Kind.WATCH);
    return { watched: this.isKnown ? rising(this.watched) : [], idle: this.isKnown && this.isIdle ? this.idleFrame() : undefined };
  }
}
