/** Somebody's avatar, with a dot that says whether they are there; the same in words for who cannot see it. */
import type { PresenceItem } from "@maru/sdk";
import { AWAY, BUSY, OFFLINE, ONLINE, presenceOf, statusOf } from "../state/presence.js";
import { t, whenOf } from "../words/words.js";
import { Avatar } from "./parts.js";

const DOTS: Record<number, "online" | "away" | "busy"> = { [ONLINE]: "online", [AWAY]: "away", [BUSY]: "busy" };

/** `user`: whose presence is shown. `is`: what is known of it besides what is watched. `silent`: it is said in words beside. */
export function Face({ id, user, name, small, silent, is }: {
  id: bigint; user: bigint | undefined; name: string; small?: boolean; silent?: boolean; is?: PresenceItem | undefined;
}) {
  const dot = DOTS[(presenceOf(user) ?? is)?.state ?? 0];
  return (
    <span class="face">
      <Avatar id={id} name={name} {...(small && { small })} />
      {dot && <span class={`dot ${dot}`} title={t(dot)} />}
      {dot && !silent && <span class="unseen">{t(dot)}</span>}
    </span>
  );
}

/** What somebody shows, in words; empty when nothing is known. */
export function presenceText(user: bigint | undefined): string {
  const item = presenceOf(user);
  if (!item) return "";
  const dot = DOTS[item.state];
  const state = dot ? t(dot) : item.state === OFFLINE && item.lastActiveMs > 0 ? t("lastSeen", whenOf(item.lastActiveMs)) : "";
  return [state, statusOf(item)].filter(Boolean).join(" · ");
}
