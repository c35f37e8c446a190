//! Messages by their words, as a person asks for them.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Desk, Done, Outcome, Trouble};
use crate::account::{Hit, Search};
use crate::terminal::text::apart;

const USAGE: &str = "/search WORDS; before them from:NAME, in:here or in:GROUP, to:me";

impl Desk<'_> {
    pub(super) async fn search(&mut self, rest: &str) -> Done {
        let search = self.sought(rest).await?;
        let found = self.account.search(&self.client.token(), &search).await?;
        let mut lines = Vec::with_capacity(found.hits.len() + 1);
        for hit in found.hits {
            lines.push(self.line(hit).await);
        }
        if lines.is_empty() {
            return Ok(Outcome::Said("Nothing was found.".into()));
        }
        if !found.is_complete {
            lines.push("There was not time to look at everything: give a rarer word.".into());
        } else if found.next.is_some() {
            lines.push("There is more: add words, or from:NAME.".into());
        }
        Ok(Outcome::Lines { title: "Found; /to the conversation, then /jump NUMBER".into(), lines })
    }

    async fn sought(&mut self, rest: &str) -> Result<Search, Trouble> {
        let (mut search, mut rest) = (Search::default(), rest.trim());
        loop {
            let (word, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            match word.split_once(':') {
                Some(("from", name)) => search.sender = Some(self.user(name).await?),
                Some(("in", "here")) => search.channel = Some(self.conversation()?),
                Some(("in", name)) if !name.is_empty() => search.channel = Some(self.find(name).await?),
                Some(("to", "me")) => search.mentions = Some(self.client.user()),
                _ => break,
            }
            rest = behind.trim_start();
        }
        if rest.is_empty() {
            return Err(Trouble::said(USAGE));
        }
        Ok(Search { words: rest.to_owned(), ..search })
    }

    async fn line(&mut self, hit: Hit) -> String {
        let token = self.client.token();
        let place = match hit.channel.users() {
            Some((one, other)) if one == other => "saved".into(),
            Some((one, other)) => {
                let other = if one == self.client.user() { other } else { one };
                format!("with {}", apart(&self.names.name(&token, other).await))
            }
            None => match self.groups.get(&hit.channel) {
                Some(name) => format!("in {}", apart(name)),
                None => "in a group".into(),
            },
        };
        let who = apart(&self.names.name(&token, hit.sender).await);
        let day = i64::try_from(hit.time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let day = day.map(|day| day.to_zoned(TimeZone::system()).date().to_string()).unwrap_or_default();
        let mut line = format!("{day} {place}, {}: {who}: ", hit.seq);
        for (piece, is_sought) in hit.snippet {
            let piece = apart(&piece);
            let _ = if is_sought { write!(line, "[{piece}]") } else { write!(line, "{piece}") };
        }
        line
    }
}
