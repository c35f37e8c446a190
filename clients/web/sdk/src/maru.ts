/** One device: a session, its connection, and what it keeps. */
import type { Around, Asked, Chat, MemberPage, Mentioned, Sending } from "./chat.js";
import type { Login } from "./dial/account.js";
import { Device, type Options } from "./device.js";
import type { MemberItem, OwnPresence, PresenceItem, Push, ReceiptItem, SubscribePush } from "./generated.js";
import type { ChannelInfo, History, Message, Prefs, Said, Talk, ThreadPage } from "./session/event.js";
import type { Window } from "./session/asks.js";
import type { Session } from "./session/session.js";
import type { Keeper } from "./store/keeper.js";
import { MemoryStore } from "./store/memory.js";
import type { Kept, Span, Store } from "./store/store.js";

export type { Options } from "./device.js";

export class Maru extends Device implements Chat {
  private constructor(options: Options, store: Store, kept: Kept, login: Login) {
    super(options, store, kept, login);
  }

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

  send(channel: bigint, text: string, sendId?: bigint, talk?: Talk): Promise<Sending> {
    return this.sending((session) => talk ? session.sendTalk(channel, text, talk, sendId) : session.sendText(channel, text, sendId));
  }

  edit(channel: bigint, seq: number, text: string, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.edit(channel, seq, text, sendId));
  }

  react(channel: bigint, seq: number, emoji: string, on: boolean, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.react(channel, seq, emoji, on, sendId));
  }

  recall(channel: bigint, seq: number, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.recall(channel, seq, sendId));
  }

  pin(channel: bigint, seq: number, on: boolean, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.pin(channel, seq, on, sendId));
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

  grow(channel: bigint, sendId?: bigint): Promise<Sending> {
    return this.sending((session) => session.grow(channel, sendId));
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

  async sends(): Promise<Sending[]> { return this.sends_.all().filter(({ content }) => content.type !== "draft"); }

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

  async about(channel: bigint, from: number, through?: number, who?: boolean): Promise<Said> {
    const { said } = await this.asking<{ said: Said }>((session) => session.about(channel, from, through, who));
    return said;
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

  async keptChannels(): Promise<ChannelInfo[]> { return this.list.all(); }

  members(channel: bigint): Promise<MemberItem[]> {
    return this.all((session, last) => session.members(channel, last?.user));
  }

  async memberPage(channel: bigint, after?: bigint, limit?: number): Promise<MemberPage> {
    const { items, more, total } = await this.asking<MemberPage>((session) => session.members(channel, after, limit));
    return { items, more, ...(total !== undefined && { total }) };
  }

  receipts(channel: bigint): Promise<ReceiptItem[]> {
    return this.all((session, last) => session.receipts(channel, last?.user));
  }

  async typing(channel: bigint, types: boolean): Promise<void> {
    if (!this.ended) this.dialler.run((session, nowMs) => session.typing(nowMs, channel, types));
  }

  async watch(users: bigint[]): Promise<PresenceItem[]> {
    this.run((session) => session.watch(users));
    return users.flatMap((user) => this.present.get(user) ?? []);
  }

  async unwatch(users: bigint[]): Promise<void> {
    this.run((session) => session.unwatch(users));
    for (const user of users) this.present.delete(user);
  }

  presence(users: bigint[]): Promise<PresenceItem[]> {
    return this.asking((session) => session.presence(users));
  }

  async setPresence(shows: number, status?: string, statusUntilMs?: number): Promise<void> {
    await this.asking((session) => session.setPresence(shows, status, statusUntilMs));
  }

  async subscribePush(wish: Partial<SubscribePush> & { provider: number }): Promise<void> {
    await this.asking((session) => session.subscribePush(wish));
  }

  async unsubscribePush(provider: number, device?: bigint): Promise<void> {
    await this.asking((session) => session.unsubscribePush(provider, device));
  }

  async setPush(isOff: boolean): Promise<void> {
    await this.asking((session) => session.setPush(isOff));
  }

  push(): Promise<Push> {
    return this.asking((session) => session.push());
  }

  ownPresence(): Promise<OwnPresence> {
    return this.asking((session) => session.ownPresence());
  }

  async idle(isIdle: boolean): Promise<void> {
    if (!this.ended) this.dialler.run((session) => session.idle(isIdle));
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

  async draft(channel: bigint, thread?: number): Promise<string> {
    return this.drafts_.text(channel, thread);
  }

  async drafts(): Promise<{ channel: bigint; thread: number; text: string }[]> { return this.drafts_.texts(); }

  async setDraft(channel: bigint, text: string, isLeft?: boolean, thread?: number): Promise<void> {
    this.writeDraft(channel, text, isLeft, thread);
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
