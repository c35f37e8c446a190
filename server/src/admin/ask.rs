//! Asking a running server over HTTP or HTTPS.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use client::operator::Operator;
use client::trust::{Trust, TrustError};
use serde_json::Value;

use super::Place;
use crate::config::Config;

/// Whom to take for a server that speaks TLS.
#[derive(Args, Clone, Debug)]
pub(crate) struct TrustFlags {
    /// SHA-256 of the certificate of a server that speaks TLS, as it prints it at its start; without --pin and --ca-file the
    /// system's authorities count.
    #[arg(long, value_name = "SHA256", conflicts_with = "ca_file")]
    pin: Option<String>,
    /// Certificates (PEM) of the authorities that may have signed the server's certificate.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl TrustFlags {
    pub(crate) fn trust(&self) -> Result<Trust, TrustError> {
        Trust::named(self.pin.as_deref(), self.ca_file.as_deref())
    }
}

/// A data directory, or the running server that uses it.
#[derive(Args, Clone, Debug)]
pub(super) struct At {
    #[command(flatten)]
    pub(super) place: Place,
    /// The running server's admin listener, e.g. http://127.0.0.1:8082. The token is read in the data directory.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    trust: TrustFlags,
}

impl At {
    /// The server, where one is named.
    pub(super) fn asked(&self, config: &Config) -> Result<Option<Operator>, Box<dyn Error>> {
        self.server.as_deref().map(|url| server_of(config, url, &self.trust)).transpose()
    }
}

/// The server at a URL, for whoever has this token; without one it tells what everybody may know.
pub(super) fn server(url: &str, token: &str, flags: &TrustFlags) -> Result<Operator, Box<dyn Error>> {
    Ok(Operator::new(url, token, &flags.trust()?).map_err(|error| format!("--server: {error}"))?)
}

/// The running server of a data directory, whose operator's token it takes.
pub(super) fn server_of(config: &Config, url: &str, flags: &TrustFlags) -> Result<Operator, Box<dyn Error>> {
    let path = config.data.join("admin.token");
    let token = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    server(url, token.trim(), flags)
}

/// Ends the running server as SIGTERM does.
pub(super) async fn drain(
    config: &Config,
    url: &str,
    flags: &TrustFlags,
) -> Result<ExitCode, Box<dyn Error>> {
    server_of(config, url, flags)?.post("/v1/admin/drain", &Value::Null).await?;
    Ok(ExitCode::SUCCESS)
}
