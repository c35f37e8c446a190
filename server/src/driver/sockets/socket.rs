//! Sockets as the driver wants them.

use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds until they are accepted; it cuts this to net.core.somaxconn.
pub(crate) const BACKLOG: i32 = 4096;

/// Bytes that the kernel takes for a connection beyond what it has sent. By itself it takes megabytes, and says that there
/// is room again when a third of them is gone: on a link of 1 KB/s that is many minutes, in which a reader that takes
/// bytes all the time looks like one that takes none.
const UNSENT_BYTES: u32 = 32 * 1024;

/// A bound socket, which shares its address with those of the other shards if told to (SO_REUSEPORT).
pub(in crate::driver) fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A shard's listener.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address, true)?;
    // Connections take it over. Best effort: without it a slow reader is only seen to read less often, and may be closed
    // for it (e2e/slow.rs fails then).
    let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether the kernel lacks descriptors or memory: trying again at once would spin.
pub(super) fn is_want_of_resources(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
