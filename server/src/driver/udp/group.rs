//! One UDP port for all shards: a reuseport group whose sockets stand in the order of the shards, and a classic BPF
//! program that picks one by the shard in the connection id. A client that changes its address stays where it was.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Steering;

/// The sockets of a node, in shard order.
#[derive(Debug)]
pub struct Group {
    /// One a shard.
    pub sockets: Vec<UdpSocket>,
    /// Where each is: all the same when the kernel steers, else a port each.
    pub addresses: Vec<SocketAddr>,
}

/// Binds a socket for each shard.
///
/// # Errors
/// Of the kernel: in use, not ours, not allowed.
pub fn reserve(address: SocketAddr, shards: u16, steering: Steering) -> io::Result<Group> {
    // Any process of the same user can join a group, so the port is first bound alone: another server there is an error
    // here and not half of our connections lost.
    let probe = bind(address, false)?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    if steering == Steering::Ports {
        return apart(address, shards);
    }
    match steered(address, shards) {
        Ok(group) => Ok(group),
        Err(error) => {
            tracing::warn!(%error, "the kernel does not steer datagrams: QUIC has one port a shard");
            apart(address, shards)
        }
    }
}

fn steered(address: SocketAddr, shards: u16) -> io::Result<Group> {
    let sockets = (0..shards).map(|_| bind(address, true)).collect::<io::Result<Vec<_>>>()?;
    if let (Some(first), true) = (sockets.first(), shards > 1) {
        steer(first, shards)?;
    }
    Ok(Group {
        addresses: sockets.iter().map(|_| address).collect(),
        sockets: sockets.into_iter().map(Into::into).collect(),
    })
}

fn apart(address: SocketAddr, shards: u16) -> io::Result<Group> {
    let first = bind(address, false)?;
    let port = first.local_addr()?.as_socket().map_or(0, |first| first.port());
    let mut sockets: Vec<UdpSocket> = vec![first.into()];
    for shard in 1..shards {
        // The next numbers, as far as nobody has them: a firewall can be told of those.
        let next = bind(SocketAddr::new(address.ip(), port.saturating_add(shard)), false);
        let socket = next.or_else(|_| bind(SocketAddr::new(address.ip(), 0), false))?;
        sockets.push(socket.into());
    }
    let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
    Ok(Group { sockets, addresses })
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Attaches the program. It reads the payload from offset 0: the first byte of the destination connection id is byte 6
/// of a long header and byte 1 of a short one (RFC 8999). Modulo, because a client's first id is random, and because a
/// node may come back with fewer shards.
fn steer(socket: &Socket, shards: u16) -> io::Result<()> {
    use libc::{BPF_A, BPF_ABS, BPF_ALU, BPF_B, BPF_JA, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_MOD, BPF_RET};
    let code = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        #[allow(clippy::cast_possible_truncation)]
        code: code as u16,
        jt,
        jf,
        k,
    };
    let mut program = [
        code(BPF_LD | BPF_B | BPF_ABS, 0, 0, 0),
        code(BPF_JMP | BPF_JSET | BPF_K, 0, 2, 0x80),
        code(BPF_LD | BPF_B | BPF_ABS, 0, 0, 6),
        code(BPF_JMP | BPF_JA, 0, 0, 1),
        code(BPF_LD | BPF_B | BPF_ABS, 0, 0, 1),
        code(BPF_ALU | BPF_MOD | BPF_K, 0, 0, shards.into()),
        code(BPF_RET | BPF_A, 0, 0, 0),
    ];
    attach(socket, &mut program)
}

#[allow(unsafe_code)]
fn attach(socket: &Socket, program: &mut [libc::sock_filter]) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    #[allow(clippy::cast_possible_truncation)]
    let size = size_of_val(&program) as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed, `program` says truly where its instructions are
    // and how many, and the kernel copies them before the call returns. No safe crate offers this option.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which socket gets a datagram with this payload, from a new source each time.
    fn landing(group: &Group, payload: &[u8]) -> usize {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(payload, group.addresses[0]).unwrap();
        let mut buffer = [0; 64];
        for _ in 0..1_000_000 {
            let got = group.sockets.iter().position(|socket| socket.recv_from(&mut buffer).is_ok());
            if let Some(shard) = got {
                return shard;
            }
            std::thread::yield_now();
        }
        panic!("the datagram went nowhere");
    }

    #[test]
    fn datagrams_follow_the_shard_in_the_id_and_not_the_address() {
        let group = reserve("127.0.0.1:0".parse().unwrap(), 4, Steering::Auto).unwrap();
        assert!(group.addresses.iter().all(|address| *address == group.addresses[0]));
        for shard in 0..4_u8 {
            for _ in 0..8 {
                let long = [0xc3, 0, 0, 0, 1, 8, shard, 9, 9, 9, 9, 9, 9, 9];
                assert_eq!(landing(&group, &long), usize::from(shard));
                assert_eq!(landing(&group, &[0x43, shard, 9, 9, 9, 9, 9, 9, 9]), usize::from(shard));
            }
        }
        // Ids of a node that had more shards, and datagrams that are too short, go somewhere.
        assert_eq!(landing(&group, &[0x43, 9, 9]), 1);
        let _ = landing(&group, &[0xc3]);
        let _ = landing(&group, &[1]);
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_and_ports_apart_work() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(reserve(taken.local_addr().unwrap(), 2, Steering::Auto).is_err());
        let group = reserve("127.0.0.1:0".parse().unwrap(), 3, Steering::Ports).unwrap();
        assert_eq!(group.sockets.len(), 3);
        assert_ne!(group.addresses[0], group.addresses[1]);
    }
}
