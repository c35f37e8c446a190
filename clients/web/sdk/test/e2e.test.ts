/** Devices against a real server. */
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ChatEvents } from "../src/chat.js";
import { type Link, type LinkEvents, type Place, type Transport } from "../src/dial/link.js";
import {
  Account, AccountError, type Chat, directChannel, Frame, Maru, MemoryStore, type Message, openShared, openStore, Refusal, type Store,
} from "../src/index.js";
import { nodeSocket } from "../src/node/index.js";
import { plain } from "./golden.js";
import { lockManager } from "./locks.js";
import { next, Server } from "./server.js";

const PASSWORD = "a long password";
const WAIT = { timeout: 120_000 };
let server: Server;
before(async () => { server = await Server.start(); });
// A test that fails leaves devices behind, and with them this process would not end.
const opened: Chat[] = [];
after(async () => {
  await Promise.all(opened.map((chat) => chat.close()));
  await server.remove();
});

async function login(name: string) {
  const account = new Account(server.url);
  await account.signup(name, PASSWORD).catch((error: unknown) => {
    if (!(error instanceof AccountError && error.code === "name_taken")) throw error;
  });
  return account.login(name, PASSWORD);
}
async function open(name: string, more: { store?: Store; transport?: Transport } = {}): Promise<Maru> {
  const maru = await Maru.open({ server: server.url, login: await login(name), transport: nodeSocket, ...more });
  opened.push(maru);
  return maru;
}
const text = ({ content }: Message): string => (content.type === "text" ? content.text : content.type);
const live = async (maru: Maru): Promise<void> => {
  const told = next<ChatEvents, "state">(maru, "state", ({ state }) => state === "live");
  if ((await maru.status()).state !== "live") await told;
};

/** The way to the server, which the test can cut, also in the middle of what it writes. */
class Way {
  private readonly links = new Set<() => void>();
  isOpen = true;
  readonly transport: Transport = (place: Place, events: LinkEvents): Link => {
    if (!this.isOpen) {
      queueMicrotask(() => events.closed(1006, "cut"));
      return { isFull: false, send() {}, close() {} };
    }
    const link = nodeSocket(place, { ...events, received: (frames: Frame[]) => this.isOpen && events.received(frames) });
    this.links.add(() => link.close());
    return { get isFull() { return link.isFull; }, send: (frames) => link.send(frames), close: (code) => link.close(code) };
  };

  /** What the server says from now on is not heard, and nobody can dial. */
  cut(): void {
    this.isOpen = false;
  }

  end(): void {
    for (const close of this.links) close();
    this.links.clear();
  }
}

test("two devices talk; one goes away and comes back", WAIT, async () => {
  const [ann, bob] = [await open("ann"), await open("bob")];
  const channel = directChannel(ann.user, bob.user);
  const heard = next<ChatEvents, "message">(bob, "message");
  const { sendId } = await ann.send(channel, "hello bob");
  const message = await ann.stored(sendId);
  assert.deepEqual(await heard, message);
  assert.deepEqual([message.seq, message.sender, text(message)], [1, ann.user, "hello bob"]);
  await bob.markRead(channel, 1);

  const store = new MemoryStore();
  await bob.close();
  for (const said of ["while", "you", "were away"]) await ann.stored((await ann.send(channel, said)).sendId);
  const told: string[] = [];
  const again = await open("bob", { store });
  again.on("message", (one) => told.push(text(one)));
  await live(again);
  // A login makes another device: it takes the whole inbox.
  assert.deepEqual(told, ["hello bob", "while", "you", "were away"]);
  assert.deepEqual((await again.kept(channel)).map(text), told);

  const [item] = await again.channels();
  assert.deepEqual([item?.channel, item?.head, item?.read, item?.unread], [channel, 4, 1, 3]);
  const page = await again.history(channel, { before: 4, limit: 2 });
  assert.deepEqual([page.messages.map(text), page.from, page.to, page.more], [["while", "you"], 2, 3, true]);
  await Promise.all([ann.close(), again.close()]);
});

