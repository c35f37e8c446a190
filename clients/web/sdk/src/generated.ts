// Written by `npm run generate` from protocol/vectors.json and docs/protocol.md. Do not edit.
import { item, root } from "./codec.js";

/** What a frame's body is. The high byte is the family. */
export const Kind = {
  SEND_TEXT: 0x0101,
  EDIT_TEXT: 0x0102,
  RECALL: 0x0103,
  REACT: 0x0104,
  PIN: 0x0105,
  CREATE_GROUP: 0x0110,
  ADD_MEMBERS: 0x0111,
  REMOVE_MEMBER: 0x0112,
  LEAVE_GROUP: 0x0113,
  RENAME_GROUP: 0x0114,
  SET_ROLE: 0x0115,
  INVITE_MEMBERS: 0x0116,
  JOIN_GROUP: 0x0117,
  MUTE_MEMBER: 0x0118,
  BAN_MEMBER: 0x0119,
  UNBAN_MEMBER: 0x011a,
  SET_SLOW: 0x011b,
  GROW_GROUP: 0x011c,
  ERASE: 0x011f,
  SET_PREFS: 0x0120,
  SET_DRAFT: 0x0121,
  HIDE: 0x0122,
  HELLO: 0x0201,
  WELCOME: 0x0202,
  REAUTH: 0x0203,
  HEARTBEAT: 0x0204,
  GOING_AWAY: 0x0205,
  DONE: 0x0206,
  SEND_ACK: 0x0301,
  COMPLETE: 0x0302,
  CURSOR_ACK: 0x0303,
  GET_HISTORY: 0x0304,
  HISTORY_PAGE: 0x0305,
  GET_MEMBERS: 0x0306,
  MEMBERS: 0x0307,
  GET_CHANNELS: 0x0308,
  CHANNELS: 0x0309,
  MARK_READ: 0x030a,
  GET_ABOUT: 0x030b,
  ABOUT: 0x030c,
  GET_THREAD: 0x030d,
  THREAD: 0x030e,
  GET_MENTIONS: 0x030f,
  RECALLED: 0x0310,
  MARK_DELIVERED: 0x0312,
  RECEIPTS: 0x0313,
  GET_RECEIPTS: 0x0314,
  TYPING: 0x0315,
  MENTIONS: 0x0316,
  GET_NOTES: 0x0317,
  NOTES: 0x0318,
  GET_RULES: 0x0320,
  RULES: 0x0321,
  HEADS: 0x0325,
  WATCH: 0x0401,
  UNWATCH: 0x0402,
  PRESENCE: 0x0403,
  SET_PRESENCE: 0x0404,
  IDLE: 0x0405,
  GET_PRESENCE: 0x0406,
  GET_OWN_PRESENCE: 0x0407,
  OWN_PRESENCE: 0x0408,
  SUBSCRIBE_PUSH: 0x0410,
  UNSUBSCRIBE_PUSH: 0x0411,
  SET_PUSH: 0x0412,
  GET_PUSH: 0x0413,
  PUSH: 0x0414,
  REJECT: 0x0f01,
} as const;

/** Why a frame was refused. */
export const Code = {
  too_large: 1,
  unknown_kind: 2,
  unknown_version: 3,
  malformed: 4,
  not_canonical: 5,
  limit: 6,
  unauthenticated: 7,
  rate: 8,
  forbidden: 9,
  conflict: 10,
  busy: 11,
  no_such_user: 12,
  expired: 13,
  too_many_devices: 14,
  storage_full: 15,
  needs_consent: 16,
  muted: 17,
  slow: 18,
  banned: 19,
  refused_word: 20,
} as const;

/** Why a connection was closed. */
export const Close = {
  normal: 1000,
  going_away: 1001,
  protocol: 1002,
  not_binary: 1003,
  not_utf8: 1007,
  too_big: 1009,
  internal: 1011,
  unauthenticated: 4001,
  hello_timeout: 4002,
  replaced: 4003,
  expired: 4004,
  heartbeat_timeout: 4005,
  slow_reader: 4006,
  too_many_faults: 4007,
} as const;

