/** What a page has to load. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const SESSION_BYTES_MAX = 20 * 1024;
const SDK_BYTES_MAX = 30 * 1024;

test("codec and session have at most 20 KB, gzipped, the whole SDK at most 30", (context) => {
  const script = fileURLToPath(new URL("../../scripts/size.mjs", import.meta.url));
  const { session, sdk } = JSON.parse(execFileSync(process.execPath, [script], { encoding: "utf8" })) as { session: number; sdk: number };
  context.diagnostic(`codec and session ${session} bytes, the whole SDK ${sdk}`);
  // A bundle of nothing would be small, too.
  assert.ok(session > 3000 && sdk > session);
  assert.ok(session <= SESSION_BYTES_MAX && sdk <= SDK_BYTES_MAX, `${session} and ${sdk} bytes`);
});