test("a send whose ack was lost is stored once", WAIT, async () => {
  const way = new Way();
  const [cho, dan] = [await open("cho", { transport: way.transport }), await open("dan")];
  await live(cho);
  const channel = directChannel(cho.user, dan.user);
  const heard: string[] = [];
  const last = next<ChatEvents, "message">(dan, "message", (message) => text(message) === "three");
  dan.on("message", (message) => heard.push(text(message)));
  way.cut();
  const sends = [await cho.send(channel, "one"), await cho.send(channel, "two")];
  // They are at the server: the other one has them. Their acks are not heard.
  await next<ChatEvents, "message">(dan, "message", (message) => text(message) === "two");
  assert.deepEqual((await cho.sends()).map(({ state }) => state), ["sending", "sending"]);
  way.end();
  way.isOpen = true;
  sends.push(await cho.send(channel, "three"));
  const stored = await Promise.all(sends.map(({ sendId }) => cho.stored(sendId)));
  assert.deepEqual(stored.map(({ seq }) => seq), [1, 2, 3]);
  await last;
  assert.deepEqual(heard, ["one", "two", "three"]);
  assert.deepEqual(await cho.sends(), []);
  await Promise.all([cho.close(), dan.close()]);
});

test("unsent sends and drafts survive a reload of the page", WAIT, async () => {
  const [way, store] = [new Way(), await openStore("eve")];
  const [eve, fay] = [await open("eve", { transport: way.transport, store }), await open("fay")];
  await live(eve);
  const channel = directChannel(eve.user, fay.user);
  way.cut();
  await eve.send(channel, "said in a tunnel");
  await next<ChatEvents, "message">(fay, "message");
  await eve.setDraft(channel, "and typed");
  // The server has it, but this run never hears so.
  await eve.close();
  const again = await Maru.open({ server: server.url, store: await openStore("eve"), transport: nodeSocket });
  opened.push(again);
  const [send] = await again.sends();
  assert.equal(send?.state, "sending");
  const stored = await again.stored(send.sendId);
  assert.deepEqual([stored.seq, text(stored), await again.draft(channel)], [1, "said in a tunnel", "and typed"]);
  assert.equal((await again.history(channel)).head, 1);
  await Promise.all([again.close(), fay.close()]);
  const left = await openStore("eve");
  // The draft may be on its way to the other devices still.
  const waits = (await left.load()).sends.map(({ sendId }) => sendId);
  assert.ok(!waits.includes(send.sendId), "what is stored is not sent by the next run");
  left.close();
});

test("two tabs send at once, and the one with the connection is closed: nothing is lost or doubled", WAIT, async () => {
  const [pia, locks] = [await open("pia"), lockManager()];
  await (await open("oli", { store: await openStore("oli") })).close();
  const way = new Way();
  const tab = async (transport: Transport): Promise<Chat> => {
    const device = async () => Maru.open({ server: server.url, store: await openStore("oli"), transport });
    const chat = await openShared({ name: "oli", locks, open: device });
    opened.push(chat);
    return chat;
  };
  const [one, two] = [await tab(way.transport), await tab(nodeSocket)];
  const channel = directChannel(one.user, pia.user);
  const heard: string[] = [];
  pia.on("message", (message) => heard.push(text(message)));
  const first = await Promise.all([one.send(channel, "of one"), two.send(channel, "of two")]);
  await Promise.all(first.map(({ sendId }) => two.stored(sendId)));
  // The server has the next one, but the tab that sent it never hears so.
  way.cut();
  const arrived = next<ChatEvents, "message">(pia, "message", (message) => text(message) === "in between");
  const { sendId } = await two.send(channel, "in between");
  await arrived;
  await one.close();
  assert.equal((await two.stored(sendId)).seq, 3);
  await two.stored((await two.send(channel, "afterwards")).sendId);
  assert.equal((await pia.history(channel)).head, 4);
  assert.deepEqual(heard.slice(0, 2).sort(), ["of one", "of two"]);
  assert.equal(heard[2], "in between");
  await Promise.all([two.close(), pia.close()]);
});

