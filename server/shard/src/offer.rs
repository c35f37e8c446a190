//! The third step of delivery, and the way of everything that is sent to a session: frames go out through its link, as
//! far as there is room. Nothing here knows an inbox: what has a place in one is noted by whoever offers it. So what is
//! never stored, and what is stored without a pointer for each member, goes out by the same step.

use bytes::Bytes;
use protocol::commit::Audience;
use protocol::hop::{Offer, OfferedTo, Speak};
use protocol::{Frame, UserId};

use crate::effect::Effect;
use crate::hops::Hops;
use crate::ledger::Ledger;
use crate::limits::OFFERS_PART;
use crate::session::{Session, SessionId};
use crate::shard::Shard;
use crate::user::User;

/// Where frames leave the shard.
#[derive(Debug)]
pub(crate) struct Outlet<'a> {
    pub(crate) out: &'a mut Vec<Effect>,
    pub(crate) hops: &'a mut Hops,
    pub(crate) ledger: &'a Ledger,
    pub(crate) turn: u64,
}

impl Outlet<'_> {
    /// Sends a frame to a session that has room for it. False when it has none; then nothing has happened, and whoever
    /// offers decides: what is in the inbox is sent later, what is not is lost.
    pub(crate) fn offer(&mut self, session: &mut Session, frame: &Frame, room: usize) -> bool {
        let has_room = session.egress.takes(frame.bytes().len(), room, self.turn);
        if has_room {
            self.send(session, frame.to_bytes());
        }
        has_room
    }

    /// Sends frames to a session, whatever waits for it already.
    pub(crate) fn send(&mut self, session: &mut Session, frames: Bytes) {
        session.egress.add(frames.len(), self.turn);
        session.egress.weigh(self.ledger);
        session.link().speak(Speak::Frames(frames), self.out, self.hops);
    }
}

impl Shard {
    /// A channel's home offers something that is stored nowhere to users of ours. Their live sessions get it as far as
    /// little waits for them: whoever has no room for it will have room for a newer one, or asks.
    pub(crate) fn offered(&mut self, offer: &Offer) {
        let (room, turn) = (self.egress_room() / OFFERS_PART, self.turn);
        for id in offer.users.iter() {
            // Who is not in memory has no session.
            let Some(user) = self.users.get(id).filter(|user| is_offered(*id, user, offer.to)) else {
                continue;
            };
            let mut outlet = Outlet { out: &mut self.out, hops: &mut self.hops, ledger: &self.ledger, turn };
            for session in &user.sessions {
                let Some(session) = self.sessions.get_mut(session) else { continue };
                if outlet.offer(session, &offer.frame, room) {
                    self.counters.offers_sent += 1;
                } else {
                    self.counters.offers_dropped += 1;
                }
            }
        }
    }

    /// Sends frames to a session.
    pub(crate) fn transmit(&mut self, id: SessionId, frames: Bytes) {
        // It may have ended meanwhile.
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (out, hops, ledger, turn) = (&mut self.out, &mut self.hops, &self.ledger, self.turn);
        Outlet { out, hops, ledger, turn }.send(session, frames);
        let link = session.link();
        if link.is_guest() {
            // That was its answer.
            self.closed(link);
        }
    }
}

fn is_offered(id: UserId, user: &User, to: OfferedTo) -> bool {
    let Some(account) = user.account else { return false };
    match to {
        OfferedTo::Themselves => true,
        OfferedTo::WhoShows => !account.policy.hides_receipts,
        OfferedTo::Others(by) => id != by,
        OfferedTo::WhoTakesFromAll(by) => {
            id != by && account.policy.message == Audience::Everyone && !account.has_relations
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::hello::Hello;
    use protocol::hop::Hop;
    use protocol::{Cursor, DeviceId, InboxSeq, Kind, ShardId, UserId};

    use super::*;
    use crate::admit::Bucket;
    use crate::input::{ConnId, Tick};
    use crate::ledger::Holds;
    use crate::link::Link;

    const ROOM: usize = 1000;
    /// Of another shard, so that everything counts as waiting until that shard confirms it.
    const HOLDER: ShardId = ShardId(3);

    const LOCAL: Link = Link::Local(ConnId(5));

    fn session(link: Link) -> Session {
        let (user, device, cursor) = (UserId(1), DeviceId(2), Cursor::default());
        let hello = Hello { user, device, cursor, id: 0, expires_ms: 0, issued_ms: 0 };
        Session::new(link, &hello, InboxSeq(40), Tick(5), Bucket::default())
    }

    fn frame(bytes: usize) -> Frame {
        Frame::build(Kind::HEARTBEAT, 1, 9, &vec![0; bytes])
    }

    /// As a typing notice or a message of a large channel would be: nobody numbers it.
    #[test]
    fn a_frame_without_a_place_in_the_inbox_is_offered() {
        let (mut out, mut hops, ledger) = (Vec::new(), Hops::new(ShardId(0), 4), Ledger::default());
        let mut session = session(LOCAL);
        let mut outlet = Outlet { out: &mut out, hops: &mut hops, ledger: &ledger, turn: 1 };
        assert!(outlet.offer(&mut session, &frame(10), ROOM));
        assert!(
            matches!(&*out, [Effect::Transmit { conn: ConnId(5), frames }] if **frames == *frame(10).bytes())
        );
        assert_eq!((session.sent_through(), session.is_paging()), (InboxSeq(40), false));
        assert_eq!(session.completes(InboxSeq(99), Tick(5), false), None, "complete says nothing of it");
        assert!(session.is_live_before(InboxSeq(41), Tick(5)), "the next message still goes out at once");
    }

    #[test]
    fn who_has_no_room_is_offered_in_vain_and_nothing_happens() {
        let (mut out, mut hops, ledger) = (Vec::new(), Hops::new(ShardId(0), 4), Ledger::default());
        let mut session = session(Link::Held { holder: HOLDER, conn: ConnId(5) });
        let mut outlet = Outlet { out: &mut out, hops: &mut hops, ledger: &ledger, turn: 1 };
        assert!(outlet.offer(&mut session, &frame(2 * ROOM), ROOM), "what is alone goes, or it never could");
        let waits = session.egress.queued(2);
        assert!(!outlet.offer(&mut session, &frame(1), ROOM));
        assert_eq!((session.egress.queued(2), ledger.of(Holds::Egress)), (waits, waits as u64));
        session.egress.tell(100, Tick(6), 2);
        assert!(outlet.offer(&mut session, &frame(10), ROOM), "the holder took most of it");
        let spoken = core::iter::from_fn(|| hops.pop(HOLDER));
        let is_frames = |hop| matches!(hop, Hop::Speak { conn: 5, fact: Speak::Frames(_) });
        assert_eq!(spoken.map(is_frames).collect::<Vec<_>>(), [true, true]);
        assert!(out.is_empty());
    }
}
