/** What a device says: messages, which wait for their acks and are sent again under the same id until one comes. */
import type { Root } from "../codec.js";
import { Frame } from "../frame.js";
import {
  AddMembers, CreateGroup, EditText, GROUP_MEMBERS_MAX, InviteMembers, JoinGroup, LeaveGroup, MENTIONS_MAX, Pin, React, Recall, RemoveMember, RenameGroup,
  SendText, SendTextV2, SetDraft, SetPrefs, SetRole,
} from "../generated.js";
import { groupChannel, ownChannel } from "../ids.js";
import { Answers } from "./answers.js";
import {
  checkChannel, checkEmoji, checkGroup, checkName, checkPosition, checkRole, checkTarget, checkText, checkUser, checkUsers, Refusal, risingUsers,
} from "./check.js";
import { MENTIONS_ALL, MENTIONS_ONLINE, type Prefs, readContent, type Talk } from "./event.js";
import { BUSY_RETRY_MS, PENDING_MAX } from "./limits.js";

export class Says extends Answers {
  /** Sends text of 1 to 100,000 characters. `sendId`: a number of the app's own, else one is drawn. */
  sendText(channel: bigint, text: string, sendId?: bigint): bigint {
    return this.send(SendText, { channel, text }, sendId, () => {
      checkChannel(channel);
      checkText(text);
    });
  }

  /** Sends text as {@link sendText} does, and says what it is about. */
  sendTalk(channel: bigint, text: string, talk: Talk = {}, sendId?: bigint): bigint {
    const { replyTo = 0, thread = 0, forwardedFrom = 0n, all = false, online = false } = talk;
    const mentions = risingUsers(talk.mentions ?? []);
    const mentionFlags = (all ? MENTIONS_ALL : 0) | (online ? MENTIONS_ONLINE : 0);
    return this.send(SendTextV2, { replyTo, thread, forwardedFrom, mentions, mentionFlags, channel, text }, sendId, () => {
      checkChannel(channel);
      checkText(text);
      checkPosition("reply_to", replyTo);
      checkPosition("thread", thread);
      checkUsers(mentions, 0, MENTIONS_MAX);
    });
  }

  /** One of the user's own texts reads like this from here on. What it answers and whom it mentions stays. */
  edit(channel: bigint, target: number, text: string, sendId?: bigint): bigint {
    return this.send(EditText, { channel, target, text }, sendId, () => {
      checkChannel(channel);
      checkTarget(target);
      checkText(text);
    });
  }

  /** Takes a text back for everybody: an own one, or as an owner or admin of its group. Once more is no fault. */
  recall(channel: bigint, target: number, sendId?: bigint): bigint {
    return this.send(Recall, { channel, target }, sendId, () => {
      checkChannel(channel);
      checkTarget(target);
    });
  }

  /** Reacts to a text with an emoji, or takes that back. */
  react(channel: bigint, target: number, emoji: string, on: boolean, sendId?: bigint): bigint {
    return this.send(React, { channel, target, emoji, on }, sendId, () => {
      checkChannel(channel);
      checkTarget(target);
      checkEmoji(emoji);
    });
  }

  /** Pins a text in its channel, or takes it down. */
  pin(channel: bigint, target: number, on: boolean, sendId?: bigint): bigint {
    return this.send(Pin, { channel, target, on }, sendId, () => {
      checkChannel(channel);
      checkTarget(target);
    });
  }

  /** Says all of how a channel is to be shown and told of: a note in the user's own channel. */
  setPrefs(about: bigint, prefs: Prefs, sendId?: bigint): bigint {
    return this.send(SetPrefs, { channel: ownChannel(this.config.user), about, ...prefs }, sendId, () => checkChannel(about));
  }

  /** Says what the user is writing in a channel, or in a thread of it, for its other devices: a note in its own channel. Empty: nothing
   * any more. */
  setDraft(about: bigint, text: string, sendId?: bigint, thread = 0): bigint {
    return this.send(SetDraft, { channel: ownChannel(this.config.user), about, thread, text }, sendId, () => {
      checkChannel(about);
      checkPosition("thread", thread);
      if (text !== "") checkText(text);
    });
  }