/** bytes of a frame header */
export const HEADER_BYTES = 16;
/** bytes of a stamp */
export const STAMP_BYTES = 24;
/** bytes of a frame with its header */
export const FRAME_BYTES_MAX = 524288;
/** bytes of a WebSocket message */
export const WS_MESSAGE_BYTES_MAX = 1048576;
/** frames in a WebSocket message */
export const WS_MESSAGE_FRAMES_MAX = 4096;
/** bytes from a device before Welcome */
export const UNAUTHENTICATED_BYTES_MAX = 16384;
/** bytes of a token */
export const TOKEN_BYTES_MAX = 8192;
/** Unicode scalar values of a text */
export const TEXT_CHARS_MAX = 100000;
/** Unicode scalar values of a group's name */
export const NAME_CHARS_MAX = 100;
/** members of a group; Welcome says the real number */
export const GROUP_MEMBERS_DEFAULT = 100;
/** what an operator can set that to */
export const GROUP_MEMBERS_MAX = 500;
/** devices of an account */
export const DEVICES_MAX = 16;
/** messages in a page */
export const PAGE_MESSAGES_MAX = 200;
/** bytes of messages in a page, but always one message */
export const PAGE_BYTES_MAX = 262144;
/** items in a page of channels or members */
export const LIST_ITEMS_MAX = 500;
/** users that one text mentions by name */
export const MENTIONS_MAX = 50;
/** items in a page of mentions */
export const MENTIONS_PAGE_MAX = 100;
/** numbers that browsers read as numbers */
export const U53_MAX = 9007199254740991;

export interface HeadItem {
  channel: bigint;
  head: number;
}
export const HeadItemLayout = item<HeadItem>(24, [["channel", "u128"], ["head", "count"]]);

export interface KindVersion {
  kind: number;
  version: number;
}
export const KindVersionLayout = item<KindVersion>(3, [["kind", "u16"], ["version", "u8"]]);

export interface MemberItem {
  user: bigint;
  joined: number;
  role: number;
}
export const MemberItemLayout = item<MemberItem>(17, [["user", "id"], ["joined", "count"], ["role", "u8"]]);

export interface ReceiptItem {
  user: bigint;
  read: number;
  delivered: number;
}
export const ReceiptItemLayout = item<ReceiptItem>(24, [["user", "id"], ["read", "count"], ["delivered", "count"]]);

export interface PresenceItem {
  user: bigint;
  state: number;
  lastActiveMs: number;
  statusUntilMs: number;
  status: string;
}
export const PresenceItemLayout = item<PresenceItem>(33, [["user", "id"], ["state", "u8"], ["lastActiveMs", "count"], ["statusUntilMs", "count"], ["status", "string"]]);

export interface PushItem {
  device: bigint;
  provider: number;
  createdMs: number;
}
export const PushItemLayout = item<PushItem>(17, [["device", "id"], ["provider", "u8"], ["createdMs", "count"]]);

export interface PresentDevice {
  device: bigint;
  state: number;
  seenMs: number;
}
export const PresentDeviceLayout = item<PresentDevice>(17, [["device", "id"], ["state", "u8"], ["seenMs", "count"]]);

export interface ChannelItem {
  channel: bigint;
  head: number;
  read: number;
  unread: number;
  member: boolean;
  name: string;
}
export const ChannelItemLayout = item<ChannelItem>(49, [["channel", "u128"], ["head", "count"], ["read", "count"], ["unread", "count"], ["member", "bool"], ["name", "string"]]);

export interface MentionItem {
  at: number;
  channel: bigint;
  seq: number;
  timeMs: number;
  sender: bigint;
}
export const MentionItemLayout = item<MentionItem>(48, [["at", "count"], ["channel", "u128"], ["seq", "count"], ["timeMs", "count"], ["sender", "id"]]);

