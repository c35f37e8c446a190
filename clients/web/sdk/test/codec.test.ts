/** Bodies against the golden vectors, in both directions, and against random values. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { CodecError, decodeBody, decodeStrict, encodeBody, type Item, type Root, type Wire } from "../src/codec.js";
import * as generated from "../src/generated.js";
import { Frame, FrameError, kindName, read } from "../src/frame.js";
import { directChannel, groupChannel, mix64 } from "../src/ids.js";
import { bytesOf, camel, golden, hex } from "./golden.js";

interface Vector {
  name: string; type: string; kind: number; version: number; body: unknown; frame: unknown; id: string; value: unknown;
  stamp?: { seq: string; time_ms: string; sender: string };
  strict: string | { close?: number; reject?: string }; lax: string; path: string;
}
const vectors = JSON.parse(golden("protocol/vectors.json")) as Record<string, Vector[]>;
const section = (name: string): Vector[] => {
  const entries = vectors[name] ?? [];
  assert.ok(entries.length > 0, `no section ${name}`);
  return entries;
};

const roots = new Map(Object.entries(generated as Record<string, unknown>).filter(([, one]) => (one as Root).kind > 0)) as Map<string, Root>;
const rootOf = (name: string): Root => {
  const type = roots.get(name);
  assert.ok(type, `no root ${name}`);
  return type;
};

/** A value as vectors.json spells it, as the codec has it: camelCase, bigints, numbers. */
function valueOf(wire: Wire, spelled: unknown): unknown {
  if (Array.isArray(wire)) return (spelled as unknown[]).map((one) => valueOf((wire as readonly [Wire])[0], one));
  if (typeof wire === "object") {
    const by = new Map(Object.entries(spelled as object).map(([name, one]) => [camel(name), one]));
    return Object.fromEntries((wire as Item).fields.map(([name, of]) => [name, valueOf(of, by.get(name))]));
  }
  if (wire === "id" || wire === "u128") return BigInt(spelled as string);
  if (wire === "count") return Number(spelled);
  if (wire === "string" && typeof spelled === "object") {
    const { repeat, times } = spelled as { repeat: string; times: number };
    return repeat.repeat(times);
  }
  return spelled;
}

