//! Who was in a channel before. Memory knows the present members only; of the others the store is asked when one of them
//! reads, or is about to join again.

use std::sync::Arc;

use protocol::body::message::Change;
use protocol::commit::Act;
use protocol::hop::{Consent, Hop, Wants};
use protocol::query::{Earlier, Ended, Query};
use protocol::{ChannelId, Code, Refusal, Seq, UserId};

use crate::asks::Asked;
use crate::channel::{Channel, Standing, Submit, Target};
use crate::consents::Given;
use crate::order::busy;
use crate::shard::Shard;

/// A send whose new members are being looked for.
#[derive(Debug)]
pub(crate) struct Opening {
    /// Which of the shard's openings this is: an answer to one that was given up is not for the next.
    number: u64,
    submit: Submit,
    /// Those who have not been found yet.
    unknown: Vec<UserId>,
    /// The store is asked what the group remembers of them.
    is_asking: bool,
    /// The store is asked for the message about which something is to be said.
    is_looking: bool,
    /// When they were asked for their consent.
    given: Given,
}

/// What must be asked before a send can have a seq.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// At the homes of users: whether they exist, and what they say to this.
    pub(crate) homes: Vec<(UserId, Wants)>,
    /// The store: what the group remembers of users.
    pub(crate) store: Vec<UserId>,
    /// The store: the message about which something is to be said, and whether with its edits.
    pub(crate) target: Option<(Seq, bool)>,
}

impl Questions {
    /// Whether one of them is the store's.
    pub(crate) fn asks_store(&self) -> bool {
        self.target.is_some() || !self.store.is_empty()
    }

    /// The same is wanted of all of them.
    pub(crate) fn of(users: &[UserId], wants: Wants) -> Self {
        Self { homes: users.iter().map(|user| (*user, wants)).collect(), ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.homes.is_empty() && self.store.is_empty() && self.target.is_none()
    }
}

impl Opening {
    pub(crate) fn new(number: u64, submit: Submit, questions: &Questions, given: Given) -> Self {
        let unknown = questions.homes.iter().map(|(user, _)| *user).collect();
        let is_asking = !questions.store.is_empty();
        let is_looking = questions.target.is_some();
        Self { number, submit, unknown, is_asking, is_looking, given }
    }

    /// Whose it was, and when it began.
    pub(crate) fn end(self) -> (Submit, Given) {
        (self.submit, self.given)
    }

    /// Whether everything is known.
    fn is_done(&self) -> bool {
        self.unknown.is_empty() && !self.is_asking && !self.is_looking
    }
}

impl Shard {
    /// Asks those whom a send concerns whether they exist and consent, and, of a group, what it remembers of them. The store
    /// answers behind what is on the way to it, so that a stay that has just ended counts.
    pub(crate) fn open_newcomers(&mut self, id: ChannelId, submit: Submit, questions: Questions) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let by = submit.origin.user;
        self.openings += 1;
        let number = self.openings;
        channel.open(Opening::new(number, submit, &questions, self.withdrawals.now()));
        let dirty = channel.dirty();
        let Questions { homes, store, target } = questions;
        if let Some((seq, edits)) = target {
            let asked = Asked::Target { channel: id, number };
            self.ask_after(dirty, asked, Query::Target { channel: id, seq, user: by, edits });
        }
        if !store.is_empty() {
            let users: Arc<[UserId]> = store.into();
            let asked = Asked::Earlier { channel: id, number, users: users.clone() };
            self.ask_after(dirty, asked, Query::Earlier { channel: id, users });
        }
        for (user, wants) in homes {
            let home = self.placement.user_home(user);
            self.hops.push(home, Hop::Open { channel: id, user, by, wants, opening: number });
        }
    }

    /// The store has said what the group remembers of its newcomers; `None` when it cannot be read now.
    pub(crate) fn newcomers_read(
        &mut self,
        id: ChannelId,
        number: u64,
        users: &[UserId],
        earlier: Option<Vec<Earlier>>,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        // A newcomer that does not exist has ended the opening, and another may have begun.
        let Some(opening) = channel.opening().filter(|opening| opening.number == number) else { return };
        let Some(earlier) = earlier else { return self.end_opening(id, Some(busy())) };
        let inviter = |earlier: &Earlier| match earlier.ended {
            Ended::Invited { by } => Some(by),
            _ => None,
        };
        let inviters = earlier.iter().filter_map(inviter).collect();
        opening.submit.newcomers = users.iter().copied().zip(earlier).collect();
        self.judge_by(id, number, inviters);
    }

