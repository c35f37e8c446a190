/** A session on a connection, for tests of what it says and hears. */
import type { Root } from "../src/codec.js";
import { Frame } from "../src/frame.js";
import { type Kind, WelcomeV2 } from "../src/generated.js";
import type { Event } from "../src/session/event.js";
import { Session } from "../src/session/session.js";
import { stamped } from "./golden.js";

export const ME = 7n;

export interface Drained {
  events: Event[];
  frames: Frame[];
}
/** What it has to tell and to write. */
export function drain(session: Session): Drained {
  const [events, frames]: [Event[], Frame[]] = [[], []];
  for (let event = session.pollEvent(); event; event = session.pollEvent()) events.push(event);
  for (let frame = session.pollTransmit(); frame; frame = session.pollTransmit()) frames.push(frame);
  return { events, frames };
}

/** A server that knows these kinds lets it in. */
export function welcome(session: Session, kinds: { kind: (typeof Kind)[keyof typeof Kind]; version: number }[] = [], nowMs = 0): void {
  const said = {
    tokensPerS: 200, tokensBurst: 1000, tokenBytes: 4096, user: ME, device: 1n, generation: 5, start: 0, head: 0, timeMs: 0, expiresMs: 3_600_000,
    heartbeatMs: 30_000, groupMembersMax: 100, kinds,
  };
  session.receive(nowMs, Frame.of(WelcomeV2, 0n, said));
}

export function live(saysDelivered = false): Session {
  const session = new Session({ user: ME, seed: 1n, saysDelivered });
  session.connected(0, "token");
  welcome(session);
  drain(session);
  return session;
}

/** A message of this body as the server sends it on. */
export function message<T>(type: Root<T>, said: T, seq: number, sender: bigint): Frame {
  return stamped(Frame.of(type, 77n + BigInt(seq), said), { seq, timeMs: 0, sender });
}
