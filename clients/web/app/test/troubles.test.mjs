/** What goes wrong in browsers: tokens that end, storage that is full or absent, clocks that are wrong, connections that are cut. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Account } from "../../sdk/dist/src/index.js";
import { Wire } from "./proxy.mjs";
import { stage } from "./stage.mjs";
import { expectCount, until } from "./wait.mjs";
import { PASSWORD, Person, Server, Terminal } from "./world.mjs";

const LIMIT = { timeout: 300_000 };
const at = stage();
/** A browser in which this runs before every page. */
async function changed(script, given) {
  const one = await at.guest();
  await one.context.addInitScript(script, given);
  await one.page.reload();
  return one;
}

test("a token that ends in mid-typing is renewed, and nothing that was typed is lost", LIMIT, async () => {
  const short = await Server.start("--token-s", "10");
  const ada = await (await Person.at(at.browser, short)).signUp("ada");
  const bo = await Terminal.signUp(short, "bo");
  await ada.chatWith("bo");
  let renewals = 0;
  ada.page.on("response", (answer) => { if (answer.url().endsWith("/v1/token") && answer.ok()) renewals += 1; });
  const box = ada.page.locator("#composer");
  let typed = "";
  for (const word of ["one ", "two ", "three "]) {
    const seen = renewals;
    await box.pressSequentially(word);
    typed += word;
    await until(() => renewals > seen);
    assert.equal(await box.inputValue(), typed);
  }
  await box.press("Enter");
  await bo.heard(({ text }) => text === typed);
  // What goes over HTTP has the next token, too.
  await ada.page.getByRole("button", { name: "Settings" }).click();
  await ada.page.getByText("this device").waitFor();
  await bo.end();
  await ada.done();
  await short.remove();
});

test("a browser without room says so; messages and what is not sent go on", LIMIT, async () => {
  const cal = await changed(() => {
    // As Chromium says it: a message is refused, what is little is not.
    const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function (...row) {
      if (sessionStorage.isFull && this.name === "messages") throw new DOMException("no room", "QuotaExceededError");
      return put.apply(this, row);
    };
  });
  await cal.signUp("cal");
  const dee = await Terminal.signUp(at.server, "dee");
  await cal.chatWith("dee");
  await cal.write("there is room");
  await cal.said("there is room").getByRole("img", { name: /Sent|Delivered/ }).waitFor();
  await cal.page.evaluate(() => { sessionStorage.isFull = "yes"; });
  dee.say({ cmd: "send", to: "cal", text: `no room: ${"x".repeat(50_000)}` });
  await cal.page.getByText("This browser has no room left.").waitFor();
  await cal.page.getByRole("button", { name: /^Show all/ }).waitFor();
  await cal.write("still heard");
  await dee.heard(({ text }) => text === "still heard");
  // With room again the next start keeps messages as before.
  await cal.page.evaluate(() => { delete sessionStorage.isFull; });
  await cal.page.reload();
  await cal.said("still heard").waitFor();
  await until(async () => await cal.page.getByText("This browser has no room left.").count() === 0);
  await dee.end();
  await cal.done();
});

test("a private window that keeps nothing says so, and works until it is closed", LIMIT, async () => {
  const eve = await changed(() => {
    Object.defineProperty(window, "indexedDB", { value: undefined });
    for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { get: () => { throw new DOMException("denied", "SecurityError"); } });
    delete Navigator.prototype.serviceWorker;
  });
  await eve.signUp("eve");
  await eve.page.getByText("This browser keeps nothing").waitFor();
  const fox = await Terminal.signUp(at.server, "fox");
  await eve.chatWith("fox");
  await eve.write("from nowhere");
  await fox.heard(({ text }) => text === "from nowhere");
  fox.say({ cmd: "send", to: "eve", text: "to nowhere" });
  await eve.said("to nowhere").waitFor();
  await eve.page.getByRole("button", { name: "Settings" }).click();
  await eve.page.getByLabel("Theme").selectOption("dark");
  await eve.page.keyboard.press("Escape");
  await eve.page.reload();
  await eve.page.getByRole("heading", { name: "Log in" }).waitFor();
  await eve.logIn("eve");
  await eve.openRow("fox");
  await eve.said("to nowhere").waitFor();
  await fox.end();
  await eve.done();
});

