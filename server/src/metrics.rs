//! Everything that the node counts, in the Prometheus text format (version 0.0.4).

mod process;
mod text;
pub(crate) mod waits;

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::Code;
use shard::Holds;
use storage::Store;
use tokio::sync::oneshot;

use crate::certificate::Certificates;
use crate::latency::Latency;
use crate::mesh::{Outlets, Post};
use crate::reader::ReadMeter;
use crate::search::Search;
use crate::space::SpaceMeter;
use crate::store::meter::StoreMeter;
use crate::turn::ShardReport;
use crate::watchdog;
use text::Text;

/// A shard that does not answer within so long is left out: metrics must come when a shard hangs, above all then.
const SHARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the numbers are.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// When the process began.
    pub began: Instant,
    /// The server's own times.
    pub latency: Arc<Latency>,
    /// The shards.
    pub outlets: Outlets,
    /// The store.
    pub store: Arc<Store>,
    /// Its threads.
    pub meters: Vec<Arc<StoreMeter>>,
    /// The readers.
    pub readers: Arc<ReadMeter>,
    /// The disk.
    pub space: Arc<SpaceMeter>,
    /// The certificate, if anything speaks TLS.
    pub certificates: Option<Arc<Certificates>>,
    /// Shards that stand still.
    pub stalls: Arc<watchdog::Meter>,
    /// Search, where it is on.
    pub search: Option<Search>,
}

/// Name, help, and where it stands in a report.
type Row = (&'static str, &'static str, fn(&ShardReport) -> u64);