test("a group, its members and their messages", WAIT, async () => {
  const [gil, hye] = [await open("gil"), await open("hye")];
  const told: Message[] = [];
  hye.on("message", (message) => told.push(message));
  const made = await gil.createGroup("floor", [hye.user]);
  await gil.stored(made.sendId);
  await gil.stored((await gil.rename(made.channel, "마루")).sendId);
  const heard = next<ChatEvents, "message">(hye, "message", (message) => text(message) === "hi all");
  await gil.send(made.channel, "hi all");
  await heard;
  assert.deepEqual(told.map(({ content }) => content.type), ["created", "renamed", "text"]);
  assert.deepEqual((await hye.members(made.channel)).map(({ user, role }) => [user, role]), [[gil.user, 2], [hye.user, 0]].sort((a, b) => (a[0]! < b[0]! ? -1 : 1)));
  assert.equal((await hye.keptChannels()).find(({ channel }) => channel === made.channel)?.name, "마루");
  await Promise.all([gil.close(), hye.close()]);
});

test("what is refused says so, and can be tried again", WAIT, async () => {
  const ida = await open("ida");
  await assert.rejects(ida.send(directChannel(ida.user, 7n), "x".repeat(100_001)), (error) => error instanceof Refusal && error.path === "text");
  const nobody = directChannel(ida.user, 12345n);
  const { sendId } = await ida.send(nobody, "is anybody there?");
  await assert.rejects(ida.stored(sendId), (error) => error instanceof Refusal && error.code === "no_such_user");
  const [failed] = await ida.sends();
  assert.deepEqual([failed?.state, failed?.failure?.code], ["failed", "no_such_user"]);
  assert.equal((await ida.retry(sendId)).state, "sending");
  await assert.rejects(ida.stored(sendId), Refusal);
  await ida.discard(sendId);
  assert.deepEqual(await ida.sends(), []);
  await assert.rejects(ida.history(999n), (error) => error instanceof Refusal && error.code === "forbidden");
  await ida.close();
  await assert.rejects(ida.send(nobody, "x"), /stopped/);
});

test("a server that crashes and starts again is found again; nothing is lost", WAIT, async () => {
  const [jin, kim] = [await open("jin"), await open("kim")];
  await Promise.all([jin.stored((await jin.send(directChannel(jin.user, kim.user), "before")).sendId), next<ChatEvents, "message">(kim, "message")]);
  const down = next<ChatEvents, "state">(jin, "state", ({ state }) => state === "down");
  await server.kill();
  await down;
  const { sendId, channel } = await jin.send(directChannel(jin.user, kim.user), "while it was away");
  const heard = next<ChatEvents, "message">(kim, "message");
  await server.run();
  assert.equal((await jin.stored(sendId)).seq, 2);
  assert.equal(text(await heard), "while it was away");
  assert.equal((await kim.history(channel)).messages.length, 2);
  await Promise.all([jin.close(), kim.close()]);
});

test("a device that is logged out elsewhere stops, and says why", WAIT, async () => {
  const store = new MemoryStore();
  const lee = await open("lee", { store });
  await live(lee);
  const ended = next<ChatEvents, "end">(lee, "end");
  const { login: kept } = await store.load();
  await new Account(server.url).logout(kept?.token ?? "");
  assert.equal((await ended).why, "loggedOut");
  assert.equal((await lee.status()).state, "down");
});

test("the web's own WebSocket carries the same", WAIT, async () => {
  // A page's, as Node has it: behind a flag before version 22.
  const mia = await login("mia");
  const script = `
    import { Maru } from "@maru/sdk";
    const login = JSON.parse(process.argv[1], (name, value) => ["user", "device"].includes(name) ? BigInt(value) : value);
    const maru = await Maru.open({ server: process.argv[2], login });
    const { sendId } = await maru.send(BigInt(process.argv[3]), "from a page");
    console.log((await maru.stored(sendId)).seq);
    await maru.close();`;
  const ned = await open("ned");
  const heard = next<ChatEvents, "message">(ned, "message");
  const args = [JSON.stringify(plain(mia)), server.url, directChannel(mia.user, ned.user).toString()];
  const sdk = fileURLToPath(new URL("../..", import.meta.url));
  const options = ["--no-warnings", "--experimental-websocket", "--input-type=module", "-e", script, ...args];
  const { stdout } = await promisify(execFile)(process.execPath, options, { cwd: sdk });
  assert.deepEqual([stdout, text(await heard)], ["1\n", "from a page"]);
  await ned.close();
});

test("the example runs", WAIT, async () => {
  const example = fileURLToPath(new URL("../examples/hello.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [example, server.url]);
  assert.match(stdout, /^\d+: Annyeong, Joon!\n$/);
});
