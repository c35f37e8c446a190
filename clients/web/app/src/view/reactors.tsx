/** Who reacts to a message, and how. */
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { attempt, chat } from "../state/chat.js";
import { nameOrYou } from "../state/people.js";
import type { Room } from "../state/room.js";
import { count, t } from "../words/words.js";
import { Face } from "./face.js";
import { Side } from "./side.js";

interface Way {
  emoji: string;
  count: number;
  /** As many as the server names. */
  users: bigint[];
}

export function Reactors({ room, seq }: { room: Room; seq: number }) {
  const ways = useSignal<readonly Way[] | undefined>(undefined);
  const { reactions } = room.remarks.of(seq);
  // Asked for again whenever the numbers change.
  const known = reactions.map(({ emoji, count: many, own }) => `${emoji}${many}${own}`).join();
  useEffect(() => {
    let isOver = false;
    void attempt(async () => {
      const said = await chat().about(room.channel, seq, seq, true);
      if (isOver) return;
      ways.value = said.reactions.map(({ emoji, count: many }, at) => ({ emoji, count: many, users: said.who.filter(({ reaction }) => reaction === at).map(({ user }) => user) }));
    });
    return () => { isOver = true; };
  }, [room, seq, known]);
  return (
    <Side title={t("whoReacted")}>
      <div class="scrolls reactors" tabIndex={0} role="region" aria-label={t("reactions")}>
        {ways.value?.length === 0 && <p class="hint">{t("noReactions")}</p>}
        {ways.value?.map(({ emoji, count: many, users }) => (
          <section key={emoji} aria-label={t("reactionOf", emoji, count(many))}>
            <h3><span dir="auto">{emoji}</span> {count(many)}</h3>
            <ul class="people">
              {users.map((user) => (
                <li key={user.toString()}><Face id={user} user={user} name={nameOrYou(user)} small /><span class="person"><b dir="auto">{nameOrYou(user)}</b></span></li>
              ))}
            </ul>
            {many > users.length && <p class="hint">{t("andMore", count(many - users.length))}</p>}
          </section>
        ))}
      </div>
    </Side>
  );
}
