//! A channel at its home: who is a member, which seq is next, and who waits for it. Only the rules; the way to the disk and
//! to the members is `order.rs`.

mod about;
mod erase;
mod group;
mod large;
mod rules;
mod talk;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::body::CheckedFrame;
use protocol::body::message::Change;
use protocol::commit::{ChannelRow, Grown, Interval, PositionRow, Row};
use protocol::hop::{Origin, Wants};
use protocol::query::{Earlier, Member};
use protocol::{BayId, ChannelId, Frame, Placement, Refusal, Seq, ShardId, UserId};

pub(crate) use self::about::{Target, Terms};
use self::group::Changed;
pub(crate) use self::large::Lookup;
use self::large::Lookups;
pub(crate) use self::rules::Rules;
use crate::consents::{Given, Withdrawals};
use crate::dedup::Dedup;
use crate::deliver::ack_of;
use crate::input::Tick;
use crate::ledger::Weight;
use crate::limits::WAITING_MAX;
use crate::membership::{Opening, Questions};
use crate::order::{busy, conflict};
use crate::pipeline::Recipients;

/// A frame that waits for the channel.
#[derive(Clone, Debug)]
pub(crate) struct Submit {
    pub(crate) origin: Origin,
    pub(crate) frame: CheckedFrame,
    /// Its user shows nobody how far it has come.
    pub(crate) hides: bool,
    /// What the group remembers of those whom the frame would add, once the store was asked.
    pub(crate) newcomers: BTreeMap<UserId, Earlier>,
    /// What is known of the message about which the frame says something, once the store was asked.
    pub(crate) target: Option<Box<Target>>,
    /// Its bytes, for as long as it waits.
    _weight: Weight,
}

impl Submit {
    pub(crate) fn new(origin: Origin, frame: CheckedFrame, hides: bool, weight: Weight) -> Self {
        Self { origin, frame, hides, newcomers: BTreeMap::new(), target: None, _weight: weight }
    }
}

/// When a user may have read what was asked for.
pub(crate) enum Readable {
    /// Never.
    Nothing,
    /// While the present stay lasts; what is asked for does not reach back behind it.
    Stay(Interval),
    /// The store knows.
    Ask,
}

/// What is to be done with a send.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It waits its turn.
    Queue,
    /// It has been sent before and is stored.
    Answer(Frame),
    /// It has been sent before and is on its way to the disk: one ticket for both.
    Repeat(Seq),
    /// The window of the channel does not know it, but it would make a group that exists.
    LookAtFirst,
    /// Users must be asked first.
    Open(Questions),
    /// It is the next message.
    Append,
}

/// Where a send stands among those of its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Behind all that wait.
    Last,
    /// It has waited, and is before all that wait.
    First,
    /// It is the one whose newcomers were looked for, and they were found.
    Opened,
}

#[derive(Debug)]
pub(crate) struct Channel {
    id: ChannelId,
    name: String,
    exists: bool,
    /// The present members; those who left cost no memory, the store knows them. Of a large channel those whom the store
    /// was asked for lately, and who joined.
    members: BTreeMap<UserId, Member>,
    /// What a large channel knows of its members.
    grown: Option<Grown>,
    /// Whom the store is asked for, of a large channel.
    lookups: Lookups,
    /// Newest seq given.
    head: Seq,
    /// Newest seq stored.
    durable: Seq,
    /// Of the newest message, in milliseconds since the Unix epoch.
    time_ms: u64,
    /// Newest seq that changed the members.
    changed: Seq,
    window: Window,
    /// The send for which users are being asked.
    opening: Option<Opening>,
    /// The store is asked what is left of a user who is erased: sends wait.
    is_held: bool,
    /// When each of the two of a direct channel consented to be written to by the other.
    consents: [Given; 2],
    /// What is laid down for a group.
    rules: Rules,
    /// Sends behind a window or an opening, in order.
    waiting: VecDeque<Submit>,
    /// Repeats of sends that are not stored yet.
    repeats: VecDeque<(Seq, Submit)>,
    /// What recalls that are not stored yet take back, in order.
    recalls: VecDeque<(Seq, Vec<Seq>)>,
    /// Messages that are not stored yet and hold a word of the operator's list, in order.
    flagged: VecDeque<(Seq, UserId)>,
    /// What is below was purged while the channel was in memory; of what was purged before, the store says so itself.
    floor: Seq,
    /// Number of the batch with the newest row.
    dirty: u64,
    recipients: Option<Recipients>,
}

