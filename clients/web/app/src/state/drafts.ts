/** What is typed and not sent, by channel. The device keeps it, so that it survives a reload, and tells the user's other devices. */
import { effect, signal } from "@preact/signals";
import { chat, phase } from "./chat.js";

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

/** The writer goes away from it: it is said to other devices without a pause. */
export function leaveDraft(channel: bigint): void {
  const text = drafts.peek().get(channel) ?? "";
  if (phase.peek() !== "in" || (text === "" && !keeping.has(channel))) return;
  clearTimeout(keeping.get(channel));
  keeping.delete(channel);
  chat().setDraft(channel, text, true).catch(() => {});
}

// Another tab or another device has written, or sent what was written. What is being typed here is newer.
effect(() => {
  if (phase.value !== "in") return;
  const here = chat();
  const end = here.on("draft", ({ channel, text }) => { if (!keeping.has(channel)) show(channel, text); });
  here.drafts().then((all) => { for (const { channel, text } of all) if (!drafts.peek().has(channel)) show(channel, text); }, () => {});
  return () => {
    end();
    drafts.value = new Map();
  };
});
