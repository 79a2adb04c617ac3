//! The suite of a [`RecordPublisher`].

use std::time::Duration;

use crate::error::{ProviderError, ProviderErrorKind};
use crate::name::Name;
use crate::ports::{Published, RecordPublisher, ZoneView};
use crate::publish::MAX_STRING;
use crate::record::{Record, RecordData, Txt};
use crate::repair::{Edit, RepairPlan, TargetZone};
use crate::testing::zone::name;
use crate::zone::Visibility;

/// By when a change must be in sync.
const SYNC_ENDS: Duration = Duration::from_secs(60);
/// How long the suite waits before it asks again whether a change is in sync.
const SYNC_PAUSE: Duration = Duration::from_millis(20);
/// The TTL of the records that the suite makes.
const TTL: u32 = 300;
/// How long a text it publishes: two strings, of octets that must be written in some way of the host's.
const TEXT: usize = 300;

/// Checks a [`RecordPublisher`] on a public zone that it can edit and that `view`, a host of one such zone of this name,
/// shows. The suite makes records at `….conformance._domainkey.<zone>`, where nothing may stand, and takes them away in
/// the end.
///
/// A plan that creates, replaces or removes is carried out, and all else in the zone stays as it was, neighbours and
/// names below included; the same plan again writes nothing and is a success; a plan that rests on something else than
/// what stands there is [`Stale`](ProviderErrorKind::Stale) and changes nothing, also where another of its edits could be
/// made; each change is in sync within a minute. Needs a Tokio runtime with time.
///
/// # Panics
/// If the publisher fails, or the zone isn't such a one.
pub async fn publisher(publisher: &dyn RecordPublisher, view: &dyn ZoneView, zone: &Name) {
    let suite = Suite { publisher, view, target: target(view, zone).await };
    let at_first = suite.held().await;
    let [one, two, near, below] = ["one", "two", "three", "x.one"].map(|label| suite.owner(label));
    for owner in [&one, &two, &near, &below] {
        let is_free = at_first.iter().all(|record| record.name != *owner);
        assert!(is_free, "the suite needs a zone that holds nothing at {owner}");
    }

    let neighbours = [cname(&near, "near"), text(&below, b"below")];
    suite.carries_out("creates", neighbours.iter().map(|record| creates(record.clone())).collect()).await;
    let (first, second) = (cname(&one, "first"), text(&two, &long_text()));
    suite.carries_out("creates", vec![creates(first.clone()), creates(second.clone())]).await;
    suite.refuses_stale(&first, &second).await;

    let (third, fourth) = (cname(&one, "third"), cname(&two, "fourth"));
    let replaces = vec![
        edit(&one, vec![first.clone()], Some(third.clone())),
        edit(&two, vec![second.clone()], Some(fourth.clone())),
    ];
    suite.carries_out("replaces", replaces).await;
    // Half of it stands already: that isn't what the plan saw.
    let fifth = text(&two, b"fifth");
    let half = vec![
        edit(&one, vec![first.clone()], Some(third.clone())),
        edit(&two, vec![fourth.clone()], Some(fifth.clone())),
    ];
    suite.refuses_as_stale("is half made", half, &suite.held().await).await;
    suite.carries_out("replaces", vec![edit(&two, vec![fourth], Some(fifth.clone()))]).await;

    let elsewhere = TargetZone { id: format!("{}0", suite.target.id), ..suite.target.clone() };
    let plan = RepairPlan { zone: elsewhere, edits: vec![creates(cname(&suite.owner("four"), "four"))] };
    suite.refuses("is of a zone that isn't held", &plan, &suite.held().await).await;
    let nothing = RepairPlan { zone: suite.target.clone(), edits: Vec::new() };
    let published = publisher.apply(&nothing).await;
    assert_eq!(published.ok(), Some(Published { change: None }), "apply() of a plan without edits");

    let [near, below] = neighbours;
    let last = [third, fifth, near, below];
    let removes = last.iter().map(|record| edit(&record.name, vec![record.clone()], None));
    suite.carries_out("removes", removes.collect()).await;
    assert_eq!(suite.held().await, at_first, "the zone isn't what it was at first");
}

struct Suite<'a> {
    publisher: &'a dyn RecordPublisher,
    view: &'a dyn ZoneView,
    target: TargetZone,
}

