//! `maru admin quota`: what one user may do in an hour, on the running server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::show::{One, id_of};

/// Whose, and what.
#[derive(Args, Clone, Debug)]
pub(super) struct Flags {
    #[command(flatten)]
    one: One,
    /// Groups that the user may make in an hour.
    #[arg(long, value_name = "N|server", value_parser = bound)]
    groups: Option<Bound>,
    /// Direct channels that the user may begin in an hour.
    #[arg(long, value_name = "N|server", value_parser = bound)]
    directs: Option<Bound>,
    /// Mebibytes of messages that the user may have stored in an hour.
    #[arg(long, value_name = "N|server", value_parser = bound)]
    mib: Option<Bound>,
}

/// A number, or null for the server's setting.
type Bound = Value;

fn bound(text: &str) -> Result<Bound, String> {
    match text {
        "server" => Ok(Value::Null),
        _ => text
            .parse::<u32>()
            .map(Into::into)
            .map_err(|_| "expected a number (0: any number), or server (the server's setting)".to_owned()),
    }
}

/// Changes what is named, and prints all.
pub(super) async fn run(flags: &Flags, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let operator = flags.one.server.operator()?;
    let user = id_of(&operator, &flags.one).await?;
    let seen = operator.get(&format!("/v1/admin/users/{user}")).await?;
    let mut quota =
        seen.get("quota").cloned().ok_or("the answer has no quota: the server is older than this program")?;
    let wanted =
        [("groups_per_h", &flags.groups), ("directs_per_h", &flags.directs), ("mib_per_h", &flags.mib)];
    let wanted: Vec<(&str, &Bound)> =
        wanted.into_iter().filter_map(|(name, bound)| Some((name, bound.as_ref()?))).collect();
    if let (false, Some(fields)) = (wanted.is_empty(), quota.as_object_mut()) {
        fields.extend(wanted.into_iter().map(|(name, bound)| (name.to_owned(), bound.clone())));
        quota = operator.put(&format!("/v1/admin/users/{user}/quota"), &quota).await?;
    }
    writeln!(out, "{quota:#}")?;
    Ok(ExitCode::SUCCESS)
}
