//! The pages for people: docs/http.md names what the documents name, and the page that the server serves is its own.

use std::collections::BTreeSet;

use crate::contract;

const PAGE: &str = include_str!("../../../../docs/http.md");

/// The rows of the table under a heading, the first cell of each.
fn cells(heading: &str) -> Vec<&'static str> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.take_while(|line| line.starts_with('|')).map(|line| line.split('|').nth(1).unwrap()).collect()
}

/// What stands in backticks.
fn quoted(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split('`').skip(1).step_by(2)
}

#[tokio::test]
async fn docs_http_names_every_route_and_no_other() {
    let mut named = BTreeSet::new();
    for cell in cells("Requests") {
        let mut method = "";
        for words in quoted(cell) {
            let path = words.split_once(' ').map_or(words, |(said, path)| {
                method = said;
                path
            });
            named.insert(format!("{method} {path}"));
        }
    }
    let contract = contract().await;
    let documented =
        contract.operations.iter().map(|operation| format!("{} {}", operation.method, operation.path));
    assert_eq!(named, documented.collect(), "docs/http.md, and the documents");
}

#[tokio::test]
async fn docs_http_names_every_code_and_no_other() {
    let mut named = BTreeSet::new();
    for cell in cells("Refusals") {
        let mut status = "";
        for part in cell.split(',') {
            let before = part.split('`').next().unwrap().trim();
            status = if before.is_empty() { status } else { before };
            named.extend(quoted(part).map(|code| format!("{status} {code}")));
        }
    }
    // Of every path, and so of no operation.
    let mut documented = BTreeSet::from(["404 not_found".to_owned(), "405 method_not_allowed".to_owned()]);
    for operation in &contract().await.operations {
        for (status, answer) in operation.value["responses"].as_object().unwrap() {
            let codes = answer.pointer("/content/application~1problem+json/schema/properties/code/enum");
            let codes = codes.and_then(|codes| codes.as_array()).into_iter().flatten();
            documented.extend(codes.map(|code| format!("{status} {}", code.as_str().unwrap())));
        }
    }
    assert_eq!(named, documented, "docs/http.md, and the documents");
}

#[tokio::test]
async fn the_page_loads_nothing_but_its_own_and_runs_nothing_inline() {
    let contract = contract().await;
    let world = &contract.world;
    for base in [&world.base, &world.admin] {
        let get = async |path: &str| {
            let response = world.http.get(format!("{base}{path}")).send().await.unwrap();
            let header =
                |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            (header("content-security-policy"), response.text().await.unwrap())
        };
        let (policy, html) = get("/docs").await;
        let policy = policy.unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let mut loaded: Vec<&str> = html.split(['"', '\'']).filter(|part| part.starts_with('/')).collect();
        loaded.sort_unstable();
        assert_eq!(loaded, ["/docs/page.css", "/docs/page.js", "/v1/openapi.json"]);
        let is_inline =
            |word: &str| word.starts_with("style=") || word.starts_with("on") && word.contains('=');
        assert!(
            !html.contains("<script>") && !html.contains("<style") && !html.split_whitespace().any(is_inline)
        );
        let (script, style) = (get("/docs/page.js").await.1, get("/docs/page.css").await.1);
        for text in [&html, &script, &style] {
            assert!(!text.contains("://") && !text.contains("@import"), "nothing from elsewhere");
        }
        let kept = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "localStorage",
            "sessionStorage",
            "cookie",
            ".style.",
        ];
        assert!(
            kept.iter().all(|word| !script.contains(word)),
            "text is put in as text, and the token is kept nowhere"
        );
    }
}
