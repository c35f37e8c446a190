//! What the kernel knows of a thread of this process (proc_pid_stat(5), proc_pid_wchan(5)).

/// One look at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// R, S, D, T, t and so on.
    state: String,
    /// User and system time, clock ticks: hundredths of a second.
    ticks: u64,
    /// Where in the kernel it waits, where that is told.
    waits_in: Option<String>,
}

impl Seen {
    pub(super) fn of(thread: u32) -> Option<Self> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).ok();
        let stat = read("stat")?;
        // The second field, the name, may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let waits_in = read("wchan").filter(|place| !matches!(place.trim(), "" | "0"));
        Some(Self { state: (*fields.first()?).to_owned(), ticks: ticks(11)? + ticks(12)?, waits_in })
    }
}

/// In words, from two looks.
pub(super) fn doing(before: Option<&Seen>, now: Option<&Seen>) -> String {
    let Some(now) = now else { return "not known: the kernel does not tell".to_owned() };
    let busy = before.map_or(0, |before| now.ticks.saturating_sub(before.ticks));
    let place = now.waits_in.as_deref().map_or_else(String::new, |place| format!(", in {place}"));
    let words = match now.state.as_str() {
        "R" => "it runs",
        "S" => "it sleeps: it waits for a lock or a call that does not return",
        "D" => "it waits for a device, mostly a disk",
        "T" | "t" => "it was stopped from outside, by a debugger or a signal",
        _ => "it has ended",
    };
    format!("{words} (state {}{place}; {}.{:02} s of CPU meanwhile)", now.state, busy / 100, busy % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_seen() {
        let own = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        let before = Seen::of(own).unwrap();
        while Seen::of(own).unwrap().ticks < before.ticks + 3 {}
        let now = Seen::of(own).unwrap();
        let words = doing(Some(&before), Some(&now));
        assert!(words.starts_with("it runs (state R") && words.contains("; 0.0"), "{words}");
        assert_eq!(Seen::of(u32::MAX), None);
        let stuck = Seen { state: "D".into(), ticks: 7, waits_in: Some("folio_wait_bit".into()) };
        let words =
            "it waits for a device, mostly a disk (state D, in folio_wait_bit; 0.00 s of CPU meanwhile)";
        assert_eq!(doing(Some(&stuck), Some(&stuck)), words);
        assert!(doing(None, None).contains("not known"));
    }
}
