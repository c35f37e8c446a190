//! The API's document, and a page that shows and tries it. The page loads nothing from elsewhere, runs no script but its own
//! file, and keeps the token that a person types into it in memory.

use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

use crate::openapi;
use crate::port::Audience;

pub(crate) const SCRIPT_MEDIA: &str = "text/javascript; charset=utf-8";
pub(crate) const STYLE_MEDIA: &str = "text/css; charset=utf-8";

/// The page may load its own script and style and ask this server, and is in no frame of anybody's.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type File = ([(HeaderName, &'static str); 1], &'static str);

/// Made once, when the server starts.
pub(super) fn document(audience: Audience) -> impl IntoResponse + Clone + Send + 'static {
    let text = axum::body::Bytes::from(openapi::document(audience).to_string());
    ([(header::CONTENT_TYPE, "application/json")], text)
}

pub(super) async fn page() -> impl IntoResponse {
    let html = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (html, include_str!("../docs/page.html"))
}

pub(super) async fn script() -> File {
    ([(header::CONTENT_TYPE, SCRIPT_MEDIA)], include_str!("../docs/page.js"))
}

pub(super) async fn style() -> File {
    ([(header::CONTENT_TYPE, STYLE_MEDIA)], include_str!("../docs/page.css"))
}
