// Puts what Vite built where the binary takes it from (server/api/build.rs): flat, each file also compressed.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const [built, web] = [at("dist"), at("../../../server/api/web")];

mkdirSync(web, { recursive: true });
const files = [...["index.html", "sw.js"].map((name) => [name, join(built, name)]), ...readdirSync(join(built, "assets")).map((name) => [name, join(built, "assets", name)])];
const wanted = new Map();
for (const [name, from] of files) {
  const bytes = readFileSync(from);
  wanted.set(name, bytes);
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
  const gzip = gzipSync(bytes, { level: 9 });
  if (brotli.length < bytes.length) wanted.set(`${name}.br`, brotli);
  if (gzip.length < bytes.length) wanted.set(`${name}.gz`, gzip);
}
// What did not change keeps its time, so that cargo builds nothing anew.
for (const name of readdirSync(web)) if (!name.startsWith(".") && !wanted.has(name)) rmSync(join(web, name));
for (const [name, bytes] of wanted) {
  const path = join(web, name);
  let there;
  try { there = readFileSync(path); } catch { /* it is new */ }
  if (!there?.equals(bytes)) writeFileSync(path, bytes);
}
