//! [`Metrics`]: what a watch counts, and the text that Prometheus reads.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use dkimguard_aws::{CallObserver, EndedCall};
use dkimguard_core::error::{LookupError, NotifyError, ProviderErrorKind};
use dkimguard_core::guard::{AlertEvent, IncidentKind};
use dkimguard_core::judge::{State, Verdict};
use dkimguard_core::look::{Observation, Question, Response, Vantage};
use dkimguard_core::ports::DnsLookup;
use futures_util::stream::{BoxStream, StreamExt as _};
use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::board::{Standing, Watch};

/// What [`Metrics::text`] is, for the HTTP header.
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// The upper bounds of the histogram of look-ups, in seconds: from a server next door to one that is given up.
const BOUNDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const VERDICTS: [Verdict; 4] = [Verdict::Healthy, Verdict::Degraded, Verdict::Failing, Verdict::Unknown];
/// From the best to the worst.
const STATES: [State; 4] = [State::Holds, State::Unseen, State::Absent, State::Differs];

/// What has been counted since the process began.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    lookups: Histogram,
    lookup_errors: Family<OfKind, Counter>,
    provider_calls: Family<OfCall, Counter>,
    alerts: Family<OfAlert, Counter>,
    deliveries: Family<OfDelivery, Counter>,
    reloads: Family<OfOutcome, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfCall {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfAlert {
    kind: String,
    event: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfDelivery {
    notifier: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfIdentity {
    domain: String,
    provider: String,
    account: String,
    region: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfVerdict {
    domain: String,
    provider: String,
    account: String,
    region: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfRecord {
    domain: String,
    record: String,
    vantage: String,
    state: &'static str,
}

impl Metrics {
    /// Nothing counted yet. Whatever can be counted and is known beforehand begins at 0, so that its first rise shows.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let lookups = Histogram::new(BOUNDS);
        let (lookup_errors, provider_calls) = (Family::default(), Family::default());
        let (alerts, deliveries, reloads) = (Family::default(), Family::default(), Family::default());
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("dkimguard_build", "The version that runs", build);
        registry.register(
            "dkimguard_lookup_duration_seconds",
            "How long DNS questions that were answered took",
            lookups.clone(),
        );
        registry.register(
            "dkimguard_lookup_errors",
            "DNS questions that got no answer",
            lookup_errors.clone(),
        );
        registry.register(
            "dkimguard_provider_calls",
            "Calls to AWS, each try by itself",
            provider_calls.clone(),
        );
        registry.register("dkimguard_alerts", "Alerts that were raised", alerts.clone());
        registry.register("dkimguard_deliveries", "Deliveries of alerts", deliveries.clone());
        registry.register(
            "dkimguard_reloads",
            "Times that the configuration was read again",
            reloads.clone(),
        );
        let metrics = Self { registry, lookups, lookup_errors, provider_calls, alerts, deliveries, reloads };
        for kind in LOOKUP_ERRORS {
            drop(metrics.lookup_errors.get_or_create(&OfKind { kind }));
        }
        for outcome in ["ok", "error"] {
            drop(metrics.reloads.get_or_create(&OfOutcome { outcome }));
        }
        for kind in [IncidentKind::Dkim, IncidentKind::Blind, IncidentKind::Store] {
            for event in [AlertEvent::Opened, AlertEvent::Recovered] {
                drop(metrics.alerts.get_or_create(&OfAlert::new(kind, event)));
            }
        }
        metrics
    }

    pub(crate) fn count_alert(&self, kind: IncidentKind, event: AlertEvent) {
        self.alerts.get_or_create(&OfAlert::new(kind, event)).inc();
    }

    pub(crate) fn count_delivery(&self, notifier: &str, failure: Option<&NotifyError>) {
        let outcome = match failure {
            None => "delivered",
            Some(failure) if failure.is_refusal => "refused",
            Some(_) => "failed",
        };
        self.deliveries.get_or_create(&OfDelivery { notifier: notifier.to_owned(), outcome }).inc();
    }

    pub(crate) fn count_reload(&self, has_worked: Result<(), ()>) {
        let outcome = if has_worked.is_ok() { "ok" } else { "error" };
        self.reloads.get_or_create(&OfOutcome { outcome }).inc();
    }

    /// Everything in Prometheus's text format: what was counted, and how each identity stands now.
    ///
    /// # Errors
    /// None, since a text can always be written to.
    pub(crate) fn text(&self, watch: &Watch, now: Timestamp) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        prometheus_text::encode(&mut text, &standings(watch, now))?;
        Ok(text)
    }
}

/// How things stand now. It is made anew each time, so that what isn't watched any more is gone.
fn standings(watch: &Watch, now: Timestamp) -> Registry {
    let mut registry = Registry::default();
    let verdicts = Family::<OfVerdict, Gauge>::default();
    let records = Family::<OfRecord, Gauge>::default();
    let deadlines = Family::<OfIdentity, Gauge<f64, AtomicU64>>::default();
    let exposures = Family::<OfIdentity, Gauge<f64, AtomicU64>>::default();
    registry.register("dkimguard_verdict", "1 for the present verdict, 0 for the others", verdicts.clone());
    registry.register(
        "dkimguard_record_state",
        "1 for how a record stands at a place, 0 for the others",
        records.clone(),
    );
    registry.register(
        "dkimguard_deadline_seconds",
        "How long is left until the provider gives up, by the working clock, while one runs",
        deadlines.clone(),
    );
    registry.register(
        "dkimguard_exposure_ratio",
        "Of the addresses that a validator may be sent to, the share that would fail it",
        exposures.clone(),
    );
    let mut places = BTreeMap::new();
    for standing in &watch.standings {
        let of = OfIdentity::new(standing);
        for verdict in VERDICTS {
            let is_present = standing.verdict == verdict;
            verdicts.get_or_create(&of.clone().with(verdict)).set(i64::from(is_present));
        }
        let Some(report) = &standing.report else { continue };
        if let Some(deadline) = report.deadline {
            let left = deadline.working.duration_since(now).as_secs_f64();
            deadlines.get_or_create(&of).set(left);
        }
        if report.exposure.of > 0 {
            let share = report.exposure.bad as f64 / report.exposure.of as f64;
            exposures.get_or_create(&of).set(share);
        }
        for record in &report.records {
            for finding in &record.findings {
                let place = (
                    of.domain.clone(),
                    record.expected.name.to_string(),
                    finding.observation.vantage.to_string(),
                );
                // Several accounts or regions may expect the same record: the worst counts.
                let rank = STATES.iter().position(|state| *state == finding.state).unwrap_or_default();
                let worst = places.entry(place).or_insert(rank);
                *worst = rank.max(*worst);
            }
        }
    }
    for ((domain, record, vantage), rank) in places {
        for (index, state) in STATES.iter().enumerate() {
            let (domain, record, vantage) = (domain.clone(), record.clone(), vantage.clone());
            let labels = OfRecord { domain, record, vantage, state: state.as_str() };
            records.get_or_create(&labels).set(i64::from(index == rank));
        }
    }
    let gauge = |registry: &mut Registry, name: &str, help: &str, value: usize| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    let health = &watch.health;
    gauge(&mut registry, "dkimguard_domains_watched", "How many domains are watched", health.watched);
    gauge(
        &mut registry,
        "dkimguard_domains_overdue",
        "How many domains were last looked at too long ago",
        health.overdue,
    );
    gauge(
        &mut registry,
        "dkimguard_store_faulty",
        "1 while what is remembered can't be stored",
        usize::from(health.store_fault.is_some()),
    );
    registry
}

impl OfAlert {
    fn new(kind: IncidentKind, event: AlertEvent) -> Self {
        Self { kind: kind.to_string(), event: event.as_str() }
    }
}

impl OfIdentity {
    fn new(standing: &Standing) -> Self {
        let id = &standing.id;
        Self {
            domain: id.domain.to_string(),
            provider: id.provider.clone(),
            account: id.account.clone().unwrap_or_default(),
            region: id.region.clone().unwrap_or_default(),
        }
    }

    fn with(self, verdict: Verdict) -> OfVerdict {
        let Self { domain, provider, account, region } = self;
        OfVerdict { domain, provider, account, region, verdict: verdict.as_str() }
    }
}

const LOOKUP_ERRORS: [&str; 10] = [
    "timeout",
    "port-closed",
    "unreachable",
    "no-route",
    "malformed",
    "truncated",
    "tls",
    "local",
    "unsupported",
    "other",
];

fn lookup_error(error: &LookupError) -> &'static str {
    match error {
        LookupError::Timeout { .. } => "timeout",
        LookupError::PortClosed => "port-closed",
        LookupError::Unreachable => "unreachable",
        LookupError::NoRoute => "no-route",
        LookupError::Malformed(_) => "malformed",
        LookupError::TruncatedThenTcp(_) => "truncated",
        LookupError::Tls(_) => "tls",
        LookupError::Local(_) => "local",
        LookupError::Unsupported(_) => "unsupported",
        _ => "other",
    }
}

impl CallObserver for Metrics {
    fn note(&self, call: &EndedCall) {
        let outcome = match call.failure {
            None => "ok",
            Some(ProviderErrorKind::Credentials) => "credentials",
            Some(ProviderErrorKind::Denied) => "denied",
            Some(ProviderErrorKind::NotFound) => "not-found",
            Some(ProviderErrorKind::Stale) => "stale",
            Some(ProviderErrorKind::Throttled) => "throttled",
            Some(ProviderErrorKind::Unavailable) => "unavailable",
            Some(ProviderErrorKind::Unusable) => "unusable",
            Some(_) => "other",
        };
        self.provider_calls.get_or_create(&OfCall { operation: call.operation, outcome }).inc();
    }
}

/// An engine whose answers are counted.
#[derive(Debug)]
pub(crate) struct Counted<D> {
    pub(crate) dns: D,
    pub(crate) metrics: std::sync::Arc<Metrics>,
}

impl<D> Counted<D> {
    fn count(&self, outcome: &Result<Response, LookupError>) {
        match outcome {
            Ok(response) => self.metrics.lookups.observe(response.elapsed.as_secs_f64()),
            Err(error) => {
                self.metrics.lookup_errors.get_or_create(&OfKind { kind: lookup_error(error) }).inc();
            }
        }
    }
}

#[async_trait]
impl<D: DnsLookup> DnsLookup for Counted<D> {
    async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
        let outcome = self.dns.ask(question, vantage).await;
        self.count(&outcome);
        outcome
    }

    fn ask_many<'a>(&'a self, asks: BoxStream<'a, (Question, Vantage)>) -> BoxStream<'a, Observation> {
        self.dns.ask_many(asks).inspect(|observation| self.count(&observation.outcome)).boxed()
    }
}
