//! What a peer can do wrong in WebSocket framing.

use core::fmt;

use crate::reject::CloseCode;

/// A breach of RFC 6455, or of Maru's use of it. It ends the connection with [`WsFault::close_code`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WsFault {
    /// A reserved bit is set though no extension was agreed (section 5.2).
    ReservedBits,
    /// An opcode without a meaning (section 5.2).
    ReservedOpcode,
    /// A client did not mask, or a server did (section 5.1).
    Masking,
    /// A control frame in parts (section 5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (section 5.5).
    LongControl,
    /// A length in more bytes than needed, or with its top bit set (section 5.2).
    Length,
    /// A continuation although no message was begun (section 5.4).
    NothingToContinue,
    /// A new message inside the parts of another (section 5.4).
    Interleaved,
    /// A text message: Maru's frames travel in binary messages.
    Text,
    /// A message above the connection's limit.
    TooBig,
    /// A close frame with one byte, or with a code that must not be sent (section 7.4).
    BadCloseCode,
    /// A close frame whose reason is not UTF-8 (section 5.5.1).
    BadCloseReason,
}

impl WsFault {
    /// The code to close the connection with.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Text => CloseCode::NotBinary,
            Self::TooBig => CloseCode::TooBig,
            Self::BadCloseReason => CloseCode::NotUtf8,
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::Masking
            | Self::FragmentedControl
            | Self::LongControl
            | Self::Length
            | Self::NothingToContinue
            | Self::Interleaved
            | Self::BadCloseCode => CloseCode::Protocol,
        }
    }

    /// What was wrong, short enough for the reason of a close frame.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bit set without an extension",
            Self::ReservedOpcode => "reserved opcode",
            Self::Masking => "frames from a client must be masked, from a server not",
            Self::FragmentedControl => "fragmented control frame",
            Self::LongControl => "control frame above 125 bytes",
            Self::Length => "payload length not in its shortest form",
            Self::NothingToContinue => "continuation without a message",
            Self::Interleaved => "new message inside a fragmented one",
            Self::Text => "text message; send binary messages",
            Self::TooBig => "message above the limit",
            Self::BadCloseCode => "close code that must not be sent",
            Self::BadCloseReason => "close reason is not UTF-8",
        }
    }
}

impl fmt::Display for WsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for WsFault {}
