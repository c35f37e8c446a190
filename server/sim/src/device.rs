//! A simulated app around the real client session: it dials, keeps what it is told, saves at random moments, and when it
//! dies it goes on from what it had saved.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use bytes::BytesMut;
use client::session::{About, Config, Event, Known, Message, RequestId, Reread, Saved, Session, State};
use protocol::body::read;
use protocol::body::session::Reject;
use protocol::body::sync::SendAck;
use protocol::{ChannelId, Code, DeviceId, Frame, Kind, Refusal, SendId, Seq, UserId};

use crate::broken;
use crate::conn::Token;
use crate::network::{LinkId, Reassembly};
use crate::node::Scene;
use crate::oracle::{Check, Oracle};
use crate::plan::LOOK_BACK_MAX;
use crate::presence::Views;
use crate::receipts::{self, Shown};

/// Frames written that may be sent again by a careless app.
const RECENT_MAX: usize = 32;
/// Times that a device which was logged out tries again.
const TRIES_MAX: u32 = 2;

/// What became of an own send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Not known yet.
    Pending,
    /// Durable.
    Acked(ChannelId, Seq),
    /// Refused for good.
    Rejected(u16),
    /// Was durable in a life of the server that is lost.
    Lost,
}

/// What an app has on its own disk.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    saved: Saved,
    /// Every message that the app shows.
    pub held: BTreeMap<(ChannelId, Seq), Known>,
    /// Every own send that the app knows of.
    pub sends: BTreeMap<SendId, Outcome>,
    /// What is below comes from reading history anew.
    base: u64,
}

/// One device.
#[derive(Debug)]
pub struct Device {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub id: DeviceId,
    /// The real client.
    pub session: Session,
    /// Its connection.
    pub link: Option<LinkId>,
    /// What the app knows now.
    pub kept: Kept,
    /// What it would know after dying now.
    stored: Kept,
    /// How far others have come, as it was told.
    pub shown: BTreeMap<ChannelId, Shown>,
    /// Who is there, as it was told.
    pub views: Views,
    /// It will never connect again.
    pub retired: bool,
    /// The token of the last Hello or Reauth.
    token: Option<Token>,
    /// How often it was told that it was logged out, and tried again all the same.
    tries: u32,
    /// Frames that a careless app puts between those of the session.
    pub raw: VecDeque<Frame>,
    /// Send ids that were written more than once, behind the session's back.
    pub repeated: HashSet<SendId>,
    /// The last own frames that were written.
    pub recent: VecDeque<Frame>,
    /// Sends written by the session, and how many of its frames were refused for the pace.
    pub paced: (u64, u64),
    /// It reads nothing until then.
    pub stop_reading_until: u64,
    told: HashSet<(ChannelId, Seq)>,
    checked: u64,
    /// The app's requests that the session took and has told no end of. What the session itself counts would miss one
    /// that it lost.
    asked: BTreeSet<RequestId>,
    /// The server's stores were restored: what is held is compared with what there is.
    reread: Option<Reread>,
    reassembly: Reassembly,
    out: BytesMut,
    started: bool,
}

impl Device {
    /// A device that was just installed.
    #[must_use]
    pub fn new(user: UserId, id: DeviceId, seed: u64) -> Self {
        Self {
            user,
            id,
            session: Session::new(config(user, seed), None),
            link: None,
            kept: Kept::default(),
            stored: Kept::default(),
            shown: BTreeMap::new(),
            views: Views::default(),
            retired: false,
            token: None,
            tries: 0,
            raw: VecDeque::new(),
            repeated: HashSet::new(),
            recent: VecDeque::new(),
            paced: (0, 0),
            stop_reading_until: 0,
            told: HashSet::new(),
            checked: 0,
            asked: BTreeSet::new(),
            reread: None,
            reassembly: Reassembly::default(),
            out: BytesMut::new(),
            started: false,
        }
    }

