/** Where the user asks for notifications in this browser, and says what they may show and when. */
import { useSignal } from "@preact/signals";
import { attempt } from "../state/chat.js";
import { say } from "../state/look.js";
import { type Preview, push, turnOff, turnOn, wish, wishes, zoneHere } from "../state/push.js";
import { t } from "../words/words.js";
import { Choice, Field, Part } from "./parts.js";

/** A night, for who turns quiet hours on. */
const [NIGHT_FROM, NIGHT_UNTIL] = [22 * 60, 7 * 60];

const clockOf = (minutes: number): string => `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
function minutesOf(clock: string): number | undefined {
  const [, hours, minutes] = /^(\d\d):(\d\d)/.exec(clock) ?? [];
  return hours === undefined ? undefined : Number(hours) * 60 + Number(minutes);
}

export function Notices() {
  const isBusy = useSignal(false);
  const run = (work: () => Promise<void>) => attempt(async () => {
    isBusy.value = true;
    try {
      await work();
    } finally {
      isBusy.value = false;
    }
    if (push.value !== "denied") say(t("saved"));
  });
  return (
    <Part title={t("notices")}>
      {push.value === "unsupported" && <p class="hint">{t("noticesUnsupported")}</p>}
      {push.value === "denied" && <p class="hint">{t("noticesDenied")}</p>}
      {push.value === "off" && (
        <>
          <p class="hint">{t("noticesHint")}</p>
          <div class="buttons"><button type="button" class="primary" disabled={isBusy.value} onClick={() => void run(() => turnOn(wishes.value))}>{t("noticesOn")}</button></div>
        </>
      )}
      {push.value === "on" && (
        <>
          <Choice<Preview> label={t("noticesShow")} value={wishes.value.preview} onChoose={(preview) => void run(() => wish({ preview }))}
            choices={[["text", t("showText")], ["sender", t("showSender")], ["none", t("showNothing")]]} />
          <Quiet run={run} />
          <p class="hint">{t("noticesEach")}</p>
          <div class="buttons"><button type="button" disabled={isBusy.value} onClick={() => void run(turnOff)}>{t("noticesOff")}</button></div>
        </>
      )}
    </Part>
  );
}

function Quiet({ run }: { run: (work: () => Promise<void>) => Promise<unknown> }) {
  const { quietFrom: from, quietUntil: until } = wishes.value;
  const isOn = from !== until;
  const set = (field: "quietFrom" | "quietUntil") => (clock: string) => {
    const minutes = minutesOf(clock);
    if (minutes !== undefined) void run(() => wish({ [field]: minutes }));
  };
  return (
    <>
      <label class="check">
        <input type="checkbox" checked={isOn} onChange={() => void run(() => wish(isOn ? { quietFrom: 0, quietUntil: 0 } : { quietFrom: NIGHT_FROM, quietUntil: NIGHT_UNTIL }))} />
        {t("quiet")}
      </label>
      {isOn && (
        <div class="quiet">
          <Field label={t("quietFrom")} type="time" value={clockOf(from)} onValue={set("quietFrom")} required />
          <Field label={t("quietUntil")} type="time" value={clockOf(until)} onValue={set("quietUntil")} required hint={t("quietZone", zoneHere())} />
        </div>
      )}
    </>
  );
}
