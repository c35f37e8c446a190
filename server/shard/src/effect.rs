//! All that a shard asks for, besides the hops that wait in [`crate::Shard::poll_hop`].

use bytes::Bytes;
use protocol::commit::Batch;
use protocol::query::{Query, ReadFault};
use protocol::{ChannelId, CloseCode, Seq, UserId};

use crate::input::{CommandError, ConnId, GuestId, Ticket};

/// One request. Effects are carried out in order.
#[derive(Debug)]
pub enum Effect {
    /// Queue 1..n whole frames for a connection; flushed once at the end of the turn. Lost with the connection: the
    /// device's cursor says what to send again.
    Transmit {
        /// To which.
        conn: ConnId,
        /// Shared with every other receiver.
        frames: Bytes,
    },
    /// Flush what is queued, send the close code, end the connection, then tell `Input::Closed`.
    Close {
        /// Which.
        conn: ConnId,
        /// Why.
        code: CloseCode,
    },
    /// Read no more from the connection until `Resume`. Frames already read may still come.
    Pause {
        /// Which.
        conn: ConnId,
    },
    /// Read from the connection again.
    Resume {
        /// Which.
        conn: ConnId,
    },
    /// The answer to a guest: one frame, or a page and its messages. It has ended with it. Lost with whoever asked, who asks
    /// again.
    Answered {
        /// Which.
        guest: GuestId,
        /// All of the answer.
        frames: Bytes,
    },
    /// The guest has ended; what was not answered by now is not. It may follow an answer.
    Dismissed {
        /// Which.
        guest: GuestId,
        /// Why.
        code: CloseCode,
    },
    /// Make a batch durable; completed by `Input::Stored`. Batches come with rising numbers.
    Append(Batch),
    /// Answer a query from committed rows; completed by `Input::Read`.
    Read {
        /// For the completion.
        ticket: Ticket,
        /// What.
        query: Query,
    },
    /// The answer to a control command.
    Reply {
        /// The control plane's number.
        ticket: Ticket,
        /// Done, durably; or why not.
        outcome: Result<(), CommandError>,
    },
    /// A user is to be told something of a channel by push: a job is stored, or has changed. Lost with the process, or when
    /// too much waits on the other side: the jobs of every bay are read at the start, and again once that has happened.
    Push {
        /// Who.
        user: UserId,
        /// Of which channel.
        channel: ChannelId,
    },
    /// A message is stored that holds a word of the operator's list, and is not refused for it. Lost with the process, or when
    /// too much waits on the other side: then nobody is told of it.
    Flagged {
        /// In which channel.
        channel: ChannelId,
        /// Which message.
        seq: Seq,
        /// Who sent it.
        sender: UserId,
    },
    /// The process ends, because it cannot keep its promises any more.
    Fault(Fault),
    /// Fan-out is replayed: connections may be accepted. Once per process.
    Ready,
    /// Everything admitted is answered and every connection is closed. Once, after `Input::Drain`.
    Drained,
}

/// Why a process ends by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// What cannot happen has: a fault of ours. Nothing the process holds can be trusted.
    Impossible {
        /// Where, and what did not hold.
        what: &'static str,
    },
    /// A committed row is damaged. A restart meets it again: the operator mends or restores the directory.
    Unreadable(ReadFault),
}
