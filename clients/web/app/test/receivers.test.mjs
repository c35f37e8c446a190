/** A short run of scripts/receivers.mjs: browsers receive what the load tool sends. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { receive } from "../scripts/receivers.mjs";

test("tabs are receivers of a mixed run: every message once and in order", { timeout: 240_000 }, async (context) => {
  const tool = process.env.LOAD_TOOL ?? join(dirname(process.env.MARU ?? ""), "maru-load");
  assert.ok(existsSync(tool), `${tool} is not there: cargo build -p loadgen --bin maru-load`);
  const { isFine, code, said, tabs } = await receive({ tool, tabs: 3, devices: 40, rate: 60, seconds: 5 });
  assert.ok(isFine, `maru-load ended with ${code}: ${said}\n${JSON.stringify(tabs, undefined, 1)}`);
  context.diagnostic(tabs.map(({ channels, messages }) => `${messages} messages in ${channels} channels`).join("; "));
});
