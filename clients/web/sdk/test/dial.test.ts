/** Dialling: a way and a control plane that do what a test says, and the real clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChatEvents } from "../src/chat.js";
import { Close, Code, Complete, Hello, Reject, SendText, Welcome } from "../src/generated.js";
import { read } from "../src/frame.js";
import { Account, AccountError, directChannel, Frame, type LinkEvents, type Login, Maru, MemoryStore, type Transport } from "../src/index.js";
import { stamped } from "./golden.js";
import { next } from "./server.js";

const LOGIN: Login = { user: 10n, device: 1n, token: "first", expiresMs: 9e9, refresh: "refresh", chat: "ws://old/ws" };
const welcomeOf = (generation: number, at: number): Frame => Frame.of(Welcome, 0n, {
  user: 10n, device: 1n, generation, start: at, head: at, timeMs: 0, expiresMs: 9e9, heartbeatMs: 30_000, groupMembersMax: 100, kinds: [],
});

/** A server: what it is dialled for, and what it says to a Hello. */
class World {
  dialled: string[] = [];
  asked: string[] = [];
  links: LinkEvents[] = [];
  closed = 0;
  /** Where somebody answers. */
  places = new Set(["ws://old/ws"]);
  tokens = new Set(["first"]);
  route = "ws://old/ws";
  renewals = ["second", "third", "fourth"];
  welcome = welcomeOf(5, 0);

  readonly transport: Transport = ({ chat }, events) => {
    this.dialled.push(chat);
    const isThere = this.places.has(chat);
    setImmediate(() => (isThere ? events.opened() : events.closed(1006, "nobody")));
    this.links.push(events);
    return { isFull: false, send: (frames) => this.hear(frames, events), close: () => { this.closed += 1; } };
  };

  private hear(frames: Frame[], events: LinkEvents): void {
    for (const frame of frames) {
      const token = read(Hello, frame)?.token;
      if (token === undefined) continue;
      const reject = { code: Code.expired, retryAfterMs: 0, path: "token", text: "it has ended" };
      const answer = this.tokens.has(token) ? this.welcome : Frame.of(Reject, frame.id, reject);
      setImmediate(() => {
        events.received([answer]);
        if (answer !== this.welcome) events.closed(Close.unauthenticated, "");
      });
    }
  }

  readonly fetch = async (url: string): Promise<Response> => {
    const { pathname } = new URL(url);
    this.asked.push(pathname);
    if (pathname === "/v1/route") return Response.json({ chat: this.route });
    const token = this.renewals.shift();
    if (!token) return Response.json({ code: "token_reused", detail: "it was used", retry_after_ms: 0 }, { status: 401 });
    return Response.json({ user: "10", device: "1", token, expires_ms: 9e9, refresh: `after ${token}`, chat: this.route });
  };

  open(store = new MemoryStore()): Promise<Maru> {
    return Maru.open({ server: "http://server", login: LOGIN, store, transport: this.transport, fetch: this.fetch });
  }
}

const live = (maru: Maru) => next<ChatEvents, "state">(maru, "state", ({ state }) => state === "live");
const ended = (maru: Maru) => next<ChatEvents, "end">(maru, "end");

test("after two dials in a row that reach nobody it is asked where the server is", async () => {
  const world = new World();
  world.places = new Set(["ws://new/ws"]);
  world.route = "ws://new/ws";
  const maru = await world.open();
  await live(maru);
  assert.deepEqual(world.dialled, ["ws://old/ws", "ws://old/ws", "ws://new/ws"]);
  assert.deepEqual(world.asked, ["/v1/route"]);
  await maru.close();
});

test("a token that has ended is renewed and kept before it is used; then it goes on", async () => {
  const [world, store] = [new World(), new MemoryStore()];
  world.tokens = new Set(["second"]);
  const maru = await world.open(store);
  await live(maru);
  assert.deepEqual([world.asked, world.dialled.length], [["/v1/token"], 2]);
  const { login } = await store.load();
  assert.deepEqual([login?.token, login?.refresh], ["second", "after second"]);
  await maru.close();
});

test("tokens that are refused one after the other are given up", async () => {
  const world = new World();
  world.tokens = new Set();
  const maru = await world.open();
  assert.deepEqual((await ended(maru)).why, "refused");
  assert.equal(world.asked.filter((path) => path === "/v1/token").length, 2);
});

test("a refresh token that is used up is the end of the device", async () => {
  const world = new World();
  [world.tokens, world.renewals] = [new Set(), []];
  const maru = await world.open();
  assert.deepEqual(await ended(maru), { why: "loggedOut", text: "it was used" });
  await assert.rejects(maru.send(directChannel(10n, 20n), "x"), /stopped/);
});

test("a young connection that was replaced is made once more, and then it is the end", async () => {
  const world = new World();
  const maru = await world.open();
  await live(maru);
  const again = live(maru);
  world.links[0]?.closed(Close.replaced, "");
  await again;
  const end = ended(maru);
  world.links[1]?.closed(Close.replaced, "");
  assert.equal((await end).why, "replaced");
  assert.equal(world.dialled.length, 2);
});

