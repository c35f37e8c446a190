//! One user, as a view: what is the user's own, and of each channel what the user may read.

use std::collections::BTreeSet;

use protocol::body::large::pointed;
use protocol::commit::{
    About, ChannelRow, DRAFT_TAG, HIDDEN_TAG, Interval, Note, PREFS_TAG, PositionRow, Prefs, Relation, Row,
    Rule, Said, Sanction, decode_draft, decode_hidden,
};
use protocol::query::Mention;
use protocol::{ChannelId, InboxSeq, Seq, UserId};

use super::{Piece, Tell, messages, reactor};
use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::membership::{Membership, Stay};
use crate::query::{joined, push};
use crate::rows::{Direction, Found};
use crate::store::{Snapshot, fault};
use crate::value;
use crate::view::{Listed, View, damaged};

/// Channels of the user's list that are held at a time.
const PAGE_CHANNELS: usize = 256;

impl Snapshot<'_> {
    /// All that is kept of a user, and whether it was told to the end: account, presence, devices, relations, what push tells it;
    /// then its own notes and mentions; then each channel of its list, rising: the row of the list, a group's row with the name
    /// that the user may see, position, stays, what is laid on the user, and of each stay the messages, with what is said of them to a member of now and
    /// how the user itself reacts. Of other users nothing is told but who they are.
    ///
    /// # Errors
    /// The rows cannot be read, or a message is missing.
    pub fn tell_user(&self, user: UserId, tell: &mut Tell<'_>) -> Result<bool, StoreError> {
        fault(self.view().tell_user(user, tell))
    }
}

