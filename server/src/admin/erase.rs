//! `maru admin erase` and `maru admin erasures`: what users who have left wrote, on the running server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use protocol::UserId;
use serde_json::{Value, json};

use super::ask::At;

/// Whom.
#[derive(Args, Clone, Debug)]
pub(super) struct Erase {
    /// The id of a user who has left.
    user: u64,
    #[command(flatten)]
    at: At,
}

/// Which server.
#[derive(Args, Clone, Debug)]
pub(super) struct Erasures {
    #[command(flatten)]
    at: At,
}

/// Begins an erasure and prints it.
pub(super) async fn begin(flags: &Erase, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let body = json!({ "user": UserId(flags.user).to_string() });
    let erasure = server(&flags.at)?.post_for("/v1/admin/erasures", &body).await?;
    writeln!(out, "{erasure:#}")?;
    Ok(ExitCode::SUCCESS)
}

/// Prints all erasures, one a line.
pub(super) async fn list(flags: &Erasures, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let operator = server(&flags.at)?;
    let mut after = Some("0".to_owned());
    while let Some(from) = after.take() {
        let page = operator.get(&format!("/v1/admin/erasures?after={from}&limit=500")).await?;
        for erasure in page.get("erasures").and_then(Value::as_array).into_iter().flatten() {
            writeln!(out, "{erasure}")?;
        }
        after = page.get("next").and_then(Value::as_str).map(ToOwned::to_owned);
    }
    Ok(ExitCode::SUCCESS)
}

fn server(at: &At) -> Result<client::operator::Operator, Box<dyn Error>> {
    let asked = at.asked(&at.place.existing()?)?;
    Ok(asked.ok_or("this needs a running server: name its admin listener with --server")?)
}