test("a device that wakes dials at once, whatever it waited for", { timeout: 60_000 }, async (context) => {
  const target = new EventTarget();
  Object.assign(globalThis, { addEventListener: target.addEventListener.bind(target), removeEventListener: target.removeEventListener.bind(target) });
  const world = new World();
  world.places.clear();
  const maru = await world.open();
  await new Promise<void>((resolve) => {
    // From here on no timer ends a pause: only who wakes the device does.
    maru.on("state", ({ state }) => state === "down" && (context.mock.timers.enable({ apis: ["setTimeout"] }), resolve()));
  });
  world.places = new Set(["ws://old/ws"]);
  const up = live(maru);
  target.dispatchEvent(new Event("online"));
  await up;
  assert.equal(world.dialled.length, 2);
  context.mock.timers.reset();
  await maru.close();
});

test("a way that refuses at once is a dial that failed", async () => {
  const world = new World();
  let refusals = 1;
  const transport: Transport = (place, events) => {
    if (refusals-- > 0) throw new DOMException("the page's rules say no", "SecurityError");
    return world.transport(place, events);
  };
  const maru = await Maru.open({ server: "http://server", login: LOGIN, transport, fetch: world.fetch });
  await live(maru);
  await maru.close();
});

test("what an older connection still says is not heard", async () => {
  const world = new World();
  const maru = await world.open();
  await live(maru);
  world.links[0]?.closed(1006, "cut");
  const again = live(maru);
  world.links[0]?.closed(1006, "cut twice");
  world.links[0]?.received([world.welcome]);
  await again;
  assert.equal(world.dialled.length, 2);
  await maru.close();
});

test("an inbox with a new life: what is held is forgotten, what is nowhere else is not", async () => {
  const [world, store, channel] = [new World(), new MemoryStore(), directChannel(10n, 20n)];
  const maru = await world.open(store);
  await live(maru);
  const said = Frame.of(SendText, 3n, { channel, text: "of the old life" });
  world.links[0]?.received([stamped(said, { seq: 4, timeMs: 7, sender: 20n }), Frame.of(Complete, 0n, { generation: 5, from: 0, to: 9, head: 9 })]);
  assert.equal((await maru.kept(channel)).length, 1);
  await maru.setDraft(channel, "typed");
  const { sendId } = await maru.send(channel, "not acked");
  assert.deepEqual((await store.load()).cursor, { generation: 5, at: 9 });
  world.welcome = welcomeOf(6, 2);
  const told = next<ChatEvents, "resync">(maru, "resync");
  world.links[0]?.closed(1006, "cut");
  assert.deepEqual(await told, { generation: 6 });
  assert.deepEqual(await maru.kept(channel), []);
  const { cursor, sends, drafts, channels } = await store.load();
  assert.deepEqual([cursor, sends.map((send) => send.sendId), drafts.map(({ text }) => text), channels], [{ generation: 6, at: 2 }, [sendId], ["typed"], []]);
  await maru.close();
});

test("another device's store is erased, not shown", async () => {
  const store = new MemoryStore();
  await store.keep({ login: { ...LOGIN, user: 99n, device: 55n }, drafts: [{ channel: 7n, text: "not yours" }], cursor: { generation: 1, at: 3 } });
  const maru = await new World().open(store);
  assert.equal(await maru.draft(7n), "");
  assert.equal((await store.load()).login?.device, 1n);
  await maru.close();
  await assert.rejects(Maru.open({ server: "http://server", transport: new World().transport }), /log in first/);
  const { WebSocket } = globalThis as { WebSocket?: unknown };
  if (!WebSocket) await assert.rejects(Maru.open({ server: "http://server", login: LOGIN }), /nodeSocket/);
});

test("the control plane's refusals have a code and a time; what is no answer of Maru is one, too", async () => {
  const answer = (body: BodyInit, status: number) => new Account("https://server", async () => new Response(body, { status }));
  const fault = async (account: Account): Promise<unknown[]> => {
    const error: unknown = await account.login("ann", "password").catch((one: unknown) => one);
    assert.ok(error instanceof AccountError, String(error));
    return [error.code, error.retryAfterMs];
  };
  assert.deepEqual(await fault(answer('{"code":"rate","detail":"later","retry_after_ms":700}', 429)), ["rate", 700]);
  assert.deepEqual(await fault(answer("<html>Bad gateway</html>", 502)), ["status_502", 1000]);
  assert.deepEqual(await fault(answer("{}", 200)), ["bad_answer", 0]);
  assert.deepEqual(await fault(new Account("https://server", () => Promise.reject(new TypeError("no route")))), ["unreachable", 1000]);
  const clear = JSON.stringify({ user: "1", device: "2", token: "t", refresh: "r", expires_ms: 5, chat: "ws://server/ws" });
  assert.deepEqual(await fault(answer(clear, 200)), ["untrusted", 0]);
  assert.throws(() => new Account("ftp://server"), /http/);
});
