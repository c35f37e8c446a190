/** What is pinned in a conversation: a press goes to where it stands. */
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { Message } from "@maru/sdk";
import { attempt, chat } from "../state/chat.js";
import { nameOrYou } from "../state/people.js";
import type { Room } from "../state/room.js";
import { t, whenOf } from "../words/words.js";
import { Side } from "./side.js";

const SHOWN_CHARS = 300;

export function Pins({ room }: { room: Room }) {
  const pins = room.remarks.pins.value;
  return (
    <Side title={t("pinnedMessages")}>
      {pins.length === 0 && <p class="hint">{t("noPins")}</p>}
      <ul class="hits scrolls" tabIndex={0} aria-label={t("pinnedMessages")}>
        {pins.toReversed().map(({ seq }) => <Pin key={seq} seq={seq} room={room} />)}
      </ul>
    </Side>
  );
}

function Pin({ seq, room }: { seq: number; room: Room }) {
  const found = useSignal<Message | undefined>(undefined);
  useEffect(() => { room.message(seq).then((message) => { found.value = message; }, () => {}); }, [seq, room]);
  const message = found.value && room.remarks.reading(found.value);
  return (
    <li>
      <button type="button" onClick={() => void attempt(() => room.show({ seq }, seq))}>
        <span class="hit-top"><b dir="auto">{message ? nameOrYou(message.sender) : "…"}</b> {message && <time>{whenOf(message.timeMs)}</time>}</span>
        <span class="hit-text" dir="auto">{message?.content.type === "text" ? message.content.text.slice(0, SHOWN_CHARS).replace(/[\ud800-\udbff]$/, "") : message ? t("gone") : "…"}</span>
      </button>
      {room.mayPin.value && <button type="button" class="link" onClick={() => void attempt(() => chat().pin(room.channel, seq, false))}>{t("unpinMessage")}</button>}
    </li>
  );
}
