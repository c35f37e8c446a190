/**
 * Which (channel, seq) were told already. Bounded.
 *
 * The server sends an inbox in its order, and a channel's seqs rise there. After a cut it begins again behind a completed
 * range. So what was delivered is a prefix, and one number a channel says which: `through`. Only the answer to a repeated
 * send jumps ahead of that order; such seqs are kept as runs.
 *
 * What lies at or below the cursor does not come again, so a channel may be forgotten once everything told of it lies
 * there. A frame does not carry its inbox position, but on one connection the n-th delivery after a Welcome cannot lie
 * behind `start + n`: that bound is what is compared with the cursor.
 */
import { ACKED_RUNS_MAX, CHANNELS_SEEN_MAX } from "./limits.js";

interface Delivered {
  /** Everything at or below that this user may read was told. */
  through: number;
  /** Told by ack, above `through`: inclusive runs, rising, not touching. */
  runs: [first: number, last: number][];
  /** Everything told of this channel lies at or below this inbox position. */
  atMost: number;
}

export class Seen {
  private readonly channels = new Map<bigint, Delivered>();
  /** The newest delivery lies at or below this inbox position. */
  private atMost = 0;

  /** A connection begins behind `start`. What was told and not completed may have other positions now, but none behind
   * `head`: a server replays its fan-out before it says Welcome. */
  begin(start: number, head: number): void {
    for (const delivered of this.channels.values()) {
      if (delivered.atMost > start) delivered.atMost = Math.max(delivered.atMost, head);
    }
    this.atMost = start;
  }

  /** Forgets all: another generation may give the same seqs to other messages. */
  clear(): void {
    this.channels.clear();
  }

  /** A message came in inbox order. Whether it is new. */
  message(channel: bigint, seq: number, cursor: number): boolean {
    const delivered = this.touch(channel, cursor);
    if (seq <= delivered.through) return false;
    const isNew = !delivered.runs.some(([first, last]) => first <= seq && seq <= last);
    delivered.through = seq;
    absorb(delivered);
    return isNew;
  }

  /** An own message is known by its ack, in order or not. */
  acked(channel: bigint, seq: number, cursor: number): void {
    const delivered = this.touch(channel, cursor);
    if (seq > delivered.through) {
      insert(delivered.runs, seq);
      absorb(delivered);
    }
  }

  private touch(channel: bigint, cursor: number): Delivered {
    this.atMost += 1;
    let delivered = this.channels.get(channel);
    if (!delivered) {
      if (this.channels.size >= CHANNELS_SEEN_MAX) this.makeRoom(cursor);
      delivered = { through: 0, runs: [], atMost: 0 };
      this.channels.set(channel, delivered);
    }
    delivered.atMost = Math.max(delivered.atMost, this.atMost);
    return delivered;
  }

  private makeRoom(cursor: number): void {
    for (const [channel, { atMost }] of this.channels) if (atMost <= cursor) this.channels.delete(channel);
    if (this.channels.size < CHANNELS_SEEN_MAX) return;
    // More channels spoke since the last complete range than are remembered. To forget the oldest can tell a message
    // twice after a cut; it can never lose one. Of equals the smallest goes, as in the Rust session.
    let oldest: [bigint, number] | undefined;
    for (const [channel, { atMost }] of this.channels) {
      if (!oldest || atMost < oldest[1] || (atMost === oldest[1] && channel < oldest[0])) oldest = [channel, atMost];
    }
    if (oldest) this.channels.delete(oldest[0]);
  }
}

function insert(runs: [number, number][], seq: number): void {
  let place = runs.findIndex(([, last]) => last + 1 >= seq);
  if (place < 0) place = runs.length;
  const run = runs[place];
  if (run && run[0] - 1 <= seq) {
    run[0] = Math.min(run[0], seq);
    run[1] = Math.max(run[1], seq);
    const next = runs[place + 1];
    if (next && run[1] + 1 === next[0]) {
      run[1] = next[1];
      runs.splice(place + 1, 1);
    }
  } else {
    runs.splice(place, 0, [seq, seq]);
  }
  if (runs.length > ACKED_RUNS_MAX) runs.shift();
}

/** Drops runs that `through` has reached, and moves it over one that begins right behind it. */
function absorb(delivered: Delivered): void {
  delivered.runs = delivered.runs.filter(([first, last]) => {
    if (first > delivered.through + 1) return true;
    delivered.through = Math.max(delivered.through, last);
    return false;
  });
}
