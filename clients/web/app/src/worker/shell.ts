/**
 * The app itself, for a start without a network. The page is asked of the server each time, and only when that cannot be reached is
 * the kept one shown: so no old app stands beside a newer server that answers. Its files have a hash of their content in their names
 * and are taken from here. What is kept is that of one build, the one that this worker came with.
 */
export interface Build {
  /** SHA-256 of the page, in hex. It names all files, so it stands for the whole build. */
  page: string;
  files: string[];
}

const PREFIX = "shell-";
const nameOf = ({ page }: Build): string => PREFIX + page.slice(0, 32);

async function digest(bytes: ArrayBuffer): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Keeps the build. A server that has another page by now has another worker, too, which is found soon: nothing is kept then. */
export async function keepShell(build: Build): Promise<void> {
  const page = await fetch("/", { cache: "no-store" });
  if (!page.ok || await digest(await page.clone().arrayBuffer()) !== build.page) return;
  const cache = await caches.open(nameOf(build));
  await cache.addAll(build.files);
  await cache.put("/", page);
}

/** Forgets the builds before. */
export async function forgetOthers(build: Build): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== nameOf(build)).map((name) => caches.delete(name)));
}

const kept = async (build: Build, path: string): Promise<Response | undefined> => (await caches.open(nameOf(build))).match(path, { ignoreVary: true });

/** The answer to a request of the page; undefined for what goes to the server as if there were no worker. */
export function answerOf(build: Build, { method, mode, url }: Pick<Request, "method" | "mode" | "url">, here: string, ask: () => Promise<Response>): Promise<Response> | undefined {
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== here) return undefined;
  if (mode === "navigate" && pathname === "/") {
    return ask().catch(async (error: unknown) => {
      const page = await kept(build, "/");
      if (!page) throw error;
      return page;
    });
  }
  return build.files.includes(pathname) ? kept(build, pathname).then((file) => file ?? ask()) : undefined;
}
