//! Scenarios of what is laid down for groups: mutes, bans and slow mode, who may lay them on whom, what they refuse and when it
//! is over, across restarts and clocks that jump.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use std::sync::Arc;

use desk::Desk;
use protocol::body::about::{EditText, React, Recall};
use protocol::body::message::{
    AddMembers, CreateGroup, InviteMembers, JoinGroup, LeaveGroup, ROLE_ADMIN, ROLE_OWNER, RenameGroup,
    SendText, SetRole,
};
use protocol::body::rules::{
    BanMember, GetRules, MUTED_FOR_EVER_MS, MUTED_FOR_EVER_S, MuteMember, Rules, SanctionItem, SetSlow,
    UnbanMember,
};
use protocol::body::session::Reject;
use protocol::body::{self};
use protocol::commit::{ChannelRow, Facts, Row, Rule, Sanction};
use protocol::query::{Answer, Earlier, Ended, Member, Query, RuleRows, Sent};
use protocol::{ChannelId, Code, Kind, SendId, Seq, UserId};
use shard::limits::WordAction;
use shard::{Input, Limits, Words};

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;
const D: u64 = 40;

/// A made a group with B, C and D; B is an admin.
fn group(shards: u16) -> (Desk, ChannelId) {
    group_of(shards, Limits::default())
}

fn group_of(shards: u16, limits: Limits) -> (Desk, ChannelId) {
    let mut desk = Desk::limited(shards, limits);
    for user in [A, B, C, D] {
        desk.join(user, user, user);
    }
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B, C, D] });
    desk.send(A, A, 2, &SetRole { channel: channel.0, member: B, role: ROLE_ADMIN });
    desk.run();
    forget(&mut desk);
    (desk, channel)
}

fn forget(desk: &mut Desk) {
    for conn in [A, B, C, D] {
        desk.take(conn);
    }
}

fn mute(channel: ChannelId, member: u64, for_s: u32) -> MuteMember {
    MuteMember { channel: channel.0, member, for_s }
}

fn ban(channel: ChannelId, member: u64) -> BanMember {
    BanMember { channel: channel.0, member }
}

fn unban(channel: ChannelId, member: u64) -> UnbanMember {
    UnbanMember { channel: channel.0, member }
}

fn slow(channel: ChannelId, interval_s: u32) -> SetSlow {
    SetSlow { channel: channel.0, interval_s }
}

/// What a connection was refused for: code, field and hint. Events that came meanwhile are passed over.
#[track_caller]
fn refused(desk: &mut Desk, conn: u64) -> (Code, String, u32) {
    let frames = desk.take(conn);
    let reject = frames.iter().find_map(body::read::<Reject>).unwrap_or_else(|| panic!("{frames:?}"));
    (Code::from_number(reject.code).unwrap(), reject.path, reject.retry_after_ms)
}

/// Whether the newest frame of a connection is the ack of this send.
#[track_caller]
fn acked(desk: &mut Desk, conn: u64, id: u64) {
    desk.run();
    let seen = desk.seen(conn);
    assert!(seen.iter().any(|word| word.starts_with(&format!("ack {id} "))), "{seen:?}");
}

fn rules_of(rows: &[Row]) -> Vec<Rule> {
    rows.iter().filter_map(|row| if let Row::Rule { rule, .. } = row { Some(*rule) } else { None }).collect()
}

#[track_caller]
fn rules(desk: &mut Desk, conn: u64, channel: ChannelId) -> Rules {
    desk.send(conn, conn, 900, &GetRules { channel: channel.0, after: 0, limit: 10 });
    desk.run();
    let frames = desk.take(conn);
    frames.iter().find_map(body::read::<Rules>).unwrap_or_else(|| panic!("{frames:?}"))
}

/// The store remembers how somebody's last stay ended.
fn remembered(desk: &mut Desk, ended: Ended) {
    while !desk.queries.is_empty() {
        if matches!(desk.queries.front(), Some((_, _, Query::Earlier { .. }))) {
            desk.answer(Answer::Earlier(vec![Earlier { stays: 1, ended, ..Earlier::default() }]));
        } else {
            desk.answer_first_empty();
        }
    }
    desk.run();
}

