/**
 * Frames by HTTP requests (docs/protocol.md section 15): numbered, at most two under way, repeated until they are answered. So
 * whatever the network loses, each frame goes once and comes once.
 */
import { Frame, FrameError } from "../frame.js";
import { Close, Code, Reject, WS_MESSAGE_BYTES_MAX } from "../generated.js";
import type { Fetch } from "./account.js";
import { type Link, type LinkEvents, messages, type Place, type Transport } from "./link.js";

/** How it asks. */
export interface Polling {
  fetch?: Fetch;
  /** How long the server may wait for something to answer, seconds, 0 to 30. */
  waitS?: number;
  /** How long to wait between requests when nothing comes, milliseconds: for `waitS: 0`, plain polling. */
  everyMs?: number;
}

/** Bytes that may wait before the session keeps what it has. */
const WAITING_BYTES_MAX = 256 * 1024;
/** How long a request may take beyond its wait. */
const PATIENCE_MS = 15_000;
/** Between a request that failed and the same again: doubling, up to. */
const [RETRY_MS, RETRY_MS_MAX] = [200, 5000];
/** So long without any answer, and the connection is lost. */
const GIVE_UP_MS = 45_000;
/** RFC 6455: no close code was received. */
const ABNORMAL = 1006;

/** Frames by polls. */
export const poll = (how: Polling = {}): Transport => (place, events) => new PollLink(place, events, how);

interface Answer {
  frames: Frame[];
  close: number | undefined;
  pauseMs: number;
}

/** What a request found out that is no answer: the link is over, or the same request is to be sent again. */
class Over extends Error {
  constructor(readonly code: number, text: string, readonly frames: Frame[] = []) {
    super(text);
  }
}

class PollLink implements Link {
  private session: string | undefined;
  /** Frames that wait for a request, as messages of the bounds that a request has too. */
  private readonly waiting: Uint8Array<ArrayBuffer>[] = [];
  private waitingBytes = 0;
  /** The number of the newest request, and of the newest whose answer was taken. */
  private asked = 0;
  private taken = 0;
  /** Answers that came before an older one. */
  private readonly early = new Map<number, Answer>();
  private readonly end = new AbortController();
  private resting: ReturnType<typeof setTimeout> | undefined;
  private isOver = false;
  private readonly fetch: Fetch;
  private readonly waitS: number;
  private readonly everyMs: number;

  constructor(private readonly place: Place, private readonly events: LinkEvents, how: Polling) {
    this.fetch = how.fetch ?? ((url, init) => fetch(url, init));
    this.waitS = how.waitS ?? 30;
    this.everyMs = how.everyMs ?? (this.waitS > 0 ? 0 : 5000);
    // Nobody is asked before there is a Hello to bring.
    queueMicrotask(() => !this.isOver && events.opened());
  }

  get isFull(): boolean {
    return this.waitingBytes > WAITING_BYTES_MAX;
  }

  send(frames: Frame[]): void {
    for (const message of messages(frames)) {
      const last = this.waiting.at(-1);
      this.waitingBytes += message.length;
      if (last && last.length + message.length <= Math.min(WAITING_BYTES_MAX, WS_MESSAGE_BYTES_MAX)) {
        const both = new Uint8Array(last.length + message.length);
        both.set(last);
        both.set(message, last.length);
        this.waiting[this.waiting.length - 1] = both;
      } else this.waiting.push(message);
    }
    this.pump();
  }

  close(): void {
    if (this.isOver) return;
    const { session } = this;
    this.over(Close.normal, "");
    if (session === undefined) return;
    const headers = { Authorization: `Bearer ${this.place.token}`, "Maru-Poll": session };
    // Best effort: a session that nobody asks in ends by itself.
    this.fetch(`${this.place.server}/v1/poll`, { method: "DELETE", headers, keepalive: true }).catch(() => {});
  }

  /** Sends the next request if one may be under way: one waits for the server, and one beside it brings frames. */
  private pump(): void {
    if (this.isOver) return;
    const under = this.asked - this.taken;
    const hasFrames = this.waiting.length > 0;
    if (under >= 2 || (under === 1 && (!hasFrames || this.session === undefined))) return;
    if (this.asked === 0 && !hasFrames) return;
    if (under === 0 && !hasFrames && this.resting !== undefined) return;
    const body = this.waiting.shift() ?? new Uint8Array();
    const wasFull = this.isFull;
    this.waitingBytes -= body.length;
    this.asked += 1;
    void this.ask(this.asked, body);
    if (wasFull && !this.isFull) queueMicrotask(() => !this.isOver && this.events.drained());
    this.pump();
  }

