/** Beginning conversations. */
import { useSignal } from "@preact/signals";
import { directChannel } from "@maru/sdk";
import { attempt, carryOut, chat, me } from "../state/chat.js";
import { dialog, goTo } from "../state/look.js";
import { find, type Person } from "../state/people.js";
import { t } from "../words/words.js";
import { Field, IconButton, Window } from "./parts.js";

const close = () => { dialog.value = undefined; };

export function NewChat() {
  const name = useSignal("");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const found = await find(name.value);
    if (!found) return;
    close();
    goTo(directChannel(me(), found.user));
  };
  return (
    <Window title={t("newChat")} onClose={close}>
      <form onSubmit={submit}>
        <Field label={t("userName")} value={name.value} onValue={(to) => { name.value = to; }} required autoFocus maxLength={64} />
        <div class="buttons">
          <button type="button" onClick={() => { close(); goTo(directChannel(me(), me())); }}>{t("savedMessages")}</button>
          <button type="submit" class="primary">{t("startChat")}</button>
        </div>
      </form>
    </Window>
  );
}

export function NewGroup() {
  const [group, name, people] = [useSignal(""), useSignal(""), useSignal<Person[]>([])];
  const add = async () => {
    if (!name.value.trim()) return;
    const found = await find(name.value);
    if (!found) return;
    if (found.user !== me() && !people.value.some(({ user }) => user === found.user)) people.value = [...people.value, found];
    name.value = "";
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void attempt(async () => {
      const made = await carryOut(() => chat().createGroup(group.value.trim(), people.value.map(({ user }) => user)));
      close();
      goTo(made.channel);
    });
  };
  return (
    <Window title={t("newGroup")} onClose={close}>
      <form onSubmit={submit}>
        <Field label={t("groupName")} value={group.value} onValue={(to) => { group.value = to; }} required autoFocus maxLength={100} />
        <div class="inline-field" onKeyDown={(event) => { if (event.key === "Enter" && name.value) { event.preventDefault(); void add(); } }}>
          <Field label={t("peopleInGroup")} value={name.value} onValue={(to) => { name.value = to; }} maxLength={64} />
          <button type="button" onClick={() => void add()}>{t("add")}</button>
        </div>
        <ul class="chips" aria-label={t("peopleInGroup")}>
          {people.value.map((one) => (
            <li key={one.name}>{one.display || one.name}
              <IconButton icon="close" label={`${t("remove")}: ${one.name}`} onClick={() => { people.value = people.value.filter(({ user }) => user !== one.user); }} />
            </li>
          ))}
        </ul>
        <div class="buttons"><button type="submit" class="primary">{t("create")}</button></div>
      </form>
    </Window>
  );
}
