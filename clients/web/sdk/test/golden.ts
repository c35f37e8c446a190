/** The files that the Rust tests write. */
import { readFileSync } from "node:fs";

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