for (const [what, days] of [["ahead", 1], ["behind", -1]]) {
  test(`a clock that is a day ${what} changes nothing but the words for days`, LIMIT, async () => {
    const gia = await changed((ms) => {
      const Real = Date;
      const now = () => Real.now() + ms;
      globalThis.Date = class extends Real {
        constructor(...args) { super(...(args.length > 0 ? args : [now()])); }
        static now() { return now(); }
      };
    }, days * 86_400_000);
    const [name, other] = [`gia${days > 0 ? 1 : 2}`, `hal${days > 0 ? 1 : 2}`];
    await gia.signUp(name);
    let renewals = 0;
    gia.page.on("request", (request) => { if (request.url().endsWith("/v1/token")) renewals += 1; });
    const hal = await Terminal.signUp(at.server, other);
    await gia.chatWith(other);
    for (const text of ["one", "two"]) {
      await gia.write(text);
      await hal.heard((event) => event.text === text);
      hal.say({ cmd: "send", to: name, text: `${text} too` });
      await gia.said(`${text} too`).waitFor();
    }
    const shown = await gia.page.locator(".timeline .text").allInnerTexts();
    assert.deepEqual(shown, ["one", "one too", "two", "two too"]);
    assert.equal(await gia.page.getByText(/^Offline|Catching up/).count(), 0);
    // The newest draft wins by the server's clock: that of a machine with the right time was written later.
    await gia.page.locator("#composer").fill("with the wrong time");
    await gia.page.getByRole("button", { name: "Settings" }).click();
    const right = await at.guest();
    await right.logIn(name);
    await right.openRow(other);
    await until(async () => await right.page.locator("#composer").inputValue() === "with the wrong time");
    await right.page.locator("#composer").fill("with the right time");
    await until(async () => await gia.page.locator("#composer").inputValue() === "with the right time");
    assert.equal(renewals, 0, "no token is taken for one that has ended");
    await hal.end();
    await right.done();
    await gia.done();
  });
}

test("through a proxy that cuts again and again everything comes once and in order", LIMIT, async () => {
  const wire = await Wire.to(() => behind.chat);
  const behind = await Server.start("--chat-url", `ws://${wire.address}/ws`);
  const place = { url: behind.url, http: behind.http, chat: wire.address };
  const ivy = await (await Person.at(at.browser, place)).signUp("ivy");
  const jay = await Terminal.signUp(behind, "jay");
  await ivy.chatWith("jay");
  wire.cutEvery(700);
  const [mine, theirs] = [[], []];
  for (let n = 1; wire.cuts < 6 || n <= 20; n++) {
    mine.push(`mine ${n}`);
    theirs.push(`theirs ${n}`);
    await ivy.write(`mine ${n}`);
    jay.say({ cmd: "send", to: "ivy", text: `theirs ${n}` });
    await ivy.said(`mine ${n}`).waitFor();
  }
  clearInterval(wire.timer);
  await until(async () => await ivy.page.locator(".timeline [aria-label=Sending]").count() === 0);
  await ivy.said(theirs.at(-1)).waitFor();
  await jay.heard(({ text }) => text === mine.at(-1));
  const shown = await ivy.page.locator(".timeline .text").allInnerTexts();
  const of = (who) => shown.filter((text) => text.startsWith(who));
  // The page holds the newest of them: without a gap, and each once.
  for (const all of [mine, theirs]) {
    const there = of(all[0].split(" ")[0]);
    assert.deepEqual(there, all.slice(all.length - there.length));
  }
  assert.ok(shown.length >= Math.min(50, mine.length + theirs.length), `${shown.length}`);
  assert.deepEqual(jay.told.filter(({ text }) => text?.startsWith("mine")).map(({ text }) => text), mine);
  await jay.end();
  await ivy.done();
  await wire.close();
  await behind.remove();
});

