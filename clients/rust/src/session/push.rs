//! Where this user's devices are told of what they miss.

use protocol::body::push::{GetPush, SetPush, SubscribePush, UnsubscribePush};
use protocol::commit::Provider;
use protocol::{DeviceId, Refusal};

use super::Session;
use super::event::RequestId;

impl Session {
    /// This device is told there from now on, instead of where it said before for that provider. Answered by [`super::Event::Done`].
    ///
    /// # Errors
    /// As for [`Self::history`], and what is outside its bounds.
    pub fn subscribe_push(&mut self, wish: &SubscribePush) -> Result<RequestId, Refusal> {
        self.request(wish)
    }

    /// A device of the user, or this one, is told there no more. Answered by [`super::Event::Done`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn unsubscribe_push(
        &mut self,
        device: Option<DeviceId>,
        provider: Provider,
    ) -> Result<RequestId, Refusal> {
        let device = device.map_or(0, |device| device.0);
        self.request(&UnsubscribePush { device, provider: provider as u8 })
    }

    /// None of the user's devices is told from now on, or all are again. Answered by [`super::Event::Done`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn set_push(&mut self, is_off: bool) -> Result<RequestId, Refusal> {
        self.request(&SetPush { is_off })
    }

    /// Asks where the user's devices are told. Answered by [`super::Event::Push`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn push(&mut self) -> Result<RequestId, Refusal> {
        self.request(&GetPush { device: 0 })
    }
}
