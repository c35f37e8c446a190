/** What every part of a session knows: the connection's state, what waits to be written, and what happens by time. */
import { Frame } from "../frame.js";
import { CursorAck, Heartbeat, Hello, U53_MAX } from "../generated.js";
import { mix64 } from "../ids.js";
import { Clock, type Cursor } from "./clock.js";
import { type Event, type History, readContent, type ThreadPage } from "./event.js";
import { RECONNECT_MS_MAX, RECONNECT_MS_MIN, WOKE_WAIT_MS } from "./limits.js";
import { Marks } from "./marks.js";
import { Pace, type Priced, priced } from "./pace.js";
import { Pending } from "./pending.js";
import { Presences } from "./presence.js";
import { Requests } from "./requests.js";
import { Seen } from "./seen.js";

/** What a session is made of. */
export interface Config {
  /** Whose device this is, as login said. */
  user: bigint;
  /** For send ids and jitter: 64 random bits, other ones for every session ever made. */
  seed: bigint;
  /** Ends of the pause before a reconnect. */
  reconnectMsMin?: number;
  reconnectMsMax?: number;
  /** Whether a server that names no pace (WELCOME version 1) is taken to have the usual one. */
  assumesPace?: boolean;
  /** Whether the server is told what was delivered, for others to see. */
  saysDelivered?: boolean;
}

/** What an app keeps so that a device goes on after a restart. */
export interface Saved {
  cursor: Cursor;
  /** Sends without an ack, oldest first: whole frames. */
  pending: Uint8Array[];
}

/** A page of history or of a thread whose messages are still coming. */
export type Page = { left: number } & ({ history: History } | { thread: ThreadPage });

/** `down`: no connection. `greeting`: Hello is written. `catchingUp`: what was missed comes in; sends wait. `live`. */
export type State = "down" | "greeting" | "catchingUp" | "live";

/** Marks the session's request ids, so that they never meet a drawn send id. */
const REQUEST_BIT = 1n << 63n;

export abstract class Core {
  protected readonly config: Required<Config>;
  private draws = 0n;
  private requestsMade = 0n;
  protected nowMs = 0;
  protected state_: State = "down";
  protected cursor_: Cursor;
  protected readonly pending = new Pending();
  protected readonly requests = new Requests();
  protected pace = new Pace(0);
  protected readonly seen = new Seen();
  /** Frames of the session itself: Hello, Reauth, Heartbeat, CursorAck. */
  protected control: Frame[] = [];
  protected readonly events: Event[] = [];
  protected page: Page | undefined;
  protected reauthing: { id: bigint; lifetimeMs: number } | undefined;
  protected isGoingAway = false;
  /** The server said so; only another token changes it. */
  protected isLoggedOut = false;
  protected readonly marks = new Marks(this.events);
  protected readonly presences = new Presences();
  protected readonly clock = new Clock();

  /** A device without a connection. What `saved` holds is sent again once the device has caught up; what is no send, or
   * no whole frame, is left out. */
  constructor(config: Config, saved?: Saved) {
    this.config = { reconnectMsMin: RECONNECT_MS_MIN, reconnectMsMax: RECONNECT_MS_MAX, assumesPace: true, saysDelivered: false, ...config };
    this.cursor_ = { ...(saved?.cursor ?? { generation: 0, at: 0 }) };
    for (const bytes of saved?.pending ?? []) {
      const frame = Frame.kept(bytes);
      const said = frame && readContent(frame);
      if (said) this.pending.push(said.channel, frame);
    }
  }

  get state(): State { return this.state_; }
  get user(): bigint { return this.config.user; }
  get cursor(): Cursor { return { ...this.cursor_ }; }
  /** Sends without an ack, and requests without an answer. */
  get pendingLength(): number { return this.pending.length; }
  get requestsLength(): number { return this.requests.length; }

  /** What to keep. Take it when {@link pollEvent} has nothing more and what it gave is kept: the cursor counts every event
   * as taken. */
  saved(): Saved {
    return { cursor: this.cursor, pending: this.pending.frames().map((frame) => frame.bytes) };
  }

  /** Frames can be written: queues Hello. A connection that was there before is taken as gone. */
  connected(nowMs: number, token: string): void {
    this.endConnection();
    this.nowMs = Math.max(this.nowMs, nowMs);
    this.isLoggedOut = false;
    this.state_ = "greeting";
    const { generation, at: cursor } = this.cursor_;
    this.control.push(Frame.of(Hello, this.newRequestId(), { generation, cursor, token }));
    this.clock.connected(this.nowMs, this.cursor_);
  }

  /** The connection is gone, or could not be made. Says when to try again, unless the device was logged out. */
  disconnected(nowMs: number): void {
    this.nowMs = Math.max(this.nowMs, nowMs);
    this.endConnection();
    if (this.isLoggedOut) return;
    const retryAtMs = this.clock.disconnected(this.nowMs, this.config, this.draw());
    this.events.push({ type: "disconnected", retryAtMs });
  }

  private endConnection(): void {
    this.state_ = "down";
    this.pending.rewind();
    // Among them is the request of a page that did not come whole, so what came of it is dropped.
    this.requests.rewind();
    this.page = undefined;
    this.control = [];
    this.reauthing = undefined;
    this.isGoingAway = false;
    this.clock.down();
    this.marks.down(this.nowMs);
  }

  /** The next frame to write on the connection. */
  pollTransmit(): Frame | undefined {
    const frame = this.nextFrame();
    if (frame) this.clock.writtenAtMs = this.nowMs;
    return frame;
  }

