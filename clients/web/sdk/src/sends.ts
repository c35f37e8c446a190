/** Own sends that are not stored by the server: what is shown of them, who waits for them, and what is kept. */
import type { Sending } from "./chat.js";
import { Frame } from "./frame.js";
import { type Message, readContent } from "./session/event.js";
import type { KeptSend } from "./store/store.js";

interface Waiting {
  resolve(message: Message): void;
  reject(error: Error): void;
}

/** Sends that were stored lately and can still be waited for: who asks may do so a moment late. */
const STORED_MAX = 256;

export class Sends {
  private readonly sends = new Map<bigint, { sending: Sending; frame: Uint8Array }>();
  private readonly stored_ = new Map<bigint, Message>();
  private readonly waiting = new Map<bigint, Waiting[]>();

  /** What earlier runs left. */
  constructor(kept: KeptSend[]) {
    for (const send of kept) this.remember(send);
  }

  /** What is shown of a frame that the session sends; the send that it repeats, if there is one. */
  remember({ frame, failed }: { frame: Uint8Array; failed?: Sending["failure"] }): Sending | undefined {
    const whole = Frame.kept(frame);
    const said = whole && readContent(whole);
    if (!said) return undefined;
    const sending: Sending = { sendId: whole.id, ...said, state: failed ? "failed" : "sending", ...(failed && { failure: failed }) };
    this.sends.set(whole.id, { sending, frame });
    return sending;
  }

  get(sendId: bigint): Sending | undefined {
    return this.sends.get(sendId)?.sending;
  }

  all(): Sending[] {
    return [...this.sends.values()].map(({ sending }) => sending);
  }

  /** The send is stored: as this message of this user. */
  stored(user: bigint, sendId: bigint, at: { seq: number; timeMs: number }): { sending: Sending; message: Message } | undefined {
    const send = this.get(sendId);
    if (!send) return undefined;
    this.sends.delete(sendId);
    const message: Message = { channel: send.channel, ...at, sender: user, sendId, content: send.content };
    this.stored_.set(sendId, message);
    const [oldest] = this.stored_.keys();
    if (this.stored_.size > STORED_MAX && oldest !== undefined) this.stored_.delete(oldest);
    for (const { resolve } of this.takeWaiting(sendId)) resolve(message);
    return { sending: { ...send, state: "stored", ...at }, message };
  }

  /** The send was refused for good. */
  failed(sendId: bigint, error: Error & { code: string }): (KeptSend & { sending: Sending }) | undefined {
    const frame = this.sends.get(sendId)?.frame;
    const failed = { code: error.code, text: error.message };
    const sending = frame && this.remember({ frame, failed });
    for (const { reject } of this.takeWaiting(sendId)) reject(error);
    return sending && { sendId, frame, failed, sending };
  }

  /** A failed send is tried once more: its frame, and what is shown. */
  retried(sendId: bigint): { frame: Uint8Array; sending: Sending } | undefined {
    const send = this.sends.get(sendId);
    if (send?.sending.state !== "failed") return undefined;
    const sending = this.remember({ frame: send.frame });
    return sending && { frame: send.frame, sending };
  }

  /** Forgets a failed send. */
  discard(sendId: bigint): boolean {
    return this.get(sendId)?.state === "failed" && this.sends.delete(sendId);
  }

  /** When the send is stored. */
  wait(sendId: bigint): Promise<Message> {
    const [stored, send] = [this.stored_.get(sendId), this.get(sendId)];
    if (stored) return Promise.resolve(stored);
    if (!send) return Promise.reject(new Error(`no send ${sendId} waits: it was stored long ago, or there was none`));
    if (send.state === "failed") return Promise.reject(new Error(send.failure?.text));
    return new Promise((resolve, reject) => {
      this.waiting.set(sendId, [...(this.waiting.get(sendId) ?? []), { resolve, reject }]);
    });
  }

  private takeWaiting(sendId: bigint): Waiting[] {
    const waiting = this.waiting.get(sendId) ?? [];
    this.waiting.delete(sendId);
    return waiting;
  }

  /** Nobody will be told any more. */
  end(error: Error): void {
    for (const { reject } of [...this.waiting.values()].flat()) reject(error);
    this.waiting.clear();
  }
}
