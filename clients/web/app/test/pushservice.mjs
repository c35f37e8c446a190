/**
 * A push service on loopback, and the browser's half of one: headless Chromium knows no service that could be reached, so a page's
 * `PushManager` subscribes here. Keys and encryption are real; what comes is opened by http_ece, which is none of ours.
 */
import assert from "node:assert/strict";
import { createECDH, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { until } from "./wait.mjs";

const ece = createRequire(new URL("../../sdk/package.json", import.meta.url))("http_ece");

export class PushService {
  /** What was pushed, opened: the subscription's id, the request's headers, the text. */
  pushed = [];
  #keys = new Map();
  #gone = new Set();
  #made = 0;

  static async start() {
    const service = new PushService();
    service.http = createServer((request, response) => {
      const parts = [];
      request.on("data", (part) => parts.push(part)).on("end", () => {
        const id = request.url.slice(1);
        const keys = service.#keys.get(id);
        if (!keys || service.#gone.has(id)) return response.writeHead(410).end();
        const text = ece.decrypt(Buffer.concat(parts), { version: "aes128gcm", privateKey: keys.private, authSecret: keys.auth }).toString();
        service.pushed.push({ id, headers: request.headers, text });
        return response.writeHead(201).end();
      });
    });
    await new Promise((resolve) => service.http.listen(0, "127.0.0.1", resolve));
    return service;
  }

  get address() {
    return `127.0.0.1:${this.http.address().port}`;
  }

  subscribe() {
    const pair = createECDH("prime256v1");
    pair.generateKeys();
    const id = `subscription-${++this.#made}`;
    const auth = randomBytes(16).toString("base64url");
    this.#keys.set(id, { private: pair, auth });
    return { id, endpoint: `http://${this.address}/${id}`, keys: { p256dh: pair.getPublicKey().toString("base64url"), auth } };
  }

  /** From now on it answers 410 for it. */
  end(id) {
    this.#gone.add(id);
  }

  /** The next push of a subscription, taken from what was pushed. */
  async next(id) {
    await until(() => this.pushed.some((push) => push.id === id));
    const [push] = this.pushed.splice(this.pushed.findIndex((one) => one.id === id), 1);
    return { ...push, said: JSON.parse(push.text) };
  }

  close() {
    this.http.closeAllConnections();
    return new Promise((resolve) => this.http.close(resolve));
  }
}

/** A person's browser subscribes at the service; everything else of it is Chromium's own. What it holds now is `at.subscription`. */
export async function subscribeAt(context, service) {
  const at = { subscription: undefined, asked: 0 };
  await context.grantPermissions(["notifications"]);
  await context.exposeFunction("pushService", (what) => {
    if (what === "subscribe") at.subscription ??= service.subscribe();
    if (what === "unsubscribe") {
      service.end(at.subscription?.id);
      at.subscription = undefined;
    }
    if (what === "asked") at.asked += 1;
    return at.subscription;
  });
  await context.addInitScript(() => {
    const bytesOf = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0)).buffer;
    const shown = (held, key) => held && {
      endpoint: held.endpoint, expirationTime: null, options: { userVisibleOnly: true, applicationServerKey: key },
      toJSON: () => ({ endpoint: held.endpoint, expirationTime: null, keys: held.keys }),
      unsubscribe: async () => Boolean(await window.pushService("unsubscribe")) || true,
    };
    PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
      if (!userVisibleOnly) throw new DOMException("must be visible", "NotAllowedError");
      sessionStorage.pushKey = applicationServerKey;
      return shown(await window.pushService("subscribe"), bytesOf(applicationServerKey));
    };
    PushManager.prototype.getSubscription = async () => {
      const key = sessionStorage.pushKey;
      return shown(await window.pushService("held"), key ? bytesOf(key) : null) ?? null;
    };
    const request = Notification.requestPermission.bind(Notification);
    Notification.requestPermission = async () => {
      await window.pushService("asked");
      return request();
    };
  });
  return at;
}

/** The service worker of a browser, and the way in which a push service would wake it. */
export class Worker {
  static async of(person) {
    const worker = new Worker();
    worker.person = person;
    worker.session = await person.context.newCDPSession(person.page);
    worker.session.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      for (const { registrationId, scopeURL, isDeleted } of registrations) if (!isDeleted && scopeURL.startsWith(person.server.url)) worker.id = registrationId;
    });
    await worker.session.send("ServiceWorker.enable");
    await until(() => worker.id !== undefined);
    return worker;
  }

  async deliver(text) {
    await this.session.send("ServiceWorker.deliverPushMessage", { origin: this.person.server.url, registrationId: this.id, data: text });
  }

  /** Runs in the worker, which the browser may have ended and begun anew. */
  async run(work, given) {
    let result;
    await until(async () => {
      const all = this.person.context.serviceWorkers();
      for (const one of all.reverse()) {
        try {
          result = await one.evaluate(work, given);
          return true;
        } catch (error) {
          if (!/closed|destroyed|crashed/i.test(String(error))) throw error;
        }
      }
      return false;
    });
    return result;
  }

  shown() {
    return this.run(async () => (await self.registration.getNotifications()).map(({ title, body, tag, data }) => ({ title, body, tag, data })));
  }

  async untilShown(is) {
    await until(async () => is(await this.shown()));
    return this.shown();
  }

  /** As if its user clicked the notification of this channel. What a script makes is trusted less than a click: it waits for nothing,
   * and may open no window, which is written down instead. */
  click(tag) {
    return this.run(async (of) => {
      const [notification] = await self.registration.getNotifications({ tag: of });
      const event = new NotificationEvent("notificationclick", { notification });
      const [opened, waits] = [[], []];
      event.waitUntil = (work) => waits.push(work);
      self.clients.openWindow = async (url) => { opened.push(url); };
      self.dispatchEvent(event);
      await Promise.all(waits);
      return opened;
    }, tag);
  }
}

export function assertPush({ headers }, isUrgent) {
  assert.match(headers.authorization, /^vapid t=[\w-]+\.[\w-]+\.[\w-]+, ?k=[\w-]+$/);
  assert.deepEqual([headers["content-encoding"], headers.urgency, /^[\w-]{32}$/.test(headers.topic)], ["aes128gcm", isUrgent ? "high" : "normal", true]);
}
