//! What a service manager hears of a server, and of one whose shard stands still. The shard's thread is stopped from outside, by
//! ptrace, which stops one thread and not the process; nothing in the server knows of it.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::node::{Node, PATIENCE};

/// One thread that is stopped until this is dropped. Lives on the thread that made it: a tracer is a thread.
struct Stopped(libc::pid_t);

#[allow(unsafe_code)]
impl Stopped {
    fn new(thread: libc::pid_t) -> Self {
        let null = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: neither call takes or gives memory of ours.
        let outcome = unsafe {
            (libc::ptrace(libc::PTRACE_SEIZE, thread, null, null) == 0)
                && libc::ptrace(libc::PTRACE_INTERRUPT, thread, null, null) == 0
        };
        assert!(outcome, "ptrace of a child: {}", std::io::Error::last_os_error());
        let mut status = 0;
        // SAFETY: the status is ours and outlives the call.
        let waited = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
        assert_eq!(waited, thread, "{}", std::io::Error::last_os_error());
        Self(thread)
    }
}

#[allow(unsafe_code)]
impl Drop for Stopped {
    fn drop(&mut self) {
        let null = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the call takes no memory of ours.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, null, null) };
    }
}

/// The thread of that name.
fn thread(node: &Node, name: &str) -> libc::pid_t {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", node.pid())).unwrap();
    let found = tasks
        .map(|task| task.unwrap())
        .find(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name));
    found.expect(name).file_name().to_str().unwrap().parse().unwrap()
}

/// A service manager's ear.
struct Manager {
    socket: UnixDatagram,
    path: String,
    _folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path: path.to_str().unwrap().to_owned(), _folder: folder }
    }

    fn hears(&self) -> String {
        let mut text = [0; 4096];
        let bytes = self.socket.recv(&mut text).expect("the server says something");
        String::from_utf8(text[..bytes].to_vec()).unwrap()
    }

    /// Everything up to the first message that holds this.
    fn until(&self, part: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|text: &String| !text.contains(part)) {
            heard.push(self.hears());
        }
        heard
    }

    fn forget(&self) {
        self.socket.set_nonblocking(true).unwrap();
        let mut text = [0; 4096];
        while self.socket.recv(&mut text).is_ok_and(|bytes| bytes > 0) {}
        assert_eq!(self.socket.recv(&mut text).unwrap_err().kind(), ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).unwrap();
    }
}

fn health(node: &Node) -> String {
    node.admin_raw("GET /healthz HTTP/1.0\r\n\r\n")
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_stalled_shard_is_told_to_all_who_watch() {
    let manager = Manager::new();
    let variables = [("NOTIFY_SOCKET", manager.path.as_str()), ("WATCHDOG_USEC", "60000000")];
    // Where ptrace is for those who may dump, a server that may not be looked into could not be stopped.
    let mut node = Node::start_by(&[], &variables, 2, &["--watchdog-ms", "1000", "--core-dumps", "true"]);
    manager.until("READY=1");
    manager.until("WATCHDOG=1");
    until("it is healthy", || health(&node).contains(" 200 "));
    let stopped = Stopped::new(thread(&node, "shard-1"));
    let line = node.logs(&["a shard stands still", "shard=1"]);
    assert!(line.contains("stopped from outside") && line.contains("turns="), "{line}");
    let answer = health(&node);
    assert!(answer.contains(" 503 ") && answer.contains("shard 1 takes no turn"), "{answer}");
    assert!(node.http_raw("GET /healthz HTTP/1.0\r\n\r\n").contains("\"code\":\"stalled\""));
    assert!(node.metric("maru_stalls_total", "") >= 1 && node.metric("maru_shards_stalled", "") >= 1);
    manager.until("shard 1 stands still");
    manager.forget();
    // A look later still no sign of life has come: it would have been the only thing to hear.
    drop(stopped);
    let heard = manager.until("STATUS=serving");
    let first = heard.iter().position(|text| text == "WATCHDOG=1").unwrap_or(heard.len());
    assert!(first + 1 >= heard.len() - 1, "no sign of life before it goes on: {heard:?}");
    until("it is healthy again", || health(&node).contains(" 200 "));
    node.logs(&["a shard that stood still goes on", "shard=1"]);
    assert_eq!(node.stop(), Some(0));
    manager.until("STOPPING=1");
}

#[test]
fn a_manager_hears_of_start_reload_and_end() {
    let manager = Manager::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("maru.toml");
    std::fs::write(&file, "readers = 2\n").unwrap();
    let variables = [("NOTIFY_SOCKET", manager.path.as_str())];
    let mut node = Node::start_by(&[], &variables, 1, &["--config", file.to_str().unwrap()]);
    assert_eq!(manager.until("READY=1").len(), 1, "nothing before it serves");
    node.hang_up();
    let reloads = manager.until("RELOADING=1").pop().unwrap();
    let since = reloads.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!(since.parse::<u64>().unwrap() > 0);
    manager.until("READY=1");
    assert_eq!(node.stop(), Some(0));
    manager.until("STOPPING=1");
}

/// Unless it is wanted, the process can leave no core dump, and what it makes is for its owner alone.
#[test]
fn it_keeps_to_itself() {
    let mut node = Node::start_by(&["bash", "-c", "umask 000; exec \"$0\" \"$@\""], &[], 1, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    assert!(status.lines().any(|line| line == "Umask:\t0077"), "{status}");
    // What may not be dumped belongs to root in /proc.
    let owner = |node: &Node| {
        use std::os::unix::fs::MetadataExt as _;
        let environment = format!("/proc/{}/environ", node.pid());
        std::fs::metadata(environment).unwrap().uid()
    };
    assert_eq!(owner(&node), 0);
    assert_eq!(node.stop(), Some(0));
    let mut entries = vec![node.data.clone()];
    while let Some(entry) = entries.pop() {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = std::fs::metadata(&entry).unwrap();
        assert_eq!(meta.permissions().mode() & 0o077, 0, "{}", entry.display());
        if meta.is_dir() {
            entries.extend(std::fs::read_dir(&entry).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}
