//! What an operator's tools ask of the control plane, with the token of the server's file `admin.token`.

use hyper::{Method, StatusCode};
use protocol::{DeviceId, UserId};
use serde_json::{Value, json};

use crate::account::{AccountError, refused};
use crate::http::{HttpError, Place, Scheme};
use crate::trust::Trust;

/// An operator at one server. Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    place: Place,
    token: String,
}

/// Without the token: it must not reach a log.
impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operator {{ place: {:?} }}", self.place)
    }
}

/// A device that was made, with its token.
#[derive(Clone, PartialEq, Eq)]
pub struct Made {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// Names both to the chat port.
    pub token: String,
}

/// Without the token.
impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Made {{ user: {}, device: {} }}", self.user, self.device)
    }
}

impl Operator {
    /// At the control plane `http://host:port` or `https://host:port`.
    ///
    /// # Errors
    /// Not such an address, or a system that trusts nobody.
    pub fn new(url: &str, token: &str, trust: &Trust) -> Result<Self, HttpError> {
        Ok(Self { place: Place::parse(url, Scheme::Http, trust)?, token: token.trim().to_owned() })
    }

    /// The body of a page like `/metrics`.
    ///
    /// # Errors
    /// There was no answer, or none with status 200.
    pub async fn page(&self, path: &str) -> Result<String, HttpError> {
        let token = (!self.token.is_empty()).then_some(self.token.as_str());
        let (status, bytes) = self.place.ask(Method::GET, path, token, None).await?;
        if status != StatusCode::OK {
            return Err(self.place.bad_answer(format!("the status is {status}, not 200")));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Posts a JSON body that is answered by nothing but its status, 204.
    ///
    /// # Errors
    /// The server refused, or there was no answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(), AccountError> {
        let asked = self.place.ask(Method::POST, path, Some(&self.token), Some(body.to_string())).await;
        let (status, bytes) = asked?;
        if status != StatusCode::NO_CONTENT {
            return Err(refused(status, &serde_json::from_slice::<Value>(&bytes).unwrap_or_default()));
        }
        Ok(())
    }

    /// Posts a JSON body that is answered by one.
    ///
    /// # Errors
    /// The server refused, or there was no answer.
    pub async fn post_for(&self, path: &str, body: &Value) -> Result<Value, AccountError> {
        self.ask_for(Method::POST, path, Some(body.to_string())).await
    }

    /// Puts a JSON body that is answered by one.
    ///
    /// # Errors
    /// The server refused, or there was no answer.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, AccountError> {
        self.ask_for(Method::PUT, path, Some(body.to_string())).await
    }

    /// Gets what is answered by a JSON body.
    ///
    /// # Errors
    /// The server refused, or there was no answer.
    pub async fn get(&self, path: &str) -> Result<Value, AccountError> {
        self.ask_for(Method::GET, path, None).await
    }

    /// Gets what is answered by a body of any length, and gives it to `take` piece by piece for as long as that wants more. The
    /// body may break off: that is an error here too.
    ///
    /// # Errors
    /// The server refused, there was no answer, or nothing more came of it for half a minute.
    pub async fn download(
        &self,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), AccountError> {
        let (status, refusal) = self.place.download(path, &self.token, take).await?;
        if !status.is_success() {
            return Err(refused(status, &serde_json::from_slice::<Value>(&refusal).unwrap_or_default()));
        }
        Ok(())
    }

    async fn ask_for(&self, method: Method, path: &str, body: Option<String>) -> Result<Value, AccountError> {
        let (status, bytes) = self.place.ask(method, path, Some(&self.token), body).await?;
        let answer = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        if !status.is_success() {
            return Err(refused(status, &answer));
        }
        Ok(answer)
    }

    /// Makes users `PREFIX000001` and so on from number `from`, with so many devices each; or tells those that were
    /// made before. At most 5,000 devices at once.
    ///
    /// # Errors
    /// The token is wrong, a bound is exceeded, a name is a person's, the server cannot now, or there was no answer.
    pub async fn make_users(
        &self,
        prefix: &str,
        from: u32,
        count: u32,
        devices: u32,
    ) -> Result<Vec<Made>, AccountError> {
        let body = json!({ "prefix": prefix, "from": from, "count": count, "devices": devices }).to_string();
        let asked = self.place.ask(Method::POST, "/v1/admin/users", Some(&self.token), Some(body)).await;
        let (status, bytes) = asked?;
        if status != StatusCode::CREATED {
            return Err(refused(status, &serde_json::from_slice::<Value>(&bytes).unwrap_or_default()));
        }
        let lines = String::from_utf8_lossy(&bytes);
        let made =
            lines.lines().map(|line| parse(line).ok_or_else(|| self.place.bad_answer("not a user's line")));
        Ok(made.collect::<Result<_, _>>()?)
    }
}

fn parse(line: &str) -> Option<Made> {
    let mut fields = line.split('\t');
    let (user, device) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let token = fields.next().filter(|token| !token.is_empty())?.to_owned();
    fields.next().is_none().then_some(Made { user: UserId(user), device: DeviceId(device), token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let made = parse("1\t2\tm1.a.b").unwrap();
        assert_eq!((made.user, made.device, made.token.as_str()), (UserId(1), DeviceId(2), "m1.a.b"));
        assert!(!format!("{made:?}").contains("m1."));
        for wrong in ["", "1\t2", "1\t2\t", "x\t2\ta", "1\t2\ta\tb"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
