//! The web app (clients/web/app), as build.rs found it when the binary was built. Its one page is at `/`; what the page loads
//! is at `/assets/NAME`, where a name has a hash of what it names in it, so that a browser asks for it once. Its service worker is at
//! `/sw.js`: a worker serves the pages below its own path, so that this one serves all.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::login::chat_url;
use crate::error::ApiError;
use crate::server::Shared;

/// One file of the app.
struct Asset {
    name: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// In the order of their names.
const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/web.rs"));
const PAGE: &str = "index.html";
/// What `/` shows where no app was built in.
const UNBUILT: Asset =
    Asset { name: "unbuilt.html", plain: include_bytes!("../docs/unbuilt.html"), brotli: None, gzip: None };

const WORKER: &str = "sw.js";
/// What `/sw.js` is where no app was built in: a worker that takes away the one which an earlier server left in a browser.
const NO_WORKER: Asset =
    Asset { name: "unbuilt.js", plain: include_bytes!("../docs/unbuilt.js"), brotli: None, gzip: None };
/// What the worker may do: ask this server. It loads nothing else, and is no page.
const WORKER_POLICY: &str = "default-src 'none'; connect-src 'self'";

/// Of the page and the worker: they are asked for anew each time, and mostly have not changed.
pub(crate) const KEPT_PAGE: &str = "no-cache";
/// Of everything else: another content has another name.
pub(crate) const KEPT_FILE: &str = "public, max-age=31536000, immutable";

/// Hashes of the files, made when the first one is asked for.
static TAGS: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    let tag = |asset: &Asset| HEXLOWER.encode(Sha256::digest(asset.plain).get(..16).unwrap_or_default());
    ASSETS.iter().chain([&UNBUILT, &NO_WORKER]).map(|asset| (asset.name, tag(asset))).collect()
});

pub(super) async fn page(State(api): State<Shared>, headers: HeaderMap) -> Response {
    let asset = find(PAGE).unwrap_or(&UNBUILT);
    let mut answer = give(asset, &headers, KEPT_PAGE);
    let policy = policy(&chat_url(&api.settings.chat_url, &headers));
    let said = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (
            HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
        ),
    ];
    answer.headers_mut().extend(said);
    answer
}

pub(super) async fn worker(headers: HeaderMap) -> Response {
    let mut answer = give(find(WORKER).unwrap_or(&NO_WORKER), &headers, KEPT_PAGE);
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(WORKER_POLICY));
    answer
}

pub(super) async fn asset(
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Path(name) = path.map_err(|error| ApiError::field("file", error.body_text()))?;
    let asset = find(&name).filter(|asset| asset.name != PAGE && asset.name != WORKER);
    let asset =
        asset.ok_or_else(|| ApiError::not_found("the web app has no such file; load the page anew"))?;
    Ok(give(asset, &headers, KEPT_FILE))
}

fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.binary_search_by(|asset| asset.name.cmp(name)).ok().and_then(|at| ASSETS.get(at))
}

/// The page may load what is of this server, speak with it and with its chat port, and is in no frame of anybody's. No text
/// becomes HTML or a script in it: Trusted Types refuse it, and the one policy that there is makes the address of the service worker
/// and nothing else (clients/web/app/src/state/worker.ts).
fn policy(chat: &str) -> HeaderValue {
    let policy = |chat: &str| {
        HeaderValue::try_from(format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; manifest-src 'self'; \
             worker-src 'self'; connect-src 'self'{chat}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types worker"
        ))
    };
    // An address that would end the directive is none that a browser could open.
    let is_one = !chat.contains([';', ',', ' ', '\'']);
    let with_chat = if is_one { policy(&format!(" {chat}")).ok() } else { None };
    with_chat.or_else(|| policy("").ok()).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn give(asset: &Asset, headers: &HeaderMap, caching: &'static str) -> Response {
    let (bytes, coding) = match (asset.brotli, asset.gzip) {
        (Some(bytes), _) if takes(headers, "br") => (bytes, Some("br")),
        (_, Some(bytes)) if takes(headers, "gzip") => (bytes, Some("gzip")),
        _ => (asset.plain, None),
    };
    let hash = TAGS.get(asset.name).map(String::as_str).unwrap_or_default();
    // Of what is sent, so that a cache keeps what was compressed apart from what was not.
    let tag = format!("\"{hash}{}\"", coding.map_or(String::new(), |coding| format!("-{coding}")));
    let mut answer = if is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media(asset.name))], bytes).into_response()
    };
    let said = answer.headers_mut();
    said.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    said.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        said.insert(header::ETAG, tag);
    }
    if let Some(coding) = coding {
        said.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    answer
}

