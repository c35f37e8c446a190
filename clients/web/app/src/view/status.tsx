/** What others are shown of this user. */
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { OwnPresence } from "@maru/sdk";
import { attempt, chat } from "../state/chat.js";
import { say } from "../state/look.js";
import { t } from "../words/words.js";
import { Choice, Field, Part } from "./parts.js";

const STATUS_CHARS_MAX = 128;
const HOUR_MS = 3_600_000;
type Lasts = "ever" | "hour" | "today";
const endOf = (lasts: Lasts): number => (lasts === "ever" ? 0 : lasts === "hour" ? Date.now() + HOUR_MS : new Date().setHours(24, 0, 0, 0));

type Shown = Pick<OwnPresence, "shows" | "status" | "statusUntilMs">;

export function Status() {
  const [own, status, lasts] = [useSignal<Shown | undefined>(undefined), useSignal(""), useSignal<Lasts>("ever")];
  useEffect(() => {
    const take = ({ shows, status: said, statusUntilMs }: Shown) => {
      own.value = { shows, status: said, statusUntilMs };
      status.value = statusUntilMs === 0 || statusUntilMs > Date.now() ? said : "";
    };
    chat().ownPresence().then(take, () => {});
    return chat().on("ownPresence", take);
  }, []);
  const now = own.value;
  if (!now) return null;
  const set = (next: Shown) => attempt(async () => {
    await chat().setPresence(next.shows, next.status, next.statusUntilMs);
    own.value = next;
    say(t("saved"));
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void set({ ...now, status: status.value.trim(), statusUntilMs: status.value.trim() ? endOf(lasts.value) : 0 });
  };
  return (
    <Part title={t("presence")}>
      <Choice label={t("showMe")} value={String(now.shows)} onChoose={(shows) => void set({ ...now, shows: Number(shows) })}
        choices={[["0", t("online")], ["1", t("away")], ["2", t("busy")], ["3", t("invisible")]]} />
      <form onSubmit={submit}>
        <Field label={t("status")} value={status.value} onValue={(to) => { status.value = to; }} maxLength={STATUS_CHARS_MAX} />
        <Choice label={t("statusLasts")} value={lasts.value} onChoose={(to) => { lasts.value = to; }}
          choices={[["ever", t("lastsEver")], ["hour", t("lastsHour")], ["today", t("lastsToday")]]} />
        <div class="buttons"><button type="submit">{t("save")}</button></div>
      </form>
    </Part>
  );
}
