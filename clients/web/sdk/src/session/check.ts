/** What a session does not send: whatever the server would refuse. The rules and paths are the server's. */
import { isTorn } from "../codec.js";
import { Code, GROUP_MEMBERS_MAX, NAME_CHARS_MAX, type SubscribePush, TEXT_CHARS_MAX, U53_MAX } from "../generated.js";
import { isChannel, usersOf } from "../ids.js";
import { EMOJI_BYTES_MAX, PUSH_ENDPOINT_BYTES_MAX, PUSH_WORD_BYTES_MAX, STATUS_CHARS_MAX } from "./limits.js";

/** A command that was not taken. */
export class Refusal extends Error {
  constructor(
    readonly code: keyof typeof Code,
    /** The field at fault. */
    readonly path: string,
    text: string,
    /** 0: the same will never be taken. */
    readonly retryAfterMs = 0,
  ) {
    super(path ? `${path}: ${text}` : text);
    this.name = "Refusal";
  }
}

const limit = (path: string, text: string) => new Refusal("limit", path, text);

export function checkChannel(channel: bigint): void {
  if (!isChannel(channel)) throw limit("channel", "a channel is a group number, or two user ids with the smaller in the high half");
}

export function checkGroup(channel: bigint): void {
  checkChannel(channel);
  if (usersOf(channel)) throw limit("channel", "a direct channel; expected a group");
}

/** Counts code points, without a copy of the text. */
function charsOf(text: string): number {
  let pairs = 0;
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) === 0xdc00) pairs++;
  return text.length - pairs;
}

function checkChars(path: string, text: string, most: number): void {
  // First what cannot be counted. It costs nothing to ask for so much: whatever is longer is above the bound anyway.
  if (text.length > 2 * most) throw limit(path, `${text.length} UTF-16 units; must be 1 to ${most} characters`);
  if (isTorn(text)) throw limit(path, "half of a character (a lone surrogate); text.toWellFormed() mends it");
  const chars = charsOf(text);
  if (chars === 0 || chars > most) throw limit(path, `${chars} characters; must be 1 to ${most}`);
}

/** Of a message that is there. */
export function checkTarget(seq: number): void {
  checkPosition("target", seq);
  if (seq === 0) throw limit("target", "0; a message has a seq from 1");
}

export function checkEmoji(emoji: string): void {
  // Before it is encoded: what is longer than this is too long in any case.
  const bytes = emoji.length > EMOJI_BYTES_MAX ? emoji.length : new TextEncoder().encode(emoji).length;
  if (bytes === 0 || bytes > EMOJI_BYTES_MAX) throw limit("emoji", `${bytes} bytes; must be 1 to ${EMOJI_BYTES_MAX}`);
  if (isTorn(emoji)) throw limit("emoji", "half of a character (a lone surrogate)");
  if (/\p{Cc}/u.test(emoji)) throw limit("emoji", "a control character; expected an emoji");
}

const SHOWS_MAX = 3;
/** What a user says of itself. */
export function checkPresence(shows: number, status: string, untilMs: number): void {
  if (!Number.isInteger(shows) || shows < 0 || shows > SHOWS_MAX) {
    throw limit("shows", `${shows}; expected 0 activity, 1 away, 2 do not disturb or 3 invisible`);
  }
  checkPosition("status_until_ms", untilMs);
  if (status !== "") checkChars("status", status, STATUS_CHARS_MAX);
  if (/\p{Cc}/u.test(status)) throw limit("status", "a control character; expected one line of text");
}

const isUpTo = (value: number, most: number): boolean => Number.isInteger(value) && value >= 0 && value <= most;

export function checkProvider(provider: number): void {
  if (!isUpTo(provider, 4) || provider === 0) throw limit("provider", `${provider}; expected 1 Web Push, 2 webhook, 3 FCM or 4 APNs`);
}

export function checkSubscription(wish: SubscribePush): void {
  checkProvider(wish.provider);
  if (!isUpTo(wish.preview, 2)) throw limit("preview", `${wish.preview}; expected 0 nothing, 1 the sender or 2 the text`);
  if (!isUpTo(wish.language, 1)) throw limit("language", `${wish.language}; expected 0 English or 1 Korean`);
  for (const [field, minute] of [["quiet_from", wish.quietFrom], ["quiet_until", wish.quietUntil]] as const) {
    if (!isUpTo(minute, 1439)) throw limit(field, `${minute}; expected a minute of the day, 0 to 1439`);
  }
  for (const field of ["zone", "address", "p256dh", "secret"] as const) {
    const most = field === "address" ? PUSH_ENDPOINT_BYTES_MAX : PUSH_WORD_BYTES_MAX;
    const bytes = new TextEncoder().encode(wish[field]).length;
    if (bytes > most) throw limit(field, `${bytes} bytes; at most ${most}`);
  }
}

/** Users by their ids, rising and without repeats. */
export function checkNamed(users: readonly bigint[], most: number): void {
  if (users.length === 0) throw limit("users", "nobody named; expected at least one user");
  if (users.length > most) throw limit("users", `${users.length} users; at most ${most} are allowed`);
  if (users[0] === 0n) throw limit("users[0]", "user id 0 does not exist");
}

export const checkText = (text: string): void => checkChars("text", text, TEXT_CHARS_MAX);
export const checkName = (name: string): void => checkChars("name", name, NAME_CHARS_MAX);

export function checkUser(path: string, user: bigint): void {
  if (user === 0n) throw limit(path, "user id 0 does not exist");
}

export function checkRole(role: number): void {
  if (!Number.isInteger(role) || role < 0 || role > 2) throw limit("role", `role ${role}; expected 0 member, 1 admin or 2 owner`);
}

/** Rising and without repeats, as they go over the wire. */
export function risingUsers(members: readonly bigint[]): bigint[] {
  if (members.length > GROUP_MEMBERS_MAX) throw limit("members", `${members.length} users; at most ${GROUP_MEMBERS_MAX} are allowed`);
  return [...new Set(members)].sort((a, b) => (a < b ? -1 : 1));
}

export function checkUsers(members: readonly bigint[], least: number, most: number): void {
  if (members.length < least) throw limit("members", "nobody named; expected at least one user");
  if (members.length > most) throw limit("members", `${members.length} users; at most ${most} are allowed`);
  if (members[0] === 0n) throw limit("members[0]", "user id 0 does not exist");
}

export function checkPosition(path: string, position: number): void {
  if (!Number.isInteger(position) || position < 0 || position > U53_MAX) throw limit(path, `${position}; must be a whole number below 2^53`);
}

export function checkCount(count: number, most: number): void {
  if (!Number.isInteger(count) || count < 1 || count > most) throw limit("limit", `${count}; must be 1 to ${most}`);
}

export function checkFirst(from: number, through: number): void {
  checkPosition("from", from);
  if (from === 0 || from > through) throw limit("from", `${from}; must be 1 or more, and at most \`through\`, which is ${through}`);
}
