/** The device of this browser: whether there is one, how it is connected, and its channels. */
import { Account, AccountError, type Chat, type ChannelInfo, type End, isShown, type Login, Maru, openShared, openStore, Refusal, type Sending } from "@maru/sdk";
import { batch, signal } from "@preact/signals";
import { t } from "../words/words.js";
import { forget } from "./kept.js";
import { goTo, say } from "./look.js";

export type Phase = "starting" | "out" | "in";
export const phase = signal<Phase>("starting");
/** Said above the login. */
export const outBecause = signal("");
export const account = new Account(location.origin);
export const connection = signal<{ state: string; retryAtMs?: number }>({ state: "down" });
export const storage = signal("lasting");
export const ended = signal<End | undefined>(undefined);
export const channels = signal<ReadonlyMap<bigint, ChannelInfo>>(new Map());
/** Own sends that are not stored, oldest first. */
export const sends = signal<readonly Sending[]>([]);
/** Who types where. */
export const typists = signal<ReadonlyMap<bigint, readonly bigint[]>>(new Map());
/** Whether the first page of channels is here, from the server or from what is kept. */
export const isListed = signal(false);

const NAME = "maru";
const FIRST_PAGE = 60;
const NEXT_PAGE = 200;

let chat_: Chat | undefined;
/** The device. Only asked for while there is one. */
export function chat(): Chat {
  if (!chat_) throw new Error("no device is open");
  return chat_;
}
export const me = (): bigint => chat_?.user ?? 0n;

/** What an error says to a person. */
export function wordsOf(error: unknown): string {
  if (error instanceof AccountError && error.code === "unreachable") return t("unreachable");
  if (error instanceof AccountError && error.code === "wrong_credentials") return t("wrongCredentials");
  if (error instanceof Refusal || error instanceof Error) return error.message;
  return String(error);
}
/** Does something, and says so when it does not work. */
export async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    say(t("error", wordsOf(error)), true);
    return undefined;
  }
}

/** Goes on with the device that this browser has kept, if there is one. */
export async function start(): Promise<void> {
  try {
    const store = await openStore(NAME);
    const { login } = await store.load();
    store.close();
    if (!login) phase.value = "out";
    else await enter();
  } catch (error) {
    outBecause.value = t("openFailed", wordsOf(error));
    phase.value = "out";
  }
}

/** Opens the device in this tab, or finds the tab that has it. */
export async function enter(login?: Login): Promise<void> {
  const open = async () => Maru.open({ server: location.origin, store: await openStore(NAME), begin: "newest", ...(login && { login }) });
  const chat = await openShared({ name: NAME, open });
  chat_ = chat;
  listen(chat);
  const [items, waiting, { state, storage: kept }] = await Promise.all([chat.keptChannels(), chat.sends(), chat.status()]);
  batch(() => {
    ended.value = undefined;
    channels.value = new Map(items.map((item) => [item.channel, item]));
    isListed.value = items.length > 0;
    sends.value = waiting.filter((send) => !isVain(send));
    connection.value = { state };
    storage.value = kept;
    phase.value = "in";
  });
  for (const send of waiting) if (isVain(send)) void discard(send.sendId);
  if (state === "live") void readList(chat);
}

/** A reaction, an edit, a note that was refused for good: nothing stands in the conversation that could be sent again. */
const isVain = (send: Sending): boolean => send.state === "failed" && !isShown(send);

function listen(chat: Chat): void {
  let isNew = true;
  const isOther = () => chat !== chat_;
  chat.on("state", (state) => {
    if (isOther()) return;
    connection.value = state;
    if (state.state === "live" && isNew) {
      isNew = false;
      void readList(chat);
    }
  });
  chat.on("channel", (item) => {
    if (!isOther()) changed.set(item.channel, item);
    soon();
  });
  chat.on("send", (send) => {
    if (isOther()) return;
    if (isVain(send)) {
      say(t("error", send.failure?.text ?? ""), true);
      void discard(send.sendId);
    } else sends.value = withSend(sends.value, send);
  });
  chat.on("typing", ({ channel, user, types }) => {
    const others = (typists.value.get(channel) ?? []).filter((other) => other !== user);
    typists.value = new Map(typists.value).set(channel, types ? [...others, user] : others);
  });
  chat.on("resync", () => {
    channels.value = new Map();
    isNew = true;
  });
  chat.on("storage", (event) => { storage.value = event.storage; });
  chat.on("end", (end) => { if (!isOther()) void leave(end); });
}

function withSend(before: readonly Sending[], send: Sending): readonly Sending[] {
  const at = before.findIndex(({ sendId }) => sendId === send.sendId);
  if (send.state === "stored") return before.filter(({ sendId }) => sendId !== send.sendId);
  return at < 0 ? [...before, send] : before.with(at, send);
}

/** Changes of many channels at one moment are one change of the page. */
const changed = new Map<bigint, ChannelInfo>();
function soon(): void {
  queueMicrotask(() => {
    if (changed.size === 0) return;
    channels.value = new Map([...channels.value, ...changed]);
    changed.clear();
  });
}

/** The newest channels first, so that a first screen is one small page; the rest behind it. */
async function readList(chat: Chat): Promise<void> {
  try {
    let page = await chat.recent({ order: 1, limit: FIRST_PAGE });
    isListed.value = true;
    while (page.more && chat === chat_) {
      page = await chat.recent({ order: 1, generation: page.generation, at: page.next, limit: NEXT_PAGE });
    }
  } catch (error) {
    if (chat === chat_) say(t("error", wordsOf(error)), true);
  }
}

/** The device came to an end, here or elsewhere. */
async function leave(end: End): Promise<void> {
  ended.value = end;
  if (end.why === "replaced" || end.why === "refused") return;
  const chat = chat_;
  chat_ = undefined;
  await chat?.close();
  forget("people");
  batch(() => {
    channels.value = new Map();
    sends.value = [];
    isListed.value = false;
    outBecause.value = end.why === "loggedOut" ? t("loggedOutElsewhere") : "";
    phase.value = "out";
  });
  goTo(undefined);
}

/** A change of a group, which somebody waits for: one that is refused is no message to keep and to try again. */
export async function carryOut(work: () => Promise<Sending>): Promise<Sending> {
  const send = await work();
  try {
    await chat().stored(send.sendId);
  } catch (error) {
    await discard(send.sendId);
    throw error;
  }
  return send;
}

export async function discard(sendId: bigint): Promise<void> {
  // Another tab may have been faster.
  await chat().discard(sendId).catch(() => {});
  sends.value = sends.value.filter((send) => send.sendId !== sendId);
}
