//! Quiet hours: minutes of the day in the device's time zone.

use std::collections::BTreeSet;

use carry::quiet_until;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Whether a name is one of the IANA time zones that this machine knows; empty for UTC.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    name.is_empty() || TimeZone::get(name).is_ok()
}

/// The names of all of them, in lower case: names are compared without it. Reads the system's files.
#[must_use]
pub fn zones() -> BTreeSet<String> {
    jiff::tz::db().available().map(|name| name.as_str().to_ascii_lowercase()).collect()
}

/// When a device that is quiet now may be disturbed, milliseconds since the Unix epoch; `None`: now. A zone that is not
/// known any more is UTC.
#[must_use]
pub fn until_ms(quiet: (u16, u16), zone: &str, now_ms: u64) -> Option<u64> {
    if quiet.0 == quiet.1 {
        return None;
    }
    let zone = if zone.is_empty() { TimeZone::UTC } else { TimeZone::get(zone).unwrap_or(TimeZone::UTC) };
    let now: Zoned = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?.to_zoned(zone);
    let minute = u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).ok()?;
    quiet_until(quiet, minute, now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_and_days() {
        // 2026-11-27 13:30 UTC; in Seoul it is 22:30.
        let now = 1_795_786_200_000;
        let night = (22 * 60, 7 * 60);
        assert_eq!(until_ms(night, "", now), None);
        assert_eq!(until_ms(night, "Asia/Seoul", now), Some(now + 510 * 60_000));
        assert_eq!(until_ms((13 * 60, 14 * 60), "", now), Some(now + 30 * 60_000));
        assert_eq!(until_ms((14 * 60, 15 * 60), "", now), None);
        assert_eq!(until_ms((0, 0), "", now), None);
        assert!(is_zone("Asia/Seoul") && is_zone("") && !is_zone("Mars/Base"));
    }
}
