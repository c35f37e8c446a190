/** One device: a session, its connection, and what it keeps. */
import type { Around, Asked, Chat, ChatEvents, Mentioned, Sending } from "./chat.js";
import { Account, type Fetch, type Login } from "./dial/account.js";
import { Dialler, type End } from "./dial/dialler.js";
import type { Transport } from "./dial/link.js";
import { onWake } from "./dial/wake.js";
import { webTransport } from "./dial/ways.js";
import { Emitter } from "./emitter.js";
import { Channels } from "./channels.js";
import { Code, type MemberItem, type ReceiptItem, type Reject, U53_MAX } from "./generated.js";
import { Sends } from "./sends.js";
import { Refusal } from "./session/check.js";
import type { About, ChannelInfo, ChannelPage, Event, History, Message, Prefs, Talk, ThreadPage } from "./session/event.js";
import { type ListWindow, Session, type Window } from "./session/session.js";
import { Keeper } from "./store/keeper.js";
import { MemoryStore } from "./store/memory.js";
import type { Kept, Span, Store } from "./store/store.js";

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
const randomU64 = (): bigint => crypto.getRandomValues(new BigUint64Array(1))[0] as bigint;

export class Maru implements Chat {
  readonly user: bigint;
  private readonly emitter = new Emitter<ChatEvents>();
  private readonly account: Account;
  private readonly session: Session;
  private readonly dialler: Dialler;
  private readonly keeper: Keeper;
  private readonly sends_: Sends;
  private readonly requests = new Map<bigint, Waiting>();
  private readonly list: Channels;
  private readonly drafts: Map<bigint, string>;
  private readonly endWaking: () => void;
  private keptCursor: string;
  private ended: End | undefined;

  /** Opens a device and connects it. Rejects when there is no login to go on with. */
  static async open(options: Options): Promise<Maru> {
    const store = options.store ?? new MemoryStore();
    let kept = await store.load();
    const login = options.login ?? kept.login;
    if (!login) throw new Error("no login was given, and none is kept: log in first");
    if (kept.login && kept.login.device !== login.device) {
      // What is kept is another device's, perhaps another person's.
      await store.erase();
      kept = await store.load();
    }
    const maru = new Maru(options, store, kept, login);
    await maru.keeper.flush();
    maru.dialler.start();
    return maru;
  }

  private constructor(options: Options, store: Store, kept: Kept, login: Login) {
    const { server, fetch, transport = webTransport(fetch), begin } = options;
    this.user = login.user;
    this.account = new Account(server, fetch);
    this.keeper = new Keeper(store, (storage) => this.emitter.emit("storage", { storage }));
    this.keeper.add({ login });
    this.sends_ = new Sends(kept.sends);
    this.drafts = kept.drafts;
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
      case "connected": return this.emitter.emit("state", { state: "catchingUp" });
      case "live": return this.emitter.emit("state", { state: "live" });
      case "disconnected": return this.emitter.emit("state", { state: "down", retryAtMs: Date.now() + this.dialler.until(event.retryAtMs) });
      case "resync": return this.forget(event.generation);
      case "message": return this.takeMessage(event.message);
      case "ack": return this.takeAck(event);
      case "history":
        this.keeper.add({ messages: event.history.messages.filter(({ content }) => content.type !== "unknown") });
        return this.answer(event.history.request, event.history);
      case "thread": return this.answer(event.thread.request, event.thread);
      case "typing": return this.emitter.emit("typing", event);
      case "receipts": return this.takeReceipts(event);
      case "channels": case "list": case "members": case "mentions": case "notes": case "done": return this.answer(event.request, event);
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
    this.keeper.add({ clear: true });
    this.emitter.emit("resync", { generation });
  }

  private takeMessage(message: Message): void {
    this.keeper.add({ messages: [message] });
    this.headMoved(message);
    this.emitter.emit("message", message);
  }

