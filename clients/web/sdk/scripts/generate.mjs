// Writes src/generated.ts: kinds, bodies, codes and limits, from what the Rust tests write and check: the layouts of
// protocol/vectors.json, and the tables of docs/protocol.md between their `generated` marks.
// `npm run generate` writes; with `--check` it only says whether the file is what it would write.
import { readFileSync, writeFileSync } from "node:fs";

const root = new URL("../../../../", import.meta.url);
const target = new URL("../src/generated.ts", import.meta.url);

// A u64 is an id, which uses all its bits (bigint), or counts something and stays below 2^53 (number). A layout does not
// say which, so a new name has to be put here; a guess would lose bits of an id without a word.
const IDS = new Set([
  "user", "device", "member", "members", "GetMembers.after", "GetReceipts.after", "last_sender", "sender", "mentions",
  "forwarded_from", "users",
]);
const COUNTS = new Set([
  "generation", "cursor", "start", "head", "time_ms", "expires_ms", "seq", "from", "to", "after", "before", "joined",
  "read", "unread", "delivered", "at", "last_ms", "last_seq", "muted_until_ms", "next", "pivot", "thread", "through",
  "ChannelDetail.mentions", "reply_to", "root", "newest", "target", "by", "edited", "last_active_ms", "status_until_ms", "seen_ms", "created_ms",
]);

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
const screaming = (name) => name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase();

/** How a field lies in bytes: the word that the codec knows. */
function wireType(layout, field, type = field.type) {
  const list = /^list of (.+)$/.exec(type);
  if (list) return `[${wireType(layout, field, list[1])}]`;
  if (type !== "u64") return /^[A-Z]/.test(type) ? `${type}Layout` : `"${type}"`;
  const named = `${layout.name}.${field.name}`;
  if (IDS.has(named)) return '"id"';
  if (COUNTS.has(named)) return '"count"';
  if (IDS.has(field.name)) return '"id"';
  if (COUNTS.has(field.name)) return '"count"';
  throw new Error(`${named} is a u64 that is neither in IDS nor in COUNTS of scripts/generate.mjs: put it into one`);
}

function valueType(wire) {
  if (wire.startsWith("[")) return `${valueType(wire.slice(1, -1))}[]`;
  if (wire.endsWith("Layout")) return wire.slice(0, -6);
  return { id: "bigint", u128: "bigint", bool: "boolean", string: "string" }[wire.slice(1, -1)] ?? "number";
}

/** The rows of a table of docs/protocol.md. */
function table(page, name) {
  const text = page.split(`<!-- generated: ${name} -->`)[1]?.split(`<!-- end: ${name} -->`)[0];
  if (text === undefined) throw new Error(`docs/protocol.md has no part "${name}"`);
  const rows = text.trim().split("\n").slice(2);
  return rows.map((row) => row.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()));
}

function body(layout) {
  const fields = layout.fields.map((field) => [camel(field.name), wireType(layout, field)]);
  const shape = fields.map(([name, wire]) => `  ${name}: ${valueType(wire)};`).join("\n");
  const items = fields.map(([name, wire]) => `["${name}", ${wire}]`).join(", ");
  const { name, kind, version, size, body_bytes_max: most } = layout;
  const made = kind === undefined ? `${name}Layout = item<${name}>(${size}` : `${name} = root<${name}>(${kind}, ${version}, ${most}, ${size}`;
  return `export interface ${name} {\n${shape}\n}\nexport const ${made}, [${items}]);\n`;
}

function generate() {
  const layouts = JSON.parse(readFileSync(new URL("protocol/vectors.json", root), "utf8")).layout;
  const page = readFileSync(new URL("docs/protocol.md", root), "utf8");
  const roots = layouts.filter((layout) => layout.kind !== undefined);
  // A kind is called as its first version is; a later one ends in V and a number.
  const kinds = roots.filter((layout) => layout.version === 1).sort((a, b) => a.kind - b.kind);
  const hex = (kind) => `0x${kind.toString(16).padStart(4, "0")}`;
  const words = (name) => table(page, name).map(([number, word]) => `  ${word}: ${number},`).join("\n");
  const newest = kinds.map(({ kind }) => roots.filter((of) => of.kind === kind).sort((a, b) => b.version - a.version)[0].name);
  return `// Written by \`npm run generate\` from protocol/vectors.json and docs/protocol.md. Do not edit.
import { item, root } from "./codec.js";

/** What a frame's body is. The high byte is the family. */
export const Kind = {
${kinds.map(({ name, kind }) => `  ${screaming(name)}: ${hex(kind)},`).join("\n")}
} as const;

/** Why a frame was refused. */
export const Code = {
${words("reject codes")}
} as const;

/** Why a connection was closed. */
export const Close = {
${words("close codes")}
} as const;

${table(page, "limits").map(([name, value, of]) => `/** ${of} */\nexport const ${name} = ${value};`).join("\n")}

${[...layouts.filter((layout) => layout.kind === undefined), ...roots].map(body).join("\n")}
/** Every kind's body in its highest version, in the order of kinds. */
export const NEWEST = [${newest.join(", ")}];
/** Bodies of lower versions, which readers still meet. */
export const OLDER = [${roots.map(({ name }) => name).filter((name) => !newest.includes(name)).join(", ")}];
`;
}

const text = generate();
if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== text) {
    console.error("src/generated.ts is not what its sources say; `npm run generate` writes it");
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
