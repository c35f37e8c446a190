/** What a device is made of, and what it does with each event of its session: keeps it, tells of it, answers who waits. */
import type { ChatEvents, Sending } from "./chat.js";
import { Account, type Fetch, type Login } from "./dial/account.js";
import { Dialler, type End } from "./dial/dialler.js";
import type { Transport } from "./dial/link.js";
import { onWake } from "./dial/wake.js";
import { webTransport } from "./dial/ways.js";
import { Emitter } from "./emitter.js";
import { Channels } from "./channels.js";
import { Drafts } from "./drafts.js";
import { Code, type DraftItem, type HeadItem, type PresenceItem, type ReceiptItem, type Reject, U53_MAX } from "./generated.js";
import { Sends } from "./sends.js";
import { Refusal } from "./session/check.js";
import type { About, ChannelInfo, ChannelPage, Event, Message } from "./session/event.js";
import type { ListWindow } from "./session/asks.js";
import { Session } from "./session/session.js";
import { Keeper } from "./store/keeper.js";
import type { Kept, KeptDraft, Store } from "./store/store.js";

export interface Options {
  /** Where the control plane is: `http://host:port`. */
  server: string;
  /** What a login gave; without it the one that the store kept. */
  login?: Login;
  /** What is kept between runs; without it nothing is. */
  store?: Store;
  /** How frames travel; without it by the web's WebSocket, and by polls while that is blocked. In Node `nodeSocket`. */
  transport?: Transport;
  fetch?: Fetch;
  /** Where a device begins that was never connected: with all that is in the inbox, or (`newest`) behind it. The latter is told
   * `resync` and reads what it wants to show. */
  begin?: "inbox" | "newest";
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

const words = new Map<number, string>(Object.entries(Code).map(([word, code]) => [code, word]));
const refusalOf = ({ code, path, text, retryAfterMs }: Reject): Refusal =>
  new Refusal((words.get(code) ?? `code_${code}`) as keyof typeof Code, path, text, retryAfterMs);
/** The cursor of a device that wants nothing of what was before. */
const NEWEST = { generation: 0, at: U53_MAX };
/** What waits for room is looked at again in so long. */
const LOOK_AGAIN_MS = 100;
const randomU64 = (): bigint => crypto.getRandomValues(new BigUint64Array(1))[0] as bigint;

export abstract class Device {
  readonly user: bigint;
  protected readonly emitter = new Emitter<ChatEvents>();
  protected readonly account: Account;
  protected readonly session: Session;
  protected readonly dialler: Dialler;
  protected readonly keeper: Keeper;
  protected readonly sends_: Sends;
  private readonly requests = new Map<bigint, Waiting>();
  /** What is known of those who are watched; it outlives a connection. */
  protected readonly present = new Map<bigint, PresenceItem>();
  protected readonly list: Channels;
  protected readonly drafts_: Drafts;
  private saying: ReturnType<typeof setTimeout> | undefined;
  /** What other devices have written is known: asked for once, and told since. */
  private hasDrafts = false;
  private isAskingBehind = false;
  private readonly endWaking: () => void;
  private keptCursor: string;
  protected ended: End | undefined;

  protected constructor(options: Options, store: Store, kept: Kept, login: Login) {
    const { server, fetch, transport = webTransport(fetch), begin } = options;
    this.user = login.user;
    this.account = new Account(server, fetch);
    this.keeper = new Keeper(store, (storage) => this.emitter.emit("storage", { storage }));
    this.keeper.add({ login });
    this.sends_ = new Sends(kept.sends);
    this.drafts_ = new Drafts(kept.drafts);
    this.goOnWithDrafts();
    this.list = new Channels(login.user, kept.channels);
    this.keptCursor = JSON.stringify(kept.cursor);
    const pending = kept.sends.filter(({ failed }) => !failed).map(({ frame }) => frame);
    const cursor = begin === "newest" && kept.cursor.generation === 0 ? NEWEST : kept.cursor;
    this.session = new Session({ user: login.user, seed: randomU64(), saysDelivered: true }, { cursor, pending });
    this.dialler = new Dialler(this.session, this.account, server, login, transport, {
      event: (event) => this.take(event),
      settled: () => this.settle(),
      renewed: (next) => {
        this.keeper.add({ login: next });
        return this.keeper.flush();
      },
      ended: (end) => this.end(end),
    });
    this.endWaking = onWake(() => this.dialler.woke());
  }

  on<Name extends keyof ChatEvents>(name: Name, listener: (event: ChatEvents[Name]) => void): () => void {
    return this.emitter.on(name, listener);
  }

