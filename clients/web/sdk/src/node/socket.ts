/** A WebSocket for Node, which has none of its own before version 22: the part of the web's that a link needs. */
import { createHash, randomBytes } from "node:crypto";
import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import type { Duplex } from "node:stream";
import type { Socket } from "../dial/link.js";
import { BINARY, CLOSE, PONG, WsError, type WsEvent, wsFrame, WsReader } from "./ws.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const ABNORMAL = 1006;

export class NodeSocket implements Socket {
  binaryType = "arraybuffer";
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  private stream: Duplex | undefined;
  private readonly reader = new WsReader();
  private readonly abort: () => void;
  private isClosing = false;
  private isOver = false;

  constructor(url: string) {
    const { protocol, host, hostname, port, pathname, search } = new URL(url);
    const key = randomBytes(16).toString("base64");
    const accept = createHash("sha1").update(key + GUID).digest("base64");
    const headers = { Host: host, Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key };
    // An IPv6 address stands in brackets in a URL alone.
    const at = { hostname: hostname.replace(/^\[|\]$/g, ""), port, path: pathname + search, headers, agent: false };
    const request = protocol === "wss:" ? requestTls({ ...at, minVersion: "TLSv1.3" }) : requestPlain(at);
    this.abort = () => request.destroy();
    request.on("error", (error) => this.end(ABNORMAL, error.message));
    request.on("response", (response) => {
      response.resume();
      this.end(ABNORMAL, `the server answered ${response.statusCode} to the upgrade`);
      request.destroy();
    });
    request.on("upgrade", (response, stream, head) => {
      if (response.headers["sec-websocket-accept"] === accept) return this.open(stream, head);
      stream.destroy();
      this.end(ABNORMAL, "the answer to the upgrade is of no WebSocket");
    });
    request.end();
  }

  get bufferedAmount(): number {
    return this.stream?.writableLength ?? 0;
  }

  private open(stream: Duplex, head: Buffer): void {
    if (this.isClosing) return void stream.destroy();
    this.stream = stream;
    // Small frames must not wait for the ack of the ones before.
    (stream as Duplex & { setNoDelay?: (is: boolean) => void }).setNoDelay?.(true);
    stream.on("error", (error) => this.end(ABNORMAL, error.message));
    stream.on("close", () => this.end(ABNORMAL, "the connection broke"));
    // The server's end of the stream without a close: there is nothing more to hear.
    stream.on("end", () => stream.destroy());
    stream.on("data", (bytes: Buffer) => this.read(bytes));
    this.onopen?.(undefined as never);
    if (head.length > 0) this.read(head);
  }

  private read(bytes: Uint8Array): void {
    try {
      for (const event of this.reader.read(bytes)) this.take(event);
    } catch (error) {
      if (!(error instanceof WsError)) throw error;
      this.write(CLOSE, codeBytes(error.close));
      this.stream?.end();
      this.end(error.close, error.message);
    }
  }

  private take(event: WsEvent): void {
    if (this.isOver) return;
    if (event.type === "ping") this.write(PONG, event.bytes);
    else if (event.type === "message") this.onmessage?.({ data: event.bytes.buffer });
    else if (event.type === "close") {
      if (!this.isClosing) this.write(CLOSE, event.code === undefined ? new Uint8Array(0) : codeBytes(event.code));
      this.stream?.end();
      this.end(event.code ?? 1005, event.reason);
    }
  }

  send(bytes: Uint8Array): void {
    this.write(BINARY, bytes);
  }

  private write(opcode: number, bytes: Uint8Array): void {
    if (this.stream?.writable) this.stream.write(wsFrame(opcode, bytes, randomBytes(4)));
  }

  close(code = 1000): void {
    if (this.isClosing) return;
    this.isClosing = true;
    if (!this.stream) {
      this.abort();
      return this.end(ABNORMAL, "closed before it was open");
    }
    this.write(CLOSE, codeBytes(code));
    // The server answers with its close and ends the stream; one that does not is not waited for.
    setTimeout(() => this.stream?.destroy(), 1000).unref();
  }

  private end(code: number, reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onclose?.({ code, reason });
  }
}

const codeBytes = (code: number): Uint8Array => Uint8Array.of(code >> 8, code & 0xff);
