//! `maru admin import`: a new data directory of exported channels.
//!
//! All files are looked at to their ends before anything is written. Until the file `IMPORTING` is gone no program takes the
//! directory for a whole one, and it goes when everything is checked; whatever fails before leaves the directory as empty as it was.
//! Inboxes, own lists and mentions are made by the shards themselves, started on what was written as at any start.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use api::{Accounts, AccountsError, Importing, Keys, Name, Who, now_ms};
use clap::Args;
use storage::Store;

use super::{Place, check};
use crate::boot::{Event, Node};
use crate::config::{Config, QuicAt, StoreKind, Tls};
use crate::directory::{self, IMPORTING};
use crate::export::import::{Counts, Importer, Order};
use crate::export::line::{Line, user_of};
use crate::export::reader::{Lines, Wrong};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What to import, and where to.
#[derive(Args, Clone, Debug)]
pub(super) struct Flags {
    /// Exports of channels, as `maru admin export channel` made them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn run(flags: &Flags, out: &mut impl Write) -> Outcome<ExitCode> {
    let config = flags.place.load()?;
    if config.store == StoreKind::Memory {
        return Err("the store is in memory (setting `store`): what is imported would be gone at once".into());
    }
    let counts = look_at(&flags.files)?;
    let was_there = config.data.exists();
    prepare(&config.data)?;
    let outcome = make(&config, &flags.files, out).await;
    if let Err(error) = outcome {
        return Err(match clear(&config.data, was_there) {
            Ok(()) => error,
            Err(left) => {
                format!("{error}; and {} holds a part of it, empty it: {left}", config.data.display()).into()
            }
        });
    }
    for (path, counts) in flags.files.iter().zip(counts) {
        let Counts { messages, purged, users } = counts;
        writeln!(out, "{}: {messages} messages, {purged} purged ones, {users} users", path.display())?;
    }
    writeln!(out, "people have no password yet: `maru admin password` gives one")?;
    Ok(ExitCode::SUCCESS)
}

/// Every file is whole, of another channel, and in order.
fn look_at(files: &[PathBuf]) -> Outcome<Vec<Counts>> {
    let mut channels = BTreeSet::new();
    let mut all = Vec::with_capacity(files.len());
    for path in files {
        let (mut lines, header) = Lines::open(path)?;
        let mut order = Order::begin(&header).map_err(|what| lines.wrong(what))?;
        let channel = order.channel();
        if !channels.insert(channel) {
            return Err(lines.wrong("the channel is in another file too, or the file is named twice").into());
        }
        while let Some(line) = lines.next()? {
            let right = order.take(&line).and_then(|()| named(&line)).and_then(|()| line.row(channel));
            right.map_err(|what| lines.wrong(what))?;
        }
        all.push(order.end().map_err(|what| lines.wrong(what))?);
    }
    Ok(all)
}

/// A name is one that an account can have.
fn named(line: &Line) -> Result<(), String> {
    match line {
        Line::User { name: Some(name), .. } => parse(name).map(drop),
        _ => Ok(()),
    }
}

fn parse(text: &str) -> Result<Name, String> {
    let name = Name::parse(text).map_err(|fault| format!("the name {text:?}: {fault}"))?;
    if name.shown() == text {
        Ok(name)
    } else {
        Err(format!("the name {text:?} would be {:?}", name.shown()))
    }
}

/// A directory that is not there yet, or empty.
fn prepare(data: &Path) -> Outcome<()> {
    let wrong = |error: io::Error| format!("{}: {error}", data.display());
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(wrong)?;
    for entry in fs::read_dir(data).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        if !is_of_the_volume(&name.to_string_lossy()) {
            return Err(format!(
                "{} holds {name:?}; an import is made into an empty directory, or one that is not there yet",
                data.display()
            )
            .into());
        }
    }
    Ok(())
}

/// From here on no program takes the directory for a whole one. The store is made before, since it is made in an empty directory
/// alone: until then there is nothing of the import in it.
fn mark(data: &Path) -> Outcome<()> {
    let write = || -> io::Result<()> {
        let mut file = File::create_new(data.join(IMPORTING))?;
        file.write_all(b"maru admin import has not come to its end\n")?;
        file.sync_all()?;
        File::open(data)?.sync_all()
    };
    Ok(write().map_err(|error| format!("{}: {error}", data.display()))?)
}

fn is_of_the_volume(name: &str) -> bool {
    name == "lost+found" || name.starts_with('.')
}

