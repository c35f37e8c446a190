/**
 * Bodies: values to bytes and back (docs/protocol.md, section 2). What each body holds is in generated.ts; here is how
 * a field of each type lies. Ids (`id`, `u128`) are bigint, since they use all their bits; what counts something is a
 * number below 2^53, and a larger one is refused rather than rounded.
 */

/** A field's type; a list has its item's type in brackets. */
export type Wire = "u8" | "u16" | "u32" | "count" | "id" | "u128" | "bool" | "string" | Item | readonly [Wire];
type Fields = readonly (readonly [name: string, wire: Wire])[];
type Value = Record<string, unknown>;

/** The fixed part of a struct. `T` is the shape of its values. */
export interface Item<T = unknown> {
  readonly size: number;
  readonly fields: Fields;
  /** Never there: it ties the shape to the layout. */
  readonly shape?: T;
}

/** The fixed part of a body: its last `size` bytes. */
export interface Root<T = unknown> extends Item<T> {
  readonly kind: number;
  readonly version: number;
  readonly bytesMax: number;
}

export const item = <T>(size: number, fields: Fields): Item<T> => ({ size, fields });
export const root = <T>(kind: number, version: number, bytesMax: number, size: number, fields: Fields): Root<T> => ({
  kind, version, bytesMax, size, fields,
});

/** Bytes that are no body of their type, or a value that has no bytes. `path` names the field. */
export class CodecError extends Error {
  constructor(readonly code: "malformed" | "not_canonical" | "limit", readonly path: string, text: string) {
    super(path ? `${path}: ${text}` : text);
    this.name = "CodecError";
  }
}

const INLINE_MAX = 8;
const FILL = 0xff;
const U64 = (1n << 64n) - 1n;
const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const isList = (wire: Wire): wire is readonly [Wire] => Array.isArray(wire);
const isItem = (wire: Wire): wire is Item => typeof wire === "object" && !isList(wire);

function sizeOf(wire: Wire): number {
  if (isItem(wire)) return wire.size;
  if (isList(wire)) return 8;
  return { u8: 1, u16: 2, u32: 4, count: 8, id: 8, u128: 16, bool: 1, string: 8 }[wire];
}

/** Whether a text holds a lone half of a character, which no UTF-8 can say. */
export const isTorn = (text: string): boolean => /\p{Surrogate}/u.test(text);

/** The one canonical encoding of a value. */
export function encodeBody<T>(type: Root<T>, value: T): Uint8Array {
  const writer = new Writer();
  const places = writer.outside(type, value, "");
  writer.inside(type, value, places, "");
  return writer.bytes.subarray(0, writer.at);
}

/** What lies outside a value: the bytes of a text, the place of a list, one of these for each field of a struct. */
type Places = Uint8Array | number | undefined | Places[];
type LongText = { place: number; length: number };

class Writer {
  bytes = new Uint8Array(64);
  view = new DataView(this.bytes.buffer);
  at = 0;

  private room(count: number): number {
    const at = this.at;
    this.at += count;
    if (this.at > this.bytes.length) {
      const more = new Uint8Array(Math.max(this.at, 2 * this.bytes.length));
      more.set(this.bytes);
      this.bytes = more;
      this.view = new DataView(more.buffer);
    }
    return at;
  }

  outside(wire: Wire, value: unknown, path: string): unknown {
    if (wire === "string") {
      if (typeof value !== "string") throw new CodecError("limit", path, `${typeof value}; expected a string`);
      if (isTorn(value)) throw new CodecError("limit", path, "half of a character (a lone surrogate)");
      const text = utf8.encode(value);
      if (text.length <= INLINE_MAX) return text;
      const place = this.room(text.length);
      this.bytes.set(text, place);
      return { place, length: text.length } satisfies LongText;
    }
    if (isList(wire)) {
      if (!Array.isArray(value)) throw new CodecError("limit", path, `${typeof value}; expected a list`);
      const places = value.map((one, index) => this.outside(wire[0], one, `${path}[${index}]`));
      const place = this.at;
      value.forEach((one, index) => this.inside(wire[0], one, places[index], `${path}[${index}]`));
      return place;
    }
    if (isItem(wire)) return wire.fields.map(([name, of]) => this.outside(of, (value as Value)[name], join(path, name)));
    return undefined;
  }

  inside(wire: Wire, value: unknown, places: unknown, path: string): void {
    if (isItem(wire)) {
      wire.fields.forEach(([name, of], index) =>
        this.inside(of, (value as Value)[name], (places as Places[])[index], join(path, name)));
      return;
    }
    const at = this.room(sizeOf(wire));
    if (isList(wire)) {
      this.view.setInt32(at, (places as number) - at, true);
      this.view.setUint32(at + 4, (value as unknown[]).length, true);
    } else if (wire === "string") {
      this.text(at, places as Uint8Array | LongText);
    } else {
      this.number(at, wire, value, path);
    }
  }

  private text(at: number, text: Uint8Array | LongText): void {
    if (text instanceof Uint8Array) {
      this.bytes.fill(FILL, at, at + INLINE_MAX);
      this.bytes.set(text, at);
    } else {
      const { place, length } = text;
      this.view.setUint32(at, ((length & 0x3f) | 0x80 | ((length & ~0x3f) << 2)) >>> 0, true);
      this.view.setInt32(at + 4, place - at, true);
    }
  }

