//! Steps in words, short enough that a failed seed can be read.

use protocol::Frame;
use protocol::body::message::channel_of;
use protocol::body::read;
use protocol::body::session::Reject;
use protocol::body::sync::{Complete, SendAck};
use protocol::commit::Row;
use protocol::hop::{Hop, Span};
use protocol::kind::Kind;
use protocol::query::Answer;
use shard::{Effect, Input};

/// A frame's kind, id and what it is about.
#[must_use]
pub fn frame(frame: &Frame) -> String {
    let kind = Kind::ALL.iter().find(|(kind, _)| *kind == frame.kind()).map_or("UNKNOWN", |(_, name)| name);
    let id = frame.header().id;
    if let Some(stamp) = frame.read_stamp() {
        let channel = channel_of(frame);
        return format!("{kind} {channel:?} {} from {} id {id:x}", stamp.seq, stamp.sender);
    }
    match frame.kind() {
        Kind::SEND_ACK => format!("{kind} id {id:x} {:?}", read::<SendAck>(frame)),
        Kind::COMPLETE => format!("{kind} {:?}", read::<Complete>(frame)),
        Kind::REJECT => format!("{kind} id {id:x} {:?}", read::<Reject>(frame)),
        _ => format!("{kind} id {id:x} {:?}", channel_of(frame)),
    }
}

/// What a shard is told.
#[must_use]
pub fn input(input: &Input) -> String {
    match input {
        Input::Guest { guest, hello, frame } => {
            format!("{guest:?} of {} device {}: {}", hello.user, hello.device, self::frame(frame))
        }
        Input::Frame { conn, frame } => format!("{conn:?} {}", self::frame(frame)),
        Input::Hop { from, hop } => format!("from {from}: {}", self::hop(hop)),
        Input::Read { ticket, answer: Ok(Answer::Inbox { frames, through }) } => {
            format!("Read {ticket:?} inbox through {through}, {} frames", frames.len())
        }
        Input::Read { ticket, answer: Ok(Answer::Replay { deliveries, through }) } => {
            format!("Read {ticket:?} replay through {through}, {} deliveries", deliveries.len())
        }
        Input::Read { ticket, answer: Ok(Answer::History(frames)) } => {
            format!("Read {ticket:?} history, {} frames", frames.len())
        }
        Input::Read { ticket, answer: Ok(Answer::Window(sent)) } => {
            format!("Read {ticket:?} window of {}", sent.len())
        }
        other => format!("{other:?}"),
    }
}

/// What a shard asks for.
#[must_use]
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Transmit { conn, frames } => format!("Transmit {conn:?} {} bytes", frames.len()),
        Effect::Answered { guest, frames } => format!("Answered {guest:?} {} bytes", frames.len()),
        Effect::Append(batch) => {
            let rows = batch.parts.iter().flat_map(|part| &part.rows);
            let rows: Vec<String> = rows.map(row).collect();
            format!("Append batch {}: {}", batch.number, rows.join("; "))
        }
        other => format!("{other:?}"),
    }
}

/// A change of a store.
fn row(row: &Row) -> String {
    match row {
        Row::Message { channel, seq, .. } => format!("Message {channel:?} {seq}"),
        other => format!("{other:?}"),
    }
}

/// What one shard tells another.
#[must_use]
pub fn hop(hop: &Hop) -> String {
    match hop {
        Hop::Submit { origin, frame, .. } => format!("Submit {origin:?} {}", self::frame(frame)),
        Hop::Answer { origin, frames, .. } => format!("Answer {origin:?} {} bytes", frames.len()),
        Hop::Deliver { spans } => format!("Deliver {:?}", spans.iter().map(span).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

fn span(span: &Span) -> String {
    let Span { source, after, through, deliveries, origins } = span;
    let what = deliveries.iter().map(|d| format!("{:?} {} to {:?}", d.channel, d.seq, d.recipients));
    let what: Vec<String> = what.collect();
    format!("{source} {after}..{through} {what:?} origins {}", origins.len())
}
