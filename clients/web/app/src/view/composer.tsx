/** Where one writes. What is typed is a draft until it is sent, and is never cut off. */
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { useSignal, useSignalEffect } from "@preact/signals";
import { type Talk, TEXT_CHARS_MAX, usersOf } from "@maru/sdk";
import { attempt, channels, chat } from "../state/chat.js";
import { answering, edit, editing } from "../state/composing.js";
import { draftOf, leaveDraft, peekDraft, readDraft, writeDraft } from "../state/drafts.js";
import { Mentionable } from "../state/mentionable.js";
import { nameOf, nameOrYou, person } from "../state/people.js";
import { room } from "../state/room.js";
import { count, t } from "../words/words.js";
import { IconButton } from "./parts.js";

/** From here on it is said how much room is left. */
const CLOSE_CHARS = 1000;

/** As the protocol counts: characters, not UTF-16 units. */
const charsOf = (text: string): number => {
  if (text.length < TEXT_CHARS_MAX - CLOSE_CHARS) return text.length;
  let pairs = 0;
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) === 0xdc00) pairs++;
  return text.length - pairs;
};
/** Half a character, as a paste can bring it, becomes the sign for one that cannot be read. */
const whole = (text: string): string => (text as string & { toWellFormed?(): string }).toWellFormed?.() ?? text;

/** In a large channel nobody is told who types. */
const sayTyping = (channel: bigint, types: boolean): void => {
  if (channels.peek().get(channel)?.large !== true) void chat().typing(channel, types);
};