const COUNTERS: &[Row] = &[
    ("maru_messages_stored_total", "Messages made durable.", |r| r.core.messages_stored),
    ("maru_messages_sent_total", "Message frames handed to connections.", |r| r.core.messages_sent),
    ("maru_acks_sent_total", "Acks handed to connections.", |r| r.core.acks_sent),
    ("maru_duplicates_total", "Repeated sends answered.", |r| r.core.duplicates),
    ("maru_hops_sent_total", "Hops to other shards.", |r| r.core.hops_sent),
    ("maru_deliveries_dropped_total", "Deliveries read from the fan-out log instead.", |r| {
        r.core.deliveries_dropped
    }),
    ("maru_reads_unanswered_total", "Reads that failed for the shard and may not fail again.", |r| {
        r.core.reads_failed
    }),
    ("maru_push_jobs_total", "Messages of which somebody is to be told by push.", |r| r.core.push_jobs),
    ("maru_push_jobs_dropped_total", "Jobs of push that gave way to newer ones of the user.", |r| {
        r.core.push_jobs_dropped
    }),
    ("maru_push_jobs_withdrawn_total", "Jobs of push that ended because the user read.", |r| {
        r.core.push_jobs_withdrawn
    }),
    ("maru_quotas_refused_total", "Groups and conversations refused for the hour.", |r| {
        r.core.quotas_refused
    }),
    ("maru_fell_behind_total", "Sessions whose connection did not drain.", |r| r.core.fell_behind),
    ("maru_offers_sent_total", "Receipts and typing handed to connections.", |r| r.core.offers_sent),
    ("maru_presences_sent_total", "Users of whom a session was told what they show.", |r| {
        r.core.presences_sent
    }),
    ("maru_offers_dropped_total", "Receipts and typing left out for want of room.", |r| {
        r.core.offers_dropped
    }),
    (
        "maru_tells_dropped_total",
        "Messages of large channels that a shard was not told for want of room.",
        |r| r.core.tells_dropped,
    ),
    ("maru_impossible_total", "States that cannot happen and did: faults of ours.", |r| r.core.impossible),
    ("maru_connections_accepted_total", "Connections accepted.", |r| r.driver.accepted),
    ("maru_accept_errors_total", "Accepts that failed.", |r| r.driver.accept_errors),
    ("maru_connections_refused_total", "Connections closed because the table was full.", |r| {
        r.driver.refused_full
    }),
    ("maru_turns_cut_total", "Turns in which not everybody was looked at.", |r| r.driver.turns_cut),
    ("maru_halves_stalled_total", "Connections closed in the middle of a message.", |r| {
        r.driver.halves_stalled
    }),
    ("maru_connections_evicted_total", "Unauthenticated connections that made room.", |r| r.driver.evicted),
    ("maru_hello_timeouts_total", "Connections that said no Hello in time.", |r| r.driver.hello_timeouts),
    ("maru_upgrades_refused_total", "Requests at the chat port that were no upgrade.", |r| {
        r.driver.upgrades_refused
    }),
    ("maru_unannounced_total", "Connections of trusted proxies that did not say for whom.", |r| {
        r.driver.unannounced
    }),
    ("maru_hellos_total", "Connections with a valid Hello.", |r| r.driver.hellos),
    ("maru_handed_over_total", "Connections given to another shard.", |r| r.driver.handed_over),
    ("maru_taken_over_total", "Connections taken from another shard.", |r| r.driver.taken_over),
    ("maru_tls_handshakes_total", "TLS handshakes of WebSockets completed.", |r| r.driver.tls_handshakes),
    ("maru_tls_faults_total", "WebSockets whose TLS ended by a fault.", |r| r.driver.tls_faults),
    ("maru_peer_faults_total", "Connections closed for a fault of the peer.", |r| r.driver.peer_faults),
    ("maru_bytes_read_total", "Bytes read from connections.", |r| r.driver.bytes_read),
    ("maru_bytes_written_total", "Bytes written to connections.", |r| r.driver.bytes_written),
    ("maru_read_calls_total", "Reads: system calls, or buffers that io_uring filled.", |r| r.driver.reads),
    ("maru_write_calls_total", "Writes: system calls, or sends by io_uring.", |r| r.driver.writes),
    ("maru_ring_enters_total", "System calls of io_uring that submitted or waited.", |r| {
        r.driver.ring.enters
    }),
    ("maru_ring_submissions_total", "Operations submitted to io_uring.", |r| r.driver.ring.submissions),
    ("maru_ring_completions_total", "Completions of io_uring.", |r| r.driver.ring.completions),
    ("maru_ring_overflows_total", "Times that completions did not fit into their queue.", |r| {
        r.driver.ring.overflows
    }),
    ("maru_ring_buffers_short_total", "Receives of io_uring that ended for want of a buffer.", |r| {
        r.driver.ring.buffers_short
    }),
    ("maru_quic_datagrams_total", "QUIC datagrams that came.", |r| r.driver.quic.datagrams),
    ("maru_quic_dropped_total", "Of them, those of no connection, without an answer.", |r| {
        r.driver.quic.dropped
    }),
    ("maru_quic_versions_refused_total", "Answers to unknown QUIC versions.", |r| {
        r.driver.quic.versions_refused
    }),
    ("maru_quic_resets_total", "Stateless resets sent.", |r| r.driver.quic.resets),
    ("maru_quic_retries_total", "Clients that had to show their address first.", |r| r.driver.quic.retries),
    ("maru_quic_accepted_total", "QUIC connections accepted.", |r| r.driver.quic.accepted),
    ("maru_quic_handshakes_total", "QUIC handshakes completed.", |r| r.driver.quic.handshakes),
    ("maru_quic_hellos_total", "QUIC connections with a valid Hello.", |r| r.driver.quic.hellos),
    ("maru_quic_held_total", "Of them, those whose user lives at another shard.", |r| r.core.hellos_held),
    ("maru_quic_page_streams_total", "History pages sent on a stream of their own.", |r| {
        r.driver.quic.page_streams
    }),
    ("maru_guests_total", "Requests over HTTP that came to the core.", |r| r.core.guests),
    ("maru_poll_sessions_total", "Sessions by polls begun.", |r| r.polls.begun),
    ("maru_poll_requests_total", "Polls taken.", |r| r.polls.requests),
    ("maru_poll_empty_total", "Polls answered with nothing.", |r| r.polls.empty),
    ("maru_poll_repeats_total", "Polls that came again.", |r| r.polls.repeated),
    ("maru_poll_misplaced_total", "Polls of no session, or not its next.", |r| r.polls.misplaced),
    ("maru_poll_refused_total", "Sessions by polls refused because there were too many.", |r| {
        r.polls.refused_full
    }),
    ("maru_poll_bytes_read_total", "Bytes of frames in polls.", |r| r.polls.bytes_read),
    ("maru_poll_bytes_written_total", "Bytes of frames in their answers.", |r| r.polls.bytes_written),
    ("maru_turns_total", "Turns of the loop.", |r| r.turns),
    ("maru_sleeps_total", "Times the loop slept.", |r| r.sleeps),
];