test("generation changes nothing", () => {
  const script = fileURLToPath(new URL("../../scripts/generate.mjs", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
});

test("every layout lies as the vectors say", () => {
  for (const layout of section("layout") as unknown as (Vector & { size: number; body_bytes_max?: number; fields: { name: string; offset: number }[] })[]) {
    const type = (generated as unknown as Record<string, Item & Partial<Root>>)[layout.kind ? layout.name : `${layout.name}Layout`];
    assert.ok(type, layout.name);
    assert.deepEqual([type.size, type.kind, type.version, type.bytesMax], [layout.size, layout.kind, layout.version, layout.body_bytes_max]);
    assert.deepEqual(type.fields.map(([name]) => name), layout.fields.map(({ name }) => camel(name)), layout.name);
    const size = (wire: Wire): number => Array.isArray(wire) ? 8 : typeof wire === "object" ? (wire as Item).size
      : { u8: 1, u16: 2, u32: 4, count: 8, id: 8, u128: 16, bool: 1, string: 8 }[wire as "u8"];
    const sizes = type.fields.map(([, wire]) => size(wire));
    layout.fields.forEach(({ offset }, index) => assert.equal(sizes.slice(0, index).reduce((a, b) => a + b, 0), offset, layout.name));
    assert.equal(sizes.reduce((a, b) => a + b, 0), layout.size, layout.name);
  }
});

test("valid vectors, both ways", () => {
  for (const vector of section("valid")) {
    const { name, body, id, stamp } = vector;
    const type = rootOf(vector.type);
    const value = valueOf(type, vector.value);
    const [bytes, whole] = [bytesOf(body), bytesOf(vector.frame)];
    assert.deepEqual(decodeStrict(type, bytes), value, name);
    assert.equal(hex(encodeBody(type, value)), hex(bytes), name);
    const [frame, ...more] = Frame.all(whole) as [Frame];
    assert.deepEqual([more.length, frame.kind, frame.version, frame.id, frame.isStamped], [0, vector.kind, vector.version, BigInt(id), stamp !== undefined], name);
    assert.deepEqual(read(type, frame), value, name);
    if (stamp) assert.deepEqual(frame.stamp, { seq: Number(stamp.seq), timeMs: Number(stamp.time_ms), sender: BigInt(stamp.sender) }, name);
    else assert.equal(hex(Frame.of(type, BigInt(id), value).bytes), hex(whole), name);
  }
});

test("random values of Rust, both ways", () => {
  const lines = golden("protocol/random.jsonl").trim().split("\n");
  assert.equal(lines.length, 12 * roots.size);
  for (const line of lines) {
    const vector = JSON.parse(line) as Vector;
    const type = rootOf(vector.type);
    const value = valueOf(type, vector.value);
    assert.deepEqual(decodeStrict(type, bytesOf(vector.body)), value, line);
    assert.equal(hex(encodeBody(type, value)), vector.body, line);
  }
});

test("a newer body is read as the version that is known", () => {
  for (const vector of section("newer")) {
    const type = rootOf(vector.type);
    assert.deepEqual(decodeBody(type, bytesOf(vector.body)), valueOf(type, vector.value), vector.name);
  }
});

test("invalid vectors are refused, at their field", () => {
  for (const { name, type: root, body, strict, lax, path } of section("invalid")) {
    const type = rootOf(root);
    const verdict = (decode: typeof decodeBody): CodecError | undefined => {
      try {
        decode(type, bytesOf(body));
      } catch (error) {
        assert.ok(error instanceof CodecError, `${name}: ${error}`);
        return error;
      }
      return undefined;
    };
    const [lenient, exact] = [verdict(decodeBody), verdict(decodeStrict)];
    // Numbers above 2^53 - 1 cannot be read without rounding, so even who reads leniently refuses them.
    const isTooLarge = /_(2_5|u5)3$/.test(name);
    assert.equal(lenient === undefined, lax === "accept" && !isTooLarge, `${name}: ${lenient?.message}`);
    // What is documented of a value (a text's length) is for the session to check; see session.test.ts.
    if (strict !== "limit" || isTooLarge) assert.deepEqual([exact?.code, exact?.path], [strict, camel(path)], name);
  }
});

test("broken headers close the connection", () => {
  for (const { name, frame, strict } of section("frames")) {
    const close = (strict as { close?: number }).close;
    let found: number | undefined;
    try {
      Frame.all(bytesOf(frame));
    } catch (error) {
      assert.ok(error instanceof FrameError, `${name}: ${error}`);
      found = error.close;
    }
    assert.equal(found, close, name);
  }
});

test("a value that has no bytes is refused, and its field named", () => {
  const cases: [Root, object, string][] = [
    [generated.SendText as Root, { channel: -1n, text: "x" }, "channel"],
    [generated.SendText as Root, { channel: 1n << 128n, text: "x" }, "channel"],
    [generated.SendText as Root, { channel: 7n, text: "half of \ud83d" }, "text"],
    [generated.Hello as Root, { generation: 2 ** 53, cursor: 0, token: "x" }, "generation"],
    [generated.Hello as Root, { generation: 0, cursor: 0.5, token: "x" }, "cursor"],
    [generated.AddMembers as Root, { channel: 7n, members: [1n, 1n << 64n] }, "members[1]"],
    [generated.Channels as Root, { items: [{ channel: 1n, head: 0, read: 0, unread: 0, member: 1, name: "" }], more: false }, "items[0].member"],
  ];
  for (const [type, value, path] of cases) {
    assert.throws(() => encodeBody(type, value), (error) => error instanceof CodecError && error.path === path, path);
  }
});

/** mulberry32: the same numbers in every run. */
function drawing(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("whatever bytes come, a body is read or refused, and what strict reading takes is written again", () => {
  const draw = drawing(7);
  const bodies = section("valid").map(({ type, body }) => [rootOf(type), bytesOf(body)] as const).filter(([, bytes]) => bytes.length < 400);
  let read = 0;
  for (let round = 0; round < 6000; round++) {
    const [type, whole] = bodies[Math.floor(draw() * bodies.length)] as (typeof bodies)[number];
    const bytes = whole.slice(0, draw() < 0.2 ? Math.floor(draw() * whole.length) : whole.length);
    for (let n = draw() * 3; n >= 0 && bytes.length > 0; n--) bytes[Math.floor(draw() * bytes.length)] = draw() * 256;
    try {
      assert.equal(hex(encodeBody(type, decodeStrict(type, bytes))), hex(bytes));
      read++;
    } catch (error) {
      assert.ok(error instanceof CodecError, `${hex(bytes)}: ${error}`);
    }
  }
  assert.ok(read > 500 && read < 5500, `${read}`);
});

test("ids", () => {
  type Ids = { channel: string; creator?: string; send_id: string; users: [string, string]; user: string; mix64: string };
  for (const entry of section("channel") as unknown as Ids[]) {
    const made = entry.creator === undefined ? directChannel(BigInt(entry.users[0]), BigInt(entry.users[1])) : groupChannel(BigInt(entry.creator), BigInt(entry.send_id));
    assert.equal(made, BigInt(entry.channel));
  }
  for (const entry of section("partition") as unknown as Ids[]) {
    if (entry.mix64 !== undefined) assert.equal(mix64(BigInt(entry.user)), BigInt(entry.mix64));
  }
});

test("a kind has a name, and one that is not known says so", () => {
  assert.equal(kindName(generated.Kind.SEND_TEXT), "SEND_TEXT");
  assert.equal(kindName(0x7f04), "unknown kind 0x7f04");
});
