//! A user's devices.

use hyper::Method;
use protocol::DeviceId;
use serde_json::Value;

use super::{Account, AccountError};

/// One of a user's devices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Which.
    pub device: DeviceId,
    /// How it was called when it logged in; may be empty.
    pub name: String,
    /// Its last login or renewal, to the hour, milliseconds since the Unix epoch.
    pub seen_ms: u64,
    /// The one whose token asked.
    pub is_this: bool,
}

impl Account {
    /// The user's devices.
    ///
    /// # Errors
    /// The token is no good, or there was no answer.
    pub async fn devices(&self, token: &str) -> Result<Vec<Device>, AccountError> {
        let answer = self.ask(Method::GET, "/v1/devices", Some(token), None).await?;
        let list = answer.get("devices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let devices = list.iter().map(|one| {
            Ok(Device {
                device: DeviceId(self.number(one, "device")?),
                name: one.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
                seen_ms: self.number(one, "seen_ms")?,
                is_this: one.get("this").and_then(Value::as_bool).unwrap_or_default(),
            })
        });
        devices.collect()
    }

    /// Logs a device of the user out for good.
    ///
    /// # Errors
    /// The token is no good, or there was no answer.
    pub async fn remove_device(&self, token: &str, device: DeviceId) -> Result<(), AccountError> {
        self.ask(Method::DELETE, &format!("/v1/devices/{device}"), Some(token), None).await.map(drop)
    }

    /// Logs the device of the token out for good.
    ///
    /// # Errors
    /// The token is no good, or there was no answer.
    pub async fn logout(&self, token: &str) -> Result<(), AccountError> {
        self.ask(Method::POST, "/v1/logout", Some(token), None).await.map(drop)
    }
}
