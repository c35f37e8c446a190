/** Large channels: what comes by following, and what by the inbox. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Frame } from "../src/frame.js";
import { AddMembers, BanMember, GrowGroup, Heads, Kind, Recalled, RemoveMember, SendText, SendTextV2 } from "../src/generated.js";
import { groupChannel, Refusal, type Session } from "../src/index.js";
import { drain, live, ME, message, welcome } from "./sessions.js";

const [YOU, OTHER] = [20n, 30n];
const channel = groupChannel(YOU, 1n);

const heads = (head: number) => Frame.of(Heads, 0n, { items: [{ channel, head }] });
const seqs = (session: Session) => drain(session).events.flatMap((event) => (event.type === "message" ? [event.message.seq] : []));

/** What a connection brings, and which seqs are told of it; then the same once more on the next, as from an inbox that was not complete. */
function twice(frames: Frame[]): [number[], number[]] {
  const session = live();
  session.receive(0, heads(5));
  for (const frame of frames) session.receive(0, frame);
  const first = seqs(session);
  session.disconnected(10);
  session.connected(500, "token");
  welcome(session, [], 500);
  session.receive(500, heads(9));
  for (const frame of frames) session.receive(500, frame);
  return [first, seqs(session)];
}

test("heads are told, and messages behind them are told once each", () => {
  const session = live();
  session.receive(0, heads(5));
  for (const seq of [6, 8]) session.receive(0, message(SendText, { channel, text: "x" }, seq, OTHER));
  const { events } = drain(session);
  assert.deepEqual(events[0], { type: "heads", items: [{ channel, head: 5 }] });
  assert.deepEqual(events.flatMap((event) => (event.type === "message" ? [event.message.seq] : [])), [6, 8]);
});

test("what names the user comes by the inbox, and so does what was recalled", () => {
  const text = (mentions: bigint[]): SendTextV2 => ({ channel, text: "you", replyTo: 0, thread: 0, forwardedFrom: 0n, mentions, mentionFlags: 0 });
  const named = [
    message(AddMembers, { channel, members: [ME] }, 6, YOU),
    message(SendTextV2, text([ME]), 7, YOU),
    message(RemoveMember, { channel, member: ME }, 8, YOU),
    message(BanMember, { channel, member: ME }, 9, YOU),
    message(Recalled, { channel, target: 10, by: 11, user: YOU, timeMs: 7 }, 10, YOU),
    message(SendText, { channel, text: "of another device" }, 12, ME),
  ];
  assert.deepEqual(twice(named), [[6, 7, 8, 9, 10, 12], []]);
  const others = [message(AddMembers, { channel, members: [OTHER] }, 10, YOU), message(SendTextV2, text([OTHER]), 11, YOU)];
  assert.deepEqual(twice(others), [[10, 11], [10, 11]]);
});

test("an owner makes a group a large channel, and the message says so", () => {
  const session = live();
  session.grow(channel);
  assert.equal(drain(session).frames[0]?.kind, Kind.GROW_GROUP);
  assert.throws(() => session.grow(0n), Refusal);
  session.receive(0, message(GrowGroup, { channel }, 2, YOU));
  assert.deepEqual(drain(session).events.flatMap((event) => (event.type === "message" ? [event.message.content] : [])), [{ type: "grown" }]);
});
