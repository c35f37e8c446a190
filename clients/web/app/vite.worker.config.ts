/** The service worker, built behind the app: it is told which page and which files it belongs to. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { defineConfig } from "vite";

const built = new URL("dist/", import.meta.url);
const page = createHash("sha256").update(readFileSync(new URL("index.html", built))).digest("hex");
const files = readdirSync(new URL("assets/", built)).sort().map((name) => `/assets/${name}`);

export default defineConfig({
  define: { BUILD: JSON.stringify({ page, files }) },
  esbuild: { legalComments: "none" },
  build: {
    target: "es2022",
    emptyOutDir: false,
    reportCompressedSize: false,
    // One script and no module: some browsers take no modules as service workers.
    lib: { entry: "src/worker/sw.ts", name: "worker", formats: ["iife"], fileName: () => "sw.js" },
  },
});
