/** How the page looks: the theme, and which place of it is open, which the address says behind `#`. */
import { effect, signal } from "@preact/signals";
import { keep, kept } from "./kept.js";

export type Theme = "system" | "light" | "dark";
export const theme = signal<Theme>((kept("theme") as Theme | undefined) ?? "system");
effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});
export function dress(next: Theme): void {
  theme.value = next;
  keep("theme", next);
}

/** The open channel. */
export const open = signal<bigint | undefined>(undefined);
/** What stands beside the conversation. */
export type Panel = { what: "members" } | { what: "search" } | { what: "pins" } | { what: "thread"; root: number } | { what: "reactions"; seq: number };
export const panel = signal<Panel | undefined>(undefined);
export type Dialog = "chat" | "group" | "settings";
export const dialog = signal<Dialog | undefined>(undefined);
/** The seq to show in the channel that is being opened. */
export const target = signal<number | undefined>(undefined);

function readPlace(): void {
  const [, id, , seq] = /^#\/c\/(\d{1,39})(\/(\d{1,16}))?$/.exec(location.hash) ?? [];
  target.value = seq === undefined ? undefined : Number(seq);
  const next = id === undefined ? undefined : BigInt(id);
  if (next !== open.value && panel.value?.what !== "search") panel.value = undefined;
  open.value = next;
}

export function goTo(channel: bigint | undefined, seq?: number): void {
  const hash = channel === undefined ? "#/" : `#/c/${channel}${seq === undefined ? "" : `/${seq}`}`;
  if (location.hash === hash) readPlace();
  else location.hash = hash;
}

export function watchPlace(): void {
  addEventListener("hashchange", readPlace);
  readPlace();
}

/** The server has a newer app than this page is. */
export const offerReload = signal(false);

/** What happened, said for a moment; `isError` until it is closed. */
export const notice = signal<{ text: string; isError: boolean } | undefined>(undefined);
let noticeEnds: ReturnType<typeof setTimeout> | undefined;
const NOTICE_MS = 4000;
export function say(text: string, isError = false): void {
  clearTimeout(noticeEnds);
  notice.value = { text, isError };
  if (!isError) noticeEnds = setTimeout(() => { notice.value = undefined; }, NOTICE_MS);
}