#[test]
fn who_is_muted_reads_and_sends_nothing_until_the_time_is_over() {
    for shards in [1, 2] {
        let (mut desk, channel) = group(shards);
        desk.send(B, B, 3, &mute(channel, C, 60));
        let rows = desk.run();
        let until_ms = desk.wall_ms + 60_000;
        let sanction = Sanction { muted_until_ms: until_ms, is_banned: false };
        assert_eq!(rules_of(&rows), [Rule::Sanction { user: UserId(C), sanction }]);
        assert_eq!(desk.seen(C), ["message 3 from 20"], "everybody sees it, and who is muted");
        desk.text(C, C, channel, 4, "but");
        assert_eq!(refused(&mut desk, C), (Code::Muted, "channel".into(), 60_000));
        desk.text(A, A, channel, 5, "quiet now");
        acked(&mut desk, A, 5);
        assert_eq!(desk.seen(C), ["message 4 from 10"], "it reads on");
        desk.pass(59_999);
        desk.text(C, C, channel, 6, "but");
        assert_eq!(refused(&mut desk, C).2, 1);
        desk.pass(1);
        desk.text(C, C, channel, 6, "thank you");
        acked(&mut desk, C, 6);
    }
}

#[test]
fn who_is_muted_neither_edits_nor_reacts_and_takes_back_what_it_said() {
    let (mut desk, channel) = group(1);
    desk.text(C, C, channel, 3, "something");
    desk.send(B, B, 4, &mute(channel, C, MUTED_FOR_EVER_S));
    desk.run();
    forget(&mut desk);
    desk.send(C, C, 5, &EditText { channel: channel.0, target: 3, text: "worse".into() });
    assert_eq!(refused(&mut desk, C), (Code::Muted, "channel".into(), 0), "no time to wait for");
    desk.send(C, C, 6, &React { channel: channel.0, target: 3, on: true, emoji: "👎".into() });
    assert_eq!(refused(&mut desk, C).0, Code::Muted);
    desk.send(C, C, 7, &Recall { channel: channel.0, target: 3 });
    let sent =
        Sent { seq: Seq(3), time_ms: desk.wall_ms, sender: UserId(C), send_id: SendId(3), fingerprint: 1 };
    let message = Some((Kind::SEND_TEXT, sent));
    desk.answer(Answer::Target { message, recalled: None, facts: Facts::default(), edits: vec![] });
    acked(&mut desk, C, 7);
    desk.send(B, B, 8, &mute(channel, C, 0));
    let rows = desk.run();
    assert_eq!(rules_of(&rows), [Rule::Sanction { user: UserId(C), sanction: Sanction::default() }]);
    desk.text(C, C, channel, 9, "back");
    acked(&mut desk, C, 9);
}

#[test]
fn a_repeat_of_what_was_said_before_the_mute_is_answered() {
    let (mut desk, channel) = group(1);
    desk.text(C, C, channel, 3, "in time");
    desk.send(B, B, 4, &mute(channel, C, 60));
    desk.run();
    forget(&mut desk);
    desk.text(C, C, channel, 3, "in time");
    assert_eq!(desk.seen(C), ["ack 3 seq 3"]);
}

#[test]
fn a_mute_outlives_the_stay() {
    let (mut desk, channel) = group(1);
    desk.send(B, B, 3, &mute(channel, C, MUTED_FOR_EVER_S));
    desk.send(C, C, 4, &LeaveGroup { channel: channel.0 });
    desk.run();
    desk.send(B, B, 5, &InviteMembers { channel: channel.0, members: vec![C] });
    remembered(&mut desk, Ended::Left);
    desk.send(C, C, 6, &JoinGroup { channel: channel.0 });
    remembered(&mut desk, Ended::Invited { by: UserId(B) });
    forget(&mut desk);
    desk.text(C, C, channel, 7, "as new");
    assert_eq!(refused(&mut desk, C).0, Code::Muted);
}

