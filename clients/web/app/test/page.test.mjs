/** What the page is: how it is served, what it does not let in, how it can be used by everybody, and how it looks. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { get } from "node:http";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { act, audit, stage } from "./stage.mjs";
import { Terminal } from "./world.mjs";
import { crowd, fill } from "./scene.mjs";
import { shownOr, until } from "./wait.mjs";

const LIMIT = { timeout: 300_000 };
const BUNDLE_BYTES_MAX = 150 * 1024;
const FIRST_SCREEN_BYTES_MAX = 100 * 1000;
const web = fileURLToPath(new URL("../../../../server/api/web/", import.meta.url));

const at = stage();

const asked = (path, headers = {}) => new Promise((resolve, reject) => {
  get(`${at.server.url}${path}`, { headers }, (response) => {
    const parts = [];
    response.on("data", (part) => parts.push(part)).on("end", () => resolve({ status: response.statusCode, headers: response.headers, bytes: Buffer.concat(parts) }));
  }).on("error", reject);
});

test("the binary serves what was built: compressed ahead, kept for ever, with strict rules", async () => {
  const page = await asked("/");
  assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
  assert.equal(page.headers["cache-control"], "no-cache");
  const policy = page.headers["content-security-policy"];
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "worker-src 'self'", "require-trusted-types-for 'script'", "trusted-types worker", "frame-ancestors 'none'", `connect-src 'self' ws://${at.server.chat}/ws`]) {
    assert.ok(policy.includes(rule), `${rule} in ${policy}`);
  }
  assert.ok(!/unsafe|\*/.test(policy), policy);
  assert.equal((await asked("/", { "If-None-Match": page.headers.etag })).status, 304);
  const names = readdirSync(web).filter((name) => !/^\.|\.(br|gz)$|^(index\.html|sw\.js)$/.test(name));
  assert.ok(names.length >= 3, "npm run build comes before cargo build");
  for (const name of names) {
    const plain = await asked(`/assets/${name}`);
    assert.ok(plain.bytes.equals(readFileSync(web + name)), `${name} of the binary is not the one that was built: build the server anew`);
    assert.equal(plain.headers["cache-control"], "public, max-age=31536000, immutable");
    assert.equal(plain.headers["x-content-type-options"], "nosniff");
    const packed = await asked(`/assets/${name}`, { "Accept-Encoding": "gzip, br" });
    // What is compressed already, as a picture is, is sent as it is.
    const isPacked = readdirSync(web).includes(`${name}.br`);
    assert.ok(isPacked || name.endsWith(".png"), name);
    if (!isPacked) continue;
    assert.equal(packed.headers["content-encoding"], "br");
    assert.ok(packed.bytes.length < plain.bytes.length && packed.headers.etag !== plain.headers.etag);
  }
  const worker = await asked("/sw.js");
  assert.ok(worker.bytes.equals(readFileSync(`${web}sw.js`)));
  assert.deepEqual([worker.headers["content-type"], worker.headers["cache-control"]], ["text/javascript; charset=utf-8", "no-cache"]);
  assert.equal(worker.headers["content-security-policy"], "default-src 'none'; connect-src 'self'");
  for (const path of ["/assets/index.html", "/assets/sw.js", "/assets/none.js", "/assets/..%2f..%2fCargo.toml"]) assert.equal((await asked(path)).status, 404);
});

test("the bundle has at most 150 KB gzipped", (context) => {
  const names = readdirSync(web).filter((name) => /\.(js|css|html|svg)$/.test(name));
  const bytes = names.map((name) => gzipSync(readFileSync(web + name), { level: 9 }).length).reduce((sum, one) => sum + one, 0);
  context.diagnostic(`${bytes} bytes, gzipped`);
  assert.ok(bytes > 20_000 && bytes <= BUNDLE_BYTES_MAX, `${bytes}`);
});

