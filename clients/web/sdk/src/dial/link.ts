/** How frames travel. A WebSocket is one way; a long poll will be another: the same frames in and out. */
import { Frame, FrameError } from "../frame.js";
import { Close, WS_MESSAGE_BYTES_MAX, WS_MESSAGE_FRAMES_MAX } from "../generated.js";

/** What a way tells of its connection. `closed` comes once, last, also when there never was a connection. */
export interface LinkEvents {
  opened(): void;
  /** Whole frames, in order. */
  received(frames: Frame[]): void;
  /** Frames may be written again. */
  drained(): void;
  closed(code: number, reason: string): void;
}

/** One connection, or the attempt to make one. */
export interface Link {
  /** Writes frames that go out at one moment, in order. */
  send(frames: Frame[]): void;
  /** Whether so much waits to be written that the session should keep what it has. */
  readonly isFull: boolean;
  close(code?: number): void;
}

/** Where to, and as whom: a WebSocket needs `chat` alone, a poll the control plane and the token. */
export interface Place {
  server: string;
  chat: string;
  token: string;
}

/** A way to reach the server. */
export type Transport = (place: Place, events: LinkEvents) => Link;

/** What a WebSocket has to be like: the web's own, or the one in node/socket.ts. */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}
export type SocketMaker = new (url: string) => Socket;

/** Bytes that may wait in a socket before the session keeps what it has. */
const WAITING_BYTES_MAX = 256 * 1024;
/** How often a full socket is looked at: the web's WebSocket does not say when it has room. */
const LOOK_MS = 50;
/** How long a connection may take to be made, and to be closed. */
const OPEN_WAIT_MS = 10_000;
const CLOSE_WAIT_MS = 1000;
/** RFC 6455: no close code was received. */
const ABNORMAL = 1006;

/** Frames over a WebSocket. */
export const webSocket = (make: SocketMaker): Transport => (place, events) => new WebSocketLink(new make(place.chat), events);

/** The web's own. */
export function webTransport(): Transport {
  const { WebSocket } = globalThis as { WebSocket?: unknown };
  if (!WebSocket) throw new Error("there is no WebSocket here; in Node give `transport: nodeSocket` of @maru/sdk/node");
  return webSocket(WebSocket as SocketMaker);
}

class WebSocketLink implements Link {
  private looking: ReturnType<typeof setTimeout> | undefined;
  private patience: ReturnType<typeof setTimeout>;
  private isOver = false;

  constructor(private readonly socket: Socket, private readonly events: LinkEvents) {
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      clearTimeout(this.patience);
      if (!this.isOver) events.opened();
    };
    socket.onmessage = ({ data }) => this.take(data);
    socket.onclose = ({ code, reason }) => this.end(code, reason);
    // What is wrong is said by onclose, which follows.
    socket.onerror = () => {};
    this.patience = setTimeout(() => this.close(), OPEN_WAIT_MS);
  }

  get isFull(): boolean {
    return this.socket.bufferedAmount > WAITING_BYTES_MAX;
  }

  send(frames: Frame[]): void {
    for (const message of messages(frames)) this.socket.send(message);
    if (this.isFull) this.look();
  }

  private look(): void {
    clearTimeout(this.looking);
    this.looking = setTimeout(() => {
      if (this.isFull) this.look();
      else if (!this.isOver) this.events.drained();
    }, LOOK_MS);
  }

  private take(data: unknown): void {
    if (this.isOver) return;
    try {
      if (!(data instanceof ArrayBuffer)) throw new FrameError(1002, "a text message; frames travel in binary messages");
      this.events.received(Frame.all(new Uint8Array(data)));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      // A page may not use the codes that say so; the server only needs to know that it is over.
      this.socket.close();
      this.end(error.close, error.message);
    }
  }

  close(code: number = Close.normal): void {
    if (this.isOver) return;
    clearTimeout(this.patience);
    this.socket.close(code);
    // A network that is gone answers no close.
    this.patience = setTimeout(() => this.end(ABNORMAL, "the connection did not close in time"), CLOSE_WAIT_MS);
  }

  private end(code: number, reason: string): void {
    clearTimeout(this.patience);
    clearTimeout(this.looking);
    if (this.isOver) return;
    this.isOver = true;
    this.events.closed(code, reason);
  }
}

/** Frames as WebSocket messages: as few as their bounds allow. */
export function messages(frames: Frame[]): Uint8Array<ArrayBuffer>[] {
  const made: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < frames.length;) {
    let [end, bytes] = [at, 0];
    for (; end < frames.length && end - at < WS_MESSAGE_FRAMES_MAX; end++) {
      const { length } = (frames[end] as Frame).bytes;
      if (end > at && bytes + length > WS_MESSAGE_BYTES_MAX) break;
      bytes += length;
    }
    const message = new Uint8Array(bytes);
    for (let place = 0; at < end; at++) {
      message.set((frames[at] as Frame).bytes, place);
      place += (frames[at] as Frame).bytes.length;
    }
    made.push(message);
  }
  return made;
}
