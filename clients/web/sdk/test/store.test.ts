/** One contract, two stores. */
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { test } from "node:test";
import { IndexedStore, type KeptSend, MemoryStore, type Message, openStore, type Store, StoreFull } from "../src/index.js";
import { Keeper } from "../src/store/keeper.js";
import type { Bounds } from "../src/store/store.js";

const USER = (1n << 64n) - 1n;
const CHAT = (3n << 64n) | USER;
const message = (seq: number, channel = CHAT, text = `text ${seq}`): Message => ({
  channel, seq, timeMs: 1000 + seq, sender: USER, sendId: BigInt(seq), content: { type: "text", text },
});
const send = (id: bigint): KeptSend => ({ sendId: id, frame: Uint8Array.of(Number(id), 2, 3) });
const login = { user: USER, device: 9n, token: "t", expiresMs: 5, refresh: "r", chat: "ws://x/ws" };
const channel = { channel: CHAT, head: 4, read: 2, unread: 1, member: true, name: "마루" };
const draft = { channel: CHAT, text: "half a", timeMs: 77, isSaid: true, isThere: true };
const seqs = async (store: Store, span: object = {}, of = CHAT) =>
  (await store.messages(of, { limit: 1000, newest: true, ...span })).map(({ seq }) => seq);

let made = 0;
const kinds: [string, (bounds?: Bounds) => Promise<Store>][] = [
  ["memory", async (bounds) => new MemoryStore(bounds)],
  ["IndexedDB", (bounds) => IndexedStore.open(`store ${made++}`, bounds)],
];