impl Suite<'_> {
    fn owner(&self, label: &str) -> Name {
        name(&format!("{label}.conformance._domainkey.{}", self.target.name))
    }

    /// All records of the zone, in an order that is always the same.
    async fn held(&self) -> Vec<Record> {
        let zones = self.view.zones(&self.target.name, &self.target.name).await;
        let zones = zones.unwrap_or_else(|error| panic!("zones() gave an error: {error}"));
        let held = zones.into_iter().find(|held| held.id == self.target.id);
        in_order(held.unwrap_or_else(|| panic!("zones() no longer shows {}", self.target.id)).records)
    }

    async fn carries_out(&self, does: &str, edits: Vec<Edit>) {
        let plan = RepairPlan { zone: self.target.clone(), edits };
        let expected = in_order(plan.applied_to(&self.held().await));
        for (round, is_done) in [("", false), (", again", true)] {
            let published = self.publisher.apply(&plan).await;
            let published = published.unwrap_or_else(|error| {
                panic!("apply() of a plan that {does} gave an error{round}: {error} ({:?})", error.source)
            });
            let says_done = published.change.is_none();
            assert_eq!(says_done, is_done, "whether apply() of a plan that {does} changed nothing{round}");
            self.await_sync(&published, does).await;
            assert_eq!(self.held().await, expected, "the zone after a plan that {does}{round}");
        }
    }

    async fn await_sync(&self, published: &Published, does: &str) {
        let in_sync = async {
            while !self.publisher.is_in_sync(published).await.unwrap_or_else(|error| {
                panic!("is_in_sync() after a plan that {does} gave an error: {error}")
            }) {
                tokio::time::sleep(SYNC_PAUSE).await;
            }
        };
        let ended = tokio::time::timeout(SYNC_ENDS, in_sync).await;
        assert!(ended.is_ok(), "a plan that {does} wasn't in sync within {SYNC_ENDS:?}");
    }

    /// Plans that rest on something else than what stands there, alone and beside an edit that could be made.
    async fn refuses_stale(&self, first: &Record, second: &Record) {
        let (one, two, free) = (&first.name, &second.name, self.owner("four"));
        let new = |owner: &Name| Some(cname(owner, "new"));
        let short = Record { ttl: first.ttl + 1, ..first.clone() };
        let uncut = match &second.data {
            RecordData::Txt(txt) => text_in(two, [&txt.joined()[..TEXT / 2], &txt.joined()[TEXT / 2..]]),
            _ => unreachable!("the second is a text"),
        };
        let table = [
            ("rests on nothing where a record stands", edit(one, Vec::new(), new(one))),
            ("rests on nothing where a text stands", edit(two, Vec::new(), new(two))),
            ("rests on another target", edit(one, vec![cname(one, "other")], new(one))),
            ("rests on another TTL", edit(one, vec![short], new(one))),
            ("rests on another type", edit(one, vec![text(one, b"text")], new(one))),
            ("rests on a record more", edit(one, vec![first.clone(), text(one, b"more")], new(one))),
            ("rests on a text that is cut elsewhere", edit(two, vec![uncut], new(two))),
            ("rests on a record where nothing stands", edit(&free, vec![cname(&free, "gone")], new(&free))),
            ("removes another target", edit(one, vec![cname(one, "other")], None)),
        ];
        let held = self.held().await;
        for (number, (what, stale)) in table.into_iter().enumerate() {
            self.refuses_as_stale(what, vec![stale.clone()], &held).await;
            let sound = creates(cname(&self.owner("five"), "five"));
            let both = if number % 2 == 0 { vec![sound, stale] } else { vec![stale, sound] };
            self.refuses_as_stale(&format!("{what}, beside a sound edit"), both, &held).await;
        }
    }

    async fn refuses_as_stale(&self, what: &str, edits: Vec<Edit>, held: &[Record]) {
        let error = self.refuses(what, &RepairPlan { zone: self.target.clone(), edits }, held).await;
        let is_stale = error.kind == ProviderErrorKind::Stale;
        assert!(is_stale, "apply() of a plan that {what} gave {:?}: {error}", error.kind);
    }

    /// Has a plan refused by a zone that holds these records, and goes on to.
    async fn refuses(&self, what: &str, plan: &RepairPlan, held: &[Record]) -> ProviderError {
        let error = match self.publisher.apply(plan).await {
            Ok(published) => panic!("apply() of a plan that {what} gave {published:?}"),
            Err(error) => error,
        };
        let is_named = !error.provider.is_empty() && !error.operation.is_empty();
        assert!(is_named, "apply() gave an error that names no provider or no operation: {error:?}");
        assert_eq!(self.held().await, held, "the zone after a plan that {what} was refused");
        error
    }
}

async fn target(view: &dyn ZoneView, zone: &Name) -> TargetZone {
    let zones = view.zones(zone, zone).await.unwrap_or_else(|error| panic!("zones() gave an error: {error}"));
    let mut public = zones.into_iter().filter(|held| held.visibility == Visibility::Public);
    match (public.next(), public.next()) {
        (Some(held), None) => TargetZone { id: held.id, host: held.host, name: held.name },
        _ => panic!("the suite needs a view of one public zone {zone}"),
    }
}

