//! Replies, threads and mentions in the model: which texts may stand there, which rows follow from them, and what pages of
//! them may show. Said once more, independently of the core and of the store.

use std::collections::BTreeSet;

use protocol::body::message::ROLE_ADMIN;
use protocol::body::talk::Talk;
use protocol::commit::{Batch, Row};
use protocol::query::{Answer, Mention, PageBounds, Query};
use protocol::{ChannelId, InboxSeq, Seq, UserId};
use storage::Tier;

use crate::broken;
use crate::oracle::{Check, Oracle};
use crate::world::World;

/// In a group of more members than this only owners and admins mention all.
const MENTION_ALL_MEMBERS_MAX: usize = 32;

impl Oracle {
    /// Whether a durable text may be about this. The members are those of its time.
    pub(crate) fn check_talk(&self, channel: ChannelId, seq: Seq, sender: UserId, talk: &Talk) -> Check {
        let stay = self.member(channel, sender).and_then(|row| row.intervals.last());
        let since = if channel.users().is_some() { Some(Seq(1)) } else { stay.map(|stay| stay.joined) };
        for named in [talk.reply_to, talk.thread].into_iter().flatten() {
            if named >= seq || since.is_none_or(|since| named < since) {
                broken!("{channel:?} {seq}: {sender} names {named}, and is in it since {since:?}");
            }
        }
        let is_member = |user: UserId| match channel.users() {
            Some((small, large)) => user == small || user == large,
            None => self.member(channel, user).is_some_and(|row| row.is_member()),
        };
        if let Some(stranger) = talk.mentions.iter().find(|user| !is_member(**user)) {
            broken!("{channel:?} {seq}: mentions {stranger}, who is no member");
        }
        let is_wide = self.members_now(channel).len() > MENTION_ALL_MEMBERS_MAX;
        let role = self.member(channel, sender).map_or(0, |row| row.role);
        if (talk.all || talk.online) && is_wide && role < ROLE_ADMIN {
            broken!("{channel:?} {seq}: {sender} mentions all with role {role}");
        }
        Ok(())
    }

    /// Whether what stood there was recalled.
    #[must_use]
    pub fn is_recalled(&self, channel: ChannelId, seq: Seq) -> bool {
        self.fact(channel, seq).is_some_and(|fact| fact.was.is_some() || fact.purged.is_some())
    }

    /// The messages of a thread, rising.
    #[must_use]
    pub fn thread(&self, channel: ChannelId, root: Seq) -> Vec<Seq> {
        let talks = self.channels.get(&channel).map(|history| &history.talks);
        let all = talks.into_iter().flatten().filter(|(_, talk)| talk.thread == Some(root));
        all.map(|(seq, _)| *seq).collect()
    }

    /// What a durable text is about.
    #[must_use]
    pub fn talk(&self, channel: ChannelId, seq: Seq) -> Option<&Talk> {
        self.channels.get(&channel)?.talks.get(&seq)
    }

    /// Whether a message mentions a user so that it is kept.
    #[must_use]
    pub fn is_mention(&self, user: UserId, channel: ChannelId, seq: Seq) -> bool {
        let fact = self.talk(channel, seq).zip(self.fact(channel, seq));
        fact.is_some_and(|(talk, fact)| talk.is_kept_for(user, fact.sender))
    }

    /// What mentions a user, newest first, by its durable pointers.
    #[must_use]
    pub fn mentions(&self, user: UserId) -> Vec<Mention> {
        let pointers = self.pointers(user, 0, u64::MAX);
        let all = (1..).zip(pointers).filter(|(_, (c, s))| self.is_mention(user, *c, *s));
        let mut all: Vec<Mention> =
            all.filter_map(|(at, (channel, seq))| self.mention(at, *channel, *seq)).collect();
        all.reverse();
        all
    }

    fn mention(&self, at: u64, channel: ChannelId, seq: Seq) -> Option<Mention> {
        let fact = self.fact(channel, seq)?;
        Some(Mention { at: InboxSeq(at), channel, seq, time_ms: fact.time_ms, sender: fact.sender })
    }
}

