//! What the enemies do. A crew pushes bytes for as long as the server takes them, and never waits.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::body::message::{AddMembers, CreateGroup, RemoveMember, SendText};
use protocol::body::sync::{GetChannels, GetHistory, MarkRead};
use protocol::body::{Body, encode};
use protocol::limits::U53_MAX;
use protocol::partition::mix64;
use protocol::{ChannelId, SendId, UserId};

use super::socket::{Socket, message};
use crate::run::Outcome;
use crate::run::server::Server;

/// Groups that the list of `channels` holds.
const GROUPS: u64 = 500;
/// Texts in the channel whose pages `history` asks for: one of them is nearly a page.
const TEXTS: u64 = 8;
/// Of each session, for `history` and `channels`.
const REQUESTS: u64 = 1000;
const HALVES: usize = 400;

/// What is there before the enemies come.
pub(super) struct Scene {
    address: SocketAddr,
    /// User, and a token a device.
    accounts: Vec<(UserId, Vec<String>)>,
    ids: AtomicU64,
}

impl Scene {
    pub(super) fn prepare(server: &Server) -> Outcome<Self> {
        let address = server.url.trim_start_matches("ws://").trim_end_matches("/ws").parse()?;
        let mut accounts: Vec<(UserId, Vec<String>)> = Vec::new();
        for line in std::fs::read_to_string(&server.users)?.lines() {
            let mut words = line.split('\t');
            let user = UserId(words.next().ok_or("no user")?.parse()?);
            let token = words.nth(1).ok_or("no token")?.to_owned();
            match accounts.last_mut() {
                Some((last, tokens)) if *last == user => tokens.push(token),
                _ => accounts.push((user, vec![token])),
            }
        }
        let scene = Self { address, accounts, ids: AtomicU64::new(1) };
        scene.fill()?;
        Ok(scene)
    }

    /// Long texts for `history`, groups for `channels`; at the pace that is allowed.
    fn fill(&self) -> Outcome<()> {
        let mut writer = self.device(2, 0)?;
        for _ in 0..TEXTS {
            let body = SendText { channel: self.direct(2, 3).0, text: noise(self.next_id(0), 100_000) };
            self.until_taken(&mut writer, &body)?;
        }
        let mut founder = self.device(4, 0)?;
        for _ in 0..GROUPS {
            let id = self.next_id(0);
            let body = self.group(4, id, Vec::new());
            founder.send(&body, id)?;
            founder.wait(|frame| frame.header().id == id)?;
        }
        Ok(())
    }

    fn until_taken<T: Body>(&self, socket: &mut Socket, body: &T) -> Outcome<()> {
        let id = self.next_id(0);
        loop {
            socket.send(body, id)?;
            let answer = socket.wait(|frame| frame.header().id == id)?;
            let reject = protocol::body::read::<protocol::body::session::Reject>(&answer);
            match reject.filter(|_| answer.kind() == protocol::Kind::REJECT) {
                None => return Ok(()),
                Some(reject) if reject.retry_after_ms > 0 => {
                    std::thread::sleep(std::time::Duration::from_millis(reject.retry_after_ms.into()));
                }
                Some(reject) => return Err(format!("refused: {}", reject.text).into()),
            }
        }
    }

    pub(super) fn device(&self, account: usize, device: usize) -> Outcome<Socket> {
        let token = self.accounts.get(account).and_then(|(_, tokens)| tokens.get(device));
        Socket::live(self.address, token.ok_or("too few accounts")?)
    }

    fn user(&self, account: usize) -> UserId {
        self.accounts.get(account).map_or(UserId(0), |(user, _)| *user)
    }

    fn direct(&self, one: usize, other: usize) -> ChannelId {
        ChannelId::direct(self.user(one), self.user(other))
    }

    /// The bystander and its friend.
    pub(super) fn friends(&self) -> ChannelId {
        self.direct(0, 1)
    }

    /// A send id that nobody used.
    pub(super) fn next_id(&self, salt: u64) -> u64 {
        mix64(self.ids.fetch_add(1, Ordering::Relaxed) ^ mix64(salt)).max(1)
    }

    fn group(&self, founder: usize, id: u64, members: Vec<u64>) -> CreateGroup {
        let channel = ChannelId::group(self.user(founder), SendId(id));
        CreateGroup { channel: channel.0, name: "g".into(), members }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Attack {
    History,
    Channels,
    Halves,
    Churn,
    Ghosts,
    Marks,
    Flood,
}

impl Attack {
    pub(super) const ALL: &'static [Self] =
        &[Self::History, Self::Channels, Self::Halves, Self::Churn, Self::Ghosts, Self::Marks, Self::Flood];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Channels => "channels",
            Self::Halves => "halves",
            Self::Churn => "churn",
            Self::Ghosts => "ghosts",
            Self::Marks => "marks",
            Self::Flood => "flood",
        }
    }

