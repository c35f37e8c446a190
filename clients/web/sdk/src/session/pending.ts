/**
 * Sends that are not acked yet, in order. At most one copy of each is on the way at a time, so that an answer is always
 * about the only copy there is: after a refusal that may be retried, nothing is written until all that was written
 * behind it is answered too.
 */
import type { Frame } from "../frame.js";
import { IN_FLIGHT_MAX, IN_FLIGHT_MIN } from "./limits.js";
import { type Priced, priced } from "./pace.js";

interface Send extends Priced {
  channel: bigint;
  /** Written on this connection and not answered. */
  isInFlight: boolean;
}

export class Pending {
  private readonly sends: Send[] = [];
  private inFlight = 0;
  /** All before this place are in flight. */
  private firstWaiting = 0;
  /** The window is IN_FLIGHT_MAX less this: each refusal halves it, each answer widens it by one. */
  private narrowed = 0;
  /** Nothing is written before this time, nor while anything is on the way. */
  private holdUntilMs: number | undefined;

  get length(): number {
    return this.sends.length;
  }

  frames(): Frame[] {
    return this.sends.map((send) => send.frame);
  }

  find(id: bigint): Frame | undefined {
    return this.sends.find((send) => send.frame.id === id)?.frame;
  }

  push(channel: bigint, frame: Frame): void {
    this.sends.push({ ...priced(frame), channel, isInFlight: false });
  }

  /** The next send to write, if the window and the hold allow one. */
  next(nowMs: number): Priced | undefined {
    const isHeld = this.holdUntilMs !== undefined && (nowMs < this.holdUntilMs || this.inFlight > 0);
    return this.inFlight + this.narrowed >= IN_FLIGHT_MAX || isHeld ? undefined : this.sends[this.placeOfNext()];
  }

  private placeOfNext(): number {
    let place = this.firstWaiting;
    while (this.sends[place]?.isInFlight) place++;
    return place;
  }

  /** What {@link next} gave is written. */
  writeNext(): Frame | undefined {
    const place = this.placeOfNext();
    const send = this.sends[place];
    if (!send) return undefined;
    this.firstWaiting = place + 1;
    send.isInFlight = true;
    this.inFlight += 1;
    this.holdUntilMs = undefined;
    return send.frame;
  }

  /** Takes the send out. With a channel, only if it was for that channel. */
  take(id: bigint, channel?: bigint): boolean {
    const at = this.sends.findIndex((send) => send.frame.id === id && (channel === undefined || channel === send.channel));
    const [send] = at < 0 ? [] : this.sends.splice(at, 1);
    if (!send) return false;
    if (at < this.firstWaiting) this.firstWaiting -= 1;
    if (send.isInFlight) {
      this.inFlight -= 1;
      this.narrowed = Math.max(this.narrowed - 1, 0);
    }
    return true;
  }

  /** Writes again from `id` on, in order, not before `untilMs` and not before everything else is answered. False when it
   * is not pending. */
  holdFrom(id: bigint, untilMs: number): boolean {
    const place = this.sends.findIndex((send) => send.frame.id === id);
    const send = this.sends[place];
    if (!send) return false;
    this.firstWaiting = Math.min(this.firstWaiting, place);
    if (send.isInFlight) {
      send.isInFlight = false;
      this.inFlight -= 1;
    }
    if (this.holdUntilMs === undefined) {
      const window = IN_FLIGHT_MAX - this.narrowed;
      this.narrowed = IN_FLIGHT_MAX - Math.max(Math.floor(window / 2), IN_FLIGHT_MIN);
    }
    this.holdUntilMs = Math.max(this.holdUntilMs ?? untilMs, untilMs);
    return true;
  }

  /** The connection is gone: nothing is written, nothing is held. */
  rewind(): void {
    for (const send of this.sends) send.isInFlight = false;
    this.inFlight = 0;
    this.firstWaiting = 0;
    this.narrowed = 0;
    this.holdUntilMs = undefined;
  }

  /** Ends a hold whatever its time. */
  release(): void {
    this.holdUntilMs = undefined;
  }

  /** When a held send may be written. */
  deadline(): number | undefined {
    const at = this.holdUntilMs;
    return at !== Infinity && this.inFlight === 0 && this.sends.length > 0 ? at : undefined;
  }
}
