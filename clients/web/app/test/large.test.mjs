/** Large channels: hundreds of members, of whom the page holds a few; who is away reads what was missed; who is no member any more is told so. */
import assert from "node:assert/strict";
import { readFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Account, Maru } from "../../sdk/dist/src/index.js";
import { nodeSocket } from "../../sdk/dist/src/node/index.js";
import { act, audit, stage } from "./stage.mjs";
import { expectCount, shownOr, until } from "./wait.mjs";
import { PASSWORD, Person, Server } from "./world.mjs";

const LIMIT = { timeout: 300_000 };
/** Members that are made by the operator, beside those of a test. */
const CROWD = 318;
const pictures = process.env.PICTURES;
let [sora, crowd] = [undefined, []];
const at = stage(undefined, async () => {
  crowd = await users(at.server, CROWD);
  sora = await device("sora");
});
after(() => sora?.close());

/** Users that exist and are not there. */
async function users(server, count) {
  const token = readFileSync(join(server.data, "admin.token"), "utf8").trim();
  const answer = await fetch(`http://${server.admin}/v1/admin/users`, {
    method: "POST", body: JSON.stringify({ count }), headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  });
  const made = (await answer.text()).split("\n").map((line) => line.split("\t")).filter((fields) => fields.length > 2).map(([user]) => BigInt(user));
  assert.equal(made.length, count);
  return made;
}

async function device(name) {
  const account = new Account(at.server.url);
  const login = await account.login(name, PASSWORD).catch(async () => {
    await account.signup(name, PASSWORD);
    return account.login(name, PASSWORD);
  });
  return Maru.open({ server: at.server.url, login, transport: nodeSocket });
}

const stored = async (sending) => sora.stored((await sending).sendId);
/** Texts of sora, numbered. */
async function say(channel, from, to) {
  for (let n = from; n <= to; n++) await stored(sora.send(channel, `news ${n}`));
}

/** A large channel of sora's, in which the named ones are, and a crowd. */
async function large(name, names) {
  const some = await Promise.all(names.map(async (one) => BigInt((await sora.ask("GET", `/v1/users/by-name/${one}`)).user)));
  const { channel } = await stored(sora.createGroup(name, some));
  for (let from = 0; from < crowd.length; from += 106) await stored(sora.addMembers(channel, crowd.slice(from, from + 106)));
  return { channel, some };
}

/** Counts what the page asks of the server, by kind. */
const GET_HISTORY = 0x0304;
function countFrames(kind) {
  window.asked = 0;
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (bytes) {
    const view = new DataView(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength);
    for (let from = 0; from + 16 <= view.byteLength; from += 16 + view.getUint32(from, true)) if (view.getUint16(from + 4, true) === kind) window.asked += 1;
    return send.call(this, bytes);
  };
}

test("320 members: a row, a first page by one question, live messages, reactions, a mention of whom one looks for", LIMIT, async () => {
  const [hana, ian] = [await at.person("hana"), await at.person("ian")];
  await hana.context.addInitScript(countFrames, GET_HISTORY);
  await hana.page.reload();
  const { channel } = await large("Everybody", ["hana", "ian"]);
  await say(channel, 1, 12);
  // Told live, without a pointer for each member.
  const row = hana.page.getByRole("link", { name: /Everybody/ });
  await row.getByText("news 12", { exact: true }).waitFor();
  await row.getByText("12 unread").waitFor();
  assert.equal(await hana.page.evaluate(() => window.asked), 0);
  await hana.openRow("Everybody");
  await hana.said("news 12").waitFor();
  await hana.said("news 1").waitFor();
  await hana.page.getByRole("main").getByText("321 members").waitFor();
  await until(async () => await hana.page.evaluate(() => window.asked) > 0);
  assert.equal(await hana.page.evaluate(() => window.asked), 1);
  await ian.openRow("Everybody");
  await hana.write("from a tab");
  await ian.said("from a tab").waitFor();
  await ian.write("from another");
  await hana.said("from another").waitFor();
  // Nobody is told who has read it, or who types.
  await hana.said("from a tab").getByRole("img", { name: "Sent" }).waitFor();
  await act(ian.said("from a tab"), "React");
  await ian.page.getByRole("group", { name: "React" }).getByRole("button", { name: "🎉" }).click();
  await hana.said("from a tab").getByRole("button", { name: "🎉, 1" }).waitFor();
  // Not one of those who spoke lately, and no list of all is read: a name is looked for.
  await ian.page.locator("#composer").pressSequentially("@sor");
  await ian.page.getByRole("option", { name: /sora/ }).waitFor();
  await ian.page.locator("#composer").fill("");
  await say(channel, 13, 14);
  const jun = await at.person("jun");
  await stored(sora.addMembers(channel, [BigInt((await sora.ask("GET", "/v1/users/by-name/jun")).user)]));
  await hana.page.getByRole("main").getByText("322 members").waitFor();
  await hana.page.locator("#composer").pressSequentially("@jun");
  await hana.page.getByRole("option", { name: /jun/ }).waitFor();
  await hana.page.locator("#composer").press("Enter");
  await hana.page.locator("#composer").pressSequentially("welcome");
  await hana.page.locator("#composer").press("Enter");
  await jun.page.getByRole("link", { name: /Everybody.*1 mentions/ }).waitFor();
  await jun.openRow("Everybody");
  await jun.page.locator(".timeline .mention", { hasText: "@jun" }).waitFor();
  await hana.done();
  await ian.done();
  await jun.done();
});

