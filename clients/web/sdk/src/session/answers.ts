/** What each frame of the server does to a session. */
import { Frame, read } from "../frame.js";
import {
  About as AboutPage, Channels, ChannelsV2, Code, Complete, Done, GoingAway, Heads, HistoryPage, HistoryPageV2, Kind, Members, MembersV2, Mentions, Notes, OwnPresence,
  PAGE_MESSAGES_MAX, Presence, Push, Receipts, Reject, SendAck, Thread, Typing, Watch, Welcome, WelcomeV2,
} from "../generated.js";
import { Core, type Page } from "./core.js";
import { type About, type Message, readMessage } from "./event.js";
import { REQUESTS_WAITING_MAX } from "./limits.js";
import { UNANSWERED } from "./marks.js";
import { Pace } from "./pace.js";

export abstract class Answers extends Core {
  /** The inbox's head in Welcome. */
  private catchUpTo = 0;

  /** Takes one frame of the server. Kinds and bodies that this client does not know are skipped. */
  receive(nowMs: number, frame: Frame): void {
    this.nowMs = Math.max(this.nowMs, nowMs);
    if (this.state_ === "down") return;
    this.clock.heard(this.nowMs);
    if (frame.isStamped) {
      if (this.state_ !== "greeting") this.takeMessage(frame);
      return;
    }
    // A page whose messages do not follow directly is told as far as it came: the app sees its bounds.
    this.endPage();
    this.takeAnswer(frame);
  }

  private takeAnswer(frame: Frame): void {
    const isGreeting = this.state_ === "greeting";
    if (frame.kind === Kind.REJECT) {
      const reject = read(Reject, frame);
      if (reject) this.takeReject(frame.id, reject);
    } else if (frame.kind === Kind.GOING_AWAY) {
      const going = read(GoingAway, frame);
      if (going) this.takeGoingAway(going);
    } else if (frame.kind === Kind.WELCOME && isGreeting) {
      const welcome = read(Welcome, frame);
      if (welcome) this.takeWelcome(welcome, read(WelcomeV2, frame));
    } else if (!isGreeting) {
      this.takeReply(frame);
    }
  }

  private takeReply(frame: Frame): void {
    switch (frame.kind) {
      case Kind.SEND_ACK: {
        const ack = read(SendAck, frame);
        if (ack) this.takeAck(frame.id, ack);
        return;
      }
      case Kind.COMPLETE: {
        const complete = read(Complete, frame);
        if (complete) this.takeComplete(complete);
        return;
      }
      case Kind.DONE: {
        const done = read(Done, frame);
        if (done) this.takeDone(frame.id, done.kind);
        return;
      }
      case Kind.HISTORY_PAGE: return this.beginPage(frame);
      case Kind.THREAD: return this.beginThread(frame);
      case Kind.CHANNELS: return this.takeChannels(frame);
      case Kind.HEADS: {
        const heads = read(Heads, frame);
        if (!heads) return;
        for (const { channel, head } of heads.items) this.heads.set(channel, head);
        this.events.push({ type: "heads", ...heads });
        return;
      }
      case Kind.TYPING: {
        const typing = read(Typing, frame);
        if (typing) this.marks.take(this.nowMs, typing);
        return;
      }
      case Kind.RECEIPTS: {
        const list = read(Receipts, frame);
        const isAsked = this.requests.answered(frame.id, Kind.GET_RECEIPTS);
        if (list && (isAsked || frame.id === 0n)) this.events.push({ type: "receipts", request: frame.id, ...list });
        return;
      }
      case Kind.ABOUT: {
        const said = read(AboutPage, frame);
        if (said && this.requests.answered(frame.id, Kind.GET_ABOUT)) this.events.push({ type: "said", request: frame.id, said });
        return;
      }
      case Kind.PRESENCE: return this.takePresence(frame);
      case Kind.OWN_PRESENCE: {
        const own = read(OwnPresence, frame);
        const isAsked = this.requests.answered(frame.id, Kind.GET_OWN_PRESENCE);
        if (own && (isAsked || frame.id === 0n)) this.events.push({ type: "ownPresence", request: frame.id, own });
        return;
      }
      case Kind.PUSH: {
        const push = read(Push, frame);
        if (push && this.requests.answered(frame.id, Kind.GET_PUSH)) this.events.push({ type: "push", request: frame.id, push });
        return;
      }
      case Kind.MENTIONS: {
        const list = read(Mentions, frame);
        if (list && this.requests.answered(frame.id, Kind.GET_MENTIONS)) this.events.push({ type: "mentions", request: frame.id, ...list });
        return;
      }
      case Kind.NOTES: {
        const list = read(Notes, frame);
        if (list && this.requests.answered(frame.id, Kind.GET_NOTES)) this.events.push({ type: "notes", request: frame.id, ...list });
        return;
      }
      case Kind.MEMBERS: {
        const list = read(MembersV2, frame) ?? read(Members, frame);
        if (list && this.requests.answered(frame.id, Kind.GET_MEMBERS)) this.events.push({ type: "members", request: frame.id, ...list });
      }
    }
  }

