//! A device's connection: a WebSocket, plain or with TLS, or QUIC. Sockets never block.

mod json;
mod quic;
mod wire;
mod ws;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use bytes::BytesMut;
use client::trust::Trust;
use mio::event::Source;
use protocol::{Frame, Header, UserId};
use socket2::Socket;

pub(crate) use quic::Landings;
use quic::{Endpoint, Quic};
use rustls::pki_types::ServerName;
use wire::Expected;
use ws::Ws;

use crate::wire::{Road, Spec};

/// The one read buffer.
const READ_BYTES: usize = 512 * 1024;
/// The first port that needs no privilege.
const FIRST_PORT: u16 = 1024;
/// Ports that are tried until the kernel is asked for one.
const PORT_TRIES: usize = 32;

/// Where the server's chat port is.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    /// For the Host line.
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) dialect: Dialect,
    /// `None`: clear text.
    pub(crate) tls: Option<Secured>,
}

impl Place {
    /// As the flag has it.
    pub(crate) fn url(&self) -> String {
        let s = if self.tls.is_some() { "s" } else { "" };
        format!("ws{s}://{}{}", self.host, self.path)
    }
}

/// Who is expected behind `wss://`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Secured {
    /// The name in the address.
    pub(crate) name: String,
    /// SHA-256 of the one certificate that is taken.
    pub(crate) pin: Option<String>,
    /// A file of authorities in place of the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

impl Secured {
    fn expected(&self) -> Result<Expected, String> {
        let trust = Trust::named(self.pin.as_deref(), self.ca_file.as_deref());
        let config = trust.and_then(|trust| trust.config()).map_err(|error| error.to_string())?;
        let name = ServerName::try_from(self.name.clone()).map_err(|error| error.to_string())?;
        Ok(Expected { config, name })
    }
}

/// How a WebSocket is spoken on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    /// Maru's frames.
    Frames,
    /// JSON objects of the ordinary server in benches.
    Json,
}

/// A connection that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// By QUIC, if there is one.
    pub(crate) road: Option<Road>,
    pub(crate) source: Option<Ipv4Addr>,
    /// Makes a WebSocket's keys.
    pub(crate) seed: u64,
    pub(crate) user: UserId,
}

/// The connection is over.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The server closed it, with this code if it gave one.
    Closed(Option<u16>),
    /// It broke; words.
    Broken(String),
}

/// What the connections of a worker share: a connection that is idle owns as little as it can.
#[derive(Debug)]
pub(crate) struct Kit {
    place: Place,
    expected: Option<Expected>,
    buffer: Box<[u8]>,
    scratch: Vec<u8>,
    /// Frames that were read and not taken yet.
    pub(crate) frames: Vec<Frame>,
    quic: Option<Endpoint>,
    ports: Ports,
}

/// Local ports in turn. The kernel's own search for a free one walks past all that are taken: with 10,000 connections it
/// takes a millisecond each, and the tool becomes the bottleneck of a storm.
#[derive(Debug, Default)]
struct Ports(u16);

impl Ports {
    /// Gives a socket the next port that is free at this address.
    fn bind(&mut self, socket: &Socket, source: Ipv4Addr) -> io::Result<()> {
        for _ in 0..PORT_TRIES {
            self.0 = self.0.checked_add(1).unwrap_or(0).max(FIRST_PORT);
            match socket.bind(&SocketAddr::from((source, self.0)).into()) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                outcome => return outcome,
            }
        }
        socket.bind(&SocketAddr::from((source, 0)).into())
    }
}

impl Kit {
    /// # Errors
    /// Words, when QUIC or TLS cannot be set up.
    pub(crate) fn new(spec: &Spec, now: u64) -> Result<Self, String> {
        let quic =
            spec.fingerprint.map(|pin| Endpoint::new(pin, spec.scenario.connect.hint, now)).transpose()?;
        let expected = spec.place.tls.as_ref().map(Secured::expected).transpose()?;
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        let (scratch, frames, ports) = (Vec::new(), Vec::new(), Ports::default());
        Ok(Self { place: spec.place.clone(), expected, buffer, scratch, frames, quic, ports })
    }

    /// Where QUIC connections were served.
    pub(crate) fn landings(&self) -> Landings {
        self.quic.as_ref().map(Endpoint::landings).unwrap_or_default()
    }
}

