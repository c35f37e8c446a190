//! Bots and their tokens: a user's own, and the operator's. The operator lists and ends everybody's.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use protocol::{DeviceId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::Operator;
use super::bearer::Bearer;
use super::channels::set_next;
use super::login::{STORAGE_RETRY_MS, admit, check_device_name, forget, introduce};
use super::profile::erase;
use crate::accounts::Bot;
use crate::audit::note;
use crate::bot_token::Scopes;
use crate::error::ApiError;
use crate::json::{From, Json, after, bad_path, parse_id};
use crate::name::Name;
use crate::now_ms;
use crate::server::Shared;

/// Bots in one page of a list.
pub(crate) const PAGE: u32 = 200;
/// What a token is called unless it is said.
const TOKEN_NAME: &str = "first";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    name: String,
    /// Of its first token.
    token_name: Option<String>,
    scopes: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedToken {
    name: String,
    scopes: Option<Vec<String>>,
}

type Answer = Result<(StatusCode, axum::Json<Value>), ApiError>;
type Id = Result<Path<String>, PathRejection>;
type Ids = Result<Path<(String, String)>, PathRejection>;

/// Whose bots a request is about.
trait Asks {
    /// Whose a new bot is.
    fn owner(&self) -> Option<UserId>;

    /// Whether this bot is a matter of the one who asks.
    fn may_manage(&self, bot: &Bot) -> bool;
}

impl Asks for Bearer {
    fn owner(&self) -> Option<UserId> {
        Some(self.0.user)
    }

    fn may_manage(&self, bot: &Bot) -> bool {
        bot.owner == self.owner()
    }
}

impl Asks for Operator {
    fn owner(&self) -> Option<UserId> {
        None
    }

    fn may_manage(&self, _bot: &Bot) -> bool {
        true
    }
}

pub(crate) async fn make(State(api): State<Shared>, asks: Bearer, Json(body): Json<Wanted>) -> Answer {
    if api.accounts.bot(asks.0.user).await?.is_some() {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "bot", "a bot makes no bots"));
    }
    make_for(&api, &asks, body).await
}

pub(crate) async fn make_as_operator(
    State(api): State<Shared>,
    asks: Operator,
    Json(body): Json<Wanted>,
) -> Answer {
    make_for(&api, &asks, body).await
}

pub(crate) async fn list(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    from: From,
) -> Result<axum::Json<Value>, ApiError> {
    page(&api, Some(claims.user), from).await
}

pub(crate) async fn list_all(
    State(api): State<Shared>,
    _operator: Operator,
    from: From,
) -> Result<axum::Json<Value>, ApiError> {
    page(&api, None, from).await
}

pub(crate) async fn end(State(api): State<Shared>, asks: Bearer, id: Id) -> Result<StatusCode, ApiError> {
    end_of(&api, &asks, id).await
}

pub(crate) async fn end_any(
    State(api): State<Shared>,
    asks: Operator,
    id: Id,
) -> Result<StatusCode, ApiError> {
    end_of(&api, &asks, id).await
}

pub(crate) async fn make_token(
    State(api): State<Shared>,
    asks: Bearer,
    id: Id,
    Json(body): Json<WantedToken>,
) -> Answer {
    make_token_of(&api, &asks, id, body).await
}

pub(crate) async fn make_any_token(
    State(api): State<Shared>,
    asks: Operator,
    id: Id,
    Json(body): Json<WantedToken>,
) -> Answer {
    make_token_of(&api, &asks, id, body).await
}

pub(crate) async fn tokens(
    State(api): State<Shared>,
    asks: Bearer,
    id: Id,
) -> Result<axum::Json<Value>, ApiError> {
    tokens_of(&api, &asks, id).await
}

pub(crate) async fn any_tokens(
    State(api): State<Shared>,
    asks: Operator,
    id: Id,
) -> Result<axum::Json<Value>, ApiError> {
    tokens_of(&api, &asks, id).await
}

pub(crate) async fn end_token(
    State(api): State<Shared>,
    asks: Bearer,
    ids: Ids,
) -> Result<StatusCode, ApiError> {
    end_token_of(&api, &asks, ids).await
}

pub(crate) async fn end_any_token(
    State(api): State<Shared>,
    asks: Operator,
    ids: Ids,
) -> Result<StatusCode, ApiError> {
    end_token_of(&api, &asks, ids).await
}

