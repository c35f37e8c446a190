//! Whoever is named or looked at in a large channel and is not in memory is looked up before anything is decided: each rule of
//! a group that asks about a member, once with nobody in memory.

use protocol::body::Body;
use protocol::body::about::Recall;
use protocol::body::message::{
    AddMembers, InviteMembers, JoinGroup, LeaveGroup, ROLE_ADMIN, ROLE_MEMBER, ROLE_OWNER, RemoveMember,
    SetRole,
};
use protocol::body::read;
use protocol::body::rules::{BanMember, GetRules, MuteMember, Rules, SetSlow, UnbanMember};
use protocol::body::session::Reject;
use protocol::body::sync::{GetMembers, MarkRead};
use protocol::body::talk::SendTextV2;
use protocol::commit::{ChannelRow, Grown, PositionRow, Row, Rule, Sanction};
use protocol::{ChannelId, Code, Frame, SendId, Seq, UserId};
use shard::Limits;

use crate::desk::Desk;
use crate::store::Store;
use crate::{A, B, C};

/// Not in the channel.
const D: u64 = 40;
/// In it; an admin as B is.
const E: u64 = 50;
/// The newest message.
const HEAD: Seq = Seq(9);
const MEMBERS: u32 = 1000;

/// A's large channel that nobody has asked for since the start: B and E are admins of it, C is a member.
struct Cold {
    desk: Desk,
    store: Store,
    channel: ChannelId,
}

/// No frame is refused for its pace, nor for how old it is what it is about.
fn limits() -> Limits {
    let (burst, recall_window_s) = (1_000_000, 0);
    Limits { frames_burst: burst, user_frames_burst: Some(burst), recall_window_s, ..Limits::default() }
}

/// What became of one frame.
#[derive(Debug)]
struct Outcome {
    /// "acked", or the code and the field of a refusal.
    word: String,
    rows: Vec<Row>,
}

impl Cold {
    fn new(shards: u16) -> Self {
        let (mut desk, mut store) = (Desk::limited(shards, limits()), Store::default());
        for user in [A, B, C, D, E] {
            desk.join(user, user, user);
        }
        store.stays = [A, B, C, E].map(|user| (user, 1, None)).to_vec();
        store.roles = [(A, ROLE_OWNER), (B, ROLE_ADMIN), (E, ROLE_ADMIN)].into();
        store.cold = Some((HEAD, MEMBERS));
        Self { desk, store, channel: ChannelId::group(UserId(A), SendId(1)) }
    }

    fn send<T: Body>(&mut self, user: u64, id: u64, body: &T) -> Outcome {
        self.desk.send(user, user, id, body);
        let rows = self.store.run(&mut self.desk);
        let frames = self.desk.take(user);
        let answer = |frame: &&Frame| frame.header().id == id && frame.read_stamp().is_none();
        let word = match frames.iter().find(answer).map(read::<Reject>) {
            None => panic!("no answer to {id}: {frames:?}"),
            Some(None) => "acked".to_owned(),
            Some(Some(reject)) => {
                format!("{} {}", Code::from_number(reject.code).unwrap().word(), reject.path)
            }
        };
        Outcome { word, rows }
    }
}

/// Sends one frame to a channel of whom nobody is in memory, at one shard and at several.
#[track_caller]
fn cold<T: Body>(user: u64, body: impl Fn(u128) -> T, expected: &str) -> (Cold, Vec<Row>) {
    let [_, last] = [1, 3].map(|shards| {
        let mut cold = Cold::new(shards);
        let body = body(cold.channel.0);
        let Outcome { word, rows } = cold.send(user, 100, &body);
        assert_eq!(word, expected, "at {shards} shards");
        (cold, rows)
    });
    last
}

fn text(channel: u128, mentions: Vec<u64>) -> SendTextV2 {
    SendTextV2 {
        channel,
        text: "hello".into(),
        reply_to: 0,
        thread: 0,
        forwarded_from: 0,
        mentions,
        mention_flags: 0,
    }
}

/// The row of the channel with so many in it.
fn counted(channel: ChannelId, members: u32, owners: u32) -> Row {
    let grown = Some(Grown { since: Seq(2), members, owners });
    Row::Channel { channel, row: ChannelRow { name: "all".into(), grown } }
}

fn sanction(channel: ChannelId, user: u64, sanction: Sanction) -> Row {
    Row::Rule { channel, rule: Rule::Sanction { user: UserId(user), sanction } }
}

