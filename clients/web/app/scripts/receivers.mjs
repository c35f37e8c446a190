// Browsers receive what `maru-load mixed` sends: tabs of the real app are devices of users in its channels, and each checks that every
// message of theirs comes once and in its place. Prints the verdict; exit code 1 when anything is missing, twice or out of order.
//   MARU=target/release/maru LOAD_TOOL=target/release/maru-load TABS=8 DEVICES=400 RATE=300 SECONDS=60 node scripts/receivers.mjs
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Account, Maru } from "../../sdk/dist/src/index.js";
import { nodeSocket } from "../../sdk/dist/src/node/index.js";
import { until } from "../test/wait.mjs";
import { launch, PASSWORD, Person, Server } from "../test/world.mjs";

const TOOL_FINE = 0;
/** The tool was too slow for its latencies to count; what it says of deliveries holds. */
const TOOL_VOID = 3;

/** Runs in the page, before the app: the tab that has the device tells the others of the browser what comes, in its order. */
function check() {
  const seen = { heads: new Map(), messages: 0, faults: [], resyncs: 0 };
  new BroadcastChannel("maru:maru").onmessage = ({ data }) => {
    if (data.type !== "event") return;
    if (data.name === "resync") seen.resyncs += 1;
    if (data.name !== "message") return;
    const { channel, seq } = data.event;
    const before = seen.heads.get(channel) ?? 0;
    if (seq !== before + 1) seen.faults.push(`channel ${channel}: ${seq} behind ${before}`);
    seen.heads.set(channel, Math.max(seq, before));
    seen.messages += 1;
  };
  window.seen = () => ({ messages: seen.messages, faults: seen.faults.slice(0, 20), resyncs: seen.resyncs, heads: [...seen.heads].map(([channel, seq]) => [String(channel), seq]) });
}

async function addTab(server, browser, name) {
  const account = new Account(server.url);
  await account.signup(name, PASSWORD);
  // The tool has a device of this user, the tab another one.
  const login = await account.login(name, PASSWORD);
  const tab = await Person.at(browser, server);
  await tab.context.addInitScript(check);
  await tab.page.reload();
  await tab.logIn(name);
  await tab.page.getByRole("navigation", { name: "Chats" }).waitFor();
  await until(async () => (await tab.page.getByRole("status").count()) === 0);
  return { tab, login };
}

/** Lines of user, device, token. The tabs' users are spread over them, so that some talk in pairs and some in groups. */
async function usersFile(server, logins, devices) {
  const admin = readFileSync(join(server.data, "admin.token"), "utf8").trim();
  const headers = { "Authorization": `Bearer ${admin}`, "Content-Type": "application/json" };
  const body = JSON.stringify({ prefix: "load", count: devices - logins.length });
  const made = await fetch(`http://${server.admin}/v1/admin/users`, { method: "POST", headers, body });
  assert.equal(made.status, 201);
  const lines = (await made.text()).trim().split("\n");
  logins.forEach(({ user, device, token }, at) => lines.splice(Math.floor((at * devices) / logins.length), 0, `${user}\t${device}\t${token}`));
  const file = join(server.data, "users.tsv");
  writeFileSync(file, `${lines.join("\n")}\n`, { mode: 0o600 });
  return file;
}

function load(tool, server, users, { devices, seconds, rate }) {
  const places = ["--server", `ws://${server.chat}/ws`, "--http", server.url, "--admin", `http://${server.admin}`, "--users", users];
  const shape = ["--devices", devices, "--seconds", seconds, "--warmup", "0", "--rate", rate, "--cut-rate", "2", "--group-size", "8", "--senders", "3"];
  const keys = ["roles={ idle = 0.0, direct = 0.6, group = 0.4 }", "drain_s=30"].flatMap((key) => ["--set", key]);
  const child = spawn(tool, ["mixed", "--verify", "--workers", "1", ...places, ...shape.map(String), ...keys], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => { said += bytes; });
  return new Promise((resolve, reject) => child.on("error", reject).on("exit", (code) => resolve({ code, said })));
}

/** What a tab has seen beside what the server has. */
async function judge(server, { tab, login }) {
  const device = await Maru.open({ server: server.url, login: await new Account(server.url).login(tab.name, PASSWORD), transport: nodeSocket });
  const heads = new Map((await device.channels()).filter(({ head }) => head > 0).map(({ channel, head }) => [String(channel), head]));
  await device.logout();
  const seen = () => tab.page.evaluate(() => window.seen());
  // What is on its way still is waited for; what does not come is missing.
  const isWhole = ({ heads: there }) => new Map(there).size === heads.size && there.every(([channel, seq]) => seq === heads.get(channel));
  await until(async () => isWhole(await seen())).catch(() => {});
  const end = await seen();
  const there = new Map(end.heads);
  const missing = [...heads].filter(([channel, head]) => there.get(channel) !== head).map(([channel, head]) => `channel ${channel}: ${there.get(channel) ?? 0} of ${head}`);
  return { user: String(login.user), channels: heads.size, messages: end.messages, faults: [...end.faults, ...missing, ...tab.faults] };
}

/** `tool`: where maru-load is. */
export async function receive({ tool, tabs, devices, rate, seconds }) {
  const server = await Server.start("--signups-per-h", "1000000", "--address-signups-per-h", "1000000");
  const browser = await launch();
  try {
    const all = [];
    for (let at = 0; at < tabs; at++) {
      all.push(await addTab(server, browser, `tab${at}`));
      all.at(-1).tab.name = `tab${at}`;
    }
    const users = await usersFile(server, all.map(({ login }) => login), devices);
    const { code, said } = await load(tool, server, users, { devices, rate, seconds });
    const verdicts = [];
    for (const one of all) verdicts.push(await judge(server, one));
    const isFine = [TOOL_FINE, TOOL_VOID].includes(code) && verdicts.every(({ faults, messages }) => faults.length === 0 && messages > 0);
    return { isFine, code, said, tabs: verdicts };
  } finally {
    await browser.close();
    await server.remove();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { LOAD_TOOL: tool, TABS = "4", DEVICES = "100", RATE = "100", SECONDS = "20" } = process.env;
  assert.ok(tool && existsSync(tool), "LOAD_TOOL names maru-load: cargo build --release -p loadgen");
  const { isFine, code, said, tabs } = await receive({ tool, tabs: Number(TABS), devices: Number(DEVICES), rate: Number(RATE), seconds: Number(SECONDS) });
  console.log(said.trim());
  console.table(tabs.map(({ faults, ...tab }) => ({ ...tab, faults: faults.length })));
  for (const { user, faults } of tabs) for (const fault of faults) console.log(`user ${user}: ${fault}`);
  console.log(isFine ? "every tab has every message of its channels, once and in order" : `NOT every tab has every message once and in order (maru-load ended with ${code})`);
  process.exitCode = isFine ? 0 : 1;
}
