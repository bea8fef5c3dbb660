//! What each address answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use skein_runtime::metrics;

/// Why not, or that all is well.
pub type Verdict = Result<(), String>;

/// What the pages ask. Called often, from the side runtime's thread: keep it to a few atomics' reads.
pub trait Health: Send + Sync {
    /// Whether the process can still do its work. If not, only another start helps, and a supervisor may see to it.
    ///
    /// # Errors
    /// Why not, in words.
    fn alive(&self) -> Verdict;

    /// Whether new connections should come here.
    ///
    /// # Errors
    /// Why not, in words.
    fn ready(&self) -> Verdict;
}

type Asked = Arc<dyn Health>;

pub(crate) fn router(health: Asked) -> Router {
    Router::new()
        .route("/", get(async || "Skein: /healthz /readyz /metrics\n"))
        .route("/healthz", get(async |State(health): State<Asked>| answer("alive", health.alive())))
        .route("/readyz", get(async |State(health): State<Asked>| answer("ready", health.ready())))
        .route("/metrics", get(async || ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render())))
        .with_state(health)
}

fn answer(good: &str, verdict: Verdict) -> impl IntoResponse {
    match verdict {
        Ok(()) => (StatusCode::OK, format!("{good}\n")),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not {good}: {why}\n")),
    }
}
