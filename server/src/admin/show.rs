//! `maru admin show`: users, their devices, sessions and channels, on the running server. JSON, so that people read it and
//! programs do.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use client::operator::Operator;
use protocol::ChannelId;
use serde_json::Value;

use super::Place;
use super::ask::{TrustFlags, server_of};

/// What to show.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Task {
    /// Every user, an object a line: user, name, created_ms.
    Users(Server),
    /// One user: devices with names and last seen, identities, sessions (transport, bytes that wait, messages behind), and what is
    /// left of the hour's quotas.
    User(One),
    /// A user's channels, those that were left too, an object a line.
    Channels(One),
    /// One channel: kind, name, newest message, members with role and read position. Not what was said.
    Channel {
        /// The channel's id.
        channel: ChannelId,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Args, Clone, Debug)]
pub(super) struct One {
    /// The user's name, or the id with `--id`.
    user: String,
    /// USER is an id.
    #[arg(long)]
    id: bool,
    #[command(flatten)]
    pub(super) server: Server,
}

#[derive(Args, Clone, Debug)]
pub(super) struct Server {
    #[command(flatten)]
    place: Place,
    /// The running server's admin listener, e.g. http://127.0.0.1:8082. The token is read in the data directory.
    #[arg(long, value_name = "URL")]
    server: String,
    #[command(flatten)]
    trust: TrustFlags,
}

impl Server {
    pub(super) fn operator(&self) -> Result<Operator, Box<dyn Error>> {
        server_of(&self.place.existing()?, &self.server, &self.trust)
    }
}

pub(super) async fn run(task: &Task, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    match task {
        Task::Users(server) => list(&server.operator()?, "/v1/admin/users", "users", out).await?,
        Task::User(one) => {
            let operator = one.server.operator()?;
            let user = id_of(&operator, one).await?;
            object(&operator, &format!("/v1/admin/users/{user}"), out).await?;
        }
        Task::Channels(one) => {
            let operator = one.server.operator()?;
            let user = id_of(&operator, one).await?;
            list(&operator, &format!("/v1/admin/users/{user}/channels"), "channels", out).await?;
        }
        Task::Channel { channel, server } => {
            object(&server.operator()?, &format!("/v1/admin/channels/{channel}"), out).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn id_of(operator: &Operator, one: &One) -> Result<String, Box<dyn Error>> {
    if one.id {
        return Ok(one.user.parse::<u64>().map_err(|_| "--id: expected a user's id, a number")?.to_string());
    }
    let found = operator.get(&format!("/v1/admin/users/by-name/{}", in_path(&one.user))).await?;
    Ok(found.get("user").and_then(Value::as_str).ok_or("the answer has no user")?.to_owned())
}

/// Every page.
pub(super) async fn list(
    operator: &Operator,
    path: &str,
    field: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let mut after = String::new();
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let page = operator.get(&format!("{path}{joint}limit=500{after}")).await?;
        lines(&page, field, out)?;
        let Some(next) = page.get("next").and_then(Value::as_str) else { return Ok(()) };
        after = format!("&after={next}");
    }
}

/// The objects of a list, one a line.
pub(super) fn lines(answer: &Value, field: &str, out: &mut impl Write) -> std::io::Result<()> {
    for item in answer.get(field).and_then(Value::as_array).into_iter().flatten() {
        writeln!(out, "{item}")?;
    }
    Ok(())
}

async fn object(operator: &Operator, path: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    writeln!(out, "{:#}", operator.get(path).await?)?;
    Ok(())
}

/// As RFC 3986 has it in a path: whatever is no unreserved character by its bytes.
fn in_path(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(byte.into());
        } else {
            // A string takes everything.
            let _ = write!(all, "%{byte:02X}");
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::in_path;

    #[test]
    fn a_name_is_written_as_a_path_takes_it() {
        assert_eq!(in_path("a.b~c_1"), "a.b~c_1");
        assert_eq!(in_path("a b&c=%"), "a%20b%26c%3D%25");
        assert_eq!(in_path("가"), "%EA%B0%80");
    }
}
