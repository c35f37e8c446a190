//! One listener: who gets in, how long a connection may take, and its end.

mod places;
mod pulse;
mod stream;

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt as _;

use self::places::{Bounds, Full, Place};
use self::pulse::Pulse;
use self::stream::{LongBody, Watched, WatchedBody};
use crate::limits::{ADMIN_CONNECTIONS_MAX, Limit};
use crate::network::household;
use crate::server::{Peer, Shared};
use crate::tls::Stream;

pub(crate) use self::places::Places;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What is under way may end within so long after the end was asked for.
const GRACE: Duration = Duration::from_secs(5);
/// After an error of accept (no descriptors left, most likely).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// What one is told that gets no place; best effort, nothing is waited for.
const NO_PLACE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// In the extensions of an answer that takes longer than others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Long;

/// Who a listener is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Audience {
    /// Everybody.
    Public,
    /// The operator and what watches the server.
    Admin,
}

impl Audience {
    /// The label in the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Admin => "admin",
        }
    }
}

/// Both listeners' places, for whoever counts.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) public: Arc<Places>,
    pub(crate) admin: Arc<Places>,
}

impl Ports {
    pub(crate) fn new(limits: &crate::limits::Limits) -> Self {
        let public = Bounds { all: limits.connections_max, address: limits.address_connections_max };
        let admin = Bounds { all: ADMIN_CONNECTIONS_MAX, address: ADMIN_CONNECTIONS_MAX };
        Self { public: Arc::new(Places::new(public)), admin: Arc::new(Places::new(admin)) }
    }

    fn of(&self, audience: Audience) -> &Arc<Places> {
        match audience {
            Audience::Public => &self.public,
            Audience::Admin => &self.admin,
        }
    }
}

/// A listener with what it serves.
pub(crate) struct Port {
    pub(crate) audience: Audience,
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) router: Router,
    pub(crate) shared: Shared,
}

impl Port {
    /// Serves until `ends` says so or is dropped, then lets what is under way end, for a bounded time.
    pub(crate) async fn serve(self, mut ends: watch::Receiver<()>) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = ends.changed() => break,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address, &graceful),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!("HTTP requests were still under way at the end");
        }
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr, graceful: &GracefulShutdown) {
        let patience = self.shared.settings.access.limits.patience;
        let pulse = Arc::new(Pulse::new(patience));
        let is_proxy = self.audience == Audience::Public && self.shared.is_proxy(address.ip());
        let counted = (!is_proxy).then(|| household(address.ip()));
        let place = match self.places().take(counted, pulse.clone()) {
            Ok(place) => place,
            Err(full) => {
                self.shared.limiter.refuse(self.limit(full));
                // Over TLS it could not be read.
                if self.tls.is_none() {
                    let _ = stream.try_write(NO_PLACE);
                }
                return;
            }
        };
        let stream = Watched { stream: Stream::new(stream, self.tls.as_ref()), pulse: pulse.clone() };
        let io = TokioIo::new(stream);
        let (router, shared, peer) = (self.router.clone(), self.shared.clone(), address.ip());
        let requests = pulse.clone();
        let service = hyper::service::service_fn(move |request| {
            answer(&router, &shared, peer, requests.clone(), request)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(patience.head).max_buf_size(HEAD_BYTES_MAX);
        let connection = graceful.watch(http.serve_connection(io, service));
        tokio::spawn(live(connection, pulse, place, self.shared.clone(), self.places().clone()));
    }

    fn places(&self) -> &Arc<Places> {
        self.shared.ports.of(self.audience)
    }

    fn limit(&self, full: Full) -> Limit {
        match (self.audience, full) {
            (Audience::Admin, _) => Limit::AdminConnections,
            (Audience::Public, Full::All) => Limit::Connections,
            (Audience::Public, Full::Address) => Limit::AddressConnections,
        }
    }
}

/// One request, from its head to its answer's.
fn answer(
    router: &Router,
    shared: &Shared,
    peer: IpAddr,
    pulse: Arc<Pulse>,
    request: hyper::Request<Incoming>,
) -> impl Future<Output = Result<axum::response::Response, std::convert::Infallible>> + use<> {
    pulse.asked(!request.body().is_end_stream());
    let client = Peer(shared.settings.access.proxies.client(peer, request.headers()));
    let watched = pulse.clone();
    let mut request = request.map(|body| Body::new(WatchedBody { body, pulse: watched }));
    request.extensions_mut().insert(client);
    let answer = router.clone().oneshot(request);
    async move {
        let mut answer = answer.await?;
        if answer.extensions().get::<Long>().is_some() {
            pulse.lengthens();
            let watched = pulse.clone();
            answer = answer.map(|body| Body::new(LongBody { body, pulse: watched }));
        }
        pulse.answered();
        Ok(answer)
    }
}

/// A connection until it ends, gives way or has taken too long.
async fn live<C>(connection: C, pulse: Arc<Pulse>, place: Place, shared: Shared, places: Arc<Places>)
where
    C: Future<Output = hyper::Result<()>>,
{
    tokio::select! {
        biased;
        () = pulse.gave_way() => {}
        ended = connection => {
            if let Err(error) = ended {
                shared.counters.broken();
                tracing::debug!(%error, "an HTTP connection broke");
            }
        }
        // After the connection: it sees what that has just begun.
        () = too_late(&pulse, &places) => {}
    }
    drop(place);
}

/// Ends when the time of what is under way is over. It is looked at whenever anything happens to the connection, since both
/// are one task's.
async fn too_late(pulse: &Pulse, places: &Places) {
    let mut sleep = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| {
        let Some(over_at) = pulse.over_at() else { return Poll::Pending };
        if sleep.deadline() != over_at {
            sleep.as_mut().reset(over_at);
        }
        sleep.as_mut().poll(cx)
    })
    .await;
    // Counted before the peer can see it.
    places.count_cut();
}
