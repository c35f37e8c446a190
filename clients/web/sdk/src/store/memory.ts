/** A store that ends with the program: for tests, bots, and browsers that keep nothing. */
import type { Message } from "../session/event.js";
import type { ChannelItem } from "../generated.js";
import {
  type Bounds, BOUNDS, type Change, charsOf, EVICTED_SHARE, isOlder, type Kept, type KeptDraft, type KeptSend, recalledBy, type Span, type Store, takesBack,
} from "./store.js";

export class MemoryStore implements Store {
  readonly lasts = false;
  private login: Kept["login"];
  private cursor = { generation: 0, at: 0 };
  private readonly sends = new Map<bigint, KeptSend>();
  private readonly channels = new Map<bigint, ChannelItem>();
  private readonly drafts = new Map<string, KeptDraft>();
  private readonly held = new Map<bigint, Map<number, Message>>();
  private count = 0;
  private chars = 0;

  constructor(private readonly bounds: Bounds = BOUNDS) {}

  async load(): Promise<Kept> {
    const { login, sends, channels, drafts } = this;
    return structuredClone({
      login, cursor: this.cursor, sends: [...sends.values()], drafts: [...drafts.values()],
      channels: [...channels.values()].sort((a, b) => (a.channel < b.channel ? -1 : 1)),
    });
  }

  async keep(change: Change): Promise<void> {
    const { clear, login, cursor, messages = [], sends = [], settled = [], channels = [], drafts = [] } = structuredClone(change);
    if (clear) this.clear();
    if (login) this.login = login;
    if (cursor) this.cursor = cursor;
    for (const message of messages) this.put(message);
    for (const send of sends) this.sends.set(send.sendId, send);
    for (const sendId of settled) this.sends.delete(sendId);
    for (const channel of channels) this.channels.set(channel.channel, channel);
    for (const draft of drafts) {
      const place = `${draft.channel}/${draft.thread ?? 0}`;
      if (draft.text) this.drafts.set(place, draft);
      else this.drafts.delete(place);
    }
    if (this.count > this.bounds.messages || this.chars > this.bounds.chars) await this.evict(EVICTED_SHARE);
  }

  private clear(): void {
    this.held.clear();
    this.channels.clear();
    this.cursor = { generation: 0, at: 0 };
    [this.count, this.chars] = [0, 0];
  }

  private put(message: Message): void {
    let of = this.held.get(message.channel);
    if (!of) this.held.set(message.channel, (of = new Map()));
    const before = of.get(message.seq);
    if (isOlder(message, before)) return;
    of.set(message.seq, message);
    this.count += before ? 0 : 1;
    this.chars += charsOf(message) - (before ? charsOf(before) : 0);
    if (!takesBack(message)) return;
    for (const kept of [...of.values()]) {
      const gone = recalledBy(message, kept);
      if (gone) this.put(gone);
    }
  }

  async messages(channel: bigint, { after = 0, before = Infinity, limit, newest }: Span): Promise<Message[]> {
    const all = [...(this.held.get(channel)?.values() ?? [])].sort((a, b) => a.seq - b.seq);
    const window = all.filter(({ seq }) => after < seq && seq < before);
    return structuredClone(newest ? window.slice(-limit) : window.slice(0, limit));
  }

  async evict(share: number): Promise<void> {
    const oldest = [...this.held.values()].flatMap((of) => [...of.values()]).sort((a, b) => a.timeMs - b.timeMs);
    for (const message of oldest) {
      if (this.count <= this.bounds.messages * share && this.chars <= this.bounds.chars * share) return;
      this.held.get(message.channel)?.delete(message.seq);
      this.count -= 1;
      this.chars -= charsOf(message);
    }
  }

  async erase(): Promise<void> {
    this.clear();
    this.login = undefined;
    this.sends.clear();
    this.drafts.clear();
  }

  close(): void {}
}