const GAUGES: &[Row] = &[
    ("maru_sessions", "Sessions now.", |r| r.core.sessions_now),
    ("maru_guests", "Requests over HTTP that are under way in the core now.", |r| r.core.guests_now),
    ("maru_present_users", "Users who are there, were a moment ago, or are watched.", |r| r.core.present_now),
    ("maru_follows", "Large channels that sessions follow.", |r| r.core.follows_now),
    ("maru_watches", "Pairs of a session and a user whom it watches.", |r| r.core.watches_now),
    ("maru_users_in_memory", "Users in memory now.", |r| r.core.users_now),
    ("maru_channels_in_memory", "Channels in memory now.", |r| r.core.channels_now),
    ("maru_connections", "Connections now.", |r| r.driver.connections_now),
    ("maru_connections_unauthenticated", "Connections without a Hello now.", |r| {
        r.driver.unauthenticated_now
    }),
    ("maru_quic_connections", "QUIC connections now.", |r| r.driver.quic.connections_now),
    ("maru_quic_held", "Connections served for another shard now.", |r| r.core.held_now),
    ("maru_poll_sessions", "Sessions by polls now.", |r| r.polls.sessions_now),
    ("maru_poll_waiting", "Polls that wait for an answer now.", |r| r.polls.waiting_now),
    ("maru_hops_waiting", "Hops that wait for the shard.", |r| r.hops_waiting_now),
    ("maru_reads_resting", "Reads that failed and are asked again after a pause.", |r| {
        r.core.reads_resting_now
    }),
    ("maru_half_bytes", "Bytes of messages that came in part.", |r| r.driver.half_bytes_now),
    ("maru_ring", "1: this shard's sockets go by io_uring; 0: by epoll.", |r| r.driver.ring.rings_now),
    ("maru_ring_receiving", "Connections with a receive armed.", |r| r.driver.ring.receiving_now),
    ("maru_ring_buffers_held", "Receive buffers of io_uring whose bytes were not read yet, of 1024.", |r| {
        r.driver.ring.held_now
    }),
    ("maru_posts_waiting", "Posts that wait for the shard.", |r| r.posts_waiting_now),
];

impl Metrics {
    /// Asks every shard, then writes all of it.
    pub async fn text(&self) -> String {
        let reports = self.reports().await;
        let mut text = Text::default();
        process::write(&mut text, self.began);
        self.shards(&mut text, &reports);
        self.latencies(&mut text);
        self.store_threads(&mut text);
        self.store(&mut text);
        let (answered, failed) = self.readers.answered();
        text.counter("maru_reads_total", "Queries answered by reader threads.", answered);
        text.counter("maru_reads_failed_total", "Of them with an error.", failed);
        text.gauge("maru_reads_waiting", "Queries that wait for a reader thread.", self.readers.waiting());
        let (free, low) = self.space.read();
        text.gauge("maru_disk_free_bytes", "Free space on the disk of the data directory.", free);
        text.gauge("maru_disk_low", "1 while whatever writes is refused for want of space.", u64::from(low));
        self.certificate(&mut text);
        self.searches(&mut text);
        text.end()
    }

    fn certificate(&self, text: &mut Text) {
        let Some(certificates) = &self.certificates else { return };
        let report = certificates.report(api::now_ms());
        let name = "maru_certificate_days_left";
        text.gauge(name, "Days until the TLS certificate expires.", report.days_left);
        let name = "maru_certificate_reloads_total";
        text.counter(name, "Times that the TLS certificate was read anew.", report.reloads);
        let name = "maru_certificate_reload_errors_total";
        text.counter(name, "Times that it could not be.", report.failures);
        let name = "maru_certificate_stale";
        let help = "1 while its files hold what cannot be served and an older one is.";
        text.gauge(name, help, u64::from(report.is_stale));
    }

    fn searches(&self, text: &mut Text) {
        let Some(search) = &self.search else { return };
        let counts = search.meter().read();
        text.gauge("maru_search_documents", "Messages that are found.", counts.sizes.documents);
        text.gauge("maru_search_bytes", "Bytes of the search index.", counts.sizes.bytes);
        text.gauge("maru_search_segments", "Pieces of the search index.", counts.sizes.segments);
        let help = "Age of the oldest message that is not found yet.";
        text.gauge(
            "maru_search_behind_ms",
            help,
            u64::try_from(counts.behind.as_millis()).unwrap_or(u64::MAX),
        );
        let help = "Bays of 64 whose histories are still to be read into the search index.";
        text.gauge("maru_search_rebuilding", help, counts.rebuilding);
        text.counter("maru_search_changes_total", "Messages taken into the search index.", counts.changes);
        text.counter("maru_search_commits_total", "Commits of the search index.", counts.commits);
        text.counter("maru_searches_total", "Searches answered.", counts.searches);
        text.counter("maru_searches_cut_total", "Of them with what was found in time alone.", counts.cut);
        text.counter("maru_search_us_total", "Microseconds spent on searches.", counts.spent_us);
    }

