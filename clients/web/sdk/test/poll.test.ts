/** Devices that poll, against a real server, over a network that loses requests and answers. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChatEvents } from "../src/chat.js";
import {
  Account, type Chat, directChannel, fallback, type Fetch, type LinkEvents, Maru, type Message, poll, type Transport,
} from "../src/index.js";
import { nodeSocket } from "../src/node/index.js";
import { next, Server } from "./server.js";

const PASSWORD = "a long password";
const WAIT = { timeout: 120_000 };
let server: Server;
before(async () => { server = await Server.start(); });
const opened: Chat[] = [];
after(async () => {
  await Promise.all(opened.map((chat) => chat.close()));
  await server.remove();
});

async function open(name: string, transport: Transport): Promise<Maru> {
  const account = new Account(server.url);
  await account.signup(name, PASSWORD).catch(() => {});
  const maru = await Maru.open({ server: server.url, login: await account.login(name, PASSWORD), transport });
  opened.push(maru);
  return maru;
}
const live = async (maru: Maru): Promise<void> => {
  const told = next<ChatEvents, "state">(maru, "state", ({ state }) => state === "live");
  if ((await maru.status()).state !== "live") await told;
};
const text = ({ content }: Message): string => (content.type === "text" ? content.text : content.type);
/** The texts of a channel in its order: others' as they are told, once each, and one's own once they are stored. */
function heard(maru: Maru, channel: bigint): () => string[] {
  const texts: string[] = [];
  const hear = (seq: number, said: string): void => { texts[seq - 1] = said; };
  maru.on("message", (message) => {
    if (message.channel !== channel) return;
    assert.equal(texts[message.seq - 1], undefined, "told twice");
    hear(message.seq, text(message));
  });
  maru.on("send", ({ channel: of, state, seq, content }) => {
    if (of === channel && state === "stored" && seq !== undefined) hear(seq, content.type === "text" ? content.text : content.type);
  });
  return () => texts.filter((said) => said !== undefined);
}
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await sleep(20);
};

/** Loses requests before they are sent, and answers after they were made: of each so many in a hundred, by a fixed draw. */
function lossy(seed: number): Fetch & { lost: number } {
  const draw = (): number => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
  const ask = Object.assign(async (url: string, init: RequestInit): Promise<Response> => {
    const isBegin = !("Maru-Poll" in (init.headers as object));
    if (!isBegin && draw() < 0.15) {
      ask.lost += 1;
      throw new TypeError("the request was lost");
    }
    const response = await fetch(url, init);
    if (!isBegin && draw() < 0.15) {
      ask.lost += 1;
      await response.arrayBuffer();
      throw new TypeError("the answer was lost");
    }
    return response;
  }, { lost: 0 });
  return ask;
}

for (const waitS of [30, 0]) {
  test(`every message comes once and in order by polls that wait ${waitS} seconds, whatever is lost`, WAIT, async () => {
    const how = lossy(7 + waitS);
    const ann = await open(`ann${waitS}`, poll({ fetch: how, waitS, everyMs: waitS === 0 ? 50 : 0 }));
    const ben = await open(`ben${waitS}`, nodeSocket);
    await Promise.all([live(ann), live(ben)]);
    const channel = directChannel(ann.user, ben.user);
    const [atAnn, atBen] = [heard(ann, channel), heard(ben, channel)];
    for (let count = 0; count < 30; count++) {
      await (count % 2 ? ann : ben).send(channel, `${count}`);
      if (count % 5 === 0) await sleep(30);
    }
    await until(() => atAnn().length >= 30 && atBen().length >= 30);
    assert.equal(new Set(atAnn()).size, 30);
    assert.deepEqual(atAnn(), atBen());
    assert.ok(how.lost > 0);
    await Promise.all([ann.close(), ben.close()]);
  });
}

test("while the first way is blocked polls are used, and the first again once it opens", WAIT, async () => {
  let isBlocked = true;
  const ways: string[] = [];
  const blocked: Transport = (place, events: LinkEvents) => {
    if (!isBlocked) {
      ways.push("socket");
      return nodeSocket(place, events);
    }
    queueMicrotask(() => events.closed(1006, "blocked"));
    return { isFull: false, send() {}, close() {} };
  };
  const polls = poll();
  const counted: Transport = (place, events) => {
    ways.push("poll");
    return polls(place, events);
  };
  const ann = await open("ann", fallback(blocked, counted, 200));
  await live(ann);
  assert.deepEqual(ways, ["poll"]);
  isBlocked = false;
  await until(() => ways.length > 2);
  // The trial, and the connection itself.
  assert.deepEqual(ways, ["poll", "socket", "socket"]);
  await live(ann);
  await ann.close();
});

test("a device that polls is told of a restart and goes on", WAIT, async () => {
  const [ann, ben] = [await open("cleo", poll()), await open("dan", nodeSocket)];
  await Promise.all([live(ann), live(ben)]);
  const channel = directChannel(ann.user, ben.user);
  const [atAnn, atBen] = [heard(ann, channel), heard(ben, channel)];
  await ben.send(channel, "before");
  await until(() => atAnn().length > 0);
  await server.kill();
  await ann.send(channel, "meanwhile");
  await server.run();
  await until(() => atBen().includes("meanwhile"));
  await ben.send(channel, "after");
  await until(() => atAnn().includes("after"));
  assert.deepEqual(atBen(), ["before", "meanwhile", "after"]);
  assert.deepEqual(atAnn(), atBen());
});
