//! Frames, about one group and one direct channel. Every cell has a group of its own, so that no answer depends on another.

use std::collections::BTreeMap;

use client::account::Account;
use protocol::body::about::{EditText, GetAbout, Pin, React, Recall};
use protocol::body::encode;
use protocol::body::marks::{GetReceipts, MarkDelivered, TYPING_GOES_ON, Typing};
use protocol::body::message::{
    AddMembers, CreateGroup, GrowGroup, InviteMembers, JoinGroup, LeaveGroup, ROLE_ADMIN, RemoveMember,
    RenameGroup, SendText, SetRole,
};
use protocol::body::own::{GetNotes, Hide, SetDraft, SetPrefs};
use protocol::body::presence::{GetOwnPresence, GetPresence, Idle, SetPresence, Unwatch, Watch};
use protocol::body::push::{GetPush, SetPush, SubscribePush, UnsubscribePush};
use protocol::body::rules::{BanMember, GetRules, MuteMember, SetSlow, UnbanMember};
use protocol::body::session::{Done, Heartbeat, Hello, Reauth, Reject};
use protocol::body::sync::{
    CursorAck, GetChannels, GetHistory, GetMembers, HistoryPage, MarkRead, Members, SendAck,
};
use protocol::body::talk::{GetMentions, GetThread};
use protocol::limits::U53_MAX;
use protocol::{ChannelId, CloseCode, Code, Frame, Kind, SendId, SentBy, UserId};

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, heartbeat, made_up, token_until};

over_both! {
    every_kind_has_its_answer_for_everybody
    a_token_is_its_devices_and_its_time
}

/// Who asks about a group: `nobody` has not said Hello; `blocked` was blocked by all others.
const WHO: [&str; 8] = ["nobody", "stranger", "blocked", "removed", "invited", "member", "admin", "owner"];

