/** What the user may set: how the app looks, the profile, who may come near, friends, devices. */
import { useEffect } from "preact/hooks";
import { type Signal, useSignal } from "@preact/signals";
import { attempt, chat, me, sends } from "../state/chat.js";
import { dialog, dress, say, theme } from "../state/look.js";
import { find, learn } from "../state/people.js";
import { readFriends as watchFriends } from "../state/presence.js";
import { count, language, speak, t, whenOf } from "../words/words.js";
import { Choice, Field, Part, Window } from "./parts.js";
import { Notices } from "./notices.js";
import { Status } from "./status.js";

const close = () => { dialog.value = undefined; };
const ask = <T,>(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: object) =>
  attempt(() => chat().ask(method, path, body) as Promise<T>);

export function Settings() {
  const logOut = () => {
    if (!confirm(t("logOutSure", count(sends.value.length)))) return;
    close();
    void attempt(() => chat().logout());
  };
  return (
    <Window title={t("settings")} onClose={close} wide>
      <Part title={t("appearance")}>
        <Choice label={t("theme")} value={theme.value} choices={[["system", t("system")], ["light", t("light")], ["dark", t("dark")]]} onChoose={dress} />
        <Choice label={t("language")} value={language.value} choices={[["en", "English"], ["ko", "한국어"]]} onChoose={speak} />
        <p class="hint">{t("keys")}</p>
      </Part>
      <Notices />
      <Status />
      <Profile />
      <Privacy />
      <Friends />
      <Devices />
      <div class="buttons"><button type="button" class="danger" onClick={logOut}>{t("logOut")}</button></div>
    </Window>
  );
}

/** What the server says at this path, asked when it is shown. */
function useSaid<T>(path: string): [Signal<T | undefined>, () => Promise<void>] {
  const said = useSignal<T | undefined>(undefined);
  const read = async () => { said.value = await ask<T>("GET", path); };
  useEffect(() => void read(), []);
  return [said, read];
}

function Profile() {
  const [display, about, name] = [useSignal(""), useSignal(""), useSignal("")];
  useEffect(() => void ask<Record<string, string>>("GET", `/v1/users/${me()}`).then((said) => {
    if (!said) return;
    [display.value, about.value, name.value] = [said["display_name"] ?? "", said["about"] ?? "", said["name"] ?? ""];
  }), []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const said = await ask<Record<string, unknown>>("PATCH", "/v1/profile", { display_name: display.value, about: about.value });
    if (!said) return;
    learn(said);
    say(t("saved"));
  };
  return (
    <Part title={`${t("profile")} · @${name.value}`}>
      <form onSubmit={submit}>
        <Field label={t("displayName")} value={display.value} onValue={(to) => { display.value = to; }} maxLength={64} />
        <Field label={t("about")} value={about.value} onValue={(to) => { about.value = to; }} maxLength={500} />
        <div class="buttons"><button type="submit">{t("save")}</button></div>
      </form>
    </Part>
  );
}

type Circle = "everyone" | "friends" | "nobody";

function Privacy() {
  const [said] = useSaid<Record<"message" | "add" | "see" | "receipts", Circle>>("/v1/privacy");
  const circles: [Circle, string][] = [["everyone", t("everyone")], ["friends", t("friends")], ["nobody", t("nobody")]];
  const set = (field: "message" | "add" | "see" | "receipts") => async (value: Circle) => {
    said.value = await ask("PATCH", "/v1/privacy", { [field]: value }) ?? said.value;
  };
  const now = said.value;
  return (
    <Part title={t("privacy")}>
      {now && (
        <>
          <Choice label={t("whoMessage")} value={now.message} choices={circles} onChoose={set("message")} />
          <Choice label={t("whoAdd")} value={now.add} choices={circles} onChoose={set("add")} />
          <Choice label={t("whoSee")} value={now.see} choices={circles} onChoose={set("see")} />
          <Choice label={t("receiptsShown")} value={now.receipts} choices={circles.filter(([one]) => one !== "friends")} onChoose={set("receipts")} />
        </>
      )}
    </Part>
  );
}

function Friends() {
  const name = useSignal("");
  const [friends, readFriends] = useSaid<{ friends: { user: string; name: string; state: string }[] }>("/v1/friends");
  const [blocks, readBlocks] = useSaid<{ blocks: { user: string; name: string }[] }>("/v1/blocks");
  const change = async (method: "PUT" | "DELETE", what: "friends" | "blocks", user: string) => {
    await ask(method, `/v1/${what}/${user}`);
    await Promise.all([readFriends(), readBlocks(), watchFriends()]);
  };
  const add = async (event: SubmitEvent) => {
    event.preventDefault();
    const found = await find(name.value);
    if (!found) return;
    name.value = "";
    await change("PUT", "friends", found.user.toString());
  };
  const isBlocked = (user: string) => blocks.value?.blocks.some((one) => one.user === user) === true;
  return (
    <Part title={t("friends")}>
      <form class="inline" onSubmit={add}>
        <input value={name.value} placeholder={t("addFriend")} aria-label={t("addFriend")} required maxLength={64} onInput={(event) => { name.value = event.currentTarget.value; }} />
        <button type="submit">{t("add")}</button>
      </form>
      <ul class="people">
        {friends.value?.friends.map(({ user, name: called, state }) => (
          <li key={user}><span class="person"><b dir="auto">{called}</b><small>{state === "asked" ? t("asked") : state === "asks" ? t("asksYou") : ""}</small></span>
            {state === "asks" && <button type="button" class="link" onClick={() => void change("PUT", "friends", user)}>{t("accept")}</button>}
            <button type="button" class="link" onClick={() => void change("DELETE", "friends", user)}>{t("unfriend")}</button>
            {!isBlocked(user) && <button type="button" class="link danger" onClick={() => void change("PUT", "blocks", user)}>{t("block")}</button>}
          </li>
        ))}
        {blocks.value?.blocks.map(({ user, name: called }) => (
          <li key={`b${user}`}><span class="person"><b dir="auto">{called}</b><small>{t("blocked")}</small></span>
            <button type="button" class="link" onClick={() => void change("DELETE", "blocks", user)}>{t("unblock")}</button></li>
        ))}
      </ul>
      {friends.value?.friends.length === 0 && <p class="hint">{t("noFriends")}</p>}
    </Part>
  );
}

function Devices() {
  const [said, read] = useSaid<{ devices: { device: string; name: string; seen_ms: number; this: boolean }[] }>("/v1/devices");
  const end = async (device: string) => {
    await ask("DELETE", `/v1/devices/${device}`);
    await read();
  };
  return (
    <Part title={t("devices")}>
      <ul class="people">
        {said.value?.devices.map(({ device, name, seen_ms: seen, this: isThis }) => (
          <li key={device}><span class="person"><b dir="auto">{name}</b><small>{isThis ? t("thisDevice") : t("lastSeen", whenOf(seen))}</small></span>
            {!isThis && <button type="button" class="link danger" aria-label={`${t("logOut")}: ${name}`} onClick={() => void end(device)}>{t("logOut")}</button>}</li>
        ))}
      </ul>
    </Part>
  );
}
