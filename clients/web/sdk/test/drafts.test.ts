/** Drafts of a user on all its devices: the rules first, then devices against a real server. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ChatEvents } from "../src/chat.js";
import { EVERY_MS, Drafts, LEFT_EVERY_MS, PAUSE_MS } from "../src/drafts.js";
import { Account, directChannel, type Login, Maru, MemoryStore } from "../src/index.js";
import { nodeSocket } from "../src/node/index.js";
import { next, Server } from "./server.js";

const [A, B] = [directChannel(7n, 9n), directChannel(7n, 11n)];
/** This machine's clock is a day behind the server's. */
const DAY = 86_400_000;
const theirs = (text: string, about = A, thread = 0) => ({ type: "draft", about, thread, text }) as const;
const fresh = (): Drafts => {
  const drafts = new Drafts([]);
  drafts.serverIs(DAY, 0);
  return drafts;
};

test("a draft is said when its writer pauses, and not with every letter", () => {
  const drafts = fresh();
  for (let at = 0; at <= 10_000; at += 100) {
    drafts.write(A, `${"x".repeat(at / 100 + 1)}`, at);
    assert.equal(drafts.next(at, true), undefined, "it is being written");
  }
  assert.equal(drafts.dueAt(), 10_000 + PAUSE_MS);
  assert.equal(drafts.next(10_000 + PAUSE_MS - 1, true), undefined);
  assert.equal(drafts.next(10_000 + PAUSE_MS, false), undefined, "there is no connection");
  assert.equal(drafts.next(10_000 + PAUSE_MS, true)?.text.length, 101);
  drafts.saying(A, 5n, 12_000);
  assert.deepEqual([drafts.next(99_000, true), drafts.dueAt()], [undefined, undefined], "one at a time");
  // What is written meanwhile is said behind it, at a distance.
  drafts.write(A, "another", 12_500);
  drafts.ended(5n, DAY + 12_600);
  assert.equal(drafts.dueAt(), 12_000 + EVERY_MS);
  // Who leaves does not wait for that.
  drafts.write(A, "another", 12_700, true);
  assert.equal(drafts.dueAt(), 12_000 + LEFT_EVERY_MS);
  assert.equal(drafts.next(13_000, true)?.text, "another");
});

test("what was sent is taken away everywhere, and of what nobody was told nobody is", () => {
  const drafts = fresh();
  drafts.write(A, "short", 0);
  drafts.write(A, "", 500);
  assert.deepEqual([drafts.next(99_000, true), drafts.dueAt()], [undefined, undefined]);
  drafts.write(A, "long", 100_000);
  drafts.saying(A, 6n, 103_000);
  drafts.write(A, "", 103_100);
  assert.equal(drafts.next(103_100, false), undefined, "behind the one that is on its way");
  assert.equal(drafts.ended(6n, DAY + 103_200)?.isThere, true);
  // That one goes into the queue of sends also without a connection.
  assert.deepEqual([drafts.next(103_200, false)?.text, drafts.saying(A, 7n, 103_200).isThere], ["", false]);
  drafts.ended(7n, DAY + 103_300);
  assert.deepEqual([drafts.next(999_000, true), drafts.texts()], [undefined, []]);
});

test("the newest writing wins, whatever the clock of this machine says", () => {
  const drafts = fresh();
  drafts.write(A, "mine", 1000);
  assert.equal(drafts.take(theirs("older"), DAY + 900), undefined);
  assert.equal(drafts.text(A), "mine");
  assert.equal(drafts.take(theirs("newer"), DAY + 1100)?.text, "newer");
  assert.equal(drafts.next(99_000, true), undefined, "what has lost is not said");
  assert.equal(drafts.take(theirs("of a thread", A, 4), DAY + 2000)?.thread, 4);
  assert.deepEqual([drafts.text(A), drafts.text(A, 4), drafts.text(A, 5)], ["newer", "of a thread", ""]);
  drafts.write(A, "newest", 1200);
  assert.equal(drafts.next(1200 + PAUSE_MS, true)?.text, "newest");
  // Written before it was known what time it is.
  const early = new Drafts([{ channel: B, text: "kept by an earlier version" }]);
  early.write(A, "in a tunnel", 1000);
  early.serverIs(DAY + 2000, 2000);
  assert.deepEqual([early.take(theirs("before"), DAY + 999)?.text, early.take(theirs("behind"), DAY + 1001)?.text], [undefined, "behind"]);
  assert.equal(early.next(2000, true)?.channel, B, "nobody knows of it");
});

test("a page of all drafts brings what is new and takes away what is over", () => {
  const [said, mine] = [{ timeMs: DAY, isSaid: true, isThere: true }, { timeMs: DAY + 500, isSaid: false, isThere: true }];
  const drafts = new Drafts([{ channel: A, text: "sent elsewhere", ...said }, { channel: B, text: "mine", ...mine }]);
  drafts.serverIs(DAY + 1000, 1000);
  const C = directChannel(7n, 13n);
  const changed = drafts.takeAll([{ about: C, thread: 0, timeMs: DAY + 10, text: "theirs" }, { about: C, thread: 3, timeMs: DAY + 20, text: "in a thread" }], DAY + 1000);
  assert.deepEqual(changed.map(({ channel, thread, text }) => [channel, thread, text]), [[C, 0, "theirs"], [C, 3, "in a thread"], [A, 0, ""]]);
  assert.deepEqual([drafts.text(B), drafts.next(9000, true)?.channel], ["mine", B]);
  // What was written while the page was under way is newer than the page.
  drafts.write(C, "mine again", 1100);
  assert.deepEqual(drafts.takeAll([], DAY + 1050).map(({ channel, thread, text }) => [channel, thread, text]), [[C, 3, ""]]);
  assert.equal(drafts.text(C), "mine again");
});

