//! What is said about messages, as rows hold it, and how one more thing that is said changes them. The channel's home writes
//! with this, the check of a store and the simulator replay histories with it.
//!
//! ```text
//! row tag 20 = channel u128 | sort u8 (the tag of its key), then of that sort:
//!   1 message: seq u64, value | 2 reactor: seq u64, user u64, value | 3 pins: value
//!   4 recalled: seq u64, whether anybody reacted u8 (only in a batch: it removes the rows of sorts 1 and 2 of that message)
//! message v1 = 1 | edits u8 | so many seqs u64 | ways u8 | so many: len u8, bytes, count u32
//! reactor v1 = 1 | ways u8 | so many: len u8, bytes
//! pins    v1 = 1 | pins u8 | so many: seq u64, seq of the PIN u64
//! ```
//! What says nothing has no row, and no bytes behind its place in a batch.

use bytes::{BufMut, BytesMut};

use super::Row;
use super::encoding::Fields;
use crate::id::{ChannelId, Seq, UserId};
use crate::limits::{EDITS_MAX, EMOJI_BYTES_MAX, PINS_MAX, REACTIONS_MAX, REACTIONS_OWN_MAX};
use crate::reject::{Code, Refusal};

const VERSION: u8 = 1;
/// Tag of the keys of what is said of a message.
pub const MESSAGE_TAG: u8 = 1;
/// Tag of the keys of how a user reacts to a message.
pub const REACTOR_TAG: u8 = 2;
/// Tag of the key of what is pinned in a channel.
pub const PINS_TAG: u8 = 3;
/// Tag, in a batch, of what removes all that is said of a message. No row of its own has it: as a key's tag it is a thread's.
const RECALLED_TAG: u8 = 4;

/// What a message says about another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// It reads like this from here on.
    Edits,
    /// The sender reacts to it.
    Reacts {
        /// In which way.
        emoji: String,
        /// Or does so no more.
        on: bool,
    },
    /// It is pinned, or is so no more.
    Pins(bool),
    /// It is taken back for everybody, with all that was said about it.
    Recalls,
}

/// What is said of one message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// Seqs of its edits, rising.
    pub edits: Vec<Seq>,
    /// How many users react in which way, in the order in which each was used first. None is 0.
    pub reactions: Vec<(String, u32)>,
}

/// A pinned message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pinned {
    /// The message.
    pub seq: Seq,
    /// The message that pinned it.
    pub by: Seq,
}

/// A row of what is said; the whole of its value. What says nothing removes the row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum About {
    /// What is said of a message.
    Message {
        /// Which.
        seq: Seq,
        /// What.
        said: Said,
    },
    /// How a user reacts to a message.
    Reactor {
        /// To which.
        seq: Seq,
        /// Who.
        user: UserId,
        /// In which ways, in the order in which they were chosen.
        emoji: Vec<String>,
    },
    /// What is pinned in the channel, in the order in which it was.
    Pins(Vec<Pinned>),
    /// Nothing is said of a message any more: it was recalled.
    Recalled {
        /// Which.
        seq: Seq,
        /// Whether users react to it, who are not named: their rows go too.
        has_reactors: bool,
    },
}

/// What must be known of a message and of who says something about it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// What is said of the message.
    pub said: Said,
    /// How the user reacts to it.
    pub own: Vec<String>,
    /// What is pinned in the channel.
    pub pins: Vec<Pinned>,
}

impl Facts {
    /// Whether there is room for one more thing that is said of message `target`.
    ///
    /// # Errors
    /// The refusal for who says it.
    pub fn check(&self, target: Seq, act: &Act) -> Result<(), Refusal> {
        let refuse = |path: &str, text: String| Err(Refusal::new(Code::Limit, path, text));
        match act {
            Act::Edits if self.said.edits.len() >= EDITS_MAX => {
                refuse("target", format!("was edited {EDITS_MAX} times, which is the most"))
            }
            Act::Reacts { emoji, on: true } if !self.own.contains(emoji) => {
                let is_used = self.said.reactions.iter().any(|(used, _)| used == emoji);
                if self.own.len() >= REACTIONS_OWN_MAX {
                    let text = format!("you react to it in {REACTIONS_OWN_MAX} ways, which is the most");
                    return refuse("emoji", text);
                }
                if !is_used && self.said.reactions.len() >= REACTIONS_MAX {
                    let text =
                        format!("it has {REACTIONS_MAX} reactions, which is the most; use one of them");
                    return refuse("emoji", text);
                }
                Ok(())
            }
            Act::Pins(true) if self.pins.len() >= PINS_MAX && !self.is_pinned(target) => {
                refuse("target", format!("{PINS_MAX} messages are pinned, which is the most; take one down"))
            }
            Act::Edits | Act::Reacts { .. } | Act::Pins(_) | Act::Recalls => Ok(()),
        }
    }