export interface PinItem {
  seq: number;
  by: number;
}
export const PinItemLayout = item<PinItem>(16, [["seq", "count"], ["by", "count"]]);

export interface AboutItem {
  seq: number;
  edited: number;
  edits: number;
  text: string;
}
export const AboutItemLayout = item<AboutItem>(28, [["seq", "count"], ["edited", "count"], ["edits", "u32"], ["text", "string"]]);

export interface ReactionItem {
  seq: number;
  count: number;
  own: boolean;
  emoji: string;
}
export const ReactionItemLayout = item<ReactionItem>(21, [["seq", "count"], ["count", "u32"], ["own", "bool"], ["emoji", "string"]]);

export interface ReactorItem {
  seq: number;
  user: bigint;
  reaction: number;
}
export const ReactorItemLayout = item<ReactorItem>(20, [["seq", "count"], ["user", "id"], ["reaction", "u32"]]);

export interface MentionCount {
  channel: bigint;
  unread: number;
}
export const MentionCountLayout = item<MentionCount>(20, [["channel", "u128"], ["unread", "u32"]]);

export interface ChannelDetail {
  mentions: number;
  lastSeq: number;
  lastSender: bigint;
  lastMs: number;
  lastKind: number;
  mutedUntilMs: number;
  pinned: number;
  notify: number;
  markedUnread: boolean;
  archived: boolean;
  hasDraft: boolean;
  text: string;
}
export const ChannelDetailLayout = item<ChannelDetail>(58, [["mentions", "count"], ["lastSeq", "count"], ["lastSender", "id"], ["lastMs", "count"], ["lastKind", "u16"], ["mutedUntilMs", "count"], ["pinned", "u32"], ["notify", "u8"], ["markedUnread", "bool"], ["archived", "bool"], ["hasDraft", "bool"], ["text", "string"]]);

export interface DraftItem {
  about: bigint;
  thread: number;
  timeMs: number;
  text: string;
}
export const DraftItemLayout = item<DraftItem>(40, [["about", "u128"], ["thread", "count"], ["timeMs", "count"], ["text", "string"]]);

export interface SanctionItem {
  user: bigint;
  mutedUntilMs: number;
  isBanned: boolean;
}
export const SanctionItemLayout = item<SanctionItem>(17, [["user", "id"], ["mutedUntilMs", "count"], ["isBanned", "bool"]]);

export interface HiddenItem {
  about: bigint;
  at: number;
  seq: number;
  through: number;
}
export const HiddenItemLayout = item<HiddenItem>(40, [["about", "u128"], ["at", "count"], ["seq", "count"], ["through", "count"]]);

export interface SendTextV2 {
  replyTo: number;
  thread: number;
  forwardedFrom: bigint;
  mentions: bigint[];
  mentionFlags: number;
  channel: bigint;
  text: string;
}
export const SendTextV2 = root<SendTextV2>(257, 2, 400064, 57, [["replyTo", "count"], ["thread", "count"], ["forwardedFrom", "id"], ["mentions", ["id"]], ["mentionFlags", "u8"], ["channel", "u128"], ["text", "string"]]);

export interface EditText {
  channel: bigint;
  target: number;
  text: string;
}
export const EditText = root<EditText>(258, 1, 400064, 32, [["channel", "u128"], ["target", "count"], ["text", "string"]]);

export interface Recall {
  channel: bigint;
  target: number;
}
export const Recall = root<Recall>(259, 1, 64, 24, [["channel", "u128"], ["target", "count"]]);

export interface React {
  channel: bigint;
  target: number;
  on: boolean;
  emoji: string;
}
export const React = root<React>(260, 1, 96, 33, [["channel", "u128"], ["target", "count"], ["on", "bool"], ["emoji", "string"]]);

export interface Pin {
  channel: bigint;
  target: number;
  on: boolean;
}
export const Pin = root<Pin>(261, 1, 64, 25, [["channel", "u128"], ["target", "count"], ["on", "bool"]]);

