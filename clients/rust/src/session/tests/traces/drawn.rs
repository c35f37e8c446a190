//! Pseudo-random traces: whatever a server may do, and some of what it may not.

use protocol::body::message::{
    AddMembers, InviteMembers, JoinGroup, LeaveGroup, RemoveMember, RenameGroup, SetRole,
};
use protocol::body::session::{KindVersion, WelcomeV2};
use protocol::body::sync::{ChannelItem, MemberItem, Members};
use protocol::partition::mix64;
use serde_json::{Value, json};

use super::super::*;
use super::{Traced, told};

const STEPS: usize = 90;

pub(super) fn welcome_v2(
    start: u64,
    head: u64,
    [tokens_per_s, tokens_burst, token_bytes]: [u32; 3],
) -> Frame {
    let v1: Welcome = read(&welcome(start, head)).unwrap();
    let Welcome { user, device, generation, time_ms, expires_ms, heartbeat_ms, group_members_max, .. } = v1;
    let kinds = vec![KindVersion { kind: 257, version: 1 }];
    encode(
        0,
        &WelcomeV2 {
            tokens_per_s,
            tokens_burst,
            token_bytes,
            user,
            device,
            generation,
            start,
            head,
            time_ms,
            expires_ms,
            heartbeat_ms,
            group_members_max,
            kinds,
        },
    )
}

struct Drawn {
    traced: Traced,
    seed: u64,
    draws: u64,
    /// The inbox's newest position, and each channel's newest seq.
    inbox: u64,
    heads: [u64; 3],
}

pub(super) fn trace(seed: u64) -> Vec<String> {
    let assumes_pace = !seed.is_multiple_of(3);
    let traced =
        Traced::begin(&format!("drawn {seed}"), Config { assumes_pace, ..Config::new(ME, seed) }, None);
    let mut drawn = Drawn { traced, seed, draws: 0, inbox: 0, heads: [0; 3] };
    for _ in 0..STEPS {
        match drawn.traced.session.state() {
            State::Down => drawn.dial(),
            State::Greeting => drawn.greet(),
            State::CatchingUp | State::Live => drawn.talk(),
        }
    }
    drawn.traced.lines
}

impl Drawn {
    /// Below `most`.
    fn draw(&mut self, most: u64) -> u64 {
        self.draws += 1;
        mix64(self.seed.wrapping_mul(0x51_7c_c1) ^ mix64(self.draws)) % most
    }

    fn channel(&mut self) -> (usize, ChannelId) {
        let at = self.draw(3) as usize;
        (at, [chat(), ChannelId(500), ChannelId(600)][at])
    }

    fn wait(&mut self) {
        let at = match self.draw(3) {
            0 => self.traced.now + self.draw(40),
            1 => self.traced.now + self.draw(9000),
            _ => self.traced.session.next_deadline().unwrap_or(self.traced.now + 1),
        };
        if self.traced.tick(at).contains(&Event::Dead) {
            self.traced.disconnected();
        }
    }

    fn dial(&mut self) {
        match self.draw(6) {
            0 => self.command(),
            1 => self.traced.woke(),
            2 => self.traced.disconnected(),
            3 => self.wait(),
            _ => self.traced.connected(),
        }
    }

    fn greet(&mut self) {
        let cursor = self.traced.session.cursor().at.0;
        let start = cursor.min(self.inbox);
        match self.draw(16) {
            0 => self.wait(),
            1 => self.traced.disconnected(),
            2 => drop(self.traced.receive(&busy(1, 700))),
            3 => drop(self.traced.receive(&encode(1, &Refusal::new(Code::Expired, "token", "ended").body()))),
            4 => {
                let mut other: Welcome = read(&welcome(start, self.inbox)).unwrap();
                other.generation += self.draw(2);
                self.traced.receive(&encode(1, &other));
            }
            5 => self.deliver(),
            6..=8 => drop(self.traced.receive(&welcome(start, self.inbox))),
            _ => {
                let pace = [[200, 1000, 4096], [20, 30, 100], [3, 2, 50]][self.draw(3) as usize];
                self.traced.receive(&welcome_v2(start, self.inbox, pace));
            }
        }
    }

    fn talk(&mut self) {
        match self.draw(20) {
            0..=4 => self.answer(),
            5..=8 => self.deliver(),
            9..=12 => self.command(),
            13..=15 => self.wait(),
            16 => self.traced.disconnected(),
            17 => self.odd(),
            18 => self.repeat(),
            _ => self.complete(),
        }
    }

