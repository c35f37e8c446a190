//! The floor: [`crate::relay::Relay`] over three ways to do I/O. Each is one thread that does nothing else.

mod mio;
mod tokio_uring;
mod uring;

use std::io::{self, Write};
use std::net::SocketAddr;

/// Bytes of one read.
pub(crate) const READ_BYTES: usize = 16 * 1024;

/// How bytes move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Driver {
    /// epoll, by mio: what Maru uses.
    Mio,
    /// io_uring by its ring, completions of a turn together.
    Uring,
    /// io_uring by tokio-uring.
    TokioUring,
}

/// Serves until the process is ended.
///
/// # Errors
/// The address cannot be listened on, or the kernel does not allow this driver.
pub fn serve(driver: Driver, listen: SocketAddr) -> io::Result<()> {
    let outcome = match driver {
        Driver::Mio => mio::serve(listen),
        Driver::Uring => uring::serve(listen),
        Driver::TokioUring => tokio_uring::serve(listen),
    };
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported if driver != Driver::Mio => {
            let words =
                format!("this kernel or container does not allow io_uring ({error}); use --driver mio");
            io::Error::new(error.kind(), words)
        }
        _ => error,
    })
}

/// The one line that programs wait for.
pub(crate) fn announce(name: &str, address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{name} ready ws=ws://{address}/ws")?;
    out.flush()
}