    /// What keeps the node from serving, shard by shard, in words.
    pub async fn waits_for(&self) -> Vec<String> {
        waits::of(self.outlets.shards(), &self.reports().await)
    }

    async fn reports(&self) -> Vec<ShardReport> {
        let asked: Vec<_> = self
            .outlets
            .all()
            .map(|outlet| {
                let (reply, report) = oneshot::channel();
                let inspect = Box::new(move |report| drop(reply.send(report)));
                // A full ring drops the question, which ends the wait for its answer.
                drop(outlet.try_post(Post::Inspect(inspect)));
                report
            })
            .collect();
        let until = tokio::time::Instant::now() + SHARD_TIMEOUT;
        let mut reports = Vec::with_capacity(asked.len());
        for report in asked {
            if let Ok(Ok(report)) = tokio::time::timeout_at(until, report).await {
                reports.push(report);
            }
        }
        reports
    }

    fn shards(&self, text: &mut Text, reports: &[ShardReport]) {
        text.gauge("maru_shards", "Shards of this node.", self.outlets.shards() as u64);
        text.gauge("maru_shards_answering", "Shards that answered this request.", reports.len() as u64);
        let stalled = self.stalls.stalled().len() as u64;
        text.gauge("maru_shards_stalled", "Shards that take no turn.", stalled);
        text.counter("maru_stalls_total", "Times that a shard took no turn for long.", self.stalls.total());
        for (name, help, read) in COUNTERS {
            text.per("counter", name, help, "shard", reports.iter().map(|r| (u64::from(r.shard.0), read(r))));
        }
        refusals(text, reports);
        ledgers(text, reports);
        for (name, help, read) in GAUGES {
            text.per("gauge", name, help, "shard", reports.iter().map(|r| (u64::from(r.shard.0), read(r))));
        }
    }

    fn latencies(&self, text: &mut Text) {
        let table = [
            (
                "maru_ack_seconds",
                "From the read of a frame to its ack handed to the kernel.",
                &self.latency.ack,
            ),
            (
                "maru_delivery_seconds",
                "From the read of a frame to each live delivery handed to the kernel.",
                &self.latency.delivery,
            ),
        ];
        for (name, help, histogram) in table {
            text.head("histogram", name, help);
            histogram.write(name, text.body());
        }
    }

    fn store_threads(&self, text: &mut Text) {
        type Read = fn(&StoreMeter) -> u64;
        let table: &[(&str, &str, &str, Read)] = &[
            ("counter", "maru_store_batches_total", "Batches made durable.", StoreMeter::batches),
            ("counter", "maru_store_messages_total", "Messages made durable.", StoreMeter::messages),
            ("gauge", "maru_store_batches_waiting", "Batches not yet durable.", StoreMeter::waiting),
        ];
        for (kind, name, help, read) in table {
            let values = (0..).zip(&self.meters).map(|(thread, meter)| (thread, read(meter)));
            text.per(kind, name, help, "thread", values);
        }
        let (exported, lost) = self.latency.spans().map_or((0, 0), |spans| (spans.exported(), spans.lost()));
        text.counter("maru_traces_exported_total", "Messages whose traces a collector took.", exported);
        text.counter("maru_traces_lost_total", "Traces, or stamps of them, that were lost.", lost);
        text.head(
            "histogram",
            "maru_store_write_seconds",
            "Time of a synced write; its count is the fsyncs.",
        );
        for (thread, meter) in (0..).zip(&self.meters) {
            meter.write_histogram(thread, text.body());
        }
    }

    fn store(&self, text: &mut Text) {
        type Read = fn(&storage::StoreStats) -> u64;
        let stats = self.store.stats();
        let table: &[(&str, &str, &str, Read)] = &[
            ("counter", "maru_store_rows_total", "Rows written.", |s| s.rows),
            ("counter", "maru_store_reads_total", "Queries begun.", |s| s.reads),
            ("counter", "maru_store_misses_total", "Cached queries that were not in memory.", |s| s.misses),
            ("gauge", "maru_store_cache_bytes", "Bytes of blocks in the cache.", |s| s.cache_bytes),
            ("counter", "maru_store_cache_hits_total", "Blocks found in the cache.", |s| s.cache_hits),
            ("counter", "maru_store_cache_misses_total", "Blocks read from files.", |s| s.cache_misses),
            ("gauge", "maru_store_memory_bytes", "Bytes not yet in files.", |s| s.memory_bytes),
            ("gauge", "maru_store_disk_bytes", "Bytes of live files.", |s| s.disk_bytes),
            ("gauge", "maru_store_own_families", "Channels with a family of their own.", |s| s.own_families),
            ("gauge", "maru_store_moving_channels", "Those of which messages are being moved.", |s| s.moving),
            ("counter", "maru_store_moved_messages_total", "Messages moved between families.", |s| s.moved),
        ];
        for (kind, name, help, read) in table {
            text.head(kind, name, help);
            text.line(name, read(&stats));
        }
    }
}

