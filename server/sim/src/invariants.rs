//! What must hold once nothing goes wrong any more and everything has come to rest.

use std::collections::BTreeMap;

use protocol::commit::{DRAFT_TAG, HIDDEN_TAG, Interval, Note, Notify, PREFS_TAG, Prefs};
use protocol::query::{Answer, JoinedItem, ListOrder, Noted, PageBounds, Query};
use protocol::{ChannelId, Generation, Seq, UserId};
use shard::Holds;
use storage::Tier;

use crate::broken;
use crate::device::{Device, Outcome};
use crate::node::Node;
use crate::oracle::{Check, Oracle};
use crate::world::World;

/// Whether everybody has everything. It says nothing about whether what they have is right.
#[must_use]
pub fn is_settled(world: &World) -> bool {
    let Some(node) = &world.node else { return false };
    let accounts = world.users.iter().all(|user| world.oracle.accounts.contains(user));
    let live = world.devices.iter().all(Device::is_settled);
    let complete = node.conns.values().all(|conn| {
        !conn.paused && conn.watch.as_ref().is_some_and(|watch| watch.settled(&world.oracle).is_ok())
    });
    let caught_up = world
        .devices
        .iter()
        .filter(|device| !device.retired)
        .map(|device| (device.session.cursor(), device.user))
        .all(|(cursor, user)| {
            (cursor.generation, cursor.at.0) == (world.oracle.generation, world.oracle.inbox_head(user))
                || (cursor.generation, world.oracle.inbox_head(user)) == (Generation(0), 0)
        });
    let is_told = world.outbox.is_at_rest(world.now + world.wall_ahead);
    node.is_ready()
        && world.has_erased()
        && accounts
        && live
        && complete
        && caught_up
        && node.has_no_guests()
        && is_told
}

/// Who is missing what, for the words of a failure.
#[must_use]
pub fn unsettled(world: &World) -> String {
    let Some(node) = &world.node else { return "there is no process".to_owned() };
    let mut words = vec![format!("ready {}, idle {}", node.is_ready(), world.is_idle())];
    for device in world.devices.iter().filter(|device| !device.is_settled()) {
        let session = &device.session;
        words.push(format!(
            "device {} of {}: {:?}, {} sends, {} requests, {}, {:?}, {:?}",
            device.id,
            device.user,
            session.state(),
            session.pending_len(),
            session.requests_len(),
            device.waits_for(),
            session.cursor(),
            device.link,
        ));
    }
    for (id, conn) in &node.conns {
        let settled = conn.watch.as_ref().map(|watch| watch.settled(&world.oracle));
        if conn.paused || settled != Some(Ok(())) || !conn.is_quiet() {
            words.push(format!("{id:?} {:?} paused {}: {settled:?}", conn.link, conn.paused));
        }
    }
    if !world.has_erased() {
        words.push(format!("an erasure is under way: {:?}", world.erasures));
    }
    let accounts = world.users.iter().filter(|user| !world.oracle.accounts.contains(user));
    words.extend(accounts.map(|user| format!("no account of {user}")));
    if !node.has_no_guests() {
        words.push("requests without a connection wait for their answers".to_owned());
    }
    if !world.outbox.is_at_rest(world.now + world.wall_ahead) {
        words.push(format!("the outbox works: {:?}", world.outbox));
    }
    words.join("; ")
}

/// Compares all that anybody holds with the model and the stores.
///
/// # Errors
/// The first difference.
pub fn at_rest(world: &mut World) -> Check {
    for user in world.users.clone() {
        inbox(&world.oracle, user)?;
        own_list(world, user)?;
        notes(world, user)?;
    }
    for device in world.devices.iter().filter(|device| !device.retired) {
        holds_everything(&world.oracle, device)?;
        outcomes(&world.oracle, device)?;
    }
    for channel in world.oracle.channels.keys() {
        history(world, *channel)?;
    }
    for (id, conn) in world.node.iter().flat_map(|node| &node.conns) {
        if conn.paused {
            broken!("{id:?} is still paused");
        }
    }
    crate::talk::at_rest(world)?;
    crate::about::at_rest(world)?;
    crate::purge::at_rest(world)?;
    crate::presence::at_rest(world)?;
    crate::push::at_rest(world)?;
    nothing_is_held(world)?;
    world.tally.messages = world.oracle.messages();
    world.tally.pointers = world.oracle.inboxes.values().map(|inbox| inbox.pointers.len() as u64).sum();
    for outcome in world.devices.iter().flat_map(|device| device.kept.sends.values()) {
        match outcome {
            Outcome::Acked(..) => world.tally.acks += 1,
            Outcome::Rejected(_) => world.tally.rejects += 1,
            Outcome::Lost => world.tally.lost += 1,
            Outcome::Pending => {}
        }
    }
    for device in &world.devices {
        world.tally.sends_written += device.paced.0;
        world.tally.refused_for_pace += device.paced.1;
    }
    world.tally.large = large(world);
    world.tally.virtual_ms = world.now;
    world.disk.check()
}

