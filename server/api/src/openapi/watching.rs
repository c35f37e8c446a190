//! Whether the server lives, and what it says of itself.

use serde_json::json;

use super::{Operation, Section};
use crate::routes::{KEPT_FILE, KEPT_PAGE, METRICS_MEDIA, SCRIPT_MEDIA, STYLE_MEDIA};

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

pub(super) fn section() -> Section {
    Section {
        tag: "server",
        about: "Whether the server lives, and what it says of itself.",
        operations: vec![
            health(),
            ready(),
            drain(),
            metrics(),
            document(),
            page(),
            script(),
            style(),
            app(),
            app_worker(),
            app_file(),
        ],
        schemas: Vec::new(),
    }
}

fn health() -> Operation {
    Operation::new("GET", "/healthz", "health", "Whether the process lives and works")
        .about("At the admin listener a refusal says which shard stands still.")
        .at_both()
        .gives_text(200, "It does.", TEXT)
        .refuses(&["stalled"])
}

fn ready() -> Operation {
    Operation::new("GET", "/readyz", "readiness", "Whether the server serves")
        .about("At the admin listener a refusal says what is waited for.")
        .at_both()
        .gives_text(200, "Every shard serves.", TEXT)
        .refuses(&["not_ready"])
}

fn drain() -> Operation {
    Operation::new("POST", "/v1/admin/drain", "drain", "End the server as SIGTERM does")
        .about("What is admitted is finished, clients are told to come back, and the process ends.")
        .operator("all")
        .gives_nothing("It begins.")
}

fn metrics() -> Operation {
    Operation::new("GET", "/metrics", "metrics", "What the server counts")
        .about("On loopback for anybody, unless the setting `metrics_token` is on.")
        .operator_or_loopback("metrics")
        .gives_text(200, "Prometheus' text format.", METRICS_MEDIA)
}

fn document() -> Operation {
    let schema = json!({ "type": "object", "properties": { "openapi": { "const": "3.1.1" } }, "required": ["openapi"] });
    Operation::new("GET", "/v1/openapi.json", "document", "This document").at_both().gives(
        200,
        "What this listener answers.",
        schema,
    )
}

fn page() -> Operation {
    Operation::new("GET", "/docs", "page", "A page that shows this document and tries it")
        .at_both()
        .gives_text(200, "The page.", HTML)
}

fn script() -> Operation {
    Operation::new("GET", "/docs/page.js", "pageScript", "The page's script").at_both().gives_text(
        200,
        "The script.",
        SCRIPT_MEDIA,
    )
}

fn style() -> Operation {
    Operation::new("GET", "/docs/page.css", "pageStyle", "The page's style").at_both().gives_text(
        200,
        "The style.",
        STYLE_MEDIA,
    )
}

fn app() -> Operation {
    Operation::new("GET", "/", "webApp", "The web app")
        .about("Or, in a binary that was built without it, a page that says how to have it.")
        .gives_text(200, "The page.", HTML)
        .kept(KEPT_PAGE)
}

fn app_worker() -> Operation {
    Operation::new("GET", "/sw.js", "webAppWorker", "The service worker of the web app")
        .about("In a binary that was built without the app, one that takes itself out of the browser.")
        .gives_text(200, "The script.", SCRIPT_MEDIA)
        .kept(KEPT_PAGE)
}

fn app_file() -> Operation {
    Operation::new("GET", "/assets/{file}", "webAppFile", "A file of the web app")
        .about(
            "Its name changes with its content, so it is kept for ever. Which there are only the page says.",
        )
        .in_path("file", json!({ "type": "string" }), "none.js")
        .gives_text(200, "The file.", SCRIPT_MEDIA)
        .kept(KEPT_FILE)
        .refuses(&["not_found"])
}