export interface CreateGroup {
  channel: bigint;
  name: string;
  members: bigint[];
}
export const CreateGroup = root<CreateGroup>(272, 1, 4464, 32, [["channel", "u128"], ["name", "string"], ["members", ["id"]]]);

export interface AddMembers {
  channel: bigint;
  members: bigint[];
}
export const AddMembers = root<AddMembers>(273, 1, 4064, 24, [["channel", "u128"], ["members", ["id"]]]);

export interface RemoveMember {
  channel: bigint;
  member: bigint;
}
export const RemoveMember = root<RemoveMember>(274, 1, 64, 24, [["channel", "u128"], ["member", "id"]]);

export interface LeaveGroup {
  channel: bigint;
}
export const LeaveGroup = root<LeaveGroup>(275, 1, 64, 16, [["channel", "u128"]]);

export interface RenameGroup {
  channel: bigint;
  name: string;
}
export const RenameGroup = root<RenameGroup>(276, 1, 464, 24, [["channel", "u128"], ["name", "string"]]);

export interface SetRole {
  channel: bigint;
  member: bigint;
  role: number;
}
export const SetRole = root<SetRole>(277, 1, 64, 25, [["channel", "u128"], ["member", "id"], ["role", "u8"]]);

export interface InviteMembers {
  channel: bigint;
  members: bigint[];
}
export const InviteMembers = root<InviteMembers>(278, 1, 4064, 24, [["channel", "u128"], ["members", ["id"]]]);

export interface JoinGroup {
  channel: bigint;
}
export const JoinGroup = root<JoinGroup>(279, 1, 64, 16, [["channel", "u128"]]);

export interface MuteMember {
  channel: bigint;
  member: bigint;
  forS: number;
}
export const MuteMember = root<MuteMember>(280, 1, 64, 28, [["channel", "u128"], ["member", "id"], ["forS", "u32"]]);

export interface BanMember {
  channel: bigint;
  member: bigint;
}
export const BanMember = root<BanMember>(281, 1, 64, 24, [["channel", "u128"], ["member", "id"]]);

export interface UnbanMember {
  channel: bigint;
  member: bigint;
}
export const UnbanMember = root<UnbanMember>(282, 1, 64, 24, [["channel", "u128"], ["member", "id"]]);

export interface SetSlow {
  channel: bigint;
  intervalS: number;
}
export const SetSlow = root<SetSlow>(283, 1, 64, 20, [["channel", "u128"], ["intervalS", "u32"]]);

export interface GrowGroup {
  channel: bigint;
}
export const GrowGroup = root<GrowGroup>(284, 1, 64, 16, [["channel", "u128"]]);

export interface Erase {
  channel: bigint;
}
export const Erase = root<Erase>(287, 1, 64, 16, [["channel", "u128"]]);

export interface SetPrefs {
  channel: bigint;
  about: bigint;
  mutedUntilMs: number;
  pinned: number;
  markedUnread: boolean;
  notify: number;
  archived: boolean;
}
export const SetPrefs = root<SetPrefs>(288, 1, 64, 47, [["channel", "u128"], ["about", "u128"], ["mutedUntilMs", "count"], ["pinned", "u32"], ["markedUnread", "bool"], ["notify", "u8"], ["archived", "bool"]]);

export interface SetDraft {
  channel: bigint;
  about: bigint;
  thread: number;
  text: string;
}
export const SetDraft = root<SetDraft>(289, 1, 400064, 48, [["channel", "u128"], ["about", "u128"], ["thread", "count"], ["text", "string"]]);

export interface Hide {
  channel: bigint;
  about: bigint;
  seq: number;
  through: number;
}
export const Hide = root<Hide>(290, 1, 64, 48, [["channel", "u128"], ["about", "u128"], ["seq", "count"], ["through", "count"]]);

export interface Hello {
  generation: number;
  cursor: number;
  token: string;
}
export const Hello = root<Hello>(513, 1, 8256, 24, [["generation", "count"], ["cursor", "count"], ["token", "string"]]);