    /// A message of any kind, perhaps an own one that waits for its ack.
    fn deliver(&mut self) {
        let (at, channel) = self.channel();
        self.heads[at] += 1 + self.draw(8) / 7;
        self.inbox += 1;
        let stamp = Stamp { seq: Seq(self.heads[at]), time_ms: 1000 + self.inbox, sender: YOU };
        let sent = self.traced.asked.iter().find(|frame| frame.kind().is_message()).cloned();
        let frame = match sent {
            Some(own) if self.draw(3) == 0 => own.stamp(Stamp { sender: ME, ..stamp }),
            _ => self.content(channel).stamp(stamp),
        };
        self.traced.receive(&frame);
    }

    fn content(&mut self, channel: ChannelId) -> Frame {
        let (id, channel) = (self.draw(1 << 40) + 1, channel.0);
        match self.draw(14) {
            0 => encode(id, &AddMembers { channel, members: vec![3, 4] }),
            1 => encode(id, &InviteMembers { channel, members: vec![9] }),
            2 => encode(id, &RemoveMember { channel, member: 4 }),
            3 => encode(id, &RenameGroup { channel, name: "another name".into() }),
            4 => encode(id, &SetRole { channel, member: 3, role: 1 }),
            5 => encode(id, &JoinGroup { channel }),
            6 => encode(id, &LeaveGroup { channel }),
            7 => encode(id, &CreateGroup { channel, name: "g".into(), members: vec![1, 2] }),
            8 => Frame::build(Kind(0x01ff), 1, id, b"new kind"),
            _ => encode(id, &SendText { channel, text: format!("말 {id}") }),
        }
    }

    /// What was sent comes again, as after a cut.
    fn repeat(&mut self) {
        let (at, channel) = self.channel();
        let seq = self.draw(self.heads[at] + 2);
        self.traced.receive(&message(channel, seq.max(1), YOU, 5));
    }

    fn complete(&mut self) {
        let cursor = self.traced.session.cursor();
        let from = (cursor.at.0 + self.draw(3)).saturating_sub(1);
        let to = if self.draw(4) == 0 { from + self.draw(130) } else { self.inbox.max(from) };
        self.inbox = self.inbox.max(to);
        let generation = cursor.generation.0 + self.draw(9) / 8;
        self.traced.receive(&encode(0, &Complete { generation, from, to, head: to }));
    }

    fn odd(&mut self) {
        match self.draw(6) {
            0 => drop(self.traced.receive(&encode(0, &GoingAway { reconnect_after_ms: 800, reason: 1001 }))),
            1 => drop(self.traced.receive(&Frame::build(Kind(0x7777), 3, 1, b"whatever"))),
            2 => drop(self.traced.receive(&Frame::build(Kind::HISTORY_PAGE, 1, 1, b"short"))),
            3 => self.traced.woke(),
            4 => drop(self.traced.step(json!({"op": "reauth", "args": ["fresh", 1000]}), |session, _| {
                session.reauth("fresh", 1000);
                Value::Null
            })),
            _ => drop(
                self.traced.receive(&encode(0, &Refusal::new(Code::Unauthenticated, "token", "gone").body())),
            ),
        }
    }

    fn command(&mut self) {
        let (_, channel) = self.channel();
        let name = channel.0.to_string();
        let (op, args) = match self.draw(12) {
            0 => ("createGroup", json!(["plans", ["30", "10", "20", "30"]])),
            1 => ("addMembers", json!([name, ["7", "5", "7"]])),
            2 => ("inviteMembers", json!([name, ["8"]])),
            3 => ("rename", json!([name, "x".repeat(self.draw(120) as usize)])),
            4 => ("setRole", json!([name, "4", self.draw(4)])),
            5 => (
                "history",
                json!([name, {"after": self.draw(4), "before": 9, "limit": self.draw(230), "newest": true}]),
            ),
            6 => ("members", json!([name, "0", 100])),
            7 => ("channels", json!(["0", self.draw(520)])),
            8 => ("markRead", json!([name, self.draw(9)])),
            9 => ("join", json!([name])),
            _ => {
                let text = "가나다".repeat(self.draw(60) as usize);
                return self.traced.say(channel, &text);
            }
        };
        let input = json!({"op": op, "args": args});
        self.traced.step(input, |session, _| told::id(carry_out(session, op, channel, &args)));
    }