test("what somebody writes is text, whatever it looks like", LIMIT, async () => {
  const [hana, ian] = [await at.person("hana"), await Terminal.signUp(at.server, "ian")];
  const evil = [
    "<img src=x onerror=\"document.title='owned'\">", "<script>document.title='owned'</script>", "javascript:document.title='owned'",
    "\"><svg/onload=document.title='owned'>", "{{constructor.constructor('document.title=1')()}}", "\u202egnp.exe", "e\u0301\u0302\u0303\u0304\u0305", "</textarea><b>x",
  ];
  for (const text of evil) ian.say({ cmd: "send", to: "hana", text });
  await hana.openRow("ian");
  for (const text of evil) await hana.said(text).waitFor();
  const made = await hana.page.locator(".timeline .text").evaluateAll((all) => all.map((one) => [...one.querySelectorAll("*")].map(({ tagName }) => tagName)).flat());
  assert.deepEqual(made, []);
  ian.say({ cmd: "send", to: "hana", text: "see https://example.org/a?b=<i>&c and http://x.example." });
  await hana.page.getByRole("link", { name: "https://example.org/a?b=", exact: true }).waitFor();
  const links = await hana.page.locator(".timeline .text a").evaluateAll((all) => all.map((one) => [one.getAttribute("href"), one.rel, one.target]));
  assert.deepEqual(links, [["https://example.org/a?b=", "noopener noreferrer", "_blank"], ["http://x.example", "noopener noreferrer", "_blank"]]);
  // The rules hold against the page itself, too.
  const refused = await hana.page.evaluate(() => {
    try { document.createElement("div").innerHTML = "<b>x</b>"; } catch (error) { return error.name; }
    return "nothing";
  });
  assert.equal(refused, "TypeError");
  // The one policy that there is makes the address of the worker, once: nobody else gets one.
  const policies = await hana.page.evaluate(() => ["worker", "other", "default"].map((name) => {
    try { trustedTypes.createPolicy(name, { createHTML: (text) => text }); } catch (error) { return error.name; }
    return "made";
  }));
  assert.deepEqual(policies, ["TypeError", "TypeError", "TypeError"]);
  assert.match(await hana.page.title(), /Maru$/);
  hana.faults = hana.faults.filter((fault) => !/TrustedHTML|TrustedTypes|Trusted Types|trusted-types/i.test(fault));
  await ian.end();
  await hana.done();
});

test("a paste of 100,001 characters is refused in words and kept; 100,000 are sent and folded", LIMIT, async () => {
  const [jin, kim] = [await at.person("jin"), await at.person("kim")];
  await jin.chatWith("kim");
  const box = jin.page.locator("#composer");
  await box.fill(`${"가".repeat(100_000)}!`);
  await jin.page.getByRole("alert").getByText("100,001 characters are too many").waitFor();
  assert.ok(await jin.page.getByRole("button", { name: "Send", exact: true }).isDisabled());
  await box.press("Enter");
  assert.equal((await box.inputValue()).length, 100_001);
  await box.fill("😀".repeat(100_000));
  await box.press("Enter");
  await kim.openRow("jin");
  const more = kim.page.getByRole("button", { name: "Show all (200,000 characters)" });
  await more.click();
  assert.equal((await kim.page.locator(".timeline .text").first().innerText()).length, 200_000);
  // Half of a character, as a paste can bring it, does not stop a message.
  await box.evaluate((element) => {
    element.value = "half \ud83d of it";
    element.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });
  await box.press("Enter");
  await kim.said("half \ufffd of it").waitFor();
  await jin.done();
  await kim.done();
});

