/** People talk: in two browsers and at a terminal, in two tabs, through losses of the network. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./stage.mjs";
import { expectCount, shownOr, until } from "./wait.mjs";
import { Terminal } from "./world.mjs";

const LIMIT = { timeout: 300_000 };
const at = stage();

test("two browsers and a terminal talk", LIMIT, async () => {
  const [minji, joon] = [await at.person("minji"), await at.person("joon")];
  const sora = await Terminal.signUp(at.server, "sora");
  await minji.chatWith("joon");
  await minji.write("Annyeong, Joon!");
  await joon.openRow("minji");
  await joon.said("Annyeong, Joon!").waitFor();
  // What is shown is read, and the sender sees it. A busy server may leave it out, and is asked by a page that is loaded.
  await shownOr(minji.said("Annyeong, Joon!").getByRole("img", { name: "Read" }), () => minji.page.reload());
  await shownOr(minji.page.locator(".typing").getByText("joon is typing…"), () => joon.page.locator("#composer").pressSequentially("."));
  await joon.write("Hi");
  await minji.said("Hi").waitFor();

  await minji.page.getByRole("button", { name: "New group" }).click();
  await minji.page.getByLabel("Group name").fill("Weekend");
  for (const name of ["joon", "sora"]) {
    await minji.page.getByRole("textbox", { name: "People" }).fill(name);
    await minji.page.getByRole("button", { name: "Add", exact: true }).click();
    await minji.page.getByRole("list", { name: "People" }).getByText(name).waitFor();
  }
  await minji.page.getByRole("button", { name: "Create" }).click();
  await minji.page.getByRole("main", { name: "Weekend" }).waitFor();
  await minji.write("Shall we go to the mountains?");
  const { channel } = await sora.heard(({ text }) => text === "Shall we go to the mountains?");
  sora.say({ cmd: "send", channel, text: "Yes, from a terminal", mentions: ["joon"] });
  await minji.said("Yes, from a terminal").waitFor();
  await joon.openRow("Weekend");
  await joon.said("Yes, from a terminal").waitFor();
  await joon.write("Me too");
  await sora.heard(({ text }) => text === "Me too");
  await minji.page.getByRole("button", { name: "Members" }).click();
  await minji.page.getByRole("heading", { name: "3 members" }).waitFor();
  await sora.end();
  await minji.done();
  await joon.done();
});

test("who was offline catches up; what was written meanwhile is sent once", LIMIT, async () => {
  const [ara, bom] = [await at.person("ara"), await at.person("bom")];
  await ara.chatWith("bom");
  await ara.write("before");
  await bom.openRow("ara");
  await bom.said("before").waitFor();
  await bom.offline(true);
  await at.server.kill();
  await bom.page.getByText(/^Offline/).waitFor();
  await bom.write("from the tunnel");
  await bom.said("from the tunnel").locator("[aria-label=Sending]").waitFor();
  // What is not sent survives the page: without a network it cannot be loaded, so that comes back first.
  await bom.offline(false);
  await at.server.run();
  await ara.said("from the tunnel").waitFor();
  await ara.write("welcome back");
  await bom.said("welcome back").waitFor();
  await expectCount(ara.said("from the tunnel"), 1);
  await expectCount(bom.said("from the tunnel"), 1);
  await ara.done();
  await bom.done();
});

test("a reload keeps what was not sent, and drafts; it is sent once", LIMIT, async () => {
  const [chae, dan] = [await at.person("chae"), await at.person("dan")];
  await chae.chatWith("dan");
  await chae.write("first");
  await chae.said("first").getByRole("img", { name: /Sent|Delivered/ }).waitFor();
  // The page is there, the chat port is not.
  let isCut = true;
  await chae.context.routeWebSocket(/.*/, (socket) => (isCut ? socket.close() : socket.connectToServer()));
  await chae.page.reload();
  await chae.page.getByText(/^Offline/).waitFor();
  await chae.said("first").waitFor();
  await chae.write("kept over a reload");
  await chae.said("kept over a reload").locator("[aria-label=Sending]").waitFor();
  await chae.page.locator("#composer").fill("a draft");
  await until(() => chae.page.evaluate(async () => {
    const open = indexedDB.open("maru");
    const db = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
    const rows = db.transaction("drafts").objectStore("drafts").getAll();
    return new Promise((resolve) => { rows.onsuccess = () => { db.close(); resolve(rows.result.some(({ text }) => text === "a draft")); }; });
  }));
  const next = await chae.context.newPage();
  await chae.page.close();
  chae.page = next;
  await next.goto(at.server.url);
  await chae.openRow("dan");
  await chae.said("kept over a reload").waitFor();
  assert.equal(await next.locator("#composer").inputValue(), "a draft");
  isCut = false;
  await chae.page.close();
  chae.page = await chae.tab();
  await dan.openRow("chae");
  await dan.said("kept over a reload").waitFor();
  await chae.openRow("dan");
  await chae.said("kept over a reload").getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
  await expectCount(dan.said("kept over a reload"), 1);
  await chae.done();
  await dan.done();
});

test("two tabs are one device, and the second goes on when the first is closed", LIMIT, async () => {
  const [eun, fin] = [await at.person("eun"), await at.person("fin")];
  await eun.chatWith("fin");
  await eun.write("one");
  const second = await eun.tab();
  await second.getByRole("link", { name: "fin" }).click();
  await eun.said("one", second).waitFor();
  await second.locator("#composer").fill("two, from the second tab");
  await second.locator("#composer").press("Enter");
  await eun.said("two, from the second tab").waitFor();
  await eun.page.close();
  eun.page = second;
  await eun.write("three");
  await fin.openRow("eun");
  for (const text of ["one", "two, from the second tab", "three"]) {
    await fin.said(text).waitFor();
    await expectCount(fin.said(text), 1);
  }
  await eun.done();
  await fin.done();
});

test("a device that is logged out elsewhere says so, and can log in again", LIMIT, async () => {
  const gil = await at.person("gil");
  const other = await at.guest();
  await other.logIn("gil");
  await other.page.getByRole("button", { name: "Settings" }).click();
  await other.page.getByRole("button", { name: /^Log out: / }).click();
  await gil.page.getByText("This device was logged out. Log in to go on.").waitFor();
  await gil.logIn("gil", "not the password");
  await gil.page.getByText("That name and password do not fit together.").waitFor();
  await gil.logIn("gil");
  await gil.page.getByRole("navigation", { name: "Chats" }).waitFor();
  await gil.done();
  await other.done();
});
