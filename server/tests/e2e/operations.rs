//! docs/operations.md says what there is: every setting with its bounds, and every metric. `MARU_BLESS=1` writes the
//! settings' table anew.

use std::collections::BTreeSet;
use std::fmt::Write;

use server::config::SETTINGS;

use crate::node::Node;
use crate::people::PASSWORD;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
const BEGIN: &str = "<!-- generated: settings -->\n";
const END: &str = "<!-- end: settings -->";

fn page() -> String {
    std::fs::read_to_string(PAGE).unwrap()
}

fn settings() -> String {
    let mut table = String::from("| key | allowed | what it is for [default] |\n|---|---|---|\n");
    for setting in SETTINGS {
        writeln!(table, "| `{}` | {} | {} |", setting.name, setting.allowed, setting.help).unwrap();
    }
    table
}

#[test]
fn every_setting_is_on_the_page() {
    let page = page();
    let (before, rest) = page.split_once(BEGIN).expect("the mark of the table");
    let (found, after) = rest.split_once(END).expect("the end of the table");
    if found != settings() && std::env::var_os("MARU_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(PAGE, format!("{before}{BEGIN}{}{END}{after}", settings())).unwrap();
        return;
    }
    assert_eq!(found, settings(), "run again with MARU_BLESS=1");
}

#[tokio::test]
async fn every_metric_is_on_the_page_and_no_other() {
    let node = Node::start(1, &[]);
    // A metric by code is there once there is a code.
    assert!(node.http_raw("GET /nothing HTTP/1.0\r\n\r\n").contains(" 404 "));
    node.account().signup("ann", PASSWORD).await.unwrap();
    let metrics = node.metrics();
    let heads = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let there: BTreeSet<&str> = heads.collect();
    let page = page();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    let told: BTreeSet<&str> =
        rows.filter(|name| name.starts_with("maru_") || name.starts_with("process_")).collect();
    let missing: Vec<_> = there.difference(&told).collect();
    let invented: Vec<_> = told.difference(&there).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing {missing:?}, invented {invented:?}");
}
