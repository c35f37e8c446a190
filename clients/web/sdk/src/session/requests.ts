/** Requests: reads and marks, all repeatable, so a lost connection or a full server just asks them again. */
import type { Frame } from "../frame.js";
import { REQUESTS_IN_FLIGHT_MAX } from "./limits.js";
import { type Priced, priced } from "./pace.js";

export class Requests {
  private waiting: Priced[] = [];
  private inFlight: Priced[] = [];
  private holdUntilMs: number | undefined;

  get length(): number {
    return this.waiting.length + this.inFlight.length;
  }

  push(frame: Frame): void {
    this.waiting.push(priced(frame));
  }

  /** The next request to write, if the window and the hold allow one. */
  next(nowMs: number): Priced | undefined {
    const isHeld = this.holdUntilMs !== undefined && nowMs < this.holdUntilMs;
    return this.inFlight.length >= REQUESTS_IN_FLIGHT_MAX || isHeld ? undefined : this.waiting[0];
  }

  /** What {@link next} gave is written. */
  writeNext(): Frame | undefined {
    const next = this.waiting.shift();
    if (!next) return undefined;
    this.inFlight.push(next);
    this.holdUntilMs = undefined;
    return next.frame;
  }

  /** Whether a request of this kind is written and not answered. */
  isWritten(id: bigint, kind: number): boolean {
    return this.inFlight.some(({ frame }) => frame.id === id && frame.kind === kind);
  }

  /** Takes a request that was written, when it is of this kind: its whole answer is here. */
  answered(id: bigint, kind: number): boolean {
    const at = this.inFlight.findIndex(({ frame }) => frame.id === id && frame.kind === kind);
    if (at >= 0) this.inFlight.splice(at, 1);
    return at >= 0;
  }

  /** Takes a refused request; with a time it is asked again then. */
  refused(id: bigint, againAtMs: number | undefined): boolean {
    const at = this.inFlight.findIndex(({ frame }) => frame.id === id);
    const [asked] = at < 0 ? [] : this.inFlight.splice(at, 1);
    if (asked && againAtMs !== undefined) {
      this.waiting.unshift(asked);
      this.holdUntilMs = Math.max(this.holdUntilMs ?? againAtMs, againAtMs);
    }
    return asked !== undefined;
  }

  /** What waits of this kind is not asked any more. */
  forget(kind: number): void {
    this.waiting = this.waiting.filter(({ frame }) => frame.kind !== kind);
  }

  /** The connection is gone: everything is asked again. */
  rewind(): void {
    this.waiting = [...this.inFlight, ...this.waiting];
    this.inFlight = [];
    this.holdUntilMs = undefined;
  }

  deadline(): number | undefined {
    return this.waiting.length > 0 ? this.holdUntilMs : undefined;
  }
}
