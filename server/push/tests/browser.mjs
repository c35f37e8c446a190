// A browser's half of Web Push, by an implementation that is none of ours: http_ece.
//   node browser.mjs keys          -> {"p256dh","auth","private"}
//   node browser.mjs open < {"private","auth","body"}  -> the text
import { createECDH, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(new URL("../../../clients/web/sdk/package.json", import.meta.url));
const ece = require("http_ece");

if (process.argv[2] === "keys") {
  const keys = createECDH("prime256v1");
  keys.generateKeys();
  const text = (bytes) => bytes.toString("base64url");
  console.log(JSON.stringify({
    p256dh: text(keys.getPublicKey()), auth: text(randomBytes(16)), private: text(keys.getPrivateKey()),
  }));
} else {
  const given = JSON.parse(readFileSync(0, "utf8"));
  const privateKey = createECDH("prime256v1");
  privateKey.setPrivateKey(Buffer.from(given.private, "base64url"));
  const body = Buffer.from(given.body, "base64url");
  process.stdout.write(ece.decrypt(body, { version: "aes128gcm", privateKey, authSecret: given.auth }));
}
