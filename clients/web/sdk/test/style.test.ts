/** What server/tests/arrows.rs is for Rust: what is pure imports and calls nothing that is not, and files are short. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

const sdk = fileURLToPath(new URL("../../", import.meta.url));
const sources = ["src", "test", "scripts", "examples"].flatMap((folder) =>
  readdirSync(join(sdk, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)).filter((name) => /\.(ts|mjs)$/.test(name)));
const textOf = (name: string): string => readFileSync(join(sdk, name), "utf8");
const isPure = (name: string): boolean => /^src\/(session\/.*|codec|frame|generated|ids|node\/ws)\.ts$/.test(name);
/** Without comments. */
const codeOf = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");

const IMPURE = /\b(Date\b|performance\b|setTimeout|setInterval|queueMicrotask|fetch\(|Math\.random|crypto\b|WebSocket\(|indexedDB|async\b|await\b|Promise\b|process\b)/;

test("the session, the codec and the WebSocket's bytes are pure", () => {
  const pure = sources.filter(isPure);
  assert.ok(pure.length > 12);
  for (const name of pure) {
    const code = codeOf(textOf(name));
    assert.equal(IMPURE.exec(code)?.[0], undefined, name);
    for (const [, from = ""] of code.matchAll(/from "([^"]+)"/g)) {
      const target = relative(sdk, join(sdk, name, "..", from)).replace(/\.js$/, ".ts");
      assert.ok(isPure(target), `${name} imports ${target}`);
    }
  }
  assert.ok(IMPURE.test("const now = Date.now();"));
});

test("only src/node imports Node, and nothing at all is imported from a package", () => {
  for (const name of sources.filter((source) => source.startsWith("src/"))) {
    for (const [, from = ""] of codeOf(textOf(name)).matchAll(/from "([^"]+)"/g)) {
      assert.ok(from.startsWith(".") || (name.startsWith("src/node/") && from.startsWith("node:")), `${name} imports ${from}`);
    }
  }
  assert.equal((JSON.parse(textOf("package.json")) as { dependencies?: object }).dependencies, undefined);
});

test("files are short, lines too, and names are honest", () => {
  for (const name of sources) {
    const lines = textOf(name).split("\n");
    // What is generated is as long as the protocol.
    if (name === "src/generated.ts") continue;
    assert.ok(lines.length <= 400, `${name} has ${lines.length} lines`);
    assert.doesNotMatch(name, /\b(utils?|common|helpers?|managers?|types|misc|impl)\b/, name);
    const long = lines.find((line) => line.length > 170);
    assert.equal(long, undefined, name);
  }
});

test("the README shows the example that runs", () => {
  const shown = /<!-- example: (\S+) -->\n```ts\n([\s\S]*?)```\n<!-- end: example -->/.exec(textOf("README.md"));
  assert.ok(shown);
  assert.equal(shown[2], textOf(shown[1] as string));
});