    /// Connects those who do it.
    pub(super) fn crew(self, scene: &Scene) -> Outcome<Crew> {
        let of_one = |account: usize, devices: usize| {
            (0..devices).map(|device| scene.device(account, device)).collect::<Outcome<Vec<_>>>()
        };
        let (sockets, reads) = match self {
            Self::History => (of_one(2, 16)?, false),
            Self::Channels => (of_one(4, 16)?, false),
            Self::Halves => {
                let all = (0..HALVES).map(|number| scene.device(10 + number / 16, number % 16));
                (all.collect::<Outcome<Vec<_>>>()?, false)
            }
            Self::Churn => (of_one(5, 1)?, true),
            Self::Ghosts => (of_one(6, 1)?, true),
            Self::Marks => (of_one(7, 1)?, true),
            Self::Flood => (of_one(8, 1)?, true),
        };
        let mut hands = Vec::with_capacity(sockets.len());
        let mut says = self.says(scene);
        for mut socket in sockets {
            socket.never_wait()?;
            hands.push(Hand { socket: Some(socket), bytes: says.first.clone(), written: 0 });
        }
        says.first = Vec::new();
        Ok(Crew { hands, more: says.more, reads })
    }

    fn says(self, scene: &Scene) -> Says {
        let many =
            |frame: &dyn Fn(u64) -> Vec<u8>| (1..=REQUESTS).flat_map(|id| message(&frame(id))).collect();
        let ghost = scene.user(9);
        match self {
            Self::History => {
                let channel = scene.direct(2, 3).0;
                let get = GetHistory { channel, after: 0, before: U53_MAX, limit: 200, newest: true };
                Says::once(many(&|id| encode(id, &get).bytes().to_vec()))
            }
            Self::Channels => {
                Says::once(many(&|id| encode(id, &GetChannels { after: 0, limit: 500 }).bytes().to_vec()))
            }
            Self::Halves => {
                let mut whole = message(&vec![0; 1 << 20]);
                whole.truncate(whole.len() - 100);
                Says::once(whole)
            }
            Self::Churn => {
                let id = scene.next_id(0);
                let group = scene.group(5, id, vec![ghost.0]);
                let channel = group.channel;
                let pair = move |seed: u64| {
                    let remove = encode(mix64(seed).max(1), &RemoveMember { channel, member: ghost.0 });
                    let add =
                        encode(mix64(seed ^ 1 << 63).max(1), &AddMembers { channel, members: vec![ghost.0] });
                    [message(remove.bytes()), message(add.bytes())].concat()
                };
                Says { first: message(encode(id, &group).bytes()), more: Some(Box::new(pair)) }
            }
            Self::Ghosts => {
                let user = scene.user(6);
                Says::ever(move |seed| {
                    let id = mix64(seed).max(1);
                    let members = (0..499)
                        .map(|n| mix64(seed ^ (n << 40)) >> 1)
                        .collect::<std::collections::BTreeSet<_>>();
                    let channel = ChannelId::group(user, SendId(id)).0;
                    let body =
                        CreateGroup { channel, name: "g".into(), members: members.into_iter().collect() };
                    message(encode(id, &body).bytes())
                })
            }
            Self::Marks => {
                let (strangers, made_up) =
                    (scene.friends().0, ChannelId::direct(scene.user(7), UserId(77)).0);
                Says::ever(move |seed| {
                    let channel = if seed % 2 == 0 { strangers } else { made_up ^ u128::from(seed) };
                    message(encode(seed, &MarkRead { channel, seq: U53_MAX - seed % 2 }).bytes())
                })
            }
            Self::Flood => {
                let channel = scene.direct(8, 9).0;
                Says::ever(move |seed| {
                    let body = SendText { channel, text: noise(seed, 100_000) };
                    message(encode(mix64(seed).max(1), &body).bytes())
                })
            }
        }
    }
}

type More = Box<dyn FnMut(u64) -> Vec<u8> + Send>;

struct Says {
    first: Vec<u8>,
    more: Option<More>,
}

impl Says {
    fn once(first: Vec<u8>) -> Self {
        Self { first, more: None }
    }

    fn ever(more: impl FnMut(u64) -> Vec<u8> + Send + 'static) -> Self {
        Self { first: Vec::new(), more: Some(Box::new(more)) }
    }
}

/// Sessions that do the same.
pub(super) struct Crew {
    hands: Vec<Hand>,
    more: Option<More>,
    reads: bool,
}

struct Hand {
    /// Gone when the server has closed it.
    socket: Option<Socket>,
    bytes: Vec<u8>,
    written: usize,
}

impl Crew {
    pub(super) fn sessions(&self) -> usize {
        self.hands.len()
    }

    /// Writes what the server takes now. Whether it took any.
    pub(super) fn push(&mut self) -> bool {
        let mut moved = false;
        for hand in &mut self.hands {
            let Some(socket) = &mut hand.socket else { continue };
            if self.reads {
                socket.drain();
            }
            if hand.written == hand.bytes.len() {
                let Some(more) = &mut self.more else { continue };
                hand.bytes = more(NUMBER.fetch_add(1, Ordering::Relaxed));
                hand.written = 0;
            }
            match socket.write_some(hand.bytes.get(hand.written..).unwrap_or_default()) {
                Some(written) => {
                    hand.written += written;
                    moved |= written > 0;
                }
                None => hand.socket = None,
            }
        }
        moved
    }
}

/// What each thing that is said is made from; send ids are never used twice.
static NUMBER: AtomicU64 = AtomicU64::new(1 << 32);

/// Text that no compression shortens by much.
fn noise(seed: u64, chars: usize) -> String {
    let mut state = seed;
    let draw = |_| {
        state = mix64(state);
        char::from_u32(0xac00 + u32::try_from(state % 11_172).unwrap_or(0)).unwrap_or('x')
    };
    (0..chars).map(draw).collect()
}
