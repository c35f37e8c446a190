/** What a push says (docs/http.md, Push), read. A worker outlives servers and pages: what it does not know it leaves out. */

export interface Notice {
  title: string;
  body: string;
  /** The channel: a newer notification of it takes the place of an older one. */
  tag: string;
  channel: string | undefined;
  seq: number;
  /** Unread messages of the user, for the number on the app's icon. */
  badge: number | undefined;
  /** What was shown of the channel up to `seq` is to be shown no more. */
  isWithdrawn: boolean;
}

const DIGITS = /^\d{1,39}$/;
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Undefined for what is no push of Maru's. */
export function readNotice(text: string): Notice | undefined {
  let said: Record<string, unknown>;
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json !== "object" || json === null) return undefined;
    said = json as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const channel = DIGITS.test(textOf(said["channel"])) ? textOf(said["channel"]) : undefined;
  const seq = Number(DIGITS.test(textOf(said["seq"])) ? said["seq"] : 0);
  const badge = Number.isSafeInteger(said["badge"]) ? Number(said["badge"]) : undefined;
  const isWithdrawn = said["withdrawn"] === true && channel !== undefined;
  const title = textOf(said["title"]) || "Maru";
  return { title, body: textOf(said["body"]), tag: channel ?? "maru", channel, seq, badge, isWithdrawn };
}

/** What a notification says of itself to whoever clicks it or takes it away. */
export interface Shown {
  channel?: string;
  seq: number;
}
