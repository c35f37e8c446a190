/** The language, and words in it. Numbers and times are written as the language has them. */
import { computed, signal } from "@preact/signals";
import { en, type Words } from "./en.js";
import { ko } from "./ko.js";
import { keep, kept } from "../state/kept.js";

export type Language = "en" | "ko";
const first = (): Language => {
  const said = kept("language");
  if (said === "en" || said === "ko") return said;
  return navigator.language.startsWith("ko") ? "ko" : "en";
};
export const language = signal<Language>(first());
const words = computed<Words>(() => (language.value === "ko" ? ko : en));

export function speak(next: Language): void {
  language.value = next;
  keep("language", next);
}

/** A text, with what is put into it. */
export const t = (word: keyof Words, ...put: (string | number)[]): string =>
  words.value[word].replace(/\{(\d)\}/g, (_, at: string) => String(put[Number(at)] ?? ""));

const format = (options: Intl.DateTimeFormatOptions) => computed(() => new Intl.DateTimeFormat(language.value, options));
const [clock, day, dayOfYear, whole] = [
  format({ hour: "numeric", minute: "2-digit" }), format({ weekday: "long", month: "long", day: "numeric" }),
  format({ year: "numeric", month: "long", day: "numeric" }), format({ dateStyle: "long", timeStyle: "short" }),
];
const short = format({ month: "short", day: "numeric" });
const number = computed(() => new Intl.NumberFormat(language.value));

export const count = (value: number): string => number.value.format(value);
export const clockOf = (ms: number): string => clock.value.format(ms);
export const wholeOf = (ms: number): string => whole.value.format(ms);

const startOf = (ms: number): number => new Date(ms).setHours(0, 0, 0, 0);
const DAY_MS = 86_400_000;
const daysAgo = (ms: number): number => Math.round((startOf(Date.now()) - startOf(ms)) / DAY_MS);
export const isSameDay = (a: number, b: number): boolean => startOf(a) === startOf(b);

/** The day of a separator between messages. */
export function dayOf(ms: number): string {
  const ago = daysAgo(ms);
  if (ago === 0) return t("today");
  if (ago === 1) return t("yesterday");
  return (ago > 0 && ago < 300 ? day : dayOfYear).value.format(ms);
}

/** When, in a list. */
export function whenOf(ms: number): string {
  const ago = daysAgo(ms);
  return ago === 0 ? clockOf(ms) : ago === 1 ? t("yesterday") : short.value.format(ms);
}
