/** What was told: where the traces are too short for its bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACKED_RUNS_MAX, CHANNELS_SEEN_MAX } from "../src/session/limits.js";
import { Seen } from "../src/session/seen.js";

test("channels below the cursor make room; those above it are kept", () => {
  const seen = new Seen();
  seen.begin(0, 0);
  for (let channel = 1; channel <= CHANNELS_SEEN_MAX; channel++) assert.ok(seen.message(BigInt(channel), 1, 0));
  const half = CHANNELS_SEEN_MAX / 2;
  assert.ok(seen.message(1n << 40n, 1, half));
  assert.ok(!seen.message(BigInt(CHANNELS_SEEN_MAX), 1, half));
  assert.ok(seen.message(1n, 1, half), "forgotten: it lies below the cursor and does not come again");
});

test("the table is bounded even without a cursor", () => {
  const seen = new Seen();
  for (let channel = 1; channel <= CHANNELS_SEEN_MAX + 50; channel++) assert.ok(seen.message(BigInt(channel), 1, 0));
  assert.ok(!seen.message(BigInt(CHANNELS_SEEN_MAX + 50), 1, 0));
  assert.ok(seen.message(1n, 1, 0), "the oldest went");
});

test("what was told before a cut and is not complete may lie as high as the head", () => {
  const seen = new Seen();
  seen.begin(0, 0);
  assert.ok(seen.message(7n, 1, 0));
  // Another connection: the same message may now have any position up to 50.
  seen.begin(0, 50);
  for (let channel = 100; channel < 100 + CHANNELS_SEEN_MAX; channel++) seen.message(BigInt(channel), 1, 40);
  assert.ok(!seen.message(7n, 1, 40), "the cursor has not passed it");
});

test("acks that jump ahead are runs, and there is a bound on them", () => {
  const seen = new Seen();
  for (const seq of [20, 22, 30, 21, 19, 31]) seen.acked(7n, seq, 0);
  assert.ok(seen.message(7n, 18, 0));
  assert.deepEqual([19, 20, 21, 22, 23].map((seq) => seen.message(7n, seq, 0)), [false, false, false, false, true]);
  for (let n = 0; n < 2 * ACKED_RUNS_MAX; n++) seen.acked(8n, 10 + 2 * n, 0);
  assert.ok(seen.message(8n, 10, 0), "the oldest run went");
  assert.ok(!seen.message(8n, 8 + 4 * ACKED_RUNS_MAX, 0));
});
