//! `floods`: how soon health is answered and a right login lets in, while somebody floods the HTTP port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use benches::run::{Outcome, machine, replace};
use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

/// Prints the table. The server runs with its defaults and takes loopback for a proxy, so that every request may come from an
/// address of its own.
#[derive(Parser)]
struct Flags {
    /// Where `maru` is
    #[arg(long)]
    bin: PathBuf,
    /// Directory on the data disk
    #[arg(long)]
    work: PathBuf,
    /// Seconds of each flood
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The page whose table is replaced; else it is printed
    #[arg(long)]
    page: Option<PathBuf>,
}

const PASSWORD: &str = "correct horse battery staple";
/// Connections that never speak, and those that ask and never read.
const SILENT: usize = 2800;
const DEAF: usize = 1100;
const REQUESTS_A_SECOND: u64 = 200;
const PEOPLE: usize = 150;
/// Longer than whatever is promised.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let flags = Flags::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&flags)));
    if let Err(error) = outcome {
        eprintln!("floods: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A server at work; killed when it is dropped.
struct Server {
    child: Child,
    public: SocketAddr,
    admin: SocketAddr,
    _data: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start(flags: &Flags) -> Outcome<Server> {
    std::fs::create_dir_all(&flags.work)?;
    let data = tempfile::tempdir_in(&flags.work)?;
    let mut child = Command::new(flags.bin.join("maru"))
        .arg("serve")
        .arg("--data")
        .arg(data.path())
        .args(["--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--quic", "off"])
        .args(["--trusted-proxies", "127.0.0.1", "--log", "error", "--audit", "false"])
        // People are made from one address here.
        .args(["--address-signups-per-h", "1000000", "--signups-per-h", "1000000"])
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().ok_or("no stdout")?;
    let out = tokio::process::ChildStdout::from_std(out)?;
    let mut lines = BufReader::new(out).lines();
    while let Some(line) = lines.next_line().await? {
        let Some(fields) = line.strip_prefix("maru ready ") else { continue };
        let address = |name: &str| {
            let url =
                fields.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix("=http://"))?;
            url.parse().ok()
        };
        let (public, admin) = address("http").zip(address("admin")).ok_or("no addresses")?;
        return Ok(Server { child, public, admin, _data: data });
    }
    Err("the server did not start".into())
}

/// Where a request says that it comes from.
fn address(number: u64) -> String {
    format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255)
}

/// A known device that logs in: what it asks, and the token that it shows.
#[derive(Clone)]
struct Known {
    body: Value,
    token: String,
}

impl Known {
    async fn login(&self, to: SocketAddr, from: &str) -> Outcome<(u16, Value)> {
        let from = format!("{from}\r\nAuthorization: Bearer {}", self.token);
        ask(to, &from, "POST", "/v1/login", Some(&self.body)).await
    }
}

/// One request on a connection of its own: the status, and the body.
async fn ask(
    to: SocketAddr,
    from: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Outcome<(u16, Value)> {
    let exchange = async {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nX-Forwarded-For: {from}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(PATIENCE, exchange).await.map_err(|_| "no answer in time")??;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    let body = answer.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
    Ok((status, body.unwrap_or_default()))
}

/// Signs somebody up and logs a device in.
async fn person(server: &Server, name: &str) -> Outcome<Known> {
    let body = json!({ "name": name, "password": PASSWORD });
    let (status, answer) = ask(server.public, "10.255.0.1", "POST", "/v1/signup", Some(&body)).await?;
    if status != 201 {
        return Err(format!("sign-up: {status} {answer}").into());
    }
    let (status, answer) = ask(server.public, "10.255.0.1", "POST", "/v1/login", Some(&body)).await?;
    if status != 200 {
        return Err(format!("login: {status} {answer}").into());
    }
    let field = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let body = json!({ "name": name, "password": PASSWORD, "device": field("device") });
    Ok(Known { body, token: field("token") })
}

/// What somebody does to the port for as long as this is held.
enum Flood {
    Nothing,
    Silent,
    Deaf,
    SignUps { from_one: bool },
    Guesses,
    People(Vec<Known>),
}

impl Flood {
    fn name(&self) -> String {
        match self {
            Self::Nothing => "nothing".into(),
            Self::Silent => format!("{SILENT} connections that never speak"),
            Self::Deaf => format!("{DEAF} connections that ask and never read"),
            Self::SignUps { from_one: true } => format!("{REQUESTS_A_SECOND} sign-ups a second, one address"),
            Self::SignUps { from_one: false } => {
                format!("{REQUESTS_A_SECOND} sign-ups a second, as many addresses")
            }
            Self::Guesses => {
                format!("{REQUESTS_A_SECOND} wrong passwords a second for that account, as many addresses")
            }
            Self::People(_) => {
                format!("{PEOPLE} right logins at once beside a stranger's guesses, one address")
            }
        }
    }

    /// Until it is aborted.
    async fn go(self, to: SocketAddr) {
        let outcome = match self {
            Self::Nothing => Ok(()),
            Self::Silent => hold(to, SILENT, b"").await,
            Self::Deaf => {
                let asks = "GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(400);
                hold(to, DEAF, asks.as_bytes()).await
            }
            Self::SignUps { from_one } => {
                paced(
                    to,
                    "/v1/signup",
                    from_one,
                    |number| json!({ "name": format!("flood{number}"), "password": PASSWORD }),
                )
                .await
            }
            Self::Guesses => {
                paced(
                    to,
                    "/v1/login",
                    false,
                    |number| json!({ "name": "ann", "password": format!("guess guess {number}") }),
                )
                .await
            }
            Self::People(people) => {
                let mut all = JoinSet::new();
                for known in people {
                    all.spawn(async move { matches!(known.login(to, "10.254.0.1").await, Ok((200, _))) });
                }
                for number in 0..PEOPLE {
                    all.spawn(async move {
                        let guess = json!({ "name": format!("people{number}"), "password": "guess guess" });
                        ask(to, "10.254.0.1", "POST", "/v1/login", Some(&guess)).await.is_ok()
                    });
                }
                while let Some(done) = all.join_next().await {
                    if !matches!(done, Ok(true)) {
                        eprintln!("floods: one of {PEOPLE} right logins was refused");
                    }
                }
                Ok(())
            }
        };
        if let Err(error) = outcome {
            eprintln!("floods: {error}");
        }
        std::future::pending::<()>().await;
    }
}

/// Holds so many connections, each with some bytes sent and nothing read; who is thrown out comes again.
async fn hold(to: SocketAddr, count: usize, bytes: &[u8]) -> std::io::Result<()> {
    let mut held = std::collections::VecDeque::new();
    loop {
        let stream = TcpStream::connect(to).await?;
        let _ = stream.try_write(bytes);
        held.push_back(stream);
        if held.len() > count {
            held.pop_front();
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// So many requests a second, whatever is answered.
async fn paced(
    to: SocketAddr,
    path: &'static str,
    from_one: bool,
    body: impl Fn(u64) -> Value,
) -> std::io::Result<()> {
    let mut ticks = interval(Duration::from_micros(1_000_000 / REQUESTS_A_SECOND));
    let mut under_way = JoinSet::new();
    for number in 0.. {
        ticks.tick().await;
        while under_way.try_join_next().is_some() {}
        let (from, body) = (address(if from_one { 1 } else { number }), body(number));
        under_way.spawn(async move { drop(ask(to, &from, "POST", path, Some(&body)).await) });
    }
    Ok(())
}

/// What was measured of one question: how often it failed, and how long it took, milliseconds.
#[derive(Default)]
struct Asked {
    failed: u64,
    took_ms: Vec<f64>,
}

impl Asked {
    fn note(&mut self, began: Instant, outcome: &Outcome<(u16, Value)>) {
        match outcome {
            Ok((200, _)) => self.took_ms.push(began.elapsed().as_secs_f64() * 1e3),
            _ => self.failed += 1,
        }
    }

    fn cells(&mut self) -> String {
        self.took_ms.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let last = self.took_ms.len().saturating_sub(1);
            self.took_ms
                .get((last as f64 * part) as usize)
                .map_or_else(|| "-".into(), |ms| format!("{ms:.0}"))
        };
        format!("{} | {} | {}", at(0.5), at(1.0), self.failed)
    }
}

async fn measure(server: &Server, ann: &Known, flood: Flood, seconds: u64) -> String {
    let (name, to) = (flood.name(), server.public);
    let flood = tokio::task::spawn(flood.go(to));
    let until = Instant::now() + Duration::from_secs(seconds);
    let health = async {
        let mut asked = Asked::default();
        while Instant::now() < until {
            let began = Instant::now();
            asked.note(began, &ask(server.admin, "", "GET", "/healthz", None).await);
            sleep(Duration::from_millis(50)).await;
        }
        asked
    };
    let logins = async {
        let mut asked = Asked::default();
        while Instant::now() < until {
            let began = Instant::now();
            asked.note(began, &ann.login(to, "10.253.0.1").await);
            sleep(Duration::from_millis(200)).await;
        }
        asked
    };
    let (mut health, mut logins) = tokio::join!(health, logins);
    flood.abort();
    format!("| {name} | {} | {} |\n", health.cells(), logins.cells())
}

async fn run(flags: &Flags) -> Outcome<()> {
    let mut table = format!(
        "### Health and logins under floods\n\n`floods --bin DIR --work DIR --seconds {}`: health at the admin listener each 50 ms and the right \
         login of a known device each 200 ms, beside one flood at a time, all on the same machine as the server. Wanted: health within 1 s, the login within 2 s.\n\n{}\n\n\
         | flood | health p50, ms | max, ms | refused | login p50, ms | max, ms | refused |\n|---|---|---|---|---|---|---|\n",
        flags.seconds,
        machine(&flags.work)
    );
    let mut floods = vec![
        Flood::Nothing,
        Flood::Silent,
        Flood::Deaf,
        Flood::SignUps { from_one: true },
        Flood::SignUps { from_one: false },
        Flood::Guesses,
        Flood::People(Vec::new()),
    ];
    for flood in &mut floods {
        let server = start(flags).await?;
        let ann = person(&server, "ann").await?;
        if let Flood::People(people) = flood {
            for number in 0..PEOPLE {
                people.push(person(&server, &format!("people{number}")).await?);
            }
        }
        let flood = std::mem::replace(flood, Flood::Nothing);
        eprintln!("floods: {}", flood.name());
        table += &measure(&server, &ann, flood, flags.seconds).await;
    }
    if let Some(page) = &flags.page {
        return replace(page, "floods", table.trim_end());
    }
    print!("{table}");
    Ok(())
}