#[test]
fn who_may_mute_and_ban_whom() {
    let (mut desk, channel) = group(1);
    let at = |conn: u64, id: u64, desk: &mut Desk, member: u64| {
        desk.send(conn, conn, id, &mute(channel, member, 60));
        let muted = refused(desk, conn);
        desk.send(conn, conn, id + 1, &ban(channel, member));
        assert_eq!(refused(desk, conn), muted);
        (muted.0, muted.1)
    };
    let forbidden = |path: &str| (Code::Forbidden, path.to_owned());
    assert_eq!(at(C, 10, &mut desk, D), forbidden("channel"), "a member nobody");
    assert_eq!(at(C, 20, &mut desk, A), forbidden("channel"));
    assert_eq!(at(B, 30, &mut desk, A), forbidden("member"), "an admin not the owner");
    desk.send(A, A, 40, &SetRole { channel: channel.0, member: C, role: ROLE_ADMIN });
    desk.run();
    forget(&mut desk);
    assert_eq!(at(B, 50, &mut desk, C), forbidden("member"), "nor another admin");
    assert_eq!(at(B, 60, &mut desk, B), (Code::Limit, "member".into()), "nobody itself");
    assert_eq!(at(A, 70, &mut desk, A), (Code::Limit, "member".into()), "and not the last owner either");
    desk.send(A, A, 80, &SetRole { channel: channel.0, member: C, role: ROLE_OWNER });
    desk.run();
    forget(&mut desk);
    desk.send(A, A, 90, &mute(channel, C, 60));
    acked(&mut desk, A, 90);
    desk.send(A, A, 91, &ban(channel, C));
    acked(&mut desk, A, 91);
    assert_eq!(rules(&mut desk, A, channel).items.len(), 1, "an owner everybody");
}

#[test]
fn what_cannot_be_laid_down_or_lifted_is_refused_by_name() {
    let (mut desk, channel) = group(1);
    desk.send(C, C, 3, &slow(channel, 5));
    assert_eq!(refused(&mut desk, C).0, Code::Forbidden);
    desk.send(C, C, 4, &unban(channel, D));
    assert_eq!(refused(&mut desk, C).0, Code::Forbidden);
    desk.send(B, B, 5, &mute(channel, 999, 60));
    assert_eq!(refused(&mut desk, B), (Code::NoSuchUser, "member".into(), 0));
    desk.send(B, B, 6, &mute(channel, C, 0));
    assert_eq!(refused(&mut desk, B), (Code::Limit, "member".into(), 0), "nothing to lift");
    desk.send(B, B, 7, &unban(channel, C));
    assert_eq!(refused(&mut desk, B), (Code::Limit, "member".into(), 0));
    desk.send(B, B, 8, &ban(channel, C));
    desk.run();
    forget(&mut desk);
    desk.send(B, B, 9, &ban(channel, C));
    assert_eq!(refused(&mut desk, B), (Code::Limit, "member".into(), 0), "twice");
    let direct = ChannelId::direct(UserId(A), UserId(B));
    desk.send(B, B, 10, &slow(direct, 5));
    assert_eq!(refused(&mut desk, B), (Code::Limit, "channel".into(), 0), "a direct channel has no rules");
}

#[test]
fn who_is_banned_is_gone_and_comes_back_by_no_way() {
    for shards in [1, 2] {
        let (mut desk, channel) = group(shards);
        desk.send(B, B, 3, &ban(channel, C));
        let rows = desk.run();
        let left = Row::Left { user: UserId(C), channel, left: Seq(3) };
        assert!(rows.contains(&left), "its own list says so: {rows:?}");
        let sanction = Sanction { muted_until_ms: 0, is_banned: true };
        assert_eq!(rules_of(&rows), [Rule::Sanction { user: UserId(C), sanction }]);
        assert_eq!(desk.seen(C), ["message 3 from 20"], "it sees why");
        desk.text(C, C, channel, 4, "but");
        assert_eq!(refused(&mut desk, C).0, Code::Forbidden);
        for conn in [A, B] {
            desk.take(conn);
            desk.send(conn, conn, 5, &AddMembers { channel: channel.0, members: vec![C] });
            assert_eq!(refused(&mut desk, conn), (Code::Banned, "members[0]".into(), 0));
            desk.send(conn, conn, 6, &InviteMembers { channel: channel.0, members: vec![C] });
            assert_eq!(refused(&mut desk, conn), (Code::Banned, "members[0]".into(), 0));
        }
        desk.send(C, C, 7, &JoinGroup { channel: channel.0 });
        assert_eq!(refused(&mut desk, C), (Code::Banned, "channel".into(), 0));
        desk.send(B, B, 8, &unban(channel, C));
        acked(&mut desk, B, 8);
        assert!(desk.seen(C).is_empty(), "who is no member is told nothing");
        desk.send(B, B, 9, &AddMembers { channel: channel.0, members: vec![C] });
        remembered(&mut desk, Ended::Not);
        desk.text(C, C, channel, 10, "here again");
        acked(&mut desk, C, 10);
    }
}

