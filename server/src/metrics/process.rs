//! The process itself. Names are those of the Prometheus client libraries where they have one.

use std::time::Instant;

use super::text::Text;

/// Kernel clock ticks in a second, as `/proc` counts them: 100 on every Linux that Rust runs on.
const TICKS_PER_S: f64 = 100.0;

pub(super) fn write(text: &mut Text, began: Instant) {
    text.head("gauge", "maru_build_info", "1, with the version as a label.");
    text.line(concat!("maru_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1);
    text.gauge("maru_uptime_seconds", "Since the process began.", began.elapsed().as_secs_f64());
    text.counter("maru_log_lost_total", "Lines of the log that were lost.", crate::logging::lost());
    if let Some((virtual_bytes, resident_bytes)) = memory() {
        text.gauge("process_virtual_memory_bytes", "Address space.", virtual_bytes);
        text.gauge("process_resident_memory_bytes", "Memory in use.", resident_bytes);
    }
    if let Some(seconds) = cpu_seconds() {
        text.head("counter", "process_cpu_seconds_total", "User and system time.");
        text.line("process_cpu_seconds_total", seconds);
    }
    if let Some(descriptors) = descriptors() {
        text.gauge("process_open_fds", "Open descriptors.", descriptors);
    }
}

/// Address space and resident memory in bytes (proc_pid_statm(5)).
fn memory() -> Option<(u64, u64)> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = statm.split(' ').map(|field| field.parse::<u64>().ok());
    let page_bytes = rustix::param::page_size() as u64;
    Some((pages.next()?? * page_bytes, pages.next()?? * page_bytes))
}

/// Open descriptors: the size of the directory says it since Linux 6.2. To list it costs microseconds each, in the kernel, while
/// a shard on the same core waits; 0 is an older kernel.
fn descriptors() -> Option<u64> {
    let folder = "/proc/self/fd";
    match std::fs::metadata(folder).ok()?.len() {
        0 => Some(std::fs::read_dir(folder).ok()?.count() as u64),
        count => Some(count),
    }
}

/// User and system time (fields 14 and 15 of proc_pid_stat(5)). The second field, the name, may hold anything.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11).map(|field| field.parse::<u32>().ok());
    Some((f64::from(fields.next()??) + f64::from(fields.next()??)) / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_there() {
        let held = [(); 50].map(|()| std::fs::File::open("/dev/null").unwrap());
        let open = descriptors().unwrap();
        drop(held);
        assert!((50..5000).contains(&open), "{open}");
        let (virtual_bytes, resident_bytes) = memory().unwrap();
        assert!(resident_bytes > 100_000 && virtual_bytes >= resident_bytes);
        // The kernel counts in hundredths: this ends once the test itself has used a few of them.
        let before = cpu_seconds().unwrap();
        while cpu_seconds().unwrap() <= before {}
    }
}
