//! The routes of one listener: axum's router, and the paths that are in it, which axum does not tell.

use axum::Router;
use axum::routing::{MethodRouter, get};

use super::docs;
use crate::port::Audience;
use crate::server::Shared;

#[derive(Default)]
pub(super) struct Table {
    router: Router<Shared>,
    paths: Vec<&'static str>,
}

impl Table {
    pub(super) fn route(mut self, path: &'static str, methods: MethodRouter<Shared>) -> Self {
        self.paths.push(path);
        Self { router: self.router.route(path, methods), ..self }
    }

    /// With the document of these routes, and its page.
    pub(super) fn documented(self, audience: Audience) -> Self {
        let document = docs::document(audience);
        self.route("/v1/openapi.json", get(async move || document))
            .route("/docs", get(docs::page))
            .route("/docs/page.js", get(docs::script))
            .route("/docs/page.css", get(docs::style))
    }

    pub(super) fn router(self) -> Router<Shared> {
        self.router
    }

    pub(super) fn paths(self) -> Vec<&'static str> {
        self.paths
    }
}
