//! The places of one listener: who has one, and who gives way when there is none.
//!
//! Nobody who comes waits for a place. When all are taken, or all of the comer's address, one that waits for its peer gives
//! way: of the address that holds most, an idle one before one in the middle of an exchange, the oldest of them.
//! Only when the server works for every single one is the comer refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pulse::{Doing, Pulse};

/// How many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    pub(super) all: usize,
    pub(super) address: usize,
}

/// The places of one listener.
#[derive(Debug)]
pub(crate) struct Places {
    bounds: Bounds,
    table: Mutex<Table>,
    gave_way: AtomicU64,
    cut: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, Taken>,
    /// Of each address that has one; a proxy's are not counted.
    counts: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Taken {
    /// `None` for a proxy of ours: many are behind it.
    address: Option<IpAddr>,
    pulse: Arc<Pulse>,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Full {
    /// All of the address's are being worked for.
    Address,
    /// All are.
    All,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(self.number);
    }
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, table: Mutex::default(), gave_way: AtomicU64::new(0), cut: AtomicU64::new(0) }
    }

    /// Takes a place, another's if need be.
    pub(super) fn take(self: &Arc<Self>, address: Option<IpAddr>, pulse: Arc<Pulse>) -> Result<Place, Full> {
        let mut table = self.lock();
        let own = address.and_then(|address| table.counts.get(&address)).copied().unwrap_or(0);
        if own >= self.bounds.address {
            self.make_room(&mut table, |taken| taken.address == address).ok_or(Full::Address)?;
        } else if table.taken.len() >= self.bounds.all {
            self.make_room(&mut table, |_| true).ok_or(Full::All)?;
        }
        table.next += 1;
        let number = table.next;
        if let Some(address) = address {
            *table.counts.entry(address).or_default() += 1;
        }
        table.taken.insert(number, Taken { address, pulse });
        drop(table);
        Ok(Place { places: self.clone(), number })
    }

    /// Connections now, and since the start: those that gave way and those that took too long.
    pub(crate) fn counts(&self) -> [u64; 3] {
        let now = self.lock().taken.len() as u64;
        [now, self.gave_way.load(Ordering::Relaxed), self.cut.load(Ordering::Relaxed)]
    }

    /// One took too long.
    pub(super) fn count_cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }

    fn make_room(&self, table: &mut Table, may: impl Fn(&Taken) -> bool) -> Option<()> {
        let crowd = |taken: &Taken| taken.address.and_then(|address| table.counts.get(&address)).copied();
        let waits = table.taken.iter().filter(|(_, taken)| may(taken)).filter_map(|(number, taken)| {
            let (doing, since) = taken.pulse.doing();
            let of_most = std::cmp::Reverse(crowd(taken).unwrap_or(0));
            (doing != Doing::Working).then_some(((of_most, doing != Doing::Idle, since, *number), *number))
        });
        let (_, number) = waits.min_by_key(|(order, _)| *order)?;
        let gone = table.remove(number)?;
        gone.pulse.give_way();
        self.gave_way.fetch_add(1, Ordering::Relaxed);
        Some(())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove(&mut self, number: u64) -> Option<Taken> {
        let gone = self.taken.remove(&number)?;
        if let Some(address) = gone.address
            && let Some(count) = self.counts.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
        Some(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Patience;

    struct World {
        places: Arc<Places>,
        held: Vec<(Place, Arc<Pulse>)>,
    }

    impl World {
        fn new(all: usize, address: usize) -> Self {
            Self { places: Arc::new(Places::new(Bounds { all, address })), held: Vec::new() }
        }

        /// One more connection; the number of it.
        fn comes(&mut self, address: &str) -> Result<usize, Full> {
            let pulse = Arc::new(Pulse::new(Patience::default()));
            let address = (address != "proxy").then(|| address.parse().unwrap());
            let place = self.places.take(address, pulse.clone())?;
            self.held.push((place, pulse));
            Ok(self.held.len() - 1)
        }

        fn has(&self, number: usize) -> bool {
            self.places.lock().taken.contains_key(&self.held[number].0.number)
        }

        fn who_have(&self) -> Vec<usize> {
            (0..self.held.len()).filter(|number| self.has(*number)).collect()
        }
    }

    #[tokio::test]
    async fn the_oldest_idle_one_gives_way() {
        let mut world = World::new(3, 3);
        for _ in 0..3 {
            world.comes("192.0.2.1").unwrap();
        }
        world.held[0].1.asked(false);
        world.comes("192.0.2.1").unwrap();
        assert_eq!(world.who_have(), [0, 2, 3], "the server works for the first");
        world.held[1].1.gave_way().await;
        world.held[0].1.answered();
        world.comes("192.0.2.1").unwrap();
        assert_eq!(world.who_have(), [0, 3, 4], "an idle one goes before one that does not read");
        for number in [3, 4] {
            world.held[number].1.asked(true);
        }
        world.comes("192.0.2.1").unwrap();
        assert_eq!(world.who_have(), [3, 4, 5], "then the oldest that keeps the server waiting");
        for number in [3, 4, 5] {
            world.held[number].1.asked(false);
        }
        assert_eq!(world.comes("192.0.2.1"), Err(Full::Address));
        world.held.remove(5);
        assert_eq!(world.comes("192.0.2.1"), Ok(5));
        assert_eq!(world.places.counts(), [3, 3, 0]);
    }

    #[test]
    fn a_crowd_of_one_address_gives_way_to_others() {
        let mut world = World::new(10, 6);
        let quiet = world.comes("198.51.100.1").unwrap();
        for _ in 0..20 {
            world.comes("192.0.2.1").unwrap();
        }
        assert_eq!(world.who_have().len(), 7, "six are its own");
        for other in 2..=4 {
            world.comes(&format!("198.51.100.{other}")).unwrap();
        }
        let crowd: Vec<usize> =
            world.who_have().into_iter().filter(|number| (1..=20).contains(number)).collect();
        assert_eq!(crowd, [15, 16, 17, 18, 19, 20]);
        // Those who do not read are no better than those who are idle, if they are many.
        for number in &crowd {
            world.held[*number].1.asked(false);
            world.held[*number].1.answered();
        }
        for other in 5..=9 {
            world.comes(&format!("198.51.100.{other}")).unwrap();
        }
        assert_eq!(world.places.counts()[0], 10);
        assert!(world.has(quiet), "who came first and is alone stays");
        assert_eq!(world.places.lock().counts[&"192.0.2.1".parse::<IpAddr>().unwrap()], 1);
    }

    #[test]
    fn a_proxy_has_all_places_and_gives_way_last() {
        let mut world = World::new(4, 2);
        for _ in 0..4 {
            world.comes("proxy").unwrap();
        }
        world.comes("192.0.2.1").unwrap();
        assert_eq!(world.who_have(), [1, 2, 3, 4]);
        world.comes("proxy").unwrap();
        assert_eq!(world.who_have(), [1, 2, 3, 5]);
        for (_, pulse) in &world.held {
            pulse.asked(false);
        }
        assert_eq!(world.comes("192.0.2.1"), Err(Full::All));
        world.held.clear();
        assert!(world.places.lock().taken.is_empty() && world.places.lock().counts.is_empty());
    }
}
