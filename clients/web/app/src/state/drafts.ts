/**
 * What is typed and not sent, by channel and thread (0: the channel itself). The device keeps it, so that it survives a reload, and tells
 * the user's other devices.
 */
import { effect, signal } from "@preact/signals";
import { chat, phase } from "./chat.js";

const drafts = signal<ReadonlyMap<string, string>>(new Map());

const KEEP_AFTER_MS = 300;
const keeping = new Map<string, ReturnType<typeof setTimeout>>();

const placeOf = (channel: bigint, thread: number): string => `${channel}/${thread}`;

/** What stands there now. Whoever reads it in an effect, or while it is drawn, hears of the next. */
export const draftOf = (channel: bigint, thread = 0): string => drafts.value.get(placeOf(channel, thread)) ?? "";
export const peekDraft = (channel: bigint, thread = 0): string => drafts.peek().get(placeOf(channel, thread)) ?? "";

export async function readDraft(channel: bigint, thread: number): Promise<string> {
  const here = drafts.peek().get(placeOf(channel, thread));
  if (here !== undefined) return here;
  const kept = await chat().draft(channel, thread);
  if (kept) show(placeOf(channel, thread), kept);
  return kept;
}

function show(place: string, text: string): void {
  const next = new Map(drafts.peek());
  if (text) next.set(place, text);
  else next.delete(place);
  drafts.value = next;
}

export function writeDraft(channel: bigint, thread: number, text: string): void {
  const place = placeOf(channel, thread);
  show(place, text);
  clearTimeout(keeping.get(place));
  keeping.set(place, setTimeout(() => {
    keeping.delete(place);
    chat().setDraft(channel, text, false, thread).catch(() => {});
  }, text ? KEEP_AFTER_MS : 0));
}

/** The writer goes away from it: it is said to other devices without a pause. */
export function leaveDraft(channel: bigint, thread: number): void {
  const [place, text] = [placeOf(channel, thread), peekDraft(channel, thread)];
  if (phase.peek() !== "in" || (text === "" && !keeping.has(place))) return;
  clearTimeout(keeping.get(place));
  keeping.delete(place);
  chat().setDraft(channel, text, true, thread).catch(() => {});
}

// Another tab or another device has written, or sent what was written. What is being typed here is newer.
effect(() => {
  if (phase.value !== "in") return;
  const here = chat();
  const end = here.on("draft", ({ channel, thread, text }) => {
    const place = placeOf(channel, thread);
    if (!keeping.has(place)) show(place, text);
  });
  here.drafts().then((all) => {
    for (const { channel, thread, text } of all) {
      const place = placeOf(channel, thread);
      if (!drafts.peek().has(place)) show(place, text);
    }
  }, () => {});
  return () => {
    end();
    drafts.value = new Map();
  };
});
