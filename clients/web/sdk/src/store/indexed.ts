/**
 * A store in IndexedDB. Its keys cannot be bigint, so an id is kept under its hex digits, which sort as the numbers do.
 * How much is held is counted in a row of its own, written with the messages.
 */
import type { Login } from "../dial/account.js";
import type { ChannelItem } from "../generated.js";
import type { Cursor } from "../session/clock.js";
import type { Message } from "../session/event.js";
import {
  type Bounds, BOUNDS, type Change, charsOf, EVICTED_SHARE, isOlder, type Kept, type KeptDraft, type KeptSend, recalledBy, type Span, type Store, StoreFull,
  takesBack,
} from "./store.js";

const VERSION = 1;
const NAMES = ["meta", "messages", "sends", "channels", "drafts"];
/** Rows of `meta`. */
const [LOGIN, CURSOR, HELD] = ["login", "cursor", "held"];

interface Held {
  count: number;
  chars: number;
}
/** A message with what it is looked up and evicted by. */
interface Row {
  key: [channel: string, seq: number];
  timeMs: number;
  message: Message;
}

const key = (id: bigint): string => id.toString(16).padStart(32, "0");
/** That of a channel itself is what it was before there were drafts of threads. */
const draftKey = ({ channel, thread = 0 }: KeptDraft): string => (thread === 0 ? key(channel) : `${key(channel)}/${thread}`);

const isFull = (error: unknown): error is Error => error instanceof Error && error.name === "QuotaExceededError";

/** The result of a request. */
const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** The end of a transaction; of one without room as {@link StoreFull}. */
const ended = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    const failed = () => {
      const error = transaction.error;
      reject(isFull(error) ? new StoreFull(error.message) : error ?? new Error("the transaction was aborted"));
    };
    transaction.oncomplete = () => resolve();
    transaction.onabort = failed;
    transaction.onerror = failed;
  });

/** A transaction that has ended cannot be aborted, and need not be. */
function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has ended.
  }
}

export class IndexedStore implements Store {
  readonly lasts = true;

  private constructor(private readonly db: IDBDatabase, private readonly bounds: Bounds) {
    // Another tab has a newer version of the app: it must not wait for this one.
    db.onversionchange = () => db.close();
  }

