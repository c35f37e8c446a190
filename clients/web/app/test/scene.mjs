/** People and words for a test to look at, made through the SDK. */
import { Account, AccountError, directChannel, Maru } from "../../sdk/dist/src/index.js";
import { nodeSocket } from "../../sdk/dist/src/node/index.js";
import { PASSWORD } from "./world.mjs";

async function open(server, name) {
  const account = new Account(server.url);
  await account.signup(name, PASSWORD).catch((error) => {
    if (!(error instanceof AccountError && error.code === "name_taken")) throw error;
  });
  return Maru.open({ server: server.url, login: await account.login(name, PASSWORD), transport: nodeSocket });
}

const TALK = [
  ["sora_t", "Has anybody looked at the weather for Saturday? ☀️"], ["haru_t", "Clear until the evening, 21 degrees. Good for Bukhansan."],
  ["sora_t", "그럼 아침 8시에 3번 출구에서 만나요"], ["sora_t", "I bring kimbap for everybody"], ["dahl", "🙌"],
  ["dahl", "I'm in. Somebody has to carry my knees back down, though. The last time it took me four days until stairs were my friends again."],
  ["haru_t", "https://example.org/trails/bukhansan has the map"], ["sora_t", "완벽해요! 늦지 마세요 😄"],
];

/** So many groups that this person is in, each with a text that fills its line in the list. */
export async function crowd(server, name, count) {
  const user = await userOf(server, name);
  const each = 200;
  for (let from = 0; from < count; from += each) {
    const host = await open(server, `host${from}`);
    let last;
    for (let at = from; at < Math.min(from + each, count); at++) {
      const { channel } = await host.createGroup(`Group ${at} of many`, [user]);
      last = await host.send(channel, "What a list shows of a channel is the beginning of its newest text, and this one is long enough for that.");
    }
    await host.stored(last.sendId);
    await host.logout();
  }
}

async function userOf(server, name) {
  const login = await new Account(server.url).login(name, PASSWORD);
  await new Account(server.url).logout(login.token);
  return login.user;
}

/** A group with this person in it, `count` numbered messages, and a few lines as people write them; two direct chats beside it.
 * Who `stays` is there still, by name. */
export async function fill(server, name, count = 420, stays = false) {
  const names = ["sora_t", "haru_t", "dahl"];
  const made = new Map(await Promise.all(names.map(async (one) => [one, await open(server, one)])));
  const sora = made.get("sora_t");
  const user = await userOf(server, name);
  const group = `Hiking of ${name}`;
  const { channel, sendId } = await sora.createGroup(group, [user, ...[...made.values()].map((one) => one.user)]);
  await sora.stored(sendId);
  let last;
  for (let at = 1; at <= count; at++) last = await sora.send(channel, at === 40 ? "a needle in message 40" : `message ${at}`);
  if (last) await sora.stored(last.sendId);
  if (count < 100) {
    const seqs = [];
    for (const [who, text] of TALK) seqs.push((await made.get(who).stored((await made.get(who).send(channel, text)).sendId)).seq);
    const said = [await sora.pin(channel, seqs[1], true), await sora.react(channel, seqs[5], "😂", true), await sora.react(channel, seqs[5], "🙏", true)];
    for (const { sendId } of said) await sora.stored(sendId);
  }
  const hello = await made.get("haru_t").send(directChannel(made.get("haru_t").user, user), "See you on Saturday!");
  await made.get("haru_t").stored(hello.sendId);
  const thanks = await made.get("dahl").send(directChannel(made.get("dahl").user, user), "고마워요, 내일 봐요 🙏");
  await made.get("dahl").stored(thanks.sendId);
  if (stays) return { group, channel, made };
  await Promise.all([...made.values()].map((one) => one.logout()));
  return { group, channel };
}
