//! A PostgreSQL of the test process's own, from the system's package: on a Unix socket in a temporary directory, with a
//! password. It ends with the process that started it, however that ends.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// It stands in every URL, and nowhere else.
pub const PASSWORD: &str = "sesame-f3a9";
/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// PostgreSQL refuses to run as root: it is then this user, nobody on every Linux.
const NOBODY: u32 = 65534;
/// Runs PostgreSQL until standard input ends, which is when whoever holds its other end is gone.
const UNTIL_ALONE: &str = r#""$@" >>log 2>&1 & cat >/dev/null; kill -INT $! 2>/dev/null; wait"#;
/// The same, and then removes the directory.
const REMOVE: &str = r#"folder=$PWD; cat >/dev/null; cd / && rm -rf "$folder""#;

/// One server. A test that stops it has one of its own.
pub struct Postgres {
    folder: PathBuf,
    running: Option<Child>,
    _remover: Child,
    databases: AtomicU64,
}

/// The URL of a fresh database in a server that all tests of this process share.
pub fn fresh() -> String {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(Postgres::start).fresh()
}

impl Postgres {
    /// Makes a cluster and starts it.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("maru-pg").tempdir().unwrap().keep();
        if is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let remover = shell(&folder, REMOVE, &[]).stdin(Stdio::piped()).spawn().unwrap();
        let mut made = shell(&folder, r#""$@" >>log 2>&1"#, &[]);
        made.arg(program("initdb")).args([
            "-D",
            "data",
            "-U",
            "maru",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        made.args(["-A", "scram-sha-256", "--pwfile=password"]);
        std::fs::write(folder.join("password"), PASSWORD).unwrap();
        let is_made = made.stdin(Stdio::null()).status().unwrap().success();
        let mut server = Self { folder, running: None, _remover: remover, databases: AtomicU64::new(0) };
        assert!(is_made, "initdb: {}", server.log());
        server.up();
        server
    }

    /// Starts it, or starts it again, and waits until it answers.
    pub fn up(&mut self) {
        let mut command = shell(&self.folder, UNTIL_ALONE, &[]);
        command.arg(program("postgres")).args(["-D", "data", "-F", "-c", "listen_addresses="]);
        command.arg("-c").arg("max_connections=300").arg("-k").arg(&self.folder);
        self.running = Some(command.stdin(Stdio::piped()).spawn().unwrap());
        let since = Instant::now();
        while !self.ask("SELECT 1") {
            assert!(since.elapsed() < PATIENCE, "it does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it: whoever is connected is cut off.
    pub fn stop(&mut self) {
        let mut running = self.running.take().unwrap();
        drop(running.stdin.take());
        running.wait().unwrap();
    }

    /// The URL of a database that was not there before.
    pub fn fresh(&self) -> String {
        let name = format!("maru{}", self.databases.fetch_add(1, Ordering::Relaxed));
        assert!(self.ask(&format!("CREATE DATABASE {name}")), "{}", self.log());
        self.url(&name, PASSWORD)
    }

    /// The URL of a database with this password.
    pub fn url(&self, database: &str, password: &str) -> String {
        format!("postgres://maru:{password}@localhost/{database}?host={}", self.folder.display())
    }

    fn ask(&self, sql: &str) -> bool {
        let mut psql = Command::new(program("psql"));
        psql.arg("-h").arg(&self.folder).args(["-U", "maru", "-d", "postgres", "-q", "-c", sql]);
        psql.env("PGPASSWORD", PASSWORD).stdout(Stdio::null()).stderr(Stdio::null());
        psql.status().unwrap().success()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// `sh -c` in the folder, as somebody who may run PostgreSQL.
fn shell(folder: &Path, script: &str, args: &[&str]) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            &NOBODY.to_string(),
            "--regid",
            &NOBODY.to_string(),
            "--clear-groups",
            "sh",
        ]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", script, "sh"]).args(args).current_dir(folder);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A program of the package: in the `PATH`, or where Debian keeps the newest version.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|file| file.exists());
    found.unwrap_or_else(|| panic!("{name} is not here: `make setup-test` installs the package postgresql"))
}
