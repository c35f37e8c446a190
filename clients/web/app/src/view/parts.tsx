/** Small parts that every view uses. */
import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { isOwn } from "@maru/sdk";
import { t } from "../words/words.js";

const ICONS = {
  search: "M11 4a7 7 0 1 0 4.2 12.6l4.1 4.1 1.4-1.4-4.1-4.1A7 7 0 0 0 11 4Zm0 2a5 5 0 1 1 0 10 5 5 0 0 1 0-10Z",
  gear: "M10.3 2h3.4l.5 2.6 1.7.7 2.2-1.5 2.4 2.4-1.5 2.2.7 1.7 2.6.5v3.4l-2.6.5-.7 1.7 1.5 2.2-2.4 2.4-2.2-1.5-1.7.7-.5 2.6h-3.4l-.5-2.6-1.7-.7-2.2 1.5-2.4-2.4 1.5-2.2-.7-1.7L2 13.7v-3.4l2.6-.5.7-1.7-1.5-2.2 2.4-2.4 2.2 1.5 1.7-.7Zm1.7 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7Z",
  plus: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6Z",
  group: "M9 5a4 4 0 1 1 0 8 4 4 0 0 1 0-8Zm8 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM2 20c0-3.3 3.1-5 7-5s7 1.7 7 5Zm16 0c0-2-.7-3.600-1.900-4.900 3.300-.1 5.900 1.400 5.900 4.900Z",
  back: "M14.700 5.300 8 12l6.700 6.700-1.400 1.400L5.200 12l8.100-8.100Z",
  close: "M6.400 5 12 10.600 17.600 5 19 6.400 13.400 12l5.600 5.600-1.400 1.400-5.600-5.600L6.400 19 5 17.600l5.600-5.600L5 6.400Z",
  send: "M3 20.500v-6.700l8-1.800-8-1.800V3.500L21.500 12Z",
  reply: "M10 8V4l-7 7 7 7v-4.100c5 0 8.500 1.600 11 5.100-1-5-4-10-11-11Z",
  thread: "M4 4h16v11H10l-4 4v-4H4Zm3 3.500v1.500h10V7.500Zm0 3v1.500h7v-1.500Z",
  copy: "M8 3h11v13h-2V5H8Zm-3 4h10v14H5Zm2 2v10h6V9Z",
  more: "M12 5a1.700 1.700 0 1 1 0 3.400A1.700 1.700 0 0 1 12 5Zm0 5.300a1.700 1.700 0 1 1 0 3.400 1.700 1.700 0 0 1 0-3.400Zm0 5.300a1.700 1.700 0 1 1 0 3.400 1.700 1.700 0 0 1 0-3.400Z",
  down: "M12 15.600 5.700 9.300l1.400-1.400 4.900 4.900 4.900-4.900 1.400 1.400Z",
  pin: "M14.500 3 21 9.500l-1.400 1.400-1-.2-3.700 3.700.2 3.300-1.400 1.400-3.900-3.900L5.300 20 4 18.700l4.800-4.500-3.900-3.900 1.400-1.400 3.300.2 3.700-3.700-.2-1Z",
  mute: "M4.300 3 3 4.300 7.700 9H4v6h4l5 5v-5.700l4.200 4.200 1.300-1.300ZM13 4 10.200 6.800 13 9.600Zm3 8c0-1.200-.5-2.300-1.300-3.100v1.800l1.200 1.200Z",
  clock: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18Zm-1 4v5.400l4.200 2.500 1-1.600-3.400-2V7Z",
  check: "M9.500 16.200 5.300 12l-1.400 1.400 5.600 5.600L20.500 8l-1.400-1.400Z",
  checks: "M1 13.400 6.600 19 8 17.600 2.400 12ZM10.800 13.800 17.600 7 16.200 5.600 9.400 12.400ZM12.200 16.900 7.300 12 5.900 13.400 12.200 19.700 23.400 8.300 22 6.900Z",
  alert: "M11 7h2v7h-2Zm0 9h2v2h-2Zm1-14a10 10 0 1 0 0 20 10 10 0 0 0 0-20Z",
  smile: "M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20Zm0 2a8 8 0 1 0 0 16 8 8 0 0 0 0-16ZM8.500 8a1.500 1.500 0 1 1 0 3 1.500 1.500 0 0 1 0-3Zm7 0a1.500 1.500 0 1 1 0 3 1.500 1.500 0 0 1 0-3ZM7.200 13.500h9.600a5 5 0 0 1-9.600 0Z",
  pencil: "M16.500 3.500 20.500 7.500 8.500 19.500 3.500 20.500 4.500 15.500Zm0 2.800-10.200 10.200-.3 1.500 1.500-.3L17.700 7.500Z",
  trash: "M9 3h6l1 2h4v2H4V5h4ZM6 9h12l-1 12H7Zm3.500 2v8h1.500v-8Zm3.500 0v8h1.500v-8Z",
  refresh: "M12 4a8 8 0 0 1 6.300 3.100V4.500h2v6.500h-6.500V9h3.200A6 6 0 1 0 18 12h2a8 8 0 1 1-8-8Z",
  bookmark: "M6 3h12v18l-6-4-6 4Z",
} as const;
export type IconName = keyof typeof ICONS;

