//! Which way to a server: QUIC where UDP gets through, else a WebSocket; what was found out is remembered until it fails.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::link::Link;
use super::quic::{self, Quic};
use super::socket::Socket;
use crate::account::{Account, AccountError, Route};
use crate::http::{HttpError, Place};

/// QUIC's head start over the WebSocket (as in RFC 8305, where it is 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);
/// How long a network that lets no UDP through is believed to stay so.
const BLOCKED: Duration = Duration::from_secs(600);
/// How long a handshake may take when there is no other way.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// So many dials in a row reached nobody who said welcome; then, before each further one, it is asked where the server is.
/// The first failures are most often a server that starts again where it was.
const DIALS_BEFORE_ASKING: u32 = 2;
/// How long the answer to that is waited for: the server may be where it was, and only its control plane be away.
const ASK_WAIT: Duration = Duration::from_secs(10);
/// What is told of another certificate that nobody can vouch for.
const UNVOUCHED_PIN: &str = "another certificate is announced for QUIC than before, and in clear text anybody on the way could \
                             have announced it; log in over https://, or start anew to take it";

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

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoWay {
    /// The control plane does not take the token. With another one there may be a way.
    Token {
        /// Why: a stable word.
        code: String,
        /// For people.
        message: String,
    },
    Http(HttpError),
}

impl From<HttpError> for NoWay {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

#[derive(Debug)]
struct Known {
    /// Where the WebSocket is.
    place: Place,
    route: Option<Route>,
    /// The certificate of the last QUIC connection.
    pin: Option<[u8; 32]>,
    /// Dials since the last welcome.
    dials: u32,
    /// UDP did not get through; not tried again before.
    blocked_until: Option<Instant>,
    /// The QUIC connection that is used now.
    current: Option<quinn::Endpoint>,
}

impl Roads {
    pub(super) fn new(transport: Transport, place: Place) -> Self {
        let known = Known { place, route: None, pin: None, dials: 0, blocked_until: None, current: None };
        Self { transport, known: Mutex::new(known) }
    }

    /// A login has said where the WebSocket is.
    pub(super) fn moved(&self, place: Place) {
        self.known().place = place;
    }

    /// The server has said welcome.
    pub(super) fn arrived(&self) {
        self.known().dials = 0;
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
    pub(super) async fn open(&self, account: Account, token: String) -> Result<Link, NoWay> {
        let dials = {
            let mut known = self.known();
            known.current = None;
            known.dials = known.dials.saturating_add(1);
            known.dials
        };
        if dials > DIALS_BEFORE_ASKING {
            self.ask_again(&account, &token).await?;
        }
        let place = self.known().place.clone();
        let is_blocked = self.known().blocked_until.is_some_and(|until| Instant::now() < until);
        if self.transport == Transport::Ws || (self.transport == Transport::Auto && is_blocked) {
            let outcome = Socket::open(place).await;
            if outcome.is_err() {
                // The network may be another one by now.
                self.known().blocked_until = None;
            }
            return Ok(Link::Ws(outcome?));
        }
        let mut outcome = self.by_route(&place, &account, &token).await;
        if let Err(NoWay::Http(HttpError::Untrusted { .. })) = outcome {
            // The server may have another certificate by now: what is announced is asked for again, once.
            self.known().route = None;
            outcome = self.by_route(&place, &account, &token).await;
        }
        let mut known = self.known();
        match &outcome {
            Ok(Link::Quic(link)) => {
                known.current = Some(link.endpoint());
                known.pin = known.route.as_ref().and_then(|route| Some(route.quic.as_ref()?.fingerprint));
            }
            // The server may be another one by now.
            _ => known.route = None,
        }
        outcome
    }

    /// Asks where the server is by now. Whoever does not answer changes nothing.
    async fn ask_again(&self, account: &Account, token: &str) -> Result<(), NoWay> {
        self.known().route = None;
        let asked = timeout(ASK_WAIT, account.route(token)).await;
        let route = match asked.map(|answer| answer.map_err(|error| no_way(error, account))) {
            Ok(Ok(route)) => route,
            Ok(Err(error @ NoWay::Token { .. })) => return Err(error),
            Ok(Err(NoWay::Http(_))) | Err(_) => return Ok(()),
        };
        let place = account.chat_place(&route.chat)?;
        self.known().place = place;
        self.keep(account, route)?;
        Ok(())
    }

    /// As the control plane says; by WebSocket if it does not.
    async fn by_route(&self, place: &Place, account: &Account, token: &str) -> Result<Link, NoWay> {
        let route = match self.route(account, token).await {
            Ok(route) => route,
            Err(NoWay::Http(error)) if self.transport == Transport::Auto && !is_untrusted(&error) => {
                return Ok(Link::Ws(Socket::open(place.clone()).await?));
            }
            Err(error) => return Err(error),
        };
        match self.transport {
            Transport::Quic | Transport::QuicUnguided => {
                let link = timeout(HANDSHAKE_WAIT, Quic::open(&route)).await;
                let link = link.unwrap_or_else(|_| Err(quic::unreachable(&route, "no answer in time")))?;
                Ok(Link::Quic(Box::new(link)))
            }
            _ => Ok(self.race(place.clone(), &route).await?),
        }
    }

    async fn route(&self, account: &Account, token: &str) -> Result<Route, NoWay> {
        let known = self.known().route.clone();
        let route = match known {
            Some(route) => route,
            None => {
                let route = account.route(token).await.map_err(|error| no_way(error, account))?;
                self.keep(account, route)?
            }
        };
        if route.quic.is_none() {
            return Err(quic::unreachable(&route, "the server has no QUIC").into());
        }
        Ok(route)
    }

    /// Remembers what the control plane has said. Over TLS it is the server that speaks; in clear text it may be anybody on the
    /// way, and another certificate than before is not taken from it.
    fn keep(&self, account: &Account, mut route: Route) -> Result<Route, HttpError> {
        let mut known = self.known();
        if let (Some(pin), Some(quic)) = (known.pin, &route.quic)
            && quic.fingerprint != pin
            && !account.is_secure()
        {
            return Err(HttpError::Untrusted {
                place: quic.address.clone(),
                fault: UNVOUCHED_PIN.to_owned(),
            });
        }
        if self.transport == Transport::QuicUnguided {
            route.shard = u16::MAX;
        }
        known.route = Some(route.clone());
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

fn is_untrusted(error: &HttpError) -> bool {
    matches!(error, HttpError::Untrusted { .. })
}

/// What a refused question says of the token.
fn no_way(error: AccountError, account: &Account) -> NoWay {
    match error {
        AccountError::Refused { code, message, .. } if code == "expired" || code == "unauthenticated" => {
            NoWay::Token { code, message }
        }
        error => NoWay::Http(error.into_http(account)),
    }
}