    fn is_pinned(&self, target: Seq) -> bool {
        self.pins.iter().any(|pin| pin.seq == target)
    }

    /// Message `seq` of `user` says this of message `target`. The rows that change; none for what holds already.
    pub fn take(&mut self, (target, act): (Seq, &Act), seq: Seq, user: UserId) -> Vec<About> {
        match act {
            Act::Edits => {
                self.said.edits.push(seq);
                vec![About::Message { seq: target, said: self.said.clone() }]
            }
            Act::Reacts { emoji, on } => {
                if self.own.contains(emoji) == *on {
                    return Vec::new();
                }
                self.react(emoji, *on);
                vec![
                    About::Message { seq: target, said: self.said.clone() },
                    About::Reactor { seq: target, user, emoji: self.own.clone() },
                ]
            }
            Act::Pins(on) => {
                if self.is_pinned(target) == *on {
                    return Vec::new();
                }
                self.pins.retain(|pin| pin.seq != target);
                self.pins.extend(on.then_some(Pinned { seq: target, by: seq }));
                vec![About::Pins(self.pins.clone())]
            }
            Act::Recalls => self.recall(target),
        }
    }

    fn recall(&mut self, target: Seq) -> Vec<About> {
        let said = core::mem::take(&mut self.said);
        self.own.clear();
        let mut rows = Vec::new();
        if said != Said::default() {
            rows.push(About::Recalled { seq: target, has_reactors: !said.reactions.is_empty() });
        }
        if self.is_pinned(target) {
            self.pins.retain(|pin| pin.seq != target);
            rows.push(About::Pins(self.pins.clone()));
        }
        rows
    }

    fn react(&mut self, emoji: &str, on: bool) {
        let counts = &mut self.said.reactions;
        if on {
            self.own.push(emoji.to_owned());
            match counts.iter_mut().find(|(used, _)| used == emoji) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => counts.push((emoji.to_owned(), 1)),
            }
            return;
        }
        self.own.retain(|own| own != emoji);
        if let Some((_, count)) = counts.iter_mut().find(|(used, _)| used == emoji) {
            *count = count.saturating_sub(1);
        }
        counts.retain(|(_, count)| *count > 0);
    }
}

impl About {
    /// The tag of its key.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Message { .. } => MESSAGE_TAG,
            Self::Reactor { .. } => REACTOR_TAG,
            Self::Pins(_) => PINS_TAG,
            Self::Recalled { .. } => RECALLED_TAG,
        }
    }

    /// The stored value; `None` removes the row.
    #[must_use]
    pub fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Message { said, .. } => (*said != Said::default()).then(|| said.encode()),
            Self::Reactor { emoji, .. } => (!emoji.is_empty()).then(|| encode_reactor(emoji)),
            Self::Pins(pins) => (!pins.is_empty()).then(|| encode_pins(pins)),
            Self::Recalled { .. } => None,
        }
    }

    /// Bytes behind channel and sort.
    pub(super) fn encoded_bytes(&self) -> usize {
        let ways = |emoji: &String| 1 + emoji.len();
        match self {
            Self::Message { said, .. } if *said == Said::default() => 8,
            Self::Message { said, .. } => {
                let reactions: usize = said.reactions.iter().map(|(emoji, _)| ways(emoji) + 4).sum();
                8 + 3 + 8 * said.edits.len() + reactions
            }
            Self::Reactor { emoji, .. } if emoji.is_empty() => 16,
            Self::Reactor { emoji, .. } => 16 + 2 + emoji.iter().map(ways).sum::<usize>(),
            Self::Pins(pins) if pins.is_empty() => 0,
            Self::Pins(pins) => 2 + 16 * pins.len(),
            Self::Recalled { .. } => 9,
        }
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.tag());
        match self {
            Self::Message { seq, .. } => out.put_u64_le(seq.0),
            Self::Reactor { seq, user, .. } => {
                out.put_u64_le(seq.0);
                out.put_u64_le(user.0);
            }
            Self::Pins(_) => {}
            Self::Recalled { seq, has_reactors } => {
                out.put_u64_le(seq.0);
                out.put_u8(u8::from(*has_reactors));
            }
        }
        out.put_slice(&self.value().unwrap_or_default());
    }

    pub(super) fn row(channel: ChannelId, fields: &mut Fields<'_>) -> Option<Row> {
        let about = match fields.u8()? {
            MESSAGE_TAG => {
                let (seq, value) = (Seq(fields.u64()?), fields.rest());
                let said = if value.is_empty() { Said::default() } else { Said::decode(value)? };
                Self::Message { seq, said }
            }
            REACTOR_TAG => {
                let (seq, user, value) = (Seq(fields.u64()?), UserId(fields.u64()?), fields.rest());
                let emoji = if value.is_empty() { Vec::new() } else { decode_reactor(value)? };
                Self::Reactor { seq, user, emoji }
            }
            PINS_TAG => {
                let value = fields.rest();
                Self::Pins(if value.is_empty() { Vec::new() } else { decode_pins(value)? })
            }
            RECALLED_TAG => {
                let (seq, reactors) = (Seq(fields.u64()?), fields.u8()?);
                Self::Recalled { seq, has_reactors: (reactors <= 1).then_some(reactors == 1)? }
            }
            _ => return None,
        };
        Some(Row::About { channel, about })
    }
}

