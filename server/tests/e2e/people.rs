//! People with several devices each, and what every device was told, as an app would keep it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use client::account::{Account, Login};
use client::dial::{Client, Options, Transport};
use client::session::{Content, Event, Saved};
use protocol::{ChannelId, SendId, Seq, UserId};
use tokio::task::JoinHandle;

pub const PASSWORD: &str = "correct horse battery staple";

/// What a device holds.
#[derive(Default)]
pub struct Held {
    /// By channel: seq -> what was said.
    pub messages: BTreeMap<ChannelId, BTreeMap<Seq, String>>,
    /// What has to hold and did not.
    pub faults: Vec<String>,
    /// Text by send id, for the acks.
    pub sent: BTreeMap<(ChannelId, SendId), String>,
    /// A set, because an app that restarts from what it saved before an ack is acked again.
    pub acked: BTreeSet<(ChannelId, SendId)>,
    pub rejected: Vec<String>,
    pub live: bool,
    /// Times that a Hello was welcomed.
    pub connects: usize,
    pub pages: Vec<client::session::History>,
    pub channels: Vec<protocol::body::sync::ChannelItem>,
    /// Why somebody was not taken for the server.
    pub untrusted: Vec<String>,
    saved: Option<Saved>,
}

impl Held {
    fn hold(&mut self, channel: ChannelId, seq: Seq, text: String) {
        let messages = self.messages.entry(channel).or_default();
        if let Some(held) = messages.insert(seq, text.clone()) {
            self.faults.push(format!("{channel:?} {seq} told twice: {held:?} and {text:?}"));
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Message(message) => {
                let text = match message.content {
                    Content::Text(text) => text,
                    // As the maker's own device writes it down when its creation is acked.
                    Content::Created { name, .. } => format!("created {name}"),
                    other => format!("{other:?}"),
                };
                // Whoever restarts from what was saved may be told what is held already; not something else.
                let known = self.messages.get(&message.channel).and_then(|m| m.get(&message.seq));
                match known {
                    Some(held) if *held == text => {}
                    _ => self.hold(message.channel, message.seq, text),
                }
            }
            Event::Ack { send_id, channel, seq, .. } => {
                let Some(text) = self.sent.get(&(channel, send_id)).cloned() else {
                    self.faults.push(format!("an ack for an unknown send {send_id}"));
                    return;
                };
                self.acked.insert((channel, send_id));
                let known = self.messages.get(&channel).and_then(|m| m.get(&seq));
                if known.is_none_or(|held| *held != text) {
                    self.hold(channel, seq, text);
                }
            }
            Event::Rejected { about, reject } => {
                self.rejected.push(format!("{about:?} {} {}", reject.code, reject.text))
            }
            Event::Connected(_) => self.connects += 1,
            Event::Live => self.live = true,
            Event::Disconnected { .. } => self.live = false,
            Event::Resync { .. } => self.faults.push("a resync nobody asked for".into()),
            Event::Untrusted { place, fault } => self.untrusted.push(format!("{place}: {fault}")),
            Event::History(page) => self.pages.push(page),
            Event::Channels { items, .. } => self.channels.extend(items),
            _ => {}
        }
    }
}

/// One installed app.
pub struct Device {
    pub name: String,
    pub user: UserId,
    login: Login,
    account: Account,
    transport: Transport,
    pub held: Arc<Mutex<Held>>,
    running: Option<(Client, JoinHandle<()>)>,
}

impl Device {
    /// Half of all devices talk QUIC, the others WebSocket; `E2E_CARRIER=ws` or `=quic` has all of them do so.
    pub async fn login(account: &Account, name: &str) -> Self {
        let login = account.login(name, PASSWORD, None).await.unwrap();
        let is_even = protocol::partition::mix64(login.device.0).is_multiple_of(2);
        let transport = match std::env::var("E2E_CARRIER").as_deref() {
            Ok("quic") => Transport::Quic,
            Ok("ws") => Transport::Ws,
            _ if is_even => Transport::Auto,
            _ => Transport::Ws,
        };
        eprintln!("{name}'s device {} over {transport:?}", login.device.0);
        Self::begin(account, name, login, transport)
    }

    pub async fn login_over(account: &Account, name: &str, transport: Transport) -> Self {
        let login = account.login(name, PASSWORD, None).await.unwrap();
        Self::begin(account, name, login, transport)
    }

    fn begin(account: &Account, name: &str, login: Login, transport: Transport) -> Self {
        let mut device = Self {
            name: name.into(),
            user: login.user,
            login,
            account: account.clone(),
            transport,
            held: Arc::default(),
            running: None,
        };
        device.open();
        device
    }

    /// Starts the app from what it saved.
    pub fn open(&mut self) {
        let saved = self.held.lock().unwrap().saved.take();
        let renew = Some((self.name.clone(), PASSWORD.to_owned()));
        let options = Options { account: self.account.clone(), login: self.login.clone(), renew, saved };
        let (client, mut events) = Client::start_over(options, self.transport).unwrap();
        let held = self.held.clone();
        let task = tokio::spawn(async move {
            loop {
                match events.next().await {
                    Ok(event) => held.lock().unwrap().take(event),
                    Err(client::dial::End::Stopped) => return,
                    Err(end) => {
                        held.lock().unwrap().faults.push(format!("the client ended: {end}"));
                        return;
                    }
                }
            }
        });
        self.running = Some((client, task));
    }

    /// Ends the app, which keeps what it would have on its disk.
    pub async fn close(&mut self) {
        let (client, task) = self.running.take().unwrap();
        let saved = client.saved().await.unwrap();
        drop(client);
        // What it was told before it ended is told; only then is the saved cursor of any use.
        task.await.unwrap();
        let mut held = self.held.lock().unwrap();
        held.saved = Some(saved);
        held.live = false;
    }

    /// The access token of its login.
    pub fn token(&self) -> &str {
        &self.login.token
    }

    pub fn client(&self) -> &Client {
        &self.running.as_ref().unwrap().0
    }

    /// Sends text that says who sends what.
    pub async fn say(&self, channel: ChannelId, text: &str) -> SendId {
        let held = self.held.clone();
        let text = text.to_owned();
        let said = self.client().with_session(move |session| {
            let send_id = session.send_text(channel, &text, None)?;
            held.lock().unwrap().sent.insert((channel, send_id), text);
            Ok::<_, protocol::Refusal>(send_id)
        });
        let ended = |error| panic!("{}: {error}, {:?}", self.name, self.held.lock().unwrap().faults);
        said.await.unwrap_or_else(ended).unwrap()
    }

    pub async fn group(&self, name: &str, members: &[UserId]) -> ChannelId {
        let held = self.held.clone();
        let (name, members) = (name.to_owned(), members.to_vec());
        let made = self.client().with_session(move |session| {
            let (send_id, channel) = session.create_group(&name, &members, None)?;
            held.lock().unwrap().sent.insert((channel, send_id), format!("created {name}"));
            Ok::<_, protocol::Refusal>(channel)
        });
        made.await.unwrap().unwrap()
    }
}

/// Waits until something holds; the test fails after a long time.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !holds() {
        assert!(since.elapsed() < crate::node::PATIENCE, "still waiting: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
