/** Whom a text can mention: the members of a group; of a large channel those who spoke lately, and whoever is found by name. */
import { type Message, usersOf } from "@maru/sdk";
import { chat, me } from "./chat.js";
import { learn, person } from "./people.js";
import { room } from "./room.js";

const SUGGESTED_MAX = 6;
/** Members of a group above this number are not suggested. */
const MEMBERS_MAX = 500;
/** A name is looked for when the typist pauses. */
const PAUSE_MS = 250;
const NAME_CHARS_MIN = 2;

export class Mentionable {
  private users: readonly bigint[] = [];
  private isAsked = false;
  private pausing: ReturnType<typeof setTimeout> | undefined;
  private readonly looked = new Set<string>();

  /** `changed`: there is somebody else to suggest. */
  constructor(private readonly channel: bigint, private readonly changed: () => void) {}

  close(): void {
    clearTimeout(this.pausing);
  }

  /** Somebody is being named. */
  ask(word: string): void {
    if (usersOf(this.channel) !== undefined) return;
    if (isLarge(this.channel)) return this.askByName(word);
    if (this.isAsked) return;
    this.isAsked = true;
    chat().members(this.channel).then((all) => this.add(all.slice(0, MEMBERS_MAX).map(({ user }) => user)), () => { this.isAsked = false; });
  }

  private askByName(word: string): void {
    clearTimeout(this.pausing);
    if (word.length < NAME_CHARS_MIN || this.looked.has(word)) return;
    this.pausing = setTimeout(() => void this.look(word), PAUSE_MS);
  }

  private async look(word: string): Promise<void> {
    this.looked.add(word);
    try {
      const { user } = learn(await chat().ask("GET", `/v1/users/by-name/${encodeURIComponent(word)}`));
      const { items: [item] } = await chat().memberPage(this.channel, user - 1n, 1);
      if (item?.user === user) this.add([user]);
    } catch {
      // Nobody is called that, or not yet: the next letter asks anew.
    }
  }

  private add(users: readonly bigint[]): void {
    this.users = [...new Set([...this.users, ...users])];
    this.changed();
  }

  suggested(word: string): readonly bigint[] {
    const wanted = word.toLocaleLowerCase();
    const spoke = isLarge(this.channel) ? speakers(room.peek()?.messages.peek() ?? []) : [];
    const fits = (user: bigint) => {
      const { name, display } = person(user);
      return user !== me() && `${name} ${display}`.toLocaleLowerCase().includes(wanted);
    };
    return [...new Set([...this.users, ...spoke])].filter(fits).slice(0, SUGGESTED_MAX);
  }
}

const isLarge = (channel: bigint): boolean => room.peek()?.channel === channel && room.peek()?.isLarge.peek() === true;
/** Who spoke, the last first. */
const speakers = (messages: readonly Message[]): bigint[] => [...new Set(messages.map(({ sender }) => sender).toReversed())];