export interface WelcomeV2 {
  tokensPerS: number;
  tokensBurst: number;
  tokenBytes: number;
  user: bigint;
  device: bigint;
  generation: number;
  start: number;
  head: number;
  timeMs: number;
  expiresMs: number;
  heartbeatMs: number;
  groupMembersMax: number;
  kinds: KindVersion[];
}
export const WelcomeV2 = root<WelcomeV2>(514, 2, 4096, 84, [["tokensPerS", "u32"], ["tokensBurst", "u32"], ["tokenBytes", "u32"], ["user", "id"], ["device", "id"], ["generation", "count"], ["start", "count"], ["head", "count"], ["timeMs", "count"], ["expiresMs", "count"], ["heartbeatMs", "u32"], ["groupMembersMax", "u32"], ["kinds", [KindVersionLayout]]]);

export interface Reauth {
  token: string;
}
export const Reauth = root<Reauth>(515, 1, 8256, 8, [["token", "string"]]);

export interface Heartbeat {
  timeMs: number;
}
export const Heartbeat = root<Heartbeat>(516, 1, 64, 8, [["timeMs", "count"]]);

export interface GoingAway {
  reconnectAfterMs: number;
  reason: number;
}
export const GoingAway = root<GoingAway>(517, 1, 64, 6, [["reconnectAfterMs", "u32"], ["reason", "u16"]]);

export interface Done {
  kind: number;
}
export const Done = root<Done>(518, 1, 64, 2, [["kind", "u16"]]);

export interface SendAck {
  channel: bigint;
  seq: number;
  timeMs: number;
}
export const SendAck = root<SendAck>(769, 1, 64, 32, [["channel", "u128"], ["seq", "count"], ["timeMs", "count"]]);

export interface Complete {
  generation: number;
  from: number;
  to: number;
  head: number;
}
export const Complete = root<Complete>(770, 1, 64, 32, [["generation", "count"], ["from", "count"], ["to", "count"], ["head", "count"]]);

export interface CursorAck {
  generation: number;
  cursor: number;
}
export const CursorAck = root<CursorAck>(771, 1, 64, 16, [["generation", "count"], ["cursor", "count"]]);

export interface GetHistoryV2 {
  at: number;
  around: number;
  channel: bigint;
  after: number;
  before: number;
  limit: number;
  newest: boolean;
}
export const GetHistoryV2 = root<GetHistoryV2>(772, 2, 64, 46, [["at", "count"], ["around", "u8"], ["channel", "u128"], ["after", "count"], ["before", "count"], ["limit", "u32"], ["newest", "bool"]]);

export interface HistoryPageV2 {
  pivot: number;
  moreBefore: boolean;
  moreAfter: boolean;
  channel: bigint;
  from: number;
  to: number;
  head: number;
  count: number;
  more: boolean;
}
export const HistoryPageV2 = root<HistoryPageV2>(773, 2, 128, 55, [["pivot", "count"], ["moreBefore", "bool"], ["moreAfter", "bool"], ["channel", "u128"], ["from", "count"], ["to", "count"], ["head", "count"], ["count", "u32"], ["more", "bool"]]);

export interface GetMembers {
  channel: bigint;
  after: bigint;
  limit: number;
}
export const GetMembers = root<GetMembers>(774, 1, 64, 28, [["channel", "u128"], ["after", "id"], ["limit", "u32"]]);

export interface MembersV2 {
  total: number;
  channel: bigint;
  items: MemberItem[];
  more: boolean;
}
export const MembersV2 = root<MembersV2>(775, 2, 524248, 29, [["total", "u32"], ["channel", "u128"], ["items", [MemberItemLayout]], ["more", "bool"]]);

export interface GetChannelsV2 {
  generation: number;
  at: number;
  order: number;
  after: bigint;
  limit: number;
}
export const GetChannelsV2 = root<GetChannelsV2>(776, 2, 64, 37, [["generation", "count"], ["at", "count"], ["order", "u8"], ["after", "u128"], ["limit", "u32"]]);

