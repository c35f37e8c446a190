//! Deliberate faults of the edge, in `server/edge/src`, which the tests of that crate must find.

use super::Mutant;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "frames that are not masked are taken",
        file: "connection.rs",
        from: "decoder: Decoder::new(Role::Server, WS_MESSAGE_BYTES_MAX),",
        to: "decoder: Decoder::new(Role::Client, WS_MESSAGE_BYTES_MAX),",
    },
    Mutant {
        name: "bytes before Hello have no bound",
        file: "connection.rs",
        from: "let room = UNAUTHENTICATED_BYTES_MAX - usize::from(self.state.received);",
        to: "let room = UNAUTHENTICATED_BYTES_MAX;",
    },
    Mutant {
        name: "a frame above the limit is closed with the wrong code",
        file: "inbound.rs",
        from: "Self::Framing(FramingFault::TooLarge) | Self::TooMany => CloseCode::TooBig,",
        to: "Self::Framing(FramingFault::TooLarge) | Self::TooMany => CloseCode::Protocol,",
    },
    Mutant {
        name: "a message may have any number of frames",
        file: "inbound.rs",
        from: "if taken >= WS_MESSAGE_FRAMES_MAX {",
        to: "if taken > WS_MESSAGE_FRAMES_MAX {",
    },
    Mutant {
        name: "what stands behind Hello in its message is lost at a handover",
        file: "inbound.rs",
        from: "postponed.frames.extend_from_slice(message);",
        to: "postponed.frames.clear();",
    },
    Mutant {
        name: "a token of another device of the user passes as Reauth",
        file: "inbound.rs",
        from: "if (claims.user, claims.device) != (self.user, self.device) {",
        to: "if claims.user != self.user {",
    },
    Mutant {
        name: "pings are not counted",
        file: "connection.rs",
        from: "                    state.count_controls(moment, 1);\n",
        to: "",
    },
    Mutant {
        name: "empty fragments are not counted",
        file: "connection.rs",
        from: "state.count_controls(moment, decoder.take_empty_fragments());",
        to: "",
    },
    Mutant {
        name: "pings are counted for ever and not by the second",
        file: "inbound.rs",
        from: "(self.controls_s, self.controls) = (second, 0);",
        to: "self.controls_s = second;",
    },
    Mutant {
        name: "the last entry of a message is never written",
        file: "egress.rs",
        from: "for entry in this.waiting().take(this.entries as usize) {",
        to: "for entry in this.waiting().take((this.entries as usize).saturating_sub(1).max(1)) {",
    },
    Mutant {
        name: "an address that may be made up is sent what we like",
        file: "quic/peer.rs",
        from: "went + usize::from(self.proto.current_mtu()) <= 3 * came)",
        to: "went + usize::from(self.proto.current_mtu()) <= 30 * came)",
    },
    Mutant {
        name: "frames over QUIC that come in part have no bound together",
        file: "quic/peer.rs",
        from: "if has_half && !context.halves.may_read(self.key) {",
        to: "if false {",
    },
    Mutant {
        name: "whoever stands still in the middle of a frame keeps its memory",
        file: "halves.rs",
        from: "holder.since_ms + HALF_STALLED_MS <= now_ms",
        to: "holder.since_ms + HALF_STALLED_MS <= 0",
    },
    Mutant {
        name: "a frame over QUIC that comes in part is lost",
        file: "quic/peer.rs",
        from: "self.partial.extend_from_slice(bytes.get(taken..).unwrap_or_default());",
        to: "",
    },
    Mutant {
        name: "a number of a connection is used again",
        file: "table.rs",
        from: "place.generation = next;",
        to: "place.generation = next & 1;",
    },
    Mutant {
        name: "the process may end before the close codes have left",
        file: "quic/endpoint.rs",
        from: "self.closing > 0 || !self.dirty.is_empty()",
        to: "!self.dirty.is_empty()",
    },
    Mutant {
        name: "the youngest without Hello goes first",
        file: "quic/endpoint.rs",
        from: "        self.greeting.push_back(key);\n        Some(key)",
        to: "        self.greeting.push_front(key);\n        Some(key)",
    },
    Mutant {
        name: "a 426 does not say what to upgrade to",
        file: "http.rs",
        from: "\"Upgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\n\",",
        to: "\"Sec-WebSocket-Version: 13\\r\\n\",",
    },
];