  private nextFrame(): Frame | undefined {
    if (this.state_ === "down" || this.isLoggedOut) return undefined;
    // Frames of the session itself are few and do not wait; what they cost is counted.
    const control = this.control.shift();
    if (control) {
      this.pace.charge(this.nowMs, this.pace.cost(priced(control)));
      return control;
    }
    const next = this.nextTurn();
    if (!next) return this.nextMark();
    if (this.pace.readyAt(this.nowMs, next.cost) > this.nowMs) return undefined;
    this.pace.chargeTurn(this.nowMs, next.isRequest, next.cost);
    return next.isRequest ? this.requests.writeNext() : this.pending.writeNext();
  }

  /** What is said of what was delivered, once there is a token to spare. */
  private nextMark(): Frame | undefined {
    if (!this.maySayMarks() || this.pace.spareAt(this.nowMs, 1) > this.nowMs) return undefined;
    const mark = this.presences.idleAgain() ?? this.marks.next(this.nowMs);
    if (mark) this.pace.charge(this.nowMs, 1);
    return mark;
  }

  private maySayMarks(): boolean {
    return this.state_ === "live" && !this.isGoingAway;
  }

  private markAt(): number | undefined {
    const ready = this.presences.isIdleDoubted ? this.nowMs : this.marks.readyAt();
    const at = this.maySayMarks() ? ready : undefined;
    return at === undefined ? undefined : Math.max(at, this.pace.spareAt(this.nowMs, 1));
  }

  /** What is written next once its tokens are there: the one whose turn it is waits for them, so that what costs much is
   * not overtaken for ever by what costs little. */
  private nextTurn(): { isRequest: boolean; cost: number } | undefined {
    if (!this.isWelcomed() || this.isGoingAway) return undefined;
    const request = this.requests.next(this.nowMs);
    const send = this.state_ === "live" ? this.pending.next(this.nowMs) : undefined;
    const isRequest = request !== undefined && (send === undefined || this.pace.isRequestsTurn());
    const turn: Priced | undefined = isRequest ? request : send;
    return turn && { isRequest, cost: this.pace.cost(turn) };
  }

  protected isWelcomed(): boolean {
    return this.state_ === "live" || this.state_ === "catchingUp";
  }

  /** The next thing that happened. */
  pollEvent(): Event | undefined {
    return this.events.shift();
  }

  /** When {@link tick} has something to do. After a tick at that time it is later, or undefined. */
  nextDeadline(): number | undefined {
    const isWriting = this.isWelcomed() && !this.isGoingAway;
    const sends = this.state_ === "live" && isWriting ? this.pending.deadline() : undefined;
    const asks = isWriting ? this.requests.deadline() : undefined;
    const next = this.nextTurn();
    const tokens = next && this.pace.readyAt(this.nowMs, next.cost);
    const isThere = (at: number | undefined): at is number => at !== undefined;
    // A wait that is over shows in pollTransmit, not here.
    const holds = [sends, asks, tokens, next ? undefined : this.markAt()].filter(isThere).filter((at) => at > this.nowMs);
    const all = [...holds, ...[this.marks.endsAt(), ...this.clock.deadlines()].filter(isThere)];
    return all.length > 0 ? Math.min(...all) : undefined;
  }

  /** Time has come to `nowMs`. */
  tick(nowMs: number): void {
    this.nowMs = Math.max(this.nowMs, nowMs);
    const { clock } = this;
    const isDue = (at: number | undefined) => at !== undefined && at <= this.nowMs;
    if (isDue(clock.reconnectAtMs)) {
      clock.reconnectAtMs = undefined;
      this.events.push({ type: "reconnect" });
    }
    if (isDue(clock.deadAtMs)) {
      this.endConnection();
      this.events.push({ type: "dead" });
      return;
    }
    if (isDue(clock.tokenDueMs)) {
      clock.tokenDueMs = undefined;
      this.events.push({ type: "tokenDue" });
    }
    this.marks.tick(this.nowMs);
    this.tellCursorIfDue();
    if (isDue(clock.heartbeatAt())) this.beat(2 * clock.heartbeatMs);
  }

  private beat(waitMs: number): void {
    this.tellCursor();
    this.control.push(Frame.of(Heartbeat, 0n, { timeMs: Math.min(this.nowMs, U53_MAX) }));
    this.clock.writtenAtMs = this.nowMs;
    this.clock.deadAtMs = this.nowMs + waitMs;
  }

  /** The device woke from sleep, or has a network again: a connection has to show soon that it lives, and who waits to
   * dial does so at once, unless the server asked for the pause. Call {@link tick} behind it. */
  woke(nowMs: number): void {
    this.nowMs = Math.max(this.nowMs, nowMs);
    this.clock.woke(this.nowMs);
    if (this.clock.heartbeatAt() !== undefined) this.beat(WOKE_WAIT_MS);
  }

  protected tellCursorIfDue(): void {
    if (this.clock.cursorDue(this.nowMs, this.cursor_)) this.tellCursor();
  }

  private tellCursor(): void {
    if (this.clock.cursorIsTold(this.cursor_)) return;
    const { generation, at: cursor } = this.cursor_;
    this.control.push(Frame.of(CursorAck, 0n, { generation, cursor }));
    this.clock.cursorKnown(this.cursor_);
  }

  /** A send id that this session has not used: 1 to 2^63 - 1. */
  newSendId(): bigint {
    const id = this.draw() & ~REQUEST_BIT;
    return id > 0n ? id : 1n;
  }

  protected newRequestId(): bigint {
    this.requestsMade += 1n;
    return REQUEST_BIT | this.requestsMade;
  }

  /** Each draw is another number; the sequence is a function of the seed. */
  private draw(): bigint {
    this.draws += 1n;
    return mix64(this.config.seed ^ mix64(this.draws));
  }
}
