/** What the composer is about, and which message somebody is choosing a reaction for. */
import { signal } from "@preact/signals";
import type { Message } from "@maru/sdk";

/** The message that the composer answers. */
export const answering = signal<Message | undefined>(undefined);
/** The own text, as it reads now, that is in the composer to be written anew. */
export const editing = signal<Message | undefined>(undefined);
/** The seq of the message for which a reaction is chosen. */
export const picking = signal<number | undefined>(undefined);

const toComposer = (): void => document.getElementById("composer")?.focus();

export function answer(message: Message): void {
  editing.value = undefined;
  answering.value = message;
  toComposer();
}

export function edit(message: Message): void {
  answering.value = undefined;
  editing.value = message;
  toComposer();
}
