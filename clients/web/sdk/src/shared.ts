/**
 * One connection for all tabs of a browser. The tab that holds a Web Lock has the device; the others ask it over a
 * BroadcastChannel and are told of its events. When that tab is closed, its lock goes to another one, which opens the
 * device from what was kept; what had no answer is asked again there. A send is given its id in the tab where it was made,
 * so that asking twice sends once.
 */
import type { Chat, ChatEvents } from "./chat.js";
import { AccountError } from "./dial/account.js";
import { Emitter } from "./emitter.js";
import { Refusal } from "./session/check.js";
import { BUSY_RETRY_MS } from "./session/limits.js";

/** The part of the web's LockManager that is used. */
export interface Locks {
  request(name: string, options: { signal?: AbortSignal }, held: () => Promise<void>): Promise<unknown>;
}
/** The part of the web's BroadcastChannel that is used. */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: { data: unknown }) => void) | null;
  close(): void;
}

export interface SharedOptions {
  /** Tabs with the same name share. One name a device. */
  name: string;
  /** Opens the device, in the tab that has it from then on. */
  open: () => Promise<Chat>;
  locks?: Locks;
  channel?: Channel;
}

type Command = { [Name in keyof Chat]: Chat[Name] extends (...args: never[]) => Promise<unknown> ? Name : never }[keyof Chat];

/** What can be asked of the tab that has the device; of a send, where its id stands. */
const COMMANDS: Record<Exclude<Command, "close">, number | undefined> = {
  send: 2, createGroup: 2, addMembers: 2, inviteMembers: 2, removeMember: 2, join: 1, grow: 1, leave: 1, rename: 2, setRole: 3, setPrefs: 2,
  edit: 3, react: 4, recall: 2, pin: 3, about: undefined,
  watch: undefined, unwatch: undefined, presence: undefined, setPresence: undefined, ownPresence: undefined, idle: undefined,
  subscribePush: undefined, unsubscribePush: undefined, setPush: undefined, push: undefined,
  stored: undefined, retry: undefined, discard: undefined, sends: undefined, history: undefined, around: undefined, thread: undefined, mentions: undefined,
  kept: undefined, recent: undefined, receipts: undefined, typing: undefined, ask: undefined,
  channels: undefined, keptChannels: undefined, members: undefined, memberPage: undefined, markRead: undefined, draft: undefined, drafts: undefined,
  setDraft: undefined, status: undefined, logout: undefined,
};
const EVENTS: (keyof ChatEvents)[] = [
  "state", "message", "send", "channel", "heads", "receipts", "typing", "presence", "ownPresence", "draft", "resync", "storage", "end",
];

/** Calls of a tab that wait; one above is refused at once. */
const CALLS_MAX = 1024;

interface Call {
  type: "call";
  /** Of all tabs' calls this one: random. */
  id: string;
  command: Exclude<Command, "close">;
  args: unknown[];
}
type Fault = { text: string; refusal?: { code: string; path: string; retryAfterMs: number }; account?: { code: string; retryAfterMs: number } };
type Said =
  | Call
  | { type: "answer"; id: string; result: unknown; fault?: Fault }
  | { type: "event"; name: keyof ChatEvents; event: unknown }
  /** A tab asks who has the device; it answers, and says so when it has just got it. */
  | { type: "who" }
  | { type: "leader"; user: bigint };

function faultOf(error: unknown): Fault {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof Refusal) return { text, refusal: { code: error.code, path: error.path, retryAfterMs: error.retryAfterMs } };
  return error instanceof AccountError ? { text, account: { code: error.code, retryAfterMs: error.retryAfterMs } } : { text };
}

function errorOf({ text, refusal, account }: Fault): Error {
  if (account) return new AccountError(account.code, text, account.retryAfterMs);
  if (!refusal) return new Error(text);
  const error = new Refusal(refusal.code as Refusal["code"], refusal.path, text, refusal.retryAfterMs);
  // The text has the path in it already.
  error.message = text;
  return error;
}

class Tab {
  readonly emitter = new Emitter<ChatEvents>();
  private readonly calls = new Map<string, { call: Call; resolve(result: unknown): void; reject(error: Error): void }>();
  private readonly left = new AbortController();
  private chat: Chat | undefined;
  private leave: () => void = () => {};
  private found: (user: bigint) => void = () => {};
  private failed: (error: unknown) => void = () => {};
  /** Whose device it is: known once a tab has it. */
  readonly user = new Promise<bigint>((resolve, reject) => [this.found, this.failed] = [resolve, reject]);

