//! Which way to a server: QUIC where UDP gets through, else a WebSocket; what was found out is remembered.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::link::Link;
use super::quic::{self, Quic};
use super::socket::Socket;
use crate::account::{Account, Route};
use crate::http::{HttpError, Place};

/// QUIC's head start over the WebSocket (as in RFC 8305, where it is 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);
/// How long a network that lets no UDP through is believed to stay so.
const BLOCKED: Duration = Duration::from_secs(600);
/// How long a handshake may take when there is no other way.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// How a client connects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transport {
    /// QUIC if the server has it and the network lets it through, else a WebSocket.
    #[default]
    Auto,
    /// QUIC or not at all.
    Quic,
    /// The same without the hint where the user lives, as clients of other makers do: for tests and figures.
    QuicUnguided,
    /// A WebSocket.
    Ws,
}

impl std::str::FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "quic" => Ok(Self::Quic),
            "ws" => Ok(Self::Ws),
            _ => Err("expected auto, quic or ws".to_owned()),
        }
    }
}

/// What a client remembers of the ways to its server.
#[derive(Debug)]
pub(super) struct Roads {
    transport: Transport,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    route: Option<Route>,
    /// UDP did not get through; not tried again before.
    blocked_until: Option<Instant>,
    /// The QUIC connection that is used now.
    current: Option<quinn::Endpoint>,
}

impl Roads {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing in it can be half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_quic(&self) -> bool {
        self.known().current.is_some()
    }

    /// Goes on from another socket; false when the connection is none of QUIC, or there is no socket.
    pub(super) fn rebind(&self) -> bool {
        let Some(endpoint) = self.known().current.clone() else { return false };
        let Ok(address) = endpoint.local_addr() else { return false };
        let fresh = std::net::UdpSocket::bind(std::net::SocketAddr::new(address.ip(), 0));
        fresh.and_then(|socket| endpoint.rebind(socket)).is_ok()
    }

    /// Connects, by the way that gets there first.
    pub(super) async fn open(
        &self,
        place: Place,
        account: Account,
        token: String,
    ) -> Result<Link, HttpError> {
        self.known().current = None;
        let is_blocked = self.known().blocked_until.is_some_and(|until| Instant::now() < until);
        if self.transport == Transport::Ws || (self.transport == Transport::Auto && is_blocked) {
            return Ok(Link::Ws(Socket::open(place).await?));
        }
        let mut outcome = self.by_route(&place, &account, &token).await;
        if let Err(HttpError::Untrusted { .. }) = outcome {
            // The server may have another certificate by now: what is announced is asked for again, once.
            self.known().route = None;
            outcome = self.by_route(&place, &account, &token).await;
        }
        let mut known = self.known();
        match &outcome {
            Ok(Link::Quic(link)) => known.current = Some(link.endpoint()),
            // The server may be another one by now.
            _ => known.route = None,
        }
        outcome
    }

    /// As the control plane says; by WebSocket if it does not.
    async fn by_route(&self, place: &Place, account: &Account, token: &str) -> Result<Link, HttpError> {
        let route = match self.route(account, token).await {
            Ok(route) => route,
            Err(error) if self.transport != Transport::Auto => return Err(error),
            Err(_) => return Ok(Link::Ws(Socket::open(place.clone()).await?)),
        };
        match self.transport {
            Transport::Quic | Transport::QuicUnguided => {
                tokio::time::timeout(HANDSHAKE_WAIT, Quic::open(&route))
                    .await
                    .unwrap_or_else(|_| Err(quic::unreachable(&route, "no answer in time")))
                    .map(|link| Link::Quic(Box::new(link)))
            }
            _ => self.race(place.clone(), &route).await,
        }
    }

    async fn route(&self, account: &Account, token: &str) -> Result<Route, HttpError> {
        if let Some(route) = self.known().route.clone() {
            return Ok(route);
        }
        let mut route = account.route(token).await.map_err(|error| error.into_http(account))?;
        if route.quic.is_none() {
            return Err(quic::unreachable(&route, "the server has no QUIC"));
        }
        if self.transport == Transport::QuicUnguided {
            route.shard = u16::MAX;
        }
        self.known().route = Some(route.clone());
        Ok(route)
    }

    /// QUIC with a head start against the WebSocket.
    async fn race(&self, place: Place, route: &Route) -> Result<Link, HttpError> {
        let mut ws = std::pin::pin!(async {
            sleep(HEAD_START).await;
            Socket::open(place.clone()).await
        });
        let quic = Quic::open(route);
        tokio::select! {
            outcome = quic => match outcome {
                Ok(link) => return Ok(Link::Quic(Box::new(link))),
                // Somebody else answers in the server's place. That is no reason to say less carefully what is secret.
                Err(error @ HttpError::Untrusted { .. }) => return Err(error),
                Err(_) => {}
            },
            outcome = &mut ws => {
                let link = outcome?;
                // TCP got through and UDP has not answered.
                self.known().blocked_until = Some(Instant::now() + BLOCKED);
                return Ok(Link::Ws(link));
            }
        }
        // Refused at once: nobody is there. That says nothing about the network.
        Ok(Link::Ws(ws.await?))
    }
}