  private take(event: Event): void {
    switch (event.type) {
      case "connected":
        this.drafts_.serverIs(event.welcome.timeMs, Date.now());
        return this.emitter.emit("state", { state: "catchingUp" });
      case "live":
        this.emitter.emit("state", { state: "live" });
        return this.syncDrafts();
      case "disconnected": return this.emitter.emit("state", { state: "down", retryAtMs: Date.now() + this.dialler.until(event.retryAtMs) });
      case "resync": return this.forget(event.generation);
      case "message": return this.takeMessage(event.message);
      case "ack": return this.takeAck(event);
      case "history":
        this.keeper.add({ messages: event.history.messages.filter(({ content }) => content.type !== "unknown") });
        return this.answer(event.history.request, event.history);
      case "thread": return this.answer(event.thread.request, event.thread);
      case "typing": return this.emitter.emit("typing", event);
      case "heads": return this.takeHeads(event.items);
      case "receipts": return this.takeReceipts(event);
      case "presence": return this.takePresence(event.request, event.items);
      case "ownPresence":
        if (event.request === 0n) return this.emitter.emit("ownPresence", event.own);
        return this.answer(event.request, event.own);
      case "push": return this.answer(event.request, event.push);
      case "channels": case "list": case "members": case "mentions": case "notes": case "said": case "done": return this.answer(event.request, event);
      case "rejected": return this.takeRejected(event.about, event.reject);
    }
  }

  /** Behind every event of this moment: what came of them is kept at once, the cursor with the messages. */
  private settle(): void {
    const cursor = JSON.stringify(this.session.cursor);
    if (cursor !== this.keptCursor) {
      this.keptCursor = cursor;
      this.keeper.add({ cursor: this.session.cursor });
    }
    void this.keeper.flush();
  }

  /** What is held is in doubt. It is on the server, so it is forgotten and read anew where it is wanted. */
  private forget(generation: number): void {
    this.list.clear();
    this.hasDrafts = false;
    this.keeper.add({ clear: true });
    this.emitter.emit("resync", { generation });
  }

  private takeMessage(message: Message): void {
    this.keeper.add({ messages: [message] });
    this.headMoved(message);
    if (message.content.type === "draft") this.changeDrafts([this.drafts_.take(message.content, message.timeMs)]);
    this.emitter.emit("message", message);
  }

  private headMoved(message: Message): void {
    const isStrange = this.list.isStrange(message);
    this.tellChannels(this.list.message(message));
    // Whoever is put into a group is not told its name by the message that says so.
    if (isStrange) this.row(message.channel).catch(() => {});
    else this.askBehind();
  }

  private takeHeads(items: HeadItem[]): void {
    this.tellChannels(this.list.heads(items));
    this.emitter.emit("heads", { items });
    this.askBehind();
  }

  private row(channel: bigint): Promise<unknown> {
    return this.recent({ after: channel - 1n, limit: 1 });
  }

  /** Asks for rows that miss something, one after the other: a page of the list may bring them meanwhile. */
  private askBehind(): void {
    const channel = this.isAskingBehind ? undefined : this.list.nextBehind();
    if (channel === undefined || this.ended) return;
    this.isAskingBehind = true;
    this.row(channel).catch(() => {}).then(() => {
      this.list.forgetBehind(channel);
      this.isAskingBehind = false;
      this.askBehind();
    });
  }

  protected tellChannels(items: ChannelInfo[]): void {
    this.keeper.add({ channels: items });
    for (const item of items) this.emitter.emit("channel", item);
  }

  async recent(window: ListWindow): Promise<Omit<ChannelPage, "request">> {
    const { request: _, ...page } = await this.asking<ChannelPage>((session) => session.list(window));
    const items = this.list.put(page.items);
    this.tellChannels(items);
    await this.keeper.flush();
    return { ...page, items };
  }

  private takeReceipts({ request, channel, items, more }: { request: bigint; channel: bigint; items: ReceiptItem[]; more: boolean }): void {
    this.tellChannels(this.list.receipts(channel, items));
    if (request === 0n) this.emitter.emit("receipts", { channel, items });
    else this.answer(request, { items, more });
  }

  private takePresence(request: bigint, items: PresenceItem[]): void {
    if (request !== 0n) return this.answer(request, items);
    for (const item of items) this.present.set(item.user, item);
    this.emitter.emit("presence", { items });
  }

  private takeAck({ sendId, seq, timeMs }: { sendId: bigint; seq: number; timeMs: number }): void {
    this.keeper.add({ settled: [sendId] });
    const stored = this.sends_.stored(this.user, sendId, { seq, timeMs });
    if (!stored) return;
    this.keeper.add({ messages: [stored.message] });
    this.headMoved(stored.message);
    if (stored.message.content.type === "draft") this.draftEnded(sendId, timeMs);
    else this.emitter.emit("send", stored.sending);
  }

  private takeRejected({ type, id }: About, reject: Reject): void {
    const refusal = refusalOf(reject);
    if (type === "send") {
      const failed = this.sends_.failed(id, refusal);
      if (!failed) return;
      const { sending, ...kept } = failed;
      if (sending.content.type === "draft") return this.draftEnded(id, undefined);
      this.keeper.add({ sends: [kept] });
      this.emitter.emit("send", sending);
    } else {
      this.requests.get(id)?.reject(refusal);
      this.requests.delete(id);
    }
  }