/** RFC 6238 over a secret in base 32. */
function totp(secret, atMs) {
  const bits = [...secret.replace(/=+$/, "")].map((char) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(char).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(atMs / 30_000)));
  const hash = createHmac("sha1", key).update(counter).digest();
  return String((hash.readUInt32BE(hash[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

test("a second factor is asked for, a wrong code refused, and a recovery code taken", LIMIT, async () => {
  const account = new Account(at.server.url);
  await account.signup("kim", PASSWORD);
  const { token } = await account.login("kim", PASSWORD);
  const { secret } = await account.ask("POST", "/v1/two-factor", { password: PASSWORD }, token);
  const { recovery_codes: codes } = await account.ask("POST", "/v1/two-factor/confirm", { code: totp(secret, Date.now()) }, token);
  const kim = await at.guest();
  await kim.logIn("kim");
  await kim.page.getByText("Your account has a second factor").waitFor();
  const code = kim.page.getByLabel("Code of your authenticator app");
  assert.ok(await code.evaluate((box) => box === document.activeElement), "the code is what is typed next");
  const submit = kim.page.locator("form button[type=submit]");
  await code.fill("000000");
  await submit.click();
  await kim.page.getByRole("alert").getByText(/code/i).waitFor();
  await code.fill(codes[0]);
  await submit.click();
  await kim.page.getByRole("navigation", { name: "Chats" }).waitFor();
  // The device goes on without a code.
  await kim.page.reload();
  await kim.page.getByRole("navigation", { name: "Chats" }).waitFor();
  await kim.done();
});

test("an invite link lets one person in, and says what is wrong with one that is used up", LIMIT, async () => {
  const closed = await Server.start("--signup", "invite");
  const admin = readFileSync(join(closed.data, "admin.token"), "utf8").trim();
  const { invites: [{ code }] } = await new Account(`http://${closed.admin}`).ask("POST", "/v1/admin/invites", { count: 1 }, admin);
  const lee = await Person.at(at.browser, closed);
  await lee.page.close();
  lee.page = await lee.tab(`#invite=${code}`);
  await lee.page.getByRole("heading", { name: "Sign up" }).waitFor();
  assert.equal(await lee.page.getByLabel("Invite code").inputValue(), code);
  await lee.page.getByLabel("Name", { exact: true }).fill("lee");
  await lee.page.getByLabel("Password").fill(PASSWORD);
  await lee.page.locator("form button[type=submit]").click();
  await lee.page.getByRole("navigation", { name: "Chats" }).waitFor();
  assert.ok(!lee.page.url().includes(code), "the code is not left in the address");
  const late = await Person.at(at.browser, closed);
  await late.page.close();
  late.page = await late.tab(`#invite=${code}`);
  await late.page.getByLabel("Name", { exact: true }).fill("late");
  await late.page.getByLabel("Password").fill(PASSWORD);
  await late.page.locator("form button[type=submit]").click();
  await late.page.getByRole("alert").getByText(/invite/i).waitFor();
  assert.equal(await late.page.getByLabel("Name", { exact: true }).inputValue(), "late");
  await lee.done();
  await late.done();
  await closed.remove();
});

test("what a newer server says and this tab does not know has a placeholder in its place", LIMIT, async () => {
  const [moe, nia] = [await at.person("moe"), await Terminal.signUp(at.server, "nia")];
  await moe.chatWith("nia");
  await moe.write("known");
  await nia.heard(({ text }) => text === "known");
  nia.say({ cmd: "send", to: "moe", text: "from the future" });
  await moe.said("from the future").waitFor();
  nia.say({ cmd: "send", to: "moe", text: "known again" });
  await moe.said("known again").waitFor();
  // Another device of the same person reads the history, in which one message is of a kind that does not exist yet.
  const other = await at.guest();
  await other.context.routeWebSocket(/.*/, (near) => {
    const far = near.connectToServer();
    far.onMessage((bytes) => near.send(withKind(Buffer.from(bytes), "from the future", 0x01fe)));
  });
  await other.page.reload();
  await other.logIn("moe");
  await other.openRow("nia");
  await other.said("known again").waitFor();
  await other.page.locator(".timeline").getByText("This message needs a newer version of Maru.").waitFor();
  await expectCount(other.said("known"), 1);
  await other.write("and it goes on");
  await nia.heard(({ text }) => text === "and it goes on");
  await nia.end();
  await moe.done();
  await other.done();
});

/** The frames, of which those that have this text become ones of another kind. */
function withKind(bytes, text, kind) {
  for (let at = 0; at + 16 <= bytes.length; at += 16 + bytes.readUInt32LE(at)) {
    const body = bytes.subarray(at + 16, at + 16 + bytes.readUInt32LE(at));
    if (body.includes(text)) bytes.writeUInt16LE(kind, at + 4);
  }
  return bytes;
}
