//! Scenarios of groups: membership is in the order.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body::message::{
    AddMembers, CreateGroup, LeaveGroup, ROLE_ADMIN, ROLE_OWNER, RemoveMember, RenameGroup, SetRole,
};
use protocol::body::sync::{GetHistory, GetMembers, HistoryPage, MembersV2};
use protocol::body::{self};
use protocol::commit::{Interval, Row};
use protocol::limits::U53_MAX;
use protocol::query::{Answer, Earlier, Query};
use protocol::{ChannelId, SendId, Seq, UserId};
use shard::Limits;

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;

fn group_of(creator: u64, id: u64) -> ChannelId {
    ChannelId::group(UserId(creator), SendId(id))
}

/// A made a group with B; C is a user with a session.
fn group(shards: u16) -> (Desk, ChannelId) {
    let mut desk = Desk::new(shards);
    for user in [A, B, C] {
        desk.join(user, user, user);
    }
    let channel = group_of(A, 1);
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B] });
    desk.run();
    assert_eq!(desk.seen(A), ["ack 1 seq 1"]);
    assert_eq!(desk.seen(B), ["message 1 from 10"]);
    (desk, channel)
}

/// The store says when a user was a member.
fn was_member(desk: &mut Desk, user: u64, stays: &[(u64, Option<u64>)]) {
    let Some((_, _, Query::Membership { user: asked, .. })) = desk.queries.front() else {
        panic!("no query")
    };
    assert_eq!(asked.0, user);
    let interval =
        |(joined, left): &(u64, Option<u64>)| Interval { joined: Seq(*joined), left: left.map(Seq) };
    desk.answer(Answer::Membership(stays.iter().map(interval).collect()));
}

fn history(channel: ChannelId) -> GetHistory {
    GetHistory { channel: channel.0, after: 0, before: U53_MAX, limit: 50, newest: true }
}

#[test]
fn a_group_over_two_shards_has_one_order_and_own_lists() {
    let (mut desk, channel) = group(2);
    desk.text(B, B, channel, 2, "hello");
    desk.text(C, C, channel, 3, "not mine");
    let rows = desk.run();
    assert_eq!(desk.seen(B), ["ack 2 seq 2"]);
    assert_eq!(desk.seen(A), ["message 2 from 20"]);
    assert_eq!(desk.seen(C), ["reject 3 forbidden"]);
    assert!(!rows.iter().any(|row| matches!(row, Row::Joined { .. })));
    desk.send(A, A, 4, &AddMembers { channel: channel.0, members: vec![C] });
    let rows = desk.run();
    let joined: Vec<_> = rows
        .iter()
        .filter_map(|r| if let Row::Joined { user, joined, .. } = r { Some((*user, *joined)) } else { None })
        .collect();
    assert_eq!(joined, [(UserId(C), Seq(3))]);
    assert_eq!(desk.seen(C), ["message 3 from 10"]);
}

#[test]
fn a_repeated_creation_is_the_same_group_and_another_number_is_refused() {
    let (mut desk, channel) = group(1);
    let create = CreateGroup { channel: channel.0, name: "team".into(), members: vec![B] };
    desk.send(A, A, 1, &create);
    assert_eq!(desk.queries.len(), 0, "the window remembers it");
    assert_eq!(desk.seen(A), ["ack 1 seq 1"]);
    desk.send(A, A, 1, &CreateGroup { name: "else".into(), ..create.clone() });
    assert_eq!(desk.seen(A), ["reject 1 conflict"]);
    desk.send(A, A, 2, &create);
    assert_eq!(desk.seen(A), ["reject 2 limit"], "the number does not follow from the send id");
    let own = CreateGroup { channel: group_of(A, 3).0, name: "x".into(), members: vec![A] };
    desk.send(A, A, 3, &own);
    assert_eq!(desk.seen(A), ["reject 3 limit"]);
}

#[test]
fn sends_behind_a_creation_wait_for_its_members_to_be_found() {
    let mut desk = Desk::new(1);
    desk.join(A, A, A);
    let channel = group_of(A, 1);
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B] });
    desk.text(A, A, channel, 2, "first");
    desk.answer(Answer::Channel {
        row: None,
        members: Vec::new(),
        head: Seq(0),
        time_ms: 0,
        rules: protocol::query::RuleRows::default(),
    });
    assert!(matches!(desk.queries.front(), Some((_, _, Query::User(UserId(B))))));
    assert!(desk.batches.is_empty());
    desk.run();
    assert_eq!(desk.seen(A), ["ack 1 seq 1", "ack 2 seq 2"]);
}