export interface ChannelsV2 {
  generation: number;
  through: number;
  next: number;
  needsSnapshot: boolean;
  details: ChannelDetail[];
  items: ChannelItem[];
  more: boolean;
}
export const ChannelsV2 = root<ChannelsV2>(777, 2, 524248, 42, [["generation", "count"], ["through", "count"], ["next", "count"], ["needsSnapshot", "bool"], ["details", [ChannelDetailLayout]], ["items", [ChannelItemLayout]], ["more", "bool"]]);

export interface MarkRead {
  channel: bigint;
  seq: number;
}
export const MarkRead = root<MarkRead>(778, 1, 64, 24, [["channel", "u128"], ["seq", "count"]]);

export interface GetAbout {
  channel: bigint;
  from: number;
  through: number;
  limit: number;
  who: boolean;
}
export const GetAbout = root<GetAbout>(779, 1, 64, 37, [["channel", "u128"], ["from", "count"], ["through", "count"], ["limit", "u32"], ["who", "bool"]]);

export interface About {
  channel: bigint;
  from: number;
  to: number;
  pins: PinItem[];
  items: AboutItem[];
  reactions: ReactionItem[];
  who: ReactorItem[];
  more: boolean;
}
export const About = root<About>(780, 1, 524248, 65, [["channel", "u128"], ["from", "count"], ["to", "count"], ["pins", [PinItemLayout]], ["items", [AboutItemLayout]], ["reactions", [ReactionItemLayout]], ["who", [ReactorItemLayout]], ["more", "bool"]]);

export interface GetThread {
  channel: bigint;
  root: number;
  after: number;
  before: number;
  limit: number;
  newest: boolean;
}
export const GetThread = root<GetThread>(781, 1, 64, 45, [["channel", "u128"], ["root", "count"], ["after", "count"], ["before", "count"], ["limit", "u32"], ["newest", "bool"]]);

export interface Thread {
  channel: bigint;
  root: number;
  from: number;
  to: number;
  total: number;
  newest: number;
  count: number;
  more: boolean;
}
export const Thread = root<Thread>(782, 1, 128, 57, [["channel", "u128"], ["root", "count"], ["from", "count"], ["to", "count"], ["total", "u32"], ["newest", "count"], ["count", "u32"], ["more", "bool"]]);

export interface GetMentions {
  before: number;
  limit: number;
}
export const GetMentions = root<GetMentions>(783, 1, 64, 12, [["before", "count"], ["limit", "u32"]]);

export interface Recalled {
  channel: bigint;
  target: number;
  by: number;
  user: bigint;
  timeMs: number;
}
export const Recalled = root<Recalled>(784, 1, 64, 48, [["channel", "u128"], ["target", "count"], ["by", "count"], ["user", "id"], ["timeMs", "count"]]);

export interface MarkDelivered {
  channel: bigint;
  seq: number;
}
export const MarkDelivered = root<MarkDelivered>(786, 1, 64, 24, [["channel", "u128"], ["seq", "count"]]);

export interface Receipts {
  channel: bigint;
  items: ReceiptItem[];
  more: boolean;
}
export const Receipts = root<Receipts>(787, 1, 524248, 25, [["channel", "u128"], ["items", [ReceiptItemLayout]], ["more", "bool"]]);

export interface GetReceipts {
  channel: bigint;
  after: bigint;
  limit: number;
}
export const GetReceipts = root<GetReceipts>(788, 1, 64, 28, [["channel", "u128"], ["after", "id"], ["limit", "u32"]]);

export interface Typing {
  channel: bigint;
  user: bigint;
  expiresMs: number;
  state: number;
}
export const Typing = root<Typing>(789, 1, 64, 29, [["channel", "u128"], ["user", "id"], ["expiresMs", "u32"], ["state", "u8"]]);

export interface Mentions {
  items: MentionItem[];
  unread: MentionCount[];
  more: boolean;
}
export const Mentions = root<Mentions>(790, 1, 524248, 17, [["items", [MentionItemLayout]], ["unread", [MentionCountLayout]], ["more", "bool"]]);