#[test]
fn an_invitation_of_before_the_ban_is_void() {
    let (mut desk, channel) = group(1);
    desk.send(C, C, 3, &LeaveGroup { channel: channel.0 });
    desk.run();
    desk.send(B, B, 4, &InviteMembers { channel: channel.0, members: vec![C] });
    remembered(&mut desk, Ended::Left);
    desk.send(B, B, 5, &ban(channel, C));
    let rows = desk.run();
    assert!(
        !rows.iter().any(|row| matches!(row, Row::Left { .. } | Row::Interval { .. })),
        "it was no member"
    );
    forget(&mut desk);
    desk.send(C, C, 6, &JoinGroup { channel: channel.0 });
    assert_eq!(refused(&mut desk, C).0, Code::Banned);
}

#[test]
fn a_ban_while_the_user_is_being_asked_comes_behind_it() {
    let (mut desk, channel) = group(1);
    desk.send(A, A, 3, &AddMembers { channel: channel.0, members: vec![50] });
    desk.send(B, B, 4, &ban(channel, 50));
    desk.send(A, A, 5, &AddMembers { channel: channel.0, members: vec![50] });
    remembered(&mut desk, Ended::Not);
    let all = desk.take(A);
    let words: Vec<String> = all.iter().map(desk::word).collect();
    assert!(words.contains(&"ack 3 seq 3".into()) && words.contains(&"reject 5 banned".into()), "{words:?}");
}

#[test]
fn a_plain_member_of_a_slow_group_waits_the_interval() {
    let (mut desk, channel) = group(2);
    desk.send(B, B, 3, &slow(channel, 30));
    assert_eq!(rules_of(&desk.run()), [Rule::Slow(30)]);
    forget(&mut desk);
    desk.text(C, C, channel, 4, "one");
    let rows = desk.run();
    assert_eq!(rules_of(&rows), [Rule::Sent { user: UserId(C), at_ms: desk.wall_ms }]);
    desk.take(C);
    desk.pass(10_000);
    desk.text(C, C, channel, 5, "two");
    assert_eq!(refused(&mut desk, C), (Code::Slow, String::new(), 20_000));
    desk.text(D, D, channel, 6, "each for itself");
    acked(&mut desk, D, 6);
    for conn in [A, B] {
        for id in [7, 8] {
            desk.text(conn, conn, channel, id, "not for those");
            acked(&mut desk, conn, id);
        }
    }
    desk.send(C, C, 9, &React { channel: channel.0, target: 5, on: true, emoji: "ok".into() });
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Target { .. }))), "a reaction is no text");
    desk.fail_read();
    desk.take(C);
    desk.pass(20_000);
    desk.text(C, C, channel, 5, "two");
    acked(&mut desk, C, 5);
    desk.send(B, B, 10, &slow(channel, 0));
    assert_eq!(rules_of(&desk.run()), [Rule::Slow(0)]);
    desk.text(C, C, channel, 11, "three");
    acked(&mut desk, C, 11);
}

#[test]
fn a_clock_that_jumps_makes_nobody_wait_longer_than_the_interval() {
    for jump in [-3_600_000_i64, -5000, 5000, 3_600_000] {
        let (mut desk, channel) = group(1);
        desk.send(B, B, 3, &slow(channel, 30));
        desk.run();
        desk.text(C, C, channel, 4, "one");
        desk.run();
        forget(&mut desk);
        desk.wall_ms = desk.wall_ms.checked_add_signed(jump).unwrap();
        desk.pass(29_999);
        desk.text(C, C, channel, 5, "two");
        assert_eq!(refused(&mut desk, C), (Code::Slow, String::new(), 1), "{jump}");
        desk.pass(1);
        desk.text(C, C, channel, 5, "two");
        acked(&mut desk, C, 5);
    }
}

/// A group as the store holds it, asked for once more.
fn loaded(rules: RuleRows, wall_ms: u64) -> (Desk, ChannelId) {
    let mut desk = Desk::new(1);
    for user in [A, C] {
        desk.join(user, user, user);
    }
    desk.wall_ms = wall_ms;
    let channel = ChannelId(7);
    desk.text(C, C, channel, 9, "after the start");
    let member = |role| Member { role, joined: Seq(1), number: 1, ..Member::default() };
    let members = vec![(UserId(A), member(ROLE_OWNER)), (UserId(C), member(0))];
    let row = Some(ChannelRow { name: "team".into() });
    desk.answer(Answer::Channel { row, members, head: Seq(4), time_ms: 5, rules });
    desk.run();
    (desk, channel)
}