  /** One request until it is answered. */
  private async ask(number: number, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const since = performance.now();
    for (let retryMs = RETRY_MS; !this.isOver; retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)) {
      let answer: Answer | number;
      try {
        answer = await this.once(number, body);
      } catch (error) {
        if (this.isOver) return;
        const over = error instanceof Over ? error : error instanceof FrameError ? new Over(error.close, error.message) : undefined;
        if (over) return this.fail(over);
        // Whether there is anybody at all is for the session to try again.
        if (number === 1 || performance.now() - since > GIVE_UP_MS) return this.fail(new Over(ABNORMAL, String(error)));
        answer = retryMs;
      }
      if (this.isOver) return;
      if (typeof answer !== "number") return this.take(number, answer);
      const pause = answer;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** Sends it once. Gives the answer, or after how many milliseconds to send it again. */
  private async once(number: number, body: Uint8Array<ArrayBuffer>): Promise<Answer | number> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.place.token}` };
    if (body.length > 0) headers["Content-Type"] = "application/octet-stream";
    if (this.session !== undefined) Object.assign(headers, { "Maru-Poll": this.session, "Maru-Poll-Number": `${number}` });
    const late = new AbortController();
    const patience = setTimeout(() => late.abort(new Error("no answer in time")), this.waitS * 1000 + PATIENCE_MS);
    const ends = () => late.abort(this.end.signal.reason);
    this.end.signal.addEventListener("abort", ends);
    try {
      const init: RequestInit = { method: "POST", headers, redirect: "error", signal: late.signal };
      if (body.length > 0) init.body = body;
      const response = await this.fetch(`${this.place.server}/v1/poll?wait=${this.waitS}`, init);
      if (!response.ok) return await this.refused(response, number);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const header = (name: string): number | undefined => {
        const value = response.headers.get(name);
        return value === null ? undefined : Number(value);
      };
      // A proxy that answers for the server is no server.
      if (header("maru-poll-number") !== number) throw new Error("no answer of a Maru server");
      this.session ??= response.headers.get("maru-poll") ?? undefined;
      return { frames: bytes.length > 0 ? Frame.all(bytes) : [], close: header("maru-poll-close"), pauseMs: header("maru-poll-pause-ms") ?? 0 };
    } finally {
      clearTimeout(patience);
      this.end.signal.removeEventListener("abort", ends);
    }
  }

  /** A refusal: again after a while, or the end. */
  private async refused(response: Response, number: number): Promise<number> {
    const json = (await response.json().catch(() => ({}))) as { code?: string; detail?: string; retry_after_ms?: number };
    const { code = `status_${response.status}`, detail = "", retry_after_ms: retry = 0 } = json;
    if (response.status === 401 && number > 1) {
      // The next token is on its way: what is asked then is asked with it.
      throw new Error(detail);
    }
    if (response.status === 401) {
      const reject = { code: code === "expired" ? Code.expired : Code.unauthenticated, retryAfterMs: 0, path: "token", text: detail };
      throw new Over(Close.unauthenticated, detail, [Frame.of(Reject, 0n, reject)]);
    }
    if (code === "poll_number" || code === "poll_repeated" || response.status >= 500 || response.status === 429 || response.status === 408) {
      return Math.max(retry, RETRY_MS);
    }
    throw new Over(ABNORMAL, `${code}: ${detail}`);
  }

  /** Answers are read in the order of their requests. */
  private take(number: number, answer: Answer): void {
    this.early.set(number, answer);
    for (let next = this.early.get(this.taken + 1); next && !this.isOver; next = this.early.get(this.taken + 1)) {
      this.taken += 1;
      this.early.delete(this.taken);
      if (next.frames.length > 0) this.events.received(next.frames);
      if (next.close !== undefined) return this.over(next.close, "");
      const pauseMs = next.frames.length > 0 ? 0 : Math.max(next.pauseMs, this.everyMs);
      if (pauseMs > 0) this.rest(pauseMs);
    }
    this.pump();
  }

  private rest(ms: number): void {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.resting = undefined;
      this.pump();
    }, ms);
  }

  private fail({ code, message, frames }: Over): void {
    if (this.isOver) return;
    if (frames.length > 0) this.events.received(frames);
    this.over(code, message);
  }

  private over(code: number, reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.resting);
    this.end.abort();
    this.events.closed(code, reason);
  }
}
