/** RFC 6455 as bytes: what a client reads from a server, and what it writes. Pure. */
import { WS_MESSAGE_BYTES_MAX } from "../generated.js";

/** What came over a WebSocket. */
export type WsEvent =
  | { type: "message"; bytes: Uint8Array }
  | { type: "ping" | "pong"; bytes: Uint8Array }
  | { type: "close"; code: number | undefined; reason: string };

/** Bytes that follow no rule: the connection closes with this code. */
export class WsError extends Error {
  constructor(readonly close: 1002 | 1003 | 1007 | 1009, text: string) {
    super(text);
    this.name = "WsError";
  }
}

export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PONG = 0xa;
const [CONTINUATION, TEXT, PING] = [0x0, 0x1, 0x9];
const CONTROL_BYTES_MAX = 125;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The codes that an endpoint may send (section 7.4). */
const isCode = (code: number): boolean => (code >= 1000 && code < 1015 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code < 5000);

/** Reads what a server sends. */
export class WsReader {
  private waiting: Uint8Array = new Uint8Array(0);
  /** The parts of a message that is not whole. */
  private parts: Uint8Array[] | undefined;
  private partsBytes = 0;

  /** What is whole now. Throws {@link WsError}. */
  read(bytes: Uint8Array): WsEvent[] {
    this.waiting = this.waiting.length > 0 ? joined([this.waiting, bytes]) : bytes;
    const events: WsEvent[] = [];
    for (let length = this.next(events); length > 0; length = this.next(events)) this.waiting = this.waiting.subarray(length);
    return events;
  }

  /** Takes one frame; gives its bytes, 0 while it is not whole. */
  private next(events: WsEvent[]): number {
    const { waiting } = this;
    const [first, second] = waiting;
    if (first === undefined || second === undefined) return 0;
    const [isLast, opcode, isControl] = [(first & 0x80) !== 0, first & 0x0f, (first & 0x08) !== 0];
    if (first & 0x70) throw new WsError(1002, "a reserved bit is set");
    if (second & 0x80) throw new WsError(1002, "a server does not mask");
    const view = new DataView(waiting.buffer, waiting.byteOffset, waiting.byteLength);
    let [length, head] = [second & 0x7f, 2];
    if (isControl && (!isLast || length > CONTROL_BYTES_MAX)) throw new WsError(1002, "a control frame that is long or in parts");
    if (length === 126) {
      head = 4;
      if (waiting.length < head) return 0;
      length = view.getUint16(2);
      if (length < 126) throw new WsError(1002, "a length that is not in its shortest form");
    } else if (length === 127) {
      head = 10;
      if (waiting.length < head) return 0;
      const long = view.getBigUint64(2);
      if (long >> 63n || long < 65536n) throw new WsError(1002, "a length with its top bit set or not in its shortest form");
      length = Number(long);
    }
    this.check(opcode, length);
    if (waiting.length < head + length) return 0;
    this.take(opcode, isLast, waiting.slice(head, head + length), events);
    return head + length;
  }

  private check(opcode: number, length: number): void {
    if (opcode === TEXT) throw new WsError(1003, "a text message; frames travel in binary messages");
    if (![CONTINUATION, BINARY, CLOSE, PING, PONG].includes(opcode)) throw new WsError(1002, `an unknown opcode, ${opcode}`);
    if (opcode === CONTINUATION && !this.parts) throw new WsError(1002, "there is no message to go on with");
    if (opcode === BINARY && this.parts) throw new WsError(1002, "a message within another one");
    if (length + this.partsBytes > WS_MESSAGE_BYTES_MAX) throw new WsError(1009, `a message above ${WS_MESSAGE_BYTES_MAX} bytes`);
  }

  private take(opcode: number, isLast: boolean, bytes: Uint8Array, events: WsEvent[]): void {
    if (opcode === CLOSE) events.push(closeOf(bytes));
    else if (opcode === PING) events.push({ type: "ping", bytes });
    else if (opcode === PONG) events.push({ type: "pong", bytes });
    else {
      this.parts = [...(this.parts ?? []), bytes];
      this.partsBytes += bytes.length;
      if (!isLast) return;
      events.push({ type: "message", bytes: joined(this.parts) });
      this.parts = undefined;
      this.partsBytes = 0;
    }
  }
}

function closeOf(bytes: Uint8Array): WsEvent {
  if (bytes.length === 0) return { type: "close", code: undefined, reason: "" };
  const code = bytes.length === 1 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint16(0);
  if (!isCode(code)) throw new WsError(1002, `a close with the code ${code}`);
  try {
    return { type: "close", code, reason: utf8.decode(bytes.subarray(2)) };
  } catch {
    throw new WsError(1007, "a close whose reason is not UTF-8");
  }
}

const joined = (parts: Uint8Array[]): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

/** One whole frame of a client, masked with these four random bytes. */
export function wsFrame(opcode: number, payload: Uint8Array, mask: Uint8Array): Uint8Array {
  const { length } = payload;
  const head = length < 126 ? 2 : length < 65536 ? 4 : 10;
  const frame = new Uint8Array(head + 4 + length);
  const view = new DataView(frame.buffer);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (head === 2 ? length : head === 4 ? 126 : 127);
  if (head === 4) view.setUint16(2, length);
  if (head === 10) view.setBigUint64(2, BigInt(length));
  frame.set(mask, head);
  for (let at = 0; at < length; at++) frame[head + 4 + at] = (payload[at] as number) ^ (mask[at & 3] as number);
  return frame;
}
