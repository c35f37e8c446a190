//! The Grafana board and the alerts of deploy/ ask only for what the server exports: every metric, and every label of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::node::Node;
use crate::people::PASSWORD;

const BOARD: &str = include_str!("../../../deploy/grafana/maru.json");
const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yml");
const SCRAPE: &str = include_str!("../../../deploy/prometheus/scrape.yml");

/// What Prometheus itself adds to whatever it scrapes.
const ADDED_LABELS: &[&str] = &["instance", "job", "le"];

/// Every series by its name with its labels; of a histogram also those of its parts.
fn exported(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut there = BTreeMap::<String, BTreeSet<String>>::new();
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        there.entry(name.to_owned()).or_default();
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (key, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = key.split_once('{').unwrap_or((key, ""));
        let names =
            labels.split(',').filter_map(|label| label.split_once('=').map(|(name, _)| name.to_owned()));
        there.entry(name.to_owned()).or_default().extend(names);
    }
    there
}

/// Names of series in an expression, each with the labels that its braces name.
fn asked(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = ["maru_", "process_"].iter().filter_map(|begin| rest.find(begin)).min() {
        let begins = at == 0 || !rest[..at].ends_with(is_name);
        let from = &rest[at..];
        let name: String = from.chars().take_while(|c| is_name(*c)).collect();
        rest = &from[name.len()..];
        let braces =
            rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inner, _)| inner);
        let labels = braces.split(',').filter_map(|label| label.split(['=', '!']).next()).map(str::trim);
        let labels = labels.filter(|label| !label.is_empty()).map(String::from).collect();
        assert!(begins, "{expression}");
        found.push((name, labels));
    }
    found
}

/// Labels that an expression groups by.
fn groups(expression: &str) -> Vec<String> {
    let lists = expression.split(" by (").skip(1).map(|rest| rest.split(')').next().unwrap());
    lists.flat_map(|list| list.split(',').map(|label| label.trim().to_owned())).collect()
}

#[track_caller]
fn is_answered(expression: &str, there: &BTreeMap<String, BTreeSet<String>>) -> usize {
    let series = asked(expression);
    for (name, labels) in &series {
        let has = there.get(name).unwrap_or_else(|| panic!("{name}, of {expression}, is not exported"));
        for label in labels.iter().chain(&groups(expression)) {
            // A metric by code has no line before there is a code.
            let is_known = ADDED_LABELS.contains(&label.as_str()) || has.contains(label) || has.is_empty();
            assert!(is_known, "{name} has no label {label}: {expression}");
        }
    }
    series.len()
}

fn board() -> Vec<String> {
    let board: Value = serde_json::from_str(BOARD).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let mut expressions = Vec::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty() && panel["title"].is_string(), "{panel}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${source}", "whoever imports it chooses the source");
            expressions.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "an id twice");
    expressions
}

/// The expressions of the rules, each of which has all that a rule needs.
fn alerts() -> Vec<String> {
    let mut rules = ALERTS.split("- alert: ").skip(1);
    let mut names = BTreeSet::new();
    rules
        .by_ref()
        .map(|rule| {
            let name = rule.lines().next().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            let value = |key: &str| {
                let found = rule.lines().find_map(|line| line.trim().strip_prefix(key));
                found.unwrap_or_else(|| panic!("{name} has no {key}")).trim().to_owned()
            };
            let severity = value("labels: { severity:");
            assert!(["page }", "ticket }"].contains(&severity.as_str()), "{name}: {severity}");
            assert!(value("annotations: { summary:").len() > 10 && !value("for:").is_empty(), "{name}");
            value("expr:")
        })
        .collect()
}

#[tokio::test]
async fn the_board_and_the_alerts_ask_for_what_there_is() {
    let node = Node::start(2, &[]);
    assert!(node.http_raw("GET /nothing HTTP/1.0\r\n\r\n").contains(" 404 "));
    node.account().signup("ann", PASSWORD).await.unwrap();
    let there = exported(&node.metrics());
    let (board, alerts) = (board(), alerts());
    let series: usize = board.iter().map(|expression| is_answered(expression, &there)).sum();
    assert!(board.len() > 60 && series >= board.len(), "{} {series}", board.len());
    let of_alerts: usize = alerts.iter().map(|expression| is_answered(expression, &there)).sum();
    assert!(alerts.len() > 10 && of_alerts + 1 >= alerts.len(), "{of_alerts}: MaruDown alone asks for up");
    for part in ["rule_files:", "- alerts.yml", "job_name: maru", "127.0.0.1:8082"] {
        assert!(SCRAPE.contains(part), "{part}");
    }
    assert!(ALERTS.contains("up{job=\"maru\"}"), "the job of scrape.yml");
}

#[test]
fn a_metric_or_a_label_that_is_none_is_found() {
    let there =
        exported("# TYPE maru_a counter\nmaru_a{code=\"x\",shard=\"0\"} 1\n# TYPE maru_b gauge\nmaru_b 2\n");
    assert_eq!(is_answered("sum by (code) (rate(maru_a{shard=\"0\"}[5m])) / maru_b", &there), 2);
    for wrong in ["maru_c", "rate(maru_a_total[5m])", "maru_a{kode=\"x\"}", "sum by (kode) (maru_a)"] {
        assert!(std::panic::catch_unwind(|| is_answered(wrong, &there)).is_err(), "{wrong}");
    }
}