    /// Whether nothing waits for an answer and nothing is missing that the device knows of.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.retired
            || (self.session.state() == State::Live
                && self.session.pending_len() == 0
                && self.session.requests_len() == 0
                && self.asked.is_empty()
                && self.reread.is_none()
                && self.raw.is_empty()
                && self.out.is_empty())
    }

    /// Notes a send that the app has just made.
    pub fn made(&mut self, id: SendId) {
        self.kept.sends.entry(id).or_insert(Outcome::Pending);
    }

    /// Notes a request that the app has just made. A full session refuses it; that is all the answer that is needed here.
    pub fn has_asked(&mut self, request: Result<RequestId, Refusal>) {
        self.asked.extend(request);
    }

    /// What the app waits for, for the words of a failure.
    #[must_use]
    pub fn waits_for(&self) -> String {
        format!("{} requests without an end, reading anew {}", self.asked.len(), self.reread.is_some())
    }

    fn note_end(&mut self, event: &Event) {
        match event {
            Event::History(page) => self.asked.remove(&page.request),
            Event::Thread(page) => self.asked.remove(&page.request),
            Event::Channels { request, .. }
            | Event::List { request, .. }
            | Event::Notes { request, .. }
            | Event::Members { request, .. }
            | Event::Rules { request, .. }
            | Event::Mentions { request, .. }
            | Event::Said { request, .. }
            | Event::Receipts { request: Some(request), .. }
            | Event::Presence { request: Some(request), more: false, .. }
            | Event::OwnPresence { request: Some(request), .. }
            | Event::Done(request)
            | Event::Rejected { about: About::Request(request), .. } => self.asked.remove(request),
            _ => false,
        };
    }

    /// Puts what the app knows on its own disk.
    pub fn save(&mut self) {
        // The cursor jumps when reading anew begins, so until it ends the old state is the true one.
        if self.reread.is_none() {
            self.kept.saved = self.session.saved();
            self.stored = self.kept.clone();
        }
    }

    /// The app dies and starts again from what it had saved.
    pub fn crash(&mut self, scene: &mut Scene<'_>) {
        scene.trace.say(scene.now, || format!("app of device {} dies", self.id));
        self.hang_up(scene);
        self.kept = self.stored.clone();
        self.session = Session::new(config(self.user, scene.rng.draw()), Some(self.kept.saved.clone()));
        self.told.clear();
        self.checked = self.kept.base;
        self.asked.clear();
        self.views = Views::default();
        self.reread = None;
        self.started = false;
    }

    /// Closes the connection and forgets it. What was written may still arrive.
    pub fn hang_up(&mut self, scene: &mut Scene<'_>) {
        if let Some(link) = self.link.take().and_then(|id| scene.network.get(id)) {
            link.device_open = false;
            link.up.finish(scene.now);
        }
        self.forget_connection();
    }

    /// Dials again and leaves the old connection to die of itself: the server still believes in it.
    pub fn dial_again(&mut self, scene: &mut Scene<'_>) {
        if let Some(link) = self.link.take().and_then(|id| scene.network.get(id)) {
            link.device_open = false;
            link.up.finish(scene.now + scene.rng.below(5000));
        }
        self.forget_connection();
        self.dial(scene, true);
    }

    fn forget_connection(&mut self) {
        self.out.clear();
        self.raw.clear();
        self.reassembly = Reassembly::default();
    }

    fn dial(&mut self, scene: &mut Scene<'_>, listening: bool) {
        if !listening {
            self.session.disconnected(scene.now);
            return;
        }
        let kept = self.token.filter(|token| token.expires_ms > scene.wall);
        let again = scene.rng.chance(300);
        let token = match kept {
            Some(token) if again => token,
            _ => {
                let lifetime_ms = [5_000, 60_000, 3_600_000][scene.rng.place(3)];
                self.log_in(scene, lifetime_ms)
            }
        };
        self.link = Some(scene.network.dial(scene.plan.pipe_bytes));
        scene.trace.say(scene.now, || format!("device {} dials {:?}", self.id, self.link));
        self.session.connected(scene.now, &token.text());
    }

    /// A fresh token of the control plane, whose clock may jump: it is never older than what it has forbidden.
    fn log_in(&mut self, scene: &Scene<'_>, lifetime_ms: u64) -> Token {
        let asked_ms = scene.oracle.not_before_asked.get(&self.user).copied().unwrap_or(0);
        let (user, device, expires_ms) = (self.user, self.id, scene.wall + lifetime_ms);
        let token = Token { user, device, expires_ms, issued_ms: scene.wall.max(asked_ms) };
        self.token = Some(token);
        token
    }

    /// The device is told that it was logged out. It does not believe it, like a thief's: it tries again, twice.
    fn logged_out(&mut self, scene: &mut Scene<'_>) -> Check {
        let issued_ms = self.token.map_or(0, |token| token.issued_ms);
        if !scene.oracle.may_be_logged_out(self.user, self.id, issued_ms) {
            broken!("device {} is told that it was logged out, which nobody asked for", self.id);
        }
        if scene.oracle.removing.contains(&self.id) && self.tries == TRIES_MAX {
            self.retired = true;
            return Ok(());
        }
        self.tries += 1;
        let token = self.token;
        self.crash(scene);
        // One that was removed shows its old token again, one that stays has a new one.
        self.token = token.filter(|_| scene.oracle.removing.contains(&self.id));
        Ok(())
    }

    /// One step of the app: read, react, write.
    ///
    /// # Errors
    /// What the app was told is not true, or told twice.
    pub fn step(&mut self, scene: &mut Scene<'_>, listening: bool) -> Check {
        if self.retired {
            return Ok(());
        }
        if !std::mem::replace(&mut self.started, true) {
            self.dial(scene, listening);
        }
        self.read(scene, listening)?;
        if self.session.next_deadline().is_some_and(|due| due <= scene.now) {
            self.session.tick(scene.now);
        }
        self.listen(scene, listening)?;
        self.write(scene);
        self.check_prefix(scene.oracle)
    }

    fn listen(&mut self, scene: &mut Scene<'_>, listening: bool) -> Check {
        while let Some(event) = self.session.poll_event() {
            self.take(event, scene, listening)?;
        }
        Ok(())
    }

    fn read(&mut self, scene: &mut Scene<'_>, listening: bool) -> Check {
        if self.stop_reading_until > scene.now {
            return Ok(());
        }
        let Some(link) = self.link.and_then(|id| scene.network.get(id)) else { return Ok(()) };
        let most = if scene.rng.chance(100) { 1 + scene.rng.place(64) } else { usize::MAX };
        let bytes = link.down.take(scene.now, most);
        let over = link.down.is_over(scene.now);
        self.reassembly.feed(&bytes);
        loop {
            let frame = self.reassembly.frame().map_err(|fault| format!("device {}: {fault:?}", self.id))?;
            let Some(frame) = frame else { break };
            self.note_repeat(&frame)?;
            self.note_pace(&frame);
            self.session.receive(scene.now, frame);
            self.listen(scene, listening)?;
        }
        if over {
            scene.trace.say(scene.now, || format!("device {} sees the end of {:?}", self.id, self.link));
            self.hang_up(scene);
            self.session.disconnected(scene.now);
        }
        Ok(())
    }

    /// The session knows nothing of a repeat behind its back; the careless app takes the ack itself.
    fn note_repeat(&mut self, frame: &Frame) -> Check {
        let id = frame.send_id();
        if frame.kind() != Kind::SEND_ACK {
            return Ok(());
        }
        let is_for_app = match self.kept.sends.get(&id) {
            // Acked in a life that is lost, so the session has forgotten it: whatever went out under this key since then
            // is a message of the new life, and nothing but this ack tells of it.
            Some(Outcome::Lost) => true,
            Some(Outcome::Rejected(_)) | None => self.repeated.contains(&id),
            Some(Outcome::Pending | Outcome::Acked(..)) => false,
        };
        if is_for_app && let Some(ack) = read::<SendAck>(frame) {
            let (channel, seq) = (ChannelId(ack.channel), Seq(ack.seq));
            self.compare(&Event::Ack { send_id: id, channel, seq, time_ms: ack.time_ms })?;
            self.hold_own(id, channel, seq, ack.time_ms);
        }
        Ok(())
    }

    fn note_pace(&mut self, frame: &Frame) {
        let is_paced = |reject: &Reject| reject.code == Code::Rate.number();
        if frame.kind() == Kind::REJECT
            && !self.repeated.contains(&frame.send_id())
            && read::<Reject>(frame).as_ref().is_some_and(is_paced)
        {
            self.paced.1 += 1;
        }
    }

    fn hold_own(&mut self, send_id: SendId, channel: ChannelId, seq: Seq, time_ms: u64) {
        let known = Known { sender: self.user, send_id, time_ms, is_gapless: false };
        self.kept.held.insert((channel, seq), known);
    }

    fn write(&mut self, scene: &mut Scene<'_>) {
        let Some(link) = self.link.and_then(|id| scene.network.get(id)) else { return };
        loop {
            if self.session.state() == State::Live
                && let Some(frame) = self.raw.pop_front()
            {
                scene.oracle.offer(self.user, &frame);
                self.out.extend_from_slice(frame.bytes());
            }
            let Some(frame) = self.session.poll_transmit() else { break };
            scene
                .trace
                .say(scene.now, || format!("device {} writes {}", self.id, crate::words::frame(&frame)));
            scene.oracle.offer(self.user, &frame);
            self.out.extend_from_slice(frame.bytes());
            if frame.kind().is_message() {
                self.paced.0 += 1;
                if self.recent.len() >= RECENT_MAX {
                    self.recent.pop_front();
                }
                self.recent.push_back(frame);
            }
        }
        let bytes = self.out.split_to(self.out.len().min(link.up.room())).freeze();
        link.up.push(scene.rng, scene.now, scene.plan.latency_max_ms, bytes);
    }

    fn take(&mut self, event: Event, scene: &mut Scene<'_>, listening: bool) -> Check {
        self.compare(&event)?;
        self.note_end(&event);
        match event {
            Event::Message(message) => self.tell(scene.oracle, &message, true)?,
            Event::History(page) => {
                page.messages.iter().try_for_each(|message| self.tell(scene.oracle, message, false))?;
            }
            Event::Thread(page) => {
                page.messages.iter().try_for_each(|message| self.tell(scene.oracle, message, false))?;
            }
            Event::Ack { send_id, channel, seq, time_ms } => {
                self.take_ack(scene.oracle, send_id, channel, seq)?;
                self.hold_own(send_id, channel, seq, time_ms);
            }
            Event::Rejected { about: About::Send(id), reject } => {
                if let Some(Outcome::Acked(channel, seq)) = self.kept.sends.get(&id) {
                    broken!("device {}: {id} rejected behind its ack {channel:?} {seq}", self.id);
                }
                self.kept.sends.insert(id, Outcome::Rejected(reject.code));
            }
            Event::Resync { at, .. } => {
                self.kept.base = at.0;
                self.checked = at.0;
                self.told.clear();
                let held = self.kept.held.iter();
                let held = held.map(|((channel, seq), known)| (*channel, *seq, *known)).collect::<Vec<_>>();
                self.reread = Some(Reread::begin(&mut self.session, held, LOOK_BACK_MAX as u32));
            }
            Event::Receipts { channel, items, .. } => {
                receipts::take(self.shown.entry(channel).or_default(), &items);
            }
            Event::Presence { request: None, items, .. } => self.take_presences(items),
            Event::LoggedOut(_) => self.logged_out(scene)?,
            Event::HelloRejected(reject) => {
                let codes = [Code::Expired, Code::Busy, Code::StorageFull].map(Code::number);
                if !codes.contains(&reject.code) {
                    broken!("Hello of device {} refused: {reject:?}", self.id);
                }
            }
            Event::TokenDue => {
                let lifetime_ms = 60_000;
                let token = self.log_in(scene, lifetime_ms);
                self.session.reauth(&token.text(), lifetime_ms);
            }
            Event::Dead => {
                self.hang_up(scene);
                self.session.disconnected(scene.now);
            }
            Event::Reconnect => self.dial(scene, listening),
            _ => {}
        }
        if self.reread.as_ref().is_some_and(Reread::is_done) {
            self.reread = None;
            self.kept.held.values_mut().for_each(|known| known.is_gapless = true);
        }
        Ok(())
    }

    /// While the device reads anew, an event can show that something is held no more.
    fn compare(&mut self, event: &Event) -> Check {
        let Some(reread) = &mut self.reread else { return Ok(()) };
        if let Event::Rejected { about: About::Request(request), reject } = event
            && reread.asked_for(*request)
        {
            broken!("device {}: reading anew is refused: {reject:?}", self.id);
        }
        for gone in reread.take(&mut self.session, event) {
            self.kept.held.remove(&gone);
        }
        Ok(())
    }

    /// Whether the app does not know yet what became of a send.
    pub(crate) fn has_pending(&self, id: SendId) -> bool {
        matches!(self.kept.sends.get(&id), Some(Outcome::Pending))
    }

    fn take_ack(&mut self, oracle: &Oracle, id: SendId, channel: ChannelId, seq: Seq) -> Check {
        match self.kept.sends.insert(id, Outcome::Acked(channel, seq)) {
            Some(Outcome::Pending) => {}
            before => broken!("device {}: ack of {id} {channel:?} {seq}, before it was {before:?}", self.id),
        }
        let fact = oracle.fact(channel, seq);
        if fact.is_none_or(|fact| fact.sender != self.user || fact.send_id != id) {
            broken!("device {}: ack of {id} as {channel:?} {seq} is not durable", self.id);
        }
        self.told.insert((channel, seq));
        Ok(())
    }

    fn tell(&mut self, oracle: &Oracle, message: &Message, once: bool) -> Check {
        let Message { channel, seq, sender, send_id, time_ms, .. } = *message;
        let fact = oracle.fact(channel, seq);
        if !fact.is_some_and(|f| f.sender == sender && f.send_id == send_id && f.time_ms == time_ms) {
            broken!("device {}: told {message:?}, durable is {fact:?}", self.id);
        }
        if once && !self.told.insert((channel, seq)) {
            broken!("device {}: told {channel:?} {seq} twice in one life", self.id);
        }
        let mut known = Known::from(message);
        known.is_gapless = once && self.reread.is_none();
        if let Some(before) = self.kept.held.get(&(channel, seq)) {
            known.is_gapless |= before.is_gapless && before.is_same(&known);
        }
        self.kept.held.insert((channel, seq), known);
        Ok(())
    }

    /// The stores were restored: what was acked behind the backup is durable no more.
    pub fn lose(&mut self, oracle: &Oracle) {
        let user = self.user;
        for sends in [&mut self.kept.sends, &mut self.stored.sends] {
            for (id, outcome) in sends {
                if let Outcome::Acked(channel, seq) = *outcome
                    && oracle.fact(channel, seq).is_none_or(|fact| fact.sender != user || fact.send_id != *id)
                {
                    *outcome = Outcome::Lost;
                }
            }
        }
    }

    /// Everything up to the cursor is held.
    fn check_prefix(&mut self, oracle: &Oracle) -> Check {
        let cursor = self.session.cursor();
        // A device without a cursor, or one that does not know yet that the stores were restored.
        if cursor.generation != oracle.generation {
            return Ok(());
        }
        if cursor.at.0 > oracle.inbox_head(self.user) {
            broken!("device {}: cursor {cursor:?} above the durable head", self.id);
        }
        for (channel, seq) in oracle.pointers(self.user, self.checked, cursor.at.0) {
            let held = self.kept.held.get(&(*channel, *seq));
            if !held.is_some_and(|known| oracle.is_fact(*channel, *seq, known)) {
                broken!("device {}: cursor {cursor:?} without {channel:?} {seq}", self.id);
            }
        }
        self.checked = self.checked.max(cursor.at.0);
        Ok(())
    }
}

fn config(user: UserId, seed: u64) -> Config {
    Config { reconnect_ms_min: 20, reconnect_ms_max: 2000, ..Config::new(user, seed) }
}
