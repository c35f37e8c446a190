/** What is said about messages: edits, reactions, pins. First the session, then devices against a real server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChatEvents } from "../src/chat.js";
import { Frame, read } from "../src/frame.js";
import { About, EditText, GetAbout, Pin, React, Recall, Recalled, U53_MAX } from "../src/generated.js";
import { type Content, directChannel, isShown, type Maru, type Message, Refusal } from "../src/index.js";
import { people } from "./people.js";
import { next } from "./server.js";
import { drain, live, ME, message } from "./sessions.js";

const YOU = 9n;
const channel = directChannel(ME, YOU);
const refused = (path: string) => (error: unknown) => error instanceof Refusal && error.code === "limit" && error.path === path;

test("what is said is sent and told", () => {
  const session = live();
  session.edit(channel, 3, "five");
  session.react(channel, 3, "👍", true);
  session.pin(channel, 3, false);
  session.recall(channel, 3);
  const { frames } = drain(session);
  assert.deepEqual(read(EditText, frames[0] as Frame), { channel, target: 3, text: "five" });
  assert.deepEqual(read(React, frames[1] as Frame), { channel, target: 3, emoji: "👍", on: true });
  assert.deepEqual(read(Pin, frames[2] as Frame), { channel, target: 3, on: false });
  assert.deepEqual(read(Recall, frames[3] as Frame), { channel, target: 3 });
  session.receive(0, message(EditText, { channel, target: 3, text: "six" }, 9, YOU));
  session.receive(0, message(React, { channel, target: 3, emoji: "👍", on: false }, 10, YOU));
  session.receive(0, message(Pin, { channel, target: 3, on: true }, 11, YOU));
  session.receive(0, message(Recall, { channel, target: 3 }, 12, YOU));
  const told = drain(session).events.flatMap((event) => (event.type === "message" ? [event.message.content] : []));
  const expected: Content[] = [
    { type: "edited", target: 3, text: "six" }, { type: "reacted", target: 3, emoji: "👍", on: false }, { type: "pinned", target: 3, on: true },
    { type: "recall", target: 3 },
  ];
  assert.deepEqual(told, expected);
  assert.ok(!told.some((content) => isShown({ content })));
});

test("what stands in the place of a recalled text is shown, and of an edit of it nothing", () => {
  const session = live();
  const gone = { channel, target: 8, by: 20, user: ME, timeMs: 5 };
  session.receive(0, message(Recalled, gone, 8, YOU));
  session.receive(0, message(Recalled, gone, 9, YOU));
  const told = drain(session).events.flatMap((event) => (event.type === "message" ? [event.message] : []));
  const content = { type: "recalled", target: 8, by: 20, user: ME, recalledMs: 5 } as const;
  assert.deepEqual(told.map((message) => message.content), [{ ...content, ofEdit: false }, { ...content, ofEdit: true }]);
  assert.deepEqual(told.map(isShown), [true, false]);
});

test("what the server would refuse is not sent", () => {
  const session = live();
  assert.throws(() => session.edit(channel, 3, ""), refused("text"));
  assert.throws(() => session.edit(channel, 0, "x"), refused("target"));
  assert.throws(() => session.react(channel, U53_MAX + 1, "x", true), refused("target"));
  for (const emoji of ["", "x".repeat(33), "한".repeat(11), "a\n", "\u0085", "\ud83d"])
    assert.throws(() => session.react(channel, 3, emoji, true), refused("emoji"), emoji);
  session.react(channel, 3, "👩‍👩‍👧‍👦", true);
  session.react(channel, 3, "x".repeat(32), true);
  assert.throws(() => session.pin(0n, 3, true), refused("channel"));
  assert.throws(() => session.recall(0n, 3), refused("channel"));
  assert.throws(() => session.recall(channel, 0), refused("target"));
  assert.throws(() => session.about(channel, 0), refused("from"));
  assert.throws(() => session.about(channel, 4, 3), refused("from"));
  assert.throws(() => session.about(channel, 1, 3, false, 201), refused("limit"));
  assert.equal(drain(session).frames.length, 2);
});

test("what now holds is asked for and told", () => {
  const session = live();
  const request = session.about(channel, 1);
  const [frame] = drain(session).frames;
  assert.deepEqual(read(GetAbout, frame as Frame), { channel, from: 1, through: U53_MAX, limit: 200, who: false });
  const said: About = {
    channel, from: 1, to: 9, pins: [], items: [{ seq: 3, edited: 4, edits: 1, text: "five" }],
    reactions: [{ seq: 3, count: 2, own: true, emoji: "👍" }], who: [], more: false,
  };
  session.receive(0, Frame.of(About, request + 1n, said));
  session.receive(0, Frame.of(About, request, said));
  assert.deepEqual(drain(session).events, [{ type: "said", request, said }]);
});

const WAIT = { timeout: 120_000 };
const open = people();
const heard = (maru: Maru, is: (content: Content) => boolean): Promise<Message> =>
  next<ChatEvents, "message">(maru, "message", ({ content }) => is(content));

test("edits, reactions and pins go both ways, are read again, and count as nothing new", WAIT, async () => {
  const [ann, bob] = [await open("ann"), await open("bob")];
  const channel = directChannel(ann.user, bob.user);
  const of = (work: Promise<{ sendId: bigint }>) => work.then(({ sendId }) => sendId);
  const { seq } = await ann.stored(await of(ann.send(channel, "helo")));
  const [edit, react, pin] = [
    heard(bob, ({ type }) => type === "edited"), heard(ann, ({ type }) => type === "reacted"), heard(ann, ({ type }) => type === "pinned"),
  ];
  const shown = next<ChatEvents, "send">(ann, "send", ({ content }) => content.type === "edited");
  const sendId = await of(ann.edit(channel, seq, "hello"));
  const sending = await shown;
  assert.deepEqual([sending.sendId, sending.state, sending.content], [sendId, "sending", { type: "edited", target: seq, text: "hello" }]);
  await ann.stored(sendId);
  await bob.stored(await of(bob.react(channel, seq, "👍", true)));
  await bob.stored(await of(bob.pin(channel, seq, true)));
  assert.deepEqual((await edit).content, { type: "edited", target: seq, text: "hello" });
  assert.deepEqual((await react).content, { type: "reacted", target: seq, emoji: "👍", on: true });
  assert.deepEqual((await pin).content, { type: "pinned", target: seq, on: true });

  const said = await bob.about(channel, 1);
  assert.deepEqual(said.items, [{ seq, edited: 2, edits: 1, text: "hello" }]);
  assert.deepEqual(said.reactions, [{ seq, count: 1, own: true, emoji: "👍" }]);
  assert.deepEqual([said.pins, said.more], [[{ seq, by: 4 }], false]);
  assert.deepEqual((await ann.about(channel, 1, seq, true)).who, [{ seq, user: bob.user, reaction: 0 }]);
  const { messages } = await ann.history(channel);
  assert.deepEqual(messages.map(({ content }) => content.type), ["text", "edited", "reacted", "pinned"]);
  // What the list shows is the text that came last, here as at the server.
  const kept = (await ann.keptChannels()).find((item) => item.channel === channel);
  const [listed] = (await ann.channels()).filter((item) => item.channel === channel);
  assert.deepEqual([kept?.lastSeq, kept?.unread, kept?.head], [1, 0, 4]);
  assert.deepEqual([listed?.lastSeq, listed?.unread, listed?.head], [1, 0, 4]);
  // Another's text is not for editing; that is said, and nothing of it is left once it is discarded.
  const theirs = await of(bob.edit(channel, seq, "mine"));
  await assert.rejects(bob.stored(theirs), (error) => error instanceof Refusal && error.code === "forbidden" && error.path === "target");
  await bob.discard(theirs);
  assert.deepEqual(await bob.sends(), []);
  await Promise.all([ann.close(), bob.close()]);
});
