//! The form over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Form, FromRequest, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, ORIGIN, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use dkimguard_core::guard::GuardHandle;
use dkimguard_core::{Name, Verdict};
use futures_util::StreamExt;
use maud::Markup;
use serde::Serialize;
use tokio::sync::watch;

use crate::limits::Limits;
use crate::message::Fields;
use crate::outbox::{Counts, Outbox, Taken};
use crate::{log, page, random};

/// The largest body, in octets: the longest message in characters of four octets, each written as `%xx`, fits.
const LARGEST: usize = 80 * 1024;
/// How much of a larger one is read away, so that the answer isn't lost with a connection that is cut.
const READ_AWAY: usize = 1024 * 1024;
/// How long a form may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// No script, nothing from elsewhere, and no page of others around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// What the form works with.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) outbox: Outbox,
    pub(crate) guard: Arc<GuardHandle>,
    pub(crate) domain: Name,
    pub(crate) limits: Limits,
    pub(crate) client_header: Option<HeaderName>,
    /// Closed once nobody sends any more.
    pub(crate) sending: watch::Sender<()>,
}

/// The pages and `/healthz`.
pub(crate) fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/", get(show).post(submit))
        .route("/taken", get(async || html(StatusCode::OK, page::taken())))
        .route("/style.css", get(async || ([(CONTENT_TYPE, "text/css")], include_str!("style.css"))))
        .route("/healthz", get(health))
        .layer(map_response(secured))
        .with_state(Arc::new(desk))
}

async fn show() -> Response {
    html(StatusCode::OK, page::form(&blank(), &[], None))
}

/// Takes a form, and leads to the page that says so: reloading that sends nothing again.
async fn submit(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    if !is_same_origin(request.headers()) {
        let what = "The form was sent from another site. Please fill it in here.";
        return html(StatusCode::FORBIDDEN, page::refusal("Not taken", what));
    }
    if !desk.limits.allow(desk.client(peer, request.headers())) {
        let what = "Too many messages came in the last minute. Please go back, where what you wrote is still there, \
                    and send it again in a minute.";
        let refusal = html(StatusCode::TOO_MANY_REQUESTS, page::refusal("Not taken yet", what));
        return ([(RETRY_AFTER, "60")], refusal).into_response();
    }
    let mut fields = match read(request).await {
        Ok(fields) => fields,
        Err(status) => return html(status, page::refusal("Not taken", why(status))),
    };
    let message = match fields.read() {
        Ok(message) => message,
        Err(complaints) => {
            return html(StatusCode::UNPROCESSABLE_ENTITY, page::form(&fields, &complaints, None));
        }
    };
    if !is_form(&fields.form) {
        fields.form = blank().form;
    }
    let taken = desk.outbox.take(fields.key(), message).await;
    if let Err(error) = &taken {
        log(&format!("a message was not taken: {error}"));
    }
    match taken {
        Ok(Taken::Stored) => (StatusCode::SEE_OTHER, [(LOCATION, "/taken")]).into_response(),
        Ok(Taken::Full) | Err(_) => {
            let what = "Your message could not be taken now. Please send it again later.";
            html(StatusCode::SERVICE_UNAVAILABLE, page::form(&fields, &[], Some(what)))
        }
    }
}

/// What `/healthz` tells.
#[derive(Debug, Serialize)]
struct Health {
    /// Whether messages are taken and sent, or held until they can be.
    ok: bool,
    verdict: Verdict,
    #[serde(flatten)]
    counts: Counts,
}

/// 200 while this program does its work, 503 when it doesn't. A domain that is failing is no fault of the program: the
/// form takes messages then too, and what is told here says that they are held.
async fn health(State(desk): State<Arc<Desk>>) -> Response {
    let counts = desk.outbox.counts().await;
    if let Err(error) = &counts {
        log(&format!("the outbox cannot be used: {error}"));
    }
    let ok = counts.is_ok() && !desk.sending.is_closed() && desk.guard.health().is_running;
    let health = Health { ok, verdict: desk.guard.verdict(&desk.domain), counts: counts.unwrap_or_default() };
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], Json(health)).into_response()
}

impl Desk {
    /// Who sends a form: who is connected, or, where a proxy is and its header is named, whom that names last. What
    /// stands before it was written by the client itself.
    fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let told = self.client_header.as_ref().and_then(|header| {
            let last = headers.get_all(header).iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim();
            last.parse().ok()
        });
        told.unwrap_or(peer.ip())
    }
}

fn blank() -> Fields {
    Fields {
        form: format!("{:032x}", u128::from(random()) << 64 | u128::from(random())),
        ..Fields::default()
    }
}

