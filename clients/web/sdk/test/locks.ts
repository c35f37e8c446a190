import type { Locks } from "../src/index.js";

/** One holder at a time, in the order of asking, as navigator.locks has it. */
export function lockManager(): Locks {
  const lines = new Map<string, Promise<unknown>>();
  return {
    request(name, { signal }, held) {
      const turn = (lines.get(name) ?? Promise.resolve()).then(() => (signal?.aborted ? undefined : held()));
      lines.set(name, turn.catch(() => {}));
      return turn;
    },
  };
}
