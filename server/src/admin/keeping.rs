//! `maru admin purge` and `maru admin retention`: what a channel keeps, on the running server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use protocol::ChannelId;
use serde_json::{Map, Value};

use super::ask::At;

/// Of which channel.
#[derive(Args, Clone, Debug)]
struct One {
    /// The channel's id.
    channel: ChannelId,
    #[command(flatten)]
    at: At,
}

/// What is to go.
#[derive(Args, Clone, Debug)]
pub(super) struct Purge {
    #[command(flatten)]
    one: One,
    /// All with a smaller seq (a number), or all of before a time of UTC (2026-11-27, or 2026-11-27T18:30:00Z).
    #[arg(long, value_name = "SEQ|TIME", value_parser = before, required_unless_present = "keep")]
    before: Option<Before>,
    /// All but so many of the newest.
    #[arg(long, value_name = "N")]
    keep: Option<u64>,
}

/// How long a channel keeps what is said.
#[derive(Args, Clone, Debug)]
pub(super) struct Retention {
    #[command(flatten)]
    one: One,
    /// So many days; 0: for ever.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=36_500), conflicts_with = "server_default")]
    days: Option<u32>,
    /// So many of the newest messages; 0: any number.
    #[arg(long, value_name = "N", conflicts_with = "server_default")]
    messages: Option<u64>,
    /// As the server's settings say.
    #[arg(long)]
    server_default: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    Seq(u64),
    Ms(u64),
}

fn before(text: &str) -> Result<Before, String> {
    let expected =
        || "expected a seq (1000), a day (2026-11-27) or a time of UTC (2026-11-27T18:30:00Z)".to_owned();
    if let Ok(seq) = text.parse() {
        return Ok(Before::Seq(seq));
    }
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let time: jiff::Timestamp = whole.parse().map_err(|_| expected())?;
    u64::try_from(time.as_millisecond()).map(Before::Ms).map_err(|_| expected())
}

/// Purges, and prints what the channel keeps.
pub(super) async fn purge(flags: &Purge, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let mut body = Map::new();
    match flags.before {
        Some(Before::Seq(seq)) => drop(body.insert("below".into(), seq.into())),
        Some(Before::Ms(ms)) => drop(body.insert("before_ms".into(), ms.into())),
        None => {}
    }
    if let Some(keep) = flags.keep {
        body.insert("keep".into(), keep.into());
    }
    let (operator, channel) = (server(&flags.one)?, flags.one.channel);
    let path = format!("/v1/admin/channels/{channel}/purge");
    let kept = operator.post_for(&path, &Value::Object(body)).await?;
    writeln!(out, "{kept:#}")?;
    Ok(ExitCode::SUCCESS)
}

/// Changes what is named, and prints what the channel keeps.
pub(super) async fn retention(flags: &Retention, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let (operator, channel) = (server(&flags.one)?, flags.one.channel);
    let path = format!("/v1/admin/channels/{channel}/retention");
    let mut body = Map::new();
    body.extend(flags.days.map(|days| ("days".to_owned(), Value::from(days))));
    body.extend(flags.messages.map(|messages| ("messages".to_owned(), Value::from(messages))));
    let kept = if body.is_empty() && !flags.server_default {
        operator.get(&path).await?
    } else {
        operator.put(&path, &Value::Object(body)).await?
    };
    writeln!(out, "{kept:#}")?;
    Ok(ExitCode::SUCCESS)
}

fn server(one: &One) -> Result<client::operator::Operator, Box<dyn Error>> {
    let asked = one.at.asked(&one.at.place.existing()?)?;
    Ok(asked.ok_or("this needs a running server: name its admin listener with --server")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seq_or_a_time() {
        assert_eq!(before("1000"), Ok(Before::Seq(1000)));
        assert_eq!(before("1970-01-02"), Ok(Before::Ms(86_400_000)));
        assert_eq!(before("1970-01-01T00:00:01Z"), Ok(Before::Ms(1000)));
        for wrong in ["", "yesterday", "2026-13-01", "1969-12-31", "-5", "2026-11-27 18:30"] {
            assert!(before(wrong).is_err_and(|words| words.contains("2026-11-27")), "{wrong}");
        }
    }
}
