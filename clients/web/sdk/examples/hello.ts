// Two people, one message: node dist/examples/hello.js http://127.0.0.1:8080
import { Account, directChannel, Maru } from "@maru/sdk";
import { nodeSocket } from "@maru/sdk/node";

const server = process.argv[2] ?? "http://127.0.0.1:8080";
const account = new Account(server);
const start = async (name: string): Promise<Maru> => {
  await account.signup(name, "a long password");
  const login = await account.login(name, "a long password");
  return Maru.open({ server, login, transport: nodeSocket });
};
const [minji, joon] = [await start(`minji${process.pid}`), await start(`joon${process.pid}`)];
joon.on("message", async ({ sender, content }) => {
  if (content.type === "text") console.log(`${sender}: ${content.text}`);
  await Promise.all([minji.close(), joon.close()]);
});
await minji.send(directChannel(minji.user, joon.user), "Annyeong, Joon!");
