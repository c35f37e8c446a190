/** A real server for a test: `maru serve` on loopback, on ports of its own, in a directory of its own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const built = process.env["MARU"] ?? fileURLToPath(new URL("../../../../../target/debug/maru", import.meta.url));

export class Server {
  http = "";
  chat = "";
  /** Where operators ask. */
  admin = "";
  private child: ChildProcess | undefined;
  private log = "";

  private constructor(readonly data: string, private readonly settings: string[]) {}

  /** With what `maru serve` takes besides, as `--token-s 10`. */
  static async start(...settings: string[]): Promise<Server> {
    assert.ok(existsSync(built), `${built} is not there: cargo build -p server --bin maru, or set MARU to where it is`);
    const server = new Server(await mkdtemp(join(tmpdir(), "maru-sdk-")), settings);
    await server.run();
    return server;
  }

  get url(): string {
    return `http://${this.http}`;
  }

  /** Starts the process; a second time where it was. */
  async run(): Promise<void> {
    this.http ||= await free();
    this.chat ||= await free();
    this.admin ||= await free();
    const ports = ["--http", this.http, "--listen", this.chat, "--admin-listen", this.admin];
    const child = spawn(built, ["serve", "--data", this.data, "--shards", "2", ...ports, ...this.settings], { stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    child.stderr?.on("data", (bytes: Buffer) => { this.log += bytes.toString(); });
    const ready = await new Promise<string>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`maru ended with ${code} before it was ready: ${this.log}`)));
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => line.startsWith("maru ready ") && resolve(line));
    });
    const word = (name: string): string => new RegExp(` ${name}=(\\S+)`).exec(ready)?.[1] ?? assert.fail(ready);
    this.http = new URL(word("http")).host;
    this.chat = new URL(word("ws")).host;
    this.admin = new URL(word("admin")).host;
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.child;
    this.child = undefined;
    if (!child) return null;
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    child.kill(signal);
    return ended;
  }

  /** SIGKILL, as a crash would. */
  kill(): Promise<number | null> {
    return this.end("SIGKILL");
  }

  /** SIGTERM: drains. */
  stop(): Promise<number | null> {
    return this.end("SIGTERM");
  }

  /** Ends the process by its id, and takes the directory away. */
  async remove(): Promise<void> {
    await this.kill();
    await rm(this.data, { recursive: true, force: true });
  }
}

let next_port = process.pid * 97;

/**
 * An address that nobody has, below the ports that Linux gives away by itself: one of those may be another test's while the server is down.
 * As server/tests/e2e/ports.rs does.
 */
async function free(): Promise<string> {
  for (;;) {
    const port = 20_000 + next_port++ % 12_000;
    const probe = createServer();
    const is_free = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!is_free) continue;
    await new Promise((resolve) => probe.close(resolve));
    return `127.0.0.1:${port}`;
  }
}

/** The first event of this name for which `is` holds. */
export function next<Events, Name extends keyof Events>(
  from: { on(name: Name, listener: (event: Events[Name]) => void): () => void }, name: Name, is: (event: Events[Name]) => boolean = () => true,
): Promise<Events[Name]> {
  return new Promise((resolve) => {
    const end = from.on(name, (event) => {
      if (!is(event)) return;
      end();
      resolve(event);
    });
  });
}
