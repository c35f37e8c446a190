/** What people see of each other, as the session says and hears it. The times are those of clients/rust/src/session/limits.rs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBody } from "../src/codec.js";
import { Frame, read } from "../src/frame.js";
import { MarkDelivered, Receipts, SendText, Typing, WelcomeV2 } from "../src/generated.js";
import { directChannel } from "../src/ids.js";
import type { Event } from "../src/session/event.js";
import { Session } from "../src/session/session.js";

const [ME, OTHER] = [7n, 9n];
const channel = directChannel(ME, OTHER);

function live(saysDelivered = true): Session {
  const session = new Session({ user: ME, seed: 1n, saysDelivered });
  session.connected(0, "token");
  const welcome = {
    tokensPerS: 200, tokensBurst: 1000, tokenBytes: 4096, user: ME, device: 1n, generation: 5, start: 0, head: 0, timeMs: 0, expiresMs: 3_600_000,
    heartbeatMs: 30_000, groupMembersMax: 100, kinds: [],
  };
  session.receive(0, Frame.of(WelcomeV2, 0n, welcome));
  drain(session);
  return session;
}
/** A message as the server sends it: stamped. */
function stamped(seq: number, sender: bigint): Frame {
  const body = encodeBody(SendText, { channel, text: "hi" });
  const bytes = new Uint8Array(16 + 24 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 24 + body.length, true);
  view.setUint16(4, SendText.kind, true);
  view.setUint8(6, 1);
  view.setUint8(7, 1);
  view.setBigUint64(8, 77n + BigInt(seq), true);
  view.setBigUint64(16, BigInt(seq), true);
  view.setBigUint64(32, sender, true);
  bytes.set(body, 40);
  return Frame.first(bytes) as Frame;
}
function drain(session: Session): { events: Event[]; frames: Frame[] } {
  const [events, frames]: [Event[], Frame[]] = [[], []];
  for (let event = session.pollEvent(); event; event = session.pollEvent()) events.push(event);
  for (let frame = session.pollTransmit(); frame; frame = session.pollTransmit()) frames.push(frame);
  return { events, frames };
}
const delivered = ({ frames }: { frames: Frame[] }) => frames.flatMap((frame) => read(MarkDelivered, frame)?.seq ?? []);
const typing = ({ events }: { events: Event[] }) => events.flatMap((event) => (event.type === "typing" ? [event.types] : []));

test("what was delivered is said a second later, once for several, and again after a lost connection", () => {
  const session = live();
  session.receive(10, stamped(1, OTHER));
  session.receive(20, stamped(2, OTHER));
  assert.deepEqual(delivered(drain(session)), []);
  assert.equal(session.nextDeadline(), 1010);
  session.tick(1010);
  assert.deepEqual(delivered(drain(session)), [2]);
  session.receive(1100, stamped(3, OTHER));
  session.tick(2100);
  assert.deepEqual(delivered(drain(session)), [3]);
  session.disconnected(3000);
  session.connected(4000, "token");
  const welcome = {
    tokensPerS: 200, tokensBurst: 1000, tokenBytes: 4096, user: ME, device: 1n, generation: 5, start: 0, head: 0, timeMs: 0, expiresMs: 3_600_000,
    heartbeatMs: 30_000, groupMembersMax: 100, kinds: [],
  };
  session.receive(4000, Frame.of(WelcomeV2, 0n, welcome));
  session.tick(5000);
  assert.deepEqual(delivered(drain(session)), [3]);
});

test("own messages, what is read, and devices that were not asked to say it say nothing", () => {
  const own = live();
  own.receive(10, stamped(1, ME));
  own.tick(5000);
  assert.deepEqual(delivered(drain(own)), []);
  const reads = live();
  reads.receive(10, stamped(1, OTHER));
  reads.markRead(channel, 1);
  reads.tick(5000);
  assert.deepEqual(delivered(drain(reads)), []);
  const silent = live(false);
  silent.receive(10, stamped(1, OTHER));
  silent.tick(5000);
  assert.deepEqual(delivered(drain(silent)), []);
});

test("somebody types until a message comes, or until it was not said again", () => {
  const session = live();
  const says = (nowMs: number, state: number) => session.receive(nowMs, Frame.of(Typing, 0n, { channel, user: OTHER, expiresMs: 6000, state }));
  says(0, 1);
  says(3000, 1);
  assert.deepEqual(typing(drain(session)), [true]);
  session.tick(9000);
  assert.deepEqual(typing(drain(session)), [false]);
  says(10_000, 1);
  session.receive(11_000, stamped(1, OTHER));
  assert.deepEqual(typing(drain(session)), [true, false]);
  says(12_000, 1);
  session.disconnected(13_000);
  assert.deepEqual(typing(drain(session)), [true, false]);
});

test("own typing is said once in four seconds, and its end once; a message says it by itself", () => {
  const session = live();
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
  const session = live();
  const items = [{ user: OTHER, read: 3, delivered: 4 }];
  session.receive(10, Frame.of(Receipts, 0n, { channel, items, more: false }));
  const request = session.receipts(channel);
  const [asked] = drain(session).events;
  assert.deepEqual(asked, { type: "receipts", request: 0n, channel, items, more: false });
  session.receive(20, Frame.of(Receipts, request, { channel, items, more: false }));
  session.receive(30, Frame.of(Receipts, request, { channel, items, more: false }));
  assert.equal(drain(session).events.length, 1, "an answer comes once");
});