    /// The store has said what it knows of the message about which something is to be said; `None` when it cannot be read
    /// now.
    pub(crate) fn target_read(&mut self, id: ChannelId, number: u64, target: Option<Target>) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        // A user who does not consent has ended the opening, and another may have begun.
        let Some(opening) = channel.opening().filter(|opening| opening.number == number) else { return };
        let Some(target) = target else { return self.end_opening(id, Some(busy())) };
        let author =
            target.message.as_ref().map(|(_, sent)| sent.sender).filter(|_| is_recall(&opening.submit));
        opening.submit.target = Some(Box::new(target));
        self.judge_by(id, number, author.into_iter().collect());
    }

    /// The store has said everything that an opening asks of it: it asks about users or about a message, never both.
    pub(crate) fn store_has_said(&mut self, id: ChannelId, number: u64) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(opening) = channel.opening().filter(|opening| opening.number == number) else { return };
        (opening.is_asking, opening.is_looking) = (false, false);
        if opening.is_done() {
            self.end_opening(id, None);
        }
    }

    /// It could not be read.
    pub(crate) fn give_up_opening(&mut self, id: ChannelId, number: u64) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if channel.opening().is_some_and(|opening| opening.number == number) {
            self.end_opening(id, Some(busy()));
        }
    }

    /// A newcomer's home has answered; `None` when it could not be read there.
    pub(crate) fn opened(&mut self, id: ChannelId, user: UserId, number: u64, consent: Option<Consent>) {
        // The opening may have been given up, and its channel have left memory.
        let opening = self.channels.get_mut(&id).and_then(Channel::opening);
        let Some(opening) = opening.filter(|opening| opening.number == number) else { return };
        let Some(place) = opening.unknown.iter().position(|unknown| *unknown == user) else { return };
        opening.unknown.swap_remove(place);
        let refusal = match consent {
            Some(Consent::Given) if opening.is_done() => None,
            Some(Consent::Given) => return,
            Some(Consent::Withheld) => Some(withheld(&opening.submit, user)),
            Some(Consent::Spent { wait_s }) => {
                let text = format!(
                    "you began as many conversations within the hour as is allowed; the next in {wait_s} s"
                );
                Some(Refusal::new(Code::Limit, "channel", text))
            }
            Some(Consent::NoSuchUser) => {
                let text = format!("user {user} does not exist");
                Some(Refusal::new(Code::NoSuchUser, "members", text))
            }
            None => Some(busy()),
        };
        self.end_opening(id, refusal);
    }

    /// All newcomers are known, or the send is refused; then the others go on.
    fn end_opening(&mut self, id: ChannelId, refusal: Option<Refusal>) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some((submit, given)) = channel.end_opening() else { return };
        match refusal {
            None => {
                channel.consented(submit.origin.user, given);
                self.order(id, submit, Standing::Opened);
            }
            Some(refusal) => self.refuse(&submit, &refusal),
        }
        self.order_waiting(id);
    }
}

fn is_recall(submit: &Submit) -> bool {
    matches!(submit.frame.change(), Some(Change::About { act: Act::Recalls, .. }))
}

/// Words for a user's no. Whether it is for all or for this one is not said.
fn withheld(submit: &Submit, user: UserId) -> Refusal {
    let named = submit.frame.change().map_or(&[][..], Change::named);
    let Some(at) = named.iter().position(|named| *named == user) else {
        let text = format!("user {user} takes no messages from you");
        return Refusal::new(Code::NeedsConsent, "channel", text);
    };
    let text = match submit.frame.change() {
        Some(Change::Invites(_)) => format!("user {user} takes no invitations from you"),
        _ => format!("user {user} is not added to groups by you; invite the user instead"),
    };
    Refusal::new(Code::NeedsConsent, format!("members[{at}]"), text)
}
