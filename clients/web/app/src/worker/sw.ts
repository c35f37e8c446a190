/** The service worker: shows what is pushed while no page is open, and starts the app without a network. */
import { readNotice, type Shown } from "./notice.js";
import { subscribeAgain, withDevice } from "./renew.js";
import { answerOf, type Build, forgetOthers, keepShell } from "./shell.js";

declare const self: ServiceWorkerGlobalScope;
/** Put in by vite.worker.config.ts. */
declare const BUILD: Build;

const ICON = BUILD.files.find((name) => name.includes("/icon-192"));

self.addEventListener("install", (event) => {
  // Without its files the worker still shows what is pushed.
  event.waitUntil(keepShell(BUILD).catch(() => {}).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => event.waitUntil(forgetOthers(BUILD).then(() => self.clients.claim())));

self.addEventListener("fetch", (event) => {
  const answer = answerOf(BUILD, event.request, self.location.origin, () => fetch(event.request));
  if (answer) event.respondWith(answer);
});

self.addEventListener("push", (event) => event.waitUntil(tell(event.data?.text() ?? "")));

async function tell(text: string): Promise<void> {
  const notice = readNotice(text);
  if (notice?.isWithdrawn) await takeAway(notice.tag, notice.seq);
  else {
    // A browser lets nobody be pushed to unseen: what cannot be read is shown as that.
    const { title, body, tag, channel, seq } = notice ?? { title: "Maru", body: "", tag: "maru", channel: undefined, seq: 0 };
    const data: Shown = { ...(channel && { channel }), seq };
    await self.registration.showNotification(title, { body, tag, data, dir: "auto", renotify: true, ...(ICON && { icon: ICON }) } as NotificationOptions);
  }
  const count = notice?.badge;
  if (count !== undefined) await (count > 0 ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.());
}

async function takeAway(tag: string, seq: number): Promise<void> {
  for (const shown of await self.registration.getNotifications({ tag })) if ((shown.data as Shown).seq <= seq) shown.close();
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data as Shown));
});

/** Goes to the conversation: in a page that is open, or in a new one. */
async function open({ channel, seq }: Shown): Promise<void> {
  const place = channel ? `#/c/${channel}${seq > 0 ? `/${seq}` : ""}` : "";
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find(({ visibilityState }) => visibilityState === "visible") ?? pages[0];
  if (!page) return void await self.clients.openWindow(`/${place}`);
  page.postMessage({ type: "open", place });
  // A browser may not let it come to the front.
  await page.focus().catch(() => {});
}

self.addEventListener("pushsubscriptionchange", (event) => {
  const { newSubscription } = event as ExtendableEvent & { newSubscription?: PushSubscription | null };
  (event as ExtendableEvent).waitUntil(renew(newSubscription ?? undefined));
});

async function renew(next: PushSubscription | undefined): Promise<void> {
  const subscribe = async (key: string) => next ?? self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const isDone = await withDevice(self.location.origin, (ask) => subscribeAgain(ask, subscribe));
  if (isDone) return;
  for (const page of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) page.postMessage({ type: "resubscribe" });
}

self.addEventListener("message", (event) => {
  // A page asks whether it is of this build.
  if ((event.data as { type?: unknown } | null)?.type === "build") event.source?.postMessage({ type: "build", files: BUILD.files });
});
