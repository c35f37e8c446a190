//! Messages by their words.

use hyper::Method;
use protocol::{ChannelId, Seq, UserId};
use serde_json::Value;

use super::{Account, AccountError, escape};

/// A search; what is left empty filters nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Search {
    /// Words, `"phrases"`, `-without`; see docs/http.md.
    pub words: String,
    /// Only there.
    pub channel: Option<ChannelId>,
    /// Only of this user.
    pub sender: Option<UserId>,
    /// Only what mentions this user.
    pub mentions: Option<UserId>,
    /// Only from this time on, milliseconds since the Unix epoch.
    pub from_ms: Option<u64>,
    /// Only before this time.
    pub to_ms: Option<u64>,
    /// The best first, not the newest.
    pub by_relevance: bool,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// A message that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hit {
    /// Where.
    pub channel: ChannelId,
    /// Its place there: history is read around it.
    pub seq: Seq,
    /// Who said it.
    pub sender: UserId,
    /// When, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// A stretch of it around what was found, in pieces; whether each was sought.
    pub snippet: Vec<(String, bool)>,
}

/// A page of hits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hits {
    /// The newest first, or the best.
    pub hits: Vec<Hit>,
    /// There may be more: where the next page begins.
    pub next: Option<String>,
    /// False: there was not time to look at everything.
    pub is_complete: bool,
}

impl Search {
    fn path(&self) -> String {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let order = self.by_relevance.then(|| "relevance".to_owned());
        let fields = [
            ("channel", self.channel.map(|channel| channel.to_string())),
            ("sender", number(self.sender.map(|user| user.0))),
            ("mentions", number(self.mentions.map(|user| user.0))),
            ("from_ms", number(self.from_ms)),
            ("to_ms", number(self.to_ms)),
            ("order", order),
            ("after", self.after.clone()),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let rest: String = given.map(|(name, value)| format!("&{name}={}", escape(&value))).collect();
        format!("/v1/search?q={}{rest}", escape(&self.words))
    }
}

impl Account {
    /// A page of the messages that have these words and that the user may read.
    ///
    /// # Errors
    /// The words are no query (code `bad_field`, with what is wrong), too many searches (`rate`), this server does not search
    /// (`search_off`), or there was no answer.
    pub async fn search(&self, token: &str, search: &Search) -> Result<Hits, AccountError> {
        let answer = self.ask(Method::GET, &search.path(), Some(token), None).await?;
        let list = answer.get("hits").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let hits = list.iter().map(|one| self.hit(one)).collect::<Result<_, _>>()?;
        Ok(Hits {
            hits,
            next: answer.get("next").and_then(Value::as_str).map(str::to_owned),
            is_complete: answer.get("complete").and_then(Value::as_bool).unwrap_or(true),
        })
    }

    fn hit(&self, one: &Value) -> Result<Hit, AccountError> {
        let channel = self.text(one, "channel")?;
        let channel =
            channel.parse().map_err(|_| self.place.bad_answer("a hit's `channel` is no channel"))?;
        Ok(Hit {
            channel,
            seq: Seq(self.number(one, "seq")?),
            sender: UserId(self.number(one, "sender")?),
            time_ms: self.number(one, "time_ms")?,
            snippet: pieces(&self.text(one, "snippet")?, one.get("highlights").unwrap_or(&Value::Null)),
        })
    }
}

/// A snippet cut where what was sought begins and ends. Places that make no sense are left out.
fn pieces(snippet: &str, highlights: &Value) -> Vec<(String, bool)> {
    let mut rest = snippet.chars();
    let (mut at, mut pieces) = (0, Vec::new());
    let mut push = |count: u64, is_sought: bool, at: &mut u64| {
        let piece: String = rest.by_ref().take(usize::try_from(count).unwrap_or(usize::MAX)).collect();
        *at = at.saturating_add(count);
        if !piece.is_empty() {
            pieces.push((piece, is_sought));
        }
    };
    for place in highlights.as_array().map_or(&[][..], Vec::as_slice) {
        let end = |index: usize| place.get(index).and_then(Value::as_u64);
        let (Some(from), Some(to)) = (end(0), end(1)) else { continue };
        if at <= from && from < to {
            push(from - at, false, &mut at);
            push(to - from, true, &mut at);
        }
    }
    push(u64::MAX, false, &mut at);
    pieces
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_given_is_asked() {
        let search = Search { words: "\"see you\" ㅎㄱ".into(), ..Search::default() };
        assert_eq!(search.path(), "/v1/search?q=%22see%20you%22%20%E3%85%8E%E3%84%B1");
        let (mentions, after) = (Some(UserId(7)), Some("t1-2-3".into()));
        let search = Search { words: "a&b=c".into(), mentions, after, by_relevance: true, ..search };
        assert_eq!(search.path(), "/v1/search?q=a%26b%3Dc&mentions=7&order=relevance&after=t1-2-3");
    }

    #[test]
    fn snippets_are_cut_by_characters_and_strange_places_are_no_panic() {
        let cut = |highlights| pieces("한글날 noon", &highlights);
        let piece = |text: &str, is_sought| (text.to_owned(), is_sought);
        assert_eq!(
            cut(json!([[0, 2], [4, 8]])),
            [piece("한글", true), piece("날 ", false), piece("noon", true)]
        );
        for strange in [json!(null), json!("x"), json!([[5, 3], [1], ["a", "b"], [3, 3]])] {
            assert_eq!(cut(strange), [piece("한글날 noon", false)]);
        }
        assert_eq!(cut(json!([[2, 900], [3, 4]])), [piece("한글", false), piece("날 noon", true)]);
    }
}
