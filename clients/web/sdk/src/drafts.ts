/**
 * What is typed and not sent, in a channel or a thread of it, on all devices of a user: the newest writing wins, by the server's clock. Pure: it is told the time, and
 * says when it has something to say to the server. Each draft that is said is a message for ever (docs/protocol.md, SET_DRAFT), so a
 * draft is said when its writer pauses or leaves, at most one of a channel is on its way, and they keep a distance.
 */
import { type DraftItem, TEXT_CHARS_MAX } from "./generated.js";
import type { Content } from "./session/event.js";
import type { KeptDraft } from "./store/store.js";

/** A writer who stops for so long has paused. */
export const PAUSE_MS = 2000;
/** Between two drafts of a channel, while somebody writes on and on; and when the writer leaves. */
export const EVERY_MS = 15_000;
export const LEFT_EVERY_MS = 1000;

interface Draft extends Required<KeptDraft> {
  /** The send that says what was written at `saysMs`, while it has no answer. */
  sendId?: bigint;
  saysMs: number;
  /** When it was said last. */
  saidAtMs: number;
  /** Nobody is writing it any more. */
  isLeft: boolean;
  /** Its time is a guess: the server's clock was not known yet. */
  isGuess: boolean;
}

export class Drafts {
  private readonly all = new Map<string, Draft>();
  /** The server's clock less this machine's, once it is known. */
  private aheadMs: number | undefined;

  constructor(kept: readonly KeptDraft[]) {
    for (const { channel, thread = 0, text, timeMs = 0, isSaid = false, isThere = false } of kept) {
      const draft = { channel, thread, text, timeMs, isSaid, isThere, saysMs: 0, saidAtMs: 0, isLeft: true, isGuess: false };
      this.all.set(placeOf(channel, thread), draft);
    }
  }

  text(channel: bigint, thread = 0): string {
    return this.all.get(placeOf(channel, thread))?.text ?? "";
  }

  /** What is written, newest first. */
  texts(): { channel: bigint; thread: number; text: string }[] {
    const written = [...this.all.values()].filter(({ text }) => text !== "").sort((a, b) => b.timeMs - a.timeMs);
    return written.map(({ channel, thread, text }) => ({ channel, thread, text }));
  }

  /** What the server's clock shows, as far as that is known. */
  time(nowMs: number): number {
    return nowMs + (this.aheadMs ?? 0);
  }

  /** The server has said what time it is. What was written before that gets its true time. */
  serverIs(serverMs: number, nowMs: number): void {
    const ahead = serverMs - nowMs;
    for (const draft of this.all.values()) {
      if (draft.isGuess) draft.timeMs += ahead;
      draft.isGuess = false;
    }
    this.aheadMs = ahead;
  }

  private at(channel: bigint, thread: number): Draft {
    const place = placeOf(channel, thread);
    let draft = this.all.get(place);
    if (!draft) {
      draft = { channel, thread, text: "", timeMs: 0, isSaid: true, isThere: false, saysMs: 0, saidAtMs: 0, isLeft: false, isGuess: false };
      this.all.set(place, draft);
    }
    return draft;
  }

  /** The user has written this here. `isLeft`: and goes away from it. What is to be kept, when anything changed. */
  write(channel: bigint, text: string, nowMs: number, isLeft = false, thread = 0): KeptDraft | undefined {
    const draft = this.at(channel, thread);
    draft.isLeft = isLeft;
    if (draft.text === text) return undefined;
    Object.assign(draft, { text, timeMs: this.time(nowMs), isSaid: false, isGuess: this.aheadMs === undefined });
    return rowOf(draft);
  }

  /** The next draft to say; without a connection only that there is none any more, which is little and must not be forgotten. */
  next(nowMs: number, isLive: boolean): { channel: bigint; thread: number; text: string } | undefined {
    for (const draft of this.all.values()) {
      if ((isLive || draft.text === "") && this.dueOf(draft) <= this.time(nowMs)) return draft;
    }
    return undefined;
  }

  /** When {@link next} has something, by this machine's clock. */
  dueAt(): number | undefined {
    const first = Math.min(...[...this.all.values()].map((draft) => this.dueOf(draft)));
    return first < Infinity ? first - (this.aheadMs ?? 0) : undefined;
  }

  private dueOf({ text, timeMs, isSaid, isThere, sendId, saidAtMs, isLeft }: Draft): number {
    if (isSaid || sendId !== undefined) return Infinity;
    // What the server never had it need not forget.
    if (text === "") return isThere ? 0 : Infinity;
    if ([...text].length > TEXT_CHARS_MAX) return Infinity;
    return isLeft ? saidAtMs + LEFT_EVERY_MS : Math.max(timeMs + PAUSE_MS, saidAtMs + EVERY_MS);
  }

  /** The draft as it is now is on its way under this send id. */
  saying(channel: bigint, sendId: bigint, nowMs: number, thread = 0): KeptDraft {
    const draft = this.at(channel, thread);
    Object.assign(draft, { sendId, saysMs: draft.timeMs, saidAtMs: this.time(nowMs), isThere: draft.text !== "" });
    return rowOf(draft);
  }

  /** The send is stored, at that time of the server, or (`undefined`) it was refused for good. What is to be kept. */
  ended(sendId: bigint, serverMs: number | undefined): KeptDraft | undefined {
    const draft = [...this.all.values()].find((one) => one.sendId === sendId);
    if (!draft) return undefined;
    delete draft.sendId;
    // What was written meanwhile is another draft.
    if (draft.timeMs === draft.saysMs) Object.assign(draft, { isSaid: true, timeMs: Math.max(draft.timeMs, serverMs ?? 0) });
    return this.settled(draft);
  }

  /** Another device has written. What is to be kept, when it is newer than what is here. */
  take({ about, thread, text }: Extract<Content, { type: "draft" }>, serverMs: number): KeptDraft | undefined {
    const draft = this.at(about, thread);
    if (serverMs <= draft.timeMs) {
      // Older than what is here: that is said again, or was said behind it.
      if (!draft.isSaid) draft.isThere = text !== "";
      return undefined;
    }
    const isNews = draft.text !== text;
    Object.assign(draft, { text, timeMs: serverMs, isSaid: true, isThere: text !== "", isGuess: false });
    this.settled(draft);
    return isNews ? rowOf(draft) : undefined;
  }

  /** All drafts that the server had at `askedMs` of its time. Those that look different now. */
  takeAll(items: readonly DraftItem[], askedMs: number): KeptDraft[] {
    const changed = items.map(({ timeMs, ...item }) => this.take({ type: "draft", ...item }, timeMs));
    const there = new Set(items.map(({ about, thread }) => placeOf(about, thread)));
    for (const draft of [...this.all.values()]) {
      if (there.has(placeOf(draft.channel, draft.thread)) || draft.timeMs > askedMs || draft.sendId !== undefined) continue;
      draft.isThere = false;
      // It was sent, or given up, on another device.
      if (draft.isSaid && draft.text !== "") changed.push(rowOf(Object.assign(draft, { text: "" })));
      this.settled(draft);
    }
    return changed.filter((row) => row !== undefined);
  }

  /** Of what is empty everywhere nothing is held but when that came about, for a while of this run. */
  private settled(draft: Draft): KeptDraft {
    if (draft.text === "" && !draft.isThere) draft.isSaid = true;
    return rowOf(draft);
  }
}

const placeOf = (channel: bigint, thread: number): string => `${channel}/${thread}`;
const rowOf = ({ channel, thread, text, timeMs, isSaid, isThere }: Draft): KeptDraft => ({ channel, thread, text, timeMs, isSaid, isThere });
