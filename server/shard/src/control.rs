//! What the control plane asks of a user's home: the account, and the one registry of devices. A device exists from the
//! answer to `AddDevice` to `RemoveDevice` or `LogOutAll`; no Hello and no token makes one.

use protocol::commit::{AccountRow, DeviceRow, Relation, Row};
use protocol::limits::DEVICES_MAX;
use protocol::{CloseCode, Cursor, DeviceId, UserId};

use crate::effect::Effect;
use crate::greet::logged_out;
use crate::input::{Command, CommandError, Ticket};
use crate::invariant::impossible;
use crate::pipeline::After;
use crate::shard::Shard;
use crate::user::{User, Waiting};

impl Shard {
    pub(crate) fn control(&mut self, ticket: Ticket, command: Command) {
        let id = command.user();
        if matches!(command, Command::Withdraw { .. }) {
            self.withdrawals.add(id);
            self.out.push(Effect::Reply { ticket, outcome: Ok(()) });
            return;
        }
        if self.placement.user_home(id) != self.config.shard {
            self.out.push(Effect::Reply { ticket, outcome: Err(CommandError::OtherHome) });
            return;
        }
        if !self.with_user(id, || Waiting::Control(ticket, command.clone())) {
            return;
        }
        match self.carry_out(id, command) {
            Ok(()) => self.reply_once_stored(ticket, id),
            Err(error) => self.out.push(Effect::Reply { ticket, outcome: Err(error) }),
        }
    }

    fn carry_out(&mut self, id: UserId, command: Command) -> Result<(), CommandError> {
        if self.space_low && self.makes_rows(id, &command) {
            return Err(CommandError::StorageFull);
        }
        match command {
            Command::CreateAccount { row, .. } => self.create_account(id, row),
            Command::AddDevice { device, known, .. } => return self.add_device(id, device, &known),
            Command::RemoveDevice { device, .. } => self.remove_device(id, device),
            Command::SetPolicy { policy, .. } => return self.set_policy(id, policy),
            Command::SetQuota { quota, .. } => return self.set_quota(id, quota),
            Command::Relate { other, relation, .. } => return self.relate(id, other, relation),
            Command::Withdraw { .. } => impossible!(self, "a withdrawal changes nothing of a user"),
            Command::Subscribe { target, row, .. } => return self.subscribe(id, target, *row),
            Command::Unsubscribe { target, made_ms, .. } => self.unsubscribe(id, target, made_ms),
            Command::SetPush { is_off, .. } => return self.set_push(id, is_off),
            Command::Pushed { channel, seq, outcome, taken, .. } => {
                self.pushed((id, channel), seq, outcome, taken);
            }
            Command::PushWithdrawn { channel, seq, .. } => self.push_withdrawn(id, channel, seq),
            Command::LogOutAll { not_before_ms, keep, .. } => {
                return self.log_out_all(id, not_before_ms, keep);
            }
        }
        Ok(())
    }

    /// Whether a command adds to what is stored. Removing and revoking go on when the disk is nearly full.
    fn makes_rows(&self, id: UserId, command: &Command) -> bool {
        let Some(user) = self.users.get(&id) else { return true };
        match command {
            Command::CreateAccount { .. } => user.account.is_none(),
            Command::AddDevice { device, .. } => !user.devices.iter().any(|(known, _)| known == device),
            Command::Subscribe { target, .. } => !self.is_subscribed(id, *target),
            Command::Relate { relation, .. } => *relation != Relation::default(),
            // Who wants to be left alone more than before is heard although the disk is nearly full, and so is the operator.
            Command::RemoveDevice { .. }
            | Command::LogOutAll { .. }
            | Command::SetPolicy { .. }
            | Command::SetQuota { .. }
            | Command::Unsubscribe { .. }
            | Command::SetPush { .. }
            | Command::Pushed { .. }
            | Command::PushWithdrawn { .. }
            | Command::Withdraw { .. } => false,
        }
    }

    fn create_account(&mut self, id: UserId, row: AccountRow) {
        let Some(user) = self.users.get_mut(&id) else {
            return impossible!(self, "a command for a user who is not in memory");
        };
        if user.account.is_none() {
            user.account = Some(row);
            self.user_row(id, Row::Account { user: id, row });
        }
    }

    fn add_device(&mut self, id: UserId, device: DeviceId, known: &[DeviceId]) -> Result<(), CommandError> {
        let user = self.existing_user(id)?;
        if user.device(device).is_some() {
            return Ok(());
        }
        let too_many = (user.devices.len() + 1).saturating_sub(DEVICES_MAX);
        let mut strays: Vec<DeviceId> = user.devices.iter().map(|(stray, _)| *stray).collect();
        strays.retain(|stray| !known.contains(stray));
        if strays.len() < too_many {
            return Err(CommandError::Full);
        }
        strays.sort_unstable();
        for stray in strays.into_iter().take(too_many) {
            self.remove_device(id, stray);
        }
        let row = DeviceRow { cursor: Cursor::default(), seen_ms: self.wall_ms };
        let user = self.existing_user(id)?;
        user.devices.reserve_exact(1);
        user.devices.push((device, row));
        self.user_row(id, Row::Device { user: id, device, row });
        Ok(())
    }

    fn remove_device(&mut self, id: UserId, device: DeviceId) {
        let refusal = logged_out("the device was logged out or removed; log in again");
        let guests = self.guests_of_device(id, device);
        for session in self.sessions_of_device(id, device).into_iter().chain(guests) {
            self.reject(session, 0, &refusal);
            self.end_session(session, CloseCode::Unauthenticated);
        }
        let Some(user) = self.users.get_mut(&id) else {
            return impossible!(self, "a command for a user who is not in memory");
        };
        if user.device(device).is_some() {
            user.devices.retain(|(known, _)| *known != device);
            self.unsubscribe_device(id, device);
            self.user_row(id, Row::DeviceGone { user: id, device });
        }
    }

    fn log_out_all(
        &mut self,
        id: UserId,
        not_before_ms: u64,
        keep: Option<DeviceId>,
    ) -> Result<(), CommandError> {
        let user = self.existing_user(id)?;
        let all = user.devices.iter().map(|(device, _)| *device);
        let others: Vec<DeviceId> = all.filter(|device| Some(*device) != keep).collect();
        if let Some(account) = &mut user.account
            && account.not_before_ms < not_before_ms
        {
            account.not_before_ms = not_before_ms;
            let row = *account;
            self.user_row(id, Row::Account { user: id, row });
        }
        for device in others {
            self.remove_device(id, device);
        }
        Ok(())
    }

    /// A user with an account, for a command that has waited for its load.
    pub(crate) fn existing_user(&mut self, id: UserId) -> Result<&mut User, CommandError> {
        match self.users.get_mut(&id) {
            Some(user) if user.account.is_some() => Ok(user),
            _ => Err(CommandError::NoSuchUser),
        }
    }

    fn reply_once_stored(&mut self, ticket: Ticket, id: UserId) {
        let Some(user) = self.users.get(&id) else {
            return impossible!(self, "a command for a user who is not in memory");
        };
        let dirty = user.dirty;
        if let Some(after) = self.pipeline.after_number(dirty, After::Reply(ticket)) {
            self.after_stored(after);
        }
    }
}