/// Whether a text is one that [`blank`] may have given to a form.
fn is_form(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// Whether a form comes from this site. That is all against forged requests: there is no log-in whose rights one
/// could use, and browsers tell where they send from. What tells nothing is no browser of these years.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |header: HeaderName| headers.get(header).map(|value| value.to_str().unwrap_or_default());
    match (text(HeaderName::from_static("sec-fetch-site")), text(ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").is_some_and(|(_, host)| Some(host) == text(HOST)),
        (None, None) => true,
    }
}

/// Reads the fields of a form, if it isn't too large or too slow.
async fn read(request: Request) -> Result<Fields, StatusCode> {
    let (parts, body) = request.into_parts();
    let body =
        tokio::time::timeout(PATIENCE, read_body(body)).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)??;
    let request = Request::from_parts(parts, Body::from(body));
    let form = Form::<Fields>::from_request(request, &()).await;
    form.map(|Form(fields)| fields).map_err(|error| error.into_response().status())
}

async fn read_body(body: Body) -> Result<Vec<u8>, StatusCode> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        length += chunk.len();
        if length <= LARGEST {
            kept.extend_from_slice(&chunk);
        } else if length > READ_AWAY {
            break;
        }
    }
    if length > LARGEST { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(kept) }
}

fn why(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            "That is more than a message may have. Please go back and make it shorter."
        }
        StatusCode::REQUEST_TIMEOUT => "It took too long to arrive. Please go back and send it again.",
        _ => "It could not be read. Please go back and send it again.",
    }
}

fn html(status: StatusCode, page: Markup) -> Response {
    // A form that comes out of a cache would be the same one for two messages.
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, headers, page.into_string()).into_response()
}

async fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use dkimguard_core::Look;
    use dkimguard_core::guard::Guard;
    use dkimguard_core::look::Places;
    use dkimguard_core::testing::{FakeDns, FakeSource, World, easy_dkim_identity};
    use tokio::runtime::Runtime;

    use super::*;

    /// What a form does its work with, each of which may be gone.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Part {
        Outbox,
        Sending,
        Guard,
    }

    #[test]
    fn health_is_503_once_outbox_sending_or_guard_is_gone() {
        let runtime = Runtime::new().expect("a runtime");
        for gone in [None, Some(Part::Outbox), Some(Part::Sending), Some(Part::Guard)] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("outbox.sqlite");
            let outbox = Outbox::open(&path).expect("it is new");
            if gone == Some(Part::Outbox) {
                let other = rusqlite::Connection::open(&path).expect("it is there");
                other.execute_batch("DROP TABLE mail").expect("it has the table");
            }
            let (sending, sends) = watch::channel(());
            let sends = Some(sends).filter(|_| gone != Some(Part::Sending));
            // The guard's task ends with its runtime.
            let watching = Runtime::new().expect("a runtime");
            let source = FakeSource::new([easy_dkim_identity("example.com")]);
            let dns = Arc::new(FakeDns::new(World::easy_dkim("example.com")));
            let guard = Guard::builder(source, Look::new(dns, Places::new([])))
                .watch(["example.com".parse::<Name>().expect("a name")]);
            let guard = {
                let _inside = watching.enter();
                Arc::new(guard.spawn().expect("it may run"))
            };
            let watching = Some(watching).filter(|_| gone != Some(Part::Guard));
            let many = NonZeroU32::MAX;
            let desk = Desk {
                outbox,
                guard,
                domain: "example.com".parse().expect("a name"),
                limits: Limits::new(many, many),
                client_header: None,
                sending,
            };
            let (status, told) = runtime.block_on(async {
                let response = health(State(Arc::new(desk))).await;
                let status = response.status();
                let body = axum::body::to_bytes(response.into_body(), 4096).await.expect("it is short");
                (status, serde_json::from_slice::<serde_json::Value>(&body).expect("JSON"))
            });
            let expected = if gone.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            assert_eq!(status, expected, "without {gone:?}: {told}");
            assert_eq!(told["ok"], gone.is_none(), "without {gone:?}: {told}");
            if gone == Some(Part::Guard) {
                assert_eq!(told["verdict"], "unknown", "a guard that is gone knows nothing");
            }
            drop((sends, watching));
        }
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().expect("a name"), value.parse::<HeaderValue>().expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_forms_of_this_site_are_taken() {
        let host = ("host", "www.example.com");
        let table: [(&[(&str, &str)], bool); 8] = [
            (&[host], true),
            (&[host, ("origin", "https://www.example.com")], true),
            (&[host, ("origin", "https://evil.example")], false),
            (&[host, ("origin", "https://www.example.com.evil.example")], false),
            (&[host, ("origin", "null")], false),
            (&[host, ("sec-fetch-site", "same-origin"), ("origin", "https://www.example.com")], true),
            (&[host, ("sec-fetch-site", "cross-site"), ("origin", "https://www.example.com")], false),
            (&[host, ("sec-fetch-site", "same-site")], false),
        ];
        for (pairs, expected) in table {
            assert_eq!(is_same_origin(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn each_blank_form_is_another() {
        let [one, two] = [blank().form, blank().form];
        assert!(is_form(&one) && is_form(&two), "{one} {two}");
        assert_ne!(one, two);
        for odd in ["", "x", &"g".repeat(32), &"a".repeat(33)] {
            assert!(!is_form(odd), "{odd}");
        }
    }
}