test("a channel and each of its threads have drafts of their own", () => {
  const drafts = fresh();
  drafts.write(A, "in the channel", 0);
  assert.deepEqual(drafts.write(A, "in a thread", 100, false, 4), { channel: A, thread: 4, text: "in a thread", timeMs: DAY + 100, isSaid: false, isThere: false });
  assert.deepEqual(drafts.texts(), [{ channel: A, thread: 4, text: "in a thread" }, { channel: A, thread: 0, text: "in the channel" }]);
  assert.equal(drafts.next(PAUSE_MS, true)?.thread, 0);
  drafts.saying(A, 5n, PAUSE_MS);
  // One of each may be on its way.
  assert.deepEqual([drafts.next(PAUSE_MS + 100, true)?.thread, drafts.saying(A, 6n, PAUSE_MS + 100, 4).isThere], [4, true]);
  assert.equal(drafts.ended(6n, DAY + 3000)?.thread, 4);
  drafts.write(A, "", 4000, false, 4);
  assert.deepEqual(drafts.next(4000, false), drafts.next(4000, true));
  assert.deepEqual([drafts.next(4000, false)?.text, drafts.text(A)], ["", "in the channel"]);
  // What an earlier version kept is of the channel itself.
  const kept = new Drafts([{ channel: A, text: "kept" }, { channel: A, thread: 4, text: "kept, too" }]);
  assert.deepEqual([kept.text(A), kept.text(A, 4)], ["kept", "kept, too"]);
});

test("a draft that was refused, or is too long, is kept here and troubles nobody", () => {
  const drafts = fresh();
  drafts.write(A, "😀".repeat(100_001), 0);
  assert.equal(drafts.next(99_000, true), undefined);
  drafts.write(B, "refused", 0);
  drafts.saying(B, 8n, 3000);
  drafts.ended(8n, undefined);
  assert.deepEqual([drafts.next(99_000, true), drafts.text(B)], [undefined, "refused"]);
});

const told = (maru: Maru, is: (event: ChatEvents["draft"]) => boolean) => next<ChatEvents, "draft">(maru, "draft", is);
const WAIT = { timeout: 60_000 };
let server: Server;
before(async () => { server = await Server.start(); });
after(() => server.remove());
const account = () => new Account(server.url);
const device = async (login: Login, store = new MemoryStore()) => Maru.open({ server: server.url, login, store, transport: nodeSocket });

test("devices of one user: what one writes the other shows, the newest wins, and sending ends it", WAIT, async () => {
  await account().signup("mira", "a long password");
  await account().signup("noel", "a long password");
  const log = () => account().login("mira", "a long password");
  const [one, two] = [await device(await log()), await device(await log())];
  const channel = directChannel(one.user, (await account().login("noel", "a long password")).user);
  const onTwo = told(two, ({ text }) => text === "I wanted to say");
  await one.setDraft(channel, "I wanted to say", true);
  assert.equal((await onTwo).channel, channel);
  const onOne = told(one, ({ text }) => text === "I wanted to say that");
  await two.setDraft(channel, "I wanted to say that", true);
  await onOne;
  assert.deepEqual([await one.draft(channel), await one.drafts()], ["I wanted to say that", [{ channel, thread: 0, text: "I wanted to say that" }]]);
  // One of a thread is another one.
  const inThread = told(one, ({ thread }) => thread === 1);
  await two.setDraft(channel, "of a thread", true, 1);
  assert.equal((await inThread).text, "of a thread");
  assert.deepEqual([await one.draft(channel), await one.draft(channel, 1)], ["I wanted to say that", "of a thread"]);
  const noThread = told(one, ({ thread, text }) => thread === 1 && text === "");
  await two.setDraft(channel, "", true, 1);
  await noThread;
  // Neither is a message to read, nor a send of the app's.
  assert.deepEqual([await one.sends(), (await one.channels()).filter(({ lastSeq }) => lastSeq > 0)], [[], []]);
  // A device that was not there is told by the server.
  const late = await device(await log());
  await told(late, ({ text }) => text === "I wanted to say that");
  // A device that was away for the end of it.
  const store = new MemoryStore();
  const login = await log();
  const away = await device(login, store);
  await told(away, ({ text }) => text === "I wanted to say that");
  await away.close();
  const ended = told(late, ({ text }) => text === "");
  await two.send(channel, "I wanted to say that");
  await two.setDraft(channel, "");
  await ended;
  const back = await device(login, store);
  if (await back.draft(channel)) await told(back, ({ text }) => text === "");
  for (const each of [one, two, late, back]) await each.close();
});
