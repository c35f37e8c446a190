/** What is typed and not sent, by channel. The device keeps it, so that it survives a reload. */
import { signal } from "@preact/signals";
import { chat } from "./chat.js";

export const drafts = signal<ReadonlyMap<bigint, string>>(new Map());

const KEEP_AFTER_MS = 300;
const keeping = new Map<bigint, ReturnType<typeof setTimeout>>();

export async function readDraft(channel: bigint): Promise<string> {
  const here = drafts.peek().get(channel);
  if (here !== undefined) return here;
  const kept = await chat().draft(channel);
  if (kept) show(channel, kept);
  return kept;
}

function show(channel: bigint, text: string): void {
  const next = new Map(drafts.peek());
  if (text) next.set(channel, text);
  else next.delete(channel);
  drafts.value = next;
}

export function writeDraft(channel: bigint, text: string): void {
  show(channel, text);
  clearTimeout(keeping.get(channel));
  keeping.set(channel, setTimeout(() => {
    keeping.delete(channel);
    chat().setDraft(channel, text).catch(() => {});
  }, text ? KEEP_AFTER_MS : 0));
}
