//! What is asked of the core in the name of a user, without a connection: one frame, and what its answer means over HTTP.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use protocol::body::session::{GoingAway, Reject};
use protocol::body::sync::{ChannelItem, Channels, GetChannels};
use protocol::body::{self, Body};
use protocol::token::Claims;
use protocol::{ChannelId, Code, Frame, Kind, Refusal};

use super::bearer::{Bearer, bearer_text};
use super::login::home_refused;
use crate::accounts::Shows;
use crate::bot_token::{BotToken, Scope, Scopes};
use crate::error::ApiError;
use crate::homes::Visit;
use crate::now_ms;
use crate::server::Shared;

/// The number of a request that is no send: one visit has one.
const REQUEST: u64 = 1;

/// A bot's token is shown with each request, so that what is asked in its name is asked at once.
const BOT_MS: u64 = 60_000;
/// A token is noted as seen once in so long.
const SEEN_EVERY_MS: u64 = 3_600_000;

/// Whoever acts for a user: a device with its access token, or a bot with one of its own.
#[derive(Debug)]
pub(crate) struct Visitor {
    claims: Claims,
    /// Of a bot's token; `None`: an access token, which opens everything.
    scopes: Option<Scopes>,
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, ApiError> {
        let text = bearer_text(parts)?;
        if BotToken::is_meant(text) {
            let shows = bot_of(api, text).await?;
            let now_ms = now_ms();
            if shows.seen_ms.saturating_add(SEEN_EVERY_MS) < now_ms {
                api.accounts.seen(shows.device, now_ms).await?;
            }
            let (user, device) = (shows.user, shows.device);
            let issued_ms = now_ms.max(shows.not_before_ms);
            let claims = Claims { user, device, expires_ms: now_ms.saturating_add(BOT_MS), issued_ms };
            return Ok(Self { claims, scopes: Some(shows.scopes) });
        }
        let Bearer(claims) = Bearer::from_request_parts(parts, api).await?;
        Ok(Self { claims, scopes: None })
    }
}

/// Whose a bot's token is.
pub(super) async fn bot_of(api: &Shared, text: &str) -> Result<Shows, ApiError> {
    let shows = match BotToken::parse(text) {
        Some(token) => api.accounts.bot_by_token(&token).await?,
        None => None,
    };
    shows.ok_or_else(|| {
        ApiError::unauthenticated("the bot's token is not one of this server's, or was revoked")
    })
}

/// The token opens something else.
pub(super) fn wrong_scope(scopes: Scopes, asked: Scope) -> ApiError {
    let has = scopes.words().join(", ");
    let words = format!("the token's scopes are {has}; this asks for {}", asked.word());
    ApiError::new(StatusCode::FORBIDDEN, "scope", words)
}

impl Visitor {
    /// Who asks, if the token opens this.
    pub(crate) fn may(&self, asked: Scope) -> Result<Claims, ApiError> {
        match self.scopes {
            Some(scopes) if !scopes.opens(asked) => Err(wrong_scope(scopes, asked)),
            _ => Ok(self.claims),
        }
    }

    /// Whether it shows a bot's own token.
    pub(crate) fn is_bot(&self) -> bool {
        self.scopes.is_some()
    }

    /// Whether a channel is among the user's own.
    pub(crate) async fn has_channel(&self, api: &Shared, channel: ChannelId) -> Result<bool, ApiError> {
        Ok(self.channel(api, channel).await?.is_some())
    }

    /// One channel of the user's own list.
    pub(crate) async fn channel(
        &self,
        api: &Shared,
        channel: ChannelId,
    ) -> Result<Option<ChannelItem>, ApiError> {
        // The list is in the order of the ids: it would be the first behind the number below it.
        let after = channel.0.saturating_sub(1);
        let (page, _): (Channels, _) = self.page(api, &GetChannels { after, limit: 1 }).await?;
        Ok(page.items.into_iter().find(|item| item.channel == channel.0))
    }

    /// Asks for a page. The first frame of the answer is of this body, the others are the page's messages.
    pub(crate) async fn page<Q: Body, A: Body>(
        &self,
        api: &Shared,
        request: &Q,
    ) -> Result<(A, Vec<Frame>), ApiError> {
        let mut frames = self.ask(api, REQUEST, request).await?.map_err(refused)?.into_iter();
        let page = frames.next().as_ref().and_then(body::read::<A>);
        let page = page.ok_or_else(|| ApiError::internal("the core answered with another page"))?;
        Ok((page, frames.collect()))
    }

