//! What devices themselves ask about push, by frames. The control plane asks the same by commands.

use core::fmt;
use std::sync::Arc;

use protocol::body;
use protocol::body::push::{GetPush, Push, PushItem, SetPush, SubscribePush, UnsubscribePush};
use protocol::commit::{Provider, SubscriptionRow};
use protocol::hop::Origin;
use protocol::limits::PUSH_SUBSCRIPTIONS_MAX;
use protocol::{Code, DeviceId, Frame, Refusal};

use crate::input::CommandError;
use crate::session::SessionId;
use crate::shard::Shard;

/// Through whom devices are told. What a good address, key or time zone is, is not the core's to know. Asked on the shard's
/// thread: it must not wait.
pub trait Providers: fmt::Debug + Send + Sync {
    /// What is kept of a wish that was made now.
    ///
    /// # Errors
    /// A field is not what is expected, or the server does not speak to this provider.
    fn read(&self, wish: SubscribePush, now_ms: u64) -> Result<SubscriptionRow, Refusal>;

    /// The key that a browser subscribes with.
    fn key(&self) -> String;
}

impl Shard {
    /// The device that asks is told there from now on.
    pub(crate) fn subscribes(&mut self, origin: Origin, frame: &Frame) -> Result<(), Refusal> {
        let provider = provider(body::ingest::<SubscribePush>(frame)?.provider)?;
        self.refuse_if_draining()?;
        let target = (origin.device, provider);
        if !self.is_subscribed(origin.user, target) {
            self.refuse_if_space_low()?;
        }
        let providers = self.providers()?;
        let wish = body::read::<SubscribePush>(frame);
        let wish = wish.ok_or_else(|| Refusal::new(Code::Malformed, "", "no SUBSCRIBE_PUSH"))?;
        let row = providers.read(wish, self.wall_ms)?;
        self.subscribe(origin.user, target, row).map_err(refusal)?;
        self.done_once_stored(origin, frame);
        Ok(())
    }

    /// It, or another device of its user, is told there no more.
    pub(crate) fn unsubscribes(&mut self, origin: Origin, frame: &Frame) -> Result<(), Refusal> {
        let wish = body::ingest::<UnsubscribePush>(frame)?;
        let device = match wish.device.to_native() {
            0 => origin.device,
            other => DeviceId(other),
        };
        let target = (device, provider(wish.provider)?);
        self.refuse_if_draining()?;
        self.unsubscribe(origin.user, target, None);
        self.done_once_stored(origin, frame);
        Ok(())
    }

    /// None of the user's devices is told from now on, or all are again.
    pub(crate) fn sets_push(&mut self, origin: Origin, frame: &Frame) -> Result<(), Refusal> {
        let is_off = body::ingest::<SetPush>(frame)?.is_off;
        self.refuse_if_draining()?;
        self.set_push(origin.user, is_off).map_err(refusal)?;
        self.done_once_stored(origin, frame);
        Ok(())
    }

    /// Where the user's devices are told.
    pub(crate) fn get_push(&mut self, id: SessionId, origin: Origin, frame: &Frame) -> Result<(), Refusal> {
        let only = body::ingest::<GetPush>(frame)?.device.to_native();
        let key = self.providers()?.key();
        let push = self.users.get(&origin.user).and_then(|user| user.push.as_ref());
        let all = push.into_iter().flat_map(|push| &push.subscriptions);
        let items = all.filter(|((device, _), _)| only == 0 || device.0 == only);
        let item = |&((device, provider), created_ms): &((DeviceId, Provider), u64)| PushItem {
            device: device.0,
            provider: provider as u8,
            created_ms,
        };
        let mut items: Vec<PushItem> = items.map(item).collect();
        items.sort_by_key(|item| item.created_ms);
        let told = Push { is_off: push.is_some_and(|push| push.is_off), key, items };
        self.transmit_body(id, frame.header().id, &told);
        Ok(())
    }

    fn providers(&self) -> Result<Arc<dyn Providers>, Refusal> {
        let missing = || Refusal::retry(Code::Busy, 1000, "push is not there yet");
        self.providers.clone().ok_or_else(missing)
    }
}

fn provider(number: u8) -> Result<Provider, Refusal> {
    Provider::from_number(number).ok_or_else(|| Refusal::new(Code::Limit, "provider", "no such provider"))
}

fn refusal(error: CommandError) -> Refusal {
    match error {
        CommandError::Full => {
            let text = format!("the user has {PUSH_SUBSCRIPTIONS_MAX} subscriptions; end one first");
            Refusal::new(Code::Limit, "provider", text)
        }
        CommandError::NoSuchUser => Refusal::new(Code::NoSuchUser, "", "the user has no account here"),
        error => Refusal::retry(Code::Busy, 1000, error.to_string()),
    }
}
