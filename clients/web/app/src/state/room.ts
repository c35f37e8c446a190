/** The open conversation: a window of its history that moves both ways, and how far others have come in it. */
import { batch, computed, signal } from "@preact/signals";
import { type Around, type Content, type History, isShown, type Message, type Prefs, type ReceiptItem, recalledBy, takesBack, usersOf } from "@maru/sdk";
import { channels, chat, connection, me, sends } from "./chat.js";
import { Remarks } from "./remarks.js";

const PAGE = 50;
/** Messages on the page at a time: what is beyond them is asked for again when it is scrolled to. */
const WINDOW_MAX = 240;
/** So many more come live before some are taken from the page. */
const LIVE_SLACK = 60;
/** Of what was missed so much is read at once; more waits until it is scrolled to. */
const MISSED_PAGE = 200;
const MISSED_PAGES_MAX = 4;
/** Members come and go: how many there are is asked this often at most. */
const COUNT_AGAIN_MS = 1000;
/** Above so many unread messages a channel opens at the first of them, below them at the newest. */
const UNREAD_ON_PAGE = 20;
const READ_AFTER_MS = 300;
const COMES_OR_GOES: ReadonlySet<Content["type"]> = new Set(["added", "joined", "left", "removed", "banned", "role", "grown"] as const);

export class Room {
  readonly messages = signal<readonly Message[]>([]);
  readonly moreBefore = signal(false);
  readonly moreAfter = signal(false);
  /** Whether the first page is here. */
  readonly isReady = signal(false);
  readonly receipts = signal<ReadonlyMap<bigint, ReceiptItem>>(new Map());
  /** A seq to scroll to and to show for a moment. */
  readonly jump = signal<number | undefined>(undefined);
  /** How far it was read when it was opened: what is new begins behind that. */
  readonly readBefore: number;
  readonly waiting = computed(() => sends.value.filter(({ channel, state, content }) => channel === this.channel && state !== "stored" && content.type === "text"));
  readonly remarks: Remarks;
  /** What this person is in a group (0 member, 1 admin, 2 owner), and how many are in it; undefined while that is not known. */
  readonly role = signal<number | undefined>(undefined);
  readonly total = signal<number | undefined>(undefined);
  /** Both of a direct channel, owners and admins of a group. */
  readonly mayPin = computed(() => !this.isGroup || (this.role.value ?? 0) > 0);
  /** Its receipts, and who types there, nobody is told; its messages come because this device follows it. */
  readonly isLarge = computed(() => channels.value.get(this.channel)?.large === true);
  readonly isGroup: boolean;
  /** The newest message is seen: what comes pushes the oldest from the page. */
  isAtEnd = true;
  /** The window holds all that there is in `from ..= to`. */
  private from = 0;
  private to = 0;
  /** How far a large channel was said to have come. */
  private head = 0;
  private isReadingMissed = false;
  private counting: ReturnType<typeof setTimeout> | undefined;
  private isLoading = false;
  private isClosed = false;
  private marking: ReturnType<typeof setTimeout> | undefined;
  private readonly ends: (() => void)[];

