//! What others see of a user: a table of what the user wants to show and what its devices do.

use protocol::body::presence::{STATE_AWAY, STATE_DO_NOT_DISTURB, STATE_OFFLINE, STATE_ONLINE};
use protocol::commit::Shows;

/// What the devices of a user do, taken together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Devices {
    /// None is there, nor was one within the grace.
    #[default]
    Gone,
    /// Nobody is at any of them.
    Idle,
    /// Somebody is at one of them.
    Active,
}

/// The state that others see.
pub(crate) fn state(shows: Shows, devices: Devices) -> u8 {
    match (shows, devices) {
        (Shows::Invisible, _) | (_, Devices::Gone) => STATE_OFFLINE,
        (Shows::DoNotDisturb, _) => STATE_DO_NOT_DISTURB,
        (Shows::Away, _) | (Shows::Activity, Devices::Idle) => STATE_AWAY,
        (Shows::Activity, Devices::Active) => STATE_ONLINE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row of it; a new state or setting must be added here.
    #[test]
    fn the_table() {
        let table = "\
shows          gone     idle     active
Activity       offline  away     online
Away           offline  away     away
DoNotDisturb   offline  dnd      dnd
Invisible      offline  offline  offline
";
        let mut found = String::from("shows          gone     idle     active\n");
        for shows in [Shows::Activity, Shows::Away, Shows::DoNotDisturb, Shows::Invisible] {
            let word = |devices| match state(shows, devices) {
                STATE_OFFLINE => "offline",
                STATE_ONLINE => "online",
                STATE_AWAY => "away",
                STATE_DO_NOT_DISTURB => "dnd",
                _ => "?",
            };
            let [gone, idle, active] = [Devices::Gone, Devices::Idle, Devices::Active].map(word);
            found += &format!("{:<14} {gone:<8} {idle:<8} {active}\n", format!("{shows:?}"));
        }
        assert_eq!(found, table);
    }
}