const START_MS: u64 = 1_800_000_000_000;

#[test]
fn what_was_laid_down_holds_after_a_start() {
    let muted = Sanction { muted_until_ms: START_MS + 60_000, is_banned: false };
    let sanctions = vec![(UserId(C), muted)];
    let (mut desk, _) = loaded(RuleRows { sanctions: sanctions.clone(), ..RuleRows::default() }, START_MS);
    assert_eq!(refused(&mut desk, C), (Code::Muted, "channel".into(), 60_000));
    let (mut desk, _) = loaded(RuleRows { sanctions, ..RuleRows::default() }, START_MS + 60_000);
    acked(&mut desk, C, 9);
}

#[test]
fn slow_mode_goes_on_after_a_start_and_a_clock_set_back_ends_the_wait() {
    let rows = |at_ms| RuleRows { interval_s: 30, sent: vec![(UserId(C), at_ms)], ..RuleRows::default() };
    let (mut desk, channel) = loaded(rows(START_MS - 10_000), START_MS);
    assert_eq!(refused(&mut desk, C), (Code::Slow, String::new(), 20_000));
    desk.pass(20_000);
    desk.text(C, C, channel, 9, "after the start");
    acked(&mut desk, C, 9);
    let (mut desk, _) = loaded(rows(START_MS - 30_000), START_MS);
    acked(&mut desk, C, 9);
    let (mut desk, _) = loaded(rows(START_MS + 3_600_000), START_MS);
    acked(&mut desk, C, 9);
}

#[test]
fn owners_and_admins_are_told_of_everybody_and_a_member_of_itself() {
    let (mut desk, channel) = group(2);
    desk.send(A, A, 3, &slow(channel, 30));
    desk.send(A, A, 4, &mute(channel, C, 60));
    desk.send(A, A, 5, &mute(channel, D, MUTED_FOR_EVER_S));
    desk.send(A, A, 6, &ban(channel, 999));
    desk.run();
    forget(&mut desk);
    let until_ms = desk.wall_ms + 60_000;
    let item = |user, muted_until_ms, is_banned| SanctionItem { user, muted_until_ms, is_banned };
    let (of_c, of_d) = (item(C, until_ms, false), item(D, MUTED_FOR_EVER_MS, false));
    let banned = item(999, 0, true);
    let page = |items, more| Rules { channel: channel.0, interval_s: 30, items, more };
    for conn in [A, B] {
        assert_eq!(rules(&mut desk, conn, channel), page(vec![of_c, of_d, banned], false));
    }
    assert_eq!(rules(&mut desk, C, channel), page(vec![of_c], false));
    desk.send(A, A, 7, &GetRules { channel: channel.0, after: C, limit: 1 });
    desk.run();
    assert_eq!(body::read::<Rules>(&desk.take(A)[0]).unwrap(), page(vec![of_d], true));
    desk.join(50, 50, 50);
    desk.send(50, 50, 8, &GetRules { channel: channel.0, after: 0, limit: 10 });
    assert_eq!(refused(&mut desk, 50).0, Code::Forbidden);
    desk.pass(60_000);
    assert_eq!(rules(&mut desk, C, channel), page(vec![], false), "it is over");
}

#[test]
fn the_rules_wait_for_a_change_to_be_stored() {
    let (mut desk, channel) = group(1);
    desk.send(B, B, 3, &mute(channel, C, 60));
    desk.send(A, A, 4, &GetRules { channel: channel.0, after: 0, limit: 10 });
    assert!(desk.take(A).iter().all(|frame| frame.kind() != Kind::RULES));
    desk.run();
    let frames = desk.take(A);
    assert_eq!(frames.iter().find_map(body::read::<Rules>).unwrap().items.len(), 1);
}

#[test]
fn what_has_ended_leaves_with_the_next_change() {
    let (mut desk, channel) = group(1);
    desk.send(B, B, 3, &mute(channel, C, 60));
    desk.run();
    desk.pass(60_000);
    desk.send(B, B, 4, &mute(channel, D, 60));
    let rules = rules_of(&desk.run());
    let over = Rule::Sanction { user: UserId(C), sanction: Sanction::default() };
    assert!(rules.contains(&over) && rules.len() == 2, "{rules:?}");
}

