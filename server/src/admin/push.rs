//! `maru admin push`: what subscriptions answer, and what was tried too often, on the running server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::show::{One, Server, id_of, lines};

/// What to do with notifications.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Task {
    /// Call every subscription of a user with a test, and print what each answered, an object a line.
    Test(One),
    /// Print what was tried too often and waits for a newer message of its channel, an object a line.
    Parked(Server),
}

pub(super) async fn run(task: &Task, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let (answer, field) = match task {
        Task::Test(one) => {
            let operator = one.server.operator()?;
            let user = id_of(&operator, one).await?;
            (operator.post_for(&format!("/v1/admin/push/test/{user}"), &Value::Null).await?, "answers")
        }
        Task::Parked(server) => (server.operator()?.get("/v1/admin/push/parked").await?, "parked"),
    };
    lines(&answer, field, out)?;
    Ok(ExitCode::SUCCESS)
}
