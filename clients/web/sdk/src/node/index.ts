/** For programs in Node: a WebSocket without a dependency. */
import { type Transport, webSocket } from "../dial/link.js";
import { NodeSocket } from "./socket.js";

export { NodeSocket };

/** Frames over Node's own sockets. */
export const nodeSocket: Transport = webSocket(NodeSocket);