  /** Creates a group with the user as owner; its channel is known at once. Order and repeats in `members` do not matter,
   * and the user may be among them. */
  createGroup(name: string, members: readonly bigint[], sendId = this.newSendId()): { sendId: bigint; channel: bigint } {
    const channel = groupChannel(this.config.user, sendId);
    const others = risingUsers(members).filter((user) => user !== this.config.user);
    this.send(CreateGroup, { channel, name, members: others }, sendId, () => {
      checkName(name);
      checkUsers(others, 0, GROUP_MEMBERS_MAX - 1);
    });
    return { sendId, channel };
  }

  addMembers(channel: bigint, members: readonly bigint[], sendId?: bigint): bigint {
    return this.sendNamed(AddMembers, channel, members, sendId);
  }

  /** Asks users whether they join a group: those who are not added unasked, and those who left it. */
  inviteMembers(channel: bigint, members: readonly bigint[], sendId?: bigint): bigint {
    return this.sendNamed(InviteMembers, channel, members, sendId);
  }

  private sendNamed(type: typeof AddMembers, channel: bigint, named: readonly bigint[], sendId?: bigint): bigint {
    const members = risingUsers(named);
    return this.send(type, { channel, members }, sendId, () => {
      checkGroup(channel);
      checkUsers(members, 1, GROUP_MEMBERS_MAX);
    });
  }

  /** Joins a group to which this user was invited. */
  join(channel: bigint, sendId?: bigint): bigint {
    return this.send(JoinGroup, { channel }, sendId, () => checkGroup(channel));
  }

  leave(channel: bigint, sendId?: bigint): bigint {
    return this.send(LeaveGroup, { channel }, sendId, () => checkGroup(channel));
  }

  removeMember(channel: bigint, member: bigint, sendId?: bigint): bigint {
    return this.send(RemoveMember, { channel, member }, sendId, () => {
      checkGroup(channel);
      checkUser("member", member);
    });
  }

  rename(channel: bigint, name: string, sendId?: bigint): bigint {
    return this.send(RenameGroup, { channel, name }, sendId, () => {
      checkGroup(channel);
      checkName(name);
    });
  }

  /** 0 member, 1 admin, 2 owner. */
  setRole(channel: bigint, member: bigint, role: number, sendId?: bigint): bigint {
    return this.send(SetRole, { channel, member, role }, sendId, () => {
      checkGroup(channel);
      checkUser("member", member);
      checkRole(role);
    });
  }

  private send<T extends { channel: bigint }>(type: Root<T>, body: T, id: bigint | undefined, check: () => void): bigint {
    if (this.pending.length >= PENDING_MAX) {
      throw new Refusal("busy", "", `${PENDING_MAX} sends wait for their acks`, BUSY_RETRY_MS);
    }
    if (id === 0n) throw new Refusal("limit", "send_id", "0; a send id is 1 or more");
    const sendId = id ?? this.newSendId();
    check();
    const frame = Frame.of(type, sendId, body);
    const same = this.pending.find(sendId);
    if (!same) {
      this.pending.push(body.channel, frame);
      this.marks.sent(body.channel);
    }
    // The app repeats itself: one of them is enough.
    else if (!isSame(same.bytes, frame.bytes)) throw new Refusal("conflict", "send_id", "this send id is pending with other content");
    return sendId;
  }

  /** The whole frame of a send without an ack: what an app keeps of it. */
  pendingFrame(sendId: bigint): Uint8Array | undefined {
    return this.pending.find(sendId)?.bytes;
  }

  /** Sends a frame that an app has kept once more, under its old send id. */
  sendAgain(bytes: Uint8Array): void {
    const frame = Frame.kept(bytes);
    const said = frame && readContent(frame);
    if (said && !this.pending.find(frame.id)) this.pending.push(said.channel, frame);
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, at) => byte === b[at]);