/// Whether `Accept-Encoding` names this coding, with a weight that is not 0 (RFC 9110 section 12.5.3).
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    each(headers, header::ACCEPT_ENCODING).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().trim_start_matches("q=");
        name.trim().eq_ignore_ascii_case(coding)
            && (weight.is_empty() || weight.parse().is_ok_and(|weight: f32| weight > 0.0))
    })
}

/// Whether the asker has it (RFC 9110 section 13.1.2: weak comparison).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    each(headers, header::IF_NONE_MATCH).any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    })
}

/// The items of a header that is a list.
fn each(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
}

fn media(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => super::SCRIPT_MEDIA,
        "css" => super::STYLE_MEDIA,
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Asset =
        Asset { name: "app-1f.js", plain: b"plain", brotli: Some(b"br"), gzip: Some(b"gz") };

    fn asked(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    fn said(answer: &Response, name: HeaderName) -> Option<&str> {
        answer.headers().get(name).and_then(|value| value.to_str().ok())
    }

    #[test]
    fn what_was_compressed_ahead_goes_to_who_takes_it() {
        let coding = |accepts: &'static str| {
            let answer = give(&SCRIPT, &asked(header::ACCEPT_ENCODING, accepts), KEPT_FILE);
            said(&answer, header::CONTENT_ENCODING).map(str::to_owned)
        };
        assert_eq!(coding("gzip, deflate, br, zstd").as_deref(), Some("br"));
        assert_eq!(coding("gzip;q=0.5, br;q=0").as_deref(), Some("gzip"));
        assert_eq!(coding("identity"), None);
        assert_eq!(coding("br;q=nonsense"), None);
        assert_eq!(coding("brotli"), None, "another word");
    }

    #[test]
    fn what_is_there_already_is_not_sent_again() {
        let first = give(&SCRIPT, &HeaderMap::new(), KEPT_FILE);
        assert_eq!(said(&first, header::CACHE_CONTROL), Some(KEPT_FILE));
        assert_eq!(said(&first, header::CONTENT_TYPE), Some("text/javascript; charset=utf-8"));
        let tag = said(&first, header::ETAG).map(|tag| HeaderValue::try_from(tag).unwrap()).unwrap();
        let again = give(&SCRIPT, &HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]), KEPT_FILE);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let other = give(&SCRIPT, &asked(header::IF_NONE_MATCH, "\"of another one\""), KEPT_FILE);
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn the_policy_names_the_chat_port_and_takes_nothing_that_would_end_it() {
        let text = |chat: &str| policy(chat).to_str().unwrap().to_owned();
        assert!(text("ws://127.0.0.1:8081/ws").contains("connect-src 'self' ws://127.0.0.1:8081/ws; "));
        assert!(text("ws://x; script-src *").contains("connect-src 'self'; "));
        assert!(!text("ws://x").contains("unsafe"));
    }

    #[test]
    fn files_are_found_by_their_names_whatever_was_built_in() {
        assert!(ASSETS.is_sorted_by_key(|asset| asset.name));
        assert!(ASSETS.iter().all(|asset| find(asset.name).is_some_and(|found| found.name == asset.name)));
        assert!(find("../Cargo.toml").is_none() && find("").is_none());
        // An app without its page is none.
        assert!(ASSETS.is_empty() || (find(PAGE).is_some() && find(WORKER).is_some()));
    }
}
