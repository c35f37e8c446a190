// The pictures of README.md: a conversation with reactions and an edit, people who are there or away, a draft; at a desk and on a
// phone, by day and by night.  MARU=target/debug/maru node scripts/pictures.mjs ../../../docs/pictures
import { mkdirSync } from "node:fs";
import { directChannel } from "../../sdk/dist/src/index.js";
import { fill } from "../test/scene.mjs";
import { act } from "../test/stage.mjs";
import { launch, Person, Server } from "../test/world.mjs";

const [, , out = "pictures"] = process.argv;
mkdirSync(out, { recursive: true });
const [AWAY, BUSY] = [1, 2];
const VIEWS = [
  { name: "mina", what: "desktop", viewport: { width: 1280, height: 800 } },
  { name: "노을", what: "phone", viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
];

const server = await Server.start("--presence-grace-ms", "0");
const browser = await launch();
const made = [];
try {
  for (const { name, what, ...options } of VIEWS) {
    const one = await (await Person.at(browser, server, options)).signUp(name);
    const { group, channel, made: people } = await fill(server, name, 0, true);
    made.push(...people.values());
    const [sora, haru, dahl] = ["sora_t", "haru_t", "dahl"].map((of) => people.get(of));
    await haru.setPresence(AWAY);
    await dahl.setPresence(BUSY, "carrying my knees", 0);
    const user = (await one.page.evaluate(async () => {
      const open = indexedDB.open("maru");
      const db = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
      const row = db.transaction("meta").objectStore("meta").get("login");
      return new Promise((resolve) => { row.onsuccess = () => { db.close(); resolve(String(row.result.user)); }; });
    }));
    const direct = directChannel(sora.user, BigInt(user));
    await sora.stored((await sora.send(direct, "Shall I bring the big rucksack?")).sendId);
    const { page } = one;
    // What is begun and not sent.
    await page.getByRole("link", { name: /Shall I bring the big rucksack/ }).click();
    await page.locator("#composer").fill("Yes please, and the stove");
    if (what === "phone") await page.getByRole("button", { name: "Back to chats" }).click();
    await one.openRow(group);
    await one.said("완벽해요! 늦지 마세요 😄").waitFor();
    await one.write("좋아요! I'll be there at nine.");
    const mine = one.said("좋아요! I'll be there at nine.");
    await mine.getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
    await page.locator("#composer").press("ArrowUp");
    await one.write("좋아요! I'll be there at eight.");
    const now = one.said("좋아요! I'll be there at eight.");
    await now.getByText("edited", { exact: true }).waitFor();
    const head = (await sora.channels()).find((item) => item.channel === channel).lastSeq;
    for (const [who, emoji] of [[haru, "👍"], [sora, "👍"], [dahl, "🥾"]]) await who.stored((await who.react(channel, head, emoji, true)).sendId);
    await now.getByRole("button", { name: "👍, 2" }).waitFor();
    await act(one.said("I bring kimbap for everybody"), "React");
    await page.getByRole("group", { name: "React" }).getByRole("button", { name: "❤️" }).click();
    for (const each of people.values()) await each.markRead(channel, head);
    await now.getByRole("img", { name: "Read" }).waitFor();
    await page.locator("#composer").focus();
    await page.mouse.move(options.viewport.width / 2, 4);
    const shoot = async (place) => {
      for (const scheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme: scheme });
        await page.screenshot({ path: `${out}/web-${what}${place}-${scheme}.png` });
      }
    };
    if (what === "desktop") await page.locator(".dot.online, .dot.away, .dot.busy").nth(2).waitFor();
    await shoot("");
    if (what === "phone") {
      await page.getByRole("button", { name: "Back to chats" }).click();
      await page.locator(".dot.online, .dot.away, .dot.busy").nth(2).waitFor();
      await shoot("-list");
    }
    await one.context.close();
  }
} finally {
  await Promise.all(made.map((one) => one.close()));
  await browser.close();
  await server.remove();
}
