//! What each address answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use skein_runtime::metrics;

/// Whether the server serves.
pub(crate) type IsReady = Arc<dyn Fn() -> bool + Send + Sync>;

pub(crate) fn router(is_ready: IsReady) -> Router {
    Router::new()
        .route("/", get(async || "Skein: /healthz /readyz /metrics\n"))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(async || ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render())))
        .with_state(is_ready)
}

async fn ready(State(is_ready): State<IsReady>) -> impl IntoResponse {
    if is_ready() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}