    /// The server answers one of the frames that it was sent.
    fn answer(&mut self) {
        if self.traced.asked.is_empty() {
            return self.complete();
        }
        let at = if self.draw(3) == 0 { self.draw(self.traced.asked.len() as u64) as usize } else { 0 };
        let asked = self.traced.asked.remove(at);
        let id = asked.header().id;
        let refusal = match self.draw(12) {
            0 => Some(Refusal::retry(Code::Busy, 1 + self.draw(400) as u32, "full")),
            1 => Some(Refusal::retry(Code::Rate, 1 + self.draw(400) as u32, "pace")),
            2 => Some(Refusal::new(Code::Forbidden, "channel", "not yours")),
            3 if asked.kind().is_message() => Some(Refusal::new(Code::Expired, "", "ended")),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.traced.receive(&encode(id, &refusal.body()));
            return;
        }
        for frame in self.replies(&asked) {
            self.traced.receive(&frame);
        }
    }

    fn replies(&mut self, asked: &Frame) -> Vec<Frame> {
        let id = asked.header().id;
        match asked.kind() {
            Kind::GET_HISTORY => self.page(id),
            Kind::GET_CHANNELS => {
                let (channel, head, name) = (500, 4, "a group's name".to_owned());
                let item = ChannelItem { channel, head, read: 2, unread: 1, member: true, name };
                vec![encode(id, &Channels { items: vec![item], more: self.draw(2) == 0 })]
            }
            Kind::GET_MEMBERS => {
                let item = MemberItem { user: 20, joined: 1, role: 2 };
                vec![encode(id, &Members { channel: 500, items: vec![item], more: false })]
            }
            Kind::MARK_READ | Kind::REAUTH => vec![encode(id, &Done { kind: asked.kind().0 })],
            kind if kind.is_message() => {
                let channel = protocol::body::message::channel_of(asked).unwrap();
                let at = [chat(), ChannelId(500)].iter().position(|of| *of == channel).unwrap_or(2);
                self.heads[at] += 1;
                self.inbox += 1;
                vec![encode(id, &SendAck { channel: channel.0, seq: self.heads[at], time_ms: 7 })]
            }
            kind => vec![Frame::build(kind, asked.header().version, 0, asked.body())],
        }
    }

    /// Whole, or cut short by another frame.
    fn page(&mut self, id: u64) -> Vec<Frame> {
        let count = self.draw(4) as u32;
        let head = HistoryPage { channel: chat().0, from: 3, to: 5, head: 9, count, more: true };
        let mut frames = vec![encode(id, &head)];
        let here = if self.draw(4) == 0 { self.draw(4) } else { u64::from(count) };
        for seq in 0..here.min(u64::from(count)) {
            let stamp = Stamp { seq: Seq(3 + seq), time_ms: 7, sender: [ME, YOU][self.draw(2) as usize] };
            frames.push(self.content(chat()).stamp(stamp));
        }
        frames
    }
}

/// A command as the file spells it.
fn carry_out(session: &mut Session, op: &str, channel: ChannelId, args: &Value) -> Result<u64, Refusal> {
    let number = |value: &Value| value.as_u64().unwrap();
    let users = |value: &Value| -> Vec<UserId> {
        value.as_array().unwrap().iter().map(|id| UserId(id.as_str().unwrap().parse().unwrap())).collect()
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match op {
        "createGroup" => session.create_group(&text(&args[0]), &users(&args[1]), None).map(|(id, _)| id.0),
        "addMembers" => session.add_members(channel, &users(&args[1]), None).map(|id| id.0),
        "inviteMembers" => session.invite_members(channel, &users(&args[1]), None).map(|id| id.0),
        "rename" => session.rename(channel, &text(&args[1]), None).map(|id| id.0),
        "setRole" => session.set_role(channel, UserId(4), number(&args[2]) as u8, None).map(|id| id.0),
        "join" => session.join(channel, None).map(|id| id.0),
        "members" => session.members(channel, UserId(0), 100).map(|id| id.0),
        "channels" => session.channels(ChannelId(0), number(&args[1]) as u32).map(|id| id.0),
        "markRead" => session.mark_read(channel, Seq(number(&args[1]))).map(|id| id.0),
        "history" => {
            let window = &args[1];
            let (after, limit) = (Seq(number(&window["after"])), number(&window["limit"]) as u32);
            session.history(channel, Some(after), Some(Seq(9)), limit, true).map(|id| id.0)
        }
        _ => panic!("{op}"),
    }
}