export function Composer({ channel, thread, title }: { channel: bigint; thread?: number; title: string }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [text, word, chosen, found] = [useSignal(""), useSignal<string | undefined>(undefined), useSignal(0), useSignal(0)];
  const names = useMemo(() => new Mentionable(channel, () => { found.value += 1; }), [channel]);
  useEffect(() => () => names.close(), [names]);
  const mentioned = useRef(new Map<string, bigint>()).current;
  const isEditing = useRef(false);
  const isMain = thread === undefined;
  const place = thread ?? 0;
  const isGroup = usersOf(channel) === undefined;

  useEffect(() => {
    answering.value = undefined;
    if (isMain) editing.value = undefined;
    let isOver = false;
    void readDraft(channel, place).then((kept) => { if (!isOver && !text.value) text.value = kept; }, () => {});
    if (matchMedia("(pointer: fine)").matches) box.current?.focus();
    const hidden = () => { if (document.visibilityState === "hidden") leaveDraft(channel, place); };
    document.addEventListener("visibilitychange", hidden);
    return () => {
      isOver = true;
      document.removeEventListener("visibilitychange", hidden);
      leaveDraft(channel, place);
    };
  }, [channel, thread]);

  // What is edited stands in the box; what was typed before comes back behind it.
  const edited = isMain && editing.value?.channel === channel ? editing.value : undefined;
  useLayoutEffect(() => {
    if (edited?.content.type !== "text") return;
    isEditing.current = true;
    text.value = edited.content.text;
    return () => {
      isEditing.current = false;
      text.value = peekDraft(channel, place);
    };
  }, [edited]);

  // What another tab or device has written in the meantime, or has sent.
  useSignalEffect(() => {
    const written = draftOf(channel, place);
    if (!isEditing.current) text.value = written;
  });

  // As high as what is in it.
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text.value]);

  const change = (next: string) => {
    text.value = next;
    if (!edited) writeDraft(channel, place, next);
    sayTyping(channel, next !== "");
    word.value = isGroup ? /(?:^|\s)@([^\s@]{0,32})$/.exec(next.slice(0, box.current?.selectionStart ?? next.length))?.[1] : undefined;
    chosen.value = 0;
    if (word.value !== undefined) names.ask(word.value);
  };

  void found.value;
  const suggested = word.value === undefined ? [] : names.suggested(word.value).map(person);

  const complete = (user: bigint) => {
    const { name } = person(user);
    const at = box.current?.selectionStart ?? text.value.length;
    const begin = text.value.slice(0, at).replace(/@[^\s@]*$/, `@${name} `);
    mentioned.set(name, user);
    change(begin + text.value.slice(at));
    word.value = undefined;
    queueMicrotask(() => {
      box.current?.focus();
      box.current?.setSelectionRange(begin.length, begin.length);
    });
  };

  const chars = charsOf(text.value);
  const isTooLong = chars > TEXT_CHARS_MAX;
  const send = () => {
    const said = whole(text.value);
    if (said.trim() === "" || isTooLong) return;
    if (edited) {
      const isSame = edited.content.type === "text" && edited.content.text === said;
      void attempt(async () => {
        if (!isSame) await chat().edit(channel, edited.seq, said);
        editing.value = undefined;
      });
      return;
    }
    const mentions = [...mentioned].filter(([name]) => said.includes(`@${name}`)).map(([, user]) => user);
    const replyTo = isMain && answering.value?.channel === channel ? answering.value.seq : undefined;
    const talk: Talk = { ...(replyTo !== undefined && { replyTo }), ...(thread !== undefined && { thread }), ...(mentions.length > 0 && { mentions }) };
    void attempt(async () => {
      await chat().send(channel, said, undefined, Object.keys(talk).length > 0 ? talk : undefined);
      answering.value = undefined;
      mentioned.clear();
      text.value = "";
      writeDraft(channel, place, "");
    });
  };

  const onKeyDown = (event: KeyboardEvent) => {
    // While Korean, Japanese or Chinese is composed, Enter ends a syllable and not the message.
    if (event.isComposing || event.keyCode === 229) return;
    const pick = suggested[chosen.value];
    if (pick && (event.key === "Enter" || event.key === "Tab")) {
      event.preventDefault();
      complete(pick.user);
    } else if (pick && (event.key === "ArrowDown" || event.key === "ArrowUp") && !event.altKey) {
      event.preventDefault();
      chosen.value = (chosen.value + (event.key === "ArrowDown" ? 1 : suggested.length - 1)) % suggested.length;
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && isMain && text.value === "" && !event.altKey) {
      const last = room.peek()?.lastOwn();
      if (!last) return;
      event.preventDefault();
      edit(room.peek()?.remarks.reading(last) ?? last);
    } else if (event.key === "Escape") {
      if (word.value !== undefined || answering.value || edited) event.stopPropagation();
      if (word.value !== undefined) word.value = undefined;
      else [answering.value, editing.value] = [undefined, undefined];
    }
  };

  const id = isMain ? "composer" : "thread-composer";
  const answer = isMain && answering.value?.channel === channel ? answering.value : undefined;
  return (
    <div class="composer">
      {edited && (
        <div class="answering">
          <span><b>{t("editing")}</b></span>
          <IconButton icon="close" label={t("cancel")} onClick={() => { editing.value = undefined; }} />
        </div>
      )}
      {answer && (
        <div class="answering">
          <span><b>{t("replyingTo", nameOrYou(answer.sender))}</b> <bdi>{answer.content.type === "text" ? answer.content.text.slice(0, 120) : ""}</bdi></span>
          <IconButton icon="close" label={t("cancel")} onClick={() => { answering.value = undefined; }} />
        </div>
      )}
      {suggested.length > 0 && (
        <ul class="suggested" id={`${id}-names`} role="listbox" aria-label={t("members")}>
          {suggested.map(({ user, name }, at) => (
            <li key={name} id={`${id}-name${at}`} role="option" aria-selected={at === chosen.value}
              onMouseDown={(event) => { event.preventDefault(); complete(user); }}><b>{nameOf(user)}</b> @{name}</li>
          ))}
        </ul>
      )}
      {isTooLong && <p class="fault" role="alert">{t("tooLong", count(chars))}</p>}
      {!isTooLong && chars > TEXT_CHARS_MAX - CLOSE_CHARS && <p class="hint">{t("charsLeft", count(TEXT_CHARS_MAX - chars))}</p>}
      <div class="composer-row">
        <textarea id={id} ref={box} rows={1} value={text.value} dir="auto" aria-label={t("writeTo", title)} placeholder={t("message")} aria-autocomplete="list"
          aria-controls={suggested.length > 0 ? `${id}-names` : undefined} aria-activedescendant={suggested.length > 0 ? `${id}-name${chosen.value}` : undefined}
          onInput={(event) => change(event.currentTarget.value)} onKeyDown={onKeyDown} onBlur={() => sayTyping(channel, false)} />
        <button type="button" class="send" aria-label={t(edited ? "save" : "send")} title={t(edited ? "save" : "send")} disabled={text.value.trim() === "" || isTooLong} onClick={send}>
          <SendIcon />
        </button>
      </div>
    </div>
  );
}

const SendIcon = () => <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M3 20.5v-6.700l8-1.800-8-1.800V3.500L21.500 12Z" /></svg>;
