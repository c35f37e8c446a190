/** People see whether the others are there, and say what is shown of themselves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./stage.mjs";
import { until } from "./wait.mjs";

const LIMIT = { timeout: 300_000 };
const at = stage();
const below = (one, words) => one.page.locator(".conversation-head .below").getByText(words);

/** As if the person looked at another tab, or came back. */
const look = (page, state) => page.evaluate((to) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => to });
  document.dispatchEvent(new Event("visibilitychange"));
}, state);

test("a dot and words say who is there, away or busy", LIMIT, async () => {
  const [woo, yuri] = [await at.person("woo"), await at.person("yuri")];
  await woo.chatWith("yuri");
  await woo.write("hi");
  await yuri.openRow("woo");
  for (const one of [woo, yuri]) await below(one, "Online").waitFor();
  await woo.page.getByRole("navigation", { name: "Chats" }).getByRole("link", { name: /Online.*yuri/ }).waitFor();
  assert.equal(await woo.page.locator(".list .dot.online").count(), 1);

  // Nobody is before a page that is hidden for a while; somebody is as soon as it is seen.
  await yuri.page.clock.install();
  await look(yuri.page, "hidden");
  await yuri.page.clock.fastForward(31_000);
  await below(woo, "Away").waitFor();
  await woo.page.locator(".list .dot.away").waitFor();
  await look(yuri.page, "visible");
  await below(woo, "Online").waitFor();

  await yuri.page.getByRole("button", { name: "Settings" }).click();
  await yuri.page.getByLabel("Show me as").selectOption("2");
  await below(woo, "Do not disturb").waitFor();
  await yuri.page.getByLabel("Status", { exact: true }).fill("in the mountains");
  await yuri.page.getByLabel("Clear the status").selectOption("today");
  await yuri.page.getByRole("region", { name: "Presence" }).getByRole("button", { name: "Save" }).click();
  await below(woo, "Do not disturb · in the mountains").waitFor();
  await woo.page.reload();
  await below(woo, "Do not disturb · in the mountains").waitFor();
  // Another device of the same person knows what was set.
  const other = await at.guest();
  await other.logIn("yuri");
  await other.page.getByRole("button", { name: "Settings" }).click();
  await until(async () => await other.page.getByLabel("Show me as").inputValue() === "2");
  assert.equal(await other.page.getByLabel("Status", { exact: true }).inputValue(), "in the mountains");
  await other.page.getByLabel("Show me as").selectOption("3");
  await until(async () => await yuri.page.getByLabel("Show me as").inputValue() === "3");
  await other.done();
  await woo.done();
  await yuri.done();
});

test("a second tab is shown who is there, and two tabs are one person before the browser", LIMIT, async () => {
  const [zoe, abe] = [await at.person("zoe"), await at.person("abe")];
  await zoe.chatWith("abe");
  await zoe.write("hi");
  await abe.openRow("zoe");
  await below(zoe, "Online").waitFor();
  const second = await zoe.tab();
  await second.getByRole("link", { name: /Online.*abe/ }).waitFor();
  // One tab is hidden and the other one is seen: somebody is there.
  await zoe.page.clock.install();
  await look(zoe.page, "hidden");
  // The clock of one tab alone is turned on: the other one was seen at that time, too.
  await second.evaluate(() => localStorage.setItem("maru.seen", String(Date.now() + 31_000)));
  await zoe.page.clock.fastForward(31_000);
  await zoe.write("still here");
  await abe.said("still here").waitFor();
  await below(abe, "Online").waitFor();
  await zoe.page.close();
  zoe.page = second;
  await second.getByRole("link", { name: /Online.*abe/ }).click();
  await zoe.write("from the second");
  await abe.said("from the second").waitFor();
  await zoe.done();
  await abe.done();
});