#[test]
fn who_left_reads_own_intervals_and_no_more() {
    let (mut desk, channel) = group(1);
    desk.text(A, A, channel, 2, "two");
    desk.send(A, A, 3, &RemoveMember { channel: channel.0, member: B });
    desk.text(A, A, channel, 4, "four");
    let rows = desk.run();
    assert!(rows.iter().any(|row| matches!(row, Row::Left { user: UserId(B), left: Seq(3), .. })));
    assert_eq!(desk.seen(B), ["message 2 from 10", "message 3 from 10"], "the removal itself is told");
    desk.text(B, B, channel, 5, "late");
    assert_eq!(desk.seen(B), ["reject 5 forbidden"]);
    desk.send(B, B, 6, &history(channel));
    was_member(&mut desk, B, &[(1, Some(3))]);
    let Some((_, _, Query::History { after, before, .. })) = desk.queries.front() else { panic!("no query") };
    assert_eq!((*after, *before), (Seq(0), Seq(4)), "reads up to the removal");
    desk.answer(Answer::History(Vec::new()));
    desk.take(B);
    desk.send(A, A, 7, &AddMembers { channel: channel.0, members: vec![B] });
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Earlier { .. }))));
    desk.answer(Answer::Earlier(vec![Earlier { stays: 1, ..Earlier::default() }]));
    desk.run();
    desk.send(B, B, 8, &GetHistory { before: 5, ..history(channel) });
    was_member(&mut desk, B, &[(1, Some(3)), (5, None)]);
    let Some((_, _, Query::History { after, before, .. })) = desk.queries.front() else { panic!("no query") };
    assert_eq!((*after, *before), (Seq(0), Seq(4)), "not what was said while outside");
    desk.answer(Answer::History(Vec::new()));
    desk.send(C, C, 9, &history(channel));
    was_member(&mut desk, C, &[]);
    assert_eq!(desk.seen(C), ["reject 9 forbidden"]);
    desk.take(B);
    desk.send(B, B, 10, &GetHistory { after: 3, before: 5, ..history(channel) });
    was_member(&mut desk, B, &[(1, Some(3)), (5, None)]);
    let page: HistoryPage = body::read(&desk.take(B)[0]).unwrap();
    assert_eq!((page.from, page.to, page.count, page.more), (0, 0, 0, false));
}

#[test]
fn the_answer_to_a_repeat_does_not_depend_on_membership_now() {
    let (mut desk, channel) = group(1);
    desk.text(B, B, channel, 2, "two");
    desk.send(A, A, 3, &RemoveMember { channel: channel.0, member: B });
    desk.run();
    desk.take(B);
    desk.text(B, B, channel, 2, "two");
    assert_eq!(desk.seen(B), ["ack 2 seq 2"]);
}

#[test]
fn roles_decide_who_may_do_what() {
    let (mut desk, channel) = group(1);
    let channel = channel.0;
    desk.send(B, B, 2, &AddMembers { channel, members: vec![C] });
    desk.run();
    assert_eq!(desk.seen(B), ["reject 2 forbidden"]);
    desk.send(A, A, 3, &SetRole { channel, member: B, role: ROLE_ADMIN });
    desk.send(B, B, 4, &AddMembers { channel, members: vec![C] });
    desk.send(B, B, 5, &RemoveMember { channel, member: A });
    desk.send(B, B, 6, &SetRole { channel, member: B, role: ROLE_OWNER });
    desk.send(B, B, 7, &RenameGroup { channel, name: "new".into() });
    desk.send(A, A, 8, &SetRole { channel, member: A, role: 0 });
    desk.send(B, B, 9, &AddMembers { channel, members: vec![C] });
    desk.run();
    let mut seen: Vec<String> =
        desk.seen(B).into_iter().filter(|word| !word.starts_with("message")).collect();
    seen.sort();
    assert_eq!(
        seen,
        ["ack 4 seq 3", "ack 7 seq 4", "reject 5 forbidden", "reject 6 forbidden", "reject 9 limit"]
    );
    assert!(desk.seen(A).contains(&"reject 8 limit".to_owned()), "the last owner stays");
}

#[test]
fn a_group_whose_owner_leaves_has_another() {
    let (mut desk, channel) = group(1);
    desk.send(A, A, 2, &AddMembers { channel: channel.0, members: vec![C] });
    desk.send(A, A, 3, &LeaveGroup { channel: channel.0 });
    desk.run();
    desk.take(B);
    desk.send(B, B, 4, &GetMembers { channel: channel.0, after: 0, limit: 10 });
    let members: MembersV2 = body::read(&desk.take(B)[0]).unwrap();
    let roles: Vec<(u64, u8, u64)> = members.items.iter().map(|m| (m.user, m.role, m.joined)).collect();
    assert_eq!(roles, [(B, ROLE_OWNER, 1), (C, 0, 2)]);
    assert_eq!(members.total, 2);
}

#[test]
fn a_list_of_members_waits_for_the_change_to_be_stored() {
    let (mut desk, channel) = group(1);
    desk.send(A, A, 2, &AddMembers { channel: channel.0, members: vec![C] });
    desk.answer_all_empty();
    desk.send(B, B, 3, &GetMembers { channel: channel.0, after: 0, limit: 10 });
    assert!(desk.seen(B).is_empty());
    desk.run();
    let members: MembersV2 = body::read(desk.take(B).last().unwrap()).unwrap();
    assert_eq!((members.items.len(), members.total), (3, 3));
}

#[test]
fn the_hundred_and_first_member_is_refused() {
    let limits = Limits { large_members: 0, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(A, A, A);
    let members: Vec<u64> = (1000..1099).collect();
    let channel = group_of(A, 1);
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "full".into(), members });
    desk.run();
    assert_eq!(desk.seen(A), ["ack 1 seq 1"]);
    desk.send(A, A, 2, &AddMembers { channel: channel.0, members: vec![2000] });
    desk.run();
    assert_eq!(desk.seen(A), ["reject 2 limit"]);
    let channel = group_of(A, 3);
    let members: Vec<u64> = (1000..1100).collect();
    desk.send(A, A, 3, &CreateGroup { channel: channel.0, name: "over".into(), members });
    desk.run();
    assert_eq!(desk.seen(A), ["reject 3 limit"]);
}
