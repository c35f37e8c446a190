//! A session: a device's authenticated presence at its home. It is a position in the inbox plus a link.

use protocol::hello::Hello;
use protocol::hop::Origin;
use protocol::{DeviceId, InboxSeq, Kind, UserId};

use crate::admit::{Bucket, Owed, Pace};
use crate::egress::Egress;
use crate::input::{Tick, Ticket};
use crate::limits::{COMPLETE_EVERY_MS, FAULT_WEIGHT, FAULTS_MAX};
use crate::link::Link;
use crate::pages::{Full, Page, Pages};

/// A session's own name. It says nothing about where the session's connection is. Unique within the process: it tells an
/// answer for this session from one for an earlier one of the device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct SessionId(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Session {
    user: UserId,
    device: DeviceId,
    link: Link,
    /// Every inbox entry up to here was handed to the link.
    sent_through: InboxSeq,
    /// Upper end of the last complete range.
    complete: InboxSeq,
    completed_at: Tick,
    /// The page on the way, if any.
    paging: Option<Ticket>,
    expires_ms: u64,
    heard_at: Tick,
    /// What it may still spend.
    bucket: Bucket,
    /// What it owes and what it is owed; most sessions neither.
    dues: Option<Box<Dues>>,
    faults: u32,
    /// Its connection took no more.
    crowded: bool,
    /// When the session is looked at next; an earlier or later slot of the timer that names it is stale.
    look_at: Tick,
    /// A part with walls of its own: what waits to be written.
    pub(crate) egress: Egress,
}

#[derive(Debug, Default)]
struct Dues {
    /// What it was refused for want of tokens.
    owed: Option<Owed>,
    /// What it asked for and was not given yet.
    pages: Pages,
}