test("search, a jump, scrolling both ways, a reply, a thread, a mention", LIMIT, async () => {
  const lee = await at.person("lee");
  const { group } = await fill(at.server, "lee");
  await lee.openRow(group);
  const { page } = lee;
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("group", { name: "More" }).getByRole("button", { name: "Search" }).click();
  await page.getByRole("search").getByRole("searchbox").fill("needle");
  // A busy server finds a message a while after it was sent.
  await shownOr(page.locator(".hits mark").first(), () => page.getByRole("search").getByRole("button", { name: "Search" }).click());
  const search = () => page.getByRole("search").getByRole("button", { name: "Search" }).click();
  await page.getByLabel("Only what mentions me").check();
  await search();
  await page.getByText("Nothing was found.").waitFor();
  await page.getByLabel("Only what mentions me").uncheck();
  await search();
  await page.locator(".hits mark").first().click();
  await lee.said("a needle in message 40").waitFor();
  const timeline = page.locator(".timeline");
  // Up to the beginning, and down to the newest: what is between is not all in the page at once.
  const scroll = async (top, text) => {
    const there = lee.said(text);
    await until(async () => {
      await timeline.evaluate((element, to) => { element.scrollTop = to; }, top);
      return await there.count() > 0;
    });
    await there.first().scrollIntoViewIfNeeded();
  };
  await scroll(0, "message 1");
  await scroll(1e9, "message 420");
  assert.ok(await timeline.locator("[data-seq]").count() <= 240);
  await lee.said("message 420").hover();
  await lee.page.getByRole("button", { name: "Reply", exact: true }).click();
  await lee.write("an answer");
  await lee.page.locator(".quote", { hasText: "message 420" }).waitFor();
  await lee.said("an answer").hover();
  await lee.page.getByRole("button", { name: "Reply in thread" }).click();
  await page.locator("#thread-composer").fill("inside");
  await page.locator("#thread-composer").press("Enter");
  await page.locator(".thread").getByText("inside", { exact: true }).waitFor();
  await page.getByRole("complementary", { name: "Thread" }).getByRole("button", { name: "Close" }).click();
  await page.locator("#composer").pressSequentially("@so");
  await page.getByRole("option", { name: /sora/ }).waitFor();
  await page.locator("#composer").press("Enter");
  await page.locator("#composer").pressSequentially("look");
  await page.locator("#composer").press("Enter");
  await page.locator(".timeline .mention", { hasText: "@sora_t" }).waitFor();
  // To the day on which it all began.
  await page.getByRole("button", { name: "More" }).click();
  const today = await page.evaluate(() => new Date().toLocaleDateString("sv"));
  await page.getByLabel("Jump to a date").fill(today);
  await page.getByRole("button", { name: "Go", exact: true }).click();
  await lee.said("message 1").waitFor();
  // Muted and pinned: said to every device.
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("button", { name: "Mute", exact: true }).click();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("button", { name: "Pin", exact: true }).click();
  const other = await at.guest();
  await other.logIn("lee");
  await other.page.getByRole("link", { name: new RegExp(`${group}.*Muted.*Pinned`) }).waitFor();
  await other.done();
  await lee.done();
});

