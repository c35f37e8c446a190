//! Reports of messages, for operators: a list, and how each is closed. What a message says is not shown.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Clerk, Operator};
use crate::accounts::{CloseFault, Closed, Outcome, REASON_CHARS_MAX, Report, Which};
use crate::audit::note;
use crate::error::ApiError;
use crate::json::{Json, bad_query, parse_id};
use crate::now_ms;
use crate::routes::channels::{limit, set_next};
use crate::server::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    state: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Closing {
    outcome: String,
    note: Option<String>,
}

/// A page, oldest first.
pub(crate) async fn list(
    State(api): State<Shared>,
    _operator: Operator,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let Query(asked) = asked.map_err(|error| bad_query("state", &error))?;
    let which = match asked.state.as_deref() {
        None | Some("open") => Which::Open,
        Some("closed") => Which::Closed,
        Some("all") => Which::All,
        Some(other) => {
            return Err(ApiError::field("state", format!("{other:?}; expected open, closed or all")));
        }
    };
    let after = asked.after.map_or(Ok(0), |after| parse_id("after", &after))?;
    let limit = limit(asked.limit)?;
    let page = api.accounts.reports(which, after, limit).await?;
    let mut answer = json!({ "reports": page.iter().map(shown).collect::<Vec<_>>() });
    let is_full = page.len() >= limit as usize;
    set_next(&mut answer, page.last().filter(|_| is_full).map(|last| last.id.to_string()));
    Ok(axum::Json(answer))
}

/// What came of it.
pub(crate) async fn close(
    State(api): State<Shared>,
    Clerk(by): Clerk,
    path: Result<Path<String>, PathRejection>,
    Json(closing): Json<Closing>,
) -> Result<axum::Json<Value>, ApiError> {
    let Path(id) = path.map_err(|error| ApiError::field("id", error.body_text()))?;
    let id = parse_id("id", &id)?;
    let Closing { outcome, note: words } = closing;
    let outcome = Outcome::parse(&outcome).ok_or_else(|| {
        let words = Outcome::ALL.map(Outcome::word).join(" or ");
        ApiError::field("outcome", format!("{outcome:?}; expected {words}"))
    })?;
    let words = words.unwrap_or_default();
    let chars = words.chars().count();
    if chars > REASON_CHARS_MAX {
        return Err(ApiError::field("note", format!("{chars} characters; at most {REASON_CHARS_MAX}")));
    }
    let closed = Closed { at_ms: now_ms(), by, outcome, note: words };
    match api.accounts.close_report(id, &closed).await? {
        Ok(report) => {
            note(|trail| trail.subject = Some(report.of.sender));
            Ok(axum::Json(shown(&report)))
        }
        Err(CloseFault::NoSuchReport) => Err(ApiError::not_found("there is no such report")),
        Err(CloseFault::ClosedAlready) => {
            let words = "the report was closed before, and stays so";
            Err(ApiError::new(StatusCode::CONFLICT, "report_closed", words))
        }
    }
}

fn shown(report: &Report) -> Value {
    let Report { id, of, made_ms, closed } = report;
    let closed = closed.as_ref().map(|closed| {
        json!({
            "at_ms": closed.at_ms, "by": closed.by, "outcome": closed.outcome.word(), "note": closed.note,
        })
    });
    json!({
        "report": id.to_string(), "reporter": of.reporter.map(|user| user.to_string()),
        "channel": of.channel.to_string(), "seq": of.seq.0, "sender": of.sender.to_string(),
        "reason": of.reason, "made_ms": made_ms, "closed": closed,
    })
}
