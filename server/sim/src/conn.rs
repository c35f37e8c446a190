//! The server's end of a connection, as the driver holds it: frames in by the length in the header, bytes out as far as
//! the network takes them, and the facts that the core is told about both.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use protocol::body::ingest;
use protocol::body::session;
use protocol::hello::{Hello, Reauth};
use protocol::limits::{FRAME_BYTES_MAX, PAGE_BYTES_MAX};
use protocol::partition::mix64;
use protocol::{CloseCode, Cursor, DeviceId, Frame, Generation, InboxSeq, Kind, Placement, UserId};
use shard::{ConnId, Input};

use crate::broken;
use crate::network::{LinkId, Reassembly, frames};
use crate::node::Scene;
use crate::oracle::{Check, Oracle};
use crate::wire::Watch;

/// What a turn may hand over at once beyond the limit: a page and the frames around it.
const EGRESS_SLACK: usize = 2 * (PAGE_BYTES_MAX + FRAME_BYTES_MAX);
/// How long a closing connection may take to flush, in virtual milliseconds.
const LINGER_MS: u64 = 1000;

/// A connection at its home, or on the way there.
#[derive(Debug)]
pub struct Conn {
    /// Its name on the network.
    pub link: LinkId,
    /// The shard that was told Hello.
    pub shard: Option<usize>,
    /// That shard holds it for the user's home.
    pub is_held: bool,
    /// What the shard will be told, in order.
    pub inputs: VecDeque<Input>,
    /// The core wants no more frames.
    pub paused: bool,
    /// When it said so first, or had a frame since.
    pub paused_at: u64,
    /// What the connection was promised.
    pub watch: Option<Watch>,
    reassembly: Reassembly,
    egress: BytesMut,
    told_queued: usize,
    /// Flush until then, then end.
    closing: Option<u64>,
    /// No more bytes in either direction.
    ended: bool,
    /// `Input::Hello` was stepped.
    pub known: bool,
    /// `Input::Closed` was queued.
    closed: bool,
    /// `Input::Closed` was stepped.
    pub stepped_closed: bool,
}

impl Conn {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(link: LinkId) -> Self {
        Self {
            link,
            shard: None,
            is_held: false,
            inputs: VecDeque::new(),
            paused: false,
            paused_at: 0,
            watch: None,
            reassembly: Reassembly::default(),
            egress: BytesMut::new(),
            told_queued: 0,
            closing: None,
            ended: false,
            known: false,
            closed: false,
            stepped_closed: false,
        }
    }

    /// Whether the shard was told that it is gone.
    #[must_use]
    pub fn told_closed(&self) -> bool {
        self.stepped_closed
    }

