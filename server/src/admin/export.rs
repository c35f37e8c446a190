//! `maru admin export`: a channel or a user of the running server, as JSON Lines. What arrives is counted on the way, so that a part
//! is never taken for the whole.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use client::operator::Operator;
use protocol::ChannelId;

use super::show::{self, One, Server};
use crate::export::CRC32C;
use crate::export::line::Line;

/// What to export.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Task {
    /// A channel as it is kept at this moment: rules, everybody who ever was in it, messages with what is said of them. `maru admin
    /// import` makes a data directory of it.
    Channel {
        /// The channel's id.
        channel: ChannelId,
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        to: To,
    },
    /// What is kept of a user, and of each channel what the user may read. No secrets; of other people who they are.
    User {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        to: To,
    },
}

/// Where it goes.
#[derive(Args, Clone, Debug)]
pub(super) struct To {
    /// A file that is not there yet; it gets its name when all is in it. Standard output when left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(task: &Task, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let (operator, path, to) = match task {
        Task::Channel { channel, server, to } => {
            (server.operator()?, format!("/v1/admin/channels/{channel}/export"), to)
        }
        Task::User { one, to } => {
            let operator = one.server.operator()?;
            let user = show::id_of(&operator, one).await?;
            (operator, format!("/v1/admin/users/{user}/export"), to)
        }
    };
    match &to.out {
        None => download(&operator, &path, out).await?,
        Some(file) => into_file(&operator, &path, file).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A file has its name when it is whole.
async fn into_file(operator: &Operator, path: &str, file: &Path) -> Result<(), Box<dyn Error>> {
    let in_words = |place: &Path, error: &io::Error| format!("{}: {error}", place.display());
    if file.exists() {
        return Err(format!("{} is there already; name a file that is not", file.display()).into());
    }
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    // What one says is in it: it is nobody else's to read.
    let mut options = OpenOptions::new();
    let made = options.write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let mut made = made.map_err(|error| in_words(&partial, &error))?;
    let written = download(operator, path, &mut made).await;
    let written = written.and_then(|()| Ok(made.sync_all().map_err(|error| in_words(&partial, &error))?));
    if let Err(error) = written {
        // What is there is no export. That it cannot be removed says nothing more.
        let _ = fs::remove_file(&partial);
        return Err(error);
    }
    drop(made);
    fs::rename(&partial, file).map_err(|error| in_words(file, &error))?;
    let holder =
        file.parent().filter(|holder| !holder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(holder).and_then(|holder| holder.sync_all()).map_err(|error| in_words(holder, &error))?;
    Ok(())
}

async fn download(operator: &Operator, path: &str, to: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let mut watch = Watch::default();
    let mut fault = None;
    let mut take = |bytes: &[u8]| {
        watch.take(bytes);
        let written = to.write_all(bytes);
        fault = written.err();
        fault.is_none()
    };
    operator.download(path, &mut take).await?;
    if let Some(error) = fault {
        return Err(format!("cannot write what arrives: {error}").into());
    }
    to.flush()?;
    Ok(watch.end()?)
}

/// What has arrived of an export.
#[derive(Default)]
struct Watch {
    /// A line of which a part has come, or the last one.
    line: Vec<u8>,
    lines: u64,
    sum: Option<crc::Digest<'static, u32>>,
}

impl Watch {
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end + 1);
            if self.line.last() == Some(&b'\n') {
                self.count();
            }
            self.line.extend_from_slice(line);
            bytes = rest;
        }
        if !bytes.is_empty() {
            if self.line.last() == Some(&b'\n') {
                self.count();
            }
            self.line.extend_from_slice(bytes);
        }
    }

    /// Another line follows: this one was not the last. The first is not counted.
    fn count(&mut self) {
        match &mut self.sum {
            None => self.sum = Some(CRC32C.digest()),
            Some(sum) => {
                sum.update(&self.line);
                self.lines += 1;
            }
        }
        self.line.clear();
    }

    /// Whether all came.
    fn end(self) -> Result<(), String> {
        let sum = self.sum.unwrap_or_else(|| CRC32C.digest()).finalize();
        match serde_json::from_slice(&self.line) {
            Ok(Line::End { lines, crc32c }) if lines == self.lines && crc32c == format!("{sum:08x}") => {
                Ok(())
            }
            Ok(Line::End { .. }) => Err("what arrived is not what was sent; export it again".into()),
            _ => Err("the export broke off; the server's log may say why. Export it again".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_not_taken_for_the_whole_however_it_arrives() {
        let lines = "{\"line\":\"slow\",\"interval_s\":3}\n".repeat(3);
        let sum = CRC32C.checksum(lines.as_bytes());
        let whole = format!(
            "{{\"maru\":\"export\"}}\n{lines}{{\"line\":\"end\",\"lines\":3,\"crc32c\":\"{sum:08x}\"}}\n"
        );
        for pieces in 1..9 {
            for bytes in 0..=whole.len() {
                let mut watch = Watch::default();
                whole.as_bytes()[..bytes].chunks(pieces).for_each(|piece| watch.take(piece));
                // Only the line end behind the last line may be missing.
                assert_eq!(watch.end().is_ok(), bytes >= whole.len() - 1, "{pieces} {bytes}");
            }
        }
        let mut watch = Watch::default();
        watch.take(whole.replacen('3', "4", 1).as_bytes());
        assert!(watch.end().unwrap_err().contains("not what was sent"));
    }
}
