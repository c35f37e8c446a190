//! Who talks to whom: devices of a worker divided into roles, and the channels between them.

use client::session::Config;
use protocol::{ChannelId, UserId};

use crate::scenario::{Role, Scenario};

/// A conversation of the run.
#[derive(Debug)]
pub(crate) struct Channel {
    /// A group's is known once it is created; 0 before.
    pub(crate) id: ChannelId,
    /// Devices by their number in the worker, rising.
    pub(crate) members: Vec<u32>,
}

/// The division.
#[derive(Debug, Default)]
pub(crate) struct Cast {
    pub(crate) channels: Vec<Channel>,
    /// Where each device sends to.
    pub(crate) sends_to: Vec<Vec<u32>>,
    /// Devices with somewhere to send to.
    pub(crate) senders: Vec<u32>,
    /// Devices whose connections may be cut.
    pub(crate) cuttable: Vec<u32>,
    /// Devices that stop reading in the counted seconds.
    pub(crate) stalled: Vec<u32>,
    /// Channels that have to be created, by their first members.
    pub(crate) groups: Vec<u32>,
    /// Devices of each user.
    each: usize,
}

impl Cast {
    /// Divides users, given as the user of each device; a user's devices follow each other.
    ///
    /// # Errors
    /// Words, when there are too few for what the scenario asks for.
    pub(crate) fn new(scenario: &Scenario, users: &[UserId]) -> Result<Self, String> {
        let each = usize::try_from(scenario.devices_per_user).unwrap_or(1).max(1);
        let people: Vec<UserId> = users.iter().step_by(each).copied().collect();
        let counts = role_counts(scenario, people.len());
        let [idle, direct, _] = counts;
        let (first_direct, first_group) = (idle, idle + direct);
        let mut cast = Self { each, sends_to: vec![Vec::new(); users.len()], ..Self::default() };
        cast.pair_up(scenario, first_direct, direct, &people)?;
        cast.gather(scenario, first_group, people.len());
        let sends = |to: &(usize, &Vec<u32>)| !to.1.is_empty();
        cast.senders =
            cast.sends_to.iter().enumerate().filter(sends).map(|(device, _)| number(device)).collect();
        if scenario.sends() && cast.senders.is_empty() {
            return Err(format!(
                "{} users in a worker are too few: a pair needs 2, a group {} (group.size)",
                people.len(),
                scenario.group.size
            ));
        }
        let role_of = |device: usize| match device / each {
            person if person < first_direct => Role::Idle,
            person if person < first_group => Role::Direct,
            _ => Role::Group,
        };
        let may = |device: &usize| scenario.cut.roles.contains(&role_of(*device));
        cast.cuttable = (0..users.len()).filter(may).map(number).collect();
        cast.stalled = cast.draw_stalled(scenario.stalled)?;
        Ok(cast)
    }

    /// Spread evenly over those who only listen.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn draw_stalled(&self, share: f64) -> Result<Vec<u32>, String> {
        let count = (self.sends_to.len() as f64 * share).round() as usize;
        let listens = |device: &(usize, &Vec<u32>)| device.1.is_empty();
        let listeners: Vec<u32> =
            self.sends_to.iter().enumerate().filter(listens).map(|(device, _)| number(device)).collect();
        if count > listeners.len() {
            return Err(format!(
                "stalled asks for {count} devices, but only {} send nothing",
                listeners.len()
            ));
        }
        let step = listeners.len() / count.max(1);
        Ok(listeners.into_iter().step_by(step.max(1)).take(count).collect())
    }

    fn pair_up(
        &mut self,
        scenario: &Scenario,
        first: usize,
        count: usize,
        users: &[UserId],
    ) -> Result<(), String> {
        let peers = usize::try_from(scenario.direct.peers).unwrap_or(usize::MAX);
        if count > 0 && peers >= count.max(2) {
            return Err(format!("direct.peers is {peers}, but only {count} users talk in pairs"));
        }
        for place in 0..count {
            if peers == 1 {
                if place % 2 == 0 && place + 1 < count {
                    self.pair(scenario, first + place, first + place + 1, users);
                }
                continue;
            }
            // A ring: everybody talks to the next ones, and so also to those before.
            for step in 1..=peers.div_ceil(2) {
                let other = (place + step) % count;
                let is_new = (other + step) % count != place || place < other;
                if other != place && is_new {
                    self.pair(scenario, first + place, first + other, users);
                }
            }
        }
        Ok(())
    }

    fn pair(&mut self, scenario: &Scenario, one: usize, other: usize, users: &[UserId]) {
        let (Some(a), Some(b)) = (users.get(one), users.get(other)) else { return };
        let each = self.each;
        let members = devices_of(one.min(other), each).chain(devices_of(one.max(other), each)).map(number);
        let members = members.collect();
        let channel = number(self.channels.len());
        self.channels.push(Channel { id: ChannelId::direct(*a, *b), members });
        let senders: &[usize] = if scenario.direct.both { &[one, other] } else { &[one] };
        for device in senders.iter().flat_map(|sender| devices_of(*sender, each)) {
            if let Some(to) = self.sends_to.get_mut(device) {
                to.push(channel);
            }
        }
    }

    fn gather(&mut self, scenario: &Scenario, first: usize, end: usize) {
        let size = usize::try_from(scenario.group.size).unwrap_or(usize::MAX);
        let senders = usize::try_from(scenario.group.senders).unwrap_or(usize::MAX);
        let mut first = first;
        // Those that are too few for a group stay idle.
        while size > 0 && first + size <= end {
            let channel = number(self.channels.len());
            let members =
                (first..first + size).flat_map(|person| devices_of(person, self.each)).map(number).collect();
            self.channels.push(Channel { id: ChannelId(0), members });
            self.groups.push(channel);
            let sending = senders.min(size) * self.each;
            for to in self.sends_to.iter_mut().skip(first * self.each).take(sending) {
                to.push(channel);
            }
            first += size;
        }
    }
}