export interface GetNotes {
  about: bigint;
  afterAbout: bigint;
  after: number;
  what: number;
  limit: number;
}
export const GetNotes = root<GetNotes>(791, 1, 64, 45, [["about", "u128"], ["afterAbout", "u128"], ["after", "count"], ["what", "u8"], ["limit", "u32"]]);

export interface Notes {
  drafts: DraftItem[];
  hidden: HiddenItem[];
  more: boolean;
}
export const Notes = root<Notes>(792, 1, 524248, 17, [["drafts", [DraftItemLayout]], ["hidden", [HiddenItemLayout]], ["more", "bool"]]);

export interface GetRules {
  channel: bigint;
  after: number;
  limit: number;
}
export const GetRules = root<GetRules>(800, 1, 64, 28, [["channel", "u128"], ["after", "count"], ["limit", "u32"]]);

export interface Rules {
  channel: bigint;
  intervalS: number;
  items: SanctionItem[];
  more: boolean;
}
export const Rules = root<Rules>(801, 1, 524248, 29, [["channel", "u128"], ["intervalS", "u32"], ["items", [SanctionItemLayout]], ["more", "bool"]]);

export interface Heads {
  items: HeadItem[];
}
export const Heads = root<Heads>(805, 1, 524248, 8, [["items", [HeadItemLayout]]]);

export interface Watch {
  users: bigint[];
}
export const Watch = root<Watch>(1025, 1, 4064, 8, [["users", ["id"]]]);

export interface Unwatch {
  users: bigint[];
}
export const Unwatch = root<Unwatch>(1026, 1, 4064, 8, [["users", ["id"]]]);

export interface Presence {
  items: PresenceItem[];
}
export const Presence = root<Presence>(1027, 1, 524248, 8, [["items", [PresenceItemLayout]]]);

export interface SetPresence {
  shows: number;
  statusUntilMs: number;
  status: string;
}
export const SetPresence = root<SetPresence>(1028, 1, 576, 17, [["shows", "u8"], ["statusUntilMs", "count"], ["status", "string"]]);

export interface Idle {
  isIdle: boolean;
}
export const Idle = root<Idle>(1029, 1, 64, 1, [["isIdle", "bool"]]);

export interface GetPresence {
  users: bigint[];
}
export const GetPresence = root<GetPresence>(1030, 1, 864, 8, [["users", ["id"]]]);

export interface GetOwnPresence {
  device: bigint;
}
export const GetOwnPresence = root<GetOwnPresence>(1031, 1, 64, 8, [["device", "id"]]);

export interface OwnPresence {
  state: number;
  shows: number;
  statusUntilMs: number;
  status: string;
  devices: PresentDevice[];
}
export const OwnPresence = root<OwnPresence>(1032, 1, 524248, 26, [["state", "u8"], ["shows", "u8"], ["statusUntilMs", "count"], ["status", "string"], ["devices", [PresentDeviceLayout]]]);

export interface SubscribePush {
  provider: number;
  preview: number;
  language: number;
  quietFrom: number;
  quietUntil: number;
  zone: string;
  address: string;
  p256dh: string;
  secret: string;
}
export const SubscribePush = root<SubscribePush>(1040, 1, 2496, 39, [["provider", "u8"], ["preview", "u8"], ["language", "u8"], ["quietFrom", "u16"], ["quietUntil", "u16"], ["zone", "string"], ["address", "string"], ["p256dh", "string"], ["secret", "string"]]);

export interface UnsubscribePush {
  device: bigint;
  provider: number;
}
export const UnsubscribePush = root<UnsubscribePush>(1041, 1, 64, 9, [["device", "id"], ["provider", "u8"]]);

export interface SetPush {
  isOff: boolean;
}
export const SetPush = root<SetPush>(1042, 1, 64, 1, [["isOff", "bool"]]);

