/** What happened in one moment is written at once; what a store has no room for does not stop the chat. */
import { type Change, EVICTED_SHARE, type Store, StoreFull } from "./store.js";

/** `lasting`: what is kept is there after a restart. `none`: it is not. `full`: messages are kept no more; sends and drafts
 * still are, if there is room for them. */
export type Storage = "lasting" | "none" | "full";

export class Keeper {
  private change: Change = {};
  private writing: Promise<void> = Promise.resolve();
  private state_: Storage;

  constructor(readonly store: Store, private readonly told: (storage: Storage) => void) {
    this.state_ = store.lasts ? "lasting" : "none";
  }

  get state(): Storage {
    return this.state_;
  }

  /** Joins this to what is written next. */
  add(change: Change): void {
    const before = this.change;
    this.change = {
      // What was gathered before a new life belongs to the old one, but for what is nowhere else.
      ...(change.clear ? { ...(before.login && { login: before.login }) } : before),
      ...change,
      sends: [...(before.sends ?? []), ...(change.sends ?? [])],
      settled: [...(before.settled ?? []), ...(change.settled ?? [])],
      drafts: [...(before.drafts ?? []), ...(change.drafts ?? [])],
      messages: [...(change.clear ? [] : before.messages ?? []), ...(change.messages ?? [])],
      channels: [...(change.clear ? [] : before.channels ?? []), ...(change.channels ?? [])],
    };
    if (change.drafts) this.flush();
  }

  /** Writes what was gathered; the promise says when it, and all before it, is kept or given up. */
  flush(): Promise<void> {
    const change = this.change;
    if (Object.values(change).every((part) => part === undefined || (Array.isArray(part) && part.length === 0))) return this.writing;
    this.change = {};
    this.writing = this.writing.then(() => this.write(change));
    return this.writing;
  }

  private async write(change: Change): Promise<void> {
    if (this.state_ === "full") return this.keepLittle(change);
    try {
      await this.store.keep(change);
    } catch (error) {
      if (!(error instanceof StoreFull)) return this.give(change);
      try {
        await this.store.evict(EVICTED_SHARE / 2);
        await this.store.keep(change);
      } catch {
        return this.give(change);
      }
    }
  }

  /** From now on neither messages nor the cursor that counts them are kept: the next run takes them from the server. */
  private give(change: Change): Promise<void> {
    this.state_ = "full";
    this.told("full");
    return this.keepLittle(change);
  }

  private async keepLittle({ login, sends, settled, drafts, clear }: Change): Promise<void> {
    const little: Change = { ...(login && { login }), ...(sends && { sends }), ...(settled && { settled }), ...(drafts && { drafts }), ...(clear && { clear }) };
    try {
      await this.store.keep(little);
    } catch {
      // Not even that: the state says so already.
    }
  }
}
