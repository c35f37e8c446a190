//! Tokens of bots: `mb1.` and 32 hex digits, 128 random bits. They do not expire; what each opens is kept with its hash.

use crate::private_file::hex;
use crate::secret::{self, Secret};

const PREFIX: &str = "mb1.";

/// One token. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BotToken(Secret);

impl BotToken {
    pub(crate) fn fresh() -> Result<Self, getrandom::Error> {
        secret::fresh().map(Self)
    }

    /// Whether a text wants to be one.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        secret::parse(text.strip_prefix(PREFIX)?).map(Self)
    }

    pub(crate) fn text(&self) -> String {
        format!("{PREFIX}{}", hex(&*self.0))
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> String {
        secret::kept(&self.0)
    }
}

/// One thing that a token opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// Channels, members, history, receipts, look-ups.
    Read = 1,
    /// Sending over HTTP, and marks.
    Send = 2,
    /// An access token: everything that a device of the bot can do, over a connection too.
    Connect = 4,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Read, Self::Send, Self::Connect];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Connect => "connect",
        }
    }
}

/// What a token opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scopes(i64);

impl Scopes {
    #[cfg(test)]
    pub(crate) fn all() -> Self {
        Self(Scope::ALL.iter().fold(0, |bits, scope| bits | *scope as i64))
    }

    /// What a bot needs that speaks over HTTP.
    pub(crate) fn usual() -> Self {
        Self(Scope::Read as i64 | Scope::Send as i64)
    }

    /// At least one, by its word; `None` for a word that is none.
    pub(crate) fn parse(words: &[String]) -> Option<Self> {
        let mut bits = 0;
        for word in words {
            bits |= Scope::ALL.into_iter().find(|scope| scope.word() == word)? as i64;
        }
        (bits != 0).then_some(Self(bits))
    }

    pub(crate) fn bits(self) -> i64 {
        self.0
    }

    pub(crate) fn of_bits(bits: i64) -> Self {
        Self(bits)
    }

    pub(crate) fn opens(self, scope: Scope) -> bool {
        self.0 & scope as i64 != 0
    }

    pub(crate) fn words(self) -> Vec<&'static str> {
        Scope::ALL.into_iter().filter(|scope| self.opens(*scope)).map(Scope::word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let token = BotToken::fresh().unwrap();
        let text = token.text();
        assert!(text.len() == 36 && BotToken::is_meant(&text) && BotToken::parse(&text).unwrap() == token);
        for wrong in ["", "mb1.", &text[4..], &text[..35], &format!("{text}0"), &text.replace("mb1", "mr1")] {
            assert!(BotToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn scopes_by_their_words() {
        let parse =
            |words: &[&str]| Scopes::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&["send", "read"]), Some(Scopes::usual()));
        assert_eq!(parse(&["read", "send", "connect", "read"]), Some(Scopes::all()));
        assert_eq!((parse(&[]), parse(&["Read"]), parse(&["read", "admin"])), (None, None, None));
        let send = parse(&["send"]).unwrap();
        assert!(send.opens(Scope::Send) && !send.opens(Scope::Read) && !send.opens(Scope::Connect));
        assert_eq!(Scopes::of_bits(Scopes::all().bits()).words(), ["read", "send", "connect"]);
    }
}