impl Said {
    /// The stored value.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, self.edits.len() as u8];
        self.edits.iter().for_each(|seq| out.put_u64_le(seq.0));
        out.push(self.reactions.len() as u8);
        for (emoji, count) in &self.reactions {
            put_emoji(&mut out, emoji);
            out.put_u32_le(*count);
        }
        out
    }

    /// What these bytes say; `None` for any other bytes or a version that this program does not know, and for what says
    /// nothing, which has no row.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let is_known = fields.u8()? == VERSION;
        let edits = usize::from(fields.u8()?);
        let edits: Vec<Seq> = (0..edits).map(|_| fields.u64().map(Seq)).collect::<Option<_>>()?;
        let ways = usize::from(fields.u8()?);
        let one = |fields: &mut Fields<'_>| Some((emoji(fields)?, fields.u32().filter(|count| *count > 0)?));
        let reactions: Vec<(String, u32)> = (0..ways).map(|_| one(&mut fields)).collect::<Option<_>>()?;
        let is_right = is_known && fields.0.is_empty() && !(edits.is_empty() && reactions.is_empty());
        is_right.then_some(Self { edits, reactions })
    }
}

#[allow(clippy::cast_possible_truncation)]
fn put_emoji(out: &mut Vec<u8>, emoji: &str) {
    out.push(emoji.len() as u8);
    out.extend_from_slice(emoji.as_bytes());
}

fn emoji(fields: &mut Fields<'_>) -> Option<String> {
    let len = usize::from(fields.u8()?);
    let bytes = fields.take(len).filter(|bytes| (1..=EMOJI_BYTES_MAX).contains(&bytes.len()))?;
    core::str::from_utf8(bytes).ok().map(str::to_owned)
}

#[allow(clippy::cast_possible_truncation)]
fn encode_reactor(ways: &[String]) -> Vec<u8> {
    let mut out = vec![VERSION, ways.len() as u8];
    ways.iter().for_each(|emoji| put_emoji(&mut out, emoji));
    out
}

/// In which ways a user reacts; `None` for any other bytes.
#[must_use]
pub fn decode_reactor(bytes: &[u8]) -> Option<Vec<String>> {
    let mut fields = Fields(bytes);
    let (version, ways) = (fields.u8()?, fields.u8()?);
    let ways: Vec<String> = (0..ways).map(|_| emoji(&mut fields)).collect::<Option<_>>()?;
    (version == VERSION && fields.0.is_empty() && !ways.is_empty()).then_some(ways)
}

#[allow(clippy::cast_possible_truncation)]
fn encode_pins(pins: &[Pinned]) -> Vec<u8> {
    let mut out = vec![VERSION, pins.len() as u8];
    for pin in pins {
        out.put_u64_le(pin.seq.0);
        out.put_u64_le(pin.by.0);
    }
    out
}

/// What is pinned; `None` for any other bytes.
#[must_use]
pub fn decode_pins(bytes: &[u8]) -> Option<Vec<Pinned>> {
    let mut fields = Fields(bytes);
    let (version, pins) = (fields.u8()?, fields.u8()?);
    let one = |fields: &mut Fields<'_>| Some(Pinned { seq: Seq(fields.u64()?), by: Seq(fields.u64()?) });
    let pins: Vec<Pinned> = (0..pins).map(|_| one(&mut fields)).collect::<Option<_>>()?;
    (version == VERSION && fields.0.is_empty() && !pins.is_empty()).then_some(pins)
}

const _: () = assert!(EDITS_MAX <= 255 && REACTIONS_MAX <= 255 && REACTIONS_OWN_MAX <= 255);
const _: () = assert!(PINS_MAX <= 255 && EMOJI_BYTES_MAX <= 255);

