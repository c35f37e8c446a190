//! The JSON dialect of `benches/`'s ordinary server: one object a text message. Sessions speak frames, so each frame is
//! translated: what is measured is the server as its own clients would use it, not the tool's session.

use bytes::{Buf, BytesMut};
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::session::{Hello, WelcomeV2};
use protocol::body::sync::{Complete, SendAck};
use protocol::body::{encode, read};
use protocol::limits::WS_MESSAGE_BYTES_MAX;
use protocol::ws::{Opcode, encode_header, mask};
use protocol::{Frame, Kind, Seq, Stamp, UserId};
use serde::{Deserialize, Serialize};

use super::Lost;

/// First byte of a whole text message (RFC 6455 section 5.2).
const TEXT: u8 = 0x81;
/// The dialect has no heartbeat and no end of a token.
const NEVER_MS: u64 = 1 << 40;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said<'a> {
    Hello { user: u64 },
    Create { id: u64, channel: String, members: &'a [u64] },
    Send { id: u64, channel: String, text: &'a str },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Heard {
    Welcome {},
    Ack { id: u64, channel: String, seq: u64, time_ms: u64 },
    Message { id: u64, channel: String, seq: u64, time_ms: u64, sender: u64, text: String },
}

/// Translates one connection.
#[derive(Debug)]
pub(super) struct Json {
    user: UserId,
    hello: u64,
    held: BytesMut,
}

impl Json {
    pub(super) fn new(user: UserId) -> Self {
        Self { user, hello: 0, held: BytesMut::new() }
    }

    /// Appends a frame as a masked text message; a frame that the dialect has no word for is left out.
    pub(super) fn write(&mut self, frame: &Frame, key: [u8; 4], out: &mut Vec<u8>) {
        let id = frame.header().id;
        let text = match frame.kind() {
            Kind::HELLO if read::<Hello>(frame).is_some() => {
                self.hello = id;
                serde_json::to_string(&Said::Hello { user: self.user.0 })
            }
            Kind::CREATE_GROUP => match read::<CreateGroup>(frame) {
                Some(CreateGroup { channel, members, .. }) => serde_json::to_string(&Said::Create {
                    id,
                    channel: channel.to_string(),
                    members: &members,
                }),
                None => return,
            },
            Kind::SEND_TEXT => match read::<SendText>(frame) {
                Some(SendText { channel, text }) => {
                    serde_json::to_string(&Said::Send { id, channel: channel.to_string(), text: &text })
                }
                None => return,
            },
            _ => return,
        };
        let Ok(text) = text else { return };
        let (mut header, len) = encode_header(Opcode::Binary, text.len(), Some(key));
        if let Some(first) = header.first_mut() {
            *first = TEXT;
        }
        out.extend_from_slice(header.get(..len).unwrap_or_default());
        let at = out.len();
        out.extend_from_slice(text.as_bytes());
        mask(out.get_mut(at..).unwrap_or_default(), key, 0);
    }

    /// Takes bytes of the server: text messages in one piece each.
    pub(super) fn take(&mut self, bytes: &[u8], frames: &mut Vec<Frame>) -> Result<(), Lost> {
        self.held.extend_from_slice(bytes);
        while let Some((head, len)) = payload(&self.held) {
            if len > WS_MESSAGE_BYTES_MAX || self.held.first() != Some(&TEXT) {
                return Err(Lost::Broken("not a text message in one piece".into()));
            }
            if self.held.len() < head + len {
                break;
            }
            let text = self.held.get(head..head + len).unwrap_or_default();
            let heard = serde_json::from_slice(text)
                .map_err(|error| Lost::Broken(format!("not the dialect: {error}")))?;
            self.tell(heard, frames)?;
            self.held.advance(head + len);
        }
        if self.held.is_empty() {
            // An idle connection owns no memory.
            self.held = BytesMut::new();
        }
        Ok(())
    }

    fn tell(&self, heard: Heard, frames: &mut Vec<Frame>) -> Result<(), Lost> {
        let number = |text: &str| text.parse().map_err(|_| Lost::Broken(format!("not a channel: {text:?}")));
        match heard {
            Heard::Welcome {} => {
                frames.push(encode(self.hello, &welcome(self.user)));
                frames.push(encode(0, &Complete { generation: 1, from: 0, to: 0, head: 0 }));
            }
            Heard::Ack { id, channel, seq, time_ms } => {
                frames.push(encode(id, &SendAck { channel: number(&channel)?, seq, time_ms }));
            }
            Heard::Message { id, channel, seq, time_ms, sender, text } => {
                let sent = encode(id, &SendText { channel: number(&channel)?, text });
                frames.push(sent.stamp(Stamp { seq: Seq(seq), time_ms, sender: UserId(sender) }));
            }
        }
        Ok(())
    }
}

/// Bytes of a header and of what follows it, once the header is whole. Servers do not mask.
fn payload(bytes: &[u8]) -> Option<(usize, usize)> {
    let long = |count: usize| {
        let digits = bytes.get(2..2 + count)?;
        let len = digits.iter().fold(0_u64, |len, byte| len << 8 | u64::from(*byte));
        Some((2 + count, usize::try_from(len).unwrap_or(usize::MAX)))
    };
    match bytes.get(1)? {
        126 => long(2),
        127 => long(8),
        len => Some((2, usize::from(*len))),
    }
}

/// The dialect names no pace: nothing is held back.
fn welcome(user: UserId) -> WelcomeV2 {
    WelcomeV2 {
        tokens_per_s: u32::MAX,
        tokens_burst: u32::MAX,
        token_bytes: u32::MAX,
        user: user.0,
        device: user.0,
        generation: 1,
        start: 0,
        head: 0,
        time_ms: 1,
        expires_ms: NEVER_MS,
        heartbeat_ms: u32::MAX,
        group_members_max: 500,
        kinds: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_become_objects_and_objects_frames() {
        let mut json = Json::new(UserId(7));
        let mut out = Vec::new();
        let hello = Hello { generation: 0, cursor: 0, token: "m1.a.b".into() };
        json.write(&encode(5, &hello), [0; 4], &mut out);
        assert_eq!(out[0], TEXT);
        assert!(out.ends_with(br#"{"type":"hello","user":7}"#), "{out:?}");
        out.clear();
        json.write(&encode(9, &SendText { channel: 1 << 100, text: "가".into() }), [0; 4], &mut out);
        let sent = String::from_utf8_lossy(&out[6..]).into_owned();
        assert_eq!(sent, format!(r#"{{"type":"send","id":9,"channel":"{}","text":"가"}}"#, 1_u128 << 100));
        let mut frames = Vec::new();
        let message = r#"{"type":"message","id":9,"channel":"3","seq":2,"time_ms":8,"sender":4,"text":"x"}"#;
        let texts = [
            r#"{"type":"welcome","user":7}"#,
            r#"{"type":"ack","id":9,"channel":"3","seq":2,"time_ms":8}"#,
            message,
        ];
        for text in texts {
            // Byte by byte, and short enough for one byte of length.
            let header = [TEXT, u8::try_from(text.len()).unwrap()];
            for byte in header.iter().chain(text.as_bytes()) {
                json.take(&[*byte], &mut frames).map_err(|lost| format!("{lost:?}")).unwrap();
            }
        }
        let kinds: Vec<Kind> = frames.iter().map(Frame::kind).collect();
        assert_eq!(kinds, [Kind::WELCOME, Kind::COMPLETE, Kind::SEND_ACK, Kind::SEND_TEXT]);
        assert_eq!((frames[0].header().id, frames[2].header().id), (5, 9));
        assert!(frames[3].header().is_stamped());
        assert!(json.take(&[0x82, 0], &mut frames).is_err());
    }
}
