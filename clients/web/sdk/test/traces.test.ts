/** What the Rust session did (clients/traces.jsonl), input by input: this one does the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Frame } from "../src/frame.js";
import { Refusal } from "../src/session/check.js";
import type { Event } from "../src/session/event.js";
import { Session } from "../src/session/session.js";
import { bytesOf, golden, hex, plain } from "./golden.js";

interface Line {
  trace?: string;
  config: { user: string; seed: string; reconnectMsMin: number; reconnectMsMax: number; assumesPace: boolean };
  saved: { cursor: { generation: number; at: number }; pending: string[] } | null;
  now: number;
  in: { op: string; token?: string; frame?: string; args?: unknown[] };
  result?: unknown;
  events?: unknown[];
  frames?: string[];
  after?: unknown[];
}

function begin({ config, saved }: Line): Session {
  const kept = saved && { cursor: saved.cursor, pending: saved.pending.map(bytesOf) };
  return new Session({ ...config, user: BigInt(config.user), seed: BigInt(config.seed) }, kept ?? undefined);
}

/** Ids are decimal strings in the file; no text of a trace is one. */
const ids = (arg: unknown): unknown => {
  if (typeof arg === "string" && /^\d+$/.test(arg)) return BigInt(arg);
  return Array.isArray(arg) ? arg.map(ids) : arg;
};

function apply(session: Session, { now, in: { op, token, frame, args } }: Line): unknown {
  switch (op) {
    case "connected": return session.connected(now, token ?? "");
    case "disconnected": return session.disconnected(now);
    case "receive": return session.receive(now, Frame.all(bytesOf(frame))[0] as Frame);
    case "tick": return session.tick(now);
    case "woke": return session.woke(now);
    case "reauth": return session.reauth(...(args as [string, number]));
  }
  const command = session[op as "sendText"] as (...args: unknown[]) => unknown;
  assert.ok(command, `no command ${op}`);
  try {
    const result = command.apply(session, ids(args) as unknown[]);
    return op === "createGroup" ? (result as { sendId: bigint }).sendId : result;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { code: error.code, path: error.path, retryAfterMs: error.retryAfterMs };
  }
}

const drain = <T>(next: () => T | undefined): T[] => {
  const all: T[] = [];
  for (let one = next(); one !== undefined; one = next()) all.push(one);
  return all;
};

/** The Rust session leaves out what it cannot read; this one puts a placeholder into the page. */
function withoutPlaceholders(event: Event): Event {
  if (event.type !== "history") return event;
  const messages = event.history.messages.filter(({ content }) => content.type !== "unknown");
  return { type: "history", history: { ...event.history, messages } };
}

const lines = golden("clients/traces.jsonl").trim().split("\n").map((line) => JSON.parse(line) as Line);
const traces = new Map<string, Line[]>();
for (const line of lines) {
  if (line.trace !== undefined) traces.set(line.trace, [line]);
  else [...traces.values()].at(-1)?.push(line);
}

test("there are traces of every sort", () => {
  assert.ok(traces.size >= 20 && lines.length > 1000);
  const types = new Set(lines.flatMap((line) => (line.events ?? []).map((event) => (event as Event).type)));
  const all: Event["type"][] = [
    "connected", "resync", "live", "heads", "message", "ack", "complete", "history", "channels", "members", "done", "rejected",
    "helloRejected", "loggedOut", "tokenDue", "reauthed", "goingAway", "dead", "disconnected", "reconnect",
  ];
  assert.deepEqual([...types].sort(), all.sort());
});

for (const [name, [first, ...steps]] of traces) {
  test(`trace: ${name}`, () => {
    const session = begin(first as Line);
    for (const [index, line] of steps.entries()) {
      const result = apply(session, line);
      if (!line.after) continue;
      const events = drain(() => session.pollEvent()).map(withoutPlaceholders);
      const frames = drain(() => session.pollTransmit()).map((frame) => hex(frame.bytes));
      const { state, cursor, pendingLength, requestsLength } = session;
      const after = [state, cursor.generation, cursor.at, pendingLength, requestsLength, session.nextDeadline() ?? null];
      const did = plain({ result: result ?? null, events, frames, after });
      const { result: gave = null, events: told = [], frames: wrote = [] } = line;
      assert.deepEqual(did, { result: gave, events: told, frames: wrote, after: line.after },
        `step ${index + 1}: ${JSON.stringify(line.in)} at ${line.now}`);
    }
  });
}