#[cfg(test)]
mod tests {
    use super::*;

    const A: UserId = UserId(1);
    const B: UserId = UserId(2);

    fn react(emoji: &str, on: bool) -> Act {
        Act::Reacts { emoji: emoji.to_owned(), on }
    }

    #[test]
    fn golden_values() {
        let said = Said { edits: vec![Seq(258)], reactions: vec![("ab".to_owned(), 3)] };
        assert_eq!(said.encode(), [1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1, 2, b'a', b'b', 3, 0, 0, 0]);
        assert_eq!(Said::decode(&said.encode()), Some(said.clone()));
        for (place, wrong) in [(0, 2), (1, 2), (10, 2), (11, 0), (14, 0)] {
            let mut bytes = said.encode();
            bytes[place] = wrong;
            assert_eq!(Said::decode(&bytes), None, "{place}");
        }
        assert_eq!(Said::decode(&[1, 0, 0]), None, "what says nothing has no row");
        let reactor = About::Reactor { seq: Seq(3), user: A, emoji: vec!["ab".to_owned()] };
        assert_eq!(reactor.value().as_deref(), Some(&[1, 1, 2, b'a', b'b'][..]));
        assert_eq!(decode_reactor(&[1, 1, 2, b'a', b'b']), Some(vec!["ab".to_owned()]));
        assert_eq!(decode_reactor(&[1, 1, 2, 0xff, 0xff]), None);
        let pins = vec![Pinned { seq: Seq(2), by: Seq(3) }];
        let bytes = [1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(About::Pins(pins.clone()).value().as_deref(), Some(&bytes[..]));
        assert_eq!(decode_pins(&bytes), Some(pins));
    }

    #[test]
    fn what_holds_already_changes_no_row() {
        let mut facts = Facts::default();
        assert_eq!(facts.take((Seq(1), &react("👍", true)), Seq(2), A).len(), 2);
        assert_eq!(facts.take((Seq(1), &react("👍", true)), Seq(3), A), []);
        assert_eq!(facts.take((Seq(1), &react("👎", false)), Seq(4), A), []);
        assert_eq!(facts.take((Seq(1), &Act::Pins(false)), Seq(5), A), []);
        assert_eq!(facts.take((Seq(1), &Act::Pins(true)), Seq(6), A).len(), 1);
        assert_eq!(facts.take((Seq(1), &Act::Pins(true)), Seq(7), B), []);
        assert_eq!(facts.pins, [Pinned { seq: Seq(1), by: Seq(6) }]);
        let gone = facts.take((Seq(1), &react("👍", false)), Seq(8), A);
        assert_eq!(gone.iter().map(About::value).collect::<Vec<_>>(), [None, None]);
    }

    #[test]
    fn one_more_than_there_may_be_is_refused_and_one_that_holds_is_not() {
        let refused = |facts: &Facts, act: &Act| facts.check(Seq(1), act).map_err(|refusal| refusal.path);
        let mut facts = Facts {
            said: Said { edits: vec![Seq(2); EDITS_MAX - 1], ..Said::default() },
            ..Facts::default()
        };
        assert_eq!(refused(&facts, &Act::Edits), Ok(()));
        facts.take((Seq(1), &Act::Edits), Seq(3), A);
        assert_eq!(refused(&facts, &Act::Edits), Err("target".into()));
        for way in 0..REACTIONS_MAX {
            facts.own.truncate(REACTIONS_OWN_MAX - 1);
            let act = react(&way.to_string(), true);
            assert_eq!(refused(&facts, &act), Ok(()), "{way}");
            facts.take((Seq(1), &act), Seq(4), A);
        }
        assert_eq!(refused(&facts, &react("new", true)), Err("emoji".into()), "the user's 17th");
        assert_eq!(refused(&facts, &react("63", true)), Ok(()), "it holds already");
        facts.own.clear();
        assert_eq!(refused(&facts, &react("new", true)), Err("emoji".into()), "the message's 65th");
        assert_eq!(refused(&facts, &react("1", true)), Ok(()), "others react like this");
        facts.pins = (0..PINS_MAX as u64).map(|seq| Pinned { seq: Seq(seq + 5), by: Seq(900) }).collect();
        assert_eq!(refused(&facts, &Act::Pins(true)), Err("target".into()));
        assert_eq!(facts.check(Seq(5), &Act::Pins(true)), Ok(()), "it is pinned already");
        assert_eq!(refused(&facts, &Act::Pins(false)), Ok(()));
    }
}
