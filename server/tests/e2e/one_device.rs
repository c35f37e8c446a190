//! People with one device each, which speaks frames as they are.

use client::account::Account;
use protocol::body::message::SendText;
use protocol::body::sync::SendAck;
use protocol::{ChannelId, UserId};

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::Raw;

pub struct Person {
    pub user: UserId,
    pub token: String,
    pub device: Raw,
}

pub async fn person(node: &Node, account: &Account, name: &str) -> Person {
    let user = account.signup(name, PASSWORD).await.unwrap();
    let token = account.login(name, PASSWORD, None).await.unwrap().token;
    let device = Raw::live(node, &token);
    Person { user, token, device }
}

pub fn text(channel: ChannelId) -> SendText {
    SendText { channel: channel.0, text: "hello".into() }
}

impl Person {
    pub fn acked<T: protocol::body::Body>(&mut self, id: u64, body: &T) -> u64 {
        self.device.body(id, body);
        self.device.answer_as::<SendAck>(id).seq
    }
}
