//! Who may come near a user: asked of the user's home, and remembered at the home of a direct channel until the user says
//! something else.

use std::collections::BTreeMap;

use protocol::commit::{Audience, Policy, Relation, Row};
use protocol::hop::{Consent, Hop, Wants};
use protocol::query::Query;
use protocol::{ChannelId, UserId};

use crate::asks::Asked;
use crate::input::CommandError;
use crate::invariant::impossible;
use crate::limits::WITHDRAWN_MAX;
use crate::shard::Shard;
use crate::user::Waiting;

/// When consent was given, in numbers of withdrawals that this shard had heard of, plus one; 0 is never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Given(u64);

/// Which consents hold no more. What the channels remember is older than what is said here, or holds.
#[derive(Debug, Default)]
pub(crate) struct Withdrawals {
    count: u64,
    /// All that were given before this.
    all: u64,
    /// Those of one user that were given before this.
    of: BTreeMap<UserId, u64>,
}

impl Withdrawals {
    /// What is asked for now is given at this time.
    pub(crate) fn now(&self) -> Given {
        Given(self.count + 1)
    }

    /// A user says something else than before, to whom does not matter here.
    pub(crate) fn add(&mut self, user: UserId) {
        self.count += 1;
        if self.of.len() >= WITHDRAWN_MAX {
            // Everybody is asked once more, which costs little.
            self.of.clear();
            self.all = self.count;
        }
        self.of.insert(user, self.count);
    }

    /// Whether what the user gave then holds now.
    pub(crate) fn still_holds(&self, user: UserId, given: Given) -> bool {
        given.0 > self.all && self.of.get(&user).is_none_or(|withdrawn| given.0 > *withdrawn)
    }
}

/// What a channel's home asks of a user's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) channel: ChannelId,
    pub(crate) by: UserId,
    pub(crate) wants: Wants,
    pub(crate) opening: u64,
}

impl Shard {
    /// Answers whether a user of this home lets somebody do what it wants.
    pub(crate) fn open(&mut self, id: UserId, request: Request) {
        if !self.with_user(id, || Waiting::Open(request)) {
            return;
        }
        if request.wants == Wants::Begin {
            let consent = self.begins(id);
            return self.consent(id, request, Some(consent));
        }
        let Some(user) = self.users.get(&id) else {
            return impossible!(self, "a user who was loaded for a question is not in memory");
        };
        let Some(account) = user.account else {
            return self.consent(id, request, Some(Consent::NoSuchUser));
        };
        if !account.has_relations {
            let says = says(account.policy, request.wants, Relation::default());
            return self.consent(id, request, Some(says));
        }
        let dirty = user.dirty;
        if !self.asks.has_load_room() {
            return self.consent(id, request, None);
        }
        let asked = Asked::Relation { user: id, policy: account.policy, request };
        self.ask_after(dirty, asked, Query::Relation { user: id, other: request.by });
    }

    pub(crate) fn consent(&mut self, user: UserId, request: Request, consent: Option<Consent>) {
        let Request { channel, opening, .. } = request;
        let home = self.placement.channel_home(channel);
        self.hops.push(home, Hop::Opened { channel, user, opening, consent });
    }

    /// Who may come near the user from now on.
    pub(crate) fn set_policy(&mut self, id: UserId, policy: Policy) -> Result<(), CommandError> {
        let user = self.existing_user(id)?;
        if let Some(account) = &mut user.account
            && account.policy != policy
        {
            let is_seen_by_others = account.policy.see != policy.see;
            account.policy = policy;
            let row = *account;
            self.user_row(id, Row::Account { user: id, row });
            if is_seen_by_others {
                self.asks.sights_are_stale(id);
                self.present.ask_again(id);
            }
        }
        Ok(())
    }

    /// What the user thinks of another from now on. Written blindly: what was said before does not matter.
    pub(crate) fn relate(
        &mut self,
        id: UserId,
        other: UserId,
        relation: Relation,
    ) -> Result<(), CommandError> {
        let user = self.existing_user(id)?;
        if let Some(account) = &mut user.account
            && !account.has_relations
        {
            if relation == Relation::default() {
                return Ok(());
            }
            account.has_relations = true;
            let row = *account;
            self.user_row(id, Row::Account { user: id, row });
        }
        self.user_row(id, Row::Relation { user: id, other, relation });
        self.presence_related(id, other, relation);
        Ok(())
    }
}

/// What a user says to somebody of whom this is known.
pub(crate) fn says(policy: Policy, wants: Wants, relation: Relation) -> Consent {
    let audience = match wants {
        Wants::Message => policy.message,
        // Not asked of the policy.
        Wants::Begin => Audience::Everyone,
        Wants::Add => policy.add,
        // Whoever is not added unasked is asked, unless nobody may.
        Wants::Invite if policy.add == Audience::Friends => Audience::Everyone,
        Wants::Invite => policy.add,
    };
    if relation.is_of(audience) { Consent::Given } else { Consent::Withheld }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consent_holds_until_it_is_withdrawn() {
        let mut withdrawals = Withdrawals::default();
        assert!(!withdrawals.still_holds(UserId(1), Given::default()), "nobody was asked yet");
        let first = withdrawals.now();
        withdrawals.add(UserId(1));
        assert!(!withdrawals.still_holds(UserId(1), first) && withdrawals.still_holds(UserId(2), first));
        let second = withdrawals.now();
        assert!(withdrawals.still_holds(UserId(1), second));
        for user in 0..WITHDRAWN_MAX as u64 {
            withdrawals.add(UserId(user + 10));
        }
        assert!(withdrawals.of.len() <= WITHDRAWN_MAX);
        assert!(!withdrawals.still_holds(UserId(2), second), "what cannot be told apart is asked for again");
        assert!(withdrawals.still_holds(UserId(1), withdrawals.now()));
    }
}