/// The rows of threads are in the batch of their messages, and those of mentions in the batch of the pointers.
pub(crate) fn rows(oracle: &Oracle, batch: &Batch) -> Check {
    let (mut threads, mut mentions) = (BTreeSet::new(), BTreeSet::new());
    let (mut due_threads, mut due_mentions) = (BTreeSet::new(), BTreeSet::new());
    for row in batch.parts.iter().flat_map(|part| &part.rows) {
        match row {
            Row::Thread { channel, root, seq } => drop(threads.insert((*channel, *root, *seq))),
            Row::Message { channel, seq, .. } => {
                let root = oracle.talk(*channel, *seq).and_then(|talk| talk.thread);
                due_threads.extend(root.map(|root| (*channel, root, *seq)));
            }
            Row::Mention { user, at, channel, seq, time_ms, sender } => {
                mentions.insert((*user, at.0, *channel, *seq));
                let fact = oracle.fact(*channel, *seq);
                if fact.is_none_or(|fact| (fact.time_ms, fact.sender) != (*time_ms, *sender)) {
                    broken!("{row:?}: durable is {fact:?}");
                }
            }
            Row::Run { user, first, entries } => {
                let all = (first.0..).zip(entries).filter(|(_, (c, s))| oracle.is_mention(*user, *c, *s));
                due_mentions.extend(all.map(|(at, (channel, seq))| (*user, at, *channel, *seq)));
            }
            _ => {}
        }
    }
    if threads != due_threads {
        broken!("shard {}: rows of threads {threads:?}, messages say {due_threads:?}", batch.shard);
    }
    // A text that was recalled before it was delivered again mentions nobody any more: it may have its rows, or not.
    let is_there = |(_, _, channel, seq): &(UserId, u64, ChannelId, Seq)| !oracle.is_recalled(*channel, *seq);
    if !mentions.is_subset(&due_mentions) || !due_mentions.difference(&mentions).all(|row| !is_there(row)) {
        broken!("shard {}: rows of mentions {mentions:?}, pointers say {due_mentions:?}", batch.shard);
    }
    Ok(())
}

/// Once all is at rest: every thread and every list of mentions in the store is the model's.
pub(crate) fn at_rest(world: &World) -> Check {
    for (channel, history) in &world.oracle.channels {
        let roots: BTreeSet<Seq> = history.talks.values().filter_map(|talk| talk.thread).collect();
        for root in roots {
            one_thread(world, *channel, root)?;
        }
    }
    world.users.iter().try_for_each(|user| mentions(world, *user))
}

fn one_thread(world: &World, channel: ChannelId, root: Seq) -> Check {
    let (expected, head) = (world.oracle.thread(channel, root), world.oracle.head(channel));
    for newest in [false, true] {
        let (mut found, mut window) = (Vec::new(), (Seq(0), head.next()));
        loop {
            let page = PageBounds { messages: 2, bytes: 1 << 20 };
            let (after, before, counted) = (window.0, window.1, (Seq(1), head));
            let query = Query::Thread { channel, root, after, before, newest, counted, page };
            let Ok(Some(Answer::Thread { frames, more, total, newest: last })) =
                world.disk.store().read(&query, Tier::Any)
            else {
                broken!("thread {root} of {channel:?} cannot be read");
            };
            if total as usize != expected.len() || Some(&last) != expected.last() {
                broken!("thread {root} of {channel:?} has {total} to {last}, the model {expected:?}");
            }
            let seqs = frames.iter().filter_map(|frame| frame.read_stamp()).map(|stamp| stamp.seq);
            let seqs: Vec<Seq> = seqs.collect();
            let (Some(low), Some(high)) = (seqs.first(), seqs.last()) else { break };
            window = if newest { (window.0, *low) } else { (*high, window.1) };
            if newest {
                found.splice(0..0, seqs);
            } else {
                found.extend(seqs);
            }
            if !more {
                break;
            }
        }
        if found != expected {
            broken!("thread {root} of {channel:?} holds {found:?}, the model {expected:?}");
        }
    }
    Ok(())
}

fn mentions(world: &World, user: UserId) -> Check {
    let expected = world.oracle.mentions(user);
    let (mut found, mut before) = (Vec::new(), InboxSeq(u64::MAX));
    loop {
        let query = Query::Mentions { user, before, limit: 3 };
        let Ok(Some(Answer::Mentions { items, unread, more })) = world.disk.store().read(&query, Tier::Any)
        else {
            broken!("mentions of {user} cannot be read");
        };
        for (channel, count) in unread {
            let read = world.oracle.position(channel, user);
            let above = |is_there: bool| {
                let of = |item: &&Mention| item.channel == channel && item.seq > read;
                let there = |item: &&Mention| !is_there || !world.oracle.is_recalled(channel, item.seq);
                expected.iter().filter(of).filter(there).count().min(100)
            };
            // Those of recalled texts count where they have their rows.
            if !(above(true)..=above(false)).contains(&(count as usize)) {
                broken!("{user} has {count} unread mentions in {channel:?}, the model says {}", above(false));
            }
        }
        before = items.last().map_or(before, |last| last.at);
        found.extend(items);
        if !more {
            break;
        }
    }
    let is_there = |item: &&Mention| !world.oracle.is_recalled(item.channel, item.seq);
    let strangers = found.iter().filter(|item| !expected.contains(item)).count();
    if strangers > 0 || !found.iter().filter(is_there).eq(expected.iter().filter(is_there)) {
        broken!("mentions of {user}: the store has {found:?}, the model {expected:?}");
    }
    Ok(())
}
