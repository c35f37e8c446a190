//! The WebSocket decoder: the RFC's examples, every breach, and that where the bytes are cut changes nothing.

use proptest::prelude::*;
use protocol::CloseCode;
use protocol::ws::{ControlFrame, Decoder, Event, Opcode, Role, WsFault, encode_header, mask};

/// An event that outlives its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

fn seen(event: Event<'_>) -> Seen {
    match event {
        Event::Message(bytes) => Seen::Message(bytes.to_vec()),
        Event::Ping(bytes) => Seen::Ping(bytes.to_vec()),
        Event::Pong(bytes) => Seen::Pong(bytes.to_vec()),
        Event::Close { code, reason } => Seen::Close(code, reason.to_owned()),
    }
}

/// Pushes the bytes in pieces; `patience` is how many events the sink takes before it stops a call.
fn decode(
    role: Role,
    max: usize,
    bytes: &[u8],
    cuts: &[usize],
    patience: usize,
) -> (Vec<Seen>, Result<(), WsFault>) {
    let mut decoder = Decoder::new(role, max);
    let mut events = Vec::new();
    let mut kept = Vec::new();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut from = 0;
    for end in ends {
        kept.extend_from_slice(&bytes[from..end]);
        from = end;
        loop {
            let before = kept.clone();
            let told = events.len();
            let mut sink = |event: Event<'_>| {
                events.push(seen(event));
                events.len() - told < patience
            };
            let taken = match decoder.push(&mut kept, &mut sink) {
                Ok(taken) => taken,
                Err(fault) => {
                    assert_eq!(decoder.held_bytes(), 0, "a faulty decoder holds memory");
                    assert_eq!(decoder.push(&mut [0; 4], &mut |_| true), Err(fault));
                    return (events, Err(fault));
                }
            };
            assert_eq!(kept[taken..], before[taken..], "bytes that were not taken are untouched");
            kept.drain(..taken);
            if events.len() == told {
                break;
            }
        }
        assert!(kept.is_empty() || events.len() >= patience, "the decoder left bytes without an event");
    }
    if decoder.is_idle() {
        assert_eq!(decoder.held_bytes(), 0, "an idle decoder holds memory");
    }
    (events, Ok(()))
}

fn whole(role: Role, bytes: &[u8]) -> (Vec<Seen>, Result<(), WsFault>) {
    decode(role, 1 << 20, bytes, &[], usize::MAX)
}

fn fault(role: Role, bytes: &[u8]) -> WsFault {
    let at_once = whole(role, bytes);
    let every: Vec<usize> = (0..bytes.len()).collect();
    let byte_by_byte = decode(role, 1 << 20, bytes, &every, usize::MAX);
    assert_eq!(at_once, byte_by_byte);
    at_once.1.expect_err("the bytes must be refused")
}

#[test]
fn examples_of_section_5_7() {
    // The text examples become binary: opcode 2 instead of 1.
    assert_eq!(
        whole(Role::Client, &[0x82, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]),
        (vec![Seen::Message(b"Hello".to_vec())], Ok(()))
    );
    assert_eq!(
        whole(Role::Server, &[0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]),
        (vec![Seen::Message(b"Hello".to_vec())], Ok(()))
    );
    assert_eq!(
        whole(Role::Client, &[0x02, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]),
        (vec![Seen::Message(b"Hello".to_vec())], Ok(()))
    );
    assert_eq!(
        whole(Role::Client, &[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]),
        (vec![Seen::Ping(b"Hello".to_vec())], Ok(()))
    );
    assert_eq!(
        whole(Role::Server, &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]),
        (vec![Seen::Pong(b"Hello".to_vec())], Ok(()))
    );
    let mut long = vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
    long.resize(10 + 65536, 7);
    assert_eq!(whole(Role::Client, &long), (vec![Seen::Message(vec![7; 65536])], Ok(())));
}

#[test]
fn control_frames_come_between_the_parts_of_a_message() {
    let bytes = [0x02, 1, b'a', 0x89, 1, b'p', 0x00, 0, 0x8a, 0, 0x80, 1, b'b'];
    let expected = vec![Seen::Ping(b"p".to_vec()), Seen::Pong(vec![]), Seen::Message(b"ab".to_vec())];
    assert_eq!(whole(Role::Client, &bytes), (expected, Ok(())));
}

