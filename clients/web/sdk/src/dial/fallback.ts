/** A way that is used while another is blocked. */
import type { Link, LinkEvents, Place, Transport } from "./link.js";

/** Attempts in a row that never opened before the other way is taken. */
const ATTEMPTS = 2;
/** How often it is looked whether the first way works again, and by how much more at most: many tabs do not look at once. */
const [LOOK_MS, LOOK_MORE_MS] = [60_000, 30_000];

/**
 * `first`, and while it cannot be had, `second`. Beside the second the first is tried about once a minute, without a word said on
 * it; once it opens, the second is closed, and what comes next goes over the first. For a WebSocket that a proxy does not let
 * through: `fallback(webSocket(WebSocket), poll())`.
 */
export function fallback(first: Transport, second: Transport, lookMs = LOOK_MS): Transport {
  let failed = 0;
  return (place, events) => {
    if (failed < ATTEMPTS) {
      let hasOpened = false;
      return first(place, {
        ...events,
        opened: () => {
          [failed, hasOpened] = [0, true];
          events.opened();
        },
        closed: (code, reason) => {
          if (!hasOpened) failed += 1;
          events.closed(code, reason);
        },
      });
    }
    let isThere = false;
    const looks = new Looks(first, place, lookMs, () => {
      failed = 0;
      link.close();
    });
    const link: Link = second(place, {
      ...events,
      received: (frames) => {
        isThere = true;
        events.received(frames);
      },
      closed: (code, reason) => {
        looks.end();
        // Nobody is there at all: the first way is no worse.
        if (!isThere) failed = 0;
        events.closed(code, reason);
      },
    });
    return link;
  };
}

/** Looks again and again whether a way opens. */
class Looks {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private trial: Link | undefined;

  constructor(private readonly way: Transport, private readonly place: Place, private readonly everyMs: number, private readonly works: () => void) {
    this.wait();
  }

  end(): void {
    clearTimeout(this.timer);
    this.trial?.close();
  }

  private wait(): void {
    const more = Math.random() * Math.min(LOOK_MORE_MS, this.everyMs / 2);
    this.timer = setTimeout(() => this.look(), this.everyMs + more);
    // A program in Node may end without this.
    (this.timer as { unref?(): void }).unref?.();
  }

  private look(): void {
    const events: LinkEvents = { opened: () => this.opened(), received() {}, drained() {}, closed: () => this.closed() };
    try {
      this.trial = this.way(this.place, events);
    } catch {
      this.wait();
    }
  }

  private opened(): void {
    const { trial } = this;
    this.trial = undefined;
    trial?.close();
    this.works();
  }

  private closed(): void {
    if (!this.trial) return;
    this.trial = undefined;
    this.wait();
  }
}
