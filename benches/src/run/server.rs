//! One server process on core 0, with a directory of its own, ended by its own handle.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Order, Outcome};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    FloorMio,
    FloorUring,
    FloorTokioUring,
    Ordinary,
    MaruMemory,
    /// In memory, too.
    MaruFourShards,
    MaruRocks,
    /// Durable, with so many shards, on both cores.
    MaruShards(u8),
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FloorMio => "floor, mio",
            Self::FloorUring => "floor, io_uring",
            Self::FloorTokioUring => "floor, tokio-uring",
            Self::Ordinary => "ordinary, durable",
            Self::MaruMemory => "Maru, memory store",
            Self::MaruFourShards => "Maru, 4 shards, memory store",
            Self::MaruRocks => "Maru, durable",
            Self::MaruShards(_) => "Maru, durable, several shards",
        }
    }
}

/// What is beneath Maru's sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Io {
    Epoll,
    Uring,
}

/// What Maru is told beside where its data is.
type Flags = &'static [&'static str];

pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    pub(super) http: Option<String>,
    pub(super) admin: Option<String>,
    pub(super) users: PathBuf,
    kind: Kind,
    flags: Flags,
    folder: TempDir,
}

impl Server {
    /// Starts it with so many users and waits until it listens. No limit of frames: it is the load that is bounded.
    pub(super) fn start(order: &Order, kind: Kind, users: u32) -> Outcome<Self> {
        let flags = &["--frames-per-s", "1000000", "--frames-burst", "1000000", "--user-mib-per-h", "0"];
        Self::start_with(order, kind, (users, 1), flags)
    }

    /// The same over this interface of the kernel, whatever is the default.
    pub(super) fn start_over(order: &Order, kind: Kind, users: u32, io: Io) -> Outcome<Self> {
        const EPOLL: Flags = &[
            "--frames-per-s",
            "1000000",
            "--frames-burst",
            "1000000",
            "--user-mib-per-h",
            "0",
            "--io",
            "epoll",
        ];
        const URING: Flags = &[
            "--frames-per-s",
            "1000000",
            "--frames-burst",
            "1000000",
            "--user-mib-per-h",
            "0",
            "--io",
            "uring",
        ];
        Self::start_with(order, kind, (users, 1), if io == Io::Epoll { EPOLL } else { URING })
    }

    /// The same with so many devices each, and with the limits that an operator has who set none but these flags.
    pub(super) fn start_guarded(
        order: &Order,
        kind: Kind,
        (users, devices): (u32, u32),
        flags: Flags,
    ) -> Outcome<Self> {
        Self::start_with(order, kind, (users, devices), flags)
    }

