/** What is typed on one device and not sent is there on another one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { act, stage } from "./stage.mjs";
import { until } from "./wait.mjs";

const LIMIT = { timeout: 300_000 };
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

test("a thread has a draft of its own, which is on every device and does not stand in the list", LIMIT, async () => {
  const [desk, tov] = [await at.person("sumi"), await at.person("tov")];
  await desk.chatWith("tov");
  await desk.write("shall we?");
  await desk.said("shall we?").getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
  const phone = await at.guest();
  await phone.logIn("sumi");
  await phone.openRow("tov");
  const inThread = (one) => one.page.locator("#thread-composer");
  const openThread = async (one) => {
    await act(one.said("shall we?"), "Reply in thread");
    await inThread(one).waitFor();
  };
  const close = (one) => one.page.getByRole("complementary", { name: "Thread" }).getByRole("button", { name: "Close" }).click();
  const holds = (one, text) => until(async () => await inThread(one).inputValue() === text);
  await openThread(desk);
  await inThread(desk).pressSequentially("only in here");
  await close(desk);
  assert.equal(await box(desk).inputValue(), "", "not in the channel's own box");
  await openThread(phone);
  await holds(phone, "only in here");
  assert.equal(await phone.page.getByRole("link", { name: /tov/ }).getByText("Draft:").count(), 0);
  // It is there again behind a reload, and both are kept apart.
  await box(phone).fill("in the channel");
  await reads(desk, "in the channel");
  await desk.page.reload();
  await reads(desk, "in the channel");
  await openThread(desk);
  await holds(desk, "only in here");
  await inThread(desk).press("Enter");
  await desk.page.locator(".thread").getByText("only in here", { exact: true }).waitFor();
  await holds(phone, "");
  await reads(phone, "in the channel");
  for (const one of [desk, phone, tov]) await one.done();
});
