//! The endpoints: how the watch is, what it has counted, and how each identity stands.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::routing::get;
use dkimguard_core::identity::IdentityId;
use dkimguard_core::judge::{Report, Verdict};
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Clock as _, SystemClock};
use jiff::Timestamp;
use serde::Serialize;

use super::board::{Board, Health, Standing};
use super::journal::History;
use super::metrics::{self, Metrics};

/// The version of the JSON.
const SCHEMA: u32 = 1;
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What the endpoints tell of.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) board: Arc<Board>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The endpoints by their paths.
pub(crate) fn router(told: Told) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/identities", get(identities))
        .route("/api/identities/{id}", get(identity))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(told)
}

async fn healthz(State(told): State<Told>) -> Response<Body> {
    let health = told.board.health(SystemClock.now());
    probe(health.is_good(), &health)
}

async fn readyz(State(told): State<Told>) -> Response<Body> {
    let health = told.board.health(SystemClock.now());
    probe(health.is_ready(), &health)
}

async fn metrics(State(told): State<Told>) -> Response<Body> {
    let now = SystemClock.now();
    match told.metrics.text(&told.board.watch(now), now) {
        Ok(text) => answer(StatusCode::OK, metrics::CONTENT_TYPE, text),
        Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, String::new()),
    }
}

async fn identities(State(told): State<Told>) -> Response<Body> {
    let watch = told.board.watch(SystemClock.now());
    let identities = watch.standings.iter().map(Shown::from).collect();
    json(StatusCode::OK, &Identities { schema: SCHEMA, identities })
}

async fn identity(State(told): State<Told>, id: Result<Path<String>, PathRejection>) -> Response<Body> {
    let Ok(Path(id)) = id else {
        let what = "the id in the path is no text in UTF-8";
        return failure(StatusCode::BAD_REQUEST, "bad-path", what, "/api/identities");
    };
    let watch = told.board.watch(SystemClock.now());
    match watch.standings.iter().find(|standing| standing.id.to_string() == id) {
        Some(standing) => json(StatusCode::OK, &Shown::from(standing)),
        None => failure(
            StatusCode::NOT_FOUND,
            "unknown-identity",
            "no such identity is watched",
            "/api/identities",
        ),
    }
}

async fn unknown_path(request: Request) -> Response<Body> {
    if is_of_the_api(&request) {
        return failure(StatusCode::NOT_FOUND, "unknown-path", "there is nothing here", "/api/identities");
    }
    answer(StatusCode::NOT_FOUND, TEXT, "there is nothing here\n".to_owned())
}

async fn wrong_method(request: Request) -> Response<Body> {
    let what = "only GET and HEAD are answered here";
    if is_of_the_api(&request) {
        return failure(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", what, "/api/identities");
    }
    answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("{what}\n"))
}

fn is_of_the_api(request: &Request) -> bool {
    request.uri().path() == "/api" || request.uri().path().starts_with("/api/")
}

fn probe(is_well: bool, health: &Health) -> Response<Body> {
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let Health { is_running, is_listed, looks: _, watched, looked_at, overdue, store_fault } = health;
    let probe = Probe {
        schema: SCHEMA,
        ok: is_well,
        running: *is_running,
        listed: *is_listed,
        watched: *watched,
        looked_at: *looked_at,
        overdue: *overdue,
        store_fault: store_fault.as_deref(),
    };
    json(status, &probe)
}

fn failure(status: StatusCode, code: &str, message: &str, hint: &str) -> Response<Body> {
    let hint = format!("{hint} lists the identities");
    json(status, &JsonFailure { schema: SCHEMA, error: JsonError { code, message, hint } })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let mut text =
        serde_json::to_string(value).expect("its keys are texts, and no field's own serialisation fails");
    text.push('\n');
    answer(status, JSON, text)
}

fn answer(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // What is so now isn't so in a minute.
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[derive(Serialize)]
struct Probe<'a> {
    schema: u32,
    ok: bool,
    running: bool,
    listed: bool,
    watched: usize,
    looked_at: usize,
    overdue: usize,
    store_fault: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonFailure<'a> {
    schema: u32,
    error: JsonError<'a>,
}

#[derive(Serialize)]
struct JsonError<'a> {
    code: &'a str,
    message: &'a str,
    hint: String,
}

#[derive(Serialize)]
struct Identities<'a> {
    schema: u32,
    identities: Vec<Shown<'a>>,
}

/// How one identity stands: the last report and what is remembered, or where there is no report, both in short.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    look: Look<'a>,
    /// The verdict to go by: unknown where the look is too long ago.
    verdict_now: Verdict,
    history: Option<&'a History>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Look<'a> {
    Whole(&'a Report),
    Brief {
        schema: u32,
        id: &'a IdentityId,
        domain: &'a Name,
        at: Option<Timestamp>,
        verdict: Option<Verdict>,
    },
}

impl<'a> From<&'a Standing> for Shown<'a> {
    fn from(standing: &'a Standing) -> Self {
        let Standing { id, verdict, at, report, history } = standing;
        let look = match report {
            Some(report) => Look::Whole(report),
            None => Look::Brief {
                schema: SCHEMA,
                id,
                domain: &id.domain,
                at: *at,
                verdict: history.as_ref().and_then(|history| history.verdict),
            },
        };
        Self { look, verdict_now: *verdict, history: history.as_ref() }
    }
}
