/** The files that the Rust tests write. */
import { readFileSync } from "node:fs";
import { Frame, type Stamp } from "../src/frame.js";

const root = new URL("../../../../../", import.meta.url);

export const golden = (path: string): string => readFileSync(new URL(path, root), "utf8");

/** Bytes as vectors.json spells them. */
export function bytesOf(spelled: unknown): Uint8Array {
  if (typeof spelled === "string") return Uint8Array.from(Buffer.from(spelled, "hex"));
  if (Array.isArray(spelled)) return Uint8Array.from(Buffer.concat(spelled.map(bytesOf)));
  const { repeat, times } = spelled as { repeat: string; times: number };
  return bytesOf(repeat.repeat(times));
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** A value with its bigints as decimal strings, as JSON has them. */
export const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value ?? null, (_, one: unknown) => (typeof one === "bigint" ? one.toString() : one)));

/** A frame as the server sends it on: with its stamp put in. */
export function stamped(frame: Frame, { seq, timeMs, sender }: Stamp): Frame {
  const bytes = new Uint8Array(frame.bytes.length + 24);
  bytes.set(frame.bytes.subarray(0, 16));
  bytes.set(frame.bytes.subarray(16), 40);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length - 16, true);
  view.setUint8(7, 1);
  [BigInt(seq), BigInt(timeMs), sender].forEach((value, at) => view.setBigUint64(16 + 8 * at, value, true));
  return Frame.all(bytes)[0] as Frame;
}
