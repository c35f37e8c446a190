/** The service worker of this page: it starts the app without a network, and shows what is pushed (src/worker). */
import { effect, untracked } from "@preact/signals";
import { t } from "../words/words.js";
import { connection } from "./chat.js";
import { offerReload } from "./look.js";

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

const WORKER = "/sw.js";
const READY_WAIT_MS = 15_000;

/** The page's rules (CSP) refuse an address of a script that is a mere text. This is the only one that is let in. */
function trusted(): string {
  const { trustedTypes } = globalThis as unknown as { trustedTypes?: TrustedTypes };
  const isWorker = (url: string) => {
    if (url !== WORKER) throw new TypeError(`${url} is no script of Maru's`);
    return url;
  };
  return trustedTypes ? trustedTypes.createPolicy("worker", { createScriptURL: isWorker }).createScriptURL(WORKER) : WORKER;
}

/** Undefined where a browser has none: in some private windows, and on pages that are not secure. */
const workers = (): ServiceWorkerContainer | undefined => navigator.serviceWorker as ServiceWorkerContainer | undefined;

export const hasWorkers = (): boolean => workers() !== undefined && import.meta.env.PROD;
/** When it is there; a browser that could not start it is not waited for for ever. */
export async function registration(): Promise<ServiceWorkerRegistration> {
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => { waiting = setTimeout(() => reject(new Error(t("noWorker"))), READY_WAIT_MS); });
  try {
    return await Promise.race([(workers() as ServiceWorkerContainer).ready, late]);
  } finally {
    clearTimeout(waiting);
  }
}

/** Registers it once the page stands: it is needed later, and the page now. */
export function startWorker(): void {
  const all = workers();
  if (!all || !hasWorkers()) return;
  const begin = () => void all.register(trusted(), { updateViaCache: "none" }).then(watchServer, () => {});
  if (document.readyState === "complete") begin();
  else addEventListener("load", begin, { once: true });
  all.addEventListener("controllerchange", askBuild);
  all.addEventListener("message", ({ data }: MessageEvent<{ type: string; place?: string; files?: string[] }>) => {
    if (data.type === "open" && /^(#\/c\/[\d/]+)?$/.test(data.place ?? "")) location.hash = data.place || "#/";
    if (data.type === "build" && data.files && !isOf(data.files)) offerReload.value = true;
  });
}

/** Another worker is in charge: perhaps it came with a newer app than this page is. */
function askBuild(): void {
  workers()?.controller?.postMessage({ type: "build" });
}

const isOf = (files: readonly string[]): boolean => {
  const script = document.querySelector<HTMLScriptElement>("script[type=module]")?.src;
  return script === undefined || files.includes(new URL(script).pathname);
};

/** A server that comes back may be a newer one, with a newer app. */
function watchServer(registered: ServiceWorkerRegistration): void {
  let wasDown = false;
  effect(() => {
    const { state } = connection.value;
    untracked(() => {
      if (state === "live" && wasDown) registered.update().catch(() => {});
      wasDown = state === "down" || (wasDown && state !== "live");
    });
  });
}
