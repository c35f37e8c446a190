/** Tabs that share one device. Node's BroadcastChannel is the web's; of its locks there is a small one here. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Chat, ChatEvents, Sending } from "../src/chat.js";
import { Emitter } from "../src/emitter.js";
import { openShared, Refusal, type Locks } from "../src/index.js";
import { lockManager } from "./locks.js";
import { next } from "./server.js";

/** What a device keeps, and what its server has: the same for every device of a test. */
interface World {
  sent: Map<bigint, string>;
  opened: number;
  /** A device that answers nothing, as one whose tab is about to be closed. */
  isMute: boolean;
}

class Device {
  readonly user = 7n;
  readonly emitter = new Emitter<ChatEvents>();
  constructor(private readonly world: World) {
    world.opened += 1;
  }
  on = this.emitter.on.bind(this.emitter);
  async send(channel: bigint, text: string, sendId: bigint): Promise<Sending> {
    if (text === "") throw new Refusal("limit", "text", "0 characters; must be 1 to 100000");
    this.world.sent.set(sendId, text);
    if (this.world.isMute) return new Promise(() => {});
    const sending: Sending = { sendId, channel, content: { type: "text", text }, state: "sending" };
    this.emitter.emit("send", sending);
    return sending;
  }
  async status() { return { state: "live", storage: "lasting" } as const; }
  async close(): Promise<void> {
    this.emitter.emit("end", { why: "stopped", text: "stopped" });
  }
}

let names = 0;
const opened: Chat[] = [];
after(() => Promise.all(opened.map((chat) => chat.close())));

function browser(): { world: World; devices: Device[]; tab: () => Promise<Chat> } {
  const [world, locks, name, devices]: [World, Locks, string, Device[]] = [{ sent: new Map(), opened: 0, isMute: false }, lockManager(), `test ${names++}`, []];
  const open = async (): Promise<Chat> => {
    const device = new Device(world);
    devices.push(device);
    return device as unknown as Chat;
  };
  const tab = async (): Promise<Chat> => {
    const chat = await openShared({ name, locks, open });
    opened.push(chat);
    return chat;
  };
  return { world, devices, tab };
}

test("two tabs have one device; both send, both are told", async () => {
  const { world, devices, tab } = browser();
  const [one, two] = [await tab(), await tab()];
  assert.deepEqual([world.opened, one.user, two.user], [1, 7n, 7n]);
  const told = Promise.all([one, two].map((chat) => next<ChatEvents, "send">(chat, "send", ({ content }) => content.type === "text" && content.text === "of two")));
  const [first, second] = await Promise.all([one.send(5n, "of one"), two.send(5n, "of two")]);
  assert.notEqual(first.sendId, second.sendId);
  assert.deepEqual((await told).map(({ sendId }) => sendId), [second.sendId, second.sendId]);
  assert.deepEqual([...world.sent.values()].sort(), ["of one", "of two"]);
  assert.equal((await two.status()).state, "live");
  const heard = next<ChatEvents, "resync">(two, "resync");
  devices[0]?.emitter.emit("resync", { generation: 3 });
  assert.deepEqual(await heard, { generation: 3 });
});

test("a refusal comes back as one", async () => {
  const { tab } = browser();
  const chats = [await tab(), await tab()];
  for (const chat of chats) {
    await assert.rejects(chat.send(5n, ""), (error) =>
      error instanceof Refusal && error.code === "limit" && error.path === "text" && error.message.startsWith("text: 0 characters"));
  }
});

test("when the tab that has the device is closed, another one takes it, and nothing is asked in vain", async () => {
  const { world, tab } = browser();
  const [one, two, three] = [await tab(), await tab(), await tab()];
  for (const chat of [two, three]) chat.on("end", () => assert.fail("the device goes on in another tab"));
  world.isMute = true;
  // The first device has it, but its tab is gone before it says so.
  const asked = [two.send(5n, "from two"), three.send(5n, "from three")];
  while (world.sent.size < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  world.isMute = false;
  await one.close();
  const sent = await Promise.all(asked);
  assert.equal(world.opened, 2);
  // Asked twice, under one id each: the device, and the server, know a send by its id.
  assert.deepEqual([...world.sent], sent.map((sending, at) => [sending.sendId, ["from two", "from three"][at]]));
  assert.equal((await three.status()).state, "live");
  await assert.rejects(one.send(5n, "x"), /left/);
});

test("more calls than may wait are refused", async () => {
  const { world, tab } = browser();
  const [, two] = [await tab(), await tab()];
  world.isMute = true;
  for (let n = 0; n < 1024; n++) two.send(5n, `${n}`).catch(() => {});
  await assert.rejects(two.send(5n, "one more"), (error) => error instanceof Refusal && error.code === "busy" && error.retryAfterMs > 0);
});

test("a tab that left before its turn is not given the device", async () => {
  const { world, tab } = browser();
  const [one, two, three] = [await tab(), await tab(), await tab()];
  await two.close();
  await one.close();
  assert.equal((await three.send(5n, "still here")).state, "sending");
  assert.equal(world.opened, 2);
});

test("a device that cannot be opened is said to the tab that tried", async () => {
  const open = () => Promise.reject(new Error("no login was given"));
  await assert.rejects(openShared({ name: `test ${names++}`, locks: lockManager(), open }), /no login/);
});