/// The one answer of each. `ack`, `page`, `done`, `beat` are answers, `-` is none, the others refuse. `nobody` is closed as
/// well.
const GROUP: &str = "
SEND_TEXT       unauthenticated forbidden forbidden forbidden forbidden ack       ack       ack
EDIT_TEXT       unauthenticated forbidden forbidden forbidden forbidden limit     limit     limit
RECALL          unauthenticated forbidden forbidden forbidden forbidden limit     limit     limit
REACT           unauthenticated forbidden forbidden forbidden forbidden limit     limit     limit
PIN             unauthenticated forbidden forbidden forbidden forbidden forbidden limit     limit
CREATE_GROUP    unauthenticated ack       ack       ack       ack       ack       ack       ack
ADD_MEMBERS     unauthenticated forbidden forbidden forbidden forbidden forbidden ack       ack
REMOVE_MEMBER   unauthenticated forbidden forbidden forbidden forbidden forbidden ack       ack
LEAVE_GROUP     unauthenticated forbidden forbidden forbidden forbidden ack       ack       ack
RENAME_GROUP    unauthenticated forbidden forbidden forbidden forbidden forbidden ack       ack
SET_ROLE        unauthenticated forbidden forbidden forbidden forbidden forbidden forbidden ack
INVITE_MEMBERS  unauthenticated forbidden forbidden forbidden forbidden forbidden ack       ack
JOIN_GROUP      unauthenticated forbidden forbidden forbidden ack       limit     limit     limit
MUTE_MEMBER     unauthenticated forbidden forbidden forbidden forbidden forbidden ack       ack
BAN_MEMBER      unauthenticated forbidden forbidden forbidden forbidden forbidden ack       ack
UNBAN_MEMBER    unauthenticated forbidden forbidden forbidden forbidden forbidden limit     limit
SET_SLOW        unauthenticated forbidden forbidden forbidden forbidden forbidden ack       ack
GROW_GROUP      unauthenticated forbidden forbidden forbidden forbidden forbidden forbidden ack
ERASE           unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
SET_PREFS       unauthenticated ack       ack       ack       ack       ack       ack       ack
SET_DRAFT       unauthenticated ack       ack       ack       ack       ack       ack       ack
HIDE            unauthenticated ack       ack       ack       ack       ack       ack       ack
HELLO           unauthenticated forbidden forbidden forbidden forbidden forbidden forbidden forbidden
WELCOME         unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
REAUTH          unauthenticated done      done      done      done      done      done      done
HEARTBEAT       unauthenticated beat      beat      beat      beat      beat      beat      beat
GOING_AWAY      unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
DONE            unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
SEND_ACK        unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
COMPLETE        unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
CURSOR_ACK      unauthenticated -         -         -         -         -         -         -
GET_HISTORY     unauthenticated forbidden forbidden page      page      page      page      page
HISTORY_PAGE    unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
GET_MEMBERS     unauthenticated forbidden forbidden forbidden forbidden page      page      page
MEMBERS         unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
GET_CHANNELS    unauthenticated page      page      page      page      page      page      page
CHANNELS        unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
MARK_READ       unauthenticated forbidden forbidden forbidden forbidden done      done      done
GET_ABOUT       unauthenticated forbidden forbidden forbidden forbidden page      page      page
ABOUT           unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
GET_THREAD      unauthenticated forbidden forbidden page      page      page      page      page
THREAD          unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
GET_MENTIONS    unauthenticated page      page      page      page      page      page      page
RECALLED        unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
MARK_DELIVERED  unauthenticated forbidden forbidden forbidden forbidden -         -         -
RECEIPTS        unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
GET_RECEIPTS    unauthenticated forbidden forbidden forbidden forbidden page      page      page
TYPING          unauthenticated -         -         -         -         -         -         -
MENTIONS        unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
GET_NOTES       unauthenticated page      page      page      page      page      page      page
NOTES           unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
GET_RULES       unauthenticated forbidden forbidden forbidden forbidden page      page      page
RULES           unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
HEADS           unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
WATCH           unauthenticated done      done      done      done      done      done      done
UNWATCH         unauthenticated done      done      done      done      done      done      done
PRESENCE        unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
SET_PRESENCE    unauthenticated done      done      done      done      done      done      done
IDLE            unauthenticated -         -         -         -         -         -         -
GET_PRESENCE    unauthenticated page      page      page      page      page      page      page
GET_OWN_PRESENCE unauthenticated page      page      page      page      page      page      page
OWN_PRESENCE    unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
SUBSCRIBE_PUSH  unauthenticated limit     limit     limit     limit     limit     limit     limit
UNSUBSCRIBE_PUSH unauthenticated done      done      done      done      done      done      done
SET_PUSH        unauthenticated done      done      done      done      done      done      done
GET_PUSH        unauthenticated page      page      page      page      page      page      page
PUSH            unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
REJECT          unauthenticated unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind unknown_kind
";