test("members in pages: a few rows in the page, names and who is there of those that are seen, one by name, roles, again by hand", LIMIT, async () => {
  const kai = await at.person("kai");
  const { channel, some: [user] } = await large("Very many", ["kai"]);
  await kai.openRow("Very many");
  await kai.page.getByRole("main").getByText("320 members").waitFor();
  await kai.page.getByRole("button", { name: "Members" }).click();
  const side = kai.page.getByRole("complementary", { name: "320 members" });
  const rows = side.getByRole("region", { name: "Members" });
  await rows.getByRole("listitem").nth(5).waitFor();
  const height = () => rows.locator("ul").evaluate((list) => list.clientHeight);
  assert.equal(await height(), 100 * 54, "a page of them");
  const last = rows.locator(`li[style*="translateY(${319 * 54}px)"]`);
  await until(async () => {
    await rows.evaluate((element) => { element.scrollTop = element.scrollHeight; });
    return await last.count() > 0;
  });
  assert.equal(await height(), 320 * 54);
  assert.ok(await rows.getByRole("listitem").count() < 60);
  const find = side.getByRole("searchbox", { name: "Find a member by name" });
  await find.fill("sora");
  await find.press("Enter");
  await rows.getByText("@sora · Owner").waitFor();
  await rows.getByText("Online", { exact: true }).waitFor();
  await at.guest().then((other) => other.signUp("lou")).then((other) => other.done());
  await find.fill("lou");
  await find.press("Enter");
  await kai.page.getByRole("alert").getByText("lou is not a member.").waitFor();
  await stored(sora.setRole(channel, user, 1));
  await stored(sora.addMembers(channel, [BigInt((await sora.ask("GET", "/v1/users/by-name/lou")).user)]));
  await kai.page.getByRole("complementary", { name: "321 members" }).getByRole("button", { name: "Ask again" }).click();
  const again = kai.page.getByRole("complementary", { name: "321 members" });
  await again.getByPlaceholder("Name of a person").waitFor();
  const search = again.getByRole("searchbox", { name: "Find a member by name" });
  await search.fill("lou");
  await search.press("Enter");
  await again.getByRole("listitem").filter({ hasText: "@lou" }).getByRole("button", { name: "Remove" }).click();
  await kai.page.getByRole("complementary", { name: "320 members" }).waitFor();
  await kai.done();
});

