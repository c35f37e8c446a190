//! What issuers' tokens and keys come to, in the Prometheus text format.

use std::fmt::Write as _;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::remote::Counts;
use super::{Issuers, Source};

impl Issuers {
    /// All of it. An issuer's name was checked: it stands in a label as it is.
    pub(crate) fn metrics(&self) -> String {
        self.tokens() + &self.keys()
    }

    fn tokens(&self) -> String {
        let mut text =
            "# HELP maru_jwt_total Tokens of issuers by outcome: good, or the code of the refusal.\n\
                        # TYPE maru_jwt_total counter\n"
                .to_owned();
        for issuer in self.now().iter() {
            let name = &issuer.name;
            let good = issuer.taken.load(Ordering::Relaxed);
            let _ = writeln!(text, "maru_jwt_total{{issuer=\"{name}\",outcome=\"good\"}} {good}");
            for (code, count) in issuer.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let _ = writeln!(text, "maru_jwt_total{{issuer=\"{name}\",outcome=\"{code}\"}} {count}");
            }
        }
        text
    }

    fn keys(&self) -> String {
        let mut fetches =
            head("fetches_total", "counter", "Times that an issuer's keys were fetched, by outcome.");
        let mut keys = head("keys", "gauge", "Keys of an issuer that are held.");
        let mut ages = head("keys_age_seconds", "gauge", "Time since an issuer's keys were fetched.");
        for issuer in self.now().iter() {
            let Source::Remote(remote) = &issuer.source else { continue };
            let (name, Counts { good, failed, keys: count, age }) = (&issuer.name, remote.counts());
            for (outcome, count) in [("good", good), ("failed", failed)] {
                let labels = format_args!("issuer=\"{name}\",outcome=\"{outcome}\"");
                let _ = writeln!(fetches, "maru_issuer_fetches_total{{{labels}}} {count}");
            }
            let _ = writeln!(keys, "maru_issuer_keys{{issuer=\"{name}\"}} {count}");
            if let Some(age) = age {
                let _ = writeln!(ages, "maru_issuer_keys_age_seconds{{issuer=\"{name}\"}} {}", age.as_secs());
            }
        }
        fetches + &keys + &ages
    }
}

fn head(name: &str, kind: &str, help: &str) -> String {
    format!("# HELP maru_issuer_{name} {help}\n# TYPE maru_issuer_{name} {kind}\n")
}