/// The same about the direct channel of the owner and the member; `blocked` is the member once the owner has blocked it.
const DIRECT_WHO: [&str; 5] = ["nobody", "stranger", "blocked", "member", "owner"];
const DIRECT: &str = "
SEND_TEXT       unauthenticated forbidden needs_consent ack   ack
EDIT_TEXT       unauthenticated forbidden limit     limit limit
RECALL          unauthenticated forbidden limit     limit limit
REACT           unauthenticated forbidden limit     limit limit
PIN             unauthenticated forbidden limit     limit limit
CREATE_GROUP    unauthenticated limit     limit     limit     limit
ADD_MEMBERS     unauthenticated limit     limit     limit     limit
REMOVE_MEMBER   unauthenticated limit     limit     limit     limit
LEAVE_GROUP     unauthenticated limit     limit     limit     limit
RENAME_GROUP    unauthenticated limit     limit     limit     limit
SET_ROLE        unauthenticated limit     limit     limit     limit
INVITE_MEMBERS  unauthenticated limit     limit     limit     limit
JOIN_GROUP      unauthenticated limit     limit     limit     limit
MUTE_MEMBER     unauthenticated limit     limit     limit     limit
BAN_MEMBER      unauthenticated limit     limit     limit     limit
UNBAN_MEMBER    unauthenticated limit     limit     limit     limit
SET_SLOW        unauthenticated limit     limit     limit     limit
GET_RULES       unauthenticated limit     limit     limit     limit
GROW_GROUP      unauthenticated limit     limit     limit     limit
SET_PREFS       unauthenticated limit     limit     limit     limit
SET_DRAFT       unauthenticated limit     limit     limit     limit
HIDE            unauthenticated limit     limit     limit     limit
GET_HISTORY     unauthenticated forbidden page      page      page
GET_MEMBERS     unauthenticated forbidden page      page      page
MARK_READ       unauthenticated forbidden done      done      done
GET_ABOUT       unauthenticated forbidden page      page      page
GET_THREAD      unauthenticated forbidden page      page      page
MARK_DELIVERED  unauthenticated forbidden -         -         -
GET_RECEIPTS    unauthenticated forbidden page      page      page
TYPING          unauthenticated forbidden -         -         -
";

/// And about the owner's own channel.
const OWN_WHO: [&str; 4] = ["nobody", "stranger", "member", "owner"];
const OWN: &str = "
SEND_TEXT       unauthenticated forbidden forbidden ack
SET_PREFS       unauthenticated forbidden forbidden ack
SET_DRAFT       unauthenticated forbidden forbidden ack
HIDE            unauthenticated forbidden forbidden ack
LEAVE_GROUP     unauthenticated limit     limit     limit
GET_HISTORY     unauthenticated forbidden forbidden page
GET_MEMBERS     unauthenticated forbidden forbidden page
MARK_READ       unauthenticated forbidden forbidden done
";

fn kind_of(name: &str) -> Kind {
    let found = Kind::ALL.iter().find(|(_, word)| *word == name);
    found.unwrap_or_else(|| panic!("{name} is no kind")).0
}

/// The rows, each with an answer for everybody.
fn table(text: &str, who: &[&'static str]) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let rows = text.lines().filter(|line| !line.is_empty()).map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let name = words.next().unwrap();
        let (_, name) = Kind::ALL.iter().find(|(kind, _)| *kind == kind_of(&name)).unwrap();
        let cells: Vec<_> = who.iter().copied().zip(words.by_ref()).collect();
        assert!(cells.len() == who.len() && words.next().is_none(), "{name}: an answer for each of {who:?}");
        (*name, cells)
    });
    rows.collect()
}

struct Person {
    user: UserId,
    token: String,
    device: Raw,
}

struct World {
    node: Node,
    people: BTreeMap<&'static str, Person>,
    /// Somebody to be added and invited.
    other: UserId,
    last: u64,
}

