//! Quiet hours: minutes of a device's day.

/// Minutes of a day.
const DAY: u16 = 1440;

/// When a device that is quiet now may be disturbed, milliseconds since the Unix epoch; `None`: now. `minute` is the minute of
/// the device's day. To the minute; a change of the clock in between only means that it is looked at once more.
#[must_use]
pub fn quiet_until((from, until): (u16, u16), minute: u16, now_ms: u64) -> Option<u64> {
    let is_quiet = match from.cmp(&until) {
        core::cmp::Ordering::Equal => false,
        core::cmp::Ordering::Less => (from..until).contains(&minute),
        core::cmp::Ordering::Greater => minute >= from || minute < until,
    };
    let left = u64::from((until + DAY - minute) % DAY);
    is_quiet.then(|| now_ms + left * 60_000 - now_ms % 60_000)
}

#[cfg(test)]
mod tests {
    use super::quiet_until;

    #[test]
    fn nights_and_days() {
        // 13:30 of some day.
        let (minute, now) = (13 * 60 + 30, 810 * 60_000 + 5);
        assert_eq!(quiet_until((22 * 60, 7 * 60), minute, now), None);
        assert_eq!(quiet_until((13 * 60, 14 * 60), minute, now), Some(840 * 60_000));
        assert_eq!(quiet_until((14 * 60, 15 * 60), minute, now), None);
        assert_eq!(quiet_until((0, 0), minute, now), None);
        let night = 23 * 60;
        assert_eq!(quiet_until((22 * 60, 7 * 60), night, 0), Some(480 * 60_000));
    }
}
