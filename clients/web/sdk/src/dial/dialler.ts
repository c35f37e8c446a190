/**
 * Keeps one session connected: dials, reconnects, renews the token, asks again where the server is. It is told of no
 * message; what the session says is for its owner ({@link DiallerEvents.event}).
 */
import { Close, Code } from "../generated.js";
import type { Frame } from "../frame.js";
import type { Event } from "../session/event.js";
import type { Session } from "../session/session.js";
import { type Account, AccountError, type Login } from "./account.js";
import type { Link, LinkEvents, Transport } from "./link.js";

/** Why a device stopped for good. */
export interface End {
  /** `stopped`: `close` was called. `replaced`: the same device said Hello somewhere else. `loggedOut`: a person has to log
   * in. `refused`: the server does not take the device; no retry helps. */
  why: "stopped" | "replaced" | "loggedOut" | "refused";
  text: string;
}

export interface DiallerEvents {
  event(event: Event): void;
  /** Every event of this moment was told: time to keep what came of them. */
  settled(): void;
  /** There is another pair of tokens, which counts from now on; the one before is used up. It is not used before this is done. */
  renewed(login: Login): Promise<void>;
  ended(end: End): void;
}

/** The dials in a row that reach nobody before it is asked where the server is. */
const DIALS_BEFORE_ASKING = 2;
/** Tokens that may be refused one after the other before the device gives up. */
const REFUSED_TOKENS_MAX = 3;
/** How long after Welcome an older Hello of this device may still be read: a server waits no longer for one. */
const OLD_HELLO_MS = 10_000;
/** RFC 6455: no close code was received. */
const ABNORMAL = 1006;
/** The longest time that a timer of the web can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class Dialler {
  private link: Link | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts connections, so that what an older one still tells is not heard. */
  private connection = 0;
  private dials = 0;
  private isDialling = false;
  private isRenewing = false;
  /** The token was refused: no dialling before there is another. */
  private isTokenBad = false;
  private refusedTokens = 0;
  private welcomedAtMs: number | undefined;
  /** It was replaced when it was young, and has come back. */
  private cameBack = false;
  private isOver = false;
  /** The server's clock less ours. */
  private serverAheadMs = 0;
  private readonly beganMs = performance.now();

  constructor(
    private readonly session: Session,
    private readonly account: Account,
    private readonly server: string,
    private login: Login,
    private readonly transport: Transport,
    private readonly events: DiallerEvents,
  ) {}

  start(): void {
    void this.dial();
  }

  /** Runs a command on the session; what comes of it is told and written. */
  run<T>(command: (session: Session, nowMs: number) => T): T {
    try {
      return command(this.session, this.nowMs());
    } finally {
      this.turn();
    }
  }

  /** The device woke or has a network again. */
  woke(): void {
    if (!this.isOver) this.run((session, nowMs) => session.woke(nowMs));
  }

  /** The token that counts now. */
  get token(): string {
    return this.login.token;
  }

  /** Asks with the token that counts now; once more with the next one, when that has ended. */
  async ask<T>(request: (token: string) => Promise<T>): Promise<T> {
    const { token } = this.login;
    try {
      return await request(token);
    } catch (error) {
      if (!(error instanceof AccountError) || error.code !== "expired") throw error;
      if (token === this.login.token) await this.renew();
      return request(this.login.token);
    }
  }

  stop(end: End = { why: "stopped", text: "stopped" }): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    this.connection += 1;
    this.link?.close();
    this.link = undefined;
    this.events.ended(end);
  }

  /** How long it is until this time of the session. */
  until(sessionMs: number): number {
    return Math.max(0, sessionMs - this.nowMs());
  }

  private nowMs(): number {
    return Math.floor(performance.now() - this.beganMs);
  }

  /** Tells what happened, writes what may be written, and waits for what is next. */
  private turn(): void {
    if (this.isOver) return;
    this.session.tick(this.nowMs());
    for (let event = this.session.pollEvent(); event && !this.isOver; event = this.session.pollEvent()) this.take(event);
    this.events.settled();
    if (this.isOver) return;
    this.write();
    clearTimeout(this.timer);
    const due = this.session.nextDeadline();
    if (due !== undefined) this.timer = setTimeout(() => this.turn(), Math.min(Math.max(due - this.nowMs(), 0), TIMER_MS_MAX));
  }

  private write(): void {
    if (!this.link || this.link.isFull) return;
    const frames: Frame[] = [];
    for (let frame = this.session.pollTransmit(); frame; frame = this.session.pollTransmit()) frames.push(frame);
    if (frames.length > 0) this.link.send(frames);
  }

  private take(event: Event): void {
    switch (event.type) {
      case "reconnect": return void this.dial();
      case "dead": return this.hangUp();
      case "tokenDue": return void this.renew();
      case "loggedOut":
        this.events.event(event);
        return this.stop({ why: "loggedOut", text: event.reject.text });
      case "helloRejected": {
        const { code, retryAfterMs, text } = event.reject;
        if (retryAfterMs > 0) return this.events.event(event);
        return code === Code.expired ? this.tokenRefused(text) : this.stop({ why: "refused", text });
      }
      case "connected":
        this.dials = 0;
        this.refusedTokens = 0;
        this.welcomedAtMs = this.nowMs();
        this.serverAheadMs = event.welcome.timeMs - this.nowMs();
    }
    this.events.event(event);
  }

  private hangUp(): void {
    this.connection += 1;
    this.link?.close();
    this.link = undefined;
    this.session.disconnected(this.nowMs());
  }

  private async dial(): Promise<void> {
    if (this.isDialling || this.link || this.isTokenBad || this.isOver) return;
    this.isDialling = true;
    this.dials += 1;
    if (this.dials > DIALS_BEFORE_ASKING) await this.askWhere();
    this.isDialling = false;
    if (this.isTokenBad || this.isOver) return;
    const connection = ++this.connection;
    const isThis = () => connection === this.connection;
    const token = () => this.login.token;
    const place = { server: this.server, chat: this.login.chat, get token() { return token(); } };
    const events: LinkEvents = {
      opened: () => isThis() && this.run((session, nowMs) => session.connected(nowMs, this.login.token)),
      received: (frames) => isThis() && this.run((session, nowMs) => frames.forEach((frame) => session.receive(nowMs, frame))),
      drained: () => isThis() && this.turn(),
      closed: (code) => isThis() && this.lost(code),
    };
    try {
      this.link = this.transport(place, events);
    } catch {
      // A way may refuse at once, as a page's rules do (CSP). It is a dial that failed like any other.
      this.lost(ABNORMAL);
    }
  }

  /** What a login told is good until it fails. While nobody answers, what is known is dialled. */
  private async askWhere(): Promise<void> {
    try {
      this.login = { ...this.login, chat: await this.account.route(this.login.token) };
    } catch (error) {
      if (error instanceof AccountError && (error.code === "expired" || error.code === "unauthenticated")) this.tokenRefused(error.message);
    }
  }

  private lost(code: number): void {
    this.link = undefined;
    this.connection += 1;
    if (this.isOver) return;
    // A busy server may read the Hello of a connection that this device has left after that of the one that it made then,
    // and close the newer for the older. So a young connection is made once more. Where the device really is somewhere
    // else, that one is younger still: it comes back too, and stays.
    const isYoung = this.welcomedAtMs !== undefined && this.nowMs() - this.welcomedAtMs < OLD_HELLO_MS;
    const isReplaced = code === Close.replaced;
    if (isReplaced && (this.cameBack || !isYoung)) {
      return this.stop({ why: "replaced", text: "this device is connected somewhere else" });
    }
    this.cameBack = isYoung && (this.cameBack || isReplaced);
    this.run((session, nowMs) => session.disconnected(nowMs));
  }

  private tokenRefused(text: string): void {
    this.refusedTokens += 1;
    if (this.refusedTokens >= REFUSED_TOKENS_MAX) return this.stop({ why: "refused", text });
    this.isTokenBad = true;
    void this.renew();
  }

  /** The refresh token buys the next pair. One whose answer was lost is shown again: the server knows it for a while. */
  private async renew(): Promise<void> {
    if (this.isRenewing || this.isOver) return;
    this.isRenewing = true;
    try {
      const login = await this.renewed();
      if (!login || this.isOver) return;
      await this.events.renewed(login);
      this.login = login;
      const serverMs = this.nowMs() + this.serverAheadMs;
      this.run((session) => session.reauth(login.token, Math.max(login.expiresMs - serverMs, 0)));
      if (this.isTokenBad) {
        this.isTokenBad = false;
        void this.dial();
      }
    } finally {
      this.isRenewing = false;
    }
  }

  private async renewed(): Promise<Login | undefined> {
    while (!this.isOver) {
      try {
        return await this.account.renew(this.login.refresh);
      } catch (error) {
        const { code, retryAfterMs, message } = error instanceof AccountError ? error : new AccountError("bad_answer", String(error), 0);
        if (retryAfterMs === 0) {
          // The token that is there may still work until the server says otherwise.
          if (this.isTokenBad || isFinal(code)) this.stop({ why: isFinal(code) ? "loggedOut" : "refused", text: message });
          return undefined;
        }
        await new Promise((resolve) => setTimeout(resolve, retryAfterMs));
      }
    }
    return undefined;
  }
}

const isFinal = (code: string): boolean => ["not_found", "unauthenticated", "token_reused"].includes(code);