  private takePresence(frame: Frame): void {
    const items = read(Presence, frame)?.items;
    if (!items) return;
    if (frame.id === 0n) return void this.events.push({ type: "presence", request: 0n, items });
    const all = this.presences.looked(frame.id, items);
    if (all && this.requests.answered(frame.id, Kind.GET_PRESENCE)) this.events.push({ type: "presence", request: frame.id, items: all });
  }

  /** The server knows nothing yet of whom the app wants to see. */
  private beginPresence(welcome: Welcome): void {
    // What was asked on the last connection and is asked again says less than this.
    this.requests.forget(Kind.WATCH);
    this.requests.forget(Kind.UNWATCH);
    const { watched: users, idle } = this.presences.begin(welcome);
    if (users.length > 0 && this.requests.length < REQUESTS_WAITING_MAX) this.requests.push(Frame.of(Watch, this.newRequestId(), { users }));
    if (idle) this.control.push(this.presences.said(idle));
  }

  private takeChannels(frame: Frame): void {
    const [list, detailed] = [read(Channels, frame), read(ChannelsV2, frame)];
    if (!list || !this.requests.answered(frame.id, Kind.GET_CHANNELS)) return;
    if (!detailed) return void this.events.push({ type: "channels", request: frame.id, ...list });
    const { items, details, ...page } = detailed;
    const infos = items.flatMap((item, at) => (details[at] ? [{ ...item, ...details[at] }] : []));
    this.events.push({ type: "list", request: frame.id, ...page, items: infos });
  }

  private takeGoingAway({ reconnectAfterMs, reason }: GoingAway): void {
    this.isGoingAway = true;
    this.clock.reconnectAfter(reconnectAfterMs);
    this.events.push({ type: "goingAway", reconnectAfterMs, reason });
  }

  /** The head of a page does not answer its request, only the whole page does: a connection can end in between. */
  private beginPage(frame: Frame): void {
    if (!this.requests.isWritten(frame.id, Kind.GET_HISTORY)) return;
    const head = read(HistoryPage, frame);
    this.page = undefined;
    if (!head) return;
    const around = read(HistoryPageV2, frame);
    const { count, ...bounds } = head;
    const sides = around && { pivot: around.pivot, moreBefore: around.moreBefore, moreAfter: around.moreAfter };
    this.page = { history: { request: frame.id, ...bounds, ...sides, messages: [] }, left: Math.min(count, PAGE_MESSAGES_MAX) };
    if (this.page.left === 0) this.endPage();
  }

  private beginThread(frame: Frame): void {
    if (!this.requests.isWritten(frame.id, Kind.GET_THREAD)) return;
    const head = read(Thread, frame);
    this.page = undefined;
    if (!head) return;
    const { count, ...bounds } = head;
    this.page = { thread: { request: frame.id, ...bounds, messages: [] }, left: Math.min(count, PAGE_MESSAGES_MAX) };
    if (this.page.left === 0) this.endPage();
  }