  private answer(request: bigint, answer: unknown): void {
    this.requests.get(request)?.resolve(answer);
    this.requests.delete(request);
  }

  private end(end: End): void {
    this.ended = end;
    clearTimeout(this.saying);
    this.endWaking();
    const error = new Error(end.text);
    for (const { reject } of this.requests.values()) reject(error);
    this.requests.clear();
    this.sends_.end(error);
    this.emitter.emit("state", { state: "down" });
    this.emitter.emit("end", end);
  }

  protected run<T>(command: (session: Session) => T): T {
    if (this.ended) throw new Error(`this device has stopped: ${this.ended.text}`);
    return this.dialler.run(command);
  }

  /** Drafts of an earlier run that are on their way still; one that was refused is nobody's to repeat. */
  private goOnWithDrafts(): void {
    for (const { sendId, content, state } of this.sends_.all()) {
      if (content.type !== "draft") continue;
      if (state === "sending") this.drafts_.saying(content.about, sendId, Date.now(), content.thread);
      else if (this.sends_.discard(sendId)) this.keeper.add({ settled: [sendId] });
    }
  }

  protected writeDraft(channel: bigint, text: string, isLeft?: boolean, thread?: number): void {
    const kept = this.drafts_.write(channel, text, Date.now(), isLeft, thread);
    if (kept) this.changeDrafts([kept]);
    this.sayDrafts();
  }

  private changeDrafts(changed: (KeptDraft | undefined)[]): void {
    const drafts = changed.filter((draft) => draft !== undefined);
    if (drafts.length === 0) return;
    this.keeper.add({ drafts });
    for (const { channel, thread = 0, text } of drafts) this.emitter.emit("draft", { channel, thread, text });
  }

  private draftEnded(sendId: bigint, timeMs: number | undefined): void {
    const kept = this.drafts_.ended(sendId, timeMs);
    if (kept) this.keeper.add({ drafts: [kept] });
    // Who was refused is not asked to try it once more: the next writing does.
    if (timeMs === undefined && this.sends_.discard(sendId)) this.keeper.add({ settled: [sendId] });
    this.sayDrafts();
  }

  /** Says what is due, and looks again when something else will be. */
  private sayDrafts(): void {
    clearTimeout(this.saying);
    if (this.ended) return;
    const isLive = this.session.state === "live";
    try {
      for (let next = this.drafts_.next(Date.now(), isLive); next; next = this.drafts_.next(Date.now(), isLive)) this.sayDraft(next);
    } catch (error) {
      // Too many sends wait: it is said behind them.
      if (!(error instanceof Refusal)) throw error;
    }
    const due = isLive ? this.drafts_.dueAt() : undefined;
    if (due !== undefined) this.saying = setTimeout(() => this.sayDrafts(), Math.max(due - Date.now(), LOOK_AGAIN_MS));
  }

  private sayDraft({ channel, thread, text }: { channel: bigint; thread: number; text: string }): void {
    this.run((session) => {
      const sendId = session.setDraft(channel, text, undefined, thread);
      const frame = session.pendingFrame(sendId) as Uint8Array;
      this.sends_.remember({ frame });
      this.keeper.add({ sends: [{ sendId, frame }], drafts: [this.drafts_.saying(channel, sendId, Date.now(), thread)] });
    });
  }

  private syncDrafts(): void {
    this.sayDrafts();
    if (this.hasDrafts) return;
    this.hasDrafts = true;
    this.readDrafts().catch(() => { this.hasDrafts = false; });
  }

  private async readDrafts(): Promise<void> {
    const askedMs = this.drafts_.time(Date.now());
    const all: DraftItem[] = [];
    for (let more = true; more;) {
      const page = await this.asking<{ drafts: DraftItem[]; more: boolean }>((session) => session.notedDrafts(all.at(-1)));
      all.push(...page.drafts);
      more = page.more && page.drafts.length > 0;
    }
    this.changeDrafts(this.drafts_.takeAll(all, askedMs));
    await this.keeper.flush();
  }

  /** Async, so that what is refused rejects. */
  protected async sending(command: (session: Session) => bigint): Promise<Sending> {
    return this.run((session) => {
      const sendId = command(session);
      const same = this.sends_.get(sendId);
      const frame = session.pendingFrame(sendId) as Uint8Array;
      if (same?.state === "sending") return same;
      this.keeper.add({ sends: [{ sendId, frame }] });
      const sending = this.sends_.remember({ frame }) as Sending;
      this.emitter.emit("send", sending);
      return sending;
    });
  }

  protected async asking<T>(command: (session: Session) => bigint): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const request = this.run(command);
      this.requests.set(request, { resolve: resolve as (answer: unknown) => void, reject });
    });
  }
}