    fn start_with(order: &Order, kind: Kind, (users, devices): (u32, u32), flags: Flags) -> Outcome<Self> {
        let folder = tempfile::tempdir_in(&order.work)?;
        // Whoever has no accounts takes any well-formed token, so all get theirs from the same tool.
        let made = Command::new(order.bin.join("maru"))
            .args(["admin", "create-users", "--prefix", "bench", "--count", &users.to_string()])
            .args(["--devices", &devices.to_string(), "--data"])
            .arg(folder.path().join("data"))
            .arg("--tokens")
            .arg(folder.path().join("users"))
            .output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
        }
        Self::serve(order, kind, folder, flags)
    }

    /// Ends it and starts it again on the same directory.
    pub(super) fn restart(mut self, order: &Order) -> Outcome<Self> {
        self.end();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir_in(&order.work)?);
        Self::serve(order, self.kind, folder, self.flags)
    }

    fn serve(order: &Order, kind: Kind, folder: TempDir, flags: Flags) -> Outcome<Self> {
        let log = fs::File::create(folder.path().join("log"))?;
        let mut child = command(order, kind, folder.path(), flags)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", kind.name()))?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
        let ready = loop {
            match lines.next() {
                Some(line) if line.as_ref().is_ok_and(|line| line.contains(" ready ")) => break line?,
                Some(Ok(_)) => {}
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
                    return Err(format!("{} did not start: {log}", kind.name()).into());
                }
            }
        };
        let word = |key: &str| ready.split(' ').find_map(|word| word.strip_prefix(key)).map(str::to_owned);
        let url = word("ws=").ok_or("no address")?;
        Ok(Self {
            child,
            url,
            http: word("http=http://"),
            admin: word("admin=http://"),
            users: folder.path().join("users"),
            kind,
            flags,
            folder,
        })
    }

    /// Ends it in order: what waits is made durable, files are closed.
    pub(super) fn stop(&mut self) -> Outcome<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
        kill_process(pid, Signal::TERM)?;
        if !self.child.wait()?.success() {
            return Err(format!("{} did not stop in order", self.kind.name()).into());
        }
        Ok(())
    }

    /// Bytes of the files in its directory that hold rows: tables and write-ahead logs, not the ballast or RocksDB's words.
    pub(super) fn stored_bytes(&self) -> Outcome<f64> {
        row_bytes(&self.folder.path().join("data"))
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A counter of the metrics, summed over its labels; 0 for a server without metrics.
    pub(super) fn metric(&self, name: &str) -> Outcome<f64> {
        let Some(admin) = &self.admin else { return Ok(0.0) };
        let mut stream = TcpStream::connect(admin)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            if !rest.starts_with(['{', ' ']) {
                return None;
            }
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        });
        Ok(values.sum())
    }

    /// A figure of `/proc/PID/status`, KiB.
    pub(super) fn kib(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
    }

    /// Microseconds that threads whose name begins so have run, by the scheduler's own clock.
    pub(super) fn thread_us(&self, name: &str) -> f64 {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.pid())) else { return 0.0 };
        let run = tasks.flatten().filter_map(|task| {
            let comm = fs::read_to_string(task.path().join("comm")).ok()?;
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let ns: f64 = schedstat.split(' ').next()?.parse().ok()?;
            comm.starts_with(name).then_some(ns / 1000.0)
        });
        run.sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn row_bytes(folder: &Path) -> Outcome<f64> {
    let mut bytes = 0.0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        let name = entry.path();
        if about.is_dir() {
            bytes += row_bytes(&name)?;
        } else if name.extension().is_some_and(|end| ["sst", "log", "blob"].iter().any(|kind| end == *kind)) {
            bytes += about.len() as f64;
        }
    }
    Ok(bytes)
}

fn command(order: &Order, kind: Kind, folder: &Path, flags: Flags) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", if matches!(kind, Kind::MaruShards(_)) { "0,1" } else { "0" }]);
    let floor = |command: &mut Command, driver: &str| {
        command.arg(order.bin.join("floor")).args(["--driver", driver]);
    };
    match kind {
        Kind::FloorMio => floor(&mut command, "mio"),
        Kind::FloorUring => floor(&mut command, "uring"),
        Kind::FloorTokioUring => floor(&mut command, "tokio-uring"),
        Kind::Ordinary => {
            command.arg(order.bin.join("ordinary")).arg("--data").arg(folder.join("ordinary"));
        }
        Kind::MaruMemory | Kind::MaruFourShards | Kind::MaruRocks | Kind::MaruShards(_) => {
            let (store, shards) = match kind {
                Kind::MaruRocks => ("rocks", 1),
                Kind::MaruShards(count) => ("rocks", count),
                Kind::MaruFourShards => ("memory", 4),
                _ => ("memory", 1),
            };
            command.arg(order.bin.join("maru")).args([
                "serve",
                "--shards",
                &shards.to_string(),
                "--store",
                store,
            ]);
            command.args([
                "--http",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--listen",
                "127.0.0.1:0",
            ]);
            command.args(["--data"]);
            command.arg(folder.join("data"));
            command.args(["--log", "warn"]);
            command.args(flags);
        }
    }
    command
}
