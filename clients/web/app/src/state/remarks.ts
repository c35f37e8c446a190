/**
 * What is said about the messages of a conversation: how they read now, who reacts, what is pinned. A page of it is asked for
 * with each page of history; what is said later comes as messages, which name their target. A message does not say whether it
 * changed anything (whoever reacts may say so twice), so what it changes is shown at once and then asked for.
 */
import { computed, signal } from "@preact/signals";
import type { Content, Message, PinItem, Said } from "@maru/sdk";
import { chat, me, sends } from "./chat.js";

export interface Reaction { emoji: string; count: number; own: boolean }
export interface Remark {
  /** Seq of the newest edit; 0 for none. */
  edited: number;
  text: string;
  reactions: readonly Reaction[];
}
type Spoken = Extract<Content, { type: "edited" | "reacted" | "pinned" }>;
export const isRemark = (content: Content): content is Spoken => content.type === "edited" || content.type === "reacted" || content.type === "pinned";

const NOTHING: Remark = { edited: 0, text: "", reactions: [] };
/** Pages of one reading: so many messages with something said about them are beyond any window. */
const PAGES_MAX = 8;
/** What changed is asked for this often at most. */
const AGAIN_MS = 1000;

export class Remarks {
  private readonly known = signal<ReadonlyMap<number, Remark>>(new Map());
  private readonly pinned = signal<readonly PinItem[]>([]);
  /** Own ones that are not stored yet, oldest first. */
  private readonly waiting = computed(() => sends.value.flatMap(({ channel, state, content }) =>
    (channel === this.channel && state === "sending" && isRemark(content) ? [content] : [])));
  /** Messages that something was said of since they were asked for. */
  private readonly changed = new Set<number>();
  private asking: ReturnType<typeof setTimeout> | undefined;
  private askedAt = 0;
  private isClosed = false;

  constructor(private readonly channel: bigint) {}

  close(): void {
    this.isClosed = true;
    clearTimeout(this.asking);
  }

  /** What is said about a message, with what this person has just said of it. */
  of(seq: number): Remark {
    const known = this.known.value.get(seq) ?? NOTHING;
    return this.waiting.value.reduce((remark, content) => (content.target === seq ? heard(remark, content, Infinity, true) : remark), known);
  }

  /** The message as it reads now. */
  reading(message: Message): Message {
    const { content, seq } = message;
    const { edited, text } = this.of(seq);
    return content.type === "text" && edited > 0 ? { ...message, content: { ...content, text } } : message;
  }

  /** What is pinned, in the order in which it was. */
  readonly pins = computed((): readonly PinItem[] => this.waiting.value.reduce(pinsAfter(0), this.pinned.value));
  isPinned(seq: number): boolean {
    return this.pins.value.some((pin) => pin.seq === seq);
  }

  /** Something is said about a message, here or by somebody else. */
  take({ seq, sender, content }: Message): void {
    if (content.type === "erased") {
      // Its reactions hold no more, and the server alone knows which they were.
      for (const known of this.known.peek().keys()) this.changed.add(known);
      if (this.changed.size === 0) return;
    } else {
      if (!isRemark(content)) return;
      this.hear(seq, content, sender === me());
      if (content.type === "edited") return;
      this.changed.add(content.target);
    }
    this.asking ??= setTimeout(() => this.askChanged(), Math.max(0, this.askedAt + AGAIN_MS - Date.now()));
  }

  /** Edits that stand in a page of history, or in what is kept: they hold whatever comes behind them. */
  takePage(messages: readonly Message[]): void {
    for (const { seq, content } of messages) if (content.type === "edited") this.hear(seq, content, true);
  }

  private hear(seq: number, content: Spoken, isMine: boolean): void {
    if (content.type === "pinned") this.pinned.value = pinsAfter(seq)(this.pinned.peek(), content);
    else this.set(content.target, heard(this.known.peek().get(content.target) ?? NOTHING, content, seq, isMine));
  }

  private set(seq: number, remark: Remark): void {
    this.known.value = new Map(this.known.peek()).set(seq, remark);
  }

  private askChanged(): void {
    const seqs = [...this.changed];
    this.changed.clear();
    this.asking = undefined;
    this.askedAt = Date.now();
    this.read(Math.min(...seqs), Math.max(...seqs));
  }

  /** Asks what now holds of these messages. */
  read(from: number, to: number): void {
    if (from > 0 && to >= from) this.readAll(from, to).catch(() => {}); // Without a connection, or not a member: nothing is known.
  }

  private async readAll(from: number, to: number): Promise<void> {
    for (let at = from, pages = 0; at <= to && pages < PAGES_MAX && !this.isClosed; pages++) {
      const page = await chat().about(this.channel, at, to);
      this.takeSaid(page);
      if (!page.more || page.to < at) return;
      at = page.to + 1;
    }
  }

  private takeSaid({ from, to, items, reactions, pins }: Said): void {
    const next = new Map(this.known.peek());
    const at = (seq: number) => next.get(seq) ?? NOTHING;
    for (const [seq, remark] of next) if (from <= seq && seq <= to) next.set(seq, { ...remark, reactions: [] });
    // An edit that came while the page was under way is newer than what the page says.
    for (const { seq, edited, text } of items) if (edited >= at(seq).edited) next.set(seq, { ...at(seq), edited, text });
    for (const { seq, ...reaction } of reactions) next.set(seq, { ...at(seq), reactions: [...at(seq).reactions, reaction] });
    this.known.value = next;
    this.pinned.value = pins;
  }
}

/** What is said about a message, after one more thing is said. */
function heard(remark: Remark, content: Spoken, seq: number, isMine: boolean): Remark {
  if (content.type === "edited") return seq > remark.edited ? { ...remark, edited: seq, text: content.text } : remark;
  if (content.type === "pinned") return remark;
  const { emoji, on } = content;
  const before = remark.reactions.find((one) => one.emoji === emoji) ?? { emoji, count: 0, own: false };
  if (isMine && before.own === on) return remark;
  const after = { emoji, count: before.count + (on ? 1 : -1), own: isMine ? on : before.own };
  const isThere = remark.reactions.some((one) => one.emoji === emoji);
  const reactions = isThere ? remark.reactions.map((one) => (one.emoji === emoji ? after : one)) : [...remark.reactions, after];
  return { ...remark, reactions: reactions.filter(({ count }) => count > 0) };
}

const pinsAfter = (by: number) => (pins: readonly PinItem[], content: Spoken): readonly PinItem[] => {
  if (content.type !== "pinned") return pins;
  const { target: seq, on } = content;
  const isThere = pins.some((pin) => pin.seq === seq);
  return on === isThere ? pins : on ? [...pins, { seq, by }] : pins.filter((pin) => pin.seq !== seq);
};