  /** The page is told, and its request is answered. */
  private endPage(): void {
    const page = this.page;
    this.page = undefined;
    if (!page) return;
    if ("thread" in page) {
      if (this.requests.answered(page.thread.request, Kind.GET_THREAD)) this.events.push({ type: "thread", thread: page.thread });
    } else if (this.requests.answered(page.history.request, Kind.GET_HISTORY)) {
      this.events.push({ type: "history", history: page.history });
    }
  }

  private takeWelcome(welcome: Welcome, named: WelcomeV2 | undefined): void {
    if (named) this.pace = new Pace(this.nowMs, named.tokensPerS, named.tokensBurst, named.tokenBytes);
    else this.pace = this.config.assumesPace ? new Pace(this.nowMs) : Pace.unbounded(this.nowMs);
    if (welcome.user !== this.config.user) {
      const text = `names user ${welcome.user}; this session is of ${this.config.user}`;
      const reject = { code: Code.unauthenticated, retryAfterMs: 0, path: "token", text };
      this.events.push({ type: "helloRejected", reject });
      return;
    }
    const { generation, start } = welcome;
    this.catchUpTo = welcome.head;
    this.clock.welcomed(this.nowMs, welcome);
    this.state_ = "catchingUp";
    this.events.push({ type: "connected", welcome });
    // A server that begins below the cursor does not have what it once said was complete: it has lost a part of this life
    // without beginning another one.
    if (generation !== this.cursor_.generation || start < this.cursor_.at) {
      const isNew = this.cursor_.generation === 0 && start === 0;
      this.cursor_ = { generation, at: start };
      this.seen.clear();
      this.clock.cursorKnown(this.cursor_);
      this.marks.forget();
      if (!isNew) this.events.push({ type: "resync", generation, at: start });
    }
    this.seen.begin(start, this.catchUpTo);
    this.heads.clear();
    this.beginPresence(welcome);
    this.goLiveIfCaughtUp();
  }

  private goLiveIfCaughtUp(): void {
    if (this.state_ === "catchingUp" && this.cursor_.at >= this.catchUpTo) {
      this.state_ = "live";
      this.events.push({ type: "live" });
    }
  }

  private takeMessage(frame: Frame): void {
    const message = readMessage(frame);
    if (this.page) {
      this.takeOfPage(this.page, frame, message);
    } else if (message && this.follows(message)) {
      this.events.push({ type: "message", message });
    } else if (message) {
      const isNew = this.seen.message(message.channel, message.seq, this.cursor_.at);
      if (this.isOwnPending(message)) this.tellAck(message);
      else if (isNew) this.tellMessage(message);
    }
  }

  /**
   * Whether a message of a large channel came because this session follows it, and not by the inbox: it does not name this user,
   * stands behind the head, and was not recalled. On one connection those come in order, and none twice.
   */
  private follows(message: Message): boolean {
    const { channel, seq } = message;
    const head = this.heads.get(channel);
    if (head === undefined || seq <= head || names(message, this.config.user)) return false;
    this.heads.set(channel, seq);
    return true;
  }

  private tellMessage(message: Message): void {
    const { channel, seq, sender, content } = message;
    this.events.push({ type: "message", message });
    if (content.type === "text" && sender !== this.config.user && this.config.saysDelivered) this.marks.delivered(this.nowMs, channel, seq);
    // Who sends has typed.
    this.marks.stops(channel, sender);
  }

  private takeOfPage(page: Page, frame: Frame, message: Message | undefined): void {
    page.left -= 1;
    const { channel, messages } = "thread" in page ? page.thread : page.history;
    if (message) {
      messages.push(message);
      if (this.isOwnPending(message)) {
        this.seen.acked(message.channel, message.seq, this.cursor_.at);
        this.tellAck(message);
      }
    } else if (frame.stamp) {
      const content = { type: "unknown", kind: frame.kind } as const;
      messages.push({ channel, ...frame.stamp, sendId: frame.id, content });
    }
    if (page.left <= 0) this.endPage();
  }

  /** Takes the message out of the pending sends, if it is one of them. */
  private isOwnPending(message: Message): boolean {
    return message.sender === this.config.user && this.pending.take(message.sendId, message.channel);
  }

