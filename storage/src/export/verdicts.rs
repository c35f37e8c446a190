//! Every row has a verdict: told with its channel, told with its user, made anew, or left out and why. A new kind of row does
//! not compile here, and a new tag of a key fails a test, until it has one.

use std::collections::BTreeSet;

use protocol::body::encode;
use protocol::body::message::{CreateGroup, SendText};
use protocol::commit::{
    About, AccountRow, Batch, ChannelRow, DeviceRow, ERASED_TAG, ErasedRow, FOLLOWED_TAG, FloorRow, Grown,
    HIDDEN_TAG, IntervalRow, JobRow, MESSAGE_TAG, Note, PINS_TAG, PREFS_TAG, PRESENCE_TAG, Part, Pinned,
    PositionRow, Prefs, PresenceRow, Provider, REACTOR_TAG, Relation, RetentionRow, Row, Rule, SANCTION_TAG,
    SENT_TAG, SLOW_TAG, Said, Sanction, ShownRow, SubscriptionRow,
};
use protocol::commit::{DRAFT_TAG, FLOOR_TAG, RETENTION_TAG};
use protocol::{BayId, ChannelId, DeviceId, Frame, InboxSeq, Seq, ShardId, Stamp, UserId};

use super::Piece;
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Tier};
use crate::store::Store;

