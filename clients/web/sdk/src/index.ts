/** Maru's SDK. README.md beside this folder shows how it is used. */
export { isShown } from "./channels.js";
export type { Around, Asked, Chat, ChatEvents, MemberPage, Mentioned, Sending } from "./chat.js";
export { CodecError } from "./codec.js";
export { Account, AccountError, type Fetch, type Login } from "./dial/account.js";
export type { End } from "./dial/dialler.js";
export { fallback } from "./dial/fallback.js";
export { type Link, type LinkEvents, type Place, type Socket, type SocketMaker, type Transport, webSocket } from "./dial/link.js";
export { poll, type Polling } from "./dial/poll.js";
export { Frame, FrameError, kindName } from "./frame.js";
export {
  type AboutItem, type ChannelItem, Kind, type MemberItem, type MentionItem, type OwnPresence, type PinItem, type PresenceItem, type ReactionItem, type ReactorItem,
  type ReceiptItem, TEXT_CHARS_MAX,
} from "./generated.js";
export { directChannel, groupChannel, isOwn, ownChannel, usersOf } from "./ids.js";
export { Maru, type Options } from "./maru.js";
export { type Channel, type Locks, openShared, type SharedOptions } from "./shared.js";
export { Refusal } from "./session/check.js";
export type { ChannelInfo, ChannelPage, Content, Event, History, Message, Prefs, Said, Talk, ThreadPage } from "./session/event.js";
export type { ListWindow, Window } from "./session/asks.js";
export { Session } from "./session/session.js";
export { IndexedStore } from "./store/indexed.js";
export type { Storage } from "./store/keeper.js";
export { MemoryStore } from "./store/memory.js";
export { openStore } from "./store/open.js";
export { type Bounds, type Change, type Kept, type KeptDraft, type KeptSend, recalledBy, type Span, type Store, StoreFull, takesBack } from "./store/store.js";
