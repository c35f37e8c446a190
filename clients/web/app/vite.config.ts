import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  resolve: { alias: { "@maru/sdk": fileURLToPath(new URL("../sdk/src/index.ts", import.meta.url)) } },
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    target: "es2022",
    // The page's rules (CSP) allow files and nothing inline; the loader of modules that Vite would add is inline work.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    reportCompressedSize: false,
  },
  // For work on the app beside a running `maru serve`.
  server: { proxy: { "/v1": process.env["MARU_SERVER"] ?? "http://127.0.0.1:8080" } },
});