export const Icon = ({ name }: { name: IconName }) => (
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d={ICONS[name]} fill-rule="evenodd" /></svg>
);

export function IconButton({ icon, label, onClick, pressed, ...more }: {
  icon: IconName; label: string; onClick: () => void; pressed?: boolean; class?: string;
}) {
  return (
    <button type="button" class={`icon-button ${more.class ?? ""}`} aria-label={label} title={label} aria-pressed={pressed} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

const HUES = 8;
/** The same person has the same colour everywhere. */
export const hueOf = (id: bigint): string => `hue${(id ^ (id >> 7n) ^ (id >> 23n)) % BigInt(HUES)}`;

/** The first letters of a name, in a circle. */
export function Avatar({ id, name, small }: { id: bigint; name: string; small?: boolean }) {
  const words = name.trim().split(/[\s._-]+/).filter(Boolean);
  const letters = [...(words[0] ?? "")].slice(0, 1).concat([...(words[1] ?? "")].slice(0, 1)).join("").toUpperCase();
  return (
    <span class={`avatar ${hueOf(id)} ${small ? "small" : ""}`} aria-hidden="true">
      {id >> 64n !== 0n && isOwn(id) ? <Icon name="bookmark" /> : letters}
    </span>
  );
}

/** A window above the page. The browser keeps the focus in it, and Escape closes it. */
export function Window({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={box} class={wide ? "window wide" : "window"} aria-labelledby="window-title"
      onCancel={(event) => { event.preventDefault(); onClose(); }}
      onClick={(event) => { if (event.target === box.current) onClose(); }}>
      <header>
        <h2 id="window-title">{title}</h2>
        <IconButton icon="close" label={t("close")} onClick={onClose} />
      </header>
      <div class="window-body">{children}</div>
    </dialog>
  );
}

export function Field({ label, value, onValue, type = "text", ...more }: {
  label: string; value: string; onValue: (value: string) => void; type?: string; autoComplete?: string; hint?: string; required?: boolean;
  autoFocus?: boolean; maxLength?: number; inputMode?: "numeric";
}) {
  const { hint, autoFocus, autoComplete, ...rest } = more;
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => { if (autoFocus) box.current?.focus(); }, []);
  return (
    <label class="field">
      <span>{label}</span>
      <input ref={box} type={type} value={value} autocomplete={autoComplete ?? "off"} {...rest} onInput={(event) => onValue(event.currentTarget.value)} />
      {hint && <small>{hint}</small>}
    </label>
  );
}

export const Part = ({ title, children }: { title: string; children: ComponentChildren }) => <section class="part" aria-label={title}><h3>{title}</h3>{children}</section>;

export function Choice<Value extends string>({ label, value, choices, onChoose }: {
  label: string; value: Value; choices: [Value, string][]; onChoose: (value: Value) => void;
}) {
  return (
    <label class="choice"><span>{label}</span>
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value as Value)}>
        {choices.map(([one, words]) => <option key={one} value={one} selected={one === value}>{words}</option>)}
      </select>
    </label>
  );
}

/** Rows made above and below those that are seen. */
const MARGIN_ROWS = 6;

/** Of so many rows of one height in a box that scrolls, those to be made: `first <= row < last`. `seen` is for the box. */
export function useSeenRows(rowPx: number, count: number) {
  const box = useRef<HTMLDivElement>(null);
  const [top, height] = [useSignal(0), useSignal(800)];
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const watch = new ResizeObserver(() => { height.value = element.clientHeight; });
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const first = Math.max(Math.floor(top.value / rowPx) - MARGIN_ROWS, 0);
  const last = Math.min(Math.ceil((top.value + height.value) / rowPx) + MARGIN_ROWS, count);
  const onScroll = () => { top.value = box.current?.scrollTop ?? 0; };
  return { box, first, last, seen: { ref: box, onScroll } };
}
