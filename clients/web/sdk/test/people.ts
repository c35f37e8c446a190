/** People for tests that want devices and a real server: a name is an account with a device, which is closed at the end. */
import { after, before } from "node:test";
import { Account, Maru } from "../src/index.js";
import { nodeSocket } from "../src/node/index.js";
import { Server } from "./server.js";

export const PASSWORD = "a long password";

/** A server for all tests of a file; what it gives opens a device of a user, who is signed up the first time. */
export function people(): (name: string) => Promise<Maru> {
  let server: Server | undefined;
  const opened: Maru[] = [];
  before(async () => { server = await Server.start(); });
  after(async () => {
    await Promise.all(opened.map((maru) => maru.close()));
    await server?.remove();
  });
  return async (name) => {
    const account = new Account((server as Server).url);
    await account.signup(name, PASSWORD).catch(() => {});
    const maru = await Maru.open({ server: (server as Server).url, login: await account.login(name, PASSWORD), transport: nodeSocket });
    opened.push(maru);
    return maru;
  };
}