#[test]
fn a_thousand_users_are_banned_at_a_time() {
    let (mut desk, channel) = group(1);
    for user in 0..1000 {
        desk.send(A, A, 1000 + user, &ban(channel, 10_000 + user));
        desk.pass(10);
    }
    desk.run();
    desk.take(A);
    desk.send(A, A, 5000, &ban(channel, 9999));
    assert_eq!(refused(&mut desk, A), (Code::Limit, "member".into(), 0));
    desk.send(A, A, 5001, &mute(channel, C, 60));
    assert_eq!(refused(&mut desk, A), (Code::Limit, "member".into(), 0));
    desk.send(A, A, 5002, &unban(channel, 10_000));
    acked(&mut desk, A, 5002);
    desk.send(A, A, 5003, &mute(channel, C, 60));
    acked(&mut desk, A, 5003);
}

#[derive(Debug)]
struct Five;

impl Words for Five {
    fn found_in(&self, text: &str) -> bool {
        text.contains("five")
    }
}

/// The group, and every shard with a list of words.
fn worded(words: WordAction) -> (Desk, ChannelId) {
    let (mut desk, channel) = group_of(2, Limits { words, ..Limits::default() });
    for shard in 0..2 {
        desk.turn(shard, vec![Input::Words(Some(Arc::new(Five)))]);
    }
    (desk, channel)
}

#[test]
fn a_text_with_a_word_of_the_list_is_refused_by_every_way() {
    let (mut desk, channel) = worded(WordAction::Refuse);
    desk.text(C, C, channel, 3, "see you at five");
    assert_eq!(refused(&mut desk, C), (Code::RefusedWord, "text".into(), 0));
    let direct = ChannelId::direct(UserId(A), UserId(C));
    desk.text(A, A, direct, 4, "at five");
    desk.run();
    assert_eq!(refused(&mut desk, A).0, Code::RefusedWord, "whoever sends it, wherever");
    desk.send(C, C, 5, &EditText { channel: channel.0, target: 2, text: "at five".into() });
    assert_eq!(refused(&mut desk, C).0, Code::RefusedWord);
    desk.guest(1, C, C, 6, &SendText { channel: channel.0, text: "at five".into() });
    assert_eq!(desk.answer_of(1), ["reject 6 refused_word"], "over HTTP too");
    desk.text(C, C, ChannelId::own(UserId(C)), 7, "at five");
    acked(&mut desk, C, 7);
    desk.text(C, C, channel, 8, "at six");
    acked(&mut desk, C, 8);
    assert!(desk.flagged.is_empty());
}

#[test]
fn a_repeat_of_what_was_sent_before_the_list_is_answered() {
    let (mut desk, channel) = group(1);
    desk.text(C, C, channel, 3, "at five");
    desk.run();
    forget(&mut desk);
    desk.turn(0, vec![Input::Words(Some(Arc::new(Five)))]);
    desk.text(C, C, channel, 3, "at five");
    assert_eq!(desk.seen(C), ["ack 3 seq 3"]);
    desk.turn(0, vec![Input::Words(None)]);
    desk.text(C, C, channel, 4, "at five");
    acked(&mut desk, C, 4);
}

#[test]
fn a_text_with_a_word_is_sent_and_told_of_once_it_is_stored() {
    let (mut desk, channel) = worded(WordAction::Report);
    desk.text(C, C, channel, 3, "see you at five");
    assert!(desk.flagged.is_empty(), "nobody is told of what may never be stored");
    acked(&mut desk, C, 3);
    assert_eq!(desk.flagged, [(channel, Seq(3), C)]);
    desk.text(C, C, channel, 3, "see you at five");
    desk.text(C, C, ChannelId::own(UserId(C)), 4, "at five");
    desk.text(C, C, channel, 5, "at six");
    desk.run();
    assert_eq!(desk.flagged.len(), 1);
}

#[test]
fn an_admin_who_is_muted_is_so_for_what_it_says_alone() {
    let (mut desk, channel) = group(1);
    desk.send(A, A, 3, &mute(channel, B, 60));
    desk.run();
    forget(&mut desk);
    desk.text(B, B, channel, 4, "but");
    assert_eq!(refused(&mut desk, B).0, Code::Muted);
    desk.send(B, B, 5, &mute(channel, B, 0));
    assert_eq!(refused(&mut desk, B), (Code::Limit, "member".into(), 0), "nobody lets itself speak again");
    desk.send(B, B, 6, &RenameGroup { channel: channel.0, name: "quiet".into() });
    acked(&mut desk, B, 6);
}