  private takeAck(sendId: bigint, { channel, seq, timeMs }: SendAck): void {
    this.seen.acked(channel, seq, this.cursor_.at);
    if (this.pending.take(sendId, channel)) this.tellAck({ sendId, channel, seq, timeMs });
  }

  private tellAck({ sendId, channel, seq, timeMs }: Pick<Message, "sendId" | "channel" | "seq" | "timeMs">): void {
    this.events.push({ type: "ack", sendId, channel, seq, timeMs });
  }

  private takeComplete({ generation, from, to }: Complete): void {
    const { cursor_: cursor } = this;
    if (generation !== cursor.generation || cursor.at < from || to < cursor.at) return;
    cursor.at = to;
    this.clock.cursorMoved(this.nowMs, cursor);
    this.events.push({ type: "complete", from, to });
    this.goLiveIfCaughtUp();
    this.tellCursorIfDue();
  }

  private takeDone(id: bigint, kind: number): void {
    if (this.reauthing?.id === id) {
      this.clock.tokenLasts(this.nowMs, this.reauthing.lifetimeMs);
      this.reauthing = undefined;
      this.pending.release();
      this.events.push({ type: "reauthed" });
    } else if (this.requests.answered(id, kind)) {
      this.events.push({ type: "done", request: id });
    }
  }

  private takeReject(id: bigint, reject: Reject): void {
    if (this.isLoggedOutBy(id, reject)) {
      this.isLoggedOut = true;
      this.events.push({ type: "loggedOut", reject });
      return;
    }
    const { retryAfterMs, code } = reject;
    if (this.state_ === "greeting") {
      if (retryAfterMs > 0) this.clock.reconnectAfter(retryAfterMs);
      this.events.push({ type: "helloRejected", reject });
      return;
    }
    if (code === Code.rate) this.pace.refused(this.nowMs);
    if (id === UNANSWERED) {
      // What still holds of it is said again; who types says so again by itself.
      if (retryAfterMs > 0) {
        this.marks.doubt(this.nowMs);
        this.presences.doubtIdle();
      }
      return;
    }
    // A send that is refused because the token ended is not at fault: it waits for Reauth or the next connection.
    const isAboutToken = code === Code.expired || code === Code.unauthenticated;
    if (isAboutToken && this.pending.holdFrom(id, Infinity)) {
      this.events.push({ type: "tokenDue" });
      return;
    }
    const retryAt = this.nowMs + retryAfterMs;
    // What a group refuses for a while says nothing of other channels: held back, the send would hold back all behind it.
    const isOfGroup = code === Code.muted || code === Code.slow;
    if (retryAfterMs > 0 && !isOfGroup && this.pending.holdFrom(id, retryAt)) return;
    const type = this.refused(id, retryAfterMs > 0 ? retryAt : undefined);
    if (type) this.events.push({ type: "rejected", about: { type, id }, reject });
  }

  /** What was refused for good; undefined for a request that is asked again. */
  private refused(id: bigint, again: number | undefined): About["type"] | undefined {
    if (this.pending.take(id)) return "send";
    if (this.reauthing?.id === id) {
      this.reauthing = undefined;
      return "request";
    }
    if (!this.requests.refused(id, again)) return "other";
    if (again === undefined) this.presences.forgetLook(id);
    return again === undefined ? "request" : undefined;
  }

  /** Said of Hello, of Reauth, or unasked of the session as a whole: there the code is final. */
  private isLoggedOutBy(id: bigint, reject: Reject): boolean {
    const isOfSession = this.state_ === "greeting" || id === 0n || this.reauthing?.id === id;
    return isOfSession && reject.retryAfterMs === 0 && reject.code === Code.unauthenticated;
  }
}

/** Whether a message of a large channel stands in the inbox of a user who is sent it: sent by it, naming it, or recalled. */
function names({ sender, content }: Message, user: bigint): boolean {
  if (sender === user) return true;
  switch (content.type) {
    case "text": return content.mentions?.includes(user) ?? false;
    case "added": case "invited": return content.users.includes(user);
    case "removed": case "banned": return content.user === user;
    // It says no more whom it named, and none such is sent but by the inbox.
    case "recalled": return true;
    default: return false;
  }
}
