/** The ways of a page. */
import type { Fetch } from "./account.js";
import { fallback } from "./fallback.js";
import { type SocketMaker, type Transport, webSocket } from "./link.js";
import { poll } from "./poll.js";

/** The web's own WebSocket, and polls while that is blocked. */
export function webTransport(fetch?: Fetch): Transport {
  const { WebSocket } = globalThis as { WebSocket?: unknown };
  if (!WebSocket) throw new Error("there is no WebSocket here; in Node give `transport: nodeSocket` of @maru/sdk/node");
  return fallback(webSocket(WebSocket as SocketMaker), poll(fetch && { fetch }));
}
