/** Notifications in this browser while no page of Maru's is open: the user asks for them here, and the server is told where. */
import { effect, signal } from "@preact/signals";
import { language } from "../words/words.js";
import { channels, chat, connection, phase } from "./chat.js";
import { forget, keep, kept } from "./kept.js";
import { hasWorkers, registration } from "./worker.js";

/** `unsupported`: this browser cannot. `denied`: its user has forbidden it, and only the browser's own settings change that. */
export type Push = "unsupported" | "denied" | "off" | "on";
export type Preview = "none" | "sender" | "text";
export interface Wishes {
  preview: Preview;
  /** Minutes of the day, in this browser's time zone; the same twice for no quiet hours. */
  quietFrom: number;
  quietUntil: number;
}

const WISHES: Wishes = { preview: "sender", quietFrom: 0, quietUntil: 0 };
/** What is read elsewhere is taken from the screen so long after it is known. */
const TAKE_AWAY_MS = 500;

export const wishes = signal<Wishes>(WISHES);
export const push = signal<Push>("off");

interface Told {
  provider: string;
  this: boolean;
  preview: Preview;
  quiet_from: number;
  quiet_until: number;
  zone: string;
  language: string;
}

export const zoneHere = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;
const isAble = (): boolean => hasWorkers() && "PushManager" in globalThis && "Notification" in globalThis;

/** The user asked for it by a click: now the browser may be made to ask, too. Throws what did not work. */
export async function turnOn(next: Wishes): Promise<void> {
  if (await Notification.requestPermission() !== "granted") {
    push.value = Notification.permission === "denied" ? "denied" : "off";
    return;
  }
  await subscribe(next);
  push.value = "on";
  keep("push", "on");
}

/** Subscribes this browser, if it is not, and tells the server where and how. */
async function subscribe(next: Wishes): Promise<void> {
  const { pushManager } = await registration();
  const { key } = await chat().ask("GET", "/v1/push/key") as { key: string };
  let subscription = await pushManager.getSubscription();
  // Of another server key: what is pushed with this one would be refused.
  const isOther = subscription?.options.applicationServerKey && base64url(subscription.options.applicationServerKey) !== key;
  if (subscription && isOther) {
    await subscription.unsubscribe();
    subscription = null;
  }
  subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = subscription.toJSON();
  await chat().ask("POST", "/v1/push/subscriptions", {
    provider: "webpush", endpoint, ...keys, preview: next.preview, language: language.peek(),
    quiet_from: next.quietFrom, quiet_until: next.quietUntil, zone: zoneHere(),
  });
  keep("push.endpoint", endpoint ?? "");
  wishes.value = next;
}

const base64url = (bytes: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** Changes how it is told: it is shown at once, and taken back when it does not work. */
export async function wish(change: Partial<Wishes>): Promise<void> {
  const before = wishes.peek();
  wishes.value = { ...before, ...change };
  try {
    await subscribe(wishes.peek());
  } catch (error) {
    wishes.value = before;
    throw error;
  }
}

export async function turnOff(): Promise<void> {
  await chat().ask("DELETE", "/v1/push/subscriptions/webpush");
  await unsubscribe();
  push.value = "off";
}

/** Nothing is shown in this browser any more, of whoever used it. */
async function unsubscribe(): Promise<void> {
  forget("push");
  forget("push.endpoint");
  if (!isAble()) return;
  const worker = await registration();
  await (await worker.pushManager.getSubscription())?.unsubscribe();
  for (const shown of await worker.getNotifications()) shown.close();
  await navigator.clearAppBadge?.();
}

/** Compares what the browser and the server have, and mends what has come apart: a subscription that ended, another time zone. */
async function mend(): Promise<void> {
  if (!isAble()) {
    push.value = "unsupported";
    return;
  }
  const isDenied = Notification.permission === "denied";
  push.value = isDenied ? "denied" : "off";
  const isWanted = kept("push") === "on";
  if (!isWanted) return;
  const { subscriptions } = await chat().ask("GET", "/v1/push/subscriptions") as unknown as { subscriptions: Told[] };
  const told = subscriptions.find((one) => one.this && one.provider === "webpush");
  if (Notification.permission !== "granted") {
    if (told) await chat().ask("DELETE", "/v1/push/subscriptions/webpush");
    return;
  }
  const known: Wishes = told ? { preview: told.preview, quietFrom: told.quiet_from, quietUntil: told.quiet_until } : wishes.peek();
  const subscription = await (await registration()).pushManager.getSubscription();
  // The server removes what its push service calls dead: the browser has to have another one.
  if (!told) await subscription?.unsubscribe();
  const isSame = told?.zone === zoneHere() && told.language === language.peek() && subscription?.endpoint === kept("push.endpoint");
  if (isSame) wishes.value = known;
  else await subscribe(known);
  push.value = "on";
}

/** Looks again at the next connection, should it fail now. */
let isMended = false;
export function mendPush(): void {
  isMended = true;
  mend().catch(() => { isMended = false; });
}

let wasIn = false;
effect(() => {
  const now = phase.value;
  if (now === "out" && wasIn) {
    [push.value, wishes.value, isMended] = ["off", WISHES, false];
    unsubscribe().catch(() => {});
  }
  wasIn = now === "in";
});
effect(() => {
  const isLive = phase.value === "in" && connection.value.state === "live";
  if (isLive && !isMended) mendPush();
});

// What is pushed is written in the language of the app.
let spoken = language.peek();
effect(() => {
  const isNew = language.value !== spoken;
  spoken = language.value;
  if (isNew && push.peek() === "on") void wish({}).catch(() => {});
});

// What was read, here or on another device, is shown no more.
let taking: ReturnType<typeof setTimeout> | undefined;
effect(() => {
  void channels.value;
  if (phase.value === "in" && push.value === "on") taking ??= setTimeout(() => void takeAway().catch(() => {}), TAKE_AWAY_MS);
});

async function takeAway(): Promise<void> {
  taking = undefined;
  for (const shown of await (await registration()).getNotifications()) {
    const { channel, seq } = (shown.data ?? {}) as { channel?: string; seq?: number };
    const item = channel === undefined ? undefined : channels.peek().get(BigInt(channel));
    if (item && item.read >= (seq ?? 0)) shown.close();
  }
}

if (hasWorkers()) {
  navigator.serviceWorker.addEventListener("message", ({ data }: MessageEvent<{ type: string }>) => { if (data.type === "resubscribe") mendPush(); });
}