/// The dedup window: what was sent lately. See [`crate::window::Windows`].
#[derive(Debug)]
enum Window {
    Absent,
    /// A read of it is on the way.
    Reading,
    Here(Dedup),
}

/// The next message of a channel, as it is written.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) seq: Seq,
    pub(crate) time_ms: u64,
    pub(crate) recipients: Recipients,
    /// Of a large channel the message with which it became one.
    pub(crate) grown: Option<Seq>,
    /// Rows of the group and its members.
    pub(crate) rows: Vec<Row>,
}

impl Channel {
    /// Number of the batch with its newest row.
    pub(crate) fn dirty(&self) -> u64 {
        self.dirty
    }

    /// Its newest row is in that batch.
    pub(crate) fn wrote(&mut self, batch: u64) {
        self.dirty = batch;
    }

    pub(crate) fn new(
        id: ChannelId,
        row: Option<ChannelRow>,
        members: Vec<(UserId, Member)>,
        head: Seq,
        time_ms: u64,
        rules: Rules,
    ) -> Self {
        let exists = row.is_some() || id.users().is_some();
        let mut members: BTreeMap<UserId, Member> = members.into_iter().collect();
        for user in id.users().into_iter().flat_map(<[UserId; 2]>::from) {
            // The two of a direct channel, or the one of an own, are in it for ever; their rows only say how far they
            // have come.
            members.entry(user).or_insert_with(|| Member { joined: Seq(1), number: 1, ..Member::default() });
        }
        let ChannelRow { name, grown } = row.unwrap_or_default();
        Self {
            id,
            name,
            exists,
            members,
            grown,
            lookups: Lookups::default(),
            head,
            durable: head,
            time_ms,
            changed: Seq(0),
            window: Window::Absent,
            opening: None,
            is_held: false,
            consents: [Given::default(); 2],
            rules,
            waiting: VecDeque::new(),
            repeats: VecDeque::new(),
            recalls: VecDeque::new(),
            flagged: VecDeque::new(),
            floor: Seq(0),
            dirty: 0,
            recipients: None,
        }
    }

    /// Whether nothing of it is on the way, so that it may leave memory.
    pub(crate) fn is_idle(&self) -> bool {
        self.head == self.durable
            && self.waiting.is_empty()
            && self.opening.is_none()
            && !self.is_held
            && !matches!(self.window, Window::Reading)
            && self.repeats.is_empty()
            && self.lookups.is_idle()
    }

    /// Whether the user may send now.
    pub(crate) fn is_member(&self, user: UserId) -> bool {
        self.members.contains_key(&user)
    }

    /// Members as of the newest message, behind `after`.
    pub(crate) fn members_after(&self, after: UserId) -> impl Iterator<Item = (UserId, &Member)> {
        use core::ops::Bound::{Excluded, Unbounded};
        self.members.range((Excluded(after), Unbounded)).map(|(user, member)| (*user, member))
    }

    pub(crate) fn member_count(&self) -> usize {
        self.grown.map_or(self.members.len(), |grown| grown.members as usize)
    }

    /// The same as MEMBERS tells it.
    pub(crate) fn total(&self) -> u32 {
        u32::try_from(self.member_count()).unwrap_or(u32::MAX)
    }

