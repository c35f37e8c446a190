/** What a person sets in the app holds: the profile, who may write, friends, blocks; and it is there after a reload. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./stage.mjs";
import { until } from "./wait.mjs";

const LIMIT = { timeout: 300_000 };
const at = stage();

test("a profile, who may write, a friend, a block", LIMIT, async () => {
  const [uma, vik] = [await at.person("uma"), await at.person("vik")];
  const settings = async (who, work) => {
    await who.page.getByRole("button", { name: "Settings" }).click();
    const dialog = who.page.getByRole("dialog");
    await dialog.getByLabel("Who may write to me").waitFor();
    await work(dialog);
    await who.page.keyboard.press("Escape");
    await until(async () => await who.page.getByRole("dialog").count() === 0);
  };
  await settings(uma, async (dialog) => {
    await dialog.getByLabel("Display name").fill("Uma of the hills");
    await dialog.getByRole("region", { name: "Profile" }).getByRole("button", { name: "Save", exact: true }).click();
    await uma.page.getByText("Saved", { exact: true }).waitFor();
    const said = uma.page.waitForResponse((answer) => answer.url().endsWith("/v1/privacy") && answer.request().method() === "PATCH");
    await dialog.getByLabel("Who may write to me").selectOption("friends");
    assert.ok((await said).ok());
  });
  await uma.page.reload();
  await settings(uma, async (dialog) => {
    await until(async () => await dialog.getByLabel("Display name").inputValue() === "Uma of the hills");
    assert.equal(await dialog.getByLabel("Who may write to me").inputValue(), "friends");
  });
  await vik.chatWith("uma");
  await vik.page.getByRole("main", { name: "Uma of the hills" }).waitFor();
  await vik.write("may I?");
  await vik.page.getByRole("alert").getByText(/^Not sent: /).waitFor();
  await settings(vik, async (dialog) => {
    await dialog.getByLabel("Add a friend").fill("uma");
    await dialog.getByRole("button", { name: "Add", exact: true }).click();
    await dialog.getByText("asked", { exact: true }).waitFor();
  });
  await settings(uma, async (dialog) => {
    await dialog.getByText("asks to be your friend").waitFor();
    await dialog.getByRole("button", { name: "Accept" }).click();
    await until(async () => await dialog.getByRole("button", { name: "Accept" }).count() === 0);
  });
  await vik.page.getByRole("button", { name: "Try again" }).click();
  await uma.openRow("vik");
  await uma.said("may I?").waitFor();
  await settings(uma, async (dialog) => {
    await dialog.getByRole("button", { name: "Block", exact: true }).click();
    await dialog.getByText("Blocked", { exact: true }).waitFor();
  });
  await vik.write("still?");
  await vik.page.getByRole("alert").getByText(/^Not sent: /).waitFor();
  assert.equal(await uma.said("still?").count(), 0);
  await uma.done();
  await vik.done();
});
