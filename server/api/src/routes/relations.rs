//! Friends, blocks, and who may come near one who asks. SQL remembers what was said; the home of a user, which decides,
//! is told before the answer. What it could not be told is told again by [`tell_rest`].

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use protocol::UserId;
use protocol::commit::{Audience, Policy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::bearer::Bearer;
use super::login::{home_refused, introduce};
use crate::accounts::{BLOCKS_MAX, FRIENDS_MAX, Other, RelationFault, Standing};
use crate::error::ApiError;
use crate::homes::HomeError;
use crate::json::{From, Json, after, parse_id};
use crate::now_ms;
use crate::server::Shared;

/// Users in one page of a list.
pub(crate) const PAGE: u32 = 200;
/// What homes were not told is told again this often.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// So much of it at a time.
const TELL_AT_ONCE: u32 = 200;

type Named = Result<Path<String>, PathRejection>;

/// Friends, and requests of both directions.
pub(crate) async fn friends(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    from: From,
) -> Result<axum::Json<Value>, ApiError> {
    let page = api.accounts.friends(claims.user, UserId(after(from)?), PAGE).await?;
    let shown = page.iter().map(|other| {
        json!({
            "user": other.user.to_string(), "name": other.name, "state": word(other.standing),
            "since_ms": other.since_ms,
        })
    });
    Ok(axum::Json(listed("friends", shown.collect(), &page)))
}

/// Asks somebody to be a friend, or says yes to who has asked.
pub(crate) async fn befriend(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    named: Named,
) -> Result<axum::Json<Value>, ApiError> {
    let (user, other) = (claims.user, other_of(claims.user, named)?);
    count(&api, user)?;
    let standing = api.accounts.befriend(user, other, now_ms()).await?;
    let standing = standing.map_err(|fault| refused(fault, "friends and requests", FRIENDS_MAX))?;
    if standing == Standing::Friend {
        tell(&api, user, other).await?;
        tell(&api, other, user).await?;
    }
    Ok(axum::Json(json!({ "user": other.to_string(), "state": word(standing) })))
}

/// Ends a friendship, takes a request back, or declines one.
pub(crate) async fn part(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    named: Named,
) -> Result<StatusCode, ApiError> {
    let (user, other) = (claims.user, other_of(claims.user, named)?);
    count(&api, user)?;
    api.accounts.part(user, other, now_ms()).await?;
    tell(&api, user, other).await?;
    tell(&api, other, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom the user blocks.
pub(crate) async fn blocks(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    from: From,
) -> Result<axum::Json<Value>, ApiError> {
    let page = api.accounts.blocks(claims.user, UserId(after(from)?), PAGE).await?;
    let shown = page.iter().map(
        |other| json!({ "user": other.user.to_string(), "name": other.name, "since_ms": other.since_ms }),
    );
    Ok(axum::Json(listed("blocks", shown.collect(), &page)))
}

/// From the answer on the other can neither write to the user nor add or invite the user to groups.
pub(crate) async fn block(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    named: Named,
) -> Result<StatusCode, ApiError> {
    set_blocked(&api, claims.user, other_of(claims.user, named)?, true).await
}

pub(crate) async fn unblock(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    named: Named,
) -> Result<StatusCode, ApiError> {
    set_blocked(&api, claims.user, other_of(claims.user, named)?, false).await
}

async fn set_blocked(
    api: &Shared,
    user: UserId,
    other: UserId,
    blocked: bool,
) -> Result<StatusCode, ApiError> {
    count(api, user)?;
    let done = api.accounts.block(user, other, blocked, now_ms()).await?;
    done.map_err(|fault| refused(fault, "blocked users", BLOCKS_MAX))?;
    tell(api, user, other).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn privacy(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
) -> Result<axum::Json<Value>, ApiError> {
    Ok(axum::Json(policy_shown(policy_of(&api, claims.user).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    message: Option<String>,
    add: Option<String>,
    see: Option<String>,
    receipts: Option<String>,
}

/// Changes the parts that are named, and answers all of it.
pub(crate) async fn set_privacy(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    Json(body): Json<Wanted>,
) -> Result<axum::Json<Value>, ApiError> {
    let wanted = [
        audience("message", body.message.as_deref())?,
        audience("add", body.add.as_deref())?,
        audience("see", body.see.as_deref())?,
    ];
    let hides_receipts = hides_receipts(body.receipts.as_deref())?;
    count(&api, claims.user)?;
    {
        let _turn = api.turns.of(claims.user).await;
        let before = policy_of(&api, claims.user).await?;
        let [message, add, see] = wanted;
        let policy = Policy {
            message: message.unwrap_or(before.message),
            add: add.unwrap_or(before.add),
            see: see.unwrap_or(before.see),
            hides_receipts: hides_receipts.unwrap_or(before.hides_receipts),
        };
        api.accounts.set_policy(claims.user, policy).await?;
    }
    tell_policy(&api, claims.user).await?;
    privacy(State(api), Bearer(claims)).await
}

async fn policy_of(api: &Shared, user: UserId) -> Result<Policy, ApiError> {
    api.accounts.policy(user).await?.ok_or_else(|| ApiError::not_found("there is no such user"))
}

/// In the user's turn, so that what is said later is told later.
async fn tell(api: &Shared, user: UserId, other: UserId) -> Result<(), ApiError> {
    let _turn = api.turns.of(user).await;
    let Some(relation) = api.accounts.to_tell(user, other).await? else { return Ok(()) };
    let mut told = api.homes.relate(user, other, relation).await;
    if told == Err(HomeError::NoSuchUser) {
        make_known(api, user).await?;
        told = api.homes.relate(user, other, relation).await;
    }
    told.map_err(|error| home_refused(&error))?;
    Ok(api.accounts.set_told(user, other, relation).await?)
}

async fn tell_policy(api: &Shared, user: UserId) -> Result<(), ApiError> {
    let _turn = api.turns.of(user).await;
    let Some(policy) = api.accounts.policy(user).await? else { return Ok(()) };
    let mut told = api.homes.set_policy(user, policy).await;
    if told == Err(HomeError::NoSuchUser) {
        make_known(api, user).await?;
        told = api.homes.set_policy(user, policy).await;
    }
    told.map_err(|error| home_refused(&error))?;
    Ok(api.accounts.set_policy_told(user, policy).await?)
}

/// The core is told of a user who has never logged in, as it is when somebody looks the user up.
pub(super) async fn make_known(api: &Shared, user: UserId) -> Result<(), ApiError> {
    let Some(account) = api.accounts.user(user).await? else { return Ok(()) };
    introduce(api, user, account.created_ms).await
}

/// Tells homes again and again what they could not be told: the server was stopped, or the disk was full.
pub(crate) async fn tell_rest(api: Shared) {
    let mut every = tokio::time::interval(TELL_EVERY);
    loop {
        every.tick().await;
        if let Err(error) = tell_some(&api).await {
            tracing::warn!(
                ?error,
                "what users said of each other cannot be told to their homes now; tried again"
            );
        }
    }
}

/// Whatever one home cannot be told keeps nobody else's from being told.
async fn tell_some(api: &Shared) -> Result<(), ApiError> {
    let mut outcome = Ok(());
    for (user, other) in api.accounts.untold(TELL_AT_ONCE).await? {
        outcome = tell(api, user, other).await.and(outcome);
    }
    for user in api.accounts.untold_policies(TELL_AT_ONCE).await? {
        outcome = tell_policy(api, user).await.and(outcome);
    }
    outcome
}

/// Whatever changes something is counted as a look-up: it costs more than one, and may tell who exists.
fn count(api: &Shared, user: UserId) -> Result<(), ApiError> {
    let taken = api.limiter.take_lookup(user, api.limiter.now_ms());
    let words = "too many users were looked up, asked or blocked; wait";
    taken.map_err(|wait_ms| ApiError::too_many(wait_ms, words))
}

fn other_of(user: UserId, named: Named) -> Result<UserId, ApiError> {
    let Path(id) = named.map_err(|error| ApiError::field("id", error.body_text()))?;
    let other = UserId(parse_id("id", &id)?);
    if other == user {
        return Err(ApiError::field("id", "it is your own; expected another user's"));
    }
    Ok(other)
}

fn listed(what: &str, shown: Vec<Value>, page: &[Other]) -> Value {
    match page.last().filter(|_| page.len() == PAGE as usize) {
        Some(last) => json!({ what: shown, "next": last.user.to_string() }),
        None => json!({ what: shown }),
    }
}

fn refused(fault: RelationFault, what: &str, most: u64) -> ApiError {
    match fault {
        RelationFault::NoSuchUser => ApiError::not_found("there is no such user"),
        RelationFault::Full => {
            let words = format!("you have {most} {what}, the most allowed; take one away first");
            ApiError::new(StatusCode::CONFLICT, "too_many_relations", words)
        }
    }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Friend => "friend",
        Standing::Asked => "asked",
        Standing::Asks => "asks",
    }
}

fn hides_receipts(word: Option<&str>) -> Result<Option<bool>, ApiError> {
    match word {
        None => Ok(None),
        Some("everyone") => Ok(Some(false)),
        Some("nobody") => Ok(Some(true)),
        Some(other) => {
            let other = other.chars().take(20).collect::<String>();
            Err(ApiError::field("receipts", format_args!("{other:?}; expected everyone or nobody")))
        }
    }
}

fn audience(field: &str, word: Option<&str>) -> Result<Option<Audience>, ApiError> {
    let Some(word) = word else { return Ok(None) };
    match word {
        "everyone" => Ok(Some(Audience::Everyone)),
        "friends" => Ok(Some(Audience::Friends)),
        "nobody" => Ok(Some(Audience::Nobody)),
        other => Err(ApiError::field(
            field,
            format_args!(
                "{:?}; expected everyone, friends or nobody",
                other.chars().take(20).collect::<String>()
            ),
        )),
    }
}

fn policy_shown(policy: Policy) -> Value {
    let word = |audience| match audience {
        Audience::Everyone => "everyone",
        Audience::Friends => "friends",
        Audience::Nobody => "nobody",
    };
    let receipts = if policy.hides_receipts { "nobody" } else { "everyone" };
    json!({
        "message": word(policy.message), "add": word(policy.add), "see": word(policy.see), "receipts": receipts,
    })
}
