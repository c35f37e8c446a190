/** All that happens by time: heartbeats, a dead connection, the cursor told lazily, the token's end, the reconnect. */
import {
  CURSOR_TELL_MS, CURSOR_TELL_POSITIONS, HEARTBEAT_MS_MIN, WELCOME_WAIT_MS, WOKE_WAIT_MS,
} from "./limits.js";

/** How far an inbox was taken: the end of the contiguous prefix that the device holds. */
export interface Cursor {
  generation: number;
  at: number;
}

export class Clock {
  /** 0 before Welcome. */
  heartbeatMs = 0;
  writtenAtMs = 0;
  private heardAtMs = 0;
  /** An answer must come by then. */
  deadAtMs: number | undefined;
  private told: Cursor = { generation: 0, at: 0 };
  private tellAtMs: number | undefined;
  tokenDueMs: number | undefined;
  /** What the server asked for. */
  private reconnectAfterMs: number | undefined;
  reconnectAtMs: number | undefined;
  /** The pause is the server's wish. */
  private isHinted = false;
  /** Tries since the last Welcome. */
  private tries = 0;

  connected(nowMs: number, cursor: Cursor): void {
    this.deadAtMs = nowMs + WELCOME_WAIT_MS;
    this.told = { ...cursor };
    this.writtenAtMs = nowMs;
    this.heardAtMs = nowMs;
    this.reconnectAfterMs = undefined;
  }

  down(): void {
    this.heartbeatMs = 0;
    this.deadAtMs = undefined;
    this.tellAtMs = undefined;
    this.tokenDueMs = undefined;
    this.reconnectAtMs = undefined;
  }

  /** Full pause is the hint, or doubles from the minimum to the maximum; its second half is drawn. */
  disconnected(nowMs: number, ends: { reconnectMsMin: number; reconnectMsMax: number }, draw: bigint): number {
    const [min, max] = [Math.max(ends.reconnectMsMin, 1), Math.max(ends.reconnectMsMax, 1)];
    let pause = this.reconnectAfterMs;
    this.isHinted = pause !== undefined;
    this.reconnectAfterMs = undefined;
    if (pause === undefined) {
      const full = Math.min(min * 2 ** Math.min(this.tries, 30), max);
      this.tries += 1;
      pause = Math.ceil(full / 2) + Number(draw % BigInt(Math.floor(full / 2) + 1));
    }
    this.reconnectAtMs = nowMs + pause;
    return this.reconnectAtMs;
  }

  reconnectAfter(pauseMs: number): void {
    this.reconnectAfterMs = pauseMs;
  }

  /** The device woke, or has a network again. A connection has to show soon that it lives; a pause of our own is over, one
   * that the server asked for is not. */
  woke(nowMs: number): void {
    if (this.deadAtMs !== undefined) this.deadAtMs = Math.min(this.deadAtMs, nowMs + WOKE_WAIT_MS);
    if (this.reconnectAtMs !== undefined && !this.isHinted) {
      this.reconnectAtMs = Math.min(this.reconnectAtMs, nowMs);
      this.tries = 0;
    }
  }

  heard(nowMs: number): void {
    this.heardAtMs = nowMs;
    if (this.heartbeatMs > 0) this.deadAtMs = undefined;
  }

  welcomed(nowMs: number, welcome: { heartbeatMs: number; expiresMs: number; timeMs: number }): void {
    this.heartbeatMs = Math.max(welcome.heartbeatMs, HEARTBEAT_MS_MIN);
    this.deadAtMs = undefined;
    this.tries = 0;
    this.tokenLasts(nowMs, Math.max(welcome.expiresMs - welcome.timeMs, 0));
  }

  /** Another token is asked for when a fifth of the life is left. */
  tokenLasts(nowMs: number, lifetimeMs: number): void {
    this.tokenDueMs = nowMs + Math.floor(lifetimeMs / 5) * 4;
  }

  cursorKnown(cursor: Cursor): void {
    this.told = { ...cursor };
    this.tellAtMs = undefined;
  }

  cursorMoved(nowMs: number, cursor: Cursor): void {
    if (!this.cursorIsTold(cursor)) this.tellAtMs ??= nowMs + CURSOR_TELL_MS;
  }

  cursorIsTold(cursor: Cursor): boolean {
    return (cursor.generation === this.told.generation && cursor.at === this.told.at) || cursor.generation === 0;
  }

  cursorDue(nowMs: number, cursor: Cursor): boolean {
    const isFar = cursor.at - this.told.at >= CURSOR_TELL_POSITIONS;
    return isFar || (this.tellAtMs !== undefined && nowMs >= this.tellAtMs);
  }

  /** When the next heartbeat goes out: nothing was written, or nothing heard, for the whole pause. */
  heartbeatAt(): number | undefined {
    const isWaiting = this.heartbeatMs === 0 || this.deadAtMs !== undefined;
    return isWaiting ? undefined : Math.min(this.writtenAtMs, this.heardAtMs) + this.heartbeatMs;
  }

  deadlines(): (number | undefined)[] {
    return [this.heartbeatAt(), this.deadAtMs, this.tellAtMs, this.tokenDueMs, this.reconnectAtMs];
  }
}