  constructor(private readonly options: SharedOptions, private readonly channel: Channel, locks: Locks | undefined) {
    channel.onmessage = ({ data }) => this.take(data as Said);
    this.say({ type: "who" });
    const lead = () => this.lead();
    // Without locks (a page over http that is not of this machine) every tab has the device to itself, and the server
    // lets the newest have it.
    const leading = locks ? locks.request(`maru:${options.name}`, { signal: this.left.signal }, lead) : lead();
    leading.catch((error: unknown) => this.failed(error));
    this.user.catch(() => {});
  }

  private say(said: Said): void {
    this.channel.postMessage(said);
  }

  /** This tab has the device, until it leaves. */
  private async lead(): Promise<void> {
    if (this.left.signal.aborted) return;
    const chat = await this.options.open();
    for (const name of EVENTS) {
      chat.on(name, (event) => {
        // That this tab goes away is no news of the device: another tab has it next.
        if (this.left.signal.aborted) return;
        this.say({ type: "event", name, event });
        this.emitter.emit(name, event);
      });
    }
    this.chat = chat;
    this.found(chat.user);
    this.say({ type: "leader", user: chat.user });
    for (const { call } of this.calls.values()) void this.carryOut(call).then((answer) => this.answered(answer));
    // The lock is held as long as this does not end. A device that has ended keeps it: another tab would fare no better.
    if (!this.left.signal.aborted) await new Promise<void>((resolve) => { this.leave = resolve; });
    await chat.close();
  }

  private take(said: Said): void {
    switch (said.type) {
      case "who":
        if (this.chat) this.say({ type: "leader", user: this.chat.user });
        return;
      case "leader":
        this.found(said.user);
        for (const { call } of this.calls.values()) this.say(call);
        return;
      case "event": return this.emitter.emit(said.name, said.event as never);
      case "answer": return this.answered(said);
      case "call":
        if (this.chat) void this.carryOut(said).then((answer) => this.say(answer));
    }
  }

  private async carryOut({ id, command, args }: Call): Promise<Extract<Said, { type: "answer" }>> {
    try {
      if (!Object.hasOwn(COMMANDS, command)) throw new Error(`no command ${command}`);
      const chat = this.chat as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      return { type: "answer", id, result: await chat[command]?.(...args) };
    } catch (error) {
      return { type: "answer", id, result: undefined, fault: faultOf(error) };
    }
  }

  private answered({ id, result, fault }: Extract<Said, { type: "answer" }>): void {
    const call = this.calls.get(id);
    this.calls.delete(id);
    if (fault) call?.reject(errorOf(fault));
    else call?.resolve(result);
  }

  call(command: Call["command"], args: unknown[]): Promise<unknown> {
    if (this.left.signal.aborted) return Promise.reject(new Error("this tab has left"));
    if (this.calls.size >= CALLS_MAX) return Promise.reject(new Refusal("busy", "", `${CALLS_MAX} calls wait for their answers`, BUSY_RETRY_MS));
    const place = COMMANDS[command];
    if (place !== undefined) args[place] ??= newSendId();
    const call: Call = { type: "call", id: newSendId().toString(), command, args };
    return new Promise((resolve, reject) => {
      this.calls.set(call.id, { call, resolve, reject });
      if (this.chat) void this.carryOut(call).then((answer) => this.answered(answer));
      else this.say(call);
    });
  }

  /** Goes away; another tab gets the device. */
  async close(): Promise<void> {
    this.left.abort(new Error("this tab has left"));
    await this.chat?.close();
    this.leave();
    for (const { reject } of this.calls.values()) reject(new Error("this tab has left"));
    this.calls.clear();
    this.channel.close();
  }
}

/** Random, below 2^63 as send ids of a session are. */
const newSendId = (): bigint => ((crypto.getRandomValues(new BigUint64Array(1))[0] as bigint) >> 1n) || 1n;

/** A device that this tab shares with the others of its name. Resolves once one of them has it. */
export async function openShared(options: SharedOptions): Promise<Chat> {
  const { name, locks = globalThis.navigator?.locks as Locks | undefined, channel } = options;
  const tab = new Tab(options, channel ?? (new BroadcastChannel(`maru:${name}`) as unknown as Channel), locks);
  let user: bigint;
  try {
    user = await tab.user;
  } catch (error) {
    await tab.close();
    throw error;
  }
  const commands = Object.keys(COMMANDS).map((command) => [command, (...args: unknown[]) => tab.call(command as Call["command"], args)]);
  return {
    ...Object.fromEntries(commands), user, on: tab.emitter.on.bind(tab.emitter), close: () => tab.close(),
  } as unknown as Chat;
}
