//! Threads and mentions: every row follows from a message, and every message that calls for rows has them.

use protocol::body::about::Recalled;
use protocol::body::talk::Talk;
use protocol::query::Mention;
use protocol::{BayId, ChannelId, Frame, InboxSeq, Kind, Seq, Stamp, UserId};

use super::log::Coverage;
use super::{Check, name};
use crate::family::Family;
use crate::key::{self, Key};
use crate::rows::Found;
use crate::value;
use crate::view::View;

/// The rows that a message calls for. `members` are who gets it besides the sender; `head` is the channel's.
pub(super) fn message(
    check: &mut Check<'_>,
    coverage: &Coverage,
    (channel, head): (ChannelId, Seq),
    stamp: Stamp,
    (talk, members): (&Talk, &[UserId]),
) -> Found<()> {
    let (bay, seq) = (BayId::of_channel(channel), stamp.seq);
    let whose = format!("message {} {seq}", name(channel));
    if [talk.reply_to, talk.thread].into_iter().flatten().any(|named| named >= seq) {
        check.broken(bay, format!("{whose}: it answers a message that is not before it"));
    }
    if let Some(root) = talk.thread {
        let newest = number(&check.view, Family::About, &key::thread(channel, root))?;
        if newest.is_none_or(|newest| newest < seq.0) {
            check.broken(bay, format!("{whose}: the row of its thread {root} says {newest:?}"));
        }
        if row(&check.view, Family::About, &key::in_thread(channel, root, seq))?.is_none() {
            check.broken(bay, format!("{whose}: it is missing in its thread {root}"));
        }
    }
    for user in members.iter().filter(|user| talk.is_kept_for(**user, stamp.sender)) {
        let home = BayId::of_user(*user);
        let is_due = seq <= coverage.through(channel, home, head);
        if is_due && row(&check.view, Family::Notes, &key::mention(*user, channel, seq))?.is_none() {
            check.broken(home, format!("{whose}: user {user} has no row of its mention"));
        }
    }
    Ok(())
}

/// A row of a thread; false when it is none that can be read.
pub(super) fn thread(check: &mut Check<'_>, channel: ChannelId, rest: &[u8], newest: &[u8]) -> Found<bool> {
    let Some((root, newest)) = value::read_number(rest).zip(value::read_number(newest)) else {
        return Ok(false);
    };
    let key = key::in_thread(channel, Seq(root), Seq(newest));
    if row(&check.view, Family::About, &key)?.is_none() {
        let what = format!("thread {root} of {}: {newest} is not in it", name(channel));
        check.broken(BayId::of_channel(channel), what);
    }
    Ok(true)
}

/// A row of a message in a thread.
pub(super) fn in_thread(check: &mut Check<'_>, channel: ChannelId, rest: &[u8]) -> Found<bool> {
    let Some((root, seq)) = rest.split_at_checked(8) else { return Ok(false) };
    let Some((root, seq)) = value::read_number(root).zip(value::read_number(seq)) else { return Ok(false) };
    let frame = check.view.message(channel, Seq(seq))?;
    let talk = frame.as_ref().and_then(Talk::read);
    // A recalled text stays in its thread.
    if !is_recalled(frame.as_ref()) && talk.is_none_or(|talk| talk.thread != Some(Seq(root))) {
        let what = format!("thread {root} of {} holds {seq}, which does not say so", name(channel));
        check.broken(BayId::of_channel(channel), what);
    }
    Ok(true)
}

/// A row of a mention, in the order of its channel.
pub(super) fn mention(check: &mut Check<'_>, user: UserId, rest: &[u8], at: &[u8]) -> Found<bool> {
    let Some((channel, seq)) = value::read_pointer(rest) else { return Ok(false) };
    let Some(at) = value::read_number(at).map(InboxSeq) else { return Ok(false) };
    let other = row(&check.view, Family::Notes, &key::mention_at(user, at))?;
    let other = other.and_then(|value| value::read_mention(at, &value));
    if other.is_none_or(|other| (other.channel, other.seq) != (channel, seq)) {
        let what =
            format!("user {user}: {} {seq} mentions the user at {at}, where that is not", name(channel));
        check.broken(BayId::of_user(user), what);
    }
    Ok(true)
}

/// A row of a mention, in the order of the inbox.
pub(super) fn mention_at(check: &mut Check<'_>, user: UserId, rest: &[u8], value: &[u8]) -> Found<bool> {
    let at = value::read_number(rest).map(InboxSeq);
    let Some(mention) = at.and_then(|at| value::read_mention(at, value)) else { return Ok(false) };
    let Mention { at, channel, seq, time_ms, sender } = mention;
    let whose = format!("user {user}: the mention {} {seq} at {at}", name(channel));
    let bay = BayId::of_user(user);
    let frame = check.view.message(channel, seq)?;
    let talk = frame.as_ref().and_then(Talk::read);
    if frame.as_ref().and_then(Recalled::read).is_some_and(|says| says.is_purge()) {
        // Nobody knows any more what it said; it is listed no longer.
        return Ok(true);
    }
    let says = is_recalled(frame.as_ref()) || talk.is_some_and(|talk| talk.is_kept_for(user, sender));
    let stamp = frame.and_then(|frame| frame.read_stamp());
    if !says || stamp != Some(Stamp { seq, time_ms, sender }) {
        check.broken(bay, format!("{whose} is not what the message says"));
    }
    if number(&check.view, Family::Notes, &key::mention(user, channel, seq))? != Some(at.0) {
        check.broken(bay, format!("{whose} is missing among those of its channel"));
    }
    if at > check.view.inbox_head(user)? {
        check.broken(bay, format!("{whose} is above the inbox's head"));
    }
    Ok(true)
}

fn is_recalled(frame: Option<&Frame>) -> bool {
    frame.is_some_and(|frame| frame.kind() == Kind::RECALLED)
}

fn row(view: &View<'_>, family: Family, key: &Key) -> Found<Option<bytes::Bytes>> {
    view.rows.get(family, key, view.tier)
}

fn number(view: &View<'_>, family: Family, key: &Key) -> Found<Option<u64>> {
    Ok(row(view, family, key)?.and_then(|value| value::read_number(&value)))
}
