/** What stands between a browser and the server: it passes everything on, and cuts or changes what a test wants it to. */
import { createServer as createHttp, request as ask } from "node:http";
import { connect, createServer } from "node:net";

/** A test that failed leaves it behind: that does not keep the process. */
const listening = (server) => new Promise((resolve) => server.unref().listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${server.address().port}`)));

/** Passes bytes on, and can cut all that passes through it. */
export class Wire {
  cuts = 0;
  #sockets = new Set();

  /** `to`: gives the address each time, for a server that comes back elsewhere. */
  static async to(target) {
    const wire = new Wire();
    wire.server = createServer((near) => {
      const [host, port] = target().split(":");
      const far = connect(Number(port), host);
      for (const [from, to] of [[near, far], [far, near]]) {
        wire.#sockets.add(from);
        from.on("error", () => to.destroy()).on("close", () => { wire.#sockets.delete(from); to.destroy(); }).pipe(to);
      }
    });
    wire.address = await listening(wire.server);
    return wire;
  }

  cut() {
    if (this.#sockets.size > 0) this.cuts += 1;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cuts every so often, as a proxy that lets nothing live long. */
  cutEvery(ms) {
    this.timer = setInterval(() => this.cut(), ms);
  }

  close() {
    clearInterval(this.timer);
    this.cut();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

/** A control plane behind another address. `change(path, bytes)` gives what an answer is to be instead; `isDown` answers nobody. */
export class Plane {
  isDown = false;
  change = (_path, bytes) => bytes;
  /** What the server calls what is asked for here. */
  nameOf = (path) => path;

  static async before(server) {
    const plane = new Plane();
    plane.server = createHttp((near, answer) => {
      if (plane.isDown) return near.socket.destroy();
      const [host, port] = server.http.split(":");
      // Compressed bytes could not be changed, and what was changed has not the server's ETag.
      const { "accept-encoding": _coding, "if-none-match": _tag, ...headers } = near.headers;
      const far = ask({ host, port, method: near.method, path: plane.nameOf(near.url), headers }, (said) => {
        const parts = [];
        said.on("data", (part) => parts.push(part)).on("end", () => {
          const bytes = plane.change(near.url, Buffer.concat(parts));
          const { "content-length": _length, "transfer-encoding": _transfer, "etag": _etag, ...rest } = said.headers;
          answer.writeHead(said.statusCode, rest).end(bytes);
        });
      });
      far.on("error", () => near.socket.destroy());
      near.pipe(far);
      return undefined;
    });
    plane.http = await listening(plane.server);
    plane.url = `http://${plane.http}`;
    plane.chat = server.chat;
    return plane;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