/// Groups that became large channels, and messages that devices hold because they followed one.
fn large(world: &World) -> (u64, u64) {
    let oracle = &world.oracle;
    let is_large = |channel: &ChannelId| oracle.is_large(*channel, Seq(u64::MAX));
    let channels = oracle.groups().iter().filter(|channel| is_large(channel)).count();
    let held = world.devices.iter().flat_map(|device| {
        device.kept.held.keys().filter(move |(channel, seq)| {
            oracle.is_large(*channel, *seq) && !oracle.is_recipient(*channel, device.user, *seq)
        })
    });
    (channels as u64, held.count() as u64)
}

/// With nothing under way nobody holds bytes, but for what channels remember.
fn nothing_is_held(world: &World) -> Check {
    for (shard, figures) in world.node.iter().flat_map(Node::ledgers).enumerate() {
        let held = Holds::ALL.iter().zip(figures).find(|(of, bytes)| **of != Holds::Windows && *bytes > 0);
        if let Some((of, bytes)) = held {
            broken!("shard {shard}: {bytes} bytes are held as {} while nothing is under way", of.word());
        }
    }
    Ok(())
}

/// The inbox holds exactly what the user was due: 0 lost, 0 doubled.
fn inbox(oracle: &Oracle, user: UserId) -> Check {
    let due = oracle.due_to(user);
    if let Some((channel, seq)) = due.iter().find(|(channel, seq)| !oracle.has_pointer(user, *channel, *seq))
    {
        broken!("inbox of {user} is without {channel:?} {seq}");
    }
    if due.len() as u64 != oracle.inbox_head(user) {
        broken!("inbox of {user} has {} entries, due are {}", oracle.inbox_head(user), due.len());
    }
    Ok(())
}

fn holds_everything(oracle: &Oracle, device: &Device) -> Check {
    let due = oracle.due_to(device.user);
    let held = &device.kept.held;
    if let Some((channel, seq)) = due.iter().find(|message| !held.contains_key(message)) {
        broken!("device {} of {} is without {channel:?} {seq}", device.id, device.user);
    }
    // What it follows it holds besides, as far as it was there when it came.
    let may_hold = |(channel, seq): &(ChannelId, Seq)| {
        due.contains(&(*channel, *seq))
            || (oracle.is_large(*channel, *seq) && oracle.may_read(*channel, device.user, *seq))
    };
    if let Some((channel, seq)) = held.keys().find(|message| !may_hold(message)) {
        broken!("device {} of {} holds {channel:?} {seq} from outside", device.id, device.user);
    }
    for ((channel, seq), known) in held {
        if !oracle.is_fact(*channel, *seq, known) {
            let fact = oracle.fact(*channel, *seq);
            broken!("device {} holds {channel:?} {seq} as {known:?}, durable is {fact:?}", device.id);
        }
    }
    Ok(())
}

/// Every send of every app ended, and ended as the stores say.
fn outcomes(oracle: &Oracle, device: &Device) -> Check {
    for (id, outcome) in &device.kept.sends {
        match *outcome {
            Outcome::Pending => broken!("device {}: {id} is neither acked nor refused", device.id),
            Outcome::Acked(channel, seq) => {
                let fact = oracle.fact(channel, seq);
                if fact.is_none_or(|fact| fact.sender != device.user || fact.send_id != *id) {
                    broken!("device {}: acked {id} as {channel:?} {seq}, durable is {fact:?}", device.id);
                }
            }
            Outcome::Lost => {}
            Outcome::Rejected(code) => {
                let durable = oracle.channels.keys().find(|c| oracle.find(**c, device.user, *id).is_some());
                if durable.is_some() && !device.repeated.contains(id) {
                    broken!("device {}: {id} refused with {code} and durable in {durable:?}", device.id);
                }
            }
        }
    }
    Ok(())
}

/// The store's history is the model's.
fn history(world: &World, channel: ChannelId) -> Check {
    let head = world.oracle.head(channel);
    let mut after = Seq(0);
    while after < head {
        let page = PageBounds { messages: 200, bytes: 1 << 20 };
        let query = Query::History { channel, after, before: Seq(u64::MAX), newest: false, page };
        let Ok(Some(Answer::History(frames))) = world.disk.store().read(&query, Tier::Any) else {
            broken!("{channel:?}: history behind {after} cannot be read");
        };
        for frame in &frames {
            after = after.next();
            let stamp = frame.read_stamp();
            let fact = world.oracle.fact(channel, after);
            let same = stamp.zip(fact).is_some_and(|(stamp, fact)| {
                let is_it = stamp.sender == fact.sender && frame.fingerprint() == fact.fingerprint;
                stamp.seq == after
                    && if fact.purged.is_some() { crate::purge::is_tombstone(frame, after) } else { is_it }
            });
            if !same {
                broken!("{channel:?} {after}: the store says {stamp:?}, the model {fact:?}");
            }
        }
        if frames.is_empty() {
            broken!("{channel:?}: history ends at {after}, head is {head}");
        }
    }
    Ok(())
}

