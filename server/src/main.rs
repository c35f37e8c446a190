//! The binary `maru`.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use server::{admin, chat, driver, logging, manual, owner, serve};

/// Maru, the open floor where everyone gathers to talk.
#[derive(Parser)]
#[command(name = "maru", version)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a node.
    Serve(serve::Flags),
    /// Talk from a terminal, or as JSON lines from a program.
    Chat(chat::Flags),
    /// Look after a data directory.
    Admin(admin::Flags),
    /// Print completions for a shell, for example: maru completions bash > /etc/bash_completion.d/maru.
    Completions(manual::Completions),
    /// Write man pages.
    Man(manual::Pages),
    /// Say whether io_uring can be used: what `serve` asks where a filter may kill whoever tries.
    #[command(hide = true)]
    ProbeIo,
}

fn main() -> ExitCode {
    owner::keep_private();
    let outcome = match Line::parse().verb {
        Verb::Serve(flags) => serve::run(&flags),
        Verb::Chat(flags) => chat::run(flags),
        Verb::Admin(flags) => admin::run(&flags),
        Verb::Completions(wanted) => manual::completions(Line::command(), &wanted),
        Verb::Man(wanted) => manual::pages(Line::command(), &wanted),
        Verb::ProbeIo => driver::probe_io(),
    };
    outcome.unwrap_or_else(|error| {
        // Whoever read our output has seen enough (`| head`).
        let cause = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if cause == Some(std::io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        logging::last_words(&error.to_string());
        ExitCode::FAILURE
    })
}
