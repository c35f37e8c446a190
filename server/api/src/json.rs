//! Taking a JSON body: at most 16 KiB, `application/json`, no unknown field; ids are strings.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use protocol::ChannelId;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// Most bytes of a request body.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// A JSON body of one type.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        check_is_json(&request)?;
        let body = read(request, BODY_BYTES_MAX).await?;
        parse(&body).map(Self)
    }
}

pub(crate) fn check_is_json(request: &Request) -> Result<(), ApiError> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("content type {essence:?}; expected \"application/json\"");
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // serde would take a list for the fields in their order, which is nobody's order but the source's.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad_field",
            "the body is a list; expected an object",
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        if !inner.is_data() {
            return bad_json(inner);
        }
        let words = inner.to_string();
        // What is missing or there twice has no place of its own: serde names it in its words.
        let begins = ["missing field `", "duplicate field `"];
        let named = begins.iter().find_map(|begin| words.strip_prefix(begin)?.split('`').next());
        let refused = ApiError::new(StatusCode::BAD_REQUEST, "bad_field", words.clone());
        match named.unwrap_or(&path) {
            "." | "?" => refused,
            field => refused.at(field),
        }
    })?;
    reader.end().map_err(|error| bad_json(&error))?;
    Ok(value)
}

/// Where a page of a list begins.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    after: Option<String>,
}

/// The query of a list.
pub(crate) type From = Result<axum::extract::Query<After>, QueryRejection>;

/// Behind which id the page begins; 0 for the first.
pub(crate) fn after(from: From) -> Result<u64, ApiError> {
    let axum::extract::Query(from) = from.map_err(|error| bad_query("after", &error))?;
    from.after.map_or(Ok(0), |id| parse_id("after", &id))
}

/// A query is not what is expected. `field` is at fault unless another one is there.
pub(crate) fn bad_query(field: &str, error: &QueryRejection) -> ApiError {
    let words = error.body_text();
    let begins = ["unknown field `", "duplicate field `"];
    let named = begins.iter().find_map(|begin| words.split_once(begin)?.1.split('`').next());
    ApiError::field(named.unwrap_or(field), &words)
}

/// A path of these parts, one of which is no text: axum names it.
pub(crate) fn bad_path(parts: &[&'static str], error: &PathRejection) -> ApiError {
    let words = error.body_text();
    let named = parts.iter().find(|part| words.contains(&format!("`{part}`"))).or_else(|| parts.first());
    ApiError::field(named.copied().unwrap_or_default(), words)
}

fn bad_json(error: &serde_json::Error) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "bad_json", error.to_string())
}

/// The whole body, of at most so many bytes.
pub(crate) async fn read(request: Request, most: usize) -> Result<axum::body::Bytes, ApiError> {
    let limited = http_body_util::Limited::new(request.into_body(), most);
    match http_body_util::BodyExt::collect(limited).await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("the body is larger than {most} bytes");
            Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message))
        }
        Err(error) => {
            let message = format!("the body could not be read: {error}");
            Err(ApiError::new(StatusCode::BAD_REQUEST, "bad_body", message))
        }
    }
}

/// An id as JSON has it: a string of decimal digits, not 0.
pub(crate) fn parse_id(field: &str, text: &str) -> Result<u64, ApiError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        // SQL has signed numbers, and no id that was ever made is larger.
        Ok(id) if digits && id != 0 && i64::try_from(id).is_ok() => Ok(id),
        _ => Err(ApiError::field(field, "expected an id: a string of decimal digits")),
    }
}

/// A channel's id, as JSON has it.
pub(crate) fn parse_channel(field: &str, text: &str) -> Result<ChannelId, ApiError> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let channel = text.parse::<ChannelId>().ok().filter(|channel| is_digits && channel.is_well_formed());
    channel.ok_or_else(|| ApiError::field(field, "expected a channel's id: a string of decimal digits"))
}

/// A number of a query.
pub(crate) fn parse_number(field: &str, text: &str) -> Result<u64, ApiError> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|_| is_digits);
    number.ok_or_else(|| ApiError::field(field, "expected a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        assert_eq!(parse_id("device", "42").unwrap(), 42);
        assert_eq!(parse_id("device", "9223372036854775807").unwrap(), i64::MAX as u64);
        for wrong in ["", "0", "-1", "+1", " 1", "1.0", "9223372036854775808", "abc", "18446744073709551616"]
        {
            assert_eq!(parse_id("device", wrong).unwrap_err().code(), "bad_field", "{wrong}");
        }
    }

    #[test]
    fn channels_and_numbers() {
        let direct = ChannelId::direct(protocol::UserId(5), protocol::UserId(9));
        assert_eq!(parse_channel("id", &direct.to_string()).unwrap(), direct);
        assert_eq!(parse_number("limit", "50").unwrap(), 50);
        for wrong in ["", "0", "+5", "-5", "5.0", " 5", "x", "340282366920938463463374607431768211456"] {
            assert_eq!(parse_channel("id", wrong).unwrap_err().code(), "bad_field", "{wrong}");
        }
        for wrong in ["", "+5", "-5", "5.0", " 5", "x", "18446744073709551616"] {
            assert_eq!(parse_number("limit", wrong).unwrap_err().code(), "bad_field", "{wrong}");
        }
    }
}
