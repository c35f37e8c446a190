/**
 * The device side of the protocol as a pure state machine: no I/O, no clock, no randomness but the seed. It follows the
 * rules of the Rust session (clients/rust/src/session), and tests replay what that one did, input by input.
 *
 * One {@link Session} is one device for as long as the app runs; connections come and go under it. Its user
 * 1. dials, and calls `connected` when frames can be written, or `disconnected` when they cannot;
 * 2. calls `receive` for every whole frame, in order;
 * 3. calls `tick` when `nextDeadline` is due, as often as it likes otherwise;
 * 4. after each of these, and after each command, drains `pollEvent` and writes all that `pollTransmit` gives, in order;
 * 5. on `dead` closes the connection and calls `disconnected`; on `reconnect` dials.
 *
 * Times are whole milliseconds of one clock that never steps back; its zero is arbitrary. Commands throw {@link Refusal}.
 */
import { Frame } from "../frame.js";
import {
  GetOwnPresence, GetPresence, GetPush, Reauth, SetPresence, SetPush, SubscribePush, TOKEN_BYTES_MAX, UnsubscribePush, Unwatch, Watch,
} from "../generated.js";
import { Asks } from "./asks.js";
import { checkNamed, checkPresence, checkProvider, checkSubscription } from "./check.js";
import { LOOKED_AT_MAX, WATCHED_MAX } from "./limits.js";

export class Session extends Asks {
  /** Says that the user types in a channel, or stopped. Say so with each key if you like: what would be too often goes no further,
   * and without a connection nothing does. */
  typing(nowMs: number, channel: bigint, types: boolean): void {
    this.nowMs = Math.max(this.nowMs, nowMs);
    const frame = this.state_ === "live" && !this.isGoingAway ? this.marks.typing(this.nowMs, channel, types) : undefined;
    if (frame) this.control.push(frame);
  }

  /** Shows these users from now on, on this connection and every later one: a `presence` event of each, and of every change. */
  watch(users: readonly bigint[]): void {
    const fresh = this.presences.toWatch(users);
    if (fresh.length === 0) return;
    checkNamed(fresh, WATCHED_MAX);
    if (this.tellsPresence()) this.request(Watch, { users: fresh }, () => {});
    this.presences.watch(fresh);
  }

  /** Shows these users no more. */
  unwatch(users: readonly bigint[]): void {
    const known = this.presences.toUnwatch(users);
    if (known.length > 0 && this.tellsPresence()) this.request(Unwatch, { users: known }, () => {});
    this.presences.unwatch(known);
  }

  /** Asks once, of up to 100 users: a `presence` event with all of them. */
  presence(named: readonly bigint[]): bigint {
    const users = [...new Set(named)].sort((a, b) => (a < b ? -1 : 1));
    const id = this.request(GetPresence, { users }, () => checkNamed(users, LOOKED_AT_MAX));
    this.presences.look(id, users);
    return id;
  }

  /** Says what the user shows from now on (0 activity, 1 away, 2 do not disturb, 3 invisible), and a status that ends then, 0 for
   * never: a `done` event. */
  setPresence(shows: number, status = "", statusUntilMs = 0): bigint {
    return this.request(SetPresence, { shows, status, statusUntilMs }, () => checkPresence(shows, status, statusUntilMs));
  }

  /** Asks what the user shows, and for its devices: an `ownPresence` event. */
  ownPresence(): bigint {
    return this.request(GetOwnPresence, { device: 0n }, () => {});
  }

  /** This device is told there of what it misses from now on, instead of where it said before for that provider: a `done` event. */
  subscribePush(wish: Partial<SubscribePush> & { provider: number }): bigint {
    const whole = { preview: 0, language: 0, quietFrom: 0, quietUntil: 0, zone: "", address: "", p256dh: "", secret: "", ...wish };
    return this.request(SubscribePush, whole, () => checkSubscription(whole));
  }

  /** A device of the user, or this one (0), is told there no more: a `done` event. */
  unsubscribePush(provider: number, device = 0n): bigint {
    return this.request(UnsubscribePush, { device, provider }, () => checkProvider(provider));
  }

  /** None of the user's devices is told from now on, or all are again: a `done` event. */
  setPush(isOff: boolean): bigint {
    return this.request(SetPush, { isOff }, () => {});
  }

  /** Asks where the user's devices are told: a `push` event. */
  push(): bigint {
    return this.request(GetPush, { device: 0n }, () => {});
  }

  /** Nobody is at the device, or somebody is again. Say so as often as you like. */
  idle(isIdle: boolean): void {
    const frame = this.presences.idle(isIdle);
    if (frame && this.tellsPresence()) this.control.push(this.presences.said(frame));
  }

  private tellsPresence(): boolean {
    return this.presences.mayAsk && this.isWelcomed();
  }

  /** Shows a fresh token that lasts `lifetimeMs` more. Without a connection there is nothing to do: the next `connected`
   * takes it. */
  reauth(token: string, lifetimeMs: number): void {
    if (!this.isWelcomed() || token.length > TOKEN_BYTES_MAX) return;
    const id = this.newRequestId();
    this.control.push(Frame.of(Reauth, id, { token }));
    this.reauthing = { id, lifetimeMs };
  }
}