/// A bot and its first token. If the core cannot take it now there is no bot.
async fn make_for(api: &Shared, asks: &impl Asks, body: Wanted) -> Answer {
    let name = Name::parse(&body.name).map_err(|fault| ApiError::field("name", fault))?;
    if name.is_reserved() && asks.owner().is_some() {
        let words = "the name is kept for those who run the server; take another one";
        return Err(ApiError::new(StatusCode::CONFLICT, "name_taken", words).at("name"));
    }
    let scopes = scopes(body.scopes)?;
    let token_name = body.token_name.as_deref().unwrap_or(TOKEN_NAME);
    let token_name = check_device_name("token_name", token_name)?;
    if api.homes.is_storage_full() {
        return Err(ApiError::storage_full(STORAGE_RETRY_MS));
    }
    let most = api.settings.user_bots;
    let made = api.accounts.create_bot(asks.owner(), &name, most, now_ms()).await?;
    let user = made.ok_or_else(|| {
        let words = format!("you have {most} bots, the most allowed here");
        ApiError::new(StatusCode::CONFLICT, "too_many_bots", words)
    })?;
    note(|trail| trail.subject = Some(user));
    let _turn = api.turns.of(user).await;
    let token = match introduce(api, user, now_ms()).await {
        Ok(()) => new_token(api, user, token_name, scopes).await,
        Err(error) => Err(error),
    };
    let mut answer = match token {
        Ok(token) => token,
        Err(error) => {
            api.accounts.unmake_bot(user).await?;
            return Err(error);
        }
    };
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("bot".into(), user.to_string().into());
        fields.insert("name".into(), name.shown().into());
    }
    tracing::info!(%user, owner = asks.owner().map_or(0, |owner| owner.0), "a bot was made");
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// In the bot's turn: the token takes its place in SQL, then it is a device of the core; only then is it told.
async fn new_token(api: &Shared, bot: UserId, name: &str, scopes: Scopes) -> Result<Value, ApiError> {
    let most = api.settings.bot_tokens;
    let made = api.accounts.add_bot_token(bot, name, scopes, most, now_ms()).await?;
    let (device, token) = made.ok_or_else(|| {
        let words = format!("the bot has {most} tokens, the most allowed here; revoke one");
        ApiError::new(StatusCode::CONFLICT, "too_many_tokens", words)
    })?;
    if let Err(error) = admit(api, bot, device).await {
        api.accounts.remove_device(bot, device).await?;
        return Err(error);
    }
    Ok(json!({
        "token": token.text(), "id": device.to_string(), "token_name": name, "scopes": scopes.words(),
    }))
}

async fn make_token_of(api: &Shared, asks: &impl Asks, id: Id, body: WantedToken) -> Answer {
    let scopes = scopes(body.scopes)?;
    let name = check_device_name("name", &body.name)?;
    let bot = managed(api, asks, id).await?;
    if api.homes.is_storage_full() {
        return Err(ApiError::storage_full(STORAGE_RETRY_MS));
    }
    let _turn = api.turns.of(bot.user).await;
    introduce(api, bot.user, bot.created_ms).await?;
    let token = new_token(api, bot.user, name, scopes).await?;
    Ok((StatusCode::CREATED, axum::Json(token)))
}

async fn tokens_of(api: &Shared, asks: &impl Asks, id: Id) -> Result<axum::Json<Value>, ApiError> {
    let bot = managed(api, asks, id).await?;
    let tokens = api.accounts.bot_tokens(bot.user).await?;
    let shown = tokens.iter().map(|token| {
        json!({
            "id": token.device.to_string(), "token_name": token.name, "scopes": token.scopes.words(),
            "created_ms": token.created_ms, "seen_ms": token.seen_ms,
        })
    });
    Ok(axum::Json(json!({ "tokens": shown.collect::<Vec<_>>() })))
}

/// Revokes a token: its connections and requests end with it. Repeatable.
async fn end_token_of(api: &Shared, asks: &impl Asks, ids: Ids) -> Result<StatusCode, ApiError> {
    let Path((bot, token)) = ids.map_err(|error| bad_path(&["id", "token"], &error))?;
    let device = DeviceId(parse_id("token", &token)?);
    let bot = managed(api, asks, Ok(Path(bot))).await?;
    let _turn = api.turns.of(bot.user).await;
    forget(api, bot.user, device).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_of(api: &Shared, asks: &impl Asks, id: Id) -> Result<StatusCode, ApiError> {
    let bot = managed(api, asks, id).await?;
    let _turn = api.turns.of(bot.user).await;
    erase(api, bot.user).await?;
    tracing::info!(user = %bot.user, "a bot was ended");
    Ok(StatusCode::NO_CONTENT)
}

/// The bot that a path names. One of somebody else is as none.
async fn managed(api: &Shared, asks: &impl Asks, id: Id) -> Result<Bot, ApiError> {
    let Path(id) = id.map_err(|error| ApiError::field("id", error.body_text()))?;
    let bot = api.accounts.bot(UserId(parse_id("id", &id)?)).await?;
    let bot = bot.filter(|bot| asks.may_manage(bot));
    let bot = bot.ok_or_else(|| ApiError::not_found("you have no such bot"))?;
    note(|trail| trail.subject = Some(bot.user));
    Ok(bot)
}

async fn page(api: &Shared, of: Option<UserId>, from: From) -> Result<axum::Json<Value>, ApiError> {
    let after = after(from)?;
    let bots = api.accounts.bots(of, after, PAGE).await?;
    let mut answer = json!({ "bots": bots.iter().map(shown).collect::<Vec<_>>() });
    // A page that is full may not be the last.
    let last = bots.get(PAGE as usize - 1).map(|bot| bot.user.to_string());
    set_next(&mut answer, last);
    Ok(axum::Json(answer))
}

fn shown(bot: &Bot) -> Value {
    json!({
        "bot": bot.user.to_string(), "name": bot.name, "owner": bot.owner.map(|owner| owner.to_string()),
        "created_ms": bot.created_ms,
    })
}

fn scopes(words: Option<Vec<String>>) -> Result<Scopes, ApiError> {
    let Some(words) = words else { return Ok(Scopes::usual()) };
    Scopes::parse(&words).ok_or_else(|| {
        ApiError::field("scopes", "expected a list of at least one of \"read\", \"send\" and \"connect\"")
    })
}
