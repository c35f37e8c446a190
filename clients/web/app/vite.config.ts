import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const ICON_SIZES = [192, 512];
const hashOf = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("base64url").slice(0, 8);

/** What a home screen needs to know: the app's name and its icons, in files that are named by their content like all others. */
function manifest(): Plugin {
  const files = ICON_SIZES.map((size) => {
    const source = readFileSync(new URL(`src/icon-${size}.png`, import.meta.url));
    return { size, source, fileName: `assets/icon-${size}-${hashOf(source)}.png` };
  });
  const icons = files.map(({ size, fileName }) => ({ src: `/${fileName}`, sizes: `${size}x${size}`, type: "image/png", purpose: "any maskable" }));
  const source = JSON.stringify({
    name: "Maru", short_name: "Maru", id: "/", start_url: "/", display: "standalone", background_color: "#f3f1ea", theme_color: "#1d6b58", icons,
  });
  const fileName = `assets/app-${hashOf(source)}.webmanifest`;
  return {
    name: "manifest",
    apply: "build",
    buildStart() {
      for (const file of [...files, { fileName, source }]) this.emitFile({ type: "asset", fileName: file.fileName, source: file.source });
    },
    transformIndexHtml: {
      order: "post",
      handler: () => [
        { tag: "link", attrs: { rel: "manifest", href: `/${fileName}` }, injectTo: "head" },
        { tag: "link", attrs: { rel: "apple-touch-icon", href: icons[0]?.src ?? "" }, injectTo: "head" },
      ],
    },
  };
}

export default defineConfig({
  plugins: [manifest()],
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