impl View<'_> {
    fn tell_user(&self, user: UserId, tell: &mut Tell<'_>) -> Found<bool> {
        let rows = self.own_rows(user)?;
        Ok(rows.into_iter().all(|row| tell(Piece::Row(row)))
            && self.relations(user, tell)?
            && self.notes_of(user, tell)?
            && self.mentions_of(user, tell)?
            && self.channels_of(user, tell)?)
    }

    /// What there is a handful of.
    fn own_rows(&self, user: UserId) -> Found<Vec<Row>> {
        let mut rows = Vec::new();
        rows.extend(self.account(user)?.map(|row| Row::Account { user, row }));
        let row = self.presence(user)?;
        rows.push(Row::Presence { user, row });
        rows.extend(self.devices(user)?.into_iter().map(|(device, row)| Row::Device { user, device, row }));
        let subscriptions = push::subscriptions(self, user)?.into_iter();
        rows.extend(subscriptions.map(|(device, provider, row)| Row::Subscription {
            user,
            device,
            provider,
            row,
        }));
        rows.extend(push::is_off(self, user)?.then_some(Row::PushOff { user, is_off: true }));
        Ok(rows)
    }

    fn relations(&self, user: UserId, tell: &mut Tell<'_>) -> Found<bool> {
        let (prefix, mut more) = (key::user(user), true);
        let first = key::relation(user, UserId(0));
        self.scan_from(Family::Account, (&first, &prefix), Direction::Rising, &mut |key, value| {
            let other = key::read_user_row(key).map(|(.., other)| UserId(other));
            let row = other.zip(Relation::decode(value.bytes()));
            let (other, relation) = row.ok_or_else(|| damaged(Family::Account, key))?;
            more = tell(Piece::User(other)) && tell(Piece::Row(Row::Relation { user, other, relation }));
            Ok(more)
        })?;
        Ok(more)
    }

    /// How channels are shown, drafts (their text is in the user's own channel), and what was hidden.
    fn notes_of(&self, user: UserId, tell: &mut Tell<'_>) -> Found<bool> {
        let mut more = true;
        for tag in [PREFS_TAG, DRAFT_TAG, HIDDEN_TAG] {
            let prefix = key::note(user, tag);
            self.scan_from(Family::Notes, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
                let place = key::read_note(key).and_then(|(.., rest)| key::read_note_place(rest));
                let note = place.and_then(|place| note(tag, place, value.bytes()));
                let (seq, note) = note.ok_or_else(|| damaged(Family::Notes, key))?;
                more = tell(Piece::Row(Row::Note { user, seq, note }));
                Ok(more)
            })?;
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn mentions_of(&self, user: UserId, tell: &mut Tell<'_>) -> Found<bool> {
        let (prefix, mut more) = (key::note(user, key::MENTION_AT_TAG), true);
        self.scan_from(Family::Notes, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let at = key.get(prefix.len()..).and_then(value::read_number).map(InboxSeq);
            let mention = at.and_then(|at| value::read_mention(at, value.bytes()));
            let mention = mention.ok_or_else(|| damaged(Family::Notes, key))?;
            let Mention { at, channel, seq, time_ms, sender } = mention;
            more = tell(Piece::Row(Row::Mention { user, at, channel, seq, time_ms, sender }));
            Ok(more)
        })?;
        Ok(more)
    }

    fn channels_of(&self, user: UserId, tell: &mut Tell<'_>) -> Found<bool> {
        let mut from = ChannelId(0);
        loop {
            let mut page = joined::listed(self, user, from, PAGE_CHANNELS)?;
            let next = page.get(PAGE_CHANNELS).map(|one| one.channel);
            page.truncate(PAGE_CHANNELS);
            for one in &page {
                if !self.channel_of(user, one, tell)? {
                    return Ok(false);
                }
            }
            let Some(next) = next else { return Ok(true) };
            from = next;
        }
    }

    fn channel_of(&self, user: UserId, listed: &Listed, tell: &mut Tell<'_>) -> Found<bool> {
        let channel = listed.channel;
        let Membership { stays, position } = self.membership(channel, user)?;
        let mut rows = vec![Row::Joined { user, channel, joined: listed.joined.unwrap_or_default() }];
        rows.extend(listed.left_since().map(|left| Row::Left { user, channel, left }));
        let intervals: Vec<Interval> = if channel.users().is_some() {
            vec![Interval { joined: Seq(1), left: None }]
        } else {
            rows.push(Row::Channel { channel, row: self.seen(channel, stays.last())? });
            stays.iter().map(|stay| stay.interval).collect()
        };
        if position != PositionRow::default() {
            rows.push(Row::Position { channel, user, row: position });
        }
        rows.extend(stays.into_iter().map(|stay| stay.row(channel, user)));
        let laid = Rule::Sanction { user, sanction: Sanction::default() };
        let laid = self.get_decoded(Family::About, &key::rule(channel, &laid), Sanction::decode)?;
        rows.extend(laid.map(|sanction| Row::Rule { channel, rule: Rule::Sanction { user, sanction } }));
        let others =
            channel.users().map(|(a, b)| if a == user { b } else { a }).filter(|other| *other != user);
        let mut known: BTreeSet<UserId> = [user].into();
        let is_told = rows.into_iter().all(|row| tell(Piece::Row(row)));
        let mut others = others.into_iter();
        let is_told = is_told && others.all(|other| known.insert(other) && tell(Piece::User(other)));
        if !is_told {
            return Ok(false);
        }
        for interval in &intervals {
            if !self.stay_of(channel, user, (*interval, &intervals), &mut known, tell)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A group as one sees it who is in it, or was in it last.
    fn seen(&self, channel: ChannelId, last: Option<&Stay>) -> Found<ChannelRow> {
        let then = last.filter(|stay| stay.interval.left.is_some()).and_then(|stay| stay.name.clone());
        Ok(match then {
            Some(name) => ChannelRow { name, grown: None },
            None => self.channel(channel)?.unwrap_or_default(),
        })
    }

    /// The messages of one stay, each behind those whom it is the first to name.
    fn stay_of(
        &self,
        channel: ChannelId,
        user: UserId,
        (stay, all): (Interval, &[Interval]),
        known: &mut BTreeSet<UserId>,
        tell: &mut Tell<'_>,
    ) -> Found<bool> {
        let is_member = all.last().is_some_and(|last| last.left.is_none());
        messages(self, channel, stay, &mut |view, (seq, frame), said| {
            for named in pointed(&frame) {
                if named != UserId(0) && known.insert(named) && !tell(Piece::User(named)) {
                    return Ok(false);
                }
            }
            if !tell(Piece::Row(Row::Message { channel, seq, frame })) {
                return Ok(false);
            }
            let Some(said) = said else { return Ok(true) };
            let own = if said.reactions.is_empty() { None } else { reactor(view, channel, seq, user)? };
            // What was said when the user was not there is not the user's to read.
            let reads = |edit: &Seq| all.iter().any(|stay| stay.holds(*edit));
            let edits = said.edits.into_iter().filter(reads).collect();
            let reactions = if is_member { said.reactions } else { Vec::new() };
            let said = Said { edits, reactions };
            let about = (said != Said::default())
                .then_some(Row::About { channel, about: About::Message { seq, said } });
            Ok(about.into_iter().chain(own).all(|row| tell(Piece::Row(row))))
        })
    }
}

/// A note as its row has it: its place in the user's own channel as far as that is kept, and what it says.
fn note(tag: u8, (about, at): (ChannelId, Option<u64>), value: &[u8]) -> Option<(Seq, Note)> {
    Some(match (tag, at) {
        (PREFS_TAG, None) => (Seq(0), Note::Prefs { about, prefs: Prefs::decode(value)? }),
        (DRAFT_TAG, Some(thread)) => {
            (decode_draft(value)?, Note::Draft { about, thread: Seq(thread), is_empty: false })
        }
        (HIDDEN_TAG, Some(seq)) => {
            let (from, through) = decode_hidden(value)?;
            (Seq(seq), Note::Hidden { about, from, through })
        }
        _ => return None,
    })
}