#[test]
fn who_is_muted_is_judged_by_its_role_and_muted_when_it_comes() {
    let mute = |member: u64, for_s: u32| move |channel| MuteMember { channel, member, for_s };
    cold(B, mute(A, 60), "forbidden member");
    cold(B, mute(E, 60), "forbidden member");
    cold(C, mute(B, 60), "forbidden channel");
    cold(D, mute(C, 60), "forbidden channel");
    cold(A, mute(B, 60), "acked");
    cold(B, mute(D, 60), "no_such_user member");
    let (mut cold, _) = cold(B, mute(C, 60), "acked");
    let channel = cold.channel.0;
    assert_eq!(cold.send(C, 101, &text(channel, vec![])).word, "muted channel");
    assert_eq!(cold.send(B, 102, &mute(C, 0)(channel)).word, "acked");
    assert_eq!(cold.send(C, 103, &text(channel, vec![])).word, "acked");
}

/// A mute that was laid down before the start holds for one who is looked up only now.
#[test]
fn a_mute_and_a_ban_of_before_hold_for_who_is_not_in_memory() {
    let mut cold = Cold::new(1);
    let until = Sanction { muted_until_ms: u64::MAX >> 11, is_banned: false };
    let banned = Sanction { muted_until_ms: 0, is_banned: true };
    cold.store.rules.sanctions = vec![(UserId(C), until), (UserId(D), banned)];
    cold.store.invited.insert(D, B);
    let channel = cold.channel.0;
    assert_eq!(cold.send(C, 100, &text(channel, vec![])).word, "muted channel");
    assert_eq!(cold.send(D, 101, &JoinGroup { channel }).word, "banned channel");
    assert_eq!(cold.send(B, 102, &AddMembers { channel, members: vec![D] }).word, "banned members[0]");
    assert_eq!(cold.send(B, 103, &InviteMembers { channel, members: vec![D] }).word, "banned members[0]");
}

/// Who sent last is known in memory alone: a row for each of a million senders would come to memory at each start.
#[test]
fn a_slow_channel_makes_plain_members_wait_and_has_no_row_of_who_sent() {
    let mut cold = Cold::new(1);
    let channel = cold.channel.0;
    assert_eq!(cold.send(B, 100, &SetSlow { channel, interval_s: 30 }).word, "acked");
    for id in [101, 102] {
        assert_eq!(cold.send(B, id, &text(channel, vec![])).word, "acked", "an admin waits for nothing");
    }
    let Outcome { word, rows } = cold.send(C, 103, &text(channel, vec![]));
    assert_eq!(word, "acked");
    assert!(!rows.iter().any(|row| matches!(row, Row::Rule { .. })), "{rows:?}");
    assert_eq!(cold.send(C, 104, &text(channel, vec![])).word, "slow ");
}

#[test]
fn a_ban_ends_the_stay_of_a_member_and_is_no_stay_of_anybody_else() {
    let ban = |member: u64| move |channel| BanMember { channel, member };
    cold(B, ban(A), "forbidden member");
    cold(B, ban(E), "forbidden member");
    cold(C, ban(B), "forbidden channel");
    let banned = Sanction { muted_until_ms: 0, is_banned: true };
    let (mut now, rows) = cold(B, ban(C), "acked");
    let channel = now.channel;
    assert!(rows.contains(&sanction(channel, C, banned)), "{rows:?}");
    assert!(rows.contains(&counted(channel, MEMBERS - 1, 1)), "{rows:?}");
    assert!(rows.iter().any(
        |row| matches!(row, Row::Interval { user: UserId(C), row, .. } if row.left == Some(HEAD.next()))
    ));
    assert_eq!(crate::desk::pointers(&rows), 2, "who bans and who is banned");
    assert_eq!(now.desk.seen(C), ["message 10 from 20"]);
    assert_eq!(now.send(C, 101, &text(channel.0, vec![])).word, "forbidden channel");
    let (now, rows) = cold(B, ban(D), "acked");
    assert!(rows.contains(&sanction(now.channel, D, banned)), "{rows:?}");
    assert!(!rows.iter().any(|row| matches!(row, Row::Interval { .. } | Row::Channel { .. })), "{rows:?}");
    assert_eq!(crate::desk::pointers(&rows), 1, "it is nothing to who never was there");
}

#[test]
fn a_ban_is_lifted_by_an_admin_whom_memory_does_not_know() {
    let unban = |member: u64| move |channel| UnbanMember { channel, member };
    cold(B, unban(D), "limit member");
    cold(C, unban(D), "forbidden channel");
    let mut now = Cold::new(1);
    now.store.rules.sanctions = vec![(UserId(D), Sanction { muted_until_ms: 0, is_banned: true })];
    let channel = now.channel;
    assert_eq!(now.send(C, 100, &unban(D)(channel.0)).word, "forbidden channel");
    let Outcome { word, rows } = now.send(B, 101, &unban(D)(channel.0));
    assert_eq!(word, "acked");
    assert!(rows.contains(&sanction(channel, D, Sanction::default())), "{rows:?}");
}

