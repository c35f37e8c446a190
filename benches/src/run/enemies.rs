//! Registered enemies, one after the other and all at once: what they cost the server's memory, and what a bystander
//! notices. Each is one account or a few, with the default limits of the server.

mod attack;
mod bystander;
pub(super) mod endure;
mod socket;

use std::time::{Duration, Instant};

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome};
use attack::{Attack, Scene};
use bystander::{Bystander, p99};

/// What a session may cost: what waits for its connection and one page, KiB.
const SESSION_KIB: f64 = 1024.0 + 256.0;
/// What is left for everything else, KiB.
const SLACK_KIB: f64 = 32.0 * 1024.0;
/// Accounts: two bystanders, then those of the enemies with all their devices.
const USERS: u32 = 40;
const DEVICES: u32 = 16;

macro_rules! rows {
    ($($name:literal)*) => {
        &[
            Row::shown("bystander's ack p99, quiet, us"),
            $(
                Row::at_most(concat!($name, ": memory grown, of what is allowed"), 1.0),
                Row::at_most(concat!($name, ": bystander's ack p99 over the quiet one"), 2.0),
            )*
            Row::shown("all at once: resident memory at the end, KiB"),
            Row::shown("all at once: bytes that wait by the ledger at the end, KiB"),
        ]
    };
}

pub(super) const PART: Part = Part {
    name: "enemies",
    title: "Registered enemies",
    how: "One server on one core with its default limits, durable; enemies and a bystander on the other. `history`: 16 sessions \
          ask for 1,000 pages each and read nothing; `channels`: 16 sessions ask 1,000 times for a list of 500 groups; `halves`: 400 \
          sessions send a message but for its last bytes; `churn`: one member is added and removed as fast as is taken; `ghosts`: groups \
          of 499 members that do not exist; `marks`: read positions in channels of strangers, in made-up ones and at 2^53 - 1; `flood`: \
          incompressible texts of 100,000 characters as fast as is taken; then all at once. Memory allowed: 1,280 KiB a session \
          and 32 MiB. The bystander sends a message every 10 ms to a friend; it is watched without enemies before each of them, and \
          all that is the quiet one.",
    rows: rows!("history" "channels" "halves" "churn" "ghosts" "marks" "flood" "all at once"),
    round,
    rounds_max: usize::MAX,
};

fn round(order: &Order) -> Outcome<Figures> {
    let server = Server::start_guarded(order, Kind::MaruRocks, (USERS, DEVICES), &[])?;
    let scene = Scene::prepare(&server)?;
    let mut figures = Figures::new();
    let lasts = Duration::from_secs(order.seconds.max(3).into());
    let (mut quiet, mut loud) = (Vec::new(), Vec::new());
    let alone = Attack::ALL.iter().map(|attack| (attack.name(), std::slice::from_ref(attack)));
    // A disk has better and worse seconds: the quiet ones are looked for all along.
    for (name, attacks) in alone.chain([("all at once", Attack::ALL)]) {
        quiet.extend(Bystander::watch(&scene, lasts, || ())?.1);
        loud.push((name, run(&server, &scene, attacks, name, lasts, &mut figures)?));
    }
    let quiet = p99(quiet);
    figures.insert("bystander's ack p99, quiet, us".into(), quiet);
    for (name, times) in loud {
        figures.insert(format!("{name}: bystander's ack p99 over the quiet one"), p99(times) / quiet);
    }
    figures.insert("all at once: resident memory at the end, KiB".into(), server.kib("VmRSS"));
    let ledger = server.metric("maru_ledger_bytes")? / 1024.0;
    figures.insert("all at once: bytes that wait by the ledger at the end, KiB".into(), ledger);
    Ok(figures)
}

/// Runs enemies side by side while the bystander talks: its times.
fn run(
    server: &Server,
    scene: &Scene,
    attacks: &[Attack],
    name: &str,
    lasts: Duration,
    figures: &mut Figures,
) -> Outcome<Vec<f64>> {
    let before = server.kib("VmRSS");
    let mut crews = attacks.iter().map(|attack| attack.crew(scene)).collect::<Outcome<Vec<_>>>()?;
    let sessions: usize = crews.iter().map(attack::Crew::sessions).sum();
    let (most, times) = Bystander::watch(scene, lasts, move || {
        let (until, mut most) = (Instant::now() + lasts, 0f64);
        while Instant::now() < until {
            let mut moved = false;
            for crew in &mut crews {
                moved |= crew.push();
            }
            most = most.max(server.kib("VmRSS"));
            if !moved {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        most
    })?;
    let allowed = sessions as f64 * SESSION_KIB + SLACK_KIB;
    figures.insert(format!("{name}: memory grown, of what is allowed"), (most - before).max(0.0) / allowed);
    Ok(times)
}