  /** Opens the store of this name, or makes it. Rejects where there is no IndexedDB, as in some private windows. */
  static async open(name: string, bounds: Bounds = BOUNDS): Promise<IndexedStore> {
    if (!globalThis.indexedDB) throw new Error("there is no IndexedDB here");
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      for (const store of NAMES) request.result.createObjectStore(store);
      request.transaction?.objectStore("messages").createIndex("timeMs", "timeMs");
    };
    return new IndexedStore(await done(request), bounds);
  }

  async load(): Promise<Kept> {
    const transaction = this.db.transaction(NAMES);
    const [meta, sends, channels, drafts] = ["meta", "sends", "channels", "drafts"].map((name) => transaction.objectStore(name)) as
      [IDBObjectStore, IDBObjectStore, IDBObjectStore, IDBObjectStore];
    const [login, cursor, kept, items, texts] = await Promise.all([
      done<Login | undefined>(meta.get(LOGIN)), done<Cursor | undefined>(meta.get(CURSOR)), done<KeptSend[]>(sends.getAll()),
      done<ChannelItem[]>(channels.getAll()), done<KeptDraft[]>(drafts.getAll()),
    ]);
    return {
      login, cursor: cursor ?? { generation: 0, at: 0 }, sends: kept, channels: items, drafts: texts,
    };
  }

  async keep(change: Change): Promise<void> {
    const transaction = this.db.transaction(NAMES, "readwrite");
    const end = ended(transaction);
    // Whatever fails in between aborts the transaction, and its end says why.
    try {
      await this.write(transaction, change);
    } catch (error) {
      abort(transaction);
      await end.catch(() => {});
      throw isFull(error) ? new StoreFull(error.message) : error;
    }
    await end;
  }

  private async write(transaction: IDBTransaction, change: Change): Promise<void> {
    const store = (name: string) => transaction.objectStore(name);
    const { clear, login, cursor, messages = [], sends = [], settled = [], channels = [], drafts = [] } = change;
    if (clear) {
      for (const name of ["messages", "channels"]) store(name).clear();
      for (const row of [CURSOR, HELD]) store("meta").delete(row);
    }
    if (login) store("meta").put(login, LOGIN);
    if (cursor) store("meta").put(cursor, CURSOR);
    await this.sends(store("sends"), sends, settled);
    for (const channel of channels) store("channels").put(channel, key(channel.channel));
    for (const draft of drafts) {
      if (draft.text) store("drafts").put(draft, draftKey(draft));
      else store("drafts").delete(draftKey(draft));
    }
    if (messages.length > 0) await this.put(transaction, messages);
  }

  /** Sends are kept under rising numbers, in the order in which they were made. */
  private async sends(store: IDBObjectStore, put: KeptSend[], settled: bigint[]): Promise<void> {
    if (put.length + settled.length === 0) return;
    const [all, keys] = await Promise.all([done<KeptSend[]>(store.getAll()), done<IDBValidKey[]>(store.getAllKeys())]);
    const places = new Map(all.map(({ sendId }, at) => [sendId, keys[at] as number]));
    let next = (keys.at(-1) as number | undefined ?? 0) + 1;
    for (const send of put) {
      if (!places.has(send.sendId)) places.set(send.sendId, next++);
      store.put(send, places.get(send.sendId));
    }
    for (const sendId of settled) {
      const place = places.get(sendId);
      if (place !== undefined) store.delete(place);
    }
  }

  private async put(transaction: IDBTransaction, messages: Message[]): Promise<void> {
    const [store, meta] = [transaction.objectStore("messages"), transaction.objectStore("meta")];
    const held = (await done<Held | undefined>(meta.get(HELD))) ?? { count: 0, chars: 0 };
    for (const message of await this.withRecalled(store, messages)) {
      const row: Row = { key: [key(message.channel), message.seq], timeMs: message.timeMs, message };
      const before = await done<Row | undefined>(store.get(row.key));
      if (isOlder(message, before?.message)) continue;
      held.count += before ? 0 : 1;
      held.chars += charsOf(message) - (before ? charsOf(before.message) : 0);
      store.put(row, row.key);
    }
    if (held.count > this.bounds.messages || held.chars > this.bounds.chars) await this.shrink(store, held, EVICTED_SHARE);
    meta.put(held, HELD);
  }

  /** Behind each message that recalls another what stands in the place of that, and of its edits. */
  private async withRecalled(store: IDBObjectStore, messages: Message[]): Promise<Message[]> {
    const all: Message[] = [];
    for (const message of messages) {
      const { channel, seq, content } = message;
      const new_ = takesBack(message) ? all.filter((other) => other.channel === channel) : [];
      const first = content.type === "recall" ? content.target : 0;
      const range = takesBack(message) && IDBKeyRange.bound([key(channel), first], [key(channel), seq]);
      const kept = range ? (await done<Row[]>(store.getAll(range))).map((row) => row.message) : [];
      all.push(message, ...[...kept, ...new_].flatMap((other) => recalledBy(message, other) ?? []));
    }
    return all;
  }

  private shrink(store: IDBObjectStore, held: Held, share: number): Promise<void> {
    const cursors = store.index("timeMs").openCursor();
    return new Promise((resolve, reject) => {
      cursors.onerror = () => reject(cursors.error);
      cursors.onsuccess = () => {
        const cursor = cursors.result;
        if (!cursor || (held.count <= this.bounds.messages * share && held.chars <= this.bounds.chars * share)) return resolve();
        held.count -= 1;
        held.chars -= charsOf((cursor.value as Row).message);
        cursor.delete();
        cursor.continue();
      };
    });
  }

  async messages(channel: bigint, { after = 0, before = Infinity, limit, newest }: Span): Promise<Message[]> {
    const of = key(channel);
    if (after + 1 >= before) return [];
    const range = IDBKeyRange.bound([of, after], [of, before], true, true);
    const cursors = this.db.transaction("messages").objectStore("messages").openCursor(range, newest ? "prev" : "next");
    const rows: Message[] = [];
    await new Promise<void>((resolve, reject) => {
      cursors.onerror = () => reject(cursors.error);
      cursors.onsuccess = () => {
        const cursor = cursors.result;
        if (!cursor || rows.length === limit) return resolve();
        rows.push((cursor.value as Row).message);
        cursor.continue();
      };
    });
    return newest ? rows.reverse() : rows;
  }

  async evict(share: number): Promise<void> {
    const transaction = this.db.transaction(["meta", "messages"], "readwrite");
    const end = ended(transaction);
    const meta = transaction.objectStore("meta");
    const held = await done<Held | undefined>(meta.get(HELD));
    if (held) {
      await this.shrink(transaction.objectStore("messages"), held, share);
      meta.put(held, HELD);
    }
    await end;
  }

  async erase(): Promise<void> {
    const transaction = this.db.transaction(NAMES, "readwrite");
    for (const name of NAMES) transaction.objectStore(name).clear();
    await ended(transaction);
  }

  close(): void {
    this.db.close();
  }
}