test("who was away has the newest in the list, and reads what was missed: a little at once, much from where one was", LIMIT, async () => {
  const mio = await at.person("mio");
  const { channel } = await large("While away", ["mio"]);
  await say(channel, 1, 3);
  await mio.openRow("While away");
  await mio.said("news 3").waitFor();
  await until(async () => await mio.page.getByRole("link", { name: /While away/ }).getByText("unread").count() === 0);
  // The tab is closed, and the device not there.
  await mio.page.close();
  await say(channel, 4, 10);
  mio.page = await mio.tab();
  const row = mio.page.getByRole("link", { name: /While away/ });
  await row.getByText("news 10", { exact: true }).waitFor();
  await row.getByText("7 unread").waitFor();
  await mio.openRow("While away");
  await mio.said("news 10").waitFor();

  // The connection is lost while it is open: a little is missed, then more than a page.
  let [isCut, near] = [false, undefined];
  await mio.context.routeWebSocket(/.*/, (socket) => {
    if (isCut) return void socket.close();
    near = socket;
    socket.connectToServer();
  });
  const cut = async (work) => {
    isCut = true;
    await mio.offline(true);
    await near.close();
    await mio.page.getByText(/^Offline/).waitFor();
    await work();
    isCut = false;
    await mio.offline(false);
  };
  await mio.page.reload();
  await mio.said("news 10").waitFor();
  await cut(async () => {
    await say(channel, 11, 15);
    // Of what was on the page already.
    const of = async (text) => (await sora.history(channel)).messages.find(({ content }) => content.text === text).seq;
    const [liked, edited, gone] = [await of("news 8"), await of("news 9"), await stored(sora.send(channel, "a slip")).then(({ seq }) => seq)];
    await stored(sora.react(channel, liked, "🥾", true));
    await stored(sora.edit(channel, edited, "news 9, put right"));
    await stored(sora.recall(channel, gone));
  });
  await mio.said("news 15").waitFor();
  await mio.said("news 8").getByRole("button", { name: "🥾, 1" }).waitFor();
  await mio.said("news 9, put right").waitFor();
  await mio.page.locator(".event").getByText("sora took this message back.").waitFor();
  const shown = async () => (await mio.page.locator(".timeline .text").allInnerTexts()).filter((text) => text.startsWith("news"));
  assert.deepEqual(await shown(), Array.from({ length: 15 }, (_, n) => `news ${n + 1}${n === 8 ? ", put right" : ""}`));
  await cut(() => say(channel, 16, 260));
  await mio.said("news 16").waitFor();
  await mio.page.getByRole("button", { name: /^To the newest message/ }).waitFor();
  await mio.page.getByRole("button", { name: /^To the newest message/ }).click();
  await mio.said("news 260").waitFor();
  // Both ways from there, and on with what comes.
  const timeline = mio.page.locator(".timeline");
  const scroll = (top, text) => until(async () => {
    await timeline.evaluate((element, to) => { element.scrollTop = to; }, top);
    return await mio.said(text).count() > 0;
  });
  await scroll(0, "news 1");
  await scroll(1e9, "news 260");
  await say(channel, 261, 262);
  await mio.said("news 262").waitFor();
  await expectCount(mio.said("news 262"), 1);
  const last = (await shown()).slice(-50);
  assert.deepEqual(last, Array.from({ length: 50 }, (_, n) => `news ${213 + n}`));
  await mio.done();
});

test("whoever is removed while looking at it is told so, and is told nothing more", LIMIT, async () => {
  const nao = await at.person("nao");
  const { channel, some: [user] } = await large("Not for all", ["nao"]);
  await say(channel, 1, 2);
  await nao.openRow("Not for all");
  await nao.page.getByRole("button", { name: "Members" }).click();
  await nao.page.getByRole("complementary", { name: "320 members" }).waitFor();
  await stored(sora.removeMember(channel, user));
  await nao.page.getByRole("main").getByText("You are not a member of this group any more.").waitFor();
  assert.equal(await nao.page.getByRole("complementary").count(), 0);
  assert.equal(await nao.page.locator("#composer").count(), 0);
  await say(channel, 3, 3);
  await stored(sora.addMembers(channel, [user]));
  await nao.page.locator("#composer").waitFor();
  await say(channel, 4, 4);
  await nao.said("news 4").waitFor();
  assert.equal(await nao.said("news 3").count(), 0);
  await nao.done();
});

