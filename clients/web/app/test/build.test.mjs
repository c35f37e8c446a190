/** A machine without Node: what the build takes then, and says. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("without Node the build takes the app that a release brought, or goes on without one", () => {
  const root = mkdtempSync(join(tmpdir(), "maru-web-"));
  try {
    const [bin, clients, web] = ["bin", "clients/web", "server/api/web"].map((folder) => join(root, folder));
    for (const folder of [bin, clients, web]) mkdirSync(folder, { recursive: true });
    for (const tool of ["bash", "dirname"]) symlinkSync(spawnSync("which", [tool], { encoding: "utf8" }).stdout.trim(), join(bin, tool));
    const script = join(clients, "build.sh");
    copyFileSync(fileURLToPath(new URL("../../build.sh", import.meta.url)), script);
    const run = (...args) => spawnSync(join(bin, "bash"), [script, ...args], { env: { PATH: bin }, encoding: "utf8" });
    assert.deepEqual([run().status, run("--must").status], [0, 1]);
    assert.match(run().stdout, /the binary has none; \/ says how to have it/);
    writeFileSync(join(web, "index.html"), "<!doctype html>");
    assert.equal(run("--must").status, 0);
    assert.match(run("--must").stdout, /taking the one that lies in server\/api\/web/);
  } finally {
    rmSync(root, { recursive: true });
  }
});