/// The directory is as empty as it was. The marker goes last.
fn clear(data: &Path, was_there: bool) -> io::Result<()> {
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_of_the_volume(&name.to_string_lossy()) || name == IMPORTING {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())
        } else {
            fs::remove_file(entry.path())
        }?;
    }
    match fs::remove_file(data.join(IMPORTING)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if was_there { Ok(()) } else { fs::remove_dir(data) }
}

async fn make(config: &Config, files: &[PathBuf], out: &mut impl Write) -> Outcome<()> {
    let store = Arc::new(Store::open(&config.data, &config.storage())?);
    mark(&config.data)?;
    let parts = directory::open_parts(config, &store).await?;
    if parts.accounts.count().await? != (0, 0) {
        return Err(
            "the accounts' database (setting `database`) has users; an import needs an empty one".into()
        );
    }
    fill(&store, files)?;
    start_once(config, store, &parts.keys)?;
    people(&parts.accounts, files).await?;
    parts.accounts.close().await;
    directory::promise(config)?;
    if check::run(config, out).await? != ExitCode::SUCCESS {
        return Err("what the files say does not fit together, as is told above; nothing was imported".into());
    }
    let path = config.data.join(IMPORTING);
    let whole = fs::remove_file(&path).and_then(|()| File::open(&config.data)?.sync_all());
    Ok(whole.map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Each line of each file, which were looked at before.
fn each(path: &Path, take: &mut dyn FnMut(Line) -> Result<(), String>) -> Result<(), Wrong> {
    let (mut lines, _) = Lines::open(path)?;
    while let Some(line) = lines.next()? {
        take(line).map_err(|what| lines.wrong(what))?;
    }
    Ok(())
}

fn fill(store: &Store, files: &[PathBuf]) -> Outcome<()> {
    let mut importer = Importer::new(store);
    for path in files {
        let (lines, header) = Lines::open(path)?;
        let channel = Order::begin(&header).map_err(|what| lines.wrong(what))?.channel();
        let mut of = importer.begin(channel);
        each(path, &mut |line| importer.take(&mut of, line))?;
        importer.end(of)?;
    }
    Ok(())
}

/// The shards deliver what the logs name, and end. Nobody can connect meanwhile.
fn start_once(config: &Config, store: Arc<Store>, keys: &Keys) -> Outcome<()> {
    let config = Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        quic: QuicAt::Off,
        tls: Tls::Off,
        tls_cert: None,
        tls_key: None,
        search: false,
        trace_endpoint: None,
        ..config.clone()
    };
    let (events, happens) = channel();
    let node = Node::start(&config, Instant::now(), store, &keys.all(), &events)?;
    let wait = |wanted: fn(&Event) -> bool| {
        let mut missing = node.shards();
        while missing > 0 {
            match happens.recv() {
                Ok(event) => missing -= usize::from(wanted(&event)),
                Err(_) => return Err("a shard ended before all was delivered"),
            }
        }
        Ok(())
    };
    wait(|event| matches!(event, Event::Ready(_)))?;
    node.drain();
    wait(|event| matches!(event, Event::Drained(_)))?;
    node.stop();
    Ok(())
}

/// Accounts of all whom the files name, in one transaction.
async fn people(accounts: &Accounts, files: &[PathBuf]) -> Outcome<()> {
    let mut importing = accounts.begin_import().await?;
    for path in files {
        let (mut lines, _) = Lines::open(path)?;
        while let Some(line) = lines.next()? {
            let Line::User { user, name, display_name, created_ms } = line else { continue };
            let user = user_of(&user).map_err(|what| lines.wrong(what))?;
            let who = name.map(|name| Who { user, name, display_name, created_ms });
            person(&mut importing, user, who).await.map_err(|what| lines.wrong(what))?;
        }
    }
    Ok(importing.commit().await?)
}

async fn person(importing: &mut Importing, user: protocol::UserId, who: Option<Who>) -> Result<(), String> {
    let in_words = |error: AccountsError| error.to_string();
    let added = importing.added(user).await.map_err(in_words)?;
    let has_left = importing.is_gone(user).await.map_err(in_words)?;
    let otherwise =
        || format!("user {user} is somebody else in another line; export the channels again, at one time");
    let Some(who) = who else {
        if added.is_some() {
            return Err(otherwise());
        }
        return importing.add_gone(user, now_ms()).await.map_err(in_words);
    };
    match added {
        Some(added)
            if added.name == who.name
                && added.display_name == who.display_name
                && added.created_ms == who.created_ms =>
        {
            Ok(())
        }
        None if !has_left => {
            let name = parse(&who.name)?;
            let added = importing.add(&who, &name).await;
            added.map_err(|error| format!("user {user}, {:?}: {error}", who.name))
        }
        _ => Err(otherwise()),
    }
}
