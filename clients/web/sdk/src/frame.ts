/** Frames: the header, the stamp of messages, and what a WebSocket message holds of them (docs/protocol.md, section 3). */
import { CodecError, decodeBody, encodeBody, type Root } from "./codec.js";
import { FRAME_BYTES_MAX, HEADER_BYTES, Kind, NEWEST, STAMP_BYTES, WS_MESSAGE_FRAMES_MAX } from "./generated.js";

/** What the server put into a message. */
export interface Stamp {
  /** The message's dense position in its channel. */
  seq: number;
  /** Milliseconds since the Unix epoch. */
  timeMs: number;
  sender: bigint;
}

const STAMPED = 1;
/** Of an unknown kind: it is skipped, and may be as large as a frame. */
const UNKNOWN_BODY_MAX = FRAME_BYTES_MAX - HEADER_BYTES - STAMP_BYTES;
const bodyMax = new Map(NEWEST.map((type) => [type.kind, type.bytesMax]));
const names = new Map<number, string>(Object.entries(Kind).map(([name, kind]) => [kind, name]));

/** A kind's name; of one that this version does not know its number. */
export const kindName = (kind: number): string => names.get(kind) ?? `unknown kind 0x${kind.toString(16).padStart(4, "0")}`;

/** Bytes that follow no frame layout: the connection must close with this code. */
export class FrameError extends Error {
  constructor(readonly close: 1002 | 1009, text: string) {
    super(text);
    this.name = "FrameError";
  }
}

/** One whole frame. It holds its bytes and nothing else. */
export class Frame {
  private readonly view: DataView;

  private constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get kind(): number { return this.view.getUint16(4, true); }
  get version(): number { return this.view.getUint8(6); }
  get isStamped(): boolean { return this.view.getUint8(7) === STAMPED; }
  /** A send id, a request id, or 0. */
  get id(): bigint { return this.view.getBigUint64(8, true); }
  get body(): Uint8Array { return this.bytes.subarray(HEADER_BYTES + (this.isStamped ? STAMP_BYTES : 0)); }

  get stamp(): Stamp | undefined {
    if (!this.isStamped) return undefined;
    const at = HEADER_BYTES;
    const [seq, timeMs] = [this.view.getBigUint64(at, true), this.view.getBigUint64(at + 8, true)];
    return { seq: Number(seq), timeMs: Number(timeMs), sender: this.view.getBigUint64(at + 16, true) };
  }

  /** A frame of any kind. */
  static build(kind: number, version: number, id: bigint, body: Uint8Array): Frame {
    const bytes = new Uint8Array(HEADER_BYTES + body.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, body.length, true);
    view.setUint16(4, kind, true);
    view.setUint8(6, version);
    view.setBigUint64(8, id, true);
    bytes.set(body, HEADER_BYTES);
    return new Frame(bytes);
  }

  /** A body in its frame. */
  static of<T>(type: Root<T>, id: bigint, value: T): Frame {
    return Frame.build(type.kind, type.version, id, encodeBody(type, value));
  }

  /** The first frame of `bytes`; undefined while it is not whole. */
  static first(bytes: Uint8Array): Frame | undefined {
    if (bytes.length < HEADER_BYTES) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [length, kind, version, flags] = [view.getUint32(0, true), view.getUint16(4, true), view.getUint8(6), view.getUint8(7)];
    const stamp = flags === STAMPED ? STAMP_BYTES : 0;
    const most = (bodyMax.get(kind) ?? UNKNOWN_BODY_MAX) + stamp;
    if (flags > STAMPED) throw new FrameError(1002, `flags ${flags}; expected 0 or 1`);
    if (version === 0) throw new FrameError(1002, "version 0; versions begin with 1");
    if (length > most) throw new FrameError(1009, `${kindName(kind)} of ${length} bytes; at most ${most} are allowed`);
    if (length < stamp) throw new FrameError(1002, `${length} bytes; the stamp alone has ${stamp}`);
    return bytes.length < HEADER_BYTES + length ? undefined : new Frame(bytes.subarray(0, HEADER_BYTES + length));
  }

  /** The one frame that an app has kept; undefined for what is none any more. */
  static kept(bytes: Uint8Array): Frame | undefined {
    try {
      const frame = Frame.first(bytes);
      return frame?.bytes.length === bytes.length ? frame : undefined;
    } catch (error) {
      if (error instanceof FrameError) return undefined;
      throw error;
    }
  }

  /** The frames of one WebSocket message. Throws {@link FrameError}. */
  static all(message: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (let rest = message; rest.length > 0;) {
      if (frames.length === WS_MESSAGE_FRAMES_MAX) throw new FrameError(1009, `more than ${WS_MESSAGE_FRAMES_MAX} frames in a message`);
      const frame = Frame.first(rest);
      if (!frame) throw new FrameError(1002, `${rest.length} bytes are left behind the last whole frame`);
      frames.push(frame);
      rest = rest.subarray(frame.bytes.length);
    }
    return frames;
  }
}

/**
 * The body of a frame, if it is of this kind, of this version or a later one, and can be read; else undefined. What
 * cannot be read is skipped, not an error: a newer server may send it.
 */
export function read<T>(type: Root<T>, frame: Frame): T | undefined {
  if (frame.kind !== type.kind || frame.version < type.version) return undefined;
  try {
    return decodeBody(type, frame.body);
  } catch (error) {
    if (error instanceof CodecError) return undefined;
    throw error;
  }
}