  private number(at: number, wire: Exclude<Wire, Item | readonly [Wire]>, value: unknown, path: string): void {
    const wrong = (expected: string) => new CodecError("limit", path, `${String(value)}; expected ${expected}`);
    if (wire === "bool") {
      if (typeof value !== "boolean") throw wrong("true or false");
      this.bytes[at] = value ? 1 : 0;
    } else if (wire === "id" || wire === "u128") {
      const bits = wire === "id" ? 64n : 128n;
      if (typeof value !== "bigint" || value < 0n || value >> bits !== 0n) throw wrong(`a bigint of ${bits} bits`);
      this.view.setBigUint64(at, value & U64, true);
      if (wire === "u128") this.view.setBigUint64(at + 8, value >> 64n, true);
    } else {
      const most = wire === "count" ? Number.MAX_SAFE_INTEGER : 2 ** (8 * sizeOf(wire)) - 1;
      if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > most) throw wrong(`0 to ${most}`);
      const number = value as number;
      if (wire === "u8") this.bytes[at] = number;
      else if (wire === "u16") this.view.setUint16(at, number, true);
      else if (wire === "u32") this.view.setUint32(at, number, true);
      else this.view.setBigUint64(at, BigInt(number), true);
    }
  }
}

const join = (path: string, name: string): string => (path ? `${path}.${name}` : name);

/**
 * The value of the last bytes of a body, so that a newer version's body is read as this one. Checks bounds, UTF-8 and
 * bools, and that data lies in the order of the fields without overlap. Throws {@link CodecError}.
 */
export function decodeBody<T>(type: Root<T>, body: Uint8Array): T {
  if (body.length < type.size) {
    throw new CodecError("malformed", "", `${body.length} bytes; the root alone has ${type.size}`);
  }
  const start = body.length - type.size;
  return new Reader(body).read(type, start, start, "") as T;
}

/** {@link decodeBody}, and the bytes are the one canonical encoding of the value. */
export function decodeStrict<T>(type: Root<T>, body: Uint8Array): T {
  const value = decodeBody(type, body);
  const again = encodeBody(type, value);
  if (again.length !== body.length || again.some((byte, index) => byte !== body[index])) {
    throw new CodecError("not_canonical", "", "the body is not the canonical encoding of its value");
  }
  return value;
}

class Reader {
  private readonly view: DataView;
  /** Data that is read from here on lies at or above this. */
  private floor = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The value at `at`; its data lies below `ceiling`. */
  read(wire: Wire, at: number, ceiling: number, path: string): unknown {
    if (isItem(wire)) {
      const value: Value = {};
      for (const [name, of] of wire.fields) {
        value[name] = this.read(of, at, ceiling, join(path, name));
        at += sizeOf(of);
      }
      return value;
    }
    if (isList(wire)) return this.list(wire[0], at, ceiling, path);
    if (wire === "string") return this.text(at, ceiling, path);
    return this.number(wire, at, path);
  }

  /** Where data of so many bytes lies, to which the i32 at `at` points from `from`. */
  private place(from: number, at: number, length: number, ceiling: number, path: string): number {
    const place = from + this.view.getInt32(at, true);
    if (place < this.floor || place + length > ceiling) {
      throw new CodecError("malformed", path, `${length} bytes at ${place}; they must lie within ${this.floor}..${ceiling}`);
    }
    return place;
  }

  private list(wire: Wire, at: number, ceiling: number, path: string): unknown[] {
    const [count, size] = [this.view.getUint32(at + 4, true), sizeOf(wire)];
    const place = this.place(at, at, count * size, ceiling, path);
    const items: unknown[] = [];
    for (let index = 0; index < count; index++) {
      items.push(this.read(wire, place + index * size, place, `${path}[${index}]`));
    }
    this.floor = place + count * size;
    return items;
  }

  private text(at: number, ceiling: number, path: string): string {
    let bytes: Uint8Array;
    if ((this.view.getUint8(at) & 0xc0) === 0x80) {
      const marked = this.view.getUint32(at, true);
      const length = ((marked & 0x3f) | ((marked & ~0xff) >>> 2)) >>> 0;
      if (length <= INLINE_MAX) throw new CodecError("malformed", path, `${length} bytes; so few lie inline`);
      const place = this.place(at, at + 4, length, ceiling, path);
      this.floor = place + length;
      bytes = this.bytes.subarray(place, place + length);
    } else {
      const end = this.bytes.subarray(at, at + INLINE_MAX).indexOf(FILL);
      bytes = this.bytes.subarray(at, at + (end < 0 ? INLINE_MAX : end));
    }
    try {
      return strict.decode(bytes);
    } catch {
      throw new CodecError("malformed", path, "not UTF-8");
    }
  }

  private number(wire: Exclude<Wire, Item | readonly [Wire]>, at: number, path: string): unknown {
    if (wire === "u8") return this.view.getUint8(at);
    if (wire === "u16") return this.view.getUint16(at, true);
    if (wire === "u32") return this.view.getUint32(at, true);
    if (wire === "bool") {
      const byte = this.view.getUint8(at);
      if (byte > 1) throw new CodecError("malformed", path, `${byte}; a bool is 0 or 1`);
      return byte === 1;
    }
    const low = this.view.getBigUint64(at, true);
    if (wire === "id") return low;
    if (wire === "u128") return (this.view.getBigUint64(at + 8, true) << 64n) | low;
    if (low > BigInt(Number.MAX_SAFE_INTEGER)) throw new CodecError("limit", path, `${low}; must be below 2^53`);
    return Number(low);
  }
}