  constructor(readonly channel: bigint) {
    this.remarks = new Remarks(channel);
    this.isGroup = usersOf(channel) === undefined;
    this.readBefore = channels.peek().get(channel)?.read ?? 0;
    this.ends = [
      chat().on("message", (message) => this.take(message)),
      chat().on("send", ({ state, channel: of, seq, timeMs, sendId, content }) => {
        if (state === "stored") this.take({ channel: of, seq: seq ?? 0, timeMs: timeMs ?? 0, sender: me(), sendId, content });
      }),
      chat().on("receipts", ({ channel: of, items }) => { if (of === this.channel) this.takeReceipts(items); }),
      chat().on("heads", ({ items }) => {
        const told = items.find(({ channel: of }) => of === this.channel);
        if (told) this.headIs(told.head);
      }),
      chat().on("resync", () => {
        this.head = 0;
        void this.begin();
      }),
    ];
    if (this.isGroup && channels.peek().get(channel)?.member !== false) void this.count();
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.marking);
    clearTimeout(this.counting);
    this.remarks.close();
    for (const end of this.ends) end();
  }

  /** Shows what is kept at once, and then what the server has. */
  async begin(seq?: number): Promise<void> {
    const item = channels.peek().get(this.channel);
    if (seq !== undefined) return this.show({ seq }, seq);
    await this.showKept();
    try {
      if ((item?.unread ?? 0) > UNREAD_ON_PAGE) return await this.show({ firstUnread: true });
      const page = await chat().history(this.channel, { limit: PAGE });
      if (!this.isClosed) this.setNewest(page);
    } catch {
      // A conversation that has not begun has no history.
      this.isReady.value = true;
    }
    this.askReceipts();
  }

  private setNewest({ messages, from, to, head, more }: History): void {
    this.setWindow(messages, from, Math.max(to, head), more, false);
    this.remarks.read(from, Math.max(to, head));
  }

  private async showKept(): Promise<void> {
    const kept = await chat().kept(this.channel, { limit: PAGE, newest: true });
    if (this.isClosed || this.isReady.value || kept.length === 0) return;
    // Behind the last gap nothing is missing.
    const gap = kept.findLastIndex(({ seq }, at) => at > 0 && kept[at - 1]?.seq !== seq - 1);
    const tail = kept.slice(Math.max(gap, 0));
    this.setWindow(tail, tail[0]?.seq ?? 0, tail.at(-1)?.seq ?? 0, (tail[0]?.seq ?? 0) > 1, false);
  }

  private askReceipts(): void {
    if (!this.isLarge.peek()) chat().receipts(this.channel).then((items) => this.takeReceipts(items), () => {});
  }

  private takeReceipts(items: ReceiptItem[]): void {
    const next = new Map(this.receipts.value);
    for (const item of items) {
      const before = next.get(item.user);
      next.set(item.user, { user: item.user, read: Math.max(item.read, before?.read ?? 0), delivered: Math.max(item.delivered, before?.delivered ?? 0) });
    }
    this.receipts.value = next;
  }

  /** Goes to a place: a seq, a time, the first unread message. */
  async show(around: Around, seq?: number): Promise<void> {
    if (seq !== undefined && this.messages.value.some((message) => message.seq === seq)) {
      this.jump.value = seq;
      return;
    }
    const page = await chat().around(this.channel, around, PAGE);
    if (this.isClosed) return;
    batch(() => {
      this.setWindow(page.messages, page.from, page.to, page.moreBefore ?? page.more, page.moreAfter ?? false);
      const shown = page.messages.filter(isShown);
      this.jump.value = shown.find((message) => message.seq >= (page.pivot ?? 0))?.seq ?? shown.at(-1)?.seq;
    });
    this.remarks.read(page.from, page.to);
    this.askReceipts();
  }

  async toNewest(): Promise<void> {
    if (!this.moreAfter.value) return;
    const page = await chat().history(this.channel, { limit: PAGE });
    if (!this.isClosed) this.setNewest(page);
  }

  private setWindow(messages: readonly Message[], from: number, to: number, before: boolean, after: boolean): void {
    // What came while the page was under way is not on it.
    const newer = after ? [] : this.messages.value.filter(({ seq }) => seq > to);
    [this.from, this.to] = [from, newer.at(-1)?.seq ?? to];
    this.remarks.takePage(messages);
    batch(() => {
      this.messages.value = [...messages, ...newer].filter(isShown);
      this.moreBefore.value = before;
      this.moreAfter.value = after;
      this.isReady.value = true;
    });
  }

  async loadBefore(): Promise<void> {
    if (!this.moreBefore.value) return;
    await this.load(async () => {
      const before = this.from;
      const page = await this.page({ before, newest: true });
      if (this.isClosed || before !== this.from) return;
      const all = [...page.messages.filter(isShown), ...this.messages.value];
      const some = all.slice(0, WINDOW_MAX);
      if (page.from > 0) this.from = page.from;
      batch(() => {
        if (some.length < all.length) {
          this.to = some.at(-1)?.seq ?? this.to;
          this.moreAfter.value = true;
        }
        this.messages.value = some;
        this.moreBefore.value = page.more;
      });
    });
  }

  async loadAfter(): Promise<void> {
    if (!this.moreAfter.value) return;
    await this.load(async () => {
      const after = this.to;
      const page = await this.page({ after, newest: false });
      if (this.isClosed || after !== this.to) return;
      const all = [...this.messages.value, ...page.messages.filter(isShown)];
      const some = all.slice(-WINDOW_MAX);
      if (page.to > 0) this.to = page.to;
      batch(() => {
        if (some.length < all.length) {
          this.from = some[0]?.seq ?? this.from;
          this.moreBefore.value = true;
        }
        this.messages.value = some;
        this.moreAfter.value = page.more;
      });
    });
  }

  /** Without a connection what is kept is read. */
  private async page(span: { before?: number; after?: number; newest: boolean }): Promise<{ messages: Message[]; from: number; to: number; more: boolean }> {
    if (connection.value.state === "live") {
      const page = await chat().history(this.channel, { ...span, limit: PAGE });
      this.remarks.read(page.from, page.to);
      return page;
    }
    const messages = await chat().kept(this.channel, { ...span, limit: PAGE });
    this.remarks.takePage(messages);
    return { messages, from: messages[0]?.seq ?? 0, to: messages.at(-1)?.seq ?? 0, more: messages.length === PAGE };
  }

  private async load(work: () => Promise<void>): Promise<void> {
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      await work();
    } catch {
      // The next scroll asks again.
    } finally {
      this.isLoading = false;
    }
  }

  private take(message: Message): void {
    if (message.channel !== this.channel) return;
    this.hear(message);
    if (this.moreAfter.value) return;
    const { seq } = message;
    // Of a large channel messages can be missing before one that comes; of others none is.
    if (!this.isLarge.peek() || seq === this.to + 1) this.to = Math.max(this.to, seq);
    if (isShown(message)) this.put(message);
    if (seq > this.to) this.headIs(seq);
  }

  /** What it says of others that are here. */
  private hear(message: Message): void {
    this.remarks.take(message);
    if (COMES_OR_GOES.has(message.content.type)) this.counting ??= setTimeout(() => void this.count(), COUNT_AGAIN_MS);
    if (takesBack(message)) this.messages.value = this.messages.value.map((other) => recalledBy(message, other) ?? other);
  }

  private put(message: Message): void {
    const before = this.messages.value;
    if (before.some((other) => other.seq === message.seq)) return;
    const at = before.findLastIndex((other) => other.seq < message.seq) + 1;
    const all = before.toSpliced(at, 0, message);
    const over = all.length - WINDOW_MAX - LIVE_SLACK;
    if (over <= 0) this.messages.value = all;
    else if (this.isAtEnd) this.dropBefore(all.slice(-WINDOW_MAX));
    else {
      // Who reads further up goes on from there.
      this.to = all.at(-over - 1)?.seq ?? this.to;
      batch(() => {
        this.messages.value = all.slice(0, -over);
        this.moreAfter.value = true;
      });
    }
  }

  /** What was on the page before these is not any more. */
  private dropBefore(some: readonly Message[]): void {
    const [first, before] = [some[0], this.messages.value[0]];
    batch(() => {
      if (first && before && first.seq > before.seq) {
        this.from = first.seq;
        this.moreBefore.value = true;
      }
      this.messages.value = some;
    });
  }

  /** The channel has come so far: what is not here of it is read. */
  private headIs(head: number): void {
    this.head = Math.max(this.head, head);
    if (this.isReadingMissed || !this.isReady.peek() || this.moreAfter.peek() || this.head <= this.to) return;
    this.isReadingMissed = true;
    // Without a connection: the head is told again on the next.
    this.readMissed().catch(() => {}).finally(() => { this.isReadingMissed = false; });
  }

  private async readMissed(): Promise<void> {
    for (let pages = 0; pages < MISSED_PAGES_MAX && this.to < this.head; pages++) {
      const after = this.to;
      const page = await chat().history(this.channel, { after, limit: MISSED_PAGE, newest: false });
      if (this.isClosed || this.moreAfter.peek()) return;
      // Another page was set, or the hole has closed: what is missing now is behind that.
      if (after !== this.to) continue;
      for (const message of page.messages) this.hear(message);
      this.remarks.read(page.from, page.to);
      if (page.more) return this.leaveMissed(page);
      for (const message of page.messages) if (isShown(message)) this.put(message);
      // Who reads further up goes on from there.
      if (this.moreAfter.peek()) return;
      // What is not on the page is not this person's to read.
      this.to = Math.max(this.to, page.to, page.head);
      if (this.to === after) this.head = after;
    }
  }

  /** More was missed than a page: the person goes on from where it was, and scrolls. */
  private leaveMissed({ messages, to }: History): void {
    const here = this.messages.value.filter(({ seq }) => seq <= this.to).slice(-WINDOW_MAX);
    this.to = to;
    batch(() => {
      this.dropBefore([...here, ...messages.filter(isShown)]);
      this.moreAfter.value = true;
    });
  }

  /** Asks how many are in the group, and what this person is there: the page of members that begins with it. */
  private async count(): Promise<void> {
    this.counting = undefined;
    try {
      const { items, total } = await chat().memberPage(this.channel, me() - 1n, 1);
      batch(() => {
        this.role.value = items[0]?.user === me() ? items[0].role : undefined;
        this.total.value = total;
      });
    } catch {
      // Who is no member is not told.
      batch(() => { [this.role.value, this.total.value] = [undefined, undefined]; });
    }
  }

  /** A message of this channel, from here, from what is kept or from the server. */
  async message(seq: number): Promise<Message | undefined> {
    const [before, after] = [seq + 1, seq - 1];
    const shown = this.messages.value.find((message) => message.seq === seq);
    if (shown) return shown;
    this.remarks.read(seq, seq);
    const [here] = await chat().kept(this.channel, { after, before });
    return here ?? (await chat().history(this.channel, { after, before, limit: 1 })).messages[0];
  }

  /** The newest own text on the page. */
  lastOwn(): Message | undefined {
    return this.moreAfter.peek() ? undefined : this.messages.peek().findLast(({ sender, content }) => sender === me() && content.type === "text");
  }

  /** The person has seen the channel up to here. */
  seen(seq: number): void {
    const item = channels.peek().get(this.channel);
    if (!item?.member || seq <= item.read || !document.hasFocus()) return;
    clearTimeout(this.marking);
    this.marking = setTimeout(() => {
      chat().markRead(this.channel, seq).catch(() => {});
      if (item.markedUnread) setPrefs(this.channel, { markedUnread: false });
    }, READ_AFTER_MS);
  }
}

/** Changes how a channel is shown and told of. */
export function setPrefs(channel: bigint, change: Partial<Prefs>): void {
  const item = channels.peek().get(channel);
  if (!item) return;
  const { mutedUntilMs, pinned, markedUnread, notify, archived } = item;
  void chat().setPrefs(channel, { mutedUntilMs, pinned, markedUnread, notify, archived, ...change });
}

export const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** The conversation that is shown. */
export const room = signal<Room | undefined>(undefined);
export function enterRoom(channel: bigint | undefined, seq?: number): void {
  const before = room.peek();
  if (before && before.channel === channel) {
    if (seq !== undefined) void before.show({ seq }, seq).catch(() => {});
    return;
  }
  before?.close();
  room.value = channel === undefined ? undefined : new Room(channel);
  void room.peek()?.begin(seq).catch(() => {});
}
