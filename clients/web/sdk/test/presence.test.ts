/** Who is there: first the session, then devices against a real server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChatEvents } from "../src/chat.js";
import { Frame, read } from "../src/frame.js";
import { Code, GetPresence, Idle, Kind, OwnPresence, Presence, type PresenceItem, Reject, Unwatch, Watch } from "../src/generated.js";
import { type Maru, Refusal } from "../src/index.js";
import { UNANSWERED } from "../src/session/marks.js";
import { Session } from "../src/session/session.js";
import { people } from "./people.js";
import { next } from "./server.js";
import { drain, ME, welcome } from "./sessions.js";

const item = (user: bigint, state: number): PresenceItem => ({ user, state, lastActiveMs: 0, statusUntilMs: 0, status: "" });

/** A connection to a server that knows what presence is. */
function again(session: Session, kinds = [{ kind: Kind.WATCH, version: 1 }]): void {
  session.disconnected(0);
  session.connected(0, "token");
  assert.equal(drain(session).frames.length, 1);
  welcome(session, kinds);
}
function present(): Session {
  const session = new Session({ user: ME, seed: 1n });
  again(session);
  drain(session);
  return session;
}
const watched = (frames: Frame[]) => frames.flatMap((frame) => (frame.kind === Kind.WATCH ? [read(Watch, frame)?.users] : []));

test("every connection is told whom to show, and whether nobody is at the device", () => {
  const session = present();
  session.watch([9n, 5n]);
  session.watch([5n, 7n]);
  session.idle(true);
  session.idle(true);
  let { frames } = drain(session);
  assert.deepEqual(watched(frames), [[5n, 9n], [7n]]);
  assert.equal(frames.filter(({ kind }) => kind === Kind.IDLE).length, 1, "said once");
  session.unwatch([9n, 11n]);
  frames = drain(session).frames;
  assert.deepEqual(read(Unwatch, frames[0] as Frame)?.users, [9n]);
  again(session);
  frames = drain(session).frames;
  assert.deepEqual(watched(frames), [[5n, 7n]], "all of them at once, and nothing of what was asked before");
  assert.ok(!frames.some(({ kind }) => kind === Kind.UNWATCH));
  assert.equal(read(Idle, frames.find(({ kind }) => kind === Kind.IDLE) as Frame)?.isIdle, true);
  // A server that does not know what that is, is not asked.
  again(session, []);
  session.watch([12n]);
  session.idle(false);
  assert.deepEqual(drain(session).frames, []);
});

test("that nobody is there is said again when it was refused for now", () => {
  const session = present();
  const refuse = () => session.receive(0, Frame.of(Reject, UNANSWERED, { code: Code.rate, retryAfterMs: 70, path: "", text: "tokens" }));
  const idles = () => drain(session).frames.flatMap((frame) => (frame.kind === Kind.IDLE ? [read(Idle, frame)?.isIdle] : []));
  refuse();
  assert.deepEqual(idles(), [], "nothing was said of it");
  session.idle(true);
  assert.deepEqual(idles(), [true]);
  refuse();
  session.tick(10_000);
  assert.deepEqual(idles(), [true]);
  session.tick(70_000);
  assert.deepEqual(idles(), [], "once");
});

test("what is shown is told; who was asked for once is told when all are there", () => {
  const session = present();
  const request = session.presence([9n, 5n, 9n]);
  assert.deepEqual(read(GetPresence, drain(session).frames[0] as Frame)?.users, [5n, 9n]);
  session.receive(0, Frame.of(Presence, request, { items: [item(5n, 2)] }));
  session.receive(0, Frame.of(Presence, 0n, { items: [item(9n, 1)] }));
  session.receive(0, Frame.of(Presence, request, { items: [item(9n, 3)] }));
  session.receive(0, Frame.of(Presence, request, { items: [item(9n, 4)] }));
  const own = { state: 2, shows: 0, statusUntilMs: 0, status: "", devices: [] };
  session.receive(0, Frame.of(OwnPresence, 0n, own));
  assert.deepEqual(drain(session).events, [
    { type: "presence", request: 0n, items: [item(9n, 1)] }, { type: "presence", request, items: [item(5n, 2), item(9n, 3)] },
    { type: "ownPresence", request: 0n, own },
  ]);
});

test("what the server would refuse is not sent", () => {
  const session = present();
  const refused = (path: string) => (error: unknown) => error instanceof Refusal && error.code === "limit" && error.path === path;
  const many = (count: number) => Array.from({ length: count }, (_, at) => BigInt(at + 1));
  session.watch(many(500));
  assert.throws(() => session.watch([501n]), refused("users"));
  session.unwatch([1n]);
  session.watch([501n]);
  assert.throws(() => session.watch([0n]), refused("users"));
  session.unwatch([2n]);
  assert.throws(() => session.watch([0n]), refused("users[0]"));
  assert.throws(() => session.presence([]), refused("users"));
  assert.throws(() => session.presence(many(101)), refused("users"));
  assert.throws(() => session.setPresence(4), refused("shows"));
  assert.throws(() => session.setPresence(0, "😀".repeat(129)), refused("status"));
  assert.throws(() => session.setPresence(0, "a\nb"), refused("status"));
  assert.throws(() => session.setPresence(0, "", -1), refused("status_until_ms"));
  session.setPresence(3, "😀".repeat(128));
  assert.equal(session.requestsLength, 5);
});

const WAIT = { timeout: 120_000 };
const open = people();
/** The user is shown like this, now or later. */
function shown(maru: Maru, user: bigint, state: number): Promise<PresenceItem | undefined> {
  return next<ChatEvents, "presence">(maru, "presence", ({ items }) => items.some((one) => one.user === user && one.state === state))
    .then(({ items }) => items.find((one) => one.user === user));
}

test("people see each other come, go away from the device, and say what they show", WAIT, async () => {
  const [kim, lee] = [await open("kim"), await open("lee")];
  const online = shown(kim, lee.user, 2);
  await kim.watch([lee.user]);
  await online;
  assert.deepEqual((await kim.watch([lee.user])).map(({ state }) => state), [2], "who asks again is told what is known");
  const away = shown(kim, lee.user, 3);
  await lee.idle(true);
  await away;
  const back = shown(kim, lee.user, 2);
  await lee.idle(false);
  await back;
  const second = await open("lee");
  const told = next<ChatEvents, "ownPresence">(second, "ownPresence");
  if ((await second.status()).state !== "live") await next<ChatEvents, "state">(second, "state", ({ state }) => state === "live");
  const busy = shown(kim, lee.user, 4);
  await lee.setPresence(2, "in a meeting", 0);
  assert.equal((await busy)?.status, "in a meeting");
  assert.deepEqual([(await told).shows, (await told).status], [2, "in a meeting"]);
  const own = await lee.ownPresence();
  assert.deepEqual([own.shows, own.devices.length], [2, 2]);
  assert.deepEqual((await kim.presence([lee.user, 12345n])).map(({ user, state }) => [user, state]).sort(([a]) => (a === 12345n ? -1 : 1)), [[12345n, 0], [lee.user, 4]]);
  const quiet = shown(kim, lee.user, 3);
  await lee.setPresence(1);
  assert.equal((await quiet)?.status, "");
  await Promise.all([kim.close(), lee.close(), second.close()]);
});
