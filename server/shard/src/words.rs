//! Words that the operator does not want to read. Which they are and how they are found is not the core's to know: it asks
//! once of each text, where the text is checked, and the channel's home does with the answer what [`WordAction`] says, so
//! that a repeat of what was stored before is answered as ever.
//!
//! [`WordAction`]: crate::limits::WordAction

use core::fmt;
use std::sync::Arc;

use protocol::body::CheckedFrame;
use protocol::{Frame, Refusal};

use crate::shard::Shard;

/// A list of words. Asked on the shard's thread: it must not wait, and must be quick for a text of 100,000 characters.
pub trait Words: fmt::Debug + Send + Sync {
    /// Whether the text holds one.
    fn found_in(&self, text: &str) -> bool;
}

impl Shard {
    /// From now on these count; `None`: none do.
    pub(crate) fn take_words(&mut self, words: Option<Arc<dyn Words>>) {
        self.words = words;
    }

    /// Checks a message that a device sent.
    pub(crate) fn checked(&self, frame: Frame) -> Result<CheckedFrame, Refusal> {
        match &self.words {
            Some(words) => CheckedFrame::message_looked_at(frame, |text| words.found_in(text)),
            None => CheckedFrame::message(frame),
        }
    }
}
