/** How often it is looked whether the device has slept, and how far its clocks have drifted apart then. */
const LOOK_MS = 5000;
const SLEPT_MS = 15_000;

interface Target {
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
}

/**
 * Calls `woke` when the device may have a network again: the browser says that it is online, the page is shown, or a timer
 * came much too late, as after sleep. Gives what ends that. Too many calls do no harm.
 */
export function onWake(woke: () => void): () => void {
  const page = globalThis as Target & { document?: Target & { visibilityState: string } };
  const shown = () => {
    if (page.document?.visibilityState === "visible") woke();
  };
  let lookedAt = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - lookedAt > SLEPT_MS) woke();
    lookedAt = now;
  }, LOOK_MS);
  // A program in Node may end without this.
  (timer as { unref?(): void }).unref?.();
  page.addEventListener?.("online", woke);
  page.addEventListener?.("pageshow", woke);
  page.document?.addEventListener?.("visibilitychange", shown);
  return () => {
    clearInterval(timer);
    page.removeEventListener?.("online", woke);
    page.removeEventListener?.("pageshow", woke);
    page.document?.removeEventListener?.("visibilitychange", shown);
  };
}
