/** What people say about messages: they edit, react and pin, in two browsers, on a phone, and without a network. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Account, directChannel, Maru } from "../../sdk/dist/src/index.js";
import { nodeSocket } from "../../sdk/dist/src/node/index.js";
import { act as actOn, stage } from "./stage.mjs";
import { expectCount, until } from "./wait.mjs";
import { PASSWORD } from "./world.mjs";

const LIMIT = { timeout: 300_000 };
const at = stage();
const chip = (one, text, name) => one.said(text).getByRole("button", { name });
const act = (one, text, name) => actOn(one.said(text), name);

test("an edit stands in its place, for everybody and after a reload", LIMIT, async () => {
  const [nari, oh] = [await at.person("nari"), await at.person("oh")];
  await nari.chatWith("oh");
  await nari.write("helo");
  await nari.said("helo").getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
  await oh.openRow("nari");
  await oh.said("helo").waitFor();
  const box = nari.page.locator("#composer");
  await box.press("ArrowUp");
  await nari.page.getByText("Editing your message").waitFor();
  assert.equal(await box.inputValue(), "helo");
  await nari.write("hello");
  for (const one of [nari, oh]) {
    await one.said("hello").getByText("edited", { exact: true }).waitFor();
    await expectCount(one.said("hello"), 1);
    assert.equal(await one.said("helo").count(), 0);
    assert.equal(await one.page.locator(".timeline .message").count(), 1, "an edit is no message of its own");
  }
  assert.equal(await box.inputValue(), "");
  // What was being typed comes back when the edit is given up.
  await box.fill("half a thought");
  await act(nari, "hello", "Edit");
  assert.equal(await box.inputValue(), "hello");
  await box.press("Escape");
  assert.equal(await box.inputValue(), "half a thought");
  await box.fill("");
  await oh.page.reload();
  await oh.said("hello").getByText("edited", { exact: true }).waitFor();
  await act(oh, "hello", "Reply in thread");
  await oh.page.locator(".thread").getByText("hello", { exact: true }).waitFor();
  await oh.page.getByRole("complementary", { name: "Thread" }).getByText("edited", { exact: true }).waitFor();
  await oh.page.getByRole("complementary", { name: "Thread" }).getByRole("button", { name: "Close" }).click();
  // Nobody edits what another has written.
  await oh.said("hello").hover();
  await oh.said("hello").getByRole("button", { name: "Reply", exact: true }).waitFor();
  assert.equal(await oh.said("hello").getByRole("button", { name: "Edit" }).count(), 0);
  await nari.done();
  await oh.done();
});

test("reactions are counted, shown live, taken back, and chosen by keyboard on a phone's width", LIMIT, async () => {
  const [par, ryu] = [await at.person("par"), await at.person("ryu", { viewport: { width: 360, height: 740 } })];
  await par.chatWith("ryu");
  await par.write("lunch?");
  await ryu.openRow("par");
  await ryu.said("lunch?").waitFor();
  await act(par, "lunch?", "React");
  await par.page.getByRole("group", { name: "React" }).getByRole("button", { name: "👍" }).click();
  await chip(par, "lunch?", "👍, 1, you too").waitFor();
  await chip(ryu, "lunch?", "👍, 1").click();
  for (const one of [par, ryu]) await chip(one, "lunch?", "👍, 2, you too").waitFor();
  // Who it was, and it changes while it is looked at.
  await par.said("lunch?").getByRole("button", { name: "Who reacted" }).click();
  const who = par.page.getByRole("complementary", { name: "Who reacted" });
  await who.getByRole("region", { name: "👍, 2" }).getByText("ryu").waitFor();
  await who.getByRole("region", { name: "👍, 2" }).getByText("You", { exact: true }).waitFor();
  // By the keyboard, and an emoji that is not among the common ones.
  await ryu.page.locator("[data-seq]").last().focus();
  await ryu.page.keyboard.press("+");
  const picker = ryu.page.getByRole("group", { name: "React" });
  await picker.getByLabel("Another emoji").fill("🍜");
  assert.ok(await picker.evaluate((element) => element.scrollWidth <= element.clientWidth && element.getBoundingClientRect().right <= innerWidth));
  await picker.getByLabel("Another emoji").press("Enter");
  await chip(par, "lunch?", "🍜, 1").waitFor();
  await who.getByRole("region", { name: "🍜, 1" }).getByText("ryu").waitFor();
  await who.getByRole("button", { name: "Close" }).click();
  assert.ok(await ryu.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await chip(par, "lunch?", "👍, 2, you too").click();
  for (const one of [par, ryu]) await chip(one, "lunch?", /^👍, 1/).waitFor();
  await chip(ryu, "lunch?", "👍, 1, you too").click();
  await until(async () => await par.said("lunch?").getByRole("button", { name: /^👍/ }).count() === 0);
  await par.page.reload();
  await chip(par, "lunch?", "🍜, 1").waitFor();
  await par.done();
  await ryu.done();
});

test("what is pinned stands in the head; who may not pin is not offered it", LIMIT, async () => {
  const [seo, tae] = [await at.person("seo"), await at.person("tae")];
  await seo.page.getByRole("button", { name: "New group" }).click();
  await seo.page.getByLabel("Group name").fill("Crew");
  await seo.page.getByRole("textbox", { name: "People" }).fill("tae");
  await seo.page.getByRole("button", { name: "Add", exact: true }).click();
  await seo.page.getByRole("list", { name: "People" }).getByText("tae").waitFor();
  await seo.page.getByRole("button", { name: "Create" }).click();
  await seo.page.getByRole("main", { name: "Crew" }).waitFor();
  await seo.write("Saturday, eight o'clock");
  await tae.openRow("Crew");
  await tae.said("Saturday, eight o'clock").waitFor();
  await act(seo, "Saturday, eight o'clock", "Pin message");
  for (const one of [seo, tae]) {
    await one.page.getByRole("button", { name: "Pinned messages: 1" }).click();
    await one.page.getByRole("complementary", { name: "Pinned messages" }).getByText("Saturday, eight o'clock").waitFor();
  }
  await tae.said("Saturday, eight o'clock").hover();
  await tae.said("Saturday, eight o'clock").getByRole("button", { name: "React", exact: true }).waitFor();
  assert.equal(await tae.page.getByRole("button", { name: /npin message|Pin message/ }).count(), 0);
  await seo.page.getByRole("complementary").getByRole("button", { name: "Unpin message" }).click();
  await tae.page.getByText("Nothing is pinned here.").waitFor();
  await until(async () => await tae.page.getByRole("button", { name: /^Pinned messages/ }).count() === 0);
  await seo.done();
  await tae.done();
});

test("what is said without a network is shown at once and sent later", LIMIT, async () => {
  const [una, vin] = [await at.person("una"), await at.person("vin")];
  await una.chatWith("vin");
  await una.write("are you there");
  await una.said("are you there").getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
  await vin.openRow("una");
  await vin.said("are you there").waitFor();
  await una.offline(true);
  await at.server.kill();
  await una.page.getByText(/^Offline/).waitFor();
  await una.page.locator("#composer").press("ArrowUp");
  await una.write("are you there?");
  await una.said("are you there?").getByText("edited", { exact: true }).waitFor();
  await act(una, "are you there?", "React");
  await una.page.getByRole("group", { name: "React" }).getByRole("button", { name: "🙏" }).click();
  await chip(una, "are you there?", "🙏, 1, you too").waitFor();
  await una.offline(false);
  await at.server.run();
  await vin.said("are you there?").getByText("edited", { exact: true }).waitFor();
  await chip(vin, "are you there?", "🙏, 1").waitFor();
  await una.done();
  await vin.done();
});

test("a reaction that is refused is taken back, and said", LIMIT, async () => {
  const [wan, xia] = [await at.person("wan"), await at.person("xia")];
  await xia.chatWith("wan");
  await xia.write("so many ways");
  await wan.openRow("xia");
  await wan.said("so many ways").waitFor();
  // One user reacts to a text in 16 ways: another device of the same one has used them.
  const login = async (name) => new Account(at.server.url).login(name, PASSWORD);
  const [mine, theirs] = [await login("wan"), await login("xia")];
  const device = await Maru.open({ server: at.server.url, login: mine, transport: nodeSocket });
  const channel = directChannel(mine.user, theirs.user);
  for (let at = 0; at < 16; at++) await device.stored((await device.react(channel, 1, `w${at}`, true)).sendId);
  await device.close();
  await chip(wan, "so many ways", "w15, 1, you too").waitFor();
  await act(wan, "so many ways", "React");
  await wan.page.getByRole("group", { name: "React" }).getByRole("button", { name: "👍" }).click();
  await wan.page.getByRole("alert").getByText(/That did not work/).waitFor();
  await until(async () => await wan.said("so many ways").getByRole("button", { name: /^👍/ }).count() === 0);
  assert.equal(await wan.said("so many ways").getByRole("button", { name: /^w/ }).count(), 16);
  assert.ok(await wan.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await wan.done();
  await xia.done();
});
