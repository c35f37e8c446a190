//! The real tool against a real `maru serve`: delivery is proved, also through a `kill -9`, and what is wrong is said in
//! words. Ports are free ones of loopback, folders temporary, processes ended by their own handles.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../../server/tests/e2e/ports.rs"]
mod ports;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

const USERS: &str = "40";
const PATIENCE: Duration = Duration::from_secs(120);

struct Server {
    folder: tempfile::TempDir,
    child: Child,
    ready: Ready,
}

/// Where a server says it is.
struct Ready {
    ws: String,
    http: String,
    admin: String,
}

/// The server's binary stands beside the tool's. `make` has built the workspace before a test of it runs and says so; a test of this
/// package alone has not: cargo builds it when it is not there or not fresh.
fn maru() -> PathBuf {
    if std::env::var_os("WORKSPACE_BUILT").is_none() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "server", "--bin", "maru"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .status();
        assert!(built.unwrap().success());
    }
    Path::new(env!("CARGO_BIN_EXE_maru-load")).with_file_name("maru")
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new(maru())
            .args(["admin", "create-users", "--count", USERS, "--data"])
            .arg(folder.path().join("data"))
            .arg("--tokens")
            .arg(folder.path().join("users"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let (child, ready) = spawn(folder.path(), &ports::own("127.0.0.1:0"));
        Self { folder, child, ready }
    }

    /// SIGKILL, and again at the same address.
    fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let address = self.ready.ws.trim_start_matches("ws://").trim_end_matches("/ws").to_owned();
        (self.child, self.ready) = spawn(self.folder.path(), &address);
    }

    /// Messages that the server has stored since it began.
    fn stored(&self) -> u64 {
        let address = self.ready.admin.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("maru_messages_stored_total"));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }

    /// Until so many are stored. The patience only ends a test that has failed.
    fn until_stored(&self, messages: u64) {
        let since = Instant::now();
        while self.stored() < messages {
            assert!(since.elapsed() < PATIENCE, "{} of {messages} messages", self.stored());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn load(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maru-load"));
        command
            .args(args)
            .args(["--quiet", "--server", &self.ready.ws, "--http", &self.ready.http])
            .args(["--admin", &self.ready.admin, "--users"])
            .arg(self.folder.path().join("users"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, listen: &str) -> (Child, Ready) {
    let mut child = Command::new(maru())
        .args([
            "serve",
            "--http",
            "127.0.0.1:0",
            "--listen",
            listen,
            "--shards",
            "2",
            "--log",
            "error",
            "--data",
        ])
        .arg(folder.join("data"))
        .args(["--frames-per-s", "1000000", "--frames-burst", "1000000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let ready = lines.into_iter().find(|line| line.starts_with("maru ready ")).unwrap();
    let word = |name| ready.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap().to_owned();
    (child, Ready { ws: word("ws="), http: word("http="), admin: word("admin=") })
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn report(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// VOID is fine here: a test machine may be busy, and nothing is measured.
fn assert_whole(output: &Output) {
    assert!(matches!(output.status.code(), Some(0 | 3)), "{:?}: {}", output.status, words(output));
}

#[test]
fn direct_is_verified_and_every_report_is_written() {
    let server = Server::start();
    let [json, html, hlog] = ["a.json", "a.html", "a.hlog"].map(|name| server.file(name));
    let args = ["direct", "--devices", "40", "--warmup", "0.5", "--seconds", "2", "--verify"];
    let files = ["--json", &json, "--html", &html, "--hlog", &hlog];
    let pid = server.child.id().to_string();
    let output = server.load(&args).args(files).args(["--server-pid", &pid]).output().unwrap();
    assert_whole(&output);
    let report = report(&json);
    let faults = &report["outcome"]["faults"];
    assert!(
        faults["messages"].as_u64().unwrap() > 40 && faults["messages"] == faults["deliveries"],
        "{faults}"
    );
    for kind in ["lost", "doubled", "reordered", "foreign", "damaged"] {
        assert_eq!(faults[kind], 0, "{faults}");
    }
    assert!(report["server_use"]["cpu_us_per_delivery"].as_f64().unwrap() > 0.0);
    assert!(report["latencies"]["ack"]["p50_us"].as_f64().unwrap() > 0.0);
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("<svg") && page.ends_with("</html>\n"));
    let fetches = ["src=", "href=", "url(", "@import", "<script"];
    assert!(fetches.iter().all(|word| !page.contains(word)), "the page needs nothing else");
    let log = std::fs::read_to_string(&hlog).unwrap();
    assert!(log.lines().filter(|line| !line.starts_with(['#', '"'])).count() >= 2, "{log}");
    let same =
        Command::new(env!("CARGO_BIN_EXE_maru-load")).args(["compare", &json, &json]).output().unwrap();
    assert!(same.status.success() && !words(&same).contains("B is"), "{}", words(&same));
}

#[test]
fn mixed_is_verified_through_a_crash_with_two_workers() {
    let mut server = Server::start();
    let json = server.file("m.json");
    let args =
        ["mixed", "--devices", "40", "--warmup", "0", "--seconds", "4", "--rate", "100", "--cut-rate", "5"];
    let more = ["--set", "group.size=4", "--set", "group.senders=2", "--offline-ms", "200", "--workers", "2"];
    let mut run = server.load(&args).args(more).args(["--verify", "--json", &json]).spawn().unwrap();
    // The run is in full swing; when exactly decides nothing.
    server.until_stored(100);
    server.crash();
    let status = run.wait().unwrap();
    assert!(matches!(status.code(), Some(0 | 3)), "{status:?}: {}", words(&run.wait_with_output().unwrap()));
    let report = report(&json);
    assert_eq!(report["verdict"]["violations"], 0);
    assert!(report["outcome"]["faults"]["deliveries"].as_u64().unwrap() > 100);
    assert_eq!(report["outcome"]["unacked"], 0);
    let lost: u64 =
        report["outcome"]["closes"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert!(lost >= 1, "the crash was noticed");
}

#[test]
fn quic_is_verified_through_a_crash_beside_websockets() {
    let mut server = Server::start();
    let json = server.file("q.json");
    let args =
        ["mixed", "--devices", "40", "--warmup", "0", "--seconds", "4", "--rate", "100", "--cut-rate", "5"];
    let more =
        ["--set", "group.size=4", "--set", "group.senders=2", "--offline-ms", "200", "--quic-share", "0.5"];
    let mut run = server.load(&args).args(more).args(["--verify", "--json", &json]).spawn().unwrap();
    server.until_stored(100);
    server.crash();
    let status = run.wait().unwrap();
    assert!(matches!(status.code(), Some(0 | 3)), "{status:?}: {}", words(&run.wait_with_output().unwrap()));
    let report = report(&json);
    assert_eq!(
        (report["verdict"]["violations"].as_u64(), report["outcome"]["unacked"].as_u64()),
        (Some(0), Some(0))
    );
    let landings = &report["outcome"]["landings"];
    assert!(landings["home"].as_u64().unwrap() > 20, "{landings}");
    assert_eq!(landings["elsewhere"], 0, "every connection has the hint");
}

#[test]
fn without_the_hint_quic_connections_land_anywhere_and_are_served() {
    let server = Server::start();
    let json = server.file("n.json");
    let args = ["direct", "--devices", "40", "--warmup", "0", "--seconds", "1", "--rate", "50", "--verify"];
    let output =
        server.load(&args).args(["--transport", "quic", "--no-hint", "--json", &json]).output().unwrap();
    assert_whole(&output);
    let report = report(&json);
    let landings = &report["outcome"]["landings"];
    let (home, elsewhere) = (landings["home"].as_u64().unwrap(), landings["elsewhere"].as_u64().unwrap());
    assert_eq!(home + elsewhere, 40);
    // Of two shards: all forty at home once in 10^12 runs.
    assert!(elsewhere > 0, "{landings}");
    assert!(words(&output).contains("served by their user's home"), "{}", words(&output));
}

/// The tool with the server's own token instead of a file of users.
fn with_own_users(server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maru-load"));
    let Ready { ws, http, admin } = &server.ready;
    command.args(args).args([
        "--quiet",
        "--server",
        ws,
        "--http",
        http,
        "--admin",
        admin,
        "--admin-token-file",
    ]);
    command.arg(server.file("data/admin.token")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_tool_makes_its_users_and_all_their_devices_are_told_everything() {
    let server = Server::start();
    let json = server.file("d.json");
    let args = ["mixed", "--devices", "60", "--devices-per-user", "3", "--workers", "2", "--seconds", "2"];
    let more = [
        "--peers",
        "1",
        "--rate",
        "40",
        "--set",
        "group.size=2",
        "--set",
        "group.senders=1",
        "--quic-share",
        "0.5",
    ];
    let files = ["--verify", "--json", &json];
    let output = with_own_users(&server, &args).args(more).args(files).output().unwrap();
    assert_whole(&output);
    let report = report(&json);
    let faults = &report["outcome"]["faults"];
    let count = |key: &str| faults[key].as_u64().unwrap();
    // Two users of three devices: five others are told each message.
    assert!(count("messages") > 40 && count("deliveries") == 5 * count("messages"), "{faults}");
    assert_eq!(report["verdict"]["violations"], 0);
    let fails = |command: &mut Command, expected: &str| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(words(&output).contains(expected), "{expected}: {}", words(&output));
    };
    fails(&mut with_own_users(&server, &["direct", "--devices", "3", "--devices-per-user", "2"]), "multiple");
    let token = server.file("data/admin.token");
    std::fs::write(&token, "no token at all").unwrap();
    fails(&mut with_own_users(&server, &["direct"]), "unauthenticated");
    std::fs::remove_file(&token).unwrap();
    fails(&mut with_own_users(&server, &["direct"]), "--admin-token-file");
}

#[test]
fn a_storm_is_told_apart_from_what_goes_on_beside_it() {
    let server = Server::start();
    let json = server.file("s.json");
    let args = ["storm", "--devices", "40", "--warmup", "0", "--seconds", "3", "--rate", "100", "--verify"];
    let storm = ["--set", "cut.storms_at_s=[1.0]", "--offline-ms", "300", "--json", &json];
    let output = server.load(&args).args(storm).output().unwrap();
    assert_whole(&output);
    let report = report(&json);
    let storm = &report["outcome"]["storms"][0];
    assert_eq!(storm["cut"], 32, "four of five are idle");
    let latencies = &report["latencies"];
    let count = |name: &str| latencies[name]["count"].as_u64().unwrap();
    assert!(count("storm") > 0 && count("storm") + count("calm") == count("delivery"), "{storm}");
    assert!(words(&output).contains("all authenticated again in"), "{}", words(&output));
}

#[test]
fn half_load_is_found_and_the_servers_own_latencies_are_beside_it() {
    let server = Server::start();
    let json = server.file("half.json");
    let pid = server.child.id().to_string();
    let sweep = ["sweep", "direct", "--devices", "40", "--from", "200", "--to", "400", "--busy", "8"];
    let runs =
        ["--search-seconds", "1", "--warmup", "0.5", "--seconds", "3", "--metrics", "--server-pid", &pid];
    let output = server.load(&sweep).args(runs).args(["--json", &json]).output().unwrap();
    assert_whole(&output);
    let half = report(&json);
    // Eight cores are more than this load can use; a busy machine may still not follow, and then less than all holds.
    let rounds = half["rounds"].as_array().unwrap();
    let highest = half["highest_per_s"].as_f64().unwrap();
    assert!(rounds.iter().any(|round| round["holds"] == true && round["rate_per_s"] == highest), "{half}");
    assert_eq!(half["half_per_s"].as_f64().unwrap(), highest / 2.0);
    assert_eq!(half["report"]["scenario"]["load"]["rate"].as_f64().unwrap(), highest / 2.0);
    assert!(half["busy"].as_f64().unwrap() > 0.0);
    for name in ["ack", "delivery"] {
        let own = &half["report"]["server_latency"][name];
        let figure = |key: &str| own[key].as_f64().unwrap();
        assert!(
            figure("count") > 0.0 && figure("p50_us") > 0.0 && figure("p99_us") >= figure("p50_us"),
            "{own}"
        );
    }
    assert!(
        words(&output).contains("half load") && words(&output).contains("server's own ack"),
        "{}",
        words(&output)
    );
    for (flags, expected) in [
        (&["--busy", "0.5"][..], "--server-pid"),
        (&["--busy", "0", "--server-pid", &pid], "a share of one core above 0"),
        (&["--busy", "0.5", "--p99-ms", "3", "--server-pid", &pid], "cannot be used with"),
    ] {
        let output = server.load(&["sweep", "direct"]).args(flags).output().unwrap();
        assert!(!output.status.success() && words(&output).contains(expected), "{}", words(&output));
    }
}

/// Processes that a process has started.
fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn a_signal_ends_the_run_early_and_keeps_what_was_counted() {
    let server = Server::start();
    for signal in [Signal::INT, Signal::TERM] {
        let json = server.file("i.json");
        let args =
            ["direct", "--devices", "6", "--workers", "3", "--warmup", "0", "--seconds", "600", "--verify"];
        let mut command = server.load(&args);
        command.args(["--json", &json]);
        let run = command.args(["--rate", "50"]).spawn().unwrap();
        let pid = run.id();
        // Something was counted; everything else waits for the process's own end.
        server.until_stored(server.stored() + 200);
        let workers = children(pid);
        assert_eq!(workers.len(), 3);
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", words(&output));
        assert!(words(&output).contains("PARTIAL: stopped by a signal"), "{}", words(&output));
        let report = report(&json);
        assert_eq!(report["verdict"]["partial"].as_array().unwrap().len(), 1);
        assert!(report["outcome"]["faults"]["messages"].as_u64().unwrap() > 20);
        assert_eq!(report["verdict"]["violations"], 0);
        for worker in workers {
            assert!(!Path::new(&format!("/proc/{worker}")).exists(), "worker {worker} is still there");
        }
    }
}

#[test]
fn bad_input_is_named_and_the_exit_code_is_not_zero() {
    let mut server = Server::start();
    let fails = |command: &mut Command, expected: &str| {
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{expected}");
        assert!(words(&output).contains(expected), "{expected}: {}", words(&output));
    };
    fails(&mut server.load(&["direct", "--set", "load.speed=3"]), "speed");
    fails(&mut server.load(&["direct", "--devices", "41"]), "create-users");
    fails(
        &mut server.load(&["direct", "--devices", "2", "--seconds", "1", "--json", "/dev/full"]),
        "cannot be written",
    );
    let users = std::fs::read_to_string(server.file("users")).unwrap();
    let forged = server.file("forged");
    std::fs::write(&forged, users.replace("\tm2.", "\tm2.AAAA")).unwrap();
    let mut wrong = Command::new(env!("CARGO_BIN_EXE_maru-load"));
    wrong.args(["direct", "--devices", "2", "--quiet", "--server", &server.ready.ws, "--users", &forged]);
    fails(&mut wrong, "unauthenticated");
    // A server that dies and does not come back: what was counted is kept and marked.
    let json = server.file("p.json");
    let args =
        ["direct", "--devices", "4", "--warmup", "0", "--seconds", "60", "--patience", "1", "--json", &json];
    let run = server.load(&args).spawn().unwrap();
    server.until_stored(server.stored() + 50);
    server.child.kill().unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", words(&output));
    assert!(words(&output).contains("the server was gone"));
    assert!(report(&json)["totals"]["acked_per_s"].as_f64().unwrap() > 0.0);
    fails(&mut server.load(&["direct", "--devices", "2"]), "cannot be reached");
}