/// What becomes of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// It is a line of the export.
    Told,
    /// It is not, and whoever imports has it all the same: why.
    Anew(&'static str),
    /// It is not: why.
    Left(&'static str),
}

use Verdict::{Anew, Left, Told};

const LOG: &str = "the fan-out log is of one node; an import writes one that names the same messages";
const USERS: &str = "of users a channel's export tells who they are; the rest is not the channel's";
const SESSION: &str = "where devices stand in an inbox, which an import begins anew";
const OTHERS: &str = "of others, or of the channel's own house-keeping: a user is told what it may read";
const PUSHES: &str = "what is on its way to a provider; it ends within days";

/// Of a channel's export and of a user's.
fn of_row(row: &Row) -> [Verdict; 2] {
    let lists = Anew("own lists follow from stays");
    match row {
        Row::Message { .. } | Row::Position { .. } | Row::Interval { .. } | Row::Channel { .. } => {
            [Told, Told]
        }
        Row::Rewrite { .. } => [Anew("it is the message that now stands there"); 2],
        Row::About { about, .. } => match about {
            About::Message { .. } | About::Reactor { .. } => [Told, Told],
            About::Pins(_) => [Told, Anew("the messages that pin say it")],
            About::Recalled { .. } => [Anew("it removes rows, and has none"); 2],
        },
        Row::Rule { rule, .. } => match rule {
            Rule::Slow(_) | Rule::Sent { .. } => [Told, Left(OTHERS)],
            Rule::Sanction { .. } => [Told, Told],
        },
        Row::Thread { .. } => [Told, Anew("the messages say their thread")],
        Row::Floor { .. } | Row::Retention { .. } | Row::Erased { .. } => [Told, Left(OTHERS)],
        Row::Forgotten { .. } => [Anew("it removes rows, and has none"); 2],
        Row::Joined { .. } | Row::Left { .. } => [lists, Told],
        Row::Followed { .. } => [lists, Anew("a large channel that one is in")],
        Row::Run { .. } => {
            [Anew("the core makes inboxes of the log"), Anew("the messages are told with their channels")]
        }
        Row::Mention { .. } => [Anew("the core notes mentions when it makes inboxes"), Told],
        Row::Note { note, .. } => match note {
            Note::Prefs { .. } | Note::Draft { .. } | Note::Hidden { .. } => {
                [Anew("the messages of the user's own channel say it"), Told]
            }
        },
        Row::Account { .. }
        | Row::Relation { .. }
        | Row::Presence { .. }
        | Row::Device { .. }
        | Row::Subscription { .. }
        | Row::PushOff { .. } => [Left(USERS), Told],
        Row::DeviceGone { .. } | Row::SubscriptionGone { .. } => [Anew("it removes a row, and has none"); 2],
        Row::Job { .. } | Row::Shown { .. } => [Left(PUSHES); 2],
        Row::Fanout { .. } | Row::Marks { .. } | Row::TrimFanout { .. } => [Anew(LOG), Left(SESSION)],
    }
}

/// Whether a row of the store under this family and tag is told by either export; `None`: nobody has thought about it.
fn is_told(family: Family, tag: u8) -> Option<bool> {
    Some(match (family, tag) {
        (Family::Meta, _) | (Family::Inbox | Family::Fanout | Family::Applied, _) => false,
        (Family::Channel | Family::Member | Family::Joined | Family::Device | Family::Account, _) => true,
        (Family::History(_) | Family::Own(_), _) => true,
        (Family::About, MESSAGE_TAG | REACTOR_TAG | PINS_TAG | SLOW_TAG | SANCTION_TAG | SENT_TAG) => true,
        (Family::About, key::IN_THREAD_TAG | ERASED_TAG) => true,
        // The last of those of its thread.
        (Family::About, key::THREAD_TAG) => false,
        (Family::Kept, FLOOR_TAG | RETENTION_TAG) => true,
        (Family::Notes, PREFS_TAG | DRAFT_TAG | HIDDEN_TAG | PRESENCE_TAG | key::MENTION_AT_TAG) => true,
        // The same by channel; and the own list again.
        (Family::Notes, key::MENTION_TAG | FOLLOWED_TAG) => false,
        (Family::Push, key::SUBSCRIPTION_TAG | key::PUSH_OFF_TAG) => true,
        (Family::Push, key::JOB_TAG | key::SHOWN_TAG | key::WITHDRAWAL_TAG) => false,
        (Family::About | Family::Kept | Family::Notes | Family::Push, _) => return None,
    })
}

const USER: UserId = UserId(7);
const OTHER: UserId = UserId(8);
const GROUP: ChannelId = ChannelId(3);

fn message(seq: u64, frame: Frame) -> Row {
    let stamp = Stamp { seq: Seq(seq), time_ms: 9, sender: USER };
    Row::Message { channel: GROUP, seq: Seq(seq), frame: frame.stamp(stamp) }
}

/// A row of every kind that leaves one behind.
fn rows() -> Vec<Row> {
    let (channel, user, device, seq) = (GROUP, USER, DeviceId(4), Seq(1));
    let said = Said { edits: vec![Seq(2)], reactions: vec![("+".into(), 1)] };
    let about = |about| Row::About { channel, about };
    let rule = |rule| Row::Rule { channel, rule };
    let note = |note| Row::Note { user, seq: Seq(5), note };
    let sanction = Sanction { muted_until_ms: 9, is_banned: true };
    let shown = |channel, is_read| Row::Shown {
        user,
        channel,
        row: Some(ShownRow { is_read, ..ShownRow::default() }),
    };
    let provider = Provider::Webhook;
    let other = ChannelId::direct(user, OTHER);
    let grown = Some(Grown { since: Seq(1), members: 1, owners: 1 });
    vec![
        message(1, encode(1, &CreateGroup { channel: channel.0, name: "g".into(), members: Vec::new() })),
        message(2, encode(2, &SendText { channel: channel.0, text: "hi".into() })),
        Row::Channel { channel, row: ChannelRow { name: "g".into(), grown } },
        Row::Interval {
            channel,
            user,
            joined: seq,
            row: IntervalRow { number: 1, ..IntervalRow::default() },
        },
        Row::Position { channel, user, row: PositionRow { read: seq, ..PositionRow::default() } },
        about(About::Message { seq, said }),
        about(About::Reactor { seq, user, emoji: vec!["+".into()] }),
        about(About::Pins(vec![Pinned { seq, by: Seq(2) }])),
        rule(Rule::Slow(3)),
        rule(Rule::Sanction { user, sanction }),
        rule(Rule::Sent { user, at_ms: 9 }),
        Row::Thread { channel, root: seq, seq: Seq(2) },
        Row::Erased { channel, user: OTHER, row: ErasedRow { by: Seq(2), time_ms: 9, next: seq } },
        Row::Retention { channel, row: Some(RetentionRow { days: 3, messages: 0 }) },
        Row::Joined { user, channel, joined: seq },
        Row::Left { user, channel, left: Seq(2) },
        Row::Followed { user, channel, is_in: true },
        Row::Run { user, first: InboxSeq(1), entries: vec![(channel, seq), (channel, Seq(2))] },
        Row::Mention { user, at: InboxSeq(1), channel, seq, time_ms: 9, sender: user },
        note(Note::Prefs { about: channel, prefs: Prefs { pinned: 1, ..Prefs::default() } }),
        note(Note::Draft { about: channel, thread: Seq(0), is_empty: false }),
        note(Note::Hidden { about: channel, from: seq, through: seq }),
        Row::Account { user, row: AccountRow::default() },
        Row::Relation { user, other: OTHER, relation: Relation { is_friend: true, is_blocked: false } },
        Row::Presence { user, row: PresenceRow { status: "tea".into(), ..PresenceRow::default() } },
        Row::Device { user, device, row: DeviceRow::default() },
        Row::Subscription { user, device, provider, row: SubscriptionRow::default() },
        Row::PushOff { user, is_off: true },
        Row::Job { user, channel, row: Some(JobRow { seq, ..JobRow::default() }) },
        shown(channel, false),
        shown(other, true),
    ]
}

fn store() -> Store {
    let store = Store::memory();
    let mut parts: Vec<Part> = Vec::new();
    for row in rows() {
        let is_of_user = of_row(&row)[0] == Left(USERS);
        let of_user = is_of_user
            || matches!(
                row,
                Row::Joined { .. }
                    | Row::Left { .. }
                    | Row::Followed { .. }
                    | Row::Run { .. }
                    | Row::Mention { .. }
            )
            || matches!(row, Row::Note { .. } | Row::Job { .. } | Row::Shown { .. });
        let bay = if of_user { BayId::of_user(USER) } else { BayId::of_channel(GROUP) };
        parts.push(Part { bay, rows: vec![row] });
    }
    let bay = BayId::of_channel(GROUP);
    let log = Row::Fanout { number: 1, messages: vec![(GROUP, Seq(1)), (GROUP, Seq(2))] };
    parts.push(Part { bay, rows: vec![log, Row::Marks { through: vec![(bay, 1)] }] });
    store.commit(&[Batch { shard: ShardId(0), number: 1, parts }]).unwrap();
    // Another channel, of which something was purged.
    let (channel, row) = (ChannelId::direct(USER, OTHER), FloorRow { below: Seq(4), time_ms: 9 });
    let rows = vec![Row::Floor { channel, from: Seq(1), row }];
    let parts = vec![Part { bay: BayId::of_channel(channel), rows }];
    store.commit(&[Batch { shard: ShardId(0), number: 2, parts }]).unwrap();
    store
}

fn told(pieces: &[Piece]) -> Vec<Row> {
    let row = |piece: &Piece| match piece {
        Piece::Row(row) => Some(row.clone()),
        Piece::User(_) => None,
    };
    pieces.iter().filter_map(row).collect()
}

#[test]
fn every_row_is_told_or_it_is_said_why_not() {
    let store = store();
    let snapshot = store.snapshot();
    let mut of_channel = Vec::new();
    let mut take = |piece| {
        of_channel.push(piece);
        true
    };
    assert!(snapshot.tell_channel(GROUP, &mut take).unwrap());
    assert!(snapshot.tell_channel(ChannelId::direct(USER, OTHER), &mut take).unwrap());
    let mut of_user = Vec::new();
    assert!(
        snapshot
            .tell_user(USER, &mut |piece| {
                of_user.push(piece);
                true
            })
            .unwrap()
    );
    for (at, found) in [told(&of_channel), told(&of_user)].iter().enumerate() {
        for row in rows() {
            // What a draft and a hidden message are noted with differs by kind.
            let is_there = match &row {
                Row::Note { note, .. } => found
                    .iter()
                    .any(|told| matches!(told, Row::Note { note: told, .. } if told.tag() == note.tag())),
                Row::Left { .. } | Row::Joined { .. } => {
                    found.iter().any(|told| std::mem::discriminant(told) == std::mem::discriminant(&row))
                }
                row => found.contains(row),
            };
            let verdict = of_row(&row)[at];
            // Above the join: the user has come back, so that the end of a stay is not told.
            assert_eq!(is_there, verdict == Told, "{at}: {row:?}: {verdict:?}");
        }
        for row in found {
            assert_eq!(of_row(row)[at], Told, "{row:?}");
        }
    }
    let floor = |row: &Row| matches!(row, Row::Floor { .. });
    assert!(told(&of_channel).iter().any(floor) && !told(&of_user).iter().any(floor));
}

#[test]
fn every_place_of_the_store_has_a_verdict() {
    let store = store();
    let mut places = BTreeSet::new();
    let rows = store.view(Tier::Any).rows;
    for family in Family::all(8) {
        let mut visit = |key: &[u8], _: crate::rows::Value<'_>| {
            let tag = match family {
                Family::About | Family::Kept => key::read_about(key).map(|(_, _, tag, _)| tag),
                Family::Notes => key::read_note(key).map(|(_, _, tag, _)| tag),
                Family::Push => key.get(2).copied(),
                _ => Some(0),
            };
            let tag = tag.expect("a key that is read");
            assert!(is_told(family, tag).is_some(), "{family:?} {tag} has no verdict");
            places.insert((family.name(), tag));
            Ok(true)
        };
        rows.scan(family, (&[], &key::END), Direction::Rising, Tier::Any, &mut visit).unwrap();
    }
    let of = |family: Family| places.iter().filter(|(name, _)| *name == family.name()).count();
    // All that there are: a new tag of a row above is met here.
    assert_eq!([Family::About, Family::Notes, Family::Push, Family::Kept].map(of), [9, 7, 5, 2]);
    assert_eq!(is_told(Family::About, 200), None);
}