#[test]
fn who_is_removed_or_gets_a_role_is_looked_up() {
    let remove = |member: u64| move |channel| RemoveMember { channel, member };
    cold(B, remove(A), "forbidden member");
    cold(B, remove(E), "forbidden member");
    cold(B, remove(D), "no_such_user member");
    cold(C, remove(B), "forbidden channel");
    let (now, rows) = cold(B, remove(C), "acked");
    assert!(rows.contains(&counted(now.channel, MEMBERS - 1, 1)), "{rows:?}");
    let (now, rows) = cold(A, remove(B), "acked");
    assert!(rows.contains(&counted(now.channel, MEMBERS - 1, 1)), "{rows:?}");
    let role = |member: u64, role: u8| move |channel| SetRole { channel, member, role };
    cold(B, role(C, ROLE_ADMIN), "forbidden channel");
    cold(A, role(D, ROLE_ADMIN), "no_such_user member");
    cold(A, role(A, ROLE_MEMBER), "limit role");
    let (now, rows) = cold(A, role(C, ROLE_OWNER), "acked");
    assert!(rows.contains(&counted(now.channel, MEMBERS, 2)), "{rows:?}");
}

#[test]
fn who_is_added_or_invited_may_be_a_member_already() {
    let add = |member: u64| move |channel| AddMembers { channel, members: vec![member] };
    cold(B, add(C), "limit members[0]");
    cold(C, add(D), "forbidden channel");
    let (now, rows) = cold(B, add(D), "acked");
    assert!(rows.contains(&counted(now.channel, MEMBERS + 1, 1)), "{rows:?}");
    let invite = |member: u64| move |channel| InviteMembers { channel, members: vec![member] };
    cold(B, invite(C), "limit members[0]");
    cold(C, invite(D), "forbidden channel");
    let (_, rows) = cold(B, invite(D), "acked");
    assert_eq!(crate::desk::pointers(&rows), 2, "who invites and who is invited");
}

/// An invitation is as good as the role of who gave it, whether memory knows that one or not.
#[test]
fn an_invitation_is_judged_by_the_role_of_who_gave_it() {
    for (by, expected) in [(B, "acked"), (A, "acked"), (C, "forbidden channel"), (60, "forbidden channel")] {
        for shards in [1, 3] {
            let mut cold = Cold::new(shards);
            cold.store.invited.insert(D, by);
            let channel = cold.channel;
            let Outcome { word, rows } = cold.send(D, 100, &JoinGroup { channel: channel.0 });
            assert_eq!(word, expected, "invited by {by}");
            assert_eq!(rows.contains(&counted(channel, MEMBERS + 1, 1)), expected == "acked");
        }
    }
    let mut cold = Cold::new(1);
    cold.store.invited.insert(D, B);
    let channel = cold.channel.0;
    let again = InviteMembers { channel, members: vec![D] };
    assert_eq!(cold.send(A, 100, &again).word, "limit members[0]", "by an admin, and still good");
    cold.store.invited.insert(D, C);
    assert_eq!(cold.send(A, 101, &again).word, "acked", "by one who may invite no more");
}

#[test]
fn a_text_is_recalled_by_the_roles_of_both() {
    let recalled = [(B, C, "acked"), (B, A, "forbidden target"), (B, E, "forbidden target")];
    let others = [(C, B, "forbidden target"), (A, B, "acked"), (C, C, "acked"), (B, 60, "acked")];
    for (user, author, expected) in recalled.into_iter().chain(others) {
        let mut cold = Cold::new(1);
        cold.store.author = author;
        let recall = Recall { channel: cold.channel.0, target: 5 };
        assert_eq!(cold.send(user, 100, &recall).word, expected, "{user} of {author}");
    }
}

#[test]
fn members_are_mentioned_who_are_not_in_memory() {
    cold(C, |channel| text(channel, vec![B, D]), "limit mentions[1]");
    let (mut now, rows) = cold(C, |channel| text(channel, vec![B]), "acked");
    assert!(rows.iter().any(|row| matches!(row, Row::Mention { user: UserId(B), .. })), "{rows:?}");
    assert_eq!(now.desk.seen(B), ["message 10 from 30"]);
}

