/** What is typed on one device and not sent is there on another one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./stage.mjs";
import { until } from "./wait.mjs";

const LIMIT = { timeout: 120_000 };
const at = stage();
const box = (one) => one.page.locator("#composer");
const reads = (one, text) => until(async () => await box(one).inputValue() === text);

test("a draft is on every device, the newest wins, and sending takes it away", LIMIT, async () => {
  const [desk, rin] = [await at.person("quinn"), await at.person("rin")];
  await desk.chatWith("rin");
  await desk.write("hello");
  await desk.said("hello").getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
  const phone = await at.guest({ viewport: { width: 390, height: 844 } });
  await phone.logIn("quinn");
  await phone.openRow("rin");
  // Written at the desk, and left without a word.
  await box(desk).pressSequentially("I wanted to say");
  await reads(phone, "I wanted to say");
  // On with it on the phone; the list there says that it is a draft once it is left.
  await box(phone).pressSequentially(" that");
  await phone.page.getByRole("button", { name: "Back to chats" }).click();
  await phone.page.getByRole("link", { name: /rin/ }).getByText("I wanted to say that").waitFor();
  await reads(desk, "I wanted to say that");
  // What is edited at the desk is not lost when the phone writes.
  await box(desk).fill("");
  await box(desk).press("ArrowUp");
  await desk.page.getByText("Editing your message").waitFor();
  await phone.openRow("rin");
  await reads(phone, "");
  await box(phone).fill("from the phone");
  await phone.page.getByRole("button", { name: "Back to chats" }).click();
  await desk.page.getByText("Editing your message").waitFor();
  assert.equal(await box(desk).inputValue(), "hello");
  await box(desk).press("Escape");
  await reads(desk, "from the phone");
  await box(desk).press("Enter");
  await desk.said("from the phone").waitFor();
  await phone.page.getByRole("link", { name: /rin/ }).getByText("Draft:").waitFor({ state: "detached" });
  await phone.openRow("rin");
  await phone.said("from the phone").waitFor();
  await reads(phone, "");
  // A device that comes later finds what is there, and nothing that is over.
  await box(phone).fill("for tomorrow");
  await phone.page.getByRole("button", { name: "Back to chats" }).click();
  await reads(desk, "for tomorrow");
  const late = await at.guest();
  await late.logIn("quinn");
  await late.page.getByRole("link", { name: /rin/ }).getByText("for tomorrow").waitFor();
  await late.openRow("rin");
  await reads(late, "for tomorrow");
  // Others see nothing of it.
  assert.equal(await rin.page.getByText("for tomorrow").count(), 0);
  for (const one of [desk, phone, late, rin]) await one.done();
});
