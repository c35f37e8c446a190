//! Looking users up. Whoever is found by name can be written to: the core is told of a user it does not know yet.

use axum::extract::{Path, State};
use protocol::UserId;
use serde_json::{Value, json};

use super::visit::Visitor;
use crate::accounts::{Account, Bot};
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::json::parse_id;
use crate::name::Sought;
use crate::server::Shared;

pub(crate) async fn by_name(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let asks = visitor.may(Scope::Read)?;
    let Path(name) = path.map_err(|error| ApiError::field("name", error.body_text()))?;
    let name = Sought::parse(&name).map_err(|fault| ApiError::field("name", fault))?;
    count(&api, asks.user)?;
    found(&api, asks.user, api.accounts.user_by_name(&name).await?).await
}

pub(crate) async fn by_id(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let asks = visitor.may(Scope::Read)?;
    let Path(id) = path.map_err(|error| ApiError::field("id", error.body_text()))?;
    let user = UserId(parse_id("id", &id)?);
    count(&api, asks.user)?;
    found(&api, asks.user, api.accounts.user(user).await?).await
}

/// Ids are times, so they are easy to walk through: a user has so many look-ups an hour.
fn count(api: &Shared, asks: UserId) -> Result<(), ApiError> {
    let taken = api.limiter.take_lookup(asks, api.limiter.now_ms());
    taken.map_err(|wait_ms| ApiError::too_many(wait_ms, "too many users were looked up; wait"))
}

async fn found(
    api: &Shared,
    viewer: UserId,
    account: Option<Account>,
) -> Result<axum::Json<Value>, ApiError> {
    let account = account.ok_or_else(|| ApiError::not_found("there is no such user"))?;
    if !account.in_core {
        match api.homes.create_account(account.user, account.created_ms).await {
            Ok(()) => api.accounts.set_in_core(account.user).await?,
            Err(error) => tracing::warn!(user = %account.user, %error, "the core does not know the user yet"),
        }
    }
    let may_see = api.accounts.may_see(viewer, account.user).await?;
    let bot = api.accounts.bot(account.user).await?;
    Ok(axum::Json(shown(&account, bot.as_ref(), may_see)))
}

/// What is seen of a user: the name, and whether it is a bot, by everybody, the rest by those who may.
pub(super) fn shown(account: &Account, bot: Option<&Bot>, may_see: bool) -> Value {
    let rest = |text: &str| if may_see { text.to_owned() } else { String::new() };
    let mut value = json!({
        "user": account.user.to_string(), "name": account.name,
        "display_name": rest(&account.display_name), "about": rest(&account.about),
    });
    if let (Some(bot), Some(fields)) = (bot, value.as_object_mut()) {
        let owner = bot.owner.map(|owner| owner.to_string());
        fields.insert("bot".into(), json!({ "owner": owner }));
    }
    value
}