impl Session {
    /// One that has everything up to and with `start`.
    pub(crate) fn new(link: Link, hello: &Hello, start: InboxSeq, now: Tick, bucket: Bucket) -> Self {
        Self {
            user: hello.user,
            device: hello.device,
            link,
            sent_through: start,
            complete: start,
            completed_at: now,
            paging: None,
            expires_ms: hello.expires_ms,
            heard_at: now,
            bucket,
            dues: None,
            faults: 0,
            crowded: false,
            look_at: Tick(u64::MAX),
            egress: Egress::of(link),
        }
    }

    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.device
    }

    pub(crate) fn link(&self) -> Link {
        self.link
    }

    /// Every inbox entry up to here was handed to the link.
    pub(crate) fn sent_through(&self) -> InboxSeq {
        self.sent_through
    }

    /// Everything up to `at` was handed to the link.
    pub(crate) fn sent(&mut self, at: InboxSeq) {
        self.sent_through = at;
    }

    /// Whether a page is on the way to it.
    pub(crate) fn is_paging(&self) -> bool {
        self.paging.is_some()
    }

    /// Nothing but the page with this ticket is sent to it from now on.
    pub(crate) fn await_page(&mut self, ticket: Ticket) {
        self.paging = Some(ticket);
    }

    /// Whether this is the page that it waits for; then it waits no more.
    pub(crate) fn takes_page(&mut self, ticket: Ticket) -> bool {
        self.paging.take_if(|awaited| *awaited == ticket).is_some()
    }

    /// The page that it waited for does not come.
    pub(crate) fn page_failed(&mut self) {
        self.paging = None;
    }

    /// The range up to what is durable that it can be told is complete, and has not been; or an empty one, if it is to be
    /// told anyway.
    pub(crate) fn completes(
        &mut self,
        durable: InboxSeq,
        now: Tick,
        even_if_nothing: bool,
    ) -> Option<(InboxSeq, InboxSeq)> {
        let (from, to) = (self.complete, self.sent_through.min(durable));
        if to <= from && !even_if_nothing {
            return None;
        }
        self.complete = to.max(from);
        self.completed_at = now;
        Some((from, self.complete))
    }

    /// Whether it was told long enough ago.
    pub(crate) fn is_complete_due(&self, now: Tick) -> bool {
        now >= self.completed_at.after_ms(COMPLETE_EVERY_MS)
    }

    /// The device lives, or cannot be heard: either way its silence begins anew.
    pub(crate) fn heard(&mut self, now: Tick) {
        self.heard_at = now;
    }

    pub(crate) fn heard_at(&self) -> Tick {
        self.heard_at
    }

    /// There is a fresh token.
    pub(crate) fn renew(&mut self, expires_ms: u64) {
        self.expires_ms = expires_ms;
    }

    pub(crate) fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// Whether `at` is before it would be looked at anyway; then it is the time for that.
    pub(crate) fn is_sooner(&mut self, at: Tick) -> bool {
        let is_sooner = at < self.look_at;
        if is_sooner {
            self.look_at = at;
        }
        is_sooner
    }

    /// Whether it is time to look at it; then there is no next time yet.
    pub(crate) fn is_due(&mut self, now: Tick) -> bool {
        let is_due = now >= self.look_at;
        if is_due {
            self.look_at = Tick(u64::MAX);
        }
        is_due
    }

    /// After how many milliseconds it will have so many tokens.
    pub(crate) fn wait_ms(&self, tokens: u64, pace: Pace, now: Tick) -> u32 {
        self.bucket.wait_ms(tokens, pace, now)
    }

    /// It pays.
    pub(crate) fn spend(&mut self, tokens: u64, pace: Pace, now: Tick) {
        self.bucket.take(tokens, pace, now);
    }

    /// Whether it has sent too much in a row that was refused.
    pub(crate) fn has_too_many_faults(&mut self, weight: u32) -> bool {
        self.faults += weight;
        self.faults >= FAULTS_MAX * FAULT_WEIGHT
    }

    /// A frame was not refused.
    pub(crate) fn forgive_faults(&mut self) {
        self.faults = 0;
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// The connection takes no more for now, or again. False when that is no news.
    pub(crate) fn crowd(&mut self, crowded: bool) -> bool {
        core::mem::replace(&mut self.crowded, crowded) != crowded
    }

    /// What it was refused for want of tokens, if anything.
    pub(crate) fn owed(&self) -> Option<&Owed> {
        self.dues.as_ref().and_then(|dues| dues.owed.as_ref())
    }

    /// The same, to add to it or to note it.
    pub(crate) fn owed_mut(&mut self) -> Option<&mut Owed> {
        self.dues.as_mut().and_then(|dues| dues.owed.as_mut())
    }

    /// A frame is refused for want of tokens.
    pub(crate) fn owe(&mut self) -> &mut Owed {
        self.dues.get_or_insert_default().owed.get_or_insert_default()
    }

    /// Nothing is owed any more.
    pub(crate) fn forget_owed(&mut self) {
        if let Some(dues) = &mut self.dues {
            dues.owed = None;
        }
        self.tidy();
    }

    /// See [`Pages::reserve`].
    pub(crate) fn reserve_page(&mut self, page: Page, room: usize) -> Result<(), Full> {
        let reserved = self.dues.get_or_insert_default().pages.reserve(page, room);
        self.tidy();
        reserved
    }

    /// See [`Pages::give_back`].
    pub(crate) fn give_page_back(&mut self, kind: Kind, id: u64) -> Option<Page> {
        let page = self.dues.as_mut()?.pages.give_back(kind, id);
        self.tidy();
        page
    }

    /// Bytes reserved for pages that it asked for.
    pub(crate) fn page_bytes(&self) -> usize {
        self.dues.as_ref().map_or(0, |dues| dues.pages.bytes())
    }

    fn tidy(&mut self) {
        self.dues.take_if(|dues| dues.owed.is_none() && dues.pages.bytes() == 0);
    }

    /// Where answers for this session go, which has that name.
    pub(crate) fn origin(&self, id: SessionId) -> Origin {
        Origin { user: self.user, device: self.device, session: id.0 }
    }

    /// Whether the newest entry `at` of the inbox is what it is to be sent next, and nothing else is due with it. If not,
    /// [`crate::Shard::advance`] brings it along.
    pub(crate) fn is_live_before(&self, at: InboxSeq, now: Tick) -> bool {
        self.paging.is_none() && self.sent_through.next() == at && !self.is_complete_due(now)
    }
}

const _: () = assert!(size_of::<Session>() <= 144);
