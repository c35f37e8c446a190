//! A fake server commits one fault at a time; the ledger must name it, and only it.

use super::*;
use crate::scenario::Script;
use crate::text::Writer;

const NONCE: u32 = 9;
const BEGAN_NS: u64 = 3;

/// A group of three; devices 0 and 1 send.
struct Run {
    ledger: Ledger,
    channels: Vec<Channel>,
    texts: Vec<String>,
}

fn run() -> Run {
    let channels = vec![
        Channel { id: ChannelId(50), members: vec![0, 1, 2] },
        Channel { id: ChannelId(60), members: vec![0, 1] },
    ];
    let users = [10, 11, 12].map(UserId).to_vec();
    Run { ledger: Ledger::new(NONCE, BEGAN_NS, users, &channels), channels, texts: Vec::new() }
}

impl Run {
    fn send(&mut self, device: u32) -> u64 {
        let number = self.texts.len() as u64;
        let head = Head { nonce: NONCE, number, intended_ns: 5 };
        self.texts.push(Writer::new().write(head, 40, Script::Latin).to_owned());
        self.ledger.sent(number, device, 0, self.texts[number as usize].len());
        number
    }

    fn ack(&mut self, number: u64, seq: u64) {
        self.ledger.acked(&self.channels, number, ChannelId(50), Seq(seq));
    }

    fn tell(&mut self, device: u32, number: u64, seq: u64) {
        let sender = UserId(10 + u64::from(self.ledger.messages[number as usize].device));
        let text = self.texts[number as usize].clone();
        let told = Heard { device, channel: ChannelId(50), seq: Seq(seq), sender, text: &text };
        self.ledger.delivered(&self.channels, told);
    }

    fn tell_text(&mut self, device: u32, channel: u128, sender: u64, seq: u64, text: &str) {
        let told = Heard { device, channel: ChannelId(channel), seq: Seq(seq), sender: UserId(sender), text };
        self.ledger.delivered(&self.channels, told);
    }

    fn faults(self) -> Vec<(&'static str, u64)> {
        let found = self.ledger.finish(&self.channels);
        assert_eq!(found.count() as usize, found.examples.len());
        found.kinds().into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Two messages of device 0 and one of device 1, all as it should be, at seqs 5, 6, 7.
    fn good(&mut self) {
        for (number, sender) in [(0, 0), (1, 1), (2, 0)] {
            assert_eq!(self.send(sender), number);
            self.ack(number, 5 + number);
            for device in 0..3 {
                if device != sender {
                    self.tell(device, number, 5 + number);
                }
            }
        }
        assert!(self.ledger.is_settled());
    }
}

#[test]
fn a_good_run_has_no_faults_whatever_order_acks_come_in() {
    let mut run = run();
    run.good();
    let (a, b) = (run.send(0), run.send(0));
    run.tell(1, a, 8);
    run.tell(2, a, 8);
    assert!(!run.ledger.is_settled());
    run.tell(1, b, 9);
    run.ack(b, 9);
    run.ack(a, 8);
    assert_eq!(run.ledger.missing(), (0, 1));
    run.tell(2, b, 9);
    assert!(run.ledger.is_settled());
    let refused = run.send(1);
    run.ledger.refused(refused);
    assert!(run.ledger.is_settled());
    assert_eq!(run.faults(), []);
}

#[test]
fn own_messages_between_those_of_others_are_no_holes() {
    let mut run = run();
    let (a, b, c) = (run.send(1), run.send(0), run.send(1));
    run.tell(0, a, 1);
    run.tell(0, c, 3);
    run.ack(b, 2);
    for (number, seq) in [(a, 1), (b, 2), (c, 3)] {
        run.tell(2, number, seq);
    }
    run.tell(1, b, 2);
    run.ack(a, 1);
    run.ack(c, 3);
    assert_eq!(run.faults(), []);
}

#[test]
fn a_lost_message_is_named_wherever_it_lies() {
    for skipped in 0..3 {
        let mut run = run();
        for number in 0..3 {
            run.send(0);
            run.ack(number, 1 + number);
            run.tell(1, number, 1 + number);
            if number != skipped {
                run.tell(2, number, 1 + number);
            }
        }
        assert!(!run.ledger.is_settled());
        let found = run.ledger.finish(&run.channels);
        assert_eq!((found.lost, found.count()), (1, 1));
        assert!(found.examples[0].contains(&format!("device 2 was never told (50, {})", 1 + skipped)));
    }
}

#[test]
fn a_message_without_ack_or_anywhere_is_lost() {
    let mut run = run();
    run.send(0);
    assert_eq!(run.faults(), [("lost", 1)]);
}

#[test]
fn doubled_is_told_stored_or_acked_twice() {
    let mut told = run();
    told.good();
    told.tell(1, 2, 7);
    assert_eq!(told.faults(), [("doubled", 1)]);
    let mut stored = run();
    stored.good();
    stored.tell(1, 2, 8);
    assert_eq!(stored.faults()[0].0, "doubled");
    let mut acked = run();
    acked.good();
    acked.ack(2, 7);
    assert_eq!(acked.faults(), [("doubled", 1)]);
    let mut own = run();
    own.good();
    own.tell(0, 2, 7);
    assert_eq!(own.faults(), [("doubled", 1)]);
    let mut clash = run();
    clash.good();
    let number = clash.send(0);
    clash.ack(number, 7);
    assert_eq!(clash.faults()[0].0, "doubled");
}

#[test]
fn reordered_is_told_after_a_later_one() {
    let mut run = run();
    for number in 0..3 {
        run.send(0);
        run.ack(number, 1 + number);
        run.tell(1, number, 1 + number);
    }
    run.tell(2, 0, 1);
    run.tell(2, 2, 3);
    run.tell(2, 1, 2);
    assert!(run.ledger.is_settled());
    assert_eq!(run.faults(), [("reordered", 1)]);
}

#[test]
fn foreign_is_what_a_device_must_not_be_told() {
    let mut words = run();
    words.good();
    words.tell_text(2, 50, 10, 8, "hello");
    assert_eq!(words.faults(), [("foreign", 1)]);

    let mut other_run = run();
    other_run.good();
    let head = Head { nonce: NONCE + 1, number: 0, intended_ns: BEGAN_NS };
    other_run.tell_text(2, 50, 10, 8, Writer::new().write(head, 40, Script::Latin));
    assert_eq!(other_run.faults(), [("foreign", 1)]);

    let mut earlier_run = run();
    earlier_run.good();
    let head = Head { intended_ns: BEGAN_NS - 1, ..head };
    earlier_run.tell_text(2, 50, 10, 8, Writer::new().write(head, 40, Script::Latin));
    assert_eq!(earlier_run.faults(), []);

    for (device, channel, sender) in [(2, 60, 10), (2, 50, 12), (7, 50, 10)] {
        let mut run = run();
        run.good();
        let text = run.texts[0].clone();
        run.tell_text(device, channel, sender, 5, &text);
        assert_eq!(run.faults(), [("foreign", 1)], "{device} {channel} {sender}");
    }

    let mut refused = run();
    let number = refused.send(0);
    refused.ledger.refused(number);
    refused.tell(1, number, 1);
    refused.tell(2, number, 1);
    assert_eq!(refused.faults(), [("foreign", 2)]);
}

#[test]
fn a_changed_text_is_damaged() {
    let mut run = run();
    let number = run.send(0);
    run.ack(number, 1);
    run.tell(1, number, 1);
    let cut = run.texts[0][..30].to_owned();
    run.tell_text(2, 50, 10, 1, &cut);
    assert_eq!(run.faults(), [("damaged", 1)]);
}