#[test]
fn every_breach_is_refused_with_its_code() {
    use WsFault::{
        BadCloseCode, BadCloseReason, FragmentedControl, Interleaved, Length, LongControl, Masking,
        NothingToContinue, ReservedBits, ReservedOpcode, Text, TooBig,
    };
    let cases: &[(Role, &[u8], WsFault, CloseCode)] = &[
        (Role::Client, &[0x81, 0x01, b'a'], Text, CloseCode::NotBinary),
        (Role::Client, &[0x01, 0x01, b'a'], Text, CloseCode::NotBinary),
        (Role::Client, &[0xc2, 0x00], ReservedBits, CloseCode::Protocol),
        (Role::Client, &[0xa2, 0x00], ReservedBits, CloseCode::Protocol),
        (Role::Client, &[0x92, 0x00], ReservedBits, CloseCode::Protocol),
        (Role::Client, &[0x83, 0x00], ReservedOpcode, CloseCode::Protocol),
        (Role::Client, &[0x87, 0x00], ReservedOpcode, CloseCode::Protocol),
        (Role::Client, &[0x8b, 0x00], ReservedOpcode, CloseCode::Protocol),
        (Role::Client, &[0x8f, 0x00], ReservedOpcode, CloseCode::Protocol),
        (Role::Client, &[0x82, 0x80, 1, 2, 3, 4], Masking, CloseCode::Protocol),
        (Role::Server, &[0x82, 0x00], Masking, CloseCode::Protocol),
        (Role::Server, &[0x89, 0x00], Masking, CloseCode::Protocol),
        (Role::Client, &[0x09, 0x00], FragmentedControl, CloseCode::Protocol),
        (Role::Client, &[0x89, 126, 0, 126], LongControl, CloseCode::Protocol),
        (Role::Client, &[0x88, 127, 0, 0, 0, 0, 0, 0, 0, 1], LongControl, CloseCode::Protocol),
        (Role::Client, &[0x82, 126, 0, 125], Length, CloseCode::Protocol),
        (Role::Client, &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Length, CloseCode::Protocol),
        (Role::Client, &[0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0], Length, CloseCode::Protocol),
        (Role::Client, &[0x80, 0x00], NothingToContinue, CloseCode::Protocol),
        (Role::Client, &[0x02, 0x00, 0x82, 0x00], Interleaved, CloseCode::Protocol),
        (Role::Client, &[0x02, 0x00, 0x80, 0x00, 0x80, 0x00], NothingToContinue, CloseCode::Protocol),
        (Role::Client, &[0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1], TooBig, CloseCode::TooBig),
        (
            Role::Client,
            &[0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            TooBig,
            CloseCode::TooBig,
        ),
        (Role::Client, &[0x88, 1, 3], BadCloseCode, CloseCode::Protocol),
        (Role::Client, &[0x88, 2, 0x03, 0xed], BadCloseCode, CloseCode::Protocol),
        (Role::Client, &[0x88, 3, 0x03, 0xe8, 0xff], BadCloseReason, CloseCode::NotUtf8),
    ];
    for (role, bytes, expected, code) in cases {
        assert_eq!(fault(*role, bytes), *expected, "{bytes:02x?}");
        assert_eq!(expected.close_code(), *code);
    }
}

#[test]
fn close_codes_that_must_not_be_sent_are_refused() {
    for code in 0..=u16::MAX {
        let [high, low] = code.to_be_bytes();
        let (events, outcome) = whole(Role::Client, &[0x88, 2, high, low]);
        let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert_eq!(outcome.is_ok(), allowed, "{code}");
        assert_eq!(events.len(), usize::from(allowed));
    }
}

#[test]
fn after_a_close_nothing_is_told() {
    let bytes = [0x88, 5, 0x0f, 0xa1, b'b', b'y', b'e', 0x89, 0, 0xff, 0xff];
    assert_eq!(whole(Role::Client, &bytes), (vec![Seen::Close(Some(4001), "bye".to_owned())], Ok(())));
    assert_eq!(whole(Role::Client, &[0x88, 0]), (vec![Seen::Close(None, String::new())], Ok(())));
}

#[test]
fn a_message_at_the_limit_passes_and_one_byte_more_does_not() {
    let part = |first: u8, len: u8| [vec![first, len], vec![0; usize::from(len)]].concat();
    let at = |parts: &[Vec<u8>]| decode(Role::Client, 100, &parts.concat(), &[], usize::MAX).1;
    assert_eq!(at(&[part(0x82, 100)]), Ok(()));
    assert_eq!(at(&[part(0x82, 101)]), Err(WsFault::TooBig));
    assert_eq!(at(&[part(0x02, 60), part(0x89, 50), part(0x80, 40)]), Ok(()), "control frames do not count");
    assert_eq!(at(&[part(0x02, 60), part(0x00, 40), part(0x80, 1)]), Err(WsFault::TooBig));
}

#[test]
fn a_declared_length_costs_no_memory() {
    let mut decoder = Decoder::new(Role::Client, 1 << 20);
    let mut bytes = vec![0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0];
    bytes.extend_from_slice(&[1; 100]);
    assert_eq!(decoder.push(&mut bytes, &mut |_| true), Ok(110));
    assert!(!decoder.is_idle());
    assert!(decoder.held_bytes() <= 200, "{} bytes held for 100 received", decoder.held_bytes());
    let mut last = 100;
    while !decoder.is_idle() {
        let mut more = vec![1; 5000.min((1 << 20) - last)];
        last += decoder.push(&mut more, &mut |_| true).unwrap();
        assert!(decoder.held_bytes() <= (2 * last).min(1 << 20));
    }
    assert_eq!(decoder.held_bytes(), 0);
}

#[test]
fn a_whole_message_is_borrowed_from_the_input() {
    let mut decoder = Decoder::new(Role::Server, 1 << 20);
    let (header, len) = encode_header(Opcode::Binary, 3, Some([9; 4]));
    let mut bytes = header[..len].to_vec();
    bytes.extend_from_slice(b"abc");
    mask(&mut bytes[len..], [9; 4], 0);
    let range = bytes.as_ptr_range();
    let mut inside = false;
    decoder
        .push(&mut bytes, &mut |event| {
            inside = matches!(event, Event::Message(b"abc"));
            let Event::Message(message) = event else { return true };
            inside &= range.contains(&message.as_ptr());
            true
        })
        .unwrap();
    assert!(inside);
}

/// One message in parts, or one control frame.
#[derive(Clone, Debug)]
enum Sent {
    Parts(Vec<Vec<u8>>, Option<Vec<u8>>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let bytes = |max| proptest::collection::vec(any::<u8>(), 0..max);
    let len = prop_oneof![8 => 0..200_usize, 1 => 65_530..65_540_usize];
    let part = len.prop_flat_map(|len| (Just(len), any::<u8>()).prop_map(|(len, byte)| vec![byte; len]));
    let parts = proptest::collection::vec(part, 1..4);
    prop_oneof![
        3 => (parts, proptest::option::of(bytes(126))).prop_map(|(parts, ping)| Sent::Parts(parts, ping)),
        1 => bytes(126).prop_map(Sent::Ping),
        1 => bytes(126).prop_map(Sent::Pong),
    ]
}

fn write(sent: &[Sent], key: Option<[u8; 4]>) -> (Vec<u8>, Vec<Seen>) {
    let mut bytes = Vec::new();
    let mut events = Vec::new();
    for item in sent {
        match item {
            Sent::Ping(payload) => {
                bytes.extend_from_slice(ControlFrame::ping(payload, key).as_bytes());
                events.push(Seen::Ping(payload.clone()));
            }
            Sent::Pong(payload) => {
                bytes.extend_from_slice(ControlFrame::pong(payload, key).as_bytes());
                events.push(Seen::Pong(payload.clone()));
            }
            Sent::Parts(parts, ping) => {
                for (index, part) in parts.iter().enumerate() {
                    let opcode = if index == 0 { Opcode::Binary } else { Opcode::Continuation };
                    let (mut header, len) = encode_header(opcode, part.len(), key);
                    if index + 1 < parts.len() {
                        header[0] &= 0x7f;
                    }
                    bytes.extend_from_slice(&header[..len]);
                    let start = bytes.len();
                    bytes.extend_from_slice(part);
                    mask(&mut bytes[start..], key.unwrap_or_default(), 0);
                    if let (Some(payload), true) = (ping, index + 1 < parts.len()) {
                        bytes.extend_from_slice(ControlFrame::ping(payload, key).as_bytes());
                        events.push(Seen::Ping(payload.clone()));
                    }
                }
                events.push(Seen::Message(parts.concat()));
            }
        }
    }
    bytes.extend_from_slice(ControlFrame::close(1000, "bye 안녕", key).as_bytes());
    events.push(Seen::Close(Some(1000), "bye 안녕".to_owned()));
    (bytes, events)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_cut_of_any_valid_stream_gives_the_same_events(
        items in proptest::collection::vec(sent(), 0..6),
        key in proptest::option::of(any::<[u8; 4]>()),
        cuts in proptest::collection::vec(any::<usize>(), 0..30),
        patience in prop_oneof![Just(usize::MAX), 1..3_usize],
    ) {
        let (bytes, expected) = write(&items, key);
        let role = if key.is_some() { Role::Server } else { Role::Client };
        let (events, outcome) = decode(role, 1 << 20, &bytes, &cuts, patience);
        prop_assert_eq!(outcome, Ok(()));
        prop_assert!(events == expected, "events differ");
    }

    #[test]
    fn any_cut_of_any_bytes_gives_the_same_events_and_fault(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x82), Just(0x02), Just(0x80), Just(0x89), 0..8_u8], 0..80),
        server in any::<bool>(),
        cuts in proptest::collection::vec(any::<usize>(), 0..10),
    ) {
        let role = if server { Role::Server } else { Role::Client };
        let at_once = decode(role, 64, &bytes, &[], usize::MAX);
        let cut = decode(role, 64, &bytes, &cuts, 1);
        prop_assert_eq!(at_once, cut);
    }
}
