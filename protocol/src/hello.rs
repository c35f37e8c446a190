//! What a device has said of itself once its token was checked: the edge reads it from the frames, and the home of the
//! user begins or prolongs a session by it, wherever the connection is. The frames' bodies are in `body::session`.

use crate::id::{Cursor, DeviceId, UserId};

/// A Hello with a valid token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Who the token says.
    pub user: UserId,
    /// Which device the token says.
    pub device: DeviceId,
    /// What the device has of its inbox; from the body.
    pub cursor: Cursor,
    /// Header id of the frame; Welcome or Reject repeats it.
    pub id: u64,
    /// When the token ends, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// When it was issued; 0: it does not say.
    pub issued_ms: u64,
}

/// A fresh valid token of the user and device that said Hello.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reauth {
    /// Header id of the frame.
    pub id: u64,
    /// When the new token ends, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// When it was issued; 0: it does not say.
    pub issued_ms: u64,
}
