/** The app starts without a network, and never stands as an old one beside a newer server. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Plane } from "./proxy.mjs";
import { stage } from "./stage.mjs";
import { until } from "./wait.mjs";
import { Person, Terminal } from "./world.mjs";

const LIMIT = { timeout: 300_000 };
const at = stage();
const shells = (one) => one.page.evaluate(() => caches.keys());
/** The worker is there with all files of its build. */
const isKept = (one) => until(() => one.page.evaluate(async () => {
  const [name] = await caches.keys();
  return navigator.serviceWorker.controller !== null && name !== undefined && (await (await caches.open(name)).match("/")) !== undefined;
}));

test("a start without a network shows what is kept, and goes on when there is one", LIMIT, async () => {
  const plane = await Plane.before(at.server);
  const [ida, jun] = [await (await Person.at(at.browser, plane)).signUp("ida"), await Terminal.signUp(at.server, "jun")];
  await ida.chatWith("jun");
  await ida.write("before the tunnel");
  await ida.said("before the tunnel").getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
  await isKept(ida);
  plane.isDown = true;
  await ida.offline(true);
  await at.server.kill();
  // A new page: nothing of it comes from the network.
  await ida.page.close();
  ida.page = await ida.tab();
  await ida.page.getByText(/^Offline/).waitFor();
  await ida.openRow("jun");
  await ida.said("before the tunnel").waitFor();
  await ida.write("in the tunnel");
  await ida.said("in the tunnel").locator("[aria-label=Sending]").waitFor();
  await ida.page.reload();
  await ida.said("in the tunnel").locator("[aria-label=Sending]").waitFor();
  plane.isDown = false;
  await at.server.run();
  await ida.offline(false);
  await jun.heard(({ text }) => text === "in the tunnel");
  await ida.said("in the tunnel").getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
  await jun.end();
  await ida.done();
  await plane.close();
});

test("a newer app is what a load gives, and a tab with the old one offers it", LIMIT, async () => {
  const plane = await Plane.before(at.server);
  const kai = await (await Person.at(at.browser, plane)).signUp("kai");
  await isKept(kai);
  const [old] = await shells(kai);
  // The server is updated: another page, which names another script, and another worker.
  await update(plane);
  await at.server.kill();
  await kai.page.getByText(/^Offline/).waitFor();
  await at.server.run();
  // The tab that is open goes on, and says so; its worker has been replaced, with what it kept.
  await kai.page.getByText("There is a newer Maru.").waitFor();
  await until(async () => !(await shells(kai)).includes(old));
  await kai.page.getByRole("button", { name: "Load it" }).click();
  await kai.page.locator("script[src*='newer-']").waitFor({ state: "attached" });
  await kai.page.getByRole("navigation", { name: "Chats" }).waitFor();
  assert.equal(await kai.page.getByText("There is a newer Maru.").count(), 0);
  await isKept(kai);
  // From here on a start without a network has the newer one, too.
  plane.isDown = true;
  await kai.offline(true);
  await kai.page.reload();
  await kai.page.locator("script[src*='newer-']").waitFor({ state: "attached" });
  await kai.page.getByText(/^Offline/).waitFor();
  await kai.done();
  await plane.close();
});

test("the page is asked of the server even while a worker has another one", LIMIT, async () => {
  const plane = await Plane.before(at.server);
  const lia = await (await Person.at(at.browser, plane)).signUp("lia");
  await isKept(lia);
  // Updated while no tab was open: the first load has the new page already, though the old worker answers it.
  await lia.page.goto("about:blank");
  await update(plane);
  await lia.page.goto(plane.url);
  await lia.page.locator("script[src*='newer-']").waitFor({ state: "attached" });
  await lia.page.getByRole("navigation", { name: "Chats" }).waitFor();
  assert.equal(await lia.page.getByText("There is a newer Maru.").count(), 0);
  await lia.done();
  await plane.close();
});

test("a second start paints from what is kept before the network answers", LIMIT, async () => {
  const mia = await at.person("mia");
  const ned = await Terminal.signUp(at.server, "ned");
  await mia.chatWith("ned");
  await mia.write("kept here");
  await mia.said("kept here").getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
  ned.say({ cmd: "send", to: "mia", text: "kept here, too" });
  await mia.said("kept here, too").waitFor();
  // From now on the server hears everything and answers nothing but the page.
  let asked = 0;
  await mia.context.route("**/v1/**", () => { asked += 1; });
  await mia.context.routeWebSocket(/.*/, () => { asked += 1; });
  await mia.page.reload();
  await mia.page.getByRole("navigation", { name: "Chats" }).getByRole("link", { name: /ned/ }).getByText("kept here, too").waitFor();
  for (const text of ["kept here", "kept here, too"]) await mia.said(text).waitFor();
  await until(() => asked > 0);
  assert.equal(await mia.page.getByText("Catching up…").count() + await mia.page.getByText(/^Offline/).count(), 1);
  await ned.end();
  await mia.context.close();
});

/** From now on the server has a later build of the app: its script has another name, so its page and its worker are others. */
async function update(plane) {
  const hashOf = (text) => createHash("sha256").update(text).digest("hex");
  const rename = (text) => text.replaceAll(/\/assets\/index-([\w-]+)\.js/g, "/assets/newer-$1.js");
  const page = await (await fetch(plane.url)).text();
  plane.nameOf = (path) => path.replace("/assets/newer-", "/assets/index-");
  plane.change = (path, bytes) => {
    if (path !== "/" && path !== "/sw.js") return bytes;
    return Buffer.from(rename(bytes.toString()).replaceAll(hashOf(page), hashOf(rename(page))));
  };
}