    /// Whether the other user of a direct channel is known to take messages from `user`. In a group nobody is asked.
    pub(crate) fn takes_from(&self, user: UserId, withdrawals: &Withdrawals) -> bool {
        let Some((small, large)) = self.id.users() else { return true };
        let [by_small, by_large] = self.consents;
        let (other, given) = if user == small { (large, by_large) } else { (small, by_small) };
        withdrawals.still_holds(other, given)
    }

    /// Its messages below a seq are gone: from here on nothing is said about them, whatever the store has said before.
    pub(crate) fn purged(&mut self, below: Seq) {
        self.floor = self.floor.max(below);
    }

    pub(crate) fn head(&self) -> Seq {
        self.head
    }

    pub(crate) fn durable(&self) -> Seq {
        self.durable
    }

    pub(crate) fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Whether the newest change of the members is not stored yet: only what is stored may be seen.
    pub(crate) fn is_changing(&self) -> bool {
        self.changed > self.durable
    }

    /// How far a member has come, as far as its membership is stored. Nobody has come anywhere in a channel without a
    /// message.
    pub(crate) fn position(&mut self, user: UserId) -> Option<&mut PositionRow> {
        let durable = self.durable;
        if !self.exists || durable == Seq(0) {
            return None;
        }
        let member = self.members.get_mut(&user).filter(|member| member.joined <= durable)?;
        Some(&mut member.position)
    }

    /// The first message of a member's present stay, once that is stored.
    pub(crate) fn present_since(&self, user: UserId) -> Option<Seq> {
        let member = self.members.get(&user).filter(|_| self.exists)?;
        Some(member.joined).filter(|joined| *joined <= self.durable)
    }

    /// What `user` may read behind `after`.
    pub(crate) fn readable(&self, user: UserId, after: Seq) -> Readable {
        if !self.exists {
            return Readable::Nothing;
        }
        match self.members.get(&user) {
            Some(member) if member.number == 1 || after.next() >= member.joined => {
                Readable::Stay(Interval { joined: member.joined, left: None })
            }
            None if self.id.users().is_some() => Readable::Nothing,
            _ => Readable::Ask,
        }
    }

    /// Decides, and changes nothing. The repeat is looked up before membership: the answer to a repeated send never depends
    /// on what changed since. `is_refusing` says that nothing new can be written now.
    pub(crate) fn judge(
        &self,
        submit: &Submit,
        standing: Standing,
        terms: Terms<'_>,
        withdrawals: &Withdrawals,
        is_refusing: bool,
    ) -> Result<Verdict, Refusal> {
        let Window::Here(dedup) = &self.window else { return Ok(Verdict::Queue) };
        let others_first = match standing {
            Standing::Last => self.opening.is_some() || self.is_held || !self.waiting.is_empty(),
            Standing::First => self.opening.is_some(),
            Standing::Opened => false,
        };
        if others_first {
            return Ok(Verdict::Queue);
        }
        if let Some(known) = dedup.find(submit.origin.user, submit.frame.send_id()) {
            if !known.has_content(submit.frame.fingerprint()) {
                return Err(conflict());
            }
            if known.seq > self.durable {
                // Not stored yet: whoever asks again waits on the same ticket.
                let room = self.repeats.len() < WAITING_MAX;
                return if room { Ok(Verdict::Repeat(known.seq)) } else { Err(busy()) };
            }
            let ack = ack_of(submit.frame.header().id, self.id, known.seq, known.time_ms);
            return Ok(Verdict::Answer(ack));
        }
        if matches!(submit.frame.change(), Some(Change::Begins { .. })) && self.durable > Seq(0) {
            return Ok(Verdict::LookAtFirst);
        }
        self.check(submit, terms)?;
        if is_refusing {
            return Err(busy());
        }
        let questions = match standing {
            Standing::Opened => Questions::default(),
            Standing::Last | Standing::First => self.questions(submit, withdrawals),
        };
        Ok(if questions.is_empty() { Verdict::Append } else { Verdict::Open(questions) })
    }