/// What waits in memory, by what holds it, and the bounds.
fn ledgers(text: &mut Text, reports: &[ShardReport]) {
    text.head("gauge", "maru_ledger_bytes", "Bytes that wait or are being answered, by what holds them.");
    for report in reports {
        for (class, bytes) in Holds::ALL.iter().zip(report.core.ledger_now) {
            let (class, shard) = (class.word(), report.shard);
            text.line(&format!("maru_ledger_bytes{{class=\"{class}\",shard=\"{shard}\"}}"), bytes);
        }
    }
    text.head(
        "gauge",
        "maru_ledger_bound_bytes",
        "From so many bytes on whoever asks for more waits; all: over all classes but windows.",
    );
    for report in reports {
        let shard = report.shard;
        let line = |class: &str| format!("maru_ledger_bound_bytes{{class=\"{class}\",shard=\"{shard}\"}}");
        for class in Holds::ALL {
            text.line(&line(class.word()), class.bound());
        }
        text.line(&line("all"), report.core.waiting_bytes_max);
    }
}

/// Every code of each shard, also those that never happened: an alert needs something to look at.
fn refusals(text: &mut Text, reports: &[ShardReport]) {
    text.head("counter", "maru_rejects_total", "Refused frames by code.");
    for report in reports {
        for code in Code::ALL {
            let count = report.core.rejects.of(*code)
                + report.driver.rejects.of(*code)
                + report.polls.rejects.of(*code);
            text.line(
                &format!("maru_rejects_total{{code=\"{}\",shard=\"{}\"}}", code.word(), report.shard),
                count,
            );
        }
    }
    text.head("counter", "maru_closes_total", "Connections that the server closed, by close code.");
    for report in reports {
        let mut closes = report.driver.closes;
        closes.join(&report.polls.closes);
        for (code, count) in closes.iter() {
            text.line(
                &format!("maru_closes_total{{code=\"{}\",shard=\"{}\"}}", code.word(), report.shard),
                count,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh;

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_hangs_is_left_out_and_the_rest_is_told() {
        let (mailboxes, outlets) = mesh::build(2);
        let metrics = Metrics {
            began: Instant::now(),
            latency: Arc::default(),
            outlets,
            store: Arc::new(Store::memory()),
            meters: vec![Arc::default(), Arc::default()],
            readers: Arc::default(),
            space: Arc::default(),
            certificates: None,
            stalls: Arc::default(),
            search: None,
        };
        // Only shard 1 answers; the mailbox of shard 0 stays open. Time stands still while this task looks.
        let answers = tokio::spawn(async move {
            loop {
                if let Some(Post::Inspect(reply)) = mailboxes[1].next_post() {
                    let mut core = shard::Counters { messages_stored: 42, ..Default::default() };
                    let mut driver = crate::driver::Counters::default();
                    core.rejects.add(Code::Rate);
                    driver.rejects.add(Code::Rate);
                    driver.closes.add(protocol::CloseCode::TooBig);
                    reply(ShardReport {
                        shard: protocol::ShardId(1),
                        is_ready: true,
                        resting: None,
                        core,
                        driver,
                        polls: crate::polls::Counters::default(),
                        turns: 7,
                        sleeps: 0,
                        hops_waiting_now: 0,
                        posts_waiting_now: 0,
                    });
                    return mailboxes;
                }
                tokio::task::yield_now().await;
            }
        });
        let text = metrics.text().await;
        drop(answers.await.unwrap());
        for line in [
            "maru_shards 2",
            "maru_shards_answering 1",
            "maru_messages_stored_total{shard=\"1\"} 42",
            "maru_rejects_total{code=\"rate\",shard=\"1\"} 2",
            "maru_rejects_total{code=\"busy\",shard=\"1\"} 0",
            "maru_closes_total{code=\"too_big\",shard=\"1\"} 1",
            "maru_store_batches_total{thread=\"1\"} 0",
            "maru_store_write_seconds_count{thread=\"0\"} 0",
            "maru_ack_seconds_bucket{le=\"0.00005\"} 0",
            "maru_delivery_seconds_count 0",
            "# TYPE maru_sessions gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
            let heads = text.lines().filter(|line| line.starts_with(&format!("# TYPE {name} "))).count();
            assert_eq!(heads, 1, "{name}");
        }
    }
}
