//! What a driver holds of a TCP connection: the connection itself, plain or with TLS below it.
//!
//! # Calling contract
//!
//! That of [`Connection`], with three additions:
//! 1. [`Carrier::on_bytes`] and [`Carrier::advance`] borrow a [`Scratch`], one a thread.
//! 2. [`Carrier::seal`] comes before each [`Carrier::poll_transmit`]. It makes records of what waits, as much as one write takes;
//!    of a plain connection it is nothing, and what is offered for writing are the shared frames themselves.
//! 3. What [`Carrier::on_bytes`] tells of TLS is for counters: a fault has ended the connection already.

use core::net::IpAddr;
use core::ops::Deref;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use protocol::CloseCode;
use rustls::ServerConfig;

use crate::connection::Connection;
use crate::tls::{Scratch, Tls, TlsFault};
use crate::{Event, Flow, Moment};

/// What happened to TLS in one call.
#[derive(Clone, PartialEq, Debug)]
pub enum TlsNews {
    /// The handshake is over.
    Open,
    /// Nothing more can be said or heard. An alert, or words for whoever does not speak TLS, wait to be written.
    Fault(TlsFault),
}

/// A connection over TCP, plain or with TLS. What can be asked of the [`Connection`] can be asked of this.
#[derive(Debug)]
pub struct Carrier {
    connection: Connection,
    /// `None`: plain.
    tls: Option<Box<Tls>>,
}

impl Deref for Carrier {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Carrier {
    /// A connection that was just accepted, with TLS if there is a configuration. It has until `deadline_ms` to say Hello.
    #[must_use]
    pub fn new(deadline_ms: u64, tls: Option<&Arc<ServerConfig>>) -> Self {
        let tls = tls.map(|config| Box::new(Tls::new(config.clone())));
        Self { connection: Connection::new(deadline_ms), tls }
    }

    /// The same from a proxy that has to say first, in clear text, who really connects: see [`Connection::take_source`].
    #[must_use]
    pub fn behind_proxy(deadline_ms: u64, tls: Option<&Arc<ServerConfig>>) -> Self {
        Self { connection: Connection::behind_proxy(deadline_ms), ..Self::new(deadline_ms, tls) }
    }

    /// As [`Connection::take_source`].
    pub fn take_source(&mut self) -> Option<IpAddr> {
        self.connection.take_source()
    }

    /// Takes what was read. The bytes are changed in place.
    pub fn on_bytes(
        &mut self,
        moment: &Moment<'_>,
        input: &mut [u8],
        scratch: &mut Scratch,
        sink: &mut impl FnMut(Event) -> Flow,
    ) -> Option<TlsNews> {
        let Self { connection, tls } = self;
        let Some(tls) = tls else {
            connection.on_bytes(moment, input, sink);
            return None;
        };
        let announced = connection.take_preamble(input);
        let input = input.get_mut(announced..).unwrap_or_default();
        if input.is_empty() {
            return None;
        }
        let was_open = tls.is_open();
        scratch.text.clear();
        let outcome = tls.take(input, &mut scratch.text);
        if !scratch.text.is_empty() {
            connection.on_bytes(moment, &mut scratch.text, sink);
        }
        let is_open = tls.is_open();
        self.on_farewell();
        match outcome {
            Err(fault) => {
                self.connection.on_fault(moment);
                Some(TlsNews::Fault(fault))
            }
            Ok(()) => (is_open && !was_open).then_some(TlsNews::Open),
        }
    }

    /// Goes on with what was kept, and takes input again.
    pub fn resume(&mut self, moment: &Moment<'_>, sink: &mut impl FnMut(Event) -> Flow) {
        self.connection.resume(moment, sink);
        self.on_farewell();
    }

    /// The end that the peer said within TLS comes behind everything before it, as the end of a plain connection does.
    fn on_farewell(&mut self) {
        if self.tls.as_ref().is_some_and(|tls| tls.has_ended()) && !self.connection.is_held() {
            self.connection.on_end();
        }
    }

    /// The peer will send no more. A farewell that waits to be written is still written.
    pub fn on_end(&mut self) {
        self.connection.on_end();
    }

    /// The socket is broken: nothing comes and nothing goes.
    pub fn on_broken(&mut self) {
        self.connection.on_broken();
    }

    /// The time of [`Connection::next_deadline`] has come.
    pub fn on_deadline(&mut self, moment: &Moment<'_>) {
        self.connection.on_deadline(moment);
    }

    /// Queues 1..n whole frames, shared with every other receiver.
    pub fn transmit(&mut self, frames: Bytes) {
        self.connection.transmit(frames);
    }

    /// Ends the connection once what is queued is written.
    pub fn close(&mut self, moment: &Moment<'_>, code: CloseCode) {
        self.connection.close(moment, code);
    }

    /// Bytes of memory that a message or a record which came in part holds.
    #[must_use]
    pub fn half_bytes(&self) -> usize {
        self.connection.half_bytes() + self.tls.as_ref().map_or(0, |tls| tls.partial_bytes())
    }

    /// Ends a connection that stands still in the middle of a message or a record: what came of it is forgotten, and nothing more
    /// is read.
    pub fn give_up(&mut self, moment: &Moment<'_>) {
        self.connection.give_up(moment);
        if let Some(tls) = &mut self.tls {
            tls.give_up();
        }
    }

    /// Makes records of what waits, unless older ones wait still.
    pub fn seal(&mut self, scratch: &mut Scratch) {
        if let Some(tls) = &mut self.tls
            && tls.seal(&mut self.connection, scratch).is_err()
        {
            // The keys are used up, which takes more messages than a connection lives for.
            self.connection.on_broken();
        }
    }

    /// The pieces of the next vectored write, in order; 0 when there is nothing to write.
    pub fn poll_transmit<'a>(&'a mut self, out: &mut [IoSlice<'a>]) -> usize {
        let Some(tls) = &self.tls else { return self.connection.poll_transmit(out) };
        match (tls.sealed(), out.first_mut()) {
            ([], _) | (_, None) => 0,
            (sealed, Some(slot)) => {
                *slot = IoSlice::new(sealed);
                1
            }
        }
    }

    /// Whether [`crate::SLICES_FEW`] pieces are enough for the next vectored write.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.tls.is_some() || self.connection.is_short()
    }

    /// The kernel took so many bytes of the last [`Self::poll_transmit`].
    pub fn advance(&mut self, written: usize, scratch: &mut Scratch) {
        match &mut self.tls {
            Some(tls) => tls.advance(written, scratch),
            None => self.connection.advance(written),
        }
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.connection.queued_bytes() + self.tls.as_ref().map_or(0, |tls| tls.sealed_bytes())
    }

    /// Whether [`Self::poll_transmit`] has something after [`Self::seal`].
    #[must_use]
    pub fn has_output(&self) -> bool {
        match &self.tls {
            None => self.connection.has_output(),
            Some(tls) => {
                !self.connection.is_ended() && (tls.sealed_bytes() > 0 || tls.has_more(&self.connection))
            }
        }
    }

    /// Whether the last byte is written: the driver shuts its sending side and drops what still comes.
    #[must_use]
    pub fn is_written_out(&self) -> bool {
        self.connection.is_leaving() && !self.has_output()
    }

    /// Whether the socket can be closed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.connection.is_ended() || (self.connection.has_peer_closed() && self.is_written_out())
    }

    /// What is below it.
    #[cfg(test)]
    pub(crate) fn tls_below(&self) -> &Tls {
        self.tls.as_deref().expect("TLS")
    }
}
