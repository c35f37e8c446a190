//! Rounds of all parts.

use super::part::{Figures, Part};
use super::{Order, Outcome};
use super::{
    before, bytes, drivers, durable, enemies, flat, groups, half, history, idle, light, page, quic, relays,
    shards, stall, storm,
};

const PARTS: &[&Part] = &[
    &relays::PART,
    &drivers::PART,
    &durable::PART,
    &half::PART,
    &light::PART,
    &groups::PART,
    &bytes::PART,
    &before::PART,
    &shards::PART,
    &idle::PART,
    &stall::PART,
    &flat::PART,
    &history::PART,
    &storm::PART,
    &quic::PART,
    &enemies::PART,
    &enemies::endure::PART,
];

/// The parts, as `--only` takes them.
#[must_use]
pub fn names() -> Vec<&'static str> {
    PARTS.iter().map(|part| part.name).collect()
}

/// What was found of one part.
pub(super) struct Found {
    pub(super) part: &'static Part,
    /// A round each.
    pub(super) rounds: Vec<Figures>,
    /// Why a round gave nothing.
    pub(super) failed: Vec<String>,
}

/// Runs all rounds and writes the page, part by part after each round: who stops it keeps what there is.
///
/// # Errors
/// A binary is missing, or the page cannot be written. A part that fails is named on the page.
pub fn run(order: &Order) -> Outcome<()> {
    for name in ["maru", "maru-load", "floor", "ordinary"] {
        if !order.bin.join(name).exists() {
            return Err(format!("{name} is not in {}: build it first", order.bin.display()).into());
        }
    }
    std::fs::create_dir_all(&order.work)?;
    let can = |part: &&&'static Part| part.name != before::PART.name || order.before.is_some();
    let wanted = |part: &&&'static Part| order.only.is_empty() || order.only.iter().any(|o| o == part.name);
    let empty = |part: &&'static Part| Found { part, rounds: Vec::new(), failed: Vec::new() };
    let mut all: Vec<Found> = PARTS.iter().filter(can).filter(wanted).map(empty).collect();
    for round in 1..=order.rounds {
        for found in all.iter_mut().filter(|found| round <= found.part.rounds_max) {
            eprintln!("round {round}: {}", found.part.name);
            match (found.part.round)(order) {
                Ok(figures) => {
                    figures.iter().for_each(|(name, figure)| eprintln!("  {name}: {figure:.2}"));
                    found.rounds.push(figures);
                }
                Err(error) => {
                    eprintln!("  {error}");
                    found.failed.push(error.to_string());
                }
            }
            page::write(order, found)?;
        }
    }
    Ok(())
}
