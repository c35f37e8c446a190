//! The server that a good engineer would write in an afternoon: tokio, tokio-tungstenite, serde_json, one synced RocksDB
//! put a message, a map of senders behind a lock, a task a connection and one that writes.
//!
//! It makes the same promise as Maru where the comparison needs it (an ack is durable, one order a channel) and no
//! other: no dedup, no cursor, no history, no limits. Its own language is JSON in text messages ([`wire`]). A client
//! that says hello in Maru's binary frames is answered in them, so that one load generator drives all; what is stored
//! stays JSON. That spares it the JSON of each delivery, so the comparison errs in its favour.

pub mod wire;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::{SinkExt, StreamExt};
use rocksdb::{DB, Options, WriteOptions};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::floor::announce;
use wire::{Dialect, Request, Stored};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What all connections share.
struct Shared {
    users: RwLock<HashMap<u64, User>>,
    channels: Mutex<HashMap<u128, Channel>>,
    db: DB,
}

struct User {
    sender: UnboundedSender<Message>,
    dialect: Dialect,
}

#[derive(Clone, Default)]
struct Channel {
    seq: u64,
    members: Arc<[u64]>,
}

/// Serves until the process is ended.
///
/// # Errors
/// No directory, no address, no thread.
pub fn serve(listen: SocketAddr, data: &Path) -> io::Result<()> {
    let mut options = Options::default();
    options.create_if_missing(true);
    let db = DB::open(&options, data).map_err(io::Error::other)?;
    let shared = Arc::new(Shared { users: RwLock::default(), channels: Mutex::default(), db });
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        announce("ordinary", listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(connection(shared.clone(), stream));
        }
    })
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut user = None;
    // Whatever went wrong, the client comes again.
    let _ = talk(&shared, socket, &mut user).await;
    if let Some(user) = user {
        shared.users.write().unwrap_or_else(PoisonError::into_inner).remove(&user);
    }
}

async fn talk(
    shared: &Arc<Shared>,
    socket: WebSocketStream<TcpStream>,
    user: &mut Option<u64>,
) -> Result<(), Failure> {
    let (sink, mut source) = socket.split();
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(write(receiver, sink));
    while let Some(message) = source.next().await {
        let (dialect, requests) = match message? {
            Message::Text(text) => (Dialect::Json, vec![serde_json::from_str(&text)?]),
            Message::Binary(bytes) => (Dialect::Frames, wire::requests(bytes)?),
            Message::Close(_) => break,
            _ => continue,
        };
        for request in requests {
            match request {
                Request::Hello { id, user: who } => {
                    *user = Some(who);
                    let entry = User { sender: sender.clone(), dialect };
                    shared.users.write().unwrap_or_else(PoisonError::into_inner).insert(who, entry);
                    sender.send(wire::welcome(dialect, id, who)?)?;
                }
                Request::Create { id, channel, mut members } => {
                    let sender = user.ok_or("hello first")?;
                    members.push(sender);
                    let group = Channel { seq: 0, members: members.into() };
                    shared.channels.lock().unwrap_or_else(PoisonError::into_inner).insert(channel, group);
                    shared.message(sender, id, channel, wire::Body::created()).await?;
                }
                Request::Send { id, channel, body } => {
                    shared.message(user.ok_or("hello first")?, id, channel, body).await?;
                }
                Request::Heartbeat(same) => sender.send(same)?,
                Request::Other => {}
            }
        }
    }
    Ok(())
}

async fn write(
    mut receiver: UnboundedReceiver<Message>,
    mut sink: futures_util::stream::SplitSink<WebSocketStream<TcpStream>, Message>,
) {
    while let Some(message) = receiver.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

impl Shared {
    /// Orders, stores, acks and delivers one message.
    async fn message(
        self: &Arc<Self>,
        sender: u64,
        id: u64,
        channel: u128,
        body: wire::Body,
    ) -> Result<(), Failure> {
        let (seq, members) = self.order(channel);
        let time_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
        let stored = Stored { id, channel: channel.to_string(), seq, time_ms, sender, text: body.text };
        let value = serde_json::to_string(&stored)?;
        let key = [channel.to_be_bytes().as_slice(), &seq.to_be_bytes()].concat();
        let (this, bytes) = (self.clone(), value.clone());
        tokio::task::spawn_blocking(move || {
            let mut options = WriteOptions::default();
            options.set_sync(true);
            this.db.put_opt(key, bytes, &options)
        })
        .await??;
        let mut delivery = wire::Delivery::new(&stored, value, body.frame);
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = users.get(&sender) {
            user.sender.send(delivery.ack(user.dialect)?)?;
        }
        for member in members.iter().filter(|member| **member != sender) {
            if let Some(user) = users.get(member) {
                // Who has gone meanwhile misses it: there is no history here.
                let _ = user.sender.send(delivery.message(user.dialect)?);
            }
        }
        Ok(())
    }

    fn order(&self, id: u128) -> (u64, Arc<[u64]>) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(id).or_insert_with(|| {
            let users = protocol::ChannelId(id).users();
            Channel { seq: 0, members: users.map(|(a, b)| [a.0, b.0].into()).unwrap_or_default() }
        });
        channel.seq += 1;
        (channel.seq, channel.members.clone())
    }
}