    /// Asks for one thing. The inner refusal is the core's.
    pub(crate) async fn ask<Q: Body>(
        &self,
        api: &Shared,
        id: u64,
        request: &Q,
    ) -> Result<Result<Vec<Frame>, Refused>, ApiError> {
        let frame = body::encode(id, request);
        // The core checks it once more; here it costs nobody else anything.
        if let Err(refusal) = body::ingest::<Q>(&frame) {
            return Ok(Err(refusal.into()));
        }
        let visit = Visit { claims: self.claims, frame };
        let frames = api.homes.visit(visit).await.map_err(|error| home_refused(&error))?;
        Ok(match frames.first() {
            Some(first) if first.kind() == Kind::REJECT => {
                let reject = body::read::<Reject>(first);
                Err(reject.ok_or_else(|| ApiError::internal("the core refused in no words"))?.into())
            }
            Some(first) if first.kind() == Kind::GOING_AWAY => {
                let wait_ms = body::read::<GoingAway>(first).map_or(1000, |away| away.reconnect_after_ms);
                return Err(ApiError::busy(wait_ms.into(), "the server is stopping; ask again"));
            }
            _ => Ok(frames),
        })
    }
}

/// Why the core does not do it.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// `None`: one that this does not know.
    pub(crate) code: Option<Code>,
    path: String,
    text: String,
    retry_after_ms: u64,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        refusal.body().into()
    }
}

impl From<Reject> for Refused {
    fn from(reject: Reject) -> Self {
        let Reject { code, retry_after_ms, path, text } = reject;
        Self { code: Code::from_number(code), path, text, retry_after_ms: retry_after_ms.into() }
    }
}

/// The core's refusal over HTTP. Who may not see a channel is told what is said of one that does not exist, as the core does.
pub(crate) fn refused(refused: Refused) -> ApiError {
    let Refused { code, path, text, retry_after_ms } = refused;
    let is_about_token = path == "token";
    match code {
        Some(Code::Forbidden) if path == "target" => ApiError::new(StatusCode::FORBIDDEN, "not_yours", text),
        Some(Code::Forbidden) => ApiError::not_found("there is no such channel for you"),
        Some(Code::NoSuchUser) if is_about_token => {
            ApiError::unauthenticated("the server does not know the token's user; log in")
        }
        Some(Code::NoSuchUser) => ApiError::not_found("there is no such user"),
        Some(Code::Unauthenticated) => ApiError::unauthenticated(text),
        Some(Code::Expired) => ApiError::new(StatusCode::UNAUTHORIZED, "expired", text),
        // Over HTTP a message that is there is named by its seq.
        Some(Code::Limit) if path == "target" => ApiError::field("seq", text),
        Some(Code::Limit) => ApiError::field(&path, text),
        Some(Code::TooLarge) => ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text).at(&path),
        Some(Code::Rate) => ApiError::too_many(retry_after_ms, "more than this user may do now; wait"),
        Some(Code::StorageFull) => ApiError::storage_full(retry_after_ms),
        Some(Code::Muted) if retry_after_ms > 0 => {
            ApiError::new(StatusCode::FORBIDDEN, "muted", text).after_ms(retry_after_ms)
        }
        Some(Code::Slow) => {
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow", text).after_ms(retry_after_ms)
        }
        Some(Code::RefusedWord) => {
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "refused_word", text).at(&path)
        }
        Some(Code::Conflict) => ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "this Idempotency-Key was used in this channel with another body; use a new one",
        )
        .at("Idempotency-Key"),
        _ if retry_after_ms > 0 => ApiError::busy(retry_after_ms, text),
        Some(code @ (Code::UnknownKind | Code::UnknownVersion | Code::Malformed | Code::NotCanonical)) => {
            ApiError::internal(format_args!("the core did not understand the server: {code:?} {text}"))
        }
        Some(code) => ApiError::new(StatusCode::FORBIDDEN, code.word(), text),
        None => ApiError::internal(format_args!("the core refused for an unknown reason: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_the_core_has_a_meaning_here() {
        for code in Code::ALL {
            for retry_after_ms in [0, 700] {
                let refusal = Refusal { retry_after_ms, ..Refusal::new(*code, "text", "words") };
                let error = refused(refusal.into());
                let expected = match code {
                    Code::Forbidden | Code::NoSuchUser => "not_found",
                    Code::Unauthenticated => "unauthenticated",
                    Code::Expired => "expired",
                    Code::Limit => "bad_field",
                    Code::TooLarge => "too_large",
                    Code::Rate => "rate",
                    Code::StorageFull => "storage_full",
                    Code::Conflict => "idempotency_key_reused",
                    Code::Muted => "muted",
                    Code::Slow => "slow",
                    Code::RefusedWord => "refused_word",
                    _ if retry_after_ms > 0 => "busy",
                    Code::UnknownKind | Code::UnknownVersion | Code::Malformed | Code::NotCanonical => {
                        "internal"
                    }
                    other => other.word(),
                };
                assert_eq!(error.code(), expected, "{code:?}");
            }
        }
    }
}