fn in_order(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|record| format!("{record:?}"));
    records
}

fn edit(owner: &Name, before: Vec<Record>, after: Option<Record>) -> Edit {
    Edit { name: owner.clone(), before, after, reason: "The suite wants it so.".to_owned() }
}

fn creates(record: Record) -> Edit {
    edit(&record.name.clone(), Vec::new(), Some(record))
}

fn cname(owner: &Name, label: &str) -> Record {
    let target = name(&format!("{label}.dkim.example.net"));
    Record { name: owner.clone(), ttl: TTL, data: RecordData::Cname(target) }
}

fn text(owner: &Name, octets: &[u8]) -> Record {
    text_in(owner, octets.chunks(MAX_STRING))
}

fn text_in<'a>(owner: &Name, strings: impl IntoIterator<Item = &'a [u8]>) -> Record {
    Record { name: owner.clone(), ttl: TTL, data: RecordData::Txt(Txt::new(strings)) }
}

/// A text of two strings, with what a host may write otherwise than it is.
fn long_text() -> Vec<u8> {
    let mut octets = b"v=DKIM1; n=\"quoted\" \\065 back\\slash \xc3\xbc $ @ ; (x); p=".to_vec();
    octets.resize(TEXT, b'A');
    octets
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::*;
    use crate::testing::{FakeDns, FakeHost, World};

    fn host() -> FakeHost {
        let dns = Arc::new(FakeDns::new(World::easy_dkim("example.com")));
        let zone = name("example.com");
        let records = vec![
            cname(&name("aaa._domainkey.example.com"), "aaa"),
            text(&name("two.conformance._domainkey.sub.example.com"), b"another's"),
        ];
        FakeHost::new(dns, &zone, records, &[("ns1.example.com", World::NS1)])
    }

    fn fails(host: &Wrong) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let suite = || runtime.block_on(publisher(host, host, &name("example.com")));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(suite)).is_err()
    }

    /// What a [`Wrong`] does wrong.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Wrongly {
        NotAtAll,
        OverwritesWhatIsThere,
        MakesTheFirstEditOnly,
        MakesWhatCanBeMade,
        TouchesWhatIsBelow,
        LeavesAnotherType,
        LeavesWhatIsToBeRemoved,
        IgnoresTtls,
        JoinsStrings,
        WritesAgain,
        FindsItStaleAgain,
        WritesToAnyZone,
        IsNeverInSync,
        CallsStaleUnusable,
    }

    #[derive(Debug)]
    struct Wrong {
        host: FakeHost,
        wrongly: Wrongly,
    }

    impl Wrong {
        fn of(wrongly: Wrongly) -> Self {
            Self { host: host(), wrongly }
        }

        /// The plan, resting on what stands there whatever it said.
        fn resting_on_what_is(&self, plan: &RepairPlan) -> RepairPlan {
            let records = self.host.records();
            let mut plan = plan.clone();
            for edit in &mut plan.edits {
                edit.before = records.iter().filter(|record| record.name == edit.name).cloned().collect();
            }
            plan
        }

        fn with_ttls_that_are(&self, plan: &RepairPlan) -> RepairPlan {
            let mut plan = plan.clone();
            let records = self.host.records();
            for record in plan.edits.iter_mut().flat_map(|edit| &mut edit.before) {
                let held = records.iter().find(|held| held.name == record.name && held.data == record.data);
                record.ttl = held.map_or(record.ttl, |held| held.ttl);
            }
            plan
        }
    }

    fn joined(record: &mut Record) {
        if let RecordData::Txt(txt) = &record.data {
            record.data = RecordData::Txt(Txt::new([txt.joined()]));
        }
    }

    #[async_trait]
    impl ZoneView for Wrong {
        async fn zones(
            &self,
            zone: &Name,
            below: &Name,
        ) -> Result<Vec<crate::zone::HostedZone>, ProviderError> {
            self.host.zones(zone, below).await
        }
    }

    #[async_trait]
    impl RecordPublisher for Wrong {
        async fn apply(&self, plan: &RepairPlan) -> Result<Published, ProviderError> {
            let records = self.host.records();
            let is_applied = plan.is_applied(&records);
            let is_current = plan.is_current(&records);
            match self.wrongly {
                Wrongly::NotAtAll | Wrongly::IsNeverInSync => self.host.apply(plan).await,
                Wrongly::OverwritesWhatIsThere => self.host.apply(&self.resting_on_what_is(plan)).await,
                Wrongly::MakesTheFirstEditOnly => {
                    let mut plan = plan.clone();
                    plan.edits.truncate(1);
                    self.host.apply(&plan).await
                }
                Wrongly::MakesWhatCanBeMade => {
                    let mut last = Ok(Published { change: None });
                    for edit in &plan.edits {
                        let alone = RepairPlan { zone: plan.zone.clone(), edits: vec![edit.clone()] };
                        match self.host.apply(&alone).await {
                            Ok(Published { change: None }) => {}
                            Ok(published) if last.is_ok() => last = Ok(published),
                            Ok(_) => {}
                            Err(error) => last = Err(error),
                        }
                    }
                    last
                }
                Wrongly::TouchesWhatIsBelow => {
                    let mut plan = plan.clone();
                    for edit in plan.edits.clone().iter().filter(|edit| !edit.before.is_empty()) {
                        let below = records.iter().filter(|record| {
                            record.name != edit.name && record.name.is_at_or_below(&edit.name)
                        });
                        plan.edits.extend(
                            below.map(|record| super::edit(&record.name, vec![record.clone()], None)),
                        );
                    }
                    self.host.apply(&plan).await
                }
                Wrongly::LeavesAnotherType => {
                    let published = self.host.apply(plan).await;
                    for edit in plan.edits.iter().filter(|_| published.is_ok() && !is_applied) {
                        if let (Some(after), [before]) = (&edit.after, &edit.before[..])
                            && after.kind() != before.kind()
                        {
                            self.host.edit(&[after.clone(), before.clone()]);
                        }
                    }
                    published
                }
                Wrongly::LeavesWhatIsToBeRemoved => {
                    let mut plan = plan.clone();
                    plan.edits.retain(|edit| edit.after.is_some());
                    self.host.apply(&plan).await
                }
                Wrongly::IgnoresTtls => self.host.apply(&self.with_ttls_that_are(plan)).await,
                Wrongly::JoinsStrings => {
                    let mut plan = plan.clone();
                    for edit in &mut plan.edits {
                        edit.before.iter_mut().chain(&mut edit.after).for_each(joined);
                    }
                    self.host.apply(&plan).await
                }
                Wrongly::WritesAgain => {
                    let published = self.host.apply(plan).await?;
                    Ok(Published { change: published.change.or(Some("C0".to_owned())) })
                }
                Wrongly::FindsItStaleAgain => {
                    let is_stale = !is_current && !plan.is_empty();
                    if is_stale { Err(stale(ProviderErrorKind::Stale)) } else { self.host.apply(plan).await }
                }
                Wrongly::WritesToAnyZone => {
                    let mut plan = plan.clone();
                    plan.zone.id = "ZFAKE".to_owned();
                    self.host.apply(&plan).await
                }
                Wrongly::CallsStaleUnusable => match self.host.apply(plan).await {
                    Err(error) if error.kind == ProviderErrorKind::Stale => {
                        Err(stale(ProviderErrorKind::Unusable))
                    }
                    applied => applied,
                },
            }
        }

        async fn is_in_sync(&self, _published: &Published) -> Result<bool, ProviderError> {
            Ok(self.wrongly != Wrongly::IsNeverInSync)
        }
    }

    fn stale(kind: ProviderErrorKind) -> ProviderError {
        ProviderError { provider: "wrong".to_owned(), operation: "apply".to_owned(), kind, source: None }
    }

    #[test]
    fn fake_host_keeps_the_contract_and_can_be_asked_again() {
        let host = host();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        for _ in 0..2 {
            host.meet([super::super::super::HostFault::Slow(2)]);
            runtime.block_on(publisher(&host, &host, &name("example.com")));
        }
    }

    #[test]
    fn wrong_publishers_fail() {
        assert!(!fails(&Wrong::of(Wrongly::NotAtAll)), "a right one fails");
        for wrongly in [
            Wrongly::OverwritesWhatIsThere,
            Wrongly::MakesTheFirstEditOnly,
            Wrongly::MakesWhatCanBeMade,
            Wrongly::TouchesWhatIsBelow,
            Wrongly::LeavesAnotherType,
            Wrongly::LeavesWhatIsToBeRemoved,
            Wrongly::IgnoresTtls,
            Wrongly::JoinsStrings,
            Wrongly::WritesAgain,
            Wrongly::FindsItStaleAgain,
            Wrongly::WritesToAnyZone,
            Wrongly::IsNeverInSync,
            Wrongly::CallsStaleUnusable,
        ] {
            assert!(fails(&Wrong::of(wrongly)), "{wrongly:?} passes");
        }
    }
}
