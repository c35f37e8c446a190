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
    let mut path = Some("/v1/admin/erasures?limit=500".to_owned());
    while let Some(asked) = path.take() {
        let page = operator.get(&asked).await?;
        for erasure in page.get("erasures").and_then(Value::as_array).into_iter().flatten() {
            writeln!(out, "{erasure}")?;
        }
        let next = page.get("next").and_then(Value::as_str);
        path = next.map(|after| format!("/v1/admin/erasures?limit=500&after={after}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn server(at: &At) -> Result<client::operator::Operator, Box<dyn Error>> {
    let asked = at.asked(&at.place.existing()?)?;
    Ok(asked.ok_or("this needs a running server: name its admin listener with --server")?)
}