for (const [name, open] of kinds) {
  test(`${name}: what is kept is there`, async () => {
    const store = await open();
    assert.deepEqual(await store.load(), { login: undefined, cursor: { generation: 0, at: 0 }, sends: [], channels: [], drafts: [] });
    await store.keep({ login, cursor: { generation: 3, at: 7 }, sends: [send(5n), send(4n)], channels: [channel], drafts: [draft] });
    await store.keep({ sends: [send(1n), { ...send(4n), failed: { code: "forbidden", text: "no" } }], settled: [5n, 77n] });
    const kept = await store.load();
    assert.deepEqual([kept.login, kept.cursor, kept.channels, kept.drafts], [login, { generation: 3, at: 7 }, [channel], [draft]]);
    // In the order in which they were made, whatever their ids.
    assert.deepEqual(kept.sends.map(({ sendId, failed }) => [sendId, failed?.code]), [[4n, "forbidden"], [1n, undefined]]);
    await store.keep({ drafts: [{ channel: 3n, text: "b" }, { ...draft, text: "" }] });
    assert.deepEqual((await store.load()).drafts, [{ channel: 3n, text: "b" }]);
    store.close();
  });

  test(`${name}: windows of a channel`, async () => {
    const store = await open();
    const other = 12n;
    await store.keep({ messages: [3, 1, 2, 9, 10].map((seq) => message(seq)) });
    await store.keep({ messages: [message(2, other), message(2, CHAT, "in its place")] });
    assert.deepEqual(await seqs(store), [1, 2, 3, 9, 10]);
    assert.deepEqual(await seqs(store, { limit: 2 }), [9, 10]);
    assert.deepEqual(await seqs(store, { limit: 2, newest: false }), [1, 2]);
    assert.deepEqual(await seqs(store, { after: 1, before: 9 }), [2, 3]);
    assert.deepEqual(await seqs(store, { after: 3, limit: 1, newest: false }), [9]);
    assert.deepEqual(await seqs(store, { after: 3, before: 4 }), []);
    assert.deepEqual(await seqs(store, {}, other), [2]);
    assert.deepEqual(await seqs(store, {}, 777n), []);
    const [two] = await store.messages(CHAT, { after: 1, before: 3, limit: 9, newest: true });
    assert.deepEqual(two, message(2, CHAT, "in its place"));
    store.close();
  });

  test(`${name}: what was recalled is kept nowhere, and comes back with no older page`, async () => {
    const store = await open();
    const say = (seq: number, content: Message["content"], of = CHAT): Message => ({ ...message(seq, of), content });
    const edited = say(3, { type: "edited", target: 2, text: "the secret, again" });
    await store.keep({ messages: [message(1), message(2, CHAT, "the secret"), edited, message(4), message(2, 12n)] });
    // In one change with another edit of it, and after it.
    await store.keep({ messages: [say(5, { type: "edited", target: 2, text: "once more" }), say(6, { type: "recall", target: 2 })] });
    const kinds = async (of = CHAT) => (await store.messages(of, { limit: 99, newest: false })).map(({ content }) => content.type);
    assert.deepEqual(await kinds(), ["text", "recalled", "recalled", "text", "recalled", "recall"]);
    assert.deepEqual(await kinds(12n), ["text"]);
    const kept = await store.messages(CHAT, { limit: 99, newest: false });
    assert.ok(!JSON.stringify(kept, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value)).includes("secret"));
    const gone = { type: "recalled", target: 2, by: 6, user: USER, recalledMs: 1006, ofEdit: false };
    assert.deepEqual(kept[1]?.content, gone);
    await store.keep({ messages: [message(2, CHAT, "the secret"), edited] });
    assert.deepEqual(await kinds(), ["text", "recalled", "recalled", "text", "recalled", "recall"]);
    store.close();
  });

  test(`${name}: of who is erased nothing is kept, of others all`, async () => {
    const store = await open();
    const [gone, other] = [USER, USER + 1n];
    const say = (seq: number, sender: bigint, content: Message["content"]): Message => ({ ...message(seq), sender, content });
    const text = (seq: number, sender: bigint): Message => say(seq, sender, { type: "text", text: sender === gone ? "the secret" : "kept" });
    const edited = say(3, gone, { type: "edited", target: 1, text: "the secret, again" });
    await store.keep({ messages: [text(1, gone), text(2, other), edited, say(4, gone, { type: "reacted", target: 2, emoji: "x", on: true })] });
    // In one change with a text of before and one of behind.
    await store.keep({ messages: [text(5, gone), say(6, gone, { type: "erased" }), text(7, other)] });
    const kept = async () => store.messages(CHAT, { limit: 99, newest: false });
    const kinds = async () => (await kept()).map(({ content }) => content.type);
    const left = ["recalled", "text", "recalled", "reacted", "recalled", "erased", "text"];
    assert.deepEqual(await kinds(), left);
    const first = { type: "recalled", target: 1, by: 6, user: gone, recalledMs: 1006 };
    assert.deepEqual([(await kept())[0]?.content, (await kept())[2]?.content], [{ ...first, ofEdit: false }, { ...first, ofEdit: true }]);
    await store.keep({ messages: [text(1, gone), edited] });
    assert.deepEqual(await kinds(), left, "no page that is older brings it back");
    store.close();
  });

  test(`${name}: a new life forgets messages and channels, and nothing that is nowhere else`, async () => {
    const store = await open();
    await store.keep({ login, cursor: { generation: 1, at: 5 }, messages: [message(1)], channels: [channel], sends: [send(1n)], drafts: [draft] });
    await store.keep({ clear: true, cursor: { generation: 2, at: 1 }, messages: [message(8)] });
    const kept = await store.load();
    assert.deepEqual([kept.cursor, kept.channels, kept.sends.length, kept.drafts.length, kept.login?.device], [{ generation: 2, at: 1 }, [], 1, 1, 9n]);
    assert.deepEqual(await seqs(store), [8]);
    await store.erase();
    assert.deepEqual(await store.load(), await (await open()).load());
    assert.deepEqual(await seqs(store), []);
    store.close();
  });

  test(`${name}: above the bounds the oldest go, of all channels`, async () => {
    const store = await open({ messages: 50, chars: 10_000 });
    for (let seq = 1; seq <= 200; seq++) await store.keep({ messages: [message(seq, seq % 2 === 0 ? CHAT : 12n)] });
    const held = [...(await seqs(store)), ...(await seqs(store, {}, 12n))].sort((a, b) => a - b);
    assert.ok(held.length >= 45 && held.length <= 50, `${held.length}`);
    assert.deepEqual(held, held.map((_, index) => 200 - held.length + 1 + index));
    // Repeats count once, and long texts for what they are.
    for (let round = 0; round < 60; round++) await store.keep({ messages: [message(200)] });
    assert.deepEqual([...(await seqs(store)), ...(await seqs(store, {}, 12n))].length, held.length);
    await store.keep({ messages: [message(201, CHAT, "x".repeat(9000))] });
    assert.deepEqual((await seqs(store)).at(-1), 201);
    assert.ok((await seqs(store)).length < 40);
    await store.evict(0);
    assert.deepEqual(await seqs(store), []);
    store.close();
  });

  test(`${name}: what it gives is a copy`, async () => {
    const store = await open();
    const one = message(1);
    await store.keep({ messages: [one] });
    (one.content as { text: string }).text = "changed outside";
    const [kept] = await store.messages(CHAT, { limit: 1, newest: true });
    assert.deepEqual(kept, message(1));
    store.close();
  });
}

