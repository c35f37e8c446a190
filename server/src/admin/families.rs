//! `maru admin families`: channels whose history has a RocksDB family of its own, in a stopped data directory or on the running
//! server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use protocol::ChannelId;
use serde_json::{Value, json};
use storage::{Moved, Store};

use super::ask::At;

/// What to do with families.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Task {
    /// Print the channels that have one: channel, family, its first message, the first behind it (- while new ones go there),
    /// moving or settled, bytes; separated by tabs.
    List(At),
    /// Give a channel a family of its own, with files and compaction of its own; for the few very large ones. A running server
    /// moves the messages beside all else; a stopped directory is done when this ends.
    Give(One),
    /// Let a channel give its family back: its messages go to the family that it shares with others.
    Return(One),
}

#[derive(Args, Clone, Debug)]
pub(super) struct One {
    /// The channel's id.
    channel: ChannelId,
    #[command(flatten)]
    at: At,
}

/// Bytes that one step moves where nobody waits for the store.
const STEP_BYTES: usize = 4 * 1024 * 1024;

pub(super) async fn run(task: &Task, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    match task {
        Task::List(at) => list(at, out).await?,
        Task::Give(one) => change(one, "give", |store| Ok(store.give_family(one.channel).map(drop)?)).await?,
        Task::Return(one) => change(one, "return", |store| Ok(store.return_family(one.channel)?)).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn change(
    one: &One,
    what: &str,
    on_disk: impl Fn(&Store) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let config = one.at.place.existing()?;
    if let Some(asked) = one.at.asked(&config)? {
        let body = json!({ "channel": one.channel.to_string() });
        return Ok(asked.post(&format!("/v1/admin/families/{what}"), &body).await?);
    }
    // Opening the store locks the directory: a running server is asked with --server instead.
    let store = Store::open(&config.data, &config.storage())?;
    on_disk(&store)?;
    while store.move_messages(STEP_BYTES)? != Moved::Nothing {}
    Ok(())
}

async fn list(at: &At, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let config = at.place.existing()?;
    if let Some(asked) = at.asked(&config)? {
        let page = asked.get("/v1/admin/families").await?;
        for family in page.get("families").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| family.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let number = |name: &str| family.get(name).and_then(Value::as_u64);
            let moving = family.get("moving").and_then(Value::as_bool).unwrap_or_default();
            line(
                out,
                &text("channel"),
                &text("name"),
                (number("from"), number("until")),
                moving,
                number("bytes"),
            )?;
        }
        return Ok(());
    }
    for family in Store::open(&config.data, &config.storage())?.families() {
        let range = (Some(family.from.0), family.until.map(|until| until.0));
        let channel = family.channel.to_string();
        line(out, &channel, &family.name, range, family.is_moving(), Some(family.bytes))?;
    }
    Ok(())
}

fn line(
    out: &mut impl Write,
    channel: &str,
    name: &str,
    (from, until): (Option<u64>, Option<u64>),
    moving: bool,
    bytes: Option<u64>,
) -> std::io::Result<()> {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let state = if moving { "moving" } else { "settled" };
    writeln!(out, "{channel}\t{name}\t{}\t{}\t{state}\t{}", number(from), number(until), number(bytes))
}
