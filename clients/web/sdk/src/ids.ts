/** Ids (docs/protocol.md, section 4). They use all their bits, so they are bigint. */

const U64 = (1n << 64n) - 1n;

/** The finaliser of SplitMix64. */
export function mix64(x: bigint): bigint {
  let z = (x + 0x9e3779b97f4a7c15n) & U64;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & U64;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & U64;
  return z ^ (z >> 31n);
}

/** The one direct channel of two users. */
export const directChannel = (a: bigint, b: bigint): bigint => (a <= b ? (a << 64n) | b : (b << 64n) | a);

/** The group that `creator` makes with the frame `sendId`; a repeated creation names the same group. */
export function groupChannel(creator: bigint, sendId: bigint): bigint {
  const number = mix64(mix64(creator) ^ sendId);
  return number > 0n ? number : 1n;
}

/** The two users of a direct channel, smaller first (of one's own twice the same); undefined for a group. */
export function usersOf(channel: bigint): [bigint, bigint] | undefined {
  const high = channel >> 64n;
  return high === 0n ? undefined : [high, channel & U64];
}

/** The channel of a user alone: what it saves, and notes about its channels. */
export const ownChannel = (user: bigint): bigint => directChannel(user, user);
export const isOwn = (channel: bigint): boolean => channel >> 64n === (channel & U64);

/** Whether the number can name a channel: a group with a number, two users in rising order, or one user's own. */
export const isChannel = (channel: bigint): boolean => (channel & U64) !== 0n && channel >> 64n <= (channel & U64);
