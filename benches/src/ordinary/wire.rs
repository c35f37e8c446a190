//! What the ordinary server says and hears: JSON, or Maru's frames for a client that began with them.

use bytes::Bytes;
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::sync::{Complete, SendAck};
use protocol::body::{self, session};
use protocol::{Frame, Kind, Seq, Stamp, UserId};
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::Message;

use crate::relay;
use crate::token::user_of;

/// How a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// A JSON object a text message.
    Json,
    /// Whole frames in binary messages.
    Frames,
}

/// What a client asks for. In JSON: `{"type":"send","id":7,"channel":"...","text":"..."}`.
#[derive(Deserialize, Debug)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Request {
    /// Who it is.
    Hello {
        /// Repeated by the answer.
        #[serde(default)]
        id: u64,
        /// The user.
        user: u64,
    },
    /// A new group of these and the sender.
    Create {
        /// Repeated by the ack.
        id: u64,
        /// The group's number.
        #[serde(deserialize_with = "number")]
        channel: u128,
        /// The others.
        members: Vec<u64>,
    },
    /// Text for a channel.
    Send {
        /// Repeated by the ack.
        id: u64,
        /// Which.
        #[serde(deserialize_with = "number")]
        channel: u128,
        /// What.
        #[serde(flatten)]
        body: Body,
    },
    /// Answered by the same.
    #[serde(skip)]
    Heartbeat(Message),
    /// Ignored.
    #[serde(other)]
    Other,
}

/// A text, and the frame it came in if it did.
#[derive(Deserialize, Debug)]
pub struct Body {
    /// The text.
    pub text: String,
    /// For receivers that speak frames.
    #[serde(skip)]
    pub frame: Option<Frame>,
}

impl Body {
    /// The first message of a group.
    #[must_use]
    pub fn created() -> Self {
        Self { text: "created".into(), frame: None }
    }
}

/// What is stored and delivered, in JSON.
#[derive(Serialize, Debug)]
pub struct Stored {
    /// The sender's number of it.
    pub id: u64,
    /// Where, as digits: JSON numbers end at 2^53.
    pub channel: String,
    /// Position there.
    pub seq: u64,
    /// Unix epoch.
    pub time_ms: u64,
    /// Who.
    pub sender: u64,
    /// What.
    pub text: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Answer<'a> {
    Welcome { user: u64 },
    Ack { id: u64, channel: &'a str, seq: u64, time_ms: u64 },
}

fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let digits = String::deserialize(deserializer)?;
    digits.parse().map_err(|_| serde::de::Error::custom("a channel is a number in digits"))
}

/// The requests in a binary message.
///
/// # Errors
/// Words for what is not a frame or not its kind's body.
pub fn requests(mut message: Bytes) -> Result<Vec<Request>, String> {
    let mut requests = Vec::new();
    while let Some(frame) = Frame::take(&mut message).map_err(|fault| fault.text().to_owned())? {
        let id = frame.header().id;
        let malformed = || format!("malformed body of kind {:#06x}", frame.kind().0);
        requests.push(match frame.kind() {
            Kind::HELLO => {
                let hello = body::read::<session::Hello>(&frame).ok_or_else(malformed)?;
                Request::Hello { id, user: user_of(&hello.token).ok_or("not a token")?.0 }
            }
            Kind::CREATE_GROUP => {
                let group = body::read::<CreateGroup>(&frame).ok_or_else(malformed)?;
                Request::Create { id, channel: group.channel, members: group.members }
            }
            Kind::SEND_TEXT => {
                let SendText { channel, text } = body::read(&frame).ok_or_else(malformed)?;
                Request::Send { id, channel, body: Body { text, frame: Some(frame) } }
            }
            Kind::HEARTBEAT => Request::Heartbeat(Message::binary(frame.into_bytes())),
            _ => Request::Other,
        });
    }
    Ok(requests)
}

/// The answer to hello.
///
/// # Errors
/// None that can happen; serde's.
pub fn welcome(dialect: Dialect, id: u64, user: u64) -> Result<Message, serde_json::Error> {
    match dialect {
        Dialect::Json => Ok(Message::text(serde_json::to_string(&Answer::Welcome { user })?)),
        Dialect::Frames => {
            let welcome = body::encode(id, &relay::welcome(user));
            let complete = body::encode(0, &Complete { generation: 1, from: 0, to: 0, head: 0 });
            Ok(Message::binary([welcome.bytes(), complete.bytes()].concat()))
        }
    }
}

/// One message on its way out, encoded once for each dialect that wants it.
#[derive(Debug)]
pub struct Delivery<'a> {
    stored: &'a Stored,
    json: String,
    sent: Option<Frame>,
    text: Option<Message>,
    frame: Option<Message>,
}

impl<'a> Delivery<'a> {
    /// `json` is what was stored.
    #[must_use]
    pub fn new(stored: &'a Stored, json: String, sent: Option<Frame>) -> Self {
        Self { stored, json, sent, text: None, frame: None }
    }

    /// For the sender.
    ///
    /// # Errors
    /// None that can happen; serde's.
    pub fn ack(&self, dialect: Dialect) -> Result<Message, serde_json::Error> {
        let Stored { id, channel, seq, time_ms, .. } = self.stored;
        Ok(match dialect {
            Dialect::Json => {
                let ack = Answer::Ack { id: *id, channel, seq: *seq, time_ms: *time_ms };
                Message::text(serde_json::to_string(&ack)?)
            }
            Dialect::Frames => {
                let ack = SendAck { channel: self.channel(), seq: *seq, time_ms: *time_ms };
                Message::binary(body::encode(*id, &ack).into_bytes())
            }
        })
    }

    /// For a receiver.
    ///
    /// # Errors
    /// None that can happen; serde's.
    pub fn message(&mut self, dialect: Dialect) -> Result<Message, serde_json::Error> {
        if dialect == Dialect::Json {
            let json = &mut self.json;
            // What is delivered is what was stored, with its type in front.
            let text = self
                .text
                .get_or_insert_with(|| Message::text(json.replacen('{', r#"{"type":"message","#, 1)));
            return Ok(text.clone());
        }
        if let Some(frame) = &self.frame {
            return Ok(frame.clone());
        }
        let stored = self.stored;
        let stamp = Stamp { seq: Seq(stored.seq), time_ms: stored.time_ms, sender: UserId(stored.sender) };
        let sent = self.sent.take().unwrap_or_else(|| {
            body::encode(stored.id, &SendText { channel: self.channel(), text: stored.text.clone() })
        });
        let frame = Message::binary(sent.stamp(stamp).into_bytes());
        self.frame = Some(frame.clone());
        Ok(frame)
    }

    fn channel(&self) -> u128 {
        self.stored.channel.parse().unwrap_or_default()
    }
}