export interface GetPush {
  device: bigint;
}
export const GetPush = root<GetPush>(1043, 1, 64, 8, [["device", "id"]]);

export interface Push {
  isOff: boolean;
  key: string;
  items: PushItem[];
}
export const Push = root<Push>(1044, 1, 1024, 17, [["isOff", "bool"], ["key", "string"], ["items", [PushItemLayout]]]);

export interface Reject {
  code: number;
  retryAfterMs: number;
  path: string;
  text: string;
}
export const Reject = root<Reject>(3841, 1, 1024, 22, [["code", "u16"], ["retryAfterMs", "u32"], ["path", "string"], ["text", "string"]]);

export interface SendText {
  channel: bigint;
  text: string;
}
export const SendText = root<SendText>(257, 1, 400064, 24, [["channel", "u128"], ["text", "string"]]);

export interface Welcome {
  user: bigint;
  device: bigint;
  generation: number;
  start: number;
  head: number;
  timeMs: number;
  expiresMs: number;
  heartbeatMs: number;
  groupMembersMax: number;
  kinds: KindVersion[];
}
export const Welcome = root<Welcome>(514, 1, 4096, 72, [["user", "id"], ["device", "id"], ["generation", "count"], ["start", "count"], ["head", "count"], ["timeMs", "count"], ["expiresMs", "count"], ["heartbeatMs", "u32"], ["groupMembersMax", "u32"], ["kinds", [KindVersionLayout]]]);

export interface GetHistory {
  channel: bigint;
  after: number;
  before: number;
  limit: number;
  newest: boolean;
}
export const GetHistory = root<GetHistory>(772, 1, 64, 37, [["channel", "u128"], ["after", "count"], ["before", "count"], ["limit", "u32"], ["newest", "bool"]]);

export interface HistoryPage {
  channel: bigint;
  from: number;
  to: number;
  head: number;
  count: number;
  more: boolean;
}
export const HistoryPage = root<HistoryPage>(773, 1, 128, 45, [["channel", "u128"], ["from", "count"], ["to", "count"], ["head", "count"], ["count", "u32"], ["more", "bool"]]);

export interface Members {
  channel: bigint;
  items: MemberItem[];
  more: boolean;
}
export const Members = root<Members>(775, 1, 524248, 25, [["channel", "u128"], ["items", [MemberItemLayout]], ["more", "bool"]]);

export interface GetChannels {
  after: bigint;
  limit: number;
}
export const GetChannels = root<GetChannels>(776, 1, 64, 20, [["after", "u128"], ["limit", "u32"]]);

export interface Channels {
  items: ChannelItem[];
  more: boolean;
}
export const Channels = root<Channels>(777, 1, 524248, 9, [["items", [ChannelItemLayout]], ["more", "bool"]]);

/** Every kind's body in its highest version, in the order of kinds. */
export const NEWEST = [SendTextV2, EditText, Recall, React, Pin, CreateGroup, AddMembers, RemoveMember, LeaveGroup, RenameGroup, SetRole, InviteMembers, JoinGroup, MuteMember, BanMember, UnbanMember, SetSlow, GrowGroup, Erase, SetPrefs, SetDraft, Hide, Hello, WelcomeV2, Reauth, Heartbeat, GoingAway, Done, SendAck, Complete, CursorAck, GetHistoryV2, HistoryPageV2, GetMembers, MembersV2, GetChannelsV2, ChannelsV2, MarkRead, GetAbout, About, GetThread, Thread, GetMentions, Recalled, MarkDelivered, Receipts, GetReceipts, Typing, Mentions, GetNotes, Notes, GetRules, Rules, Heads, Watch, Unwatch, Presence, SetPresence, Idle, GetPresence, GetOwnPresence, OwnPresence, SubscribePush, UnsubscribePush, SetPush, GetPush, Push, Reject];
/** Bodies of lower versions, which readers still meet. */
export const OLDER = [SendText, Welcome, GetHistory, HistoryPage, Members, GetChannels, Channels];