/// A connection. After anything but [`Self::dial`] was done to it, [`Self::write`] is due.
#[derive(Debug)]
pub(crate) enum Link {
    Ws(Ws),
    Quic(Box<Quic>),
}

impl Link {
    /// Begins to connect.
    ///
    /// # Errors
    /// Of the kernel: no descriptor, no port.
    pub(crate) fn dial(kit: &mut Kit, call: Call, now: u64) -> io::Result<Self> {
        let Kit { place, expected, quic, ports, .. } = kit;
        match (call.road, quic) {
            (Some(road), Some(endpoint)) => {
                Quic::dial(endpoint, ports, road, call.source, now).map(Box::new).map(Self::Quic)
            }
            _ => Ws::dial(place, expected.as_ref(), ports, call).map(Self::Ws),
        }
    }

    /// For the poll.
    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Ws(ws) => ws.stream_mut(),
            Self::Quic(quic) => quic.socket_mut(),
        }
    }

    /// The kernel has something. What is read lands in the kit. True when frames can be written for the first time.
    pub(crate) fn on_ready(
        &mut self,
        kit: &mut Kit,
        readable: bool,
        writable: bool,
        now: u64,
    ) -> Result<bool, Lost> {
        let Kit { place, buffer, frames, quic, .. } = kit;
        match (self, quic) {
            (Self::Ws(ws), _) => {
                if writable {
                    ws.on_writable(place)?;
                }
                if readable { ws.read(buffer, frames) } else { Ok(false) }
            }
            (Self::Quic(quic), Some(endpoint)) if readable => quic.read(endpoint, buffer, frames, now),
            (Self::Quic(_), _) => Ok(false),
        }
    }

    /// When [`Self::on_deadline`] is due, in milliseconds.
    pub(crate) fn deadline_ms(&mut self, kit: &Kit) -> Option<u64> {
        match (self, &kit.quic) {
            (Self::Quic(quic), Some(endpoint)) => quic.deadline_ms(endpoint),
            _ => None,
        }
    }

    /// Does what is due by the clock.
    pub(crate) fn on_deadline(&mut self, kit: &mut Kit, now: u64) -> Result<bool, Lost> {
        let Kit { frames, quic, .. } = kit;
        match (self, quic) {
            (Self::Quic(quic), Some(endpoint)) => quic.on_deadline(endpoint, frames, now),
            _ => Ok(false),
        }
    }

    /// Writes frames as far as the kernel takes them; what it does not take stays where it can be ordered and dropped.
    pub(crate) fn write(
        &mut self,
        kit: &mut Kit,
        now: u64,
        next: impl FnMut() -> Option<Frame>,
    ) -> Result<(), Lost> {
        let Kit { scratch, quic, .. } = kit;
        match (self, quic) {
            (Self::Ws(ws), _) => ws.write(scratch, next),
            (Self::Quic(quic), Some(endpoint)) => quic.write(endpoint, now, next),
            (Self::Quic(_), None) => Ok(()),
        }
    }

    /// Ends it. `is_cut`: as a cut cable would be noticed, nothing is said and what is on the way is lost.
    pub(crate) fn end(self, kit: &mut Kit, is_cut: bool, now: u64) {
        match (self, &mut kit.quic) {
            (Self::Ws(ws), _) if is_cut => ws.cut(),
            (Self::Quic(quic), Some(endpoint)) => quic.end(endpoint, is_cut, now),
            // The kernel says goodbye for a WebSocket.
            _ => {}
        }
    }
}

/// Takes whole frames from the front.
fn take_frames(bytes: &mut BytesMut, frames: &mut Vec<Frame>) -> Result<(), Lost> {
    let bad = |fault: &dyn std::fmt::Debug| Lost::Broken(format!("not frames: {fault:?}"));
    while let Some(header) = Header::read(bytes) {
        header.check().map_err(|fault| bad(&fault))?;
        if header.frame_bytes() > bytes.len() {
            break;
        }
        let frame = bytes.split_to(header.frame_bytes()).freeze();
        frames.push(Frame::new(frame).map_err(|fault| bad(&fault))?);
    }
    Ok(())
}

fn broken(error: io::Error) -> Lost {
    Lost::Broken(error.to_string())
}
