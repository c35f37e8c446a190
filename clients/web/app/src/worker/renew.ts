/**
 * The browser has taken the subscription away, or put another one in its place, perhaps while no page is open: the server is told of
 * the new one, by the device that the browser has kept.
 */
import { Account, AccountError, type Login } from "../../../sdk/src/dial/account.js";
import { IndexedStore } from "../../../sdk/src/store/indexed.js";

/** As the page calls device and store (state/chat.ts). */
const NAME = "maru";

interface Told {
  provider: string;
  this: boolean;
  preview: string;
  language: string;
  quiet_from: number;
  quiet_until: number;
  zone: string;
}

/** Does something with the device, unless a page has it: then that one is to do it. */
export async function withDevice(origin: string, work: (ask: Ask) => Promise<void>): Promise<boolean> {
  return navigator.locks.request(`maru:${NAME}`, { ifAvailable: true }, async (lock) => {
    if (!lock) return false;
    const store = await IndexedStore.open(NAME);
    try {
      const { login } = await store.load();
      if (login) await work(asker(new Account(origin), login, (next) => store.keep({ login: next })));
      return true;
    } finally {
      store.close();
    }
  });
}

type Ask = (method: string, path: string, body?: object) => Promise<Record<string, unknown>>;

/** The next pair of tokens is kept before it is used: the one before is used up. */
function asker(account: Account, first: Login, keep: (login: Login) => Promise<void>): Ask {
  let login = first;
  return async (method, path, body) => {
    try {
      return await account.ask(method, path, body, login.token);
    } catch (error) {
      if (!(error instanceof AccountError) || error.code !== "expired") throw error;
      login = await account.renew(login.refresh);
      await keep(login);
      return account.ask(method, path, body, login.token);
    }
  };
}

/** Tells the server where this device is told from now on, with what the user had set for it. */
export async function subscribeAgain(ask: Ask, subscribe: (key: string) => Promise<PushSubscription>): Promise<void> {
  const { key } = await ask("GET", "/v1/push/key") as { key: string };
  const { subscriptions } = await ask("GET", "/v1/push/subscriptions") as { subscriptions: Told[] };
  const before = subscriptions.find((one) => one.this && one.provider === "webpush");
  // The user has turned it off, or the server has given up on it: the page, when it is opened, knows which.
  if (!before) return;
  const { preview, language, quiet_from, quiet_until, zone } = before;
  const { endpoint, keys } = (await subscribe(key)).toJSON();
  await ask("POST", "/v1/push/subscriptions", { provider: "webpush", endpoint, ...keys, preview, language, quiet_from, quiet_until, zone });
}
