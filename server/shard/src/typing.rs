//! Who types: passed on from memory, never stored and never answered. A device says it again and again while it goes on,
//! and what it says too often goes no further.

use std::collections::VecDeque;

use protocol::body::marks::{TYPING_GOES_ON, Typing};
use protocol::body::{self, Checked, CheckedFrame};
use protocol::hop::{Hop, Offer, OfferedTo, Origin};
use protocol::{ChannelId, Code, Frame, Refusal};

use crate::channel::Submit;
use crate::home::check_party;
use crate::idmap::{IdMap, Seeded};
use crate::input::Tick;
use crate::limits::{OFFERED_MEMBERS_MAX, TYPED_IN_MAX, TYPING_EVERY_MS, TYPING_EXPIRES_MS};
use crate::shard::Shard;

/// Who said lately that it types, or stopped.
#[derive(Debug)]
pub(crate) struct Typists {
    /// By session the channels, and whether it has stopped there. Few each, so that nobody's room is another's.
    said: IdMap<u64, Vec<(ChannelId, bool)>>,
    /// When each may say it again; rising, since all wait equally long.
    again: VecDeque<(Tick, u64, ChannelId)>,
}

impl Typists {
    pub(crate) fn new(seed: Seeded) -> Self {
        Self { said: IdMap::with_hasher(seed), again: VecDeque::new() }
    }

    /// Whether what a session says of a channel goes further: once in a while, and once more when it stops.
    fn passes(&mut self, now: Tick, session: u64, channel: ChannelId, stops: bool) -> bool {
        while let Some((_, past, of)) = self.again.pop_front_if(|(at, ..)| *at <= now) {
            self.forget(past, of);
        }
        let said = self.said.entry(session).or_default();
        if let Some((_, stopped)) = said.iter_mut().find(|(known, _)| *known == channel) {
            return stops && !core::mem::replace(stopped, true);
        }
        let has_room = said.len() < TYPED_IN_MAX;
        if has_room {
            said.push((channel, stops));
            self.again.push_back((now.after_ms(TYPING_EVERY_MS), session, channel));
        }
        has_room
    }

    fn forget(&mut self, session: u64, channel: ChannelId) {
        let Some(said) = self.said.get_mut(&session) else { return };
        said.retain(|(known, _)| *known != channel);
        if said.is_empty() {
            self.said.remove(&session);
        }
    }
}

impl Shard {
    /// A device says that its user types in a channel, or stopped.
    pub(crate) fn typing_said(&mut self, origin: Origin, frame: Frame) -> Result<(), Refusal> {
        let typing = body::ingest::<Typing>(&frame)?;
        if typing.user.to_native() != 0 || typing.expires_ms.to_native() != 0 {
            let text = "`user` and `expires_ms` are the server's to say; send 0";
            return Err(Refusal::new(Code::Limit, "user", text));
        }
        let stops = typing.state != TYPING_GOES_ON;
        let channel = |typing: Checked<'_, Typing>| ChannelId(typing.channel.to_native());
        let frame = CheckedFrame::request::<Typing>(frame, channel)?;
        check_party(origin.user, frame.channel())?;
        let home = self.placement.channel_home(frame.channel());
        let passes = self.typists.passes(self.now, origin.session, frame.channel(), stops);
        if passes && !self.hops.is_pressed(home) {
            self.hops.push(home, Hop::Submit { origin, frame, hides: false });
        }
        Ok(())
    }

    /// At the channel's home: the others are offered it, if the channel is in memory. Nothing is read for it, and who is no
    /// member is not told so: it would be told the channel's state.
    pub(crate) fn typing(&mut self, id: ChannelId, submit: &Submit) {
        let (user, placement) = (submit.origin.user, self.placement);
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let is_few = channel.member_count() <= OFFERED_MEMBERS_MAX;
        let is_silent = channel.is_changing() || channel.is_muted(user, self.wall_ms);
        if !is_few || is_silent || channel.position(user).is_none() {
            return;
        }
        let Some(said) = body::read::<Typing>(&submit.frame) else { return };
        let expires_ms = if said.state == TYPING_GOES_ON { TYPING_EXPIRES_MS } else { 0 };
        let frame = body::encode(0, &Typing { user: user.0, expires_ms, ..said });
        let is_taken = channel.takes_from(user, &self.withdrawals);
        let to = if is_taken { OfferedTo::Others(user) } else { OfferedTo::WhoTakesFromAll(user) };
        for (home, users) in channel.everybody(placement).iter() {
            self.offer_hop(*home, Offer { users: users.clone(), frame: frame.clone(), to });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_too_often_goes_no_further() {
        let mut typists = Typists::new(Seeded(7));
        let (one, other) = (ChannelId(7), ChannelId(8));
        let mut said = |at, session, channel, stops| typists.passes(Tick(at), session, channel, stops);
        assert!(said(0, 1, one, false) && !said(1, 1, one, false), "once in three seconds");
        assert!(said(2, 1, other, false), "each channel for itself");
        assert!(said(2, 2, one, false), "and each session");
        assert!(said(3, 1, one, true) && !said(4, 1, one, true), "it stops once");
        assert!(!said(TYPING_EVERY_MS - 1, 1, one, false));
        assert!(said(TYPING_EVERY_MS, 1, one, true), "who stops late is heard");
        assert!(!said(TYPING_EVERY_MS, 1, one, true));
    }

    #[test]
    fn few_channels_are_remembered_of_each_session() {
        let mut typists = Typists::new(Seeded(7));
        let mut said = |at, session, channel: usize| {
            typists.passes(Tick(at), session, ChannelId(channel as u128), false)
        };
        assert!((0..TYPED_IN_MAX).all(|channel| said(0, 1, channel)));
        assert!(!said(1, 1, TYPED_IN_MAX) && said(1, 2, TYPED_IN_MAX), "it costs nobody else anything");
        assert!(said(TYPING_EVERY_MS + 1, 1, TYPED_IN_MAX));
        assert_eq!((typists.said.len(), typists.again.len()), (1, 1));
    }
}
