// What the same messages cost a server that its receivers reach by WebSocket, by long polls and by plain polls. Prints a table.
// Pin the two sides to a processor each:  MARU=target/release/maru taskset -c 1 node scripts/carriers.mjs
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Account, Maru, poll } from "../dist/src/index.js";
import { nodeSocket } from "../dist/src/node/index.js";

const { MARU, RECEIVERS = "99", PER_S = "10", SECONDS = "15", ROUNDS = "3", CPU = "0" } = process.env;
const [receivers, perS, seconds, rounds] = [RECEIVERS, PER_S, SECONDS, ROUNDS].map(Number);
const WAYS = {
  "WebSocket": nodeSocket,
  "long polls (30 s)": poll(),
  "plain polls (each 1 s)": poll({ waitS: 0, everyMs: 1000 }),
};
const TICKS_PER_S = 100;

const data = mkdtempSync(join(tmpdir(), "maru-carriers-"));
const ports = ["--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
const begin = ["-c", CPU, MARU, "serve", "--data", data, "--shards", "1", ...ports, "--audit", "false"];
const child = spawn("taskset", begin, { stdio: ["ignore", "pipe", "ignore"] });
try {
  const ready = await new Promise((resolve) => createInterface({ input: child.stdout }).on("line", (line) => line.startsWith("maru ready ") && resolve(line)));
  const at = (name) => new RegExp(` ${name}=(\\S+)`).exec(ready)[1];
  const operator = execFileSync(MARU, ["admin", "tokens", "add", "--scope", "all", "--name", "carriers", "--data", data], { encoding: "utf8" });
  const token = operator.split(/\s+/).find((word) => word.length >= 32);
  const headers = { "Authorization": `Bearer ${token}`, "Content-Type": "application/json" };
  const ask = { method: "POST", headers, body: JSON.stringify({ prefix: "load", count: receivers + 1 }) };
  const made = await (await fetch(`${at("admin")}/v1/admin/users`, ask)).text();
  const logins = made.trim().split("\n").map((line) => line.split(/\s+/)).map(([user, device, access]) => (
    { user: BigInt(user), device: BigInt(device), token: access, expiresMs: Date.now() + 3.6e6, refresh: "none", chat: at("ws") }));
  const open = async (login, transport) => {
    const maru = await Maru.open({ server: at("http"), login, transport });
    while ((await maru.status()).state !== "live") await sleep(10);
    return maru;
  };
  const sender = await open(logins[0], nodeSocket);
  const { sendId } = await sender.createGroup("carriers", logins.slice(1).map(({ user }) => user));
  const { channel } = await sender.stored(sendId);
  const cpuUs = () => {
    const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
    return (Number(fields[11]) + Number(fields[12])) * (1e6 / TICKS_PER_S);
  };
  const spent = async (run) => {
    const before = cpuUs();
    await run();
    return cpuUs() - before;
  };
  const found = new Map(Object.keys(WAYS).map((way) => [way, { idle: [], busy: [] }]));
  for (let round = 0; round < rounds; round++) {
    for (const [way, transport] of Object.entries(WAYS)) {
      let heard = 0;
      const all = await Promise.all(logins.slice(1).map((login) => open(login, transport)));
      for (const maru of all) maru.on("message", () => { heard += 1; });
      await sleep(1000);
      const idle = await spent(() => sleep(seconds * 1000));
      const busy = await spent(async () => {
        const since = performance.now();
        for (let count = 0; count < seconds * perS; count++) {
          await sleep(Math.max(0, since + (count * 1000) / perS - performance.now()));
          await sender.send(channel, `message ${count} of round ${round}`);
        }
        while (heard < seconds * perS * receivers) await sleep(10);
      });
      found.get(way).idle.push(idle / (seconds * receivers));
      found.get(way).busy.push(busy / (seconds * perS * receivers));
      await Promise.all(all.map((maru) => maru.close()));
      await sleep(500);
    }
  }
  const median = (list) => list.sort((one, other) => one - other)[Math.floor(list.length / 2)];
  console.log(`${receivers} receivers in one group, ${perS} messages/s, ${seconds} s a step, medians of ${rounds} rounds in turn\n`);
  console.log("| way | CPU a delivery | idle, CPU a device and second |\n|---|---|---|");
  for (const [way, { idle, busy }] of found) console.log(`| ${way} | ${median(busy).toFixed(0)} us | ${median(idle).toFixed(0)} us |`);
  await sender.close();
} finally {
  child.kill("SIGKILL");
  rmSync(data, { recursive: true, force: true });
}
process.exit(0);
