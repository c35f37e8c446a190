use super::*;

use protocol::ws::{Decoder, Event, Role};
use protocol::{Frame, Kind};

fn frame(body_bytes: usize, id: u64) -> Bytes {
    Frame::build(Kind::MEMBERS, 1, id, &vec![7; body_bytes]).into_bytes()
}

/// Writes everything, at most `most` bytes a call. Returns what was written and the number of calls.
fn write_out(egress: &mut Egress, most: usize) -> (Vec<u8>, usize) {
    let (mut written, mut calls) = (Vec::new(), 0);
    loop {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = egress.slices(&mut slices);
        if count == 0 {
            assert!(egress.is_empty());
            assert_eq!(egress.queued_bytes(), 0);
            assert!(egress.rest.is_none(), "an idle connection owns no memory");
            return (written, calls);
        }
        let mut budget = most;
        for slice in &slices[..count] {
            let take = slice.len().min(budget);
            written.extend_from_slice(&slice[..take]);
            budget -= take;
        }
        egress.advance(most - budget);
        calls += 1;
    }
}

fn messages(mut bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut decoder = Decoder::new(Role::Client, WS_MESSAGE_BYTES_MAX);
    let taken = decoder.push(&mut bytes, &mut |event| {
        match event {
            Event::Message(message) => messages.push(message.to_vec()),
            other => messages.push(format!("{other:?}").into_bytes()),
        }
        true
    });
    assert_eq!(taken, Ok(bytes.len()));
    assert!(decoder.is_idle(), "nothing half written");
    messages
}

#[test]
fn what_is_queued_in_a_turn_is_one_message_and_one_write() {
    let mut egress = Egress::default();
    let frames: Vec<_> = (0..20).map(|id| frame(id as usize * 10, id)).collect();
    frames.iter().for_each(|frame| egress.push(frame.clone()));
    assert_eq!(egress.queued_bytes(), frames.iter().map(Bytes::len).sum::<usize>());
    let (written, calls) = write_out(&mut egress, usize::MAX);
    assert_eq!(calls, 1);
    assert_eq!(messages(written), [frames.concat()]);
}

#[test]
fn nothing_is_copied() {
    let shared = frame(1000, 1);
    let mut egress = Egress::default();
    egress.push(shared.clone());
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    assert_eq!(egress.slices(&mut slices), 2);
    assert_eq!(slices[1].as_ptr(), shared.as_ptr());
}

#[test]
fn a_partial_write_at_every_byte_changes_nothing() {
    let frames: Vec<_> = [0, 5, 200].into_iter().map(|len| frame(len, 9)).collect();
    for first in 1..300 {
        let mut egress = Egress::default();
        egress.push_own(b"HTTP");
        frames.iter().for_each(|frame| egress.push(frame.clone()));
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = egress.slices(&mut slices);
        let all: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
        let first = first.min(all.len());
        egress.advance(first);
        // Pushed between two writes: it must not land inside the half-written message.
        egress.push_own(protocol::ws::ControlFrame::pong(b"x", None).as_bytes());
        egress.push(frames[1].clone());
        let (rest, _) = write_out(&mut egress, 7);
        let mut whole = all[..first].to_vec();
        whole.extend(rest);
        let pong = protocol::ws::ControlFrame::pong(b"x", None).as_bytes().to_vec();
        assert_eq!(&whole[..4], b"HTTP");
        let got: Vec<_> = messages(whole[4..].to_vec());
        let data: Vec<u8> =
            got.iter().filter(|message| !message.starts_with(b"Pong")).flatten().copied().collect();
        assert_eq!(data, [frames.concat(), frames[1].to_vec()].concat());
        assert_eq!(got.iter().filter(|message| message.starts_with(b"Pong")).count(), 1);
        assert!(whole.windows(pong.len()).any(|window| window == pong));
    }
}

#[test]
fn messages_keep_to_the_bounds_of_the_wire() {
    let mut egress = Egress::default();
    let big = frame(400_000, 1);
    let tiny: Vec<u8> = (0..10_000).flat_map(|id| frame(0, id).to_vec()).collect();
    for _ in 0..4 {
        egress.push(big.clone());
    }
    egress.push(Bytes::from(tiny.clone()));
    (0..5000).for_each(|id| egress.push(frame(3, id)));
    let (written, _) = write_out(&mut egress, 10_000);
    let messages = messages(written);
    for message in &messages {
        assert!(message.len() <= WS_MESSAGE_BYTES_MAX);
        let (mut at, mut count) = (0, 0);
        while let Some(header) = Header::read(&message[at..]) {
            at += header.frame_bytes();
            count += 1;
        }
        assert_eq!(at, message.len(), "whole frames only");
        assert!(count <= WS_MESSAGE_FRAMES_MAX);
    }
    let whole = messages.concat();
    assert_eq!(whole.len(), 4 * big.len() + tiny.len() + 5000 * 19);
    assert!(messages.len() <= 9, "{} messages", messages.len());
}

#[test]
fn forgetting_keeps_what_is_half_written() {
    let mut egress = Egress::default();
    egress.push(frame(50, 1));
    egress.push(frame(50, 2));
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    egress.slices(&mut slices);
    egress.advance(70);
    egress.push(frame(50, 3));
    egress.forget_unbegun();
    assert_eq!(egress.queued_bytes(), 2 * 66 + 4 - 70);
    let (rest, _) = write_out(&mut egress, 1000);
    assert_eq!(rest.len(), 2 * 66 + 4 - 70);
    egress.push(frame(50, 4));
    egress.forget_unbegun();
    assert!(egress.is_empty());
}
