import { IndexedStore } from "./indexed.js";
import { MemoryStore } from "./memory.js";
import type { Bounds, Store } from "./store.js";

/** The store of this name in the browser; where there is none (a private window, storage that is switched off), one in
 * memory, which says so by `lasts`. */
export async function openStore(name: string, bounds?: Bounds): Promise<Store> {
  try {
    return await IndexedStore.open(name, bounds);
  } catch {
    return new MemoryStore(bounds);
  }
}