test("nothing keeps anybody out, and it looks as it should: desktop and phone, light and dark, English and Korean", LIMIT, async () => {
  const pictures = process.env.PICTURES;
  if (pictures) mkdirSync(pictures, { recursive: true });
  const names = ["mina", "노을"];
  const views = [
    { name: names[0], what: "desktop", colorScheme: "light", viewport: { width: 1280, height: 800 } },
    { name: names[1], what: "phone", colorScheme: "dark", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
  ];
  for (const { name, what, ...options } of views) {
    const one = await at.person(name, options);
    const { group } = await fill(at.server, name, 0);
    const look = async (place) => {
      for (const scheme of ["light", "dark"]) {
        await one.page.emulateMedia({ colorScheme: scheme });
        if (pictures) await one.page.screenshot({ path: `${pictures}/${what}-${place}-${scheme}.png` });
        await audit(one.page, `${what} ${place} ${scheme}`);
      }
    };
    await one.page.getByRole("link", { name: group }).waitFor();
    await look("list");
    await one.openRow(group);
    await one.said("완벽해요! 늦지 마세요 😄").waitFor();
    await one.write("좋아요! I'll be there at eight.");
    await one.said("좋아요! I'll be there at eight.").getByRole("img", { name: /Sent|Delivered|Read/ }).waitFor();
    await look("conversation");
    const mine = one.said("좋아요! I'll be there at eight.");
    for (const [way, other] of [["👍"], ["", "🥾"]]) {
      await act(mine, "React");
      const picker = one.page.getByRole("group", { name: "React" });
      if (way) await picker.getByRole("button", { name: way }).click();
      else await picker.getByLabel("Another emoji").fill(other);
    }
    await mine.getByRole("button", { name: "👍, 1, you too" }).waitFor();
    await look("reactions");
    await mine.getByRole("button", { name: "Who reacted" }).click();
    await one.page.getByRole("region", { name: "👍, 1" }).getByText("You", { exact: true }).waitFor();
    await look("who");
    await one.page.getByRole("complementary").getByRole("button", { name: "Close" }).click();
    await one.page.keyboard.press("Escape");
    await one.page.locator("#composer").press("ArrowUp");
    await one.write("좋아요! I'll be there at nine.");
    await one.said("좋아요! I'll be there at nine.").getByText("edited", { exact: true }).waitFor();
    await one.page.getByRole("button", { name: "Pinned messages: 1" }).click();
    await one.page.getByRole("complementary").getByText("Clear until the evening").waitFor();
    const { width } = await one.page.getByRole("complementary").boundingBox();
    assert.ok(what === "phone" ? width === options.viewport.width : width >= 280, `${what}: ${width} pixels wide`);
    await look("pins");
    await one.page.getByRole("complementary").getByRole("button", { name: "Close" }).click();
    await one.page.getByRole("button", { name: "Members" }).click();
    await one.page.getByText("@sora_t").first().waitFor();
    await look("members");
    await one.page.getByRole("complementary").getByRole("button", { name: "Close" }).click();
    if (what === "phone") await one.page.getByRole("button", { name: "Back to chats" }).click();
    await one.page.getByRole("button", { name: "Settings" }).click();
    await one.page.getByRole("dialog").getByText("this device").waitFor();
    await one.page.getByLabel("Show me as").waitFor();
    await look("settings");
    await one.page.getByLabel("Language").selectOption("ko");
    await one.page.getByRole("heading", { name: "설정" }).waitFor();
    await look("korean");
    await one.page.keyboard.press("Escape");
    await one.done();
  }
  const stranger = await at.guest();
  await audit(stranger.page, "door");
  if (pictures) await stranger.page.screenshot({ path: `${pictures}/door.png` });
  await stranger.done();
});

test("with 1,000 channels a first screen of a new device is at most 100 KB of data, and the list is a few rows", LIMIT, async (context) => {
  const ben = await at.person("ben");
  await ben.context.close();
  await crowd(at.server, "ben", 1000);
  const again = await at.guest();
  // Counted in the page: this test may hear of a row late, when the pages behind the first one are there as well.
  await again.page.addInitScript(() => {
    let bytes = 0;
    window.WebSocket = class extends WebSocket {
      constructor(...place) {
        super(...place);
        this.addEventListener("message", ({ data }) => { bytes += data.byteLength ?? data.size; });
      }
    };
    new MutationObserver((_, watch) => {
      if (!document.querySelector(".rows a")) return;
      window.firstBytes = bytes;
      watch.disconnect();
    }).observe(document, { childList: true, subtree: true });
  });
  await again.page.reload();
  await again.logIn("ben");
  await again.page.getByRole("link", { name: /Group \d+ of many/ }).first().waitFor();
  const first = await again.page.evaluate(() => window.firstBytes);
  context.diagnostic(`${first} bytes when the first rows are there`);
  assert.ok(first > 0 && first <= FIRST_SCREEN_BYTES_MAX, `${first}`);
  const rows = again.page.locator(".rows");
  await until(async () => await rows.locator("ul").evaluate((list) => list.clientHeight) === 1000 * 68);
  assert.ok(await rows.locator("li").count() < 40);
  await rows.evaluate((element) => { element.scrollTop = element.scrollHeight; });
  await rows.locator(`li[style*="translateY(${999 * 68}px)"]`).getByRole("link", { name: /Group \d+ of many/ }).waitFor();
  await again.page.getByRole("searchbox", { name: "Find a chat" }).fill("group 500 of");
  await again.page.getByRole("link", { name: "Group 500 of many" }).waitFor();
  assert.equal(await rows.locator("li").count(), 1);
  await again.done();
});