  private headMoved(message: Message): void {
    const isStrange = this.list.isStrange(message);
    this.tellChannels(this.list.message(message));
    // Whoever is put into a group is not told its name by the message that says so.
    if (isStrange) this.recent({ after: message.channel - 1n, limit: 1 }).catch(() => {});
  }

  private tellChannels(items: ChannelInfo[]): void {
    this.keeper.add({ channels: items });
    for (const item of items) this.emitter.emit("channel", item);
  }

  private takeReceipts({ request, channel, items, more }: { request: bigint; channel: bigint; items: ReceiptItem[]; more: boolean }): void {
    this.tellChannels(this.list.receipts(channel, items));
    if (request === 0n) this.emitter.emit("receipts", { channel, items });
    else this.answer(request, { items, more });
  }

  private takeAck({ sendId, seq, timeMs }: { sendId: bigint; seq: number; timeMs: number }): void {
    this.keeper.add({ settled: [sendId] });
    const stored = this.sends_.stored(this.user, sendId, { seq, timeMs });
    if (!stored) return;
    this.keeper.add({ messages: [stored.message] });
    this.headMoved(stored.message);
    this.emitter.emit("send", stored.sending);
  }

  private takeRejected({ type, id }: About, reject: Reject): void {
    const refusal = refusalOf(reject);
    if (type === "send") {
      const failed = this.sends_.failed(id, refusal);
      if (!failed) return;
      const { sending, ...kept } = failed;
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
    this.endWaking();
    const error = new Error(end.text);
    for (const { reject } of this.requests.values()) reject(error);
    this.requests.clear();
    this.sends_.end(error);
    this.emitter.emit("state", { state: "down" });
    this.emitter.emit("end", end);
  }

  private run<T>(command: (session: Session) => T): T {
    if (this.ended) throw new Error(`this device has stopped: ${this.ended.text}`);
    return this.dialler.run(command);
  }

  /** Async, so that what is refused rejects. */
  private async sending(command: (session: Session) => bigint): Promise<Sending> {
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

  private async asking<T>(command: (session: Session) => bigint): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const request = this.run(command);
      this.requests.set(request, { resolve: resolve as (answer: unknown) => void, reject });
    });
  }

  send(channel: bigint, text: string, sendId?: bigint, talk?: Talk): Promise<Sending> {
    return this.sending((session) => talk ? session.sendTalk(channel, text, talk, sendId) : session.sendText(channel, text, sendId));
  }

  createGroup(name: string, members: bigint[], sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.createGroup(name, members, sendId).sendId);
  }

  addMembers(channel: bigint, members: bigint[], sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.addMembers(channel, members, sendId));
  }

  inviteMembers(channel: bigint, members: bigint[], sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.inviteMembers(channel, members, sendId));
  }

  removeMember(channel: bigint, member: bigint, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.removeMember(channel, member, sendId));
  }

  join(channel: bigint, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.join(channel, sendId));
  }

  leave(channel: bigint, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.leave(channel, sendId));
  }

  rename(channel: bigint, name: string, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.rename(channel, name, sendId));
  }

  setRole(channel: bigint, member: bigint, role: number, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.setRole(channel, member, role, sendId));
  }

  async stored(sendId: bigint): Promise<Message> {
    return this.sends_.wait(sendId);
  }

  async retry(sendId: bigint): Promise<Sending> {
    return this.run((session) => {
      const again = this.sends_.retried(sendId);
      if (!again) throw new Error(`no send ${sendId} has failed`);
      session.sendAgain(again.frame);
      this.keeper.add({ sends: [{ sendId, frame: again.frame }] });
      this.emitter.emit("send", again.sending);
      return again.sending;
    });
  }

  async discard(sendId: bigint): Promise<void> {
    if (!this.sends_.discard(sendId)) throw new Error(`no send ${sendId} has failed`);
    this.keeper.add({ settled: [sendId] });
    await this.keeper.flush();
  }

  async sends(): Promise<Sending[]> { return this.sends_.all(); }

  history(channel: bigint, window?: Window): Promise<History> {
    return this.asking((session) => session.history(channel, window));
  }

  async kept(channel: bigint, span: Partial<Span> = {}): Promise<Message[]> {
    await this.keeper.flush();
    return this.keeper.store.messages(channel, { limit: 50, newest: true, ...span });
  }

  around(channel: bigint, around: Around, limit?: number): Promise<History> {
    const [how, at] = "seq" in around ? [1, around.seq] as const : "timeMs" in around ? [2, around.timeMs] as const : [3, 0] as const;
    return this.asking((session) => session.historyAround(channel, how, at, limit));
  }

  thread(channel: bigint, root: number, window?: Window): Promise<ThreadPage> {
    return this.asking((session) => session.thread(channel, root, window));
  }

  async mentions(before?: number): Promise<Mentioned> {
    const { items, unread, more } = await this.asking<Mentioned>((session) => session.mentions(before));
    return { items, unread, more };
  }

  /** All pages of a list that is asked on behind its last item. */
  private async all<Item>(next: (session: Session, last: Item | undefined) => bigint): Promise<Item[]> {
    const all: Item[] = [];
    for (let more = true; more;) {
      const page = await this.asking<{ items: Item[]; more: boolean }>((session) => next(session, all.at(-1)));
      all.push(...page.items);
      more = page.more && page.items.length > 0;
    }
    return all;
  }

  async channels(): Promise<ChannelInfo[]> {
    const all = await this.all<ChannelInfo>((session, last) => session.list({ after: last?.channel }));
    this.tellChannels(this.list.put(all));
    await this.keeper.flush();
    return all;
  }

  async recent(window: ListWindow): Promise<Omit<ChannelPage, "request">> {
    const { request: _, ...page } = await this.asking<ChannelPage>((session) => session.list(window));
    const items = this.list.put(page.items);
    this.tellChannels(items);
    await this.keeper.flush();
    return { ...page, items };
  }

  async keptChannels(): Promise<ChannelInfo[]> { return this.list.all(); }

  members(channel: bigint): Promise<MemberItem[]> {
    return this.all((session, last) => session.members(channel, last?.user));
  }

  receipts(channel: bigint): Promise<ReceiptItem[]> {
    return this.all((session, last) => session.receipts(channel, last?.user));
  }

  async typing(channel: bigint, types: boolean): Promise<void> {
    if (!this.ended) this.dialler.run((session, nowMs) => session.typing(nowMs, channel, types));
  }

  async setPrefs(channel: bigint, prefs: Prefs, sendId?: bigint): Promise<Sending> {
    this.tellChannels([this.list.prefs(channel, prefs)]);
    return this.sending((session) => session.setPrefs(channel, prefs, sendId));
  }

  async markRead(channel: bigint, seq: number): Promise<void> {
    await this.asking((session) => session.markRead(channel, seq));
    this.tellChannels(this.list.read(channel, seq));
    await this.keeper.flush();
  }

  ask(method: Asked, path: string, body?: object): Promise<Record<string, unknown>> {
    return this.dialler.ask((token) => this.account.ask(method, path, body, token));
  }

  async draft(channel: bigint): Promise<string> {
    return this.drafts.get(channel) ?? "";
  }

  async setDraft(channel: bigint, text: string): Promise<void> {
    if (text) this.drafts.set(channel, text);
    else this.drafts.delete(channel);
    this.keeper.add({ draft: { channel, text } });
    await this.keeper.flush();
  }

  async status(): Promise<{ state: Session["state"]; storage: Keeper["state"] }> {
    return { state: this.ended ? "down" : this.session.state, storage: this.keeper.state };
  }

  async logout(): Promise<void> {
    await this.account.logout(this.dialler.token);
    this.dialler.stop();
    await this.keeper.flush();
    await this.keeper.store.erase();
    this.keeper.store.close();
  }

  async close(): Promise<void> {
    this.dialler.stop();
    await this.keeper.flush();
    this.keeper.store.close();
  }
}
