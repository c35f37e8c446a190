//! What users said of each other, as the control plane knows it: a user's home carries it out, then every shard is told,
//! and from the last answer on nothing that is sent later may pass.

use std::collections::{BTreeMap, BTreeSet};

use protocol::commit::Audience;
use protocol::{ShardId, UserId};
use shard::{Command, Input, Ticket};

use crate::oracle::Ban;
use crate::world::World;

/// What commands were last given, and which are being told to the shards.
#[derive(Debug, Default)]
pub(crate) struct Rulings {
    latest: BTreeMap<Ban, Ticket>,
    /// The commands that their homes have carried out, with the shards that have not answered.
    told: Vec<(Ticket, Command, BTreeSet<Ticket>)>,
    /// Numbers every ban.
    bans: u64,
}

impl Rulings {
    /// The process died: nobody answers any more, and nothing is remembered that could be out of date.
    pub(crate) fn forget(&mut self) {
        self.told.clear();
    }
}

/// Whom a command concerns, and whether they may write afterwards.
fn ruling(command: &Command) -> Option<(Ban, bool)> {
    match *command {
        Command::Relate { user, other, relation } => Some(((user, Some(other)), !relation.is_blocked)),
        Command::SetPolicy { user, policy } => Some(((user, None), policy.message != Audience::Nobody)),
        _ => None,
    }
}

impl World {
    /// A ruling is on its way. A milder one counts from now on, a stricter one once all have answered.
    pub(crate) fn note_ruling(&mut self, ticket: Ticket, command: &Command) {
        if let Some((of, may)) = ruling(command) {
            self.rulings.latest.insert(of, ticket);
            self.oracle.said_no.extend((!may).then_some(of));
            if may {
                self.oracle.bans.remove(&of);
            }
        }
        // Friends only: who is none, or is one no more, is refused as well, which no ban follows.
        match *command {
            Command::Relate { user, other, .. } => drop(self.oracle.said_no.insert((user, Some(other)))),
            Command::SetPolicy { user, .. } => drop(self.oracle.said_no.insert((user, None))),
            _ => {}
        }
    }

    /// A user's home has carried a ruling out: every shard is told.
    pub(crate) fn tell_everyone(&mut self, ticket: Ticket, command: Command) {
        let user: UserId = command.user();
        let Some(node) = self.node.as_mut() else { return };
        let mut waits = BTreeSet::new();
        for shard in (0..node.placement().shards()).map(ShardId) {
            self.next_ticket += 1;
            let ticket = Ticket(self.next_ticket);
            let command = Command::Withdraw { user };
            node.tell(shard, Input::Control { ticket, command: command.clone() });
            self.commands.insert(ticket, command);
            waits.insert(ticket);
        }
        self.rulings.told.push((ticket, command, waits));
    }

    /// A shard has heard it. With the last answer the ban holds, unless something milder was said since.
    pub(crate) fn heard_by_one(&mut self, answered: Ticket) {
        for (ticket, command, waits) in &mut self.rulings.told {
            if !waits.remove(&answered) || !waits.is_empty() {
                continue;
            }
            if let Some((of, false)) = ruling(command)
                && self.rulings.latest.get(&of) == Some(ticket)
            {
                self.rulings.bans += 1;
                self.oracle.bans.insert(of, self.rulings.bans);
            }
        }
        self.rulings.told.retain(|(_, _, waits)| !waits.is_empty());
    }
}
