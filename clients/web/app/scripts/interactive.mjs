// How long a user with 1,000 channels waits until the app can be used, on loopback, with a processor that is slowed down four times.
// Prints medians. Let nothing else run beside it:  MARU=target/release/maru node scripts/interactive.mjs
import { Account } from "../../sdk/dist/src/index.js";
import { crowd } from "../test/scene.mjs";
import { launch, PASSWORD, Person, Server } from "../test/world.mjs";

const { CHANNELS = "1000", SLOWDOWN = "4", ROUNDS = "5" } = process.env;
const [channels, slowdown, rounds] = [CHANNELS, SLOWDOWN, ROUNDS].map(Number);
const GOAL_MS = 1000;

/** Runs before the page. Interactive: what is looked for is painted, and what is done next would be heard at once. */
function watch() {
  const marks = {};
  window.marks = marks;
  const look = (name, selector) => new MutationObserver((_, observer) => {
    if (!document.querySelector(selector)) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => { marks[name] = performance.now(); }));
  }).observe(document, { childList: true, subtree: true });
  look("door", "form button[type=submit]");
  look("list", ".rows a");
  // When the server has let the user in: what a password costs it is not the app's.
  new PerformanceObserver((all) => {
    for (const { name, responseEnd } of all.getEntries()) if (name.endsWith("/v1/login")) marks.login = responseEnd;
  }).observe({ type: "resource", buffered: true });
}

const mark = (page, name) => page.waitForFunction((of) => window.marks?.[of], name, { polling: 100, timeout: 60_000 }).then((value) => value.jsonValue());
async function slow(person) {
  const session = await person.context.newCDPSession(person.page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: slowdown });
}
const median = (values) => Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]);

const server = await Server.start();
const browser = await launch();
try {
  await new Account(server.url).signup("ben", PASSWORD);
  await crowd(server, "ben", channels);
  const found = { "the door, from nothing": [], "the list, from a login on a new device": [], "the list, of a device that was here before": [] };
  const [door, first, second] = Object.values(found);
  for (let round = 0; round < rounds; round++) {
    const ben = await Person.at(browser, server);
    await ben.context.addInitScript(watch);
    await ben.page.close();
    // A browser that has nothing of the app: each round has another profile.
    ben.page = await ben.context.newPage();
    await slow(ben);
    await ben.page.goto(server.url);
    door.push(await mark(ben.page, "door"));
    await ben.logIn("ben");
    const list = await mark(ben.page, "list");
    first.push(list - await mark(ben.page, "login"));
    await ben.page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    // The pages of the list behind the first one are here, and kept.
    await ben.page.waitForFunction((px) => document.querySelector(".rows ul").clientHeight >= px, 68 * channels, { polling: 100, timeout: 60_000 });
    await ben.page.reload();
    second.push(await mark(ben.page, "list"));
    await ben.context.close();
  }
  const rows = Object.entries(found).map(([what, values]) => ({ "interactive after (ms)": what, median: median(values), least: Math.round(Math.min(...values)), most: Math.round(Math.max(...values)) }));
  console.log(`${channels} channels, processor slowed down ${slowdown} times, ${rounds} rounds`);
  console.table(rows);
  const isFine = rows.every((row) => row.median <= GOAL_MS);
  console.log(isFine ? `each within ${GOAL_MS} ms` : `NOT each within ${GOAL_MS} ms`);
} finally {
  await browser.close();
  await server.remove();
}