/// Users for each role by weight; rounding goes to the idle. Pairs get an even number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn role_counts(scenario: &Scenario, people: usize) -> [usize; 3] {
    let roles = &scenario.roles;
    let sum = roles.idle + roles.direct + roles.group;
    let share = |weight: f64| (people as f64 * weight / sum + 1e-6) as usize;
    let size = usize::try_from(scenario.group.size).unwrap_or(1).max(1);
    let direct = share(roles.direct) & !1;
    let group = share(roles.group) / size * size;
    [people - direct - group, direct, group]
}

fn devices_of(person: usize, each: usize) -> std::ops::Range<usize> {
    person * each..(person + 1) * each
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// A session that is patient in small steps, and holds nothing back that the server did not ask it to: what is measured is
/// the server's return, not the client's manners.
pub(crate) fn session_config(user: UserId, seed: u64) -> Config {
    Config { reconnect_ms_min: 100, reconnect_ms_max: 2000, assumes_pace: false, ..Config::new(user, seed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(set: &[(&str, &str)], devices: u64) -> Result<Cast, String> {
        let set: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let scenario = Scenario::built_in("mixed", &set).unwrap();
        let users: Vec<UserId> = (1..=devices).map(UserId).collect();
        Cast::new(&scenario, &users)
    }

    #[test]
    fn pairs_are_exclusive_with_one_peer_and_distinct_with_more() {
        let only = ("roles", "{ direct = 1.0, idle = 0.0 }");
        let pairs = cast(&[only, ("direct.peers", "1")], 10).unwrap();
        assert_eq!((pairs.channels.len(), pairs.senders.len()), (5, 10));
        for devices in [4, 5, 10, 100] {
            let ring = cast(&[only, ("direct.peers", "3")], devices).unwrap();
            let mut ids: Vec<u128> = ring.channels.iter().map(|channel| channel.id.0).collect();
            ids.sort_unstable();
            let all = ids.len();
            ids.dedup();
            assert_eq!(ids.len(), all, "{devices}");
            assert!(ring.channels.iter().all(|channel| channel.members[0] < channel.members[1]));
        }
        assert!(cast(&[only, ("direct.peers", "10")], 10).is_err());
    }

    #[test]
    fn all_devices_of_a_user_are_members_and_send() {
        let scenario =
            [("devices", "40"), ("devices_per_user", "2"), ("group.size", "4"), ("group.senders", "1")];
        let set: Vec<_> = scenario.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let scenario = Scenario::built_in("mixed", &set).unwrap();
        let users: Vec<UserId> = (0..40).map(|device| UserId(device / 2 + 1)).collect();
        let cast = Cast::new(&scenario, &users).unwrap();
        let group = cast.channels.last().unwrap();
        assert_eq!(group.members, [32, 33, 34, 35, 36, 37, 38, 39]);
        assert!(cast.senders.ends_with(&[32, 33]));
        let pair = &cast.channels[0];
        assert_eq!(pair.members, [20, 21, 22, 23]);
        assert_eq!(pair.id, ChannelId::direct(UserId(11), UserId(12)));
    }

    #[test]
    fn only_listeners_stall() {
        let groups = ("roles", "{ group = 1.0, idle = 0.0 }");
        let cast_of =
            |share| cast(&[groups, ("group.size", "100"), ("group.senders", "1"), ("stalled", share)], 1000);
        let stalled = cast_of("0.01").unwrap();
        assert_eq!(stalled.stalled.len(), 10);
        assert!(stalled.stalled.iter().all(|device| !stalled.senders.contains(device)));
        assert!(stalled.stalled.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(cast_of("1").unwrap_err().contains("990"));
    }

    #[test]
    fn roles_divide_everybody() {
        let mixed = cast(&[], 1000).unwrap();
        assert_eq!(mixed.groups.len(), 10);
        assert_eq!(mixed.senders.len(), 300 + 50);
        assert_eq!(mixed.cuttable.len(), 1000);
        let idle = cast(&[("cut.roles", "[\"idle\"]")], 1000).unwrap();
        assert_eq!(idle.cuttable.len(), 500);
        assert!(cast(&[("roles", "{ group = 1.0, idle = 0.0 }")], 19).is_err());
    }
}