    /// A send waits its turn. Given back when too many do.
    pub(crate) fn wait(&mut self, submit: Submit) -> Option<Submit> {
        if self.waiting.len() >= WAITING_MAX {
            return Some(submit);
        }
        self.waiting.push_back(submit);
        None
    }

    /// Takes the first send that waits, unless it has to wait for the newcomers of another.
    pub(crate) fn next_waiting(&mut self) -> Option<Submit> {
        // Without the window nothing is judged: its answer takes the next one.
        if self.opening.is_some() || self.is_held || !matches!(self.window, Window::Here(_)) {
            return None;
        }
        self.waiting.pop_front()
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> &VecDeque<Submit> {
        &self.waiting
    }

    /// Takes all sends that wait: none of them can be served now.
    pub(crate) fn give_up_waiting(&mut self) -> VecDeque<Submit> {
        core::mem::take(&mut self.waiting)
    }

    /// A repeat of a send waits until this seq is stored.
    pub(crate) fn repeat(&mut self, seq: Seq, submit: Submit) {
        self.repeats.push_back((seq, submit));
    }

    /// Everything up to `seq` is stored, and visible from now on.
    pub(crate) fn stored(&mut self, seq: Seq) {
        self.durable = seq;
        self.forget_recalled(seq);
    }

    /// Takes the first repeat that what is stored answers, with its ack.
    pub(crate) fn next_repeat(&mut self) -> Option<(Submit, Frame)> {
        let (seq, submit) = self.repeats.pop_front_if(|(seq, _)| *seq <= self.durable)?;
        let known = match &self.window {
            Window::Here(dedup) => dedup.find(submit.origin.user, submit.frame.send_id()),
            Window::Absent | Window::Reading => None,
        };
        let time_ms = known.map_or(self.time_ms, |known| known.time_ms);
        let ack = ack_of(submit.frame.header().id, self.id, seq, time_ms);
        Some((submit, ack))
    }

    /// Takes the first message that is stored and holds a word of the operator's list.
    pub(crate) fn next_flagged(&mut self) -> Option<(Seq, UserId)> {
        let durable = self.durable;
        self.flagged.pop_front_if(|(seq, _)| *seq <= durable)
    }

    /// Users are asked for a send.
    pub(crate) fn open(&mut self, opening: Opening) {
        self.opening = Some(opening);
    }

    /// The opening on the way, if any.
    pub(crate) fn opening(&mut self) -> Option<&mut Opening> {
        self.opening.as_mut()
    }

    /// It is over. Says whose it was, and when it began.
    pub(crate) fn end_opening(&mut self) -> Option<(Submit, Given)> {
        self.opening.take().map(Opening::end)
    }

    /// Whom `user` writes to in a direct channel has consented to it.
    pub(crate) fn consented(&mut self, user: UserId, given: Given) {
        if let Some((small, _)) = self.id.users() {
            let [by_small, by_large] = &mut self.consents;
            *(if user == small { by_large } else { by_small }) = given;
        }
    }

    /// Whether the dedup window is neither here nor on the way.
    pub(crate) fn lacks_window(&self) -> bool {
        matches!(self.window, Window::Absent)
    }

    /// A read of the dedup window is on the way.
    pub(crate) fn begin_window(&mut self) {
        self.window = Window::Reading;
    }

    /// The dedup window was read, or cannot be now.
    pub(crate) fn end_window(&mut self, dedup: Option<Dedup>) {
        self.window = dedup.map_or(Window::Absent, Window::Here);
    }

    /// The dedup window, if it is here.
    pub(crate) fn window(&mut self) -> Option<&mut Dedup> {
        match &mut self.window {
            Window::Here(dedup) => Some(dedup),
            Window::Absent | Window::Reading => None,
        }
    }

    /// A send that was judged to be it becomes the next message.
    /// A group of more than `group_members` is a large channel from then on.
    pub(crate) fn append(
        &mut self,
        submit: &Submit,
        (now, wall_ms): (Tick, u64),
        (placement, group_members): (Placement, usize),
    ) -> Appended {
        let before = self.grown;
        let mut changed = self.apply(submit, now, wall_ms);
        // A note to oneself is for nobody else.
        if submit.frame.has_word() && self.id.owner().is_none() {
            self.flagged.push_back((self.head, submit.origin.user));
        }
        let joins = matches!(submit.frame.change(), Some(Change::Joins(_) | Change::Accepts));
        if joins && before.is_none() && self.members.len() > group_members {
            self.grow();
        }
        if self.grown != before {
            changed.rows.push(self.row());
        }
        let recipients = match before {
            None => self.recipients(placement, &changed),
            Some(_) => by_home(placement, &self.pointed(submit, &changed)),
        };
        let grown = self.grown.map(|grown| grown.since);
        Appended { seq: self.head, time_ms: self.time_ms, recipients, grown, rows: changed.rows }
    }

    /// Who must be asked before this frame can have a seq.
    fn questions(&self, submit: &Submit, withdrawals: &Withdrawals) -> Questions {
        if submit.frame.change() == Some(&Change::Erases) {
            // Nobody is asked whether somebody may be forgotten.
            return Questions::default();
        }
        Questions { target: about::target_of(submit), ..self.questions_of_users(submit, withdrawals) }
    }

    fn questions_of_users(&self, submit: &Submit, withdrawals: &Withdrawals) -> Questions {
        let sender = submit.origin.user;
        if self.id.owner().is_some() {
            // Nobody is asked whether they may write to themselves, and that begins no conversation.
            return Questions::default();
        }
        if let Some((small, large)) = self.id.users() {
            let [by_small, by_large] = self.consents;
            let (other, given) = if sender == small { (large, by_large) } else { (small, by_small) };
            let mut questions = Questions::default();
            if !withdrawals.still_holds(other, given) {
                questions.homes.push((other, Wants::Message));
            }
            // Nobody is asked twice for one conversation: it has begun once it has a message.
            if self.head == Seq(0) {
                questions.homes.push((sender, Wants::Begin));
            }
            return questions;
        }
        match submit.frame.change() {
            Some(Change::Begins { members, .. }) => Questions::of(members, Wants::Add),
            Some(Change::Joins(users)) => {
                Questions { store: users.clone(), ..Questions::of(users, Wants::Add) }
            }
            Some(Change::Invites(users)) => {
                Questions { store: users.clone(), ..Questions::of(users, Wants::Invite) }
            }
            Some(Change::Accepts) => Questions { store: vec![sender], ..Questions::default() },
            _ => Questions::default(),
        }
    }

    /// All members now, by their homes. Kept until they change.
    pub(crate) fn everybody(&mut self, placement: Placement) -> Recipients {
        self.recipients(placement, &Changed::default())
    }

    /// Who receives the newest message: the members at its seq. Kept until the members change.
    fn recipients(&mut self, placement: Placement, changed: &Changed) -> Recipients {
        if let Some(recipients) = &self.recipients
            && !changed.members
            && changed.also.is_empty()
        {
            return recipients.clone();
        }
        let users: Vec<UserId> = self.members.keys().copied().chain(changed.also.iter().copied()).collect();
        let recipients = by_home(placement, &users);
        // Who left with this very message, or is invited by it, receives it and nothing after it.
        self.recipients = changed.also.is_empty().then(|| recipients.clone());
        recipients
    }
}

/// Users by their home, of each home in the order of keys.
fn by_home(placement: Placement, users: &[UserId]) -> Recipients {
    let mut homes: BTreeMap<ShardId, Vec<UserId>> = BTreeMap::new();
    for user in users {
        homes.entry(placement.user_home(*user)).or_default().push(*user);
    }
    let sorted = homes.into_iter().map(|(home, mut users)| {
        users.sort_unstable_by_key(|user| (BayId::of_user(*user), *user));
        (home, Arc::from(users))
    });
    sorted.collect()
}