test("IndexedDB: the next run finds what this one kept", async () => {
  const store = await IndexedStore.open("two runs");
  await store.keep({ login, messages: [message(1)], cursor: { generation: 1, at: 1 } });
  store.close();
  const again = await IndexedStore.open("two runs");
  assert.deepEqual([(await again.load()).cursor, await seqs(again)], [{ generation: 1, at: 1 }, [1]]);
  again.close();
});

/** A disk without room for messages, as the web says it. */
async function withoutRoom(work: () => Promise<void>): Promise<void> {
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (this: IDBObjectStore, ...args: Parameters<typeof put>) {
    if (this.name === "messages") throw new DOMException("no room", "QuotaExceededError");
    return put.apply(this, args);
  };
  try {
    await work();
  } finally {
    IDBObjectStore.prototype.put = put;
  }
}

test("without room a change is refused as a whole", async () => {
  const store = await IndexedStore.open("no room");
  await store.keep({ cursor: { generation: 1, at: 1 } });
  await withoutRoom(() => assert.rejects(store.keep({ cursor: { generation: 1, at: 2 }, messages: [message(1)] }), StoreFull));
  assert.deepEqual((await store.load()).cursor, { generation: 1, at: 1 });
  store.close();
});

test("without room messages and the cursor are kept no more; sends and drafts still are, and the app is told", async () => {
  const store = await IndexedStore.open("keeper without room");
  const told: string[] = [];
  const keeper = new Keeper(store, (storage) => told.push(storage));
  await withoutRoom(async () => {
    keeper.add({ cursor: { generation: 1, at: 2 }, messages: [message(1)], sends: [send(3n)] });
    await keeper.flush();
    keeper.add({ cursor: { generation: 1, at: 3 } });
    keeper.add({ drafts: [{ channel: CHAT, text: "typed" }] });
    await keeper.flush();
  });
  assert.deepEqual([told, keeper.state], [["full"], "full"]);
  const kept = await store.load();
  assert.deepEqual([kept.cursor.at, kept.sends.length, kept.drafts.map(({ text }) => text)], [0, 1, ["typed"]]);
  store.close();
});

test("what happens before a write is written together, in order; a new life forgets what was gathered of the old one", async () => {
  const store = new MemoryStore();
  await store.keep({ sends: [send(1n), send(2n), send(3n)] });
  const keeper = new Keeper(store, () => {});
  for (const one of [1n, 2n]) keeper.add({ settled: [one] });
  keeper.add({ sends: [send(4n)], messages: [message(1)], channels: [channel] });
  keeper.add({ sends: [send(5n)], messages: [message(2)] });
  keeper.add({ cursor: { generation: 1, at: 2 } });
  await keeper.flush();
  const kept = await store.load();
  assert.deepEqual([kept.sends.map(({ sendId }) => sendId), await seqs(store), kept.channels.length, kept.cursor.at], [[3n, 4n, 5n], [1, 2], 1, 2]);
  keeper.add({ messages: [message(3)], cursor: { generation: 1, at: 3 }, settled: [3n], channels: [channel] });
  keeper.add({ clear: true });
  keeper.add({ messages: [message(9)], cursor: { generation: 2, at: 1 } });
  await keeper.flush();
  const anew = await store.load();
  assert.deepEqual([anew.sends.length, await seqs(store), anew.channels, anew.cursor], [2, [9], [], { generation: 2, at: 1 }]);
});

test("a little room is made by evicting", async () => {
  const store = new MemoryStore();
  await store.keep({ messages: [message(1), message(2)] });
  let refusals = 1;
  const keep = store.keep.bind(store);
  store.keep = async (change) => {
    if (refusals-- > 0) throw new StoreFull("no room");
    return keep(change);
  };
  const keeper = new Keeper(store, () => assert.fail("it had room"));
  keeper.add({ messages: [message(3)] });
  await keeper.flush();
  assert.deepEqual([await seqs(store), keeper.state], [[1, 2, 3], "none"]);
});

test("where there is no storage the app goes on in memory", async () => {
  const kept = globalThis.indexedDB;
  try {
    Object.defineProperty(globalThis, "indexedDB", { value: undefined, configurable: true });
    assert.equal((await openStore("private")).lasts, false);
    // Some browsers have it and refuse to open.
    Object.defineProperty(globalThis, "indexedDB", { value: { open() { throw new DOMException("denied", "SecurityError"); } }, configurable: true });
    assert.equal((await openStore("private")).lasts, false);
  } finally {
    Object.defineProperty(globalThis, "indexedDB", { value: kept, configurable: true });
  }
  assert.equal((await openStore("lasting")).lasts, true);
});
