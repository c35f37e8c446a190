/** The WebSocket of Node: its bytes against the vectors, and its way with servers that misbehave. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer, type Server as TcpServer, type Socket as TcpSocket } from "node:net";
import { type AddressInfo } from "node:net";
import { after, test } from "node:test";
import { WS_MESSAGE_BYTES_MAX } from "../src/generated.js";
import { Frame, type LinkEvents } from "../src/index.js";
import { messages } from "../src/dial/link.js";
import { nodeSocket } from "../src/node/index.js";
import { WsError, wsFrame, WsReader, type WsEvent } from "../src/node/ws.js";
import { bytesOf, golden, hex } from "./golden.js";

interface Vector { name: string; reader: string; bytes: unknown; close: number | null; events: Record<string, unknown>[] }
const vectors = (JSON.parse(golden("protocol/vectors.json")) as { websocket: Vector[] }).websocket;

/** An event as the vectors spell it. */
const spelled = (event: WsEvent): object => event.type === "close" ? { close: event.code ?? null, reason: event.reason } : { [event.type]: hex(event.bytes) };

test("vectors, at once and byte by byte", () => {
  for (const { name, reader, bytes, close, events } of vectors.filter((vector) => vector.reader === "client")) {
    assert.equal(reader, "client");
    const expected = events.map((event) => event["message"] ? { message: hex(bytesOf(event["message"])) } : event);
    const whole = bytesOf(bytes);
    for (const step of whole.length > 1000 ? [whole.length, 997] : [whole.length, 1]) {
      const [found, of]: [object[], WsReader] = [[], new WsReader()];
      let fault: number | null = null;
      try {
        for (let at = 0; at < whole.length; at += step) found.push(...of.read(whole.subarray(at, at + step)).map(spelled));
      } catch (error) {
        assert.ok(error instanceof WsError, `${name}: ${error}`);
        fault = error.close;
      }
      assert.deepEqual([found, fault], [expected, close], name);
    }
  }
});

test("what a client writes is what a server reads", () => {
  for (const { name, bytes, events, close } of vectors.filter((vector) => vector.reader === "server" && vector.close === null)) {
    const whole = bytesOf(bytes);
    const [first, second] = [whole[0] as number, whole[1] as number];
    const length = second & 0x7f;
    const masked = whole.subarray(6, 6 + length).map((byte, at) => byte ^ (whole[2 + (at & 3)] as number));
    assert.equal(hex(wsFrame(first & 0x0f, masked, whole.subarray(2, 6))), hex(whole), `${name} ${close} ${events.length}`);
  }
  for (const length of [125, 126, 65_535, 65_536]) {
    const frame = wsFrame(2, new Uint8Array(length), Uint8Array.of(0, 0, 0, 0));
    assert.equal(frame.length, length + 4 + (length < 126 ? 2 : length < 65_536 ? 4 : 10));
  }
});

test("frames that go out at one moment share as few messages as their bounds allow", () => {
  const frame = (bytes: number) => Frame.build(0x7777, 1, 1n, new Uint8Array(bytes - 16));
  assert.deepEqual(messages([]), []);
  assert.deepEqual(messages(Array.from({ length: 5000 }, () => frame(16))).map(({ length }) => length), [4096 * 16, 904 * 16]);
  const large = [frame(500_000), frame(500_000), frame(100_000), frame(20)];
  const made = messages(large);
  assert.deepEqual(made.map(({ length }) => length), [1_000_000, 100_020]);
  assert.ok(made.every(({ length }) => length <= WS_MESSAGE_BYTES_MAX));
  assert.deepEqual(made.flatMap((message) => Frame.all(message).map(({ bytes }) => bytes.length)), large.map(({ bytes }) => bytes.length));
});

const servers: TcpServer[] = [];
const sockets: TcpSocket[] = [];
after(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
});

/** A server that reads a request and does this with its connection. */
async function serve(then: (socket: TcpSocket, accept: string) => void): Promise<string> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", (bytes) => {
      const key = /sec-websocket-key: (\S+)/i.exec(bytes.toString())?.[1] ?? "";
      then(socket, createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64"));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`;
}
const upgraded = (accept: string, more = ""): string =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n${more}`;

/** What a link tells until it is closed. */
function told(chat: string, opened: (send: (frames: Frame[]) => void) => void = () => {}): Promise<{ isOpen: boolean; frames: Frame[]; code: number }> {
  return new Promise((resolve) => {
    const so: { isOpen: boolean; frames: Frame[] } = { isOpen: false, frames: [] };
    const events: LinkEvents = {
      opened: () => {
        so.isOpen = true;
        opened((frames) => link.send(frames));
      },
      received: (frames) => so.frames.push(...frames), drained() {}, closed: (code) => resolve({ ...so, code }),
    };
    const link = nodeSocket({ server: "", chat, token: "" }, events);
  });
}

test("servers that are none, or break off, are a connection that is closed", async () => {
  const answers: [string, (socket: TcpSocket, accept: string) => void, boolean, number][] = [
    ["says no", (socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), false, 1006],
    ["hangs up", (socket) => socket.destroy(), false, 1006],
    ["is no WebSocket", (socket) => socket.write(upgraded("bm9wZQ==")), false, 1006],
    ["speaks something else", (socket) => socket.end("SSH-2.0-x\r\n"), false, 1006],
    ["breaks off", (socket, accept) => socket.end(upgraded(accept)), true, 1006],
    ["closes", (socket, accept) => socket.write(Buffer.concat([Buffer.from(upgraded(accept)), Buffer.from("88020fa1", "hex")])), true, 4001],
    ["sends text", (socket, accept) => socket.write(Buffer.concat([Buffer.from(upgraded(accept)), Buffer.from("810161", "hex")])), true, 1003],
    ["sends half a frame", (socket, accept) => socket.write(Buffer.concat([Buffer.from(upgraded(accept)), Buffer.from("820108", "hex")])), true, 1002],
  ];
  for (const [name, answer, isOpen, code] of answers) {
    const found = await told(await serve(answer));
    assert.deepEqual([found.isOpen, found.frames.length, found.code], [isOpen, 0, code], name);
  }
  assert.equal((await told("ws://127.0.0.1:1/ws")).code, 1006);
});

test("frames behind the answer to the upgrade are heard, pings are answered, a close is answered", async () => {
  const heartbeat = Buffer.from("8218080000000402010005000000000000000000000000000000", "hex");
  const got: Buffer[] = [];
  const chat = await serve((socket, accept) => {
    socket.on("data", (bytes) => got.push(bytes));
    socket.write(Buffer.concat([Buffer.from(upgraded(accept)), heartbeat, Buffer.from("890170", "hex"), Buffer.from("880203e8", "hex")]));
  });
  const { frames, code } = await told(chat);
  assert.deepEqual([frames.map(({ kind, id }) => [kind, id]), code], [[[0x0204, 5n]], 1000]);
  while (Buffer.concat(got).length < 7 + 8) await new Promise((resolve) => setTimeout(resolve, 1));
  const said = Buffer.concat(got);
  assert.deepEqual([said[0], (said[6] as number) ^ (said[2] as number), said[7]], [0x8a, 0x70, 0x88]);
});