    /// Whether both ends may still speak, as far as the server knows.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.closing.is_none() && !self.ended
    }

    /// Whether nobody needs it any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.ended && self.inputs.is_empty() && (self.stepped_closed || self.shard.is_none())
    }

    /// Whether nothing waits in it.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.inputs.is_empty() && self.egress.is_empty() && self.closing.is_none() && !self.ended
    }

    /// The next fact for the shard.
    pub fn next_input(&mut self, oracle: &Oracle) -> Option<Input> {
        let input = self.inputs.pop_front()?;
        match (&input, &mut self.watch) {
            (Input::Frame { frame, .. }, Some(watch)) => watch.asks(oracle, frame),
            (Input::Hello { .. }, _) => self.known = true,
            _ => {}
        }
        Some(input)
    }

    /// Reads what has arrived.
    pub fn read(&mut self, id: ConnId, scene: &mut Scene<'_>, placement: Placement) {
        let Some(link) = scene.network.get(self.link) else {
            self.end(id);
            return;
        };
        if self.ended || self.closing.is_some() {
            return;
        }
        // A paused connection is not read, but its reset is noticed.
        if !self.paused {
            let bytes = link.up.take(scene.now, scene.plan.pipe_bytes);
            self.reassembly.feed(&bytes);
        }
        let over = link.up.is_over(scene.now) || (self.paused && link.up.is_ended(scene.now));
        loop {
            match self.reassembly.frame() {
                Ok(Some(frame)) => self.take_frame(id, frame, scene, placement),
                Ok(None) => break,
                Err(_) => {
                    self.close(CloseCode::Protocol, scene);
                    return;
                }
            }
        }
        if over {
            self.end(id);
        }
    }

    fn take_frame(&mut self, id: ConnId, frame: Frame, scene: &mut Scene<'_>, placement: Placement) {
        let hello = self.watch.is_none();
        match frame.kind() {
            Kind::HELLO if hello => {
                let Ok(body) = ingest::<session::Hello>(&frame) else {
                    return self.close(CloseCode::Unauthenticated, scene);
                };
                let Some(Token { user, device, expires_ms, issued_ms }) = read_token(&body.token) else {
                    return self.close(CloseCode::Unauthenticated, scene);
                };
                let cursor = Cursor {
                    generation: Generation(body.generation.to_native()),
                    at: InboxSeq(body.cursor.to_native()),
                };
                let shard = landing(id, placement, user);
                self.is_held = shard != usize::from(placement.user_home(user).0);
                self.shard = Some(shard);
                let may_be_welcome = scene.oracle.may_be_welcome(user, device, issued_ms);
                self.watch = Some(Watch::new(user, device, cursor, may_be_welcome));
                let id_of_hello = frame.header().id;
                let hello = Hello { user, device, cursor, id: id_of_hello, expires_ms, issued_ms };
                self.inputs.push_back(Input::Hello { conn: id, hello });
            }
            Kind::REAUTH if !hello => {
                let body = ingest::<session::Reauth>(&frame).ok();
                if let Some(token) = body.and_then(|body| read_token(&body.token)) {
                    let Token { user, device, expires_ms, issued_ms } = token;
                    let id_of_reauth = frame.header().id;
                    if let Some(watch) = &mut self.watch
                        && !scene.oracle.may_be_welcome(user, device, issued_ms)
                    {
                        watch.expect_refused_reauth(id_of_reauth);
                    }
                    let reauth = Reauth { id: id_of_reauth, expires_ms, issued_ms };
                    self.inputs.push_back(Input::Reauth { conn: id, reauth });
                }
            }
            Kind::HELLO | Kind::REAUTH => self.close(CloseCode::Protocol, scene),
            _ if hello || frame.header().is_stamped() => self.close(CloseCode::Protocol, scene),
            _ => self.inputs.push_back(Input::Frame { conn: id, frame }),
        }
    }

    /// The core hands over frames.
    ///
    /// # Errors
    /// A claim that is not true, or bytes beyond the bound.
    pub fn transmit(&mut self, id: ConnId, bytes: Bytes, scene: &mut Scene<'_>) -> Check {
        let Some(watch) = &mut self.watch else { broken!("{id:?} never said Hello") };
        let all = frames(bytes.clone()).map_err(|fault| format!("{id:?}: not whole frames: {fault:?}"))?;
        for frame in &all {
            scene.trace.say(scene.now, || format!("  {} for {id:?}", crate::words::frame(frame)));
            watch.shown(scene.oracle, frame).map_err(|words| format!("{id:?}: {words}"))?;
        }
        if self.closing.is_none() && !self.ended {
            self.egress.extend_from_slice(&bytes);
        }
        Ok(())
    }

    /// The core ends the connection, or the driver does.
    pub fn close(&mut self, code: CloseCode, scene: &mut Scene<'_>) {
        scene.trace.say(scene.now, || format!("  close {:?} {}", self.link, code.word()));
        if self.closing.is_none() {
            self.closing = Some(scene.now + LINGER_MS);
        }
    }

    /// Writes what waits, as far as there is space.
    ///
    /// # Errors
    /// More waits than the bound allows.
    pub fn flush(&mut self, id: ConnId, scene: &mut Scene<'_>) -> Check {
        if self.ended {
            return Ok(());
        }
        let Some(link) = scene.network.get(self.link) else { return Ok(()) };
        let bytes = self.egress.split_to(self.egress.len().min(link.down.room())).freeze();
        let wrote = !bytes.is_empty();
        link.down.push(scene.rng, scene.now, scene.plan.latency_max_ms, bytes);
        if let Some(until) = self.closing {
            if self.egress.is_empty() || until <= scene.now {
                link.down.finish(scene.now);
                self.end(id);
            }
            return Ok(());
        }
        let queued = self.egress.len();
        if queued > scene.plan.limits.egress_bytes + EGRESS_SLACK {
            broken!("{id:?}: {queued} bytes wait, at most {} are allowed", scene.plan.limits.egress_bytes);
        }
        let changed = queued != self.told_queued || (queued > 0 && wrote);
        if changed && self.watch.is_some() && !self.closed {
            self.told_queued = queued;
            self.inputs.push_back(Input::Egress { conn: id, queued });
        }
        Ok(())
    }

    fn end(&mut self, id: ConnId) {
        self.ended = true;
        if self.watch.is_some() && !self.closed {
            self.closed = true;
            self.inputs.push_back(Input::Closed { conn: id });
        }
    }
}

/// A token of the simulated control plane: what it says is believed.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// Who.
    pub user: UserId,
    /// Which of the user's devices.
    pub device: DeviceId,
    /// When it ends.
    pub expires_ms: u64,
    /// When it was issued.
    pub issued_ms: u64,
}

impl Token {
    /// The text that a device shows.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { user, device, expires_ms, issued_ms } = self;
        format!("{user}.{device}.{expires_ms}.{issued_ms}")
    }
}

fn read_token(token: &str) -> Option<Token> {
    let mut parts = token.split('.').map(str::parse::<u64>);
    let mut next = || parts.next()?.ok();
    Some(Token { user: UserId(next()?), device: DeviceId(next()?), expires_ms: next()?, issued_ms: next()? })
}

/// The shard that has the connection: mostly its user's home, where it was handed over; now and then another one, which
/// holds it for the home. Follows from the number, so that it costs the plan no draw.
fn landing(id: ConnId, placement: Placement, user: UserId) -> usize {
    let (home, shards) = (usize::from(placement.user_home(user).0), usize::from(placement.shards()));
    let draw = mix64(id.0 ^ user.0);
    if draw.is_multiple_of(3) { (draw >> 8) as usize % shards } else { home }
}
