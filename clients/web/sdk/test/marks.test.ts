/** What people see of each other, as the session says and hears it. The times are those of clients/rust/src/session/limits.rs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Frame, read } from "../src/frame.js";
import { Code, MarkDelivered, Receipts, Reject, SendText, Typing } from "../src/generated.js";
import { directChannel } from "../src/ids.js";
import { UNANSWERED } from "../src/session/marks.js";
import { type Drained, drain, live, ME, message, welcome } from "./sessions.js";

const OTHER = 9n;
const channel = directChannel(ME, OTHER);
const text = (seq: number, sender: bigint): Frame => message(SendText, { channel, text: "hi" }, seq, sender);
const delivered = ({ frames }: Drained) => frames.flatMap((frame) => read(MarkDelivered, frame)?.seq ?? []);
const typing = ({ events }: Drained) => events.flatMap((event) => (event.type === "typing" ? [event.types] : []));

test("what was delivered is said a second later, once for several, and again after a lost connection", () => {
  const session = live(true);
  session.receive(10, text(1, OTHER));
  session.receive(20, text(2, OTHER));
  assert.deepEqual(delivered(drain(session)), []);
  assert.equal(session.nextDeadline(), 1010);
  session.tick(1010);
  assert.deepEqual(delivered(drain(session)), [2]);
  session.receive(1100, text(3, OTHER));
  session.tick(2100);
  assert.deepEqual(delivered(drain(session)), [3]);
  session.disconnected(3000);
  session.connected(4000, "token");
  welcome(session, [], 4000);
  session.tick(5000);
  assert.deepEqual(delivered(drain(session)), [3]);
});

test("a mark that is refused for now is said again", () => {
  const session = live(true);
  session.receive(10, text(1, OTHER));
  session.tick(1010);
  assert.deepEqual(delivered(drain(session)), [1]);
  session.receive(1020, Frame.of(Reject, UNANSWERED, { code: Code.rate, retryAfterMs: 70, path: "", text: "tokens" }));
  assert.deepEqual(drain(session).events, [], "nobody waits for it");
  let said: number[] = [];
  // Not before there is a token for it.
  for (let at = 1020, turns = 0; said.length === 0 && turns < 10; turns += 1) {
    at = Math.max(session.nextDeadline() ?? at, at + 1);
    session.tick(at);
    said = delivered(drain(session));
  }
  assert.deepEqual(said, [1]);
});

test("own messages, what is read, and devices that were not asked to say it say nothing", () => {
  const own = live(true);
  own.receive(10, text(1, ME));
  own.tick(5000);
  assert.deepEqual(delivered(drain(own)), []);
  const reads = live(true);
  reads.receive(10, text(1, OTHER));
  reads.markRead(channel, 1);
  reads.tick(5000);
  assert.deepEqual(delivered(drain(reads)), []);
  const silent = live(false);
  silent.receive(10, text(1, OTHER));
  silent.tick(5000);
  assert.deepEqual(delivered(drain(silent)), []);
});

test("somebody types until a message comes, or until it was not said again", () => {
  const session = live(true);
  const says = (nowMs: number, state: number) => session.receive(nowMs, Frame.of(Typing, 0n, { channel, user: OTHER, expiresMs: 6000, state }));
  says(0, 1);
  says(3000, 1);
  assert.deepEqual(typing(drain(session)), [true]);
  session.tick(9000);
  assert.deepEqual(typing(drain(session)), [false]);
  says(10_000, 1);
  session.receive(11_000, text(1, OTHER));
  assert.deepEqual(typing(drain(session)), [true, false]);
  says(12_000, 1);
  session.disconnected(13_000);
  assert.deepEqual(typing(drain(session)), [true, false]);
});

test("own typing is said once in four seconds, and its end once; a message says it by itself", () => {
  const session = live(true);
  const said = (nowMs: number, types: boolean) => {
    session.typing(nowMs, channel, types);
    return drain(session).frames.flatMap((frame) => read(Typing, frame)?.state ?? []);
  };
  assert.deepEqual([said(0, true), said(1000, true), said(4000, true), said(5000, false), said(5001, false)], [[1], [], [1], [0], []]);
  said(9000, true);
  session.sendText(channel, "said");
  assert.deepEqual(said(9500, false), []);
});

test("receipts are told as they change, and to who asked", () => {
  const session = live(true);
  const items = [{ user: OTHER, read: 3, delivered: 4 }];
  session.receive(10, Frame.of(Receipts, 0n, { channel, items, more: false }));
  const request = session.receipts(channel);
  const [asked] = drain(session).events;
  assert.deepEqual(asked, { type: "receipts", request: 0n, channel, items, more: false });
  session.receive(20, Frame.of(Receipts, request, { channel, items, more: false }));
  session.receive(30, Frame.of(Receipts, request, { channel, items, more: false }));
  assert.equal(drain(session).events.length, 1, "an answer comes once");
});
