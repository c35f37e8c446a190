/** The list of channels, as messages and marks change it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Channels } from "../src/channels.js";
import { Kind } from "../src/generated.js";
import { directChannel, ownChannel } from "../src/ids.js";
import type { Content, Message } from "../src/session/event.js";

const [ME, OTHER, GROUP] = [7n, 9n, 12345n];
const direct = directChannel(ME, OTHER);
const message = (channel: bigint, seq: number, sender: bigint, content: Content): Message => ({ channel, seq, timeMs: seq * 10, sender, sendId: 1n, content });
const text = (words: string, more: object = {}): Content => ({ type: "text", text: words, ...more });

test("a message is counted once, shown, and read", () => {
  const list = new Channels(ME, []);
  assert.equal(list.message(message(direct, 1, OTHER, text("a".repeat(500))))[0]?.text.length, 100);
  assert.deepEqual(list.message(message(direct, 1, OTHER, text("again"))), []);
  list.message(message(direct, 2, OTHER, text("you", { mentions: [ME] })));
  list.message(message(direct, 3, ME, text("me")));
  const { unread, mentions, lastSeq, lastKind, head } = list.get(direct) ?? assert.fail();
  assert.deepEqual({ unread, mentions, lastSeq, lastKind, head }, { unread: 2, mentions: 1, lastSeq: 3, lastKind: Kind.SEND_TEXT, head: 3 });
  assert.equal(list.read(direct, 1)[0]?.unread, 2);
  assert.equal(list.receipts(direct, [{ user: ME, read: 3, delivered: 3 }])[0]?.unread, 0);
  assert.deepEqual(list.receipts(direct, [{ user: OTHER, read: 3, delivered: 3 }]), []);
});

test("notes change what they are about, and are nothing to see", () => {
  const list = new Channels(ME, []);
  list.message(message(direct, 1, OTHER, text("hello")));
  const prefs = { mutedUntilMs: 5, pinned: 2, markedUnread: true, notify: 1, archived: false };
  const changed = list.message(message(ownChannel(ME), 1, ME, { type: "prefs", about: direct, ...prefs }));
  assert.deepEqual(changed.map(({ channel }) => channel), [ownChannel(ME), direct]);
  assert.deepEqual([list.get(direct)?.pinned, list.get(direct)?.text, list.get(ownChannel(ME))?.lastSeq], [2, "hello", 0]);
});

test("membership follows what is said of oneself", () => {
  const list = new Channels(ME, []);
  assert.ok(list.isStrange(message(GROUP, 4, OTHER, { type: "added", users: [ME] })));
  assert.ok(!list.isStrange(message(GROUP, 1, OTHER, { type: "created", name: "Walks", members: [ME] })));
  const is = (seq: number, sender: bigint, content: Content) => list.message(message(GROUP, seq, sender, content))[0]?.member;
  assert.deepEqual([
    is(1, OTHER, { type: "created", name: "Walks", members: [ME] }), is(2, OTHER, { type: "removed", user: ME }), is(3, OTHER, { type: "invited", users: [ME] }),
    is(4, ME, { type: "joined" }), is(5, OTHER, { type: "removed", user: 11n }), is(6, ME, { type: "left" }),
  ], [true, false, false, true, true, false]);
  assert.equal(list.get(GROUP)?.name, "Walks");
});

test("a list that is older than what came since does not take it back", () => {
  const list = new Channels(ME, [{ channel: direct, head: 1, read: 0, unread: 1, member: true, name: "" }]);
  const listed = { ...(list.get(direct) ?? assert.fail()) };
  list.message(message(direct, 2, OTHER, text("newer")));
  list.read(direct, 1);
  assert.deepEqual([list.put([listed])[0]?.head, list.get(direct)?.read, list.get(direct)?.text], [2, 1, "newer"]);
});

test("what is said about a message is not to be read, and what is read is read whatever is said of it", () => {
  const list = new Channels(ME, []);
  list.message(message(direct, 1, OTHER, text("one")));
  list.message(message(direct, 2, OTHER, text("two")));
  list.message(message(direct, 3, OTHER, { type: "edited", target: 2, text: "2" }));
  list.message(message(direct, 4, OTHER, { type: "reacted", target: 2, emoji: "👍", on: true }));
  list.message(message(direct, 5, OTHER, { type: "pinned", target: 2, on: true }));
  const { unread, lastSeq, head } = list.get(direct) ?? assert.fail();
  assert.deepEqual({ unread, lastSeq, head }, { unread: 2, lastSeq: 2, head: 5 });
  assert.equal(list.read(direct, 1)[0]?.unread, 1);
  assert.equal(list.read(direct, 2)[0]?.unread, 0);
  assert.equal(list.put([{ ...(list.get(direct) ?? assert.fail()), unread: 1 }])[0]?.unread, 0);
});

test("a large channel that went on unheard is behind until the server has listed it again", () => {
  const list = new Channels(ME, []);
  list.message(message(GROUP, 1, OTHER, { type: "created", name: "Everybody", members: [ME] }));
  assert.equal(list.message(message(GROUP, 2, OTHER, { type: "grown" }))[0]?.large, true);
  assert.deepEqual(list.heads([{ channel: GROUP, head: 2 }]), []);
  assert.equal(list.nextBehind(), undefined);
  list.message(message(GROUP, 3, OTHER, text("the next")));
  assert.equal(list.nextBehind(), undefined);
  // A message that is not the next, and a head: each says that something was said.
  list.message(message(GROUP, 6, OTHER, text("behind a hole")));
  assert.equal(list.nextBehind(), GROUP);
  const { large: _, ...listed } = { ...(list.get(GROUP) ?? assert.fail()), head: 6, unread: 4 };
  assert.deepEqual(list.put([listed]).map(({ unread, large }) => [unread, large]), [[4, true]]);
  assert.equal(list.nextBehind(), undefined);
  list.heads([{ channel: GROUP, head: 9 }]);
  assert.equal(list.nextBehind(), GROUP);
  list.forgetBehind(GROUP);
  assert.equal(list.nextBehind(), undefined);
});

test("a channel is known to be large before it is listed, and from what was kept; a group is not", () => {
  const list = new Channels(ME, []);
  assert.deepEqual(list.heads([{ channel: GROUP, head: 40 }]), []);
  assert.equal(list.nextBehind(), undefined, "the list that is asked for has it");
  list.message(message(GROUP + 1n, 4, OTHER, text("a group")));
  list.message(message(GROUP + 1n, 7, OTHER, text("in which nothing is missing")));
  assert.deepEqual([list.nextBehind(), list.get(GROUP + 1n)?.large], [undefined, undefined]);
  const { large: _, ...listed } = { ...(list.get(GROUP + 1n) ?? assert.fail()), channel: GROUP };
  assert.equal(list.put([listed])[0]?.large, true);
  assert.equal(new Channels(ME, list.all()).get(GROUP)?.large, true);
});