/// What the store says that a user has noted is what the messages of the own channel say, one after the other.
fn notes(world: &World, user: UserId) -> Check {
    let expected = world.oracle.notes(user);
    let mut found = BTreeMap::new();
    let page = PageBounds { messages: u32::MAX, bytes: usize::MAX };
    for hidden in [false, true] {
        let query = Query::Notes { user, hidden, about: None, after: (ChannelId(0), 0), page };
        match world.disk.store().read(&query, Tier::Any) {
            Ok(Some(Answer::Notes { notes: Noted::Drafts(drafts), more: false })) => {
                found.extend(drafts.iter().map(|(about, thread, frame)| {
                    let seq = frame.read_stamp().map_or(Seq(0), |stamp| stamp.seq);
                    let note = Note::Draft { about: *about, thread: *thread, is_empty: false };
                    ((DRAFT_TAG, *about, Some(thread.0)), (seq, note))
                }));
            }
            Ok(Some(Answer::Notes { notes: Noted::Hidden(hidden), more: false })) => {
                found.extend(hidden.iter().map(|(about, at, (from, through))| {
                    let note = Note::Hidden { about: *about, from: *from, through: *through };
                    ((HIDDEN_TAG, *about, Some(at.0)), (*at, note))
                }));
            }
            other => broken!("what {user} has noted cannot be read: {other:?}"),
        }
    }
    let without_prefs = expected.iter().filter(|((tag, ..), _)| *tag != PREFS_TAG);
    if !without_prefs.clone().eq(found.iter()) {
        let expected: Vec<_> = without_prefs.collect();
        broken!("{user} has noted {found:?}, the messages say {expected:?}");
    }
    prefs(world, user, &expected)
}

/// The list of channels shows the prefs that the messages of the own channel say.
fn prefs(
    world: &World,
    user: UserId,
    expected: &BTreeMap<(u8, ChannelId, Option<u64>), (Seq, Note)>,
) -> Check {
    let mut after = ChannelId(0);
    loop {
        let query = Query::Listing { user, order: ListOrder::Id(after), limit: 500 };
        let Ok(Some(Answer::Listing(listing))) = world.disk.store().read(&query, Tier::Any) else {
            broken!("the channels of {user} cannot be read");
        };
        for (item, detail) in &listing.items {
            let noted = expected.get(&(PREFS_TAG, item.channel, None));
            let said = match noted {
                Some((_, Note::Prefs { prefs, .. })) => *prefs,
                _ => Prefs::default(),
            };
            let shown = Prefs {
                muted_until_ms: detail.muted_until_ms,
                pinned: detail.pinned,
                marked_unread: detail.marked_unread,
                notify: Notify::from_number(detail.notify).unwrap_or_default(),
                archived: detail.archived,
            };
            let has_draft =
                expected.keys().any(|(tag, about, _)| (*tag, *about) == (DRAFT_TAG, item.channel));
            if shown != said || detail.has_draft != has_draft {
                broken!("{user} sees {shown:?} of {:?}, the messages say {said:?}", item.channel);
            }
            after = item.channel;
        }
        if !listing.more {
            return Ok(());
        }
    }
}

/// The user's own list names every channel that the user was ever in: the newest interval, how far the user has read, what
/// is unread, and the name that the user may see.
fn own_list(world: &World, user: UserId) -> Check {
    let oracle = &world.oracle;
    let mut expected = Vec::new();
    for channel in oracle.channels.keys() {
        let last = oracle.member(*channel, user).and_then(|row| row.intervals.last());
        if channel.users().is_some_and(|(small, large)| user == small || user == large) {
            expected.push(listed(oracle, *channel, user, Interval { joined: Seq(1), left: None }));
        } else if let Some(interval) = last {
            expected.push(listed(oracle, *channel, user, *interval));
        }
    }
    let found = listed_by_the_store(world, user)?;
    if let Some(differs) = found.iter().zip(&expected).find(|(found, expected)| found != expected) {
        broken!("own list of {user} says {:?}, expected {:?}", differs.0, differs.1);
    }
    if found.len() != expected.len() {
        broken!("own list of {user} has {} channels, expected {}", found.len(), expected.len());
    }
    Ok(())
}

fn listed(oracle: &Oracle, channel: ChannelId, user: UserId, interval: Interval) -> JoinedItem {
    let Interval { joined, left } = interval;
    let head = left.unwrap_or_else(|| oracle.head(channel));
    let read = oracle.position(channel, user);
    let unread = oracle.unread(channel, user, read.max(Seq(joined.0 - 1)), head);
    let name = oracle.name_at(channel, head).to_owned();
    JoinedItem { channel, joined, left, read, unread, head, name }
}

/// All pages together.
fn listed_by_the_store(world: &World, user: UserId) -> Result<Vec<JoinedItem>, String> {
    let mut found: Vec<JoinedItem> = Vec::new();
    loop {
        let after = found.last().map_or(ChannelId(0), |last| last.channel);
        let query = Query::Joined { user, after, limit: 500 };
        let Ok(Some(Answer::Joined { items, more })) = world.disk.store().read(&query, Tier::Any) else {
            broken!("own list of {user} cannot be read");
        };
        if more && items.is_empty() {
            broken!("own list of {user} has an empty page behind {after:?}, and more");
        }
        found.extend(items);
        if !more {
            return Ok(found);
        }
    }
}
