//! Friends, blocks, and who may come near a user.

use hyper::Method;
use protocol::UserId;
use serde_json::{Map, Value};

use super::{Account, AccountError};

/// How another stands to a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// They are friends.
    Friend,
    /// The user has asked the other.
    Asked,
    /// The other has asked the user.
    Asks,
}

/// One of a list of friends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Friend {
    /// Who.
    pub user: UserId,
    /// The name.
    pub name: String,
    /// How they stand to each other.
    pub standing: Standing,
}

/// Who may do something to a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// Whoever is not blocked.
    Everyone,
    /// The user's friends.
    Friends,
    /// Nobody.
    Nobody,
}

impl Audience {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Everyone, "everyone"), (Self::Friends, "friends"), (Self::Nobody, "nobody")];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(audience, _)| *audience == self).map_or("", |(_, word)| word)
    }

    /// What the word is for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, of)| *of == word).map(|(audience, _)| *audience)
    }
}

/// Who may come near a user; `None` leaves a part as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Privacy {
    /// Who may send messages.
    pub message: Option<Audience>,
    /// Who may add the user to groups unasked.
    pub add: Option<Audience>,
    /// Who may see more than the name.
    pub see: Option<Audience>,
    /// Who is shown how far the user has come in channels: everyone or nobody. With nobody the user is shown nobody's.
    pub receipts: Option<Audience>,
}

impl Account {
    /// Friends, and requests of both directions, with an id above `after`, rising; and after whom the next page begins, if
    /// there is one.
    ///
    /// # Errors
    /// The token is no good, or there was no answer.
    pub async fn friends(
        &self,
        token: &str,
        after: UserId,
    ) -> Result<(Vec<Friend>, Option<UserId>), AccountError> {
        let answer = self.ask(Method::GET, &format!("/v1/friends?after={after}"), Some(token), None).await?;
        let list = answer.get("friends").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let friends = list.iter().map(|one| {
            let standing = self.standing(one)?;
            Ok(Friend { user: UserId(self.number(one, "user")?), name: self.text(one, "name")?, standing })
        });
        let friends = friends.collect::<Result<_, AccountError>>()?;
        let next = answer.get("next").is_some().then(|| self.number(&answer, "next")).transpose()?;
        Ok((friends, next.map(UserId)))
    }

    /// Asks another to be a friend, or says yes to one who has asked. Says how they stand now.
    ///
    /// # Errors
    /// There is no such user, the list is full, or there was no answer.
    pub async fn befriend(&self, token: &str, other: UserId) -> Result<Standing, AccountError> {
        let answer = self.ask(Method::PUT, &format!("/v1/friends/{other}"), Some(token), None).await?;
        self.standing(&answer)
    }

    /// Ends a friendship, takes a request back, or declines one.
    ///
    /// # Errors
    /// The token is no good, or there was no answer.
    pub async fn part(&self, token: &str, other: UserId) -> Result<(), AccountError> {
        self.ask(Method::DELETE, &format!("/v1/friends/{other}"), Some(token), None).await.map(drop)
    }

    /// Blocks another, or no longer. It holds from the answer on.
    ///
    /// # Errors
    /// There is no such user, the list is full, or there was no answer.
    pub async fn set_blocked(&self, token: &str, other: UserId, blocked: bool) -> Result<(), AccountError> {
        let method = if blocked { Method::PUT } else { Method::DELETE };
        self.ask(method, &format!("/v1/blocks/{other}"), Some(token), None).await.map(drop)
    }

    /// Who may come near the user; all parts are there.
    ///
    /// # Errors
    /// The token is no good, or there was no answer.
    pub async fn privacy(&self, token: &str) -> Result<Privacy, AccountError> {
        Ok(privacy(&self.ask(Method::GET, "/v1/privacy", Some(token), None).await?))
    }

    /// Changes it; all parts are in the answer. It holds from the answer on.
    ///
    /// # Errors
    /// The token is no good, or there was no answer.
    pub async fn set_privacy(&self, token: &str, wanted: Privacy) -> Result<Privacy, AccountError> {
        let Privacy { message, add, see, receipts } = wanted;
        let parts = [("message", message), ("add", add), ("see", see), ("receipts", receipts)];
        let named = parts.iter().filter_map(|(part, audience)| Some(((*part).to_owned(), (*audience)?)));
        let body: Map<String, Value> = named.map(|(part, of)| (part, of.word().into())).collect();
        Ok(privacy(&self.ask(Method::PATCH, "/v1/privacy", Some(token), Some(body.into())).await?))
    }

    fn standing(&self, answer: &Value) -> Result<Standing, AccountError> {
        match self.text(answer, "state")?.as_str() {
            "friend" => Ok(Standing::Friend),
            "asked" => Ok(Standing::Asked),
            "asks" => Ok(Standing::Asks),
            other => Err(self.place.bad_answer(format!("state {other:?}")).into()),
        }
    }
}

fn privacy(answer: &Value) -> Privacy {
    let part = |part: &str| answer.get(part).and_then(Value::as_str).and_then(Audience::from_word);
    Privacy { message: part("message"), add: part("add"), see: part("see"), receipts: part("receipts") }
}