impl World {
    async fn start(carrier: Carrier) -> Self {
        let node = Node::over(
            carrier,
            2,
            &[
                "--user-frames-per-s",
                "100000",
                "--user-groups-per-h",
                "0",
                "--frames-per-s",
                "100000",
                "--frames-burst",
                "100000",
                "--user-frames-burst",
                "100000",
            ],
        );
        let account = node.account();
        let mut people = BTreeMap::new();
        for name in WHO.into_iter().filter(|name| *name != "nobody") {
            // Some of the words are kept for those who run the server.
            people.insert(name, person(&node, &account, &format!("{name}1")).await);
        }
        let other = account.signup("other", PASSWORD).await.unwrap();
        let blocked = people["blocked"].user;
        for (_, person) in people.iter().filter(|(name, _)| **name != "blocked") {
            account.set_blocked(&person.token, blocked, true).await.unwrap();
        }
        Self { node, people, other, last: 1000 }
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn user(&self, who: &str) -> UserId {
        self.people[who].user
    }

    fn acked<T: protocol::body::Body>(&mut self, who: &str, body: impl FnOnce(u64) -> T) {
        let id = self.next();
        let device = &mut self.people.get_mut(who).unwrap().device;
        device.body(id, &body(id));
        device.answer_as::<SendAck>(id);
    }

    /// A group with everybody in their places.
    fn group(&mut self) -> ChannelId {
        let mut members: Vec<u64> = ["admin", "member", "removed"].map(|who| self.user(who).0).to_vec();
        members.sort_unstable();
        let channel = ChannelId::group(self.user("owner"), SendId(self.last + 1));
        self.acked("owner", |_| CreateGroup { channel: channel.0, name: "g".into(), members });
        let (admin, removed, invited) =
            (self.user("admin").0, self.user("removed").0, self.user("invited").0);
        self.acked("owner", |_| SetRole { channel: channel.0, member: admin, role: ROLE_ADMIN });
        self.acked("owner", |_| RemoveMember { channel: channel.0, member: removed });
        self.acked("owner", |_| InviteMembers { channel: channel.0, members: vec![invited] });
        channel
    }

    /// A good frame of this kind about a channel, as `who` would send it.
    fn frame(&mut self, kind: Kind, who: &str, channel: ChannelId) -> Frame {
        let id = self.next();
        let (other, member) = (vec![self.other.0], self.user("member").0);
        let token = self.people.get(who).map_or_else(|| "x".to_owned(), |person| person.token.clone());
        let user = self.people.get(who).map_or(UserId(7), |person| person.user);
        let own = if channel.users().is_some() { channel } else { ChannelId::group(user, SendId(id)) };
        // What is noted of a group is noted in the own channel.
        let notes = if channel.users().is_some() { channel.0 } else { ChannelId::own(user).0 };
        let channel = channel.0;
        match kind {
            Kind::SEND_TEXT => encode(id, &SendText { channel, text: "x".into() }),
            Kind::CREATE_GROUP => {
                encode(id, &CreateGroup { channel: own.0, name: "own".into(), members: Vec::new() })
            }
            Kind::ADD_MEMBERS => encode(id, &AddMembers { channel, members: other }),
            Kind::INVITE_MEMBERS => encode(id, &InviteMembers { channel, members: other }),
            Kind::GROW_GROUP => encode(id, &GrowGroup { channel }),
            Kind::JOIN_GROUP => encode(id, &JoinGroup { channel }),
            // Somebody whom an admin may remove, and who is not the one who asks.
            Kind::REMOVE_MEMBER => encode(id, &RemoveMember { channel, member }),
            Kind::MUTE_MEMBER => encode(id, &MuteMember { channel, member, for_s: 60 }),
            Kind::BAN_MEMBER => encode(id, &BanMember { channel, member }),
            // Nobody is banned there, so whoever may lift a ban is told so.
            Kind::UNBAN_MEMBER => encode(id, &UnbanMember { channel, member }),
            Kind::SET_SLOW => encode(id, &SetSlow { channel, interval_s: 0 }),
            Kind::GET_RULES => encode(id, &GetRules { channel, after: 0, limit: 9 }),
            Kind::LEAVE_GROUP => encode(id, &LeaveGroup { channel }),
            Kind::RENAME_GROUP => encode(id, &RenameGroup { channel, name: "new".into() }),
            Kind::SET_ROLE => encode(id, &SetRole { channel, member, role: ROLE_ADMIN }),
            Kind::SET_PREFS => encode(
                id,
                &SetPrefs {
                    channel: notes,
                    about: channel,
                    muted_until_ms: 1,
                    pinned: 1,
                    marked_unread: true,
                    notify: 1,
                    archived: false,
                },
            ),
            Kind::SET_DRAFT => {
                encode(id, &SetDraft { channel: notes, about: channel, thread: 0, text: "x".into() })
            }
            // No channel has such a message, so whoever may say something about one is told so.
            Kind::EDIT_TEXT => encode(id, &EditText { channel, target: U53_MAX, text: "x".into() }),
            Kind::RECALL => encode(id, &Recall { channel, target: U53_MAX }),
            Kind::REACT => encode(id, &React { channel, target: U53_MAX, on: true, emoji: "x".into() }),
            Kind::PIN => encode(id, &Pin { channel, target: U53_MAX, on: true }),
            Kind::GET_ABOUT => {
                encode(id, &GetAbout { channel, from: 1, through: U53_MAX, limit: 9, who: false })
            }
            Kind::HIDE => encode(id, &Hide { channel: notes, about: channel, seq: 1, through: 2 }),
            Kind::GET_NOTES => {
                encode(id, &GetNotes { about: 0, after_about: 0, after: 0, what: 0, limit: 9 })
            }
            Kind::HELLO => encode(id, &Hello { generation: 0, cursor: 0, token }),
            Kind::REAUTH => encode(id, &Reauth { token }),
            Kind::HEARTBEAT => heartbeat(id),
            Kind::CURSOR_ACK => encode(id, &CursorAck { generation: 1, cursor: 0 }),
            Kind::GET_HISTORY => {
                encode(id, &GetHistory { channel, after: 0, before: U53_MAX, limit: 9, newest: true })
            }
            Kind::GET_MEMBERS => encode(id, &GetMembers { channel, after: 0, limit: 9 }),
            Kind::GET_CHANNELS => encode(id, &GetChannels { after: 0, limit: 9 }),
            Kind::GET_THREAD => {
                encode(id, &GetThread { channel, root: 1, after: 0, before: U53_MAX, limit: 9, newest: true })
            }
            Kind::GET_MENTIONS => encode(id, &GetMentions { before: U53_MAX, limit: 9 }),
            Kind::MARK_READ => encode(id, &MarkRead { channel, seq: 1 }),
            Kind::MARK_DELIVERED => encode(id, &MarkDelivered { channel, seq: 1 }),
            Kind::GET_RECEIPTS => encode(id, &GetReceipts { channel, after: 0, limit: 9 }),
            Kind::WATCH => encode(id, &Watch { users: vec![member] }),
            Kind::UNWATCH => encode(id, &Unwatch { users: vec![member] }),
            Kind::SET_PRESENCE => {
                encode(id, &SetPresence { shows: 0, status_until_ms: 0, status: "x".into() })
            }
            Kind::IDLE => encode(id, &Idle { is_idle: false }),
            Kind::GET_PRESENCE => encode(id, &GetPresence { users: vec![member] }),
            Kind::GET_OWN_PRESENCE => encode(id, &GetOwnPresence { device: 0 }),
            Kind::SUBSCRIBE_PUSH => {
                // Inside, so that nobody is called.
                let address = "https://127.0.0.1/x".into();
                encode(id, &SubscribePush { provider: 2, address, ..SubscribePush::default() })
            }
            Kind::UNSUBSCRIBE_PUSH => encode(id, &UnsubscribePush { device: 0, provider: 1 }),
            Kind::SET_PUSH => encode(id, &SetPush { is_off: false }),
            Kind::GET_PUSH => encode(id, &GetPush { device: 0 }),
            Kind::TYPING => encode(id, &Typing { channel, user: 0, expires_ms: 0, state: TYPING_GOES_ON }),
            kind => {
                let is_ours = matches!(kind.sent_by(), SentBy::Server | SentBy::Home);
                assert!(is_ours, "{kind:?} has no frame here");
                Frame::build(kind, 1, id, &[])
            }
        }
    }

    /// What is answered to it, in the words of the table.
    fn ask(&mut self, who: &str, frame: &Frame, channel: ChannelId) -> String {
        let id = frame.header().id;
        if who == "nobody" {
            let mut stranger = Raw::open(&self.node);
            stranger.frame(frame);
            let word = word(&stranger.answer(id));
            stranger.closes(CloseCode::Unauthenticated);
            return word;
        }
        let person = self.people.get_mut(who).unwrap();
        person.device.frame(frame);
        // Whatever has no answer is followed by one that has.
        let is_unanswered = [Kind::MARK_DELIVERED, Kind::TYPING, Kind::IDLE].contains(&frame.kind());
        // What the channel's home refuses is behind a heartbeat, and before what it is asked next.
        person.device.frame(&if is_unanswered {
            encode(id + 500_000, &GetMembers { channel: channel.0, after: 0, limit: 1 })
        } else {
            heartbeat(id + 500_000)
        });
        let mut found = "-".to_owned();
        loop {
            let answer = next_unstamped(&mut person.device);
            if answer.header().id == id {
                found = word(&answer);
            }
            if answer.header().id == id + 500_000 {
                // A refusal of a channel's home comes behind it.
                if found != "-" || is_unanswered || frame.kind() == Kind::CURSOR_ACK {
                    return found;
                }
                return word(&person.device.answer(id));
            }
        }
    }
}

fn next_unstamped(device: &mut Raw) -> Frame {
    loop {
        match device.next() {
            crate::raw::Seen::Frame(frame) if !frame.header().is_stamped() => return frame,
            crate::raw::Seen::Frame(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn word(answer: &Frame) -> String {
    let is = |kind: Kind| answer.kind() == kind;
    if is(Kind::REJECT) {
        let reject = protocol::body::read::<Reject>(answer).unwrap();
        assert_eq!(reject.retry_after_ms, 0, "{reject:?}");
        return Code::from_number(reject.code).unwrap().word().to_owned();
    }
    let known = [
        (Kind::SEND_ACK, "ack"),
        (Kind::DONE, "done"),
        (Kind::HEARTBEAT, "beat"),
        (Kind::HISTORY_PAGE, "page"),
        (Kind::MEMBERS, "page"),
        (Kind::CHANNELS, "page"),
        (Kind::THREAD, "page"),
        (Kind::MENTIONS, "page"),
        (Kind::ABOUT, "page"),
        (Kind::RECEIPTS, "page"),
        (Kind::RULES, "page"),
        (Kind::NOTES, "page"),
        (Kind::PRESENCE, "page"),
        (Kind::OWN_PRESENCE, "page"),
        (Kind::PUSH, "page"),
    ];
    known.iter().find(|(kind, _)| is(*kind)).map_or_else(|| format!("{answer:?}"), |(_, word)| (*word).into())
}

async fn person(node: &Node, account: &Account, name: &str) -> Person {
    let user = account.signup(name, PASSWORD).await.unwrap();
    let token = account.login(name, PASSWORD, None).await.unwrap().token;
    let device = Raw::live(node, &token);
    Person { user, token, device }
}

async fn every_kind_has_its_answer_for_everybody(carrier: Carrier) {
    let mut world = World::start(carrier).await;
    let group = table(GROUP, &WHO);
    let rows: Vec<&str> = group.iter().map(|(name, _)| *name).collect();
    let kinds: Vec<&str> = Kind::ALL.iter().map(|(_, name)| *name).collect();
    assert!(kinds.iter().all(|kind| rows.contains(kind)), "{kinds:?} are the kinds, {rows:?} the rows");
    let mut wrong = Vec::new();
    for (name, cells) in &group {
        for (who, wanted) in cells {
            let channel = world.group();
            let frame = world.frame(kind_of(name), who, channel);
            let found = world.ask(who, &frame, channel);
            if found != *wanted {
                wrong.push(format!("{name} of {who}: {found}, expected {wanted}"));
            }
        }
    }
    let (owner, member) = (world.user("owner"), world.user("member"));
    let direct = ChannelId::direct(owner, member);
    world.acked("owner", |_| SendText { channel: direct.0, text: "first".into() });
    let account = world.node.account();
    for (name, cells) in table(DIRECT, &DIRECT_WHO) {
        for (who, wanted) in cells {
            let token = world.people["owner"].token.clone();
            account.set_blocked(&token, member, who == "blocked").await.unwrap();
            let who_asks = if who == "blocked" { "member" } else { who };
            let frame = world.frame(kind_of(name), who_asks, direct);
            let found = world.ask(who_asks, &frame, direct);
            if found != wanted {
                wrong.push(format!("direct {name} of {who}: {found}, expected {wanted}"));
            }
        }
    }
    let own = ChannelId::own(owner);
    world.acked("owner", |_| SendText { channel: own.0, text: "saved".into() });
    for (name, cells) in table(OWN, &OWN_WHO) {
        for (who, wanted) in cells {
            let frame = world.frame(kind_of(name), who, own);
            let found = world.ask(who, &frame, own);
            if found != wanted {
                wrong.push(format!("own {name} of {who}: {found}, expected {wanted}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What the pages held is told elsewhere; here, that who was removed reads nothing of later.
    let channel = world.group();
    world.acked("owner", |_| SendText { channel: channel.0, text: "later".into() });
    for (who, to) in [("removed", 3), ("invited", 4), ("member", 5)] {
        let frame = world.frame(Kind::GET_HISTORY, who, channel);
        let device = &mut world.people.get_mut(who).unwrap().device;
        device.frame(&frame);
        assert_eq!(device.answer_as::<HistoryPage>(frame.header().id).to, to, "{who}");
    }
    let frame = world.frame(Kind::GET_MEMBERS, "member", channel);
    let device = &mut world.people.get_mut("member").unwrap().device;
    device.frame(&frame);
    assert_eq!(device.answer_as::<Members>(frame.header().id).items.len(), 3, "who is invited is none");
}

/// Tokens at Hello and Reauth: of whom, and whether they count.
async fn a_token_is_its_devices_and_its_time(carrier: Carrier) {
    let node = Node::over(carrier, 2, &[]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    account.signup("bob", PASSWORD).await.unwrap();
    let ann = account.login("ann", PASSWORD, None).await.unwrap();
    let bob = account.login("bob", PASSWORD, None).await.unwrap();
    let gone = account.login("ann", PASSWORD, None).await.unwrap();
    let answer = node.ask("POST", "/v1/logout", &gone.token, None);
    assert!(answer.starts_with("HTTP/1.0 204"), "{answer}");
    let mut device = Raw::live(&node, &ann.token);
    let expired = token_until(&node, ann.user, ann.device.0, api::now_ms() - 1);
    // Signed by the server's own key, and of a device that is another user's, or nobody's.
    let others = made_up(&node, ann.user, bob.device.0, u64::MAX);
    let nobodys = made_up(&node, ann.user, 99, u64::MAX);
    let never = made_up(&node, UserId(12_345), ann.device.0, u64::MAX);
    for (name, token, hello, reauth) in [
        ("garbage", "x", Code::Unauthenticated, Code::Unauthenticated),
        ("expired", &expired, Code::Expired, Code::Expired),
        ("logged out", &gone.token, Code::Unauthenticated, Code::Forbidden),
        ("other user's device", &others, Code::Unauthenticated, Code::Forbidden),
        ("nobody's device", &nobodys, Code::Unauthenticated, Code::Forbidden),
        ("nobody", &never, Code::NoSuchUser, Code::Forbidden),
        ("other user", &bob.token, Code::Forbidden, Code::Forbidden),
    ] {
        if name != "other user" {
            Raw::open(&node).refused_hello(token, hello);
        }
        device.body(7, &Reauth { token: token.into() });
        assert_eq!(device.reject(7).code, reauth.number(), "Reauth with the token of {name}");
        device.is_served(8);
    }
    device.body(9, &Reauth { token: ann.token.clone() });
    device.answer_as::<Done>(9);
    device.body(10, &Heartbeat { time_ms: 1 });
    device.answer_as::<Heartbeat>(10);
}
