// What codec and session, and the whole SDK, weigh in a page: bundled, minified, gzipped. Prints JSON.
import { build } from "esbuild";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

async function gzipped(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: at("src"), loader: "ts" }, bundle: true, minify: true, format: "esm", target: "es2022", write: false,
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

console.log(JSON.stringify({
  session: await gzipped('export { Session } from "./session/session.ts"; export * from "./frame.ts";'),
  sdk: await gzipped('export * from "./index.ts";'),
}));
