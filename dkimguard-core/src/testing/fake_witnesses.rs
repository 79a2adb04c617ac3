//! [`FakeZones`] and [`FakeHistory`]: a zone's host and a change history that say what a test tells them to.

use std::sync::Mutex;

use async_trait::async_trait;

use crate::error::{ProviderError, ProviderErrorKind};
use crate::history::{Event, History, Topic};
use crate::name::Name;
use crate::ports::{ChangeHistory, ZoneView};
use crate::zone::HostedZone;

/// A zone's host that holds these zones, or refuses to tell.
#[derive(Debug)]
pub struct FakeZones(Result<Vec<HostedZone>, ProviderErrorKind>);

impl FakeZones {
    /// A host that holds these zones.
    pub fn new(zones: impl IntoIterator<Item = HostedZone>) -> Self {
        Self(Ok(zones.into_iter().collect()))
    }

    /// A host every call to which fails so.
    pub fn failing(kind: ProviderErrorKind) -> Self {
        Self(Err(kind))
    }
}

#[async_trait]
impl ZoneView for FakeZones {
    async fn zones(&self, zone: &Name, below: &Name) -> Result<Vec<HostedZone>, ProviderError> {
        let zones = self.0.as_ref().map_err(|kind| failure("fake zones", "list zones", *kind))?;
        let mut found: Vec<HostedZone> = zones.iter().filter(|held| held.name == *zone).cloned().collect();
        for zone in &mut found {
            zone.records.retain(|record| record.name.is_at_or_below(below));
        }
        Ok(found)
    }
}

/// A change history that tells these events about every topic, or refuses to tell. It keeps what it was asked.
#[derive(Debug)]
pub struct FakeHistory {
    events: Result<Vec<Event>, ProviderErrorKind>,
    asked: Mutex<Vec<Topic>>,
}

impl FakeHistory {
    /// A history of these events.
    pub fn new(events: impl IntoIterator<Item = Event>) -> Self {
        Self { events: Ok(events.into_iter().collect()), asked: Mutex::default() }
    }

    /// A history every call to which fails so.
    pub fn failing(kind: ProviderErrorKind) -> Self {
        Self { events: Err(kind), asked: Mutex::default() }
    }

    /// The topics that were asked about, in their order.
    pub fn asked(&self) -> Vec<Topic> {
        self.asked.lock().map(|asked| asked.clone()).unwrap_or_default()
    }
}

#[async_trait]
impl ChangeHistory for FakeHistory {
    async fn changes(&self, topic: &Topic) -> Result<History, ProviderError> {
        if let Ok(mut asked) = self.asked.lock() {
            asked.push(topic.clone());
        }
        let events = self.events.as_ref().map_err(|kind| failure("fake history", "look up events", *kind))?;
        Ok(History { changes: events.clone(), bound: None })
    }
}

fn failure(provider: &str, operation: &str, kind: ProviderErrorKind) -> ProviderError {
    ProviderError { provider: provider.to_owned(), operation: operation.to_owned(), kind, source: None }
}