test("a group becomes a large channel while it is open in two tabs, and the server is killed meanwhile", LIMIT, async () => {
  const [oli, pia] = [await at.person("oli"), await at.person("pia")];
  const { page } = oli;
  await page.getByRole("button", { name: "New group" }).click();
  await page.getByLabel("Group name").fill("Growing");
  await page.getByRole("textbox", { name: "People" }).fill("pia");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("list", { name: "People" }).getByText("pia").waitFor();
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("main", { name: "Growing" }).getByText("2 members").waitFor();
  await oli.write("still a group");
  await pia.openRow("Growing");
  await pia.said("still a group").waitFor();
  await shownOr(oli.said("still a group").getByRole("img", { name: "Read by 1" }), () => page.reload());
  const second = await oli.tab();
  await second.getByRole("link", { name: /Growing/ }).click();
  await oli.said("still a group", second).waitFor();
  await page.getByRole("button", { name: "Members" }).click();
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Make it a large channel" }).click();
  for (const each of [page, second]) await each.locator(".event").getByText("You made this a large channel").waitFor();
  await pia.page.locator(".event").getByText("oli made this a large channel").waitFor();
  await page.getByRole("button", { name: "Ask again" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Make it a large channel" }).count(), 0);
  await pia.write("to a large channel");
  for (const each of [page, second]) await oli.said("to a large channel", each).waitFor();
  await at.server.kill();
  await pia.page.getByText(/^Offline/).waitFor();
  await second.locator("#composer").fill("written while it was down");
  await second.locator("#composer").press("Enter");
  await at.server.run();
  await pia.said("written while it was down").waitFor();
  await oli.said("written while it was down", second).getByRole("img", { name: "Sent" }).waitFor();
  await pia.write("and it goes on");
  for (const each of [page, second]) {
    await oli.said("and it goes on", each).waitFor();
    await expectCount(oli.said("written while it was down", each), 1);
  }
  // The last owner cannot go, and is told why.
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Leave group" }).click();
  await page.getByRole("alert").getByText(/makes another member owner before it leaves/).waitFor();
  await oli.done();
  await pia.done();
});

test("a server without large channels says so", LIMIT, async () => {
  const small = await Server.start("--large-channel-members", "0");
  const qi = await (await Person.at(at.browser, small)).signUp("qi");
  await qi.page.getByRole("button", { name: "New group" }).click();
  await qi.page.getByLabel("Group name").fill("Small");
  await qi.page.getByRole("button", { name: "Create" }).click();
  await qi.page.getByRole("main", { name: "Small" }).waitFor();
  await qi.page.getByRole("button", { name: "Members" }).click();
  qi.page.once("dialog", (dialog) => dialog.accept());
  await qi.page.getByRole("button", { name: "Make it a large channel" }).click();
  await qi.page.getByRole("alert").getByText(/this server has no large channels/).waitFor();
  await qi.write("still here");
  await qi.said("still here").getByRole("img", { name: "Sent" }).waitFor();
  await qi.done();
  await small.remove();
});

test("nothing keeps anybody out of a large channel: desktop and phone, light and dark, English and Korean", LIMIT, async () => {
  if (pictures) mkdirSync(pictures, { recursive: true });
  const views = [
    { name: "rin", what: "desktop", viewport: { width: 1280, height: 800 } },
    { name: "하늘", what: "phone", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
  ];
  for (const { name, what, ...options } of views) {
    const one = await at.person(name, options);
    const { channel, some: [user] } = await large(`마루 광장 ${what}`, [name]);
    await say(channel, 1, 3);
    await stored(sora.setRole(channel, user, 2));
    const { page } = one;
    const look = async (place) => {
      for (const scheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme: scheme });
        if (pictures) await page.screenshot({ path: `${pictures}/large-${what}-${place}-${scheme}.png` });
        await audit(page, `${what} ${place} ${scheme}`);
      }
    };
    await page.getByRole("link", { name: /마루 광장/ }).getByText("3 unread").waitFor();
    await look("list");
    await one.openRow(`마루 광장 ${what}`);
    await one.said("news 3").waitFor();
    await one.write("안녕하세요, everybody!");
    await one.said("안녕하세요, everybody!").getByRole("img", { name: "Sent" }).waitFor();
    await look("conversation");
    await page.getByRole("button", { name: "Members" }).click();
    const rows = page.getByRole("complementary").getByRole("region", { name: "Members" });
    await rows.getByRole("listitem").nth(5).waitFor();
    await look("members");
    const { scrollWidth, innerWidth } = await page.evaluate(() => ({ scrollWidth: document.documentElement.scrollWidth, innerWidth }));
    assert.ok(scrollWidth <= innerWidth, `${scrollWidth} of ${innerWidth}`);
    await page.evaluate(() => localStorage.setItem("maru.language", "ko"));
    await page.reload();
    await page.getByRole("main").getByText("멤버 320명").waitFor();
    await page.getByRole("button", { name: "멤버", exact: true }).click();
    await page.getByRole("complementary").getByRole("searchbox", { name: "이름으로 멤버 찾기" }).waitFor();
    await page.getByRole("complementary").getByText("기준").waitFor();
    await look("korean");
    await one.done();
  }
});