#[test]
fn positions_go_on_from_where_the_store_has_them() {
    let mark = |seq: u64| move |channel| MarkRead { channel, seq };
    cold(D, mark(5), "forbidden channel");
    cold(C, mark(10), "limit seq");
    for shards in [1, 3] {
        let mut cold = Cold::new(shards);
        cold.store.read.insert(C, 6);
        let channel = cold.channel;
        let before = cold.send(C, 100, &mark(4)(channel.0));
        assert_eq!((before.word.as_str(), before.rows), ("acked", Vec::new()), "never back");
        let row = PositionRow { read: Seq(8), delivered: Seq(8), hides: false };
        let rows = cold.send(C, 101, &mark(8)(channel.0)).rows;
        assert!(rows.contains(&Row::Position { channel, user: UserId(C), row }), "{rows:?}");
    }
}

#[test]
fn lists_are_for_members_and_rules_by_role() {
    cold(D, |channel| GetMembers { channel, after: 0, limit: 5 }, "forbidden channel");
    cold(D, |channel| GetRules { channel, after: 0, limit: 5 }, "forbidden channel");
    for (user, seen) in [(A, 2), (B, 2), (C, 1)] {
        let mut cold = Cold::new(1);
        let muted = Sanction { muted_until_ms: u64::MAX >> 11, is_banned: false };
        cold.store.rules.sanctions = vec![(UserId(C), muted), (UserId(D), muted)];
        cold.desk.send(user, user, 100, &GetRules { channel: cold.channel.0, after: 0, limit: 5 });
        cold.store.run(&mut cold.desk);
        let rules: Rules = cold.desk.take(user).iter().find_map(read).unwrap();
        assert_eq!(rules.items.len(), seen, "told to {user}");
    }
}

/// Members that cannot be read refuse the frame that needs them, and nothing of it stays behind.
#[test]
fn who_cannot_be_looked_up_is_refused_and_may_try_again() {
    let mut cold = Cold::new(1);
    let channel = cold.channel;
    cold.desk.send(B, B, 100, &BanMember { channel: channel.0, member: C });
    cold.store.answer(&mut cold.desk);
    cold.desk.text(B, B, channel, 101, "behind it");
    assert_eq!(cold.desk.queries.len(), 1, "it waits behind the first");
    cold.desk.fail_read();
    assert_eq!(cold.desk.seen(B), ["reject 100 busy", "reject 101 busy"]);
    assert!(cold.desk.batches.is_empty());
    assert_eq!(cold.send(B, 102, &BanMember { channel: channel.0, member: C }).word, "acked");
}

/// What the store answers is older than what was decided meanwhile, and gives way to it.
#[test]
fn who_is_removed_while_it_is_looked_up_is_no_member() {
    let mut cold = Cold::new(1);
    let channel = cold.channel;
    assert_eq!(cold.send(A, 100, &text(channel.0, vec![])).word, "acked");
    assert_eq!(cold.send(B, 101, &text(channel.0, vec![C])).word, "acked");
    // C is known; E is asked for, and A removes E in between by way of a question of its own.
    cold.desk.text(E, E, channel, 102, "is it still in?");
    cold.desk.send(A, A, 103, &RemoveMember { channel: channel.0, member: E });
    assert_eq!(cold.desk.queries.len(), 2);
    // A's question is answered first.
    cold.desk.queries.swap(0, 1);
    cold.store.answer(&mut cold.desk);
    cold.store.run(&mut cold.desk);
    let told = cold.desk.seen(E);
    assert!(told.contains(&"reject 102 forbidden".to_owned()), "{told:?}");
    assert_eq!(cold.send(E, 104, &LeaveGroup { channel: channel.0 }).word, "forbidden channel");
}

/// Members whom memory knows are forgotten when they are many, and counted all the same.
#[test]
fn many_who_were_met_are_forgotten() {
    let mut cold = Cold::new(1);
    let channel = cold.channel;
    for page in 0..9_u64 {
        let members: Vec<u64> = (0..500).map(|place| 1000 + page * 500 + place).collect();
        let added = cold.send(A, 100 + page, &AddMembers { channel: channel.0, members });
        assert_eq!(added.word, "acked");
    }
    let lookups = |store: &Store| store.asked.iter().filter(|asked| **asked == "members").count();
    let before = lookups(&cold.store);
    assert_eq!(cold.send(A, 200, &text(channel.0, vec![])).word, "acked");
    assert_eq!(lookups(&cold.store), before + 1, "A was forgotten with all others");
    assert_eq!(cold.send(A, 201, &text(channel.0, vec![])).word, "acked");
    assert_eq!(lookups(&cold.store), before + 1);
    let rows = cold.send(A, 202, &RemoveMember { channel: channel.0, member: C }).rows;
    assert!(rows.contains(&counted(channel, MEMBERS + 4500 - 1, 1)));
}
