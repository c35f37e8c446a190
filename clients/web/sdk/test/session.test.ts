/** What is particular to this session; its rules are in traces.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Frame } from "../src/frame.js";
import { HistoryPage, SendText, Welcome } from "../src/generated.js";
import { directChannel, Refusal, Session } from "../src/index.js";
import { bytesOf, golden, stamped } from "./golden.js";
import { decodeBody } from "../src/codec.js";
import * as generated from "../src/generated.js";

const CHAT = directChannel(10n, 20n);

const welcomeOf = (user: bigint): Welcome => ({
  user, device: 1n, generation: 5, start: 0, head: 0, timeMs: 0, expiresMs: 9e6, heartbeatMs: 30_000, groupMembersMax: 100, kinds: [],
});

function live(user = 10n): Session {
  const session = new Session({ user, seed: 42n });
  session.connected(0, "token");
  session.receive(0, Frame.of(Welcome, 0n, welcomeOf(user)));
  while (session.pollTransmit() || session.pollEvent());
  return session;
}

type Body = { channel: bigint; text: string; name: string; members: bigint[]; member: bigint; role: number; after: number; before: number; limit: number } & Said;
type Said = { target: number; emoji: string; on: boolean; from: number; through: number; who: boolean } & Shown;
type Shown = { provider: number; users: bigint[]; shows: number; status: string; statusUntilMs: number };

/** A body as the command that would send it. */
function command(session: Session, type: string, body: Body): unknown {
  const { channel, text, name, members, member, role } = body;
  switch (type) {
    case "SendText": return session.sendText(channel, text);
    case "RenameGroup": return session.rename(channel, name);
    case "AddMembers": return session.addMembers(channel, members);
    case "CreateGroup": return session.createGroup(name, members);
    case "SetRole": return session.setRole(channel, member, role);
    case "GetHistory": return session.history(channel, body);
    case "EditText": return session.edit(channel, body.target, text);
    case "Recall": return session.recall(channel, body.target);
    case "React": return session.react(channel, body.target, body.emoji, body.on);
    case "Pin": return session.pin(channel, body.target, body.on);
    case "GetAbout": return session.about(channel, body.from, body.through, body.who, body.limit);
    case "GetPresence": return session.presence(body.users);
    case "SetPresence": return session.setPresence(body.shows, body.status, body.statusUntilMs);
    case "SubscribePush": return session.subscribePush(body as never);
    case "UnsubscribePush": return session.unsubscribePush(body.provider);
    default: return undefined;
  }
}

test("what the server would refuse for its bounds is refused here, at the same field", () => {
  const vectors = (JSON.parse(golden("protocol/vectors.json")) as { invalid: { name: string; type: string; body: unknown; strict: string; path: string }[] }).invalid;
  let checked = 0;
  for (const { name, type, body, strict, path } of vectors) {
    // Order and repeats of members are mended, and what is above 2^53 cannot be said here (codec.test.ts).
    if (strict !== "limit" || /_(2_5|u5)3$|members_(repeat|order)/.test(name)) continue;
    const value = decodeBody((generated as never)[type], bytesOf(body)) as Body;
    // Nobody of those who are named, whom a group would count once.
    const session = live(1n << 40n);
    try {
      if (command(session, type, value) === undefined) continue;
      assert.fail(`${name} was taken`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      assert.deepEqual([error.code, error.path], ["limit", path], name);
      assert.equal(session.pendingLength + session.requestsLength, 0, name);
      checked++;
    }
  }
  assert.ok(checked >= 18, `${checked}`);
});

test("any text of whole characters is taken, half of one is not", () => {
  const session = live();
  for (const text of ["a", "\u{feff}", "\u0000", "e\u0301", "\u202eabc", "😀".repeat(100_000), "가".repeat(100_000)]) session.sendText(CHAT, text);
  for (const text of ["\ud83d", "a\udc00b", "😀".repeat(99_999) + "\ud83d"]) {
    assert.throws(() => session.sendText(CHAT, text), (error) => error instanceof Refusal && error.path === "text" && /surrogate/.test(error.message));
  }
  assert.throws(() => session.sendText(CHAT, "😀".repeat(100_001)), /must be 1 to 100000/);
  assert.equal(session.pendingLength, 7);
});

test("what is refused leaves nothing behind", () => {
  const session = live();
  for (const wrong of [() => session.history(CHAT, { limit: 201 }), () => session.history(CHAT, { after: -1 }), () => session.markRead(CHAT, 1.5),
    () => session.members(0n), () => session.channels(0n, 0), () => session.sendText(CHAT, "x", 0n), () => session.setRole(5n, 1n, 3)]) {
    assert.throws(wrong, Refusal);
  }
  assert.deepEqual([session.pendingLength, session.requestsLength, session.pollTransmit()], [0, 0, undefined]);
});

test("a kind that is not known stands in its page as a placeholder", () => {
  const session = live();
  const request = session.history(CHAT);
  session.pollTransmit();
  session.receive(0, Frame.of(HistoryPage, request, { channel: CHAT, from: 1, to: 2, head: 2, count: 2, more: false }));
  const stamp = { seq: 1, timeMs: 5, sender: 20n };
  session.receive(0, stamped(Frame.build(0x01ff, 1, 9n, Uint8Array.of(1, 2, 3)), stamp));
  session.receive(0, stamped(Frame.of(SendText, 9n, { channel: CHAT, text: "x" }), { ...stamp, seq: 2 }));
  const event = session.pollEvent();
  assert.equal(event?.type, "history");
  assert.deepEqual(event.history.messages.map(({ channel, seq, sender, content }) => [channel, seq, sender, content]), [
    [CHAT, 1, 20n, { type: "unknown", kind: 0x01ff }], [CHAT, 2, 20n, { type: "text", text: "x" }],
  ]);
});

test("what was kept and is no send is left out", () => {
  const send = Frame.of(SendText, 7n, { channel: CHAT, text: "kept" }).bytes;
  const broken = send.slice();
  broken[7] = 9;
  const pending = [broken, send.subarray(0, 20), new Uint8Array(3), Uint8Array.of(...send, 0), Frame.of(Welcome, 1n, welcomeOf(10n)).bytes, send];
  const session = new Session({ user: 10n, seed: 1n }, { cursor: { generation: 1, at: 2 }, pending });
  assert.deepEqual([session.pendingLength, session.pendingFrame(7n)], [1, send]);
});
