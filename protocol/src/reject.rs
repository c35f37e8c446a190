//! Refusals: whose fault, what was wrong, whether to retry. And the close codes of a connection.

use crate::body::session::Reject;

macro_rules! codes {
    ($(#[$meta:meta])* $name:ident, counted by $tally:ident: $($(#[$doc:meta])* $variant:ident = $number:literal, $word:literal;)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum $name { $($(#[$doc])* $variant = $number,)* }

        impl $name {
            /// Every code, in number order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 { self as u16 }

            /// The stable lower-case word for logs, metrics and JSON.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The code with this number.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }

        #[doc = concat!("How often each [`", stringify!($name), "`] was used.")]
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct $tally([u64; $name::ALL.len()]);

        impl $tally {
            /// Counts one.
            pub fn add(&mut self, code: $name) {
                for (count, of) in self.0.iter_mut().zip($name::ALL) {
                    *count += u64::from(*of == code);
                }
            }

            /// Counts what was counted elsewhere as well.
            pub fn join(&mut self, other: &Self) {
                for (count, more) in self.0.iter_mut().zip(other.0) {
                    *count += more;
                }
            }

            /// How many of one code.
            #[must_use]
            pub fn of(&self, code: $name) -> u64 {
                self.iter().find(|(of, _)| *of == code).map_or(0, |(_, count)| count)
            }

            /// Every code with its count, in number order.
            pub fn iter(&self) -> impl Iterator<Item = ($name, u64)> + '_ {
                $name::ALL.iter().copied().zip(self.0)
            }

            /// All codes together.
            #[must_use]
            pub fn sum(&self) -> u64 {
                self.0.iter().sum()
            }
        }
    };
}

codes! {
    /// Why a frame was refused. Numbers are never reused.
    Code, counted by Rejects:
    /// A body above its kind's maximum, or a frame above the connection's.
    TooLarge = 1, "too_large";
    /// The server does not know the kind, or a device may not send it.
    UnknownKind = 2, "unknown_kind";
    /// The server does not know this version of the kind.
    UnknownVersion = 3, "unknown_version";
    /// The body is not a valid archive of its type; `path` says where.
    Malformed = 4, "malformed";
    /// The body is valid but not the canonical encoding of its value.
    NotCanonical = 5, "not_canonical";
    /// A value is outside its documented bounds; `path` says which.
    Limit = 6, "limit";
    /// No Hello yet, or the token is forged, damaged or of an unknown key.
    Unauthenticated = 7, "unauthenticated";
    /// Too many frames; retry after the hint.
    Rate = 8, "rate";
    /// No such channel for this user, or the user's role does not allow it.
    Forbidden = 9, "forbidden";
    /// The same send id was used with other content in this channel.
    Conflict = 10, "conflict";
    /// The server is at a bound of its own; retry after the hint, from the refused frame on, in order.
    Busy = 11, "busy";
    /// A named user does not exist.
    NoSuchUser = 12, "no_such_user";
    /// The token was valid and is no longer.
    Expired = 13, "expired";
    /// The account has its full number of devices.
    TooManyDevices = 14, "too_many_devices";
    /// The disk is nearly full: nothing is accepted, reading goes on; retry after the hint.
    StorageFull = 15, "storage_full";
    /// A user takes no messages from the sender, or does not want to be added to a group unasked; `path` says which. Who
    /// is named in ADD_MEMBERS can be invited instead.
    NeedsConsent = 16, "needs_consent";
    /// The sender may not send to this group for now; it may after the hint, or, without one, not before the mute is lifted.
    Muted = 17, "muted";
    /// The group is in slow mode, and the sender's last text is too young; the next may be sent after the hint.
    Slow = 18, "slow";
    /// The user is banned from this group; `path` says which, when it is not the sender.
    Banned = 19, "banned";
    /// The text holds a word that this server does not take.
    RefusedWord = 20, "refused_word";
}

codes! {
    /// Why the server closed a connection: the WebSocket close code (RFC 6455 section 7.4).
    CloseCode, counted by Closes:
    /// Nothing is wrong.
    Normal = 1000, "normal";
    /// The server stops or moves; reconnect after the hint in GoingAway.
    GoingAway = 1001, "going_away";
    /// The bytes do not follow RFC 6455 or the frame layout.
    Protocol = 1002, "protocol";
    /// A text message; frames travel in binary messages.
    NotBinary = 1003, "not_binary";
    /// A control frame's text is not UTF-8.
    NotUtf8 = 1007, "not_utf8";
    /// A message or frame above the limit.
    TooBig = 1009, "too_big";
    /// The server broke its own rule; reconnect.
    Internal = 1011, "internal";
    /// Hello was refused; the Reject before the close says why.
    Unauthenticated = 4001, "unauthenticated";
    /// No Hello within the time or the bytes an unauthenticated connection has.
    HelloTimeout = 4002, "hello_timeout";
    /// The same device said Hello on a newer connection.
    Replaced = 4003, "replaced";
    /// The token expired and no Reauth came.
    Expired = 4004, "expired";
    /// No heartbeat within the time.
    HeartbeatTimeout = 4005, "heartbeat_timeout";
    /// The device did not read what was sent to it for too long.
    SlowReader = 4006, "slow_reader";
    /// Too many refused frames in a row.
    TooManyFaults = 4007, "too_many_faults";
}

/// A refusal as a value: what becomes a [`Reject`] for the device at fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What kind of refusal.
    pub code: Code,
    /// 0: do not retry. Otherwise the same frame may be sent again after so many milliseconds.
    pub retry_after_ms: u32,
    /// The field at fault, e.g. `text` or `members[3]`; empty when the frame as a whole is.
    pub path: String,
    /// What was found and what was expected, for the person who writes the client.
    pub text: String,
}

impl Refusal {
    /// A refusal that no retry can help.
    #[must_use]
    pub fn new(code: Code, path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code, retry_after_ms: 0, path: path.into(), text: text.into() }
    }

    /// A refusal that a later retry can help.
    #[must_use]
    pub fn retry(code: Code, retry_after_ms: u32, text: impl Into<String>) -> Self {
        Self { code, retry_after_ms: retry_after_ms.max(1), path: String::new(), text: text.into() }
    }

    /// The body to send.
    #[must_use]
    pub fn body(&self) -> Reject {
        Reject {
            code: self.code.number(),
            retry_after_ms: self.retry_after_ms,
            path: self.path.clone(),
            text: self.text.clone(),
        }
    }
}
