/**
 * The members of a group. Those of a large channel come in pages as they are scrolled to, and are as of when they were asked for: who comes
 * and goes there, and who is there, is asked again by hand. A group's are few, and asked again when something changes.
 */
import { batch, signal } from "@preact/signals";
import type { MemberItem, Message, PresenceItem } from "@maru/sdk";
import { chat, me } from "./chat.js";
import type { Room } from "./room.js";

const PAGE = 100;
const GROUP_PAGE = 500;
/** Members of whom it is asked at once whether they are there. */
const LOOKED_AT_MAX = 100;

export class MemberList {
  readonly items = signal<readonly MemberItem[]>([]);
  readonly more = signal(false);
  readonly present = signal<ReadonlyMap<bigint, PresenceItem>>(new Map());
  /** When it was asked; 0 while nothing is here. */
  readonly readMs = signal(0);
  private readings = 0;
  private isReading = false;
  private readonly end: () => void;

  constructor(private readonly room: Room) {
    this.end = chat().on("message", (message) => this.take(message));
  }

  close(): void {
    this.readings += 1;
    this.end();
  }

  /** From the beginning. */
  async read(): Promise<void> {
    this.readings += 1;
    this.isReading = false;
    await this.page(0n);
  }

  async readMore(): Promise<void> {
    const last = this.items.peek().at(-1);
    if (last && this.more.peek() && !this.isReading) await this.page(last.user);
  }

  private async page(after: bigint): Promise<void> {
    const reading = this.readings;
    this.isReading = true;
    try {
      const { items, more } = await chat().memberPage(this.room.channel, after, this.room.isLarge.peek() ? PAGE : GROUP_PAGE);
      if (reading !== this.readings) return;
      batch(() => {
        this.items.value = after === 0n ? items : [...this.items.peek(), ...items];
        this.more.value = more;
        if (after === 0n) this.readMs.value = Date.now();
      });
      // Who of them is there is said a little later; the next page does not wait for it.
      this.look(items).catch(() => {});
    } finally {
      if (reading === this.readings) this.isReading = false;
    }
  }

  /** Who of them is there: asked once, for a group is too many people to be shown every change. */
  private async look(items: readonly MemberItem[]): Promise<void> {
    const users = items.map(({ user }) => user).filter((user) => user !== me()).slice(0, LOOKED_AT_MAX);
    if (users.length === 0) return;
    const shown = await chat().presence(users);
    this.present.value = new Map([...this.present.peek(), ...shown.map((item) => [item.user, item] as const)]);
  }

  /** One member of whom it is known who it is; undefined when it is none. */
  async find(user: bigint): Promise<MemberItem | undefined> {
    const { items: [item] } = await chat().memberPage(this.room.channel, user - 1n, 1);
    if (item?.user !== user) return undefined;
    await this.look([item]);
    return item;
  }

  private take({ channel, content }: Message): void {
    if (channel === this.room.channel && content.type !== "text") this.changed(content);
  }

  /** Something was said about members, here or by somebody else. */
  changed(content: Message["content"]): void {
    if (!this.room.isLarge.peek()) {
      if (MEMBERS.has(content.type)) void this.read().catch(() => {});
      return;
    }
    const items = this.items.peek();
    if (content.type === "removed" || content.type === "banned") this.items.value = items.filter(({ user }) => user !== content.user);
    else if (content.type === "role") this.items.value = items.map((item) => (item.user === content.member ? { ...item, role: content.role } : item));
  }
}

const MEMBERS: ReadonlySet<Message["content"]["type"]> = new Set(["created", "added", "joined", "removed", "left", "role", "banned", "grown"] as const);
