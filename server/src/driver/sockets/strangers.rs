//! Connections that have not said Hello, by who connects, so that a crowd from one address gives way to others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use shard::ConnId;

/// All of a shard's. Bounded by whoever adds to it.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// Rises with each that comes: the order of age.
    next: u64,
    of: HashMap<ConnId, (IpAddr, u64)>,
    ages: HashMap<IpAddr, BTreeMap<u64, ConnId>>,
    /// How many each address has, most last.
    crowds: BTreeSet<(usize, IpAddr)>,
}

impl Strangers {
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// One more, the youngest of all.
    pub(super) fn add(&mut self, conn: ConnId, address: IpAddr) {
        self.next += 1;
        self.put(conn, address, self.next);
    }

    /// A proxy has said who it is: it keeps its age.
    pub(super) fn rename(&mut self, conn: ConnId, address: IpAddr) {
        if let Some(age) = self.remove(conn) {
            self.put(conn, address, age);
        }
    }

    /// It has said Hello, or is gone. Its age, if it was one.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<u64> {
        let (address, age) = self.of.remove(&conn)?;
        let ages = self.ages.get_mut(&address)?;
        self.crowds.remove(&(ages.len(), address));
        ages.remove(&age);
        if ages.is_empty() {
            self.ages.remove(&address);
        } else {
            self.crowds.insert((ages.len(), address));
        }
        Some(age)
    }

    /// The oldest of the address that has most.
    pub(super) fn in_the_way(&self) -> Option<ConnId> {
        let (_, address) = self.crowds.last()?;
        self.ages.get(address)?.values().next().copied()
    }

    fn put(&mut self, conn: ConnId, address: IpAddr, age: u64) {
        let ages = self.ages.entry(address).or_default();
        self.crowds.remove(&(ages.len(), address));
        ages.insert(age, conn);
        self.crowds.insert((ages.len(), address));
        self.of.insert(conn, (address, age));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_oldest_of_the_largest_crowd_is_in_the_way() {
        let mut strangers = Strangers::default();
        strangers.add(ConnId(1), address("192.0.2.1"));
        for conn in 2..=4 {
            strangers.add(ConnId(conn), address("192.0.2.2"));
        }
        for conn in 5..=6 {
            strangers.add(ConnId(conn), address("192.0.2.3"));
        }
        let mut gone = Vec::new();
        while let Some(conn) = strangers.in_the_way() {
            strangers.remove(conn);
            gone.push(conn.0);
        }
        // Of crowds of one size the larger address first.
        assert_eq!(gone, [2, 5, 3, 6, 4, 1]);
        assert!(strangers.ages.is_empty() && strangers.crowds.is_empty() && strangers.len() == 0);
    }

    #[test]
    fn behind_a_proxy_each_counts_as_who_it_is() {
        let mut strangers = Strangers::default();
        for conn in 1..=4 {
            strangers.add(ConnId(conn), address("127.0.0.1"));
        }
        for (conn, client) in [(4, "192.0.2.9"), (3, "192.0.2.9"), (2, "192.0.2.9"), (1, "192.0.2.8")] {
            strangers.rename(ConnId(conn), address(client));
        }
        assert_eq!(strangers.in_the_way(), Some(ConnId(2)), "the age is of the connection, not of the name");
        strangers.rename(ConnId(7), address("192.0.2.7"));
        assert_eq!(strangers.len(), 4, "one that has said Hello is no stranger");
        assert_eq!(strangers.remove(ConnId(7)), None);
    }
}
