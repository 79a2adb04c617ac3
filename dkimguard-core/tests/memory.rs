//! What a guard tells whom, and when: a table of what the world is like from look to look, and the alerts that follow.
//! The reports are those of real looks at a world in memory.

mod scene;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dkimguard_core::guard::{Alert, AlertEvent, Depths, IncidentKind, Memory, Policy};
use dkimguard_core::identity::{ExpectedValue, Identity, ProviderStatus};
use dkimguard_core::judge::{Depth, Report, Verdict, Witnesses};
use dkimguard_core::look::{Look, Places, Rcode};
use dkimguard_core::record::{Record, RecordData, RecordKind};
use dkimguard_core::testing::{FakeDns, FakeZones, Fault, HOSTED_ZONE, TOKENS, World, easy_dkim_identity};
use dkimguard_core::zone::{HostedZone, Visibility};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use scene::{AAA, BBB, DOMAIN, SECOND, name, resolver};

const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 55));
/// When a play begins.
const START: &str = "2026-11-24T00:00:00Z";
const DAY: f64 = 24.0 * 60.0;

/// The world, the provider and the guard's memory, between two looks.
struct Stage {
    world: World,
    zones: Vec<HostedZone>,
    identity: Identity,
    resolvers: Vec<IpAddr>,
    depth: Depth,
    policy: Policy,
    memory: Memory,
}

impl Stage {
    /// A healthy domain with two servers, seen through two public resolvers.
    fn new() -> Self {
        let mut stage = Self {
            world: World::empty(),
            zones: Vec::new(),
            identity: easy_dkim_identity(DOMAIN),
            resolvers: vec![World::RESOLVER, SECOND],
            depth: Depth::Full,
            policy: Policy::default(),
            memory: Memory::default(),
        };
        stage.mend();
        stage
    }

    /// Makes everything well, but for what the provider says.
    fn mend(&mut self) {
        self.world = World::easy_dkim(DOMAIN);
        self.world.add_resolver(SECOND);
        self.depth = Depth::Full;
    }

    fn lose(&mut self, tokens: &[&str]) {
        self.mend();
        for token in tokens {
            self.world.remove(&format!("{token}._domainkey.example.com"));
        }
    }

    fn silence(&mut self, servers: &[IpAddr]) {
        self.mend();
        for server in servers {
            self.world.server(*server).fault(Fault::Silent);
        }
    }

    fn says(&mut self, status: ProviderStatus) {
        self.identity.status = status;
    }

    fn take(&self, witnesses: Witnesses, at: Timestamp) -> Report {
        let places = Places::new(self.resolvers.iter().copied().map(resolver));
        let zones = Arc::new(FakeZones::new(self.zones.clone()));
        let look = Look::new(Arc::new(FakeDns::new(self.world.clone())), places).with_zones(zones);
        let seed = at.as_second().unsigned_abs();
        let report = look.take_with(self.identity.clone(), witnesses, self.depth, at, seed);
        report.now_or_never().expect("a world in memory answers at once")
    }

    fn look(&mut self, at: Timestamp) -> Vec<Alert> {
        let report = self.take(self.memory.witnesses(&self.identity), at);
        let (memory, alerts) = std::mem::take(&mut self.memory).advance(&report, &self.policy);
        self.memory = memory;
        alerts
    }
}

/// The delegated zone as its host shows it, with one DKIM record.
fn hosted_zone_with(record: &str) -> HostedZone {
    let target = name(&format!("aaa.{HOSTED_ZONE}"));
    HostedZone {
        id: "Z1".to_owned(),
        host: "Route 53".to_owned(),
        name: name(DOMAIN),
        visibility: Visibility::Public,
        servers: vec![name("ns1.example.com"), name("ns2.example.com")],
        records: vec![Record { name: name(record), ttl: 300, data: RecordData::Cname(target) }],
    }
}

type Change = fn(&mut Stage);

/// From when on the world is so, and the looks at it.
struct Scene {
    minute: f64,
    /// Until when looks follow by the policy's schedule; only one is taken if that is over.
    until: f64,
    change: Change,
}

/// One look at this minute.
const fn look(minute: f64, change: Change) -> Scene {
    Scene { minute, until: f64::MIN, change }
}

/// Looks by the schedule, from this minute until that.
const fn watch(minute: f64, until: f64, change: Change) -> Scene {
    Scene { minute, until, change }
}

struct Play {
    name: &'static str,
    scenes: &'static [Scene],
    /// `minute event kind severity [best cause] [until minute]`.
    alerts: &'static [&'static str],
}

const fn play(name: &'static str, scenes: &'static [Scene], alerts: &'static [&'static str]) -> Play {
    Play { name, scenes, alerts }
}

fn same(_: &mut Stage) {}
fn mended(s: &mut Stage) {
    s.mend();
}
fn records_lost(s: &mut Stage) {
    s.lose(&TOKENS);
}
fn one_lost(s: &mut Stage) {
    s.lose(&["bbb"]);
}
fn one_silent(s: &mut Stage) {
    s.silence(&[World::NS2]);
}
fn all_silent(s: &mut Stage) {
    s.silence(&[World::NS1, World::NS2]);
}
fn stale(s: &mut Stage) {
    s.mend();
    s.world.server(World::NS2).remove(BBB);
}
fn one_question_lost(s: &mut Stage) {
    s.mend();
    s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL).below(BBB));
}
fn one_cached(s: &mut Stage) {
    s.mend();
    s.world.resolver(SECOND).cache_absence(AAA, 300);
}
fn other_cached(s: &mut Stage) {
    s.mend();
    s.world.resolver(World::RESOLVER).cache_absence(AAA, 300);
}
fn all_cached(s: &mut Stage) {
    s.mend();
    s.resolvers = vec![World::RESOLVER, SECOND, THIRD];
    s.world.add_resolver(THIRD);
    for resolver in s.resolvers.clone() {
        for token in TOKENS {
            s.world.resolver(resolver).cache_absence(&format!("{token}._domainkey.{DOMAIN}"), 300);
        }
    }
}
fn one_failing(s: &mut Stage) {
    s.mend();
    s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL));
}
fn offline(s: &mut Stage) {
    s.world = World::empty();
}
fn quick(s: &mut Stage) {
    s.mend();
    s.depth = Depth::Quick;
}
fn lost_at_provider(s: &mut Stage) {
    s.says(ProviderStatus::TemporaryFailure);
}
fn given_up(s: &mut Stage) {
    s.says(ProviderStatus::Failed);
}
fn found_at_provider(s: &mut Stage) {
    s.says(ProviderStatus::Success);
}
fn provider_away(s: &mut Stage) {
    s.says(ProviderStatus::Unknown);
}
fn restart(s: &mut Stage) {
    s.memory = Memory::from_json(&s.memory.to_json()).expect("it has just been written");
}

#[rustfmt::skip]
const PLAYS: &[Play] = &[
    play("a healthy domain, for a week", &[watch(0.0, 7.0 * DAY, same)], &[]),

    // Failing.
    play("failing opens at the second look that agrees, a minute after the first",
        &[look(0.0, records_lost), look(1.0, same)],
        &["1 opened dkim critical record-missing"]),
    play("by the schedule the second look comes after a minute",
        &[watch(0.0, 30.0, records_lost)],
        &["1 opened dkim critical record-missing"]),
    play("looks within the same minute confirm nothing, and delay nothing",
        &[look(0.0, records_lost), look(0.1, same), look(0.5, same), look(0.9, same), look(0.99, same)],
        &[]),
    play("after such looks one a minute after the first does",
        &[look(0.0, records_lost), look(0.5, same), look(0.9, same), look(1.0, same)],
        &["1 opened dkim critical record-missing"]),
    play("a failing look, and all is well",
        &[look(0.0, records_lost), look(1.0, mended)],
        &[]),
    play("no server answers at one look, and again at one look",
        &[look(0.0, all_silent), look(1.0, mended), look(16.0, all_silent), look(17.0, mended)],
        &[]),
    play("two failing looks that don't agree, and a third that agrees with the second",
        &[look(0.0, |s| s.lose(&["aaa"])), look(1.0, one_lost), look(3.0, same)],
        &["3 opened dkim critical record-missing"]),
    play("two failing looks with hours between them",
        &[look(0.0, records_lost), look(120.0, same)],
        &[]),
    play("a failing look, a degraded one, a failing one",
        &[look(0.0, all_silent), look(1.0, one_silent), look(3.0, all_silent)],
        &[]),
    play("one confirmation is enough where one is asked for",
        &[look(0.0, |s| { s.policy.confirmations = 1; s.lose(&TOKENS); })],
        &["0 opened dkim critical record-missing"]),
    play("four where four are asked for, each a minute apart",
        &[watch(0.0, 30.0, |s| { s.policy.confirmations = 4; s.lose(&TOKENS); })],
        &["3 opened dkim critical record-missing"]),
    play("an interval shorter than the minute that lies between confirmations",
        &[watch(0.0, 5.0, |s| { s.policy.interval = std::time::Duration::from_secs(10); s.lose(&TOKENS); })],
        &["1 opened dkim critical record-missing"]),

    // Degraded.
    play("degraded alone opens after ten minutes",
        &[watch(0.0, 60.0, one_silent)],
        &["10 opened dkim warning server-unreachable"]),
    play("degraded, and not before ten minutes",
        &[look(0.0, stale), look(1.0, same), look(5.0, same), look(9.99, same)],
        &[]),
    play("degraded for nine minutes, again and again, each after hours of health",
        &[watch(0.0, 9.0, one_silent), watch(9.0, 2.0 * DAY, mended), watch(2.0 * DAY, 2.0 * DAY + 9.0, stale),
          watch(2.0 * DAY + 9.0, 4.0 * DAY, mended)],
        &[]),
    play("one server after another, each for less than ten minutes",
        &[look(0.0, one_silent), look(6.0, same), look(8.0, |s| s.silence(&[World::NS1])), look(12.0, same), look(17.9, same)],
        &[]),
    play("one server joins another, and the first is mended",
        &[look(0.0, one_silent), look(5.0, all_silent), look(7.0, |s| s.silence(&[World::NS1])), look(14.9, same), look(15.0, same)],
        &["15 opened dkim warning server-unreachable"]),
    play("a server that is down, and stale when it is back",
        &[look(0.0, one_silent), look(1.0, same), look(5.0, stale), look(10.0, same)],
        &["10 opened dkim warning servers-disagree"]),
    play("a question lost right before the same server is down counts from when it is down",
        &[look(0.0, one_question_lost), look(1.0, one_silent), look(3.0, same), look(10.5, same), look(11.0, same)],
        &["11 opened dkim warning server-unreachable"]),
    play("a question lost at a server that was down until right before, ten minutes after it went down",
        &[look(0.0, one_silent), look(1.0, same), look(9.0, same), look(10.0, one_question_lost), look(11.0, mended)],
        &[]),
    play("a server that was down, and still leaves one question unanswered at two looks",
        &[look(0.0, one_silent), look(1.0, same), look(9.0, same), look(10.0, one_question_lost), look(11.0, same)],
        &["11 opened dkim warning server-failing"]),
    play("questions lost at one server while the provider isn't heard, which sees it well in between",
        &[look(0.0, |s| { one_question_lost(s); provider_away(s); }), look(5.0, mended), look(12.0, one_question_lost)],
        &[]),
    play("degraded at a look, well at the next, degraded ten minutes later",
        &[look(0.0, stale), look(1.0, mended), look(11.0, stale)],
        &[]),
    play("degraded where looks are a minute apart at most",
        &[watch(0.0, 60.0, |s| { s.policy.interval = std::time::Duration::from_secs(60); s.silence(&[World::NS2]); })],
        &["10 opened dkim warning server-unreachable"]),

    // Flapping.
    play("a server lacks a record at every other look: the third change within a day opens",
        &[look(0.0, same), look(15.0, stale), look(16.0, mended), look(31.0, stale), look(32.0, mended)],
        &["31 opened dkim warning servers-disagree"]),
    play("it is told where the third change is that all is well",
        &[look(0.0, stale), look(15.0, mended), look(16.0, stale), look(31.0, mended)],
        &["31 opened dkim warning flapping"]),
    play("two changes within a day are a slow transfer",
        &[look(0.0, same), look(15.0, stale), look(16.0, mended), watch(31.0, 300.0, mended)],
        &[]),
    play("a slow transfer on two days",
        &[look(0.0, stale), look(1.0, mended), look(DAY - 5.0, same), look(DAY + 5.0, stale), look(DAY + 6.0, mended)],
        &[]),
    play("a change every eight hours, each seen for long",
        &[look(0.0, stale), look(2.0, same), look(478.0, same), look(480.0, mended), look(958.0, same), look(960.0, stale),
          look(961.0, same), look(1438.0, same), look(1440.0, mended), look(1455.0, same)],
        &["1440 opened dkim warning flapping"]),
    play("a slow transfer, and a question lost at the same server right after, and later",
        &[look(0.0, same), look(15.0, stale), look(16.0, mended), look(17.0, one_question_lost), look(18.0, mended),
          look(60.0, one_question_lost), look(61.0, mended)],
        &[]),
    play("a slow transfer, and a restart of the same server for five minutes",
        &[look(0.0, same), look(15.0, stale), look(16.0, mended), watch(60.0, 65.0, one_silent), watch(65.0, 120.0, mended)],
        &[]),
    play("all servers lack the records at a look, twice within a day",
        &[look(0.0, same), look(15.0, records_lost), look(16.0, mended), look(31.0, records_lost), look(32.0, mended)],
        &["31 opened dkim warning record-missing"]),
    play("it lasts while the day's changes are three, well or not, and is over a day later",
        &[look(0.0, stale), look(1.0, same), look(10.0, mended), look(60.0, stale), look(61.0, same), look(70.0, mended),
          look(120.0, stale), look(121.0, same), look(122.0, same), watch(130.0, 2.0 * DAY, mended)],
        &["70 opened dkim warning flapping", "1511 recovered dkim warning"]),
    play("lost, back, lost and back: not recovered before the day is over",
        &[watch(0.0, 60.0, records_lost), look(60.0, mended), look(61.0, records_lost), watch(63.0, 2.0 * DAY, mended)],
        &["1 opened dkim critical record-missing", "1450 reminder dkim critical flapping", "1496 recovered dkim critical"]),
    play("a server restarted twice within a day, for five minutes each",
        &[look(45.0, same), watch(60.0, 65.0, one_silent), watch(65.0, 120.0, mended), watch(600.0, 605.0, one_silent),
          watch(605.0, 700.0, mended)],
        &[]),
    play("the third time that a server is silent for two looks within a day opens as soon as a look is told of it",
        &[look(0.0, one_silent), look(1.0, same), look(10.0, mended), look(60.0, one_silent), look(61.0, same), look(70.0, mended),
          look(120.0, one_silent), look(121.0, same), look(122.0, same)],
        &["122 opened dkim warning server-unreachable"]),
    play("a server answers nothing but SERVFAIL at single looks, six times a day",
        &[look(0.0, one_failing), look(1.0, mended), look(60.0, one_failing), look(61.0, mended),
          look(120.0, one_failing), look(121.0, mended), look(180.0, one_failing), look(181.0, mended),
          look(240.0, one_failing), look(241.0, mended), look(300.0, one_failing), look(301.0, mended)],
        &[]),
    play("two bad spells within a day, and a question lost, are passing faults",
        &[look(0.0, one_silent), look(1.0, same), look(10.0, mended), look(60.0, one_silent), look(61.0, same),
          look(70.0, mended), look(120.0, one_question_lost), look(121.0, mended)],
        &[]),
    play("single questions lost, six times a day",
        &[look(0.0, one_question_lost), look(1.0, mended), look(60.0, one_question_lost), look(61.0, mended),
          look(120.0, one_question_lost), look(121.0, mended), look(180.0, one_question_lost), look(181.0, mended),
          look(240.0, one_question_lost), look(241.0, mended), look(300.0, one_question_lost), look(301.0, mended)],
        &[]),

    // Resolvers.
    play("a broken resolver, for three days",
        &[watch(0.0, 3.0 * DAY, |s| { s.world.resolver(SECOND).fault(Fault::Rcode(Rcode::SERVFAIL)); })],
        &[]),
    play("a resolver that lies now and then",
        &[look(0.0, |s| { s.world.resolver(SECOND).fault(Fault::Rcode(Rcode::NXDOMAIN)); }), look(1.0, same), look(10.0, mended),
          look(60.0, |s| { s.world.resolver(SECOND).fault(Fault::Rcode(Rcode::NXDOMAIN)); }), look(61.0, same), look(70.0, mended),
          look(120.0, |s| { s.world.resolver(SECOND).fault(Fault::Rcode(Rcode::NXDOMAIN)); }), look(121.0, same), look(122.0, same)],
        &[]),

    play("a resolver keeps an absence for three quarters of an hour that no server answers any more",
        &[look(0.0, records_lost), watch(1.0, 46.0, one_cached), watch(46.0, 120.0, mended)],
        &[]),
    play("a question is lost while it does",
        &[watch(0.0, 31.0, one_cached), look(31.0, |s| { one_question_lost(s); s.world.resolver(SECOND).cache_absence(AAA, 300); }),
          watch(32.0, 46.0, one_cached), watch(46.0, 120.0, mended)],
        &[]),
    play("a resolver keeps an absence for an hour",
        &[watch(0.0, 90.0, one_cached)],
        &["60 opened dkim warning negative-cached"]),
    play("one resolver keeps an absence for half an hour, and another for half an hour after that",
        &[watch(0.0, 40.0, one_cached), watch(40.0, 80.0, other_cached)],
        &[]),
    play("the provider can't be asked for an hour, and a resolver keeps an absence for a part of it",
        &[watch(0.0, 40.0, |s| { one_cached(s); provider_away(s); }), watch(40.0, 90.0, mended)],
        &["60 opened blind warning"]),
    play("and a question is lost in the midst of that",
        &[watch(0.0, 20.0, |s| { one_cached(s); provider_away(s); }),
          look(20.0, |s| { one_question_lost(s); s.world.resolver(SECOND).cache_absence(AAA, 300); }),
          watch(21.0, 40.0, one_cached), watch(40.0, 90.0, mended)],
        &["60 opened blind warning"]),
    play("a resolver keeps one record's absence for half an hour, and another's for half an hour after that",
        &[watch(0.0, 40.0, one_cached), look(40.0, |s| { s.mend(); s.world.resolver(SECOND).cache_absence(AAA, 300).cache_absence(BBB, 300); }),
          watch(41.0, 80.0, |s| { s.mend(); s.world.resolver(SECOND).cache_absence(BBB, 300); })],
        &[]),
    play("three resolvers keep all absences, and meanwhile a server goes bad",
        &[watch(0.0, 10.0, all_cached), watch(10.0, 25.0, |s| { all_cached(s); s.world.server(World::NS2).remove(BBB); })],
        &["20 opened dkim warning servers-disagree"]),
    play("a question is lost at the second look at what lasts",
        &[look(0.0, stale), look(1.0, |s| { stale(s); s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL).below(AAA)); }), watch(2.0, 10.5, stale)],
        &["10 opened dkim warning servers-disagree"]),
    play("a question is lost in the midst of what lasts",
        &[watch(0.0, 5.0, stale), look(5.0, one_question_lost), watch(6.0, 11.0, stale)],
        &["10 opened dkim warning servers-disagree"]),
    play("a server is down for as long as a resolver keeps an absence",
        &[watch(0.0, 30.0, |s| { one_silent(s); s.world.resolver(SECOND).cache_absence(AAA, 300); })],
        &["10 opened dkim warning server-unreachable"]),

    // The provider.
    play("a temporary failure opens at once, and the clock runs from the first sight of it",
        &[look(0.0, lost_at_provider)],
        &["0 opened dkim critical provider-behind until 4320"]),
    play("given up opens at once",
        &[look(0.0, given_up)],
        &["0 opened dkim critical provider-gave-up"]),
    play("a temporary failure opens at once where nothing else is known",
        &[look(0.0, |s| { s.says(ProviderStatus::TemporaryFailure); s.world = World::empty(); })],
        &["0 opened dkim critical offline until 4320"]),
    play("the clock runs on over a restart and over looks at which the provider isn't heard",
        &[look(0.0, |s| { s.lose(&TOKENS); s.says(ProviderStatus::TemporaryFailure); }), look(60.0, restart),
          look(120.0, provider_away), look(130.0, offline), look(1500.0, |s| { s.lose(&TOKENS); s.says(ProviderStatus::TemporaryFailure); })],
        &["0 opened dkim critical record-missing until 4320", "1500 reminder dkim critical record-missing until 4320"]),
    play("where there is a notice, it runs from the notice's date",
        &[look(0.0, |s| { s.memory = std::mem::take(&mut s.memory).with_notice(at(-600.0)); s.says(ProviderStatus::TemporaryFailure); }),
          look(60.0, restart)],
        &["0 opened dkim critical provider-behind until 3720"]),
    play("a notice from a clock that is ahead counts from the first look that knows of it",
        &[look(0.0, |s| { s.memory = std::mem::take(&mut s.memory).with_notice(at(60.0)); s.says(ProviderStatus::TemporaryFailure); }),
          look(1440.0, same)],
        &["0 opened dkim critical provider-behind until 4380", "1440 reminder dkim critical provider-behind until 4320"]),
    play("a notice counts no longer once the provider has found the records",
        &[look(0.0, |s| { s.memory = std::mem::take(&mut s.memory).with_notice(at(-600.0)); }), look(60.0, lost_at_provider)],
        &["60 opened dkim critical provider-behind until 4380"]),

    // Worse.
    play("degraded, then failing, once",
        &[watch(0.0, 60.0, one_silent), watch(60.0, 300.0, all_silent)],
        &["10 opened dkim warning server-unreachable", "61 worsened dkim critical server-unreachable"]),
    play("a failing look amid degraded ones makes nothing worse",
        &[watch(0.0, 60.0, one_silent), look(60.0, all_silent), watch(61.0, 90.0, one_silent)],
        &["10 opened dkim warning server-unreachable"]),
    play("failing, lost at the provider, given up",
        &[watch(0.0, 60.0, records_lost), watch(60.0, 120.0, lost_at_provider), watch(120.0, 180.0, given_up)],
        &["1 opened dkim critical record-missing", "60 worsened dkim critical record-missing until 4380",
          "120 worsened dkim critical record-missing"]),
    play("lost at the provider, found, and lost again while a server is stale",
        &[watch(0.0, 60.0, stale), look(60.0, lost_at_provider), look(90.0, found_at_provider), look(120.0, lost_at_provider)],
        &["10 opened dkim warning servers-disagree", "60 worsened dkim critical servers-disagree until 4380",
          "120 worsened dkim critical servers-disagree until 4440"]),

    // Reminders.
    play("every day, and at marks on the way to the deadline; two that fall together once",
        &[look(0.0, |s| { s.lose(&TOKENS); s.says(ProviderStatus::TemporaryFailure); }), look(1439.0, same), look(1440.0, same), look(2159.0, same),
          look(2160.0, same), look(2880.0, same), look(3240.0, same), look(3887.0, same), look(3888.0, same), look(4320.0, same)],
        &["0 opened dkim critical record-missing until 4320", "1440 reminder dkim critical record-missing until 4320",
          "2160 reminder dkim critical record-missing until 4320", "2880 reminder dkim critical record-missing until 4320",
          "3240 reminder dkim critical record-missing until 4320", "3888 reminder dkim critical record-missing until 4320",
          "4320 reminder dkim critical record-missing until 4320"]),
    play("after a long sleep one reminder stands for all",
        &[look(0.0, |s| { s.lose(&TOKENS); s.says(ProviderStatus::TemporaryFailure); }), look(4000.0, same), look(4001.0, same)],
        &["0 opened dkim critical record-missing until 4320", "4000 reminder dkim critical record-missing until 4320"]),
    play("no mark counts once the clock has stopped",
        &[look(0.0, |s| { s.lose(&TOKENS); s.says(ProviderStatus::TemporaryFailure); }), look(30.0, found_at_provider), look(2200.0, same),
          look(2300.0, same), look(3888.0, same)],
        &["0 opened dkim critical record-missing until 4320", "2200 reminder dkim critical record-missing",
          "3888 reminder dkim critical record-missing"]),
    play("a reminder comes while the domain can't be seen",
        &[watch(0.0, 30.0, records_lost), look(1441.0, offline)],
        &["1 opened dkim critical record-missing", "1441 reminder dkim critical offline"]),

    // Recovered.
    play("recovered after two healthy looks",
        &[watch(0.0, 60.0, records_lost), watch(60.0, 300.0, mended)],
        &["1 opened dkim critical record-missing", "61 recovered dkim critical"]),
    play("two healthy looks within the same minute are one",
        &[watch(0.0, 60.0, records_lost), look(60.0, mended), look(60.5, same), look(61.0, same)],
        &["1 opened dkim critical record-missing", "61 recovered dkim critical"]),
    play("well, bad, well, and well",
        &[watch(0.0, 60.0, all_silent), look(60.0, mended), look(61.0, all_silent), look(63.0, mended), look(64.0, same)],
        &["1 opened dkim critical server-unreachable", "64 recovered dkim critical"]),
    play("an unknown look between two healthy ones keeps the incident",
        &[watch(0.0, 60.0, records_lost), look(60.0, mended), look(61.0, offline), look(63.0, mended), look(65.0, same)],
        &["1 opened dkim critical record-missing", "65 recovered dkim critical"]),
    play("quick looks don't end an incident",
        &[watch(0.0, 60.0, records_lost), look(60.0, quick), look(62.0, same), look(64.0, same)],
        &["1 opened dkim critical record-missing"]),
    play("a quick look doesn't clear a suspicion",
        &[look(0.0, stale), look(1.0, quick), look(11.0, stale)],
        &["11 opened dkim warning servers-disagree"]),
    play("quick looks that are all there is do both",
        &[look(0.0, |s| { s.policy.depths = Depths::Quick; s.lose(&TOKENS); s.depth = Depth::Quick; }), look(1.0, same), look(3.0, quick), look(4.0, same)],
        &["1 opened dkim critical record-missing", "4 recovered dkim critical"]),
    play("not recovered before the provider has found the records",
        &[look(0.0, |s| { s.lose(&TOKENS); s.says(ProviderStatus::TemporaryFailure); }), watch(60.0, 300.0, mended),
          watch(300.0, 400.0, found_at_provider)],
        &["0 opened dkim critical record-missing until 4320", "301 recovered dkim critical"]),
    play("a second incident after the first",
        &[watch(0.0, 60.0, records_lost), watch(60.0, 300.0, mended), watch(300.0, 400.0, records_lost)],
        &["1 opened dkim critical record-missing", "61 recovered dkim critical", "301 opened dkim critical record-missing"]),

    // Blind.
    play("nothing known for an hour is an incident of its own, and over after two looks",
        &[watch(0.0, 120.0, offline), watch(120.0, 200.0, mended)],
        &["60 opened blind warning offline", "121 recovered blind warning"]),
    play("nothing known for less",
        &[watch(0.0, 59.0, offline), watch(59.0, 200.0, mended)],
        &[]),
    play("the provider can't be asked, for an hour",
        &[watch(0.0, 100.0, provider_away)],
        &["60 opened blind warning"]),
    play("a question lost while the provider isn't heard",
        &[watch(0.0, 40.0, provider_away), look(40.0, one_question_lost), watch(41.0, 90.0, mended)],
        &["60 opened blind warning"]),
    play("a server that is down at a look says nothing of the provider",
        &[watch(0.0, 40.0, provider_away), look(40.0, one_silent), watch(41.0, 90.0, mended)],
        &["60 opened blind warning"]),
    play("all servers fail for two looks, which is known, while the provider isn't heard",
        &[watch(0.0, 40.0, provider_away), look(40.0, records_lost), look(41.0, same), watch(42.0, 90.0, |s| { mended(s); provider_away(s); })],
        &["41 opened dkim critical record-missing"]),
    play("what came and went is remembered, not known, while the provider isn't heard for an hour",
        &[look(0.0, same), look(15.0, stale), look(16.0, mended), look(31.0, stale), watch(32.0, 120.0, |s| { mended(s); provider_away(s); })],
        &["31 opened dkim warning servers-disagree", "92 opened blind warning flapping"]),
    play("a server down while the provider isn't heard is told, and so is that it isn't heard",
        &[watch(0.0, 40.0, provider_away), watch(40.0, 90.0, one_silent)],
        &["50 opened dkim warning server-unreachable", "60 opened blind warning server-unreachable"]),
    play("two unknown looks, hours apart since nobody looked",
        &[look(0.0, offline), look(180.0, restart), look(181.0, mended)],
        &[]),
    play("something is known now and then",
        &[watch(0.0, 50.0, offline), look(50.0, mended), watch(51.0, 100.0, offline), look(100.0, mended)],
        &[]),
    play("unknown looks neither confirm nor clear",
        &[look(0.0, records_lost), look(1.0, offline), look(3.0, offline), look(5.0, records_lost)],
        &["5 opened dkim critical record-missing"]),
    play("blind in the midst of an incident, which stays",
        &[watch(0.0, 10.0, records_lost), watch(10.0, 100.0, offline), watch(100.0, 120.0, mended)],
        &["1 opened dkim critical record-missing", "70 opened blind warning offline", "101 recovered blind warning", "101 recovered dkim critical"]),
    play("failing when it is seen again",
        &[watch(0.0, 100.0, offline), watch(100.0, 120.0, records_lost)],
        &["60 opened blind warning offline", "101 recovered blind warning record-missing", "101 opened dkim critical record-missing"]),

    // Tokens.
    play("the tokens are others than before, and one of those is in the hosted zone",
        &[look(0.0, |s| { s.zones = vec![hosted_zone_with(AAA)]; }), look(15.0, |s| {
            for (selector, label) in s.identity.selectors.iter_mut().zip(["ddd", "eee", "fff"]) {
                selector.label = name(label);
                selector.value = ExpectedValue::Cname(name(&format!("{label}.dkim.amazonses.com")));
            }
        }), look(16.0, restart)],
        &["16 opened dkim critical tokens-changed"]),

    // Clocks.
    play("the clock is set back a day in the midst of a suspicion",
        &[look(1440.0, records_lost), look(0.0, same), look(1.0, same)],
        &["1 opened dkim critical record-missing"]),
    play("the clock was years ahead at a look",
        &[look(0.0, same), look(1e7, same), watch(15.0, 60.0, records_lost)],
        &["16 opened dkim critical record-missing"]),
    play("the clock was years ahead while nothing was known",
        &[look(1e7, offline), watch(0.0, 90.0, offline)],
        &["60 opened blind warning offline"]),
    play("the clock was years ahead when the provider's failure was first seen",
        &[look(1e7, lost_at_provider), look(0.0, same), look(1440.0, same), look(2160.0, same)],
        &["10000000 opened dkim critical provider-behind until 10004320", "1440 reminder dkim critical provider-behind until 4320",
          "2160 reminder dkim critical provider-behind until 4320"]),
    play("the clock was years ahead once in the midst of an incident",
        &[watch(0.0, 10.0, records_lost), look(1e7, same), look(20.0, same), look(1441.0, same), look(2881.0, same)],
        &["1 opened dkim critical record-missing", "10000000 reminder dkim critical record-missing",
          "1441 reminder dkim critical record-missing", "2881 reminder dkim critical record-missing"]),
    play("the clock is set back in the midst of a recovery",
        &[watch(1000.0, 1010.0, records_lost), look(1015.0, mended), look(0.0, same)],
        &["1001 opened dkim critical record-missing", "0 recovered dkim critical"]),
];

fn at(minute: f64) -> Timestamp {
    let start: Timestamp = START.parse().expect("it is a time");
    start + SignedDuration::from_secs_f64(60.0 * minute)
}

fn minute(at: Timestamp) -> f64 {
    let start: Timestamp = START.parse().expect("it is a time");
    (at.duration_since(start).as_secs_f64() / 60.0 * 100.0).round() / 100.0
}

fn line(alert: &Alert) -> String {
    let Alert { event, kind, severity, .. } = alert;
    let mut line = format!("{} {event} {kind} {severity}", minute(alert.at));
    if let Some(cause) = alert.causes.first() {
        line.push_str(&format!(" {cause}"));
    }
    if let Some(deadline) = alert.deadline {
        line.push_str(&format!(" until {}", minute(deadline)));
    }
    line
}

/// What the alerts of a play are, with `between` after each look.
fn perform(scenes: &[Scene], mut between: impl FnMut(&mut Stage)) -> Vec<Alert> {
    let mut stage = Stage::new();
    let mut alerts = Vec::new();
    for scene in scenes {
        (scene.change)(&mut stage);
        let mut now = at(scene.minute);
        loop {
            alerts.extend(stage.look(now));
            between(&mut stage);
            now = stage.policy.next_look(&stage.memory, 0.0).expect("a look was taken");
            if now >= at(scene.until.max(scene.minute)) {
                break;
            }
        }
    }
    alerts
}

/// Opened first, counted from one, recovered last, one name for all of it, and one incident of a kind at a time.
fn check_lives(alerts: &[Alert]) {
    let mut open: HashMap<IncidentKind, (String, u32)> = HashMap::new();
    let mut over: Vec<String> = Vec::new();
    for alert in alerts {
        let id = alert.incident.to_string();
        assert!(!over.contains(&id), "{id} is told of when it is over");
        match (alert.event, open.get_mut(&alert.kind)) {
            (AlertEvent::Opened, None) => {
                assert_eq!(alert.number, 1, "{id}");
                open.insert(alert.kind, (id, 1));
            }
            (AlertEvent::Opened, Some(_)) => panic!("{id} opens while another is open"),
            (event, None) => panic!("{id} is {event} and isn't open"),
            (event, Some((opened, number))) => {
                *number += 1;
                assert_eq!((&id, alert.number), (&*opened, *number));
                if event == AlertEvent::Recovered {
                    open.remove(&alert.kind);
                    over.push(id);
                }
            }
        }
    }
}

#[test]
fn each_play_comes_to_its_alerts_and_no_others() {
    let mut wrong = Vec::new();
    for Play { name, scenes, alerts: wanted } in PLAYS {
        let alerts = perform(scenes, |_| {});
        check_lives(&alerts);
        let lines: Vec<String> = alerts.iter().map(line).collect();
        if lines != *wanted {
            wrong.push(format!("{name}:\n  wanted {wanted:#?}\n  got {lines:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} plays:\n\n{}", wrong.len(), PLAYS.len(), wrong.join("\n\n"));
}

#[test]
fn a_restart_after_every_look_changes_nothing() {
    for Play { name, scenes, .. } in PLAYS {
        assert_eq!(perform(scenes, |_| {}), perform(scenes, restart), "{name}");
    }
}

#[test]
fn what_comes_and_goes_is_called_so() {
    let scenes =
        [look(0.0, same), look(15.0, stale), look(16.0, mended), look(31.0, stale), look(32.0, mended)];
    let [opened] = &perform(&scenes, |_| {})[..] else { panic!("one alert") };
    assert_eq!(opened.causes, ["servers-disagree", "flapping"]);
}

#[test]
fn the_next_incident_has_another_name() {
    let scenes =
        [watch(0.0, 60.0, records_lost), watch(60.0, 300.0, mended), watch(300.0, 400.0, records_lost)];
    let alerts = perform(&scenes, |_| {});
    let [first, over, second] = &alerts[..] else { panic!("{alerts:?}") };
    assert_eq!(first.incident, over.incident);
    assert_ne!(first.incident, second.incident);
    assert_eq!((first.number, over.number, second.number), (1, 2, 1));
    assert_eq!(first.key(), format!("ses:123456789012:us-east-1:example.com:dkim:{}#1", at(1.0)));
}

#[test]
fn what_may_last_is_looked_at_each_minute_until_that_is_decided() {
    let mut stage = Stage::new();
    one_silent(&mut stage);
    let mut now = at(0.0);
    while !stage.memory.has_incident() {
        stage.look(now);
        let next = stage.policy.next_look(&stage.memory, 0.9).expect("a look was taken");
        let gap = next.duration_since(now).as_secs();
        assert_eq!(gap == 60, !stage.memory.has_incident(), "{gap} s after minute {}", minute(now));
        now = next;
    }
    assert_eq!(minute(stage.memory.looked_at().expect("a look was taken")), 10.0);
}

#[test]
fn a_domain_among_many_is_looked_at_in_full_where_anything_was_wrong_and_now_and_then() {
    let mut stage = Stage::new();
    let depth = |stage: &Stage, minute: f64| stage.policy.depth(&stage.memory, 1000, at(minute));
    assert_eq!(depth(&stage, 0.0), Depth::Full, "nothing is known");
    stage.look(at(0.0));
    assert_eq!(depth(&stage, 15.0), Depth::Quick);
    assert_eq!(depth(&stage, 59.0), Depth::Quick);
    assert_eq!(depth(&stage, 60.0), Depth::Full);
    assert_eq!(depth(&stage, -1.0), Depth::Full, "the last full look lies ahead: the clock was wrong");
    stale(&mut stage);
    stage.look(at(360.0));
    assert_eq!(depth(&stage, 361.0), Depth::Full);
    // Few are always looked at in full, and many for a day where a server was bad.
    mended(&mut stage);
    stage.look(at(361.0));
    assert!(!stage.memory.is_unsettled());
    assert_eq!(depth(&stage, 376.0), Depth::Full, "it may come again");
    one_question_lost(&mut stage);
    stage.look(at(402.0));
    mended(&mut stage);
    stage.look(at(403.0));
    assert!(!stage.memory.is_unsettled());
    assert_eq!(depth(&stage, 417.0), Depth::Full, "a question lost may be the first sign");
    stage.look(at(403.0 + DAY));
    assert_eq!(depth(&stage, 417.0 + DAY), Depth::Quick, "it has not come again");
    assert_eq!(stage.policy.depth(&stage.memory, 20, at(417.0 + DAY)), Depth::Full);
    assert_eq!(stage.policy.depth(&stage.memory, 21, at(417.0 + DAY)), Depth::Quick);
}

#[test]
fn what_a_newer_version_wrote_and_what_is_no_memory_is_refused() {
    let newer = Memory::from_json("{\"format\":2,\"memory\":{\"new\":1}}").expect_err("newer");
    assert_eq!(newer.to_string(), "it has format 2, and 1 is the newest known here");
    for text in [
        "",
        "{}",
        "null",
        "{\"format\":1}",
        "{\"format\":1,\"memory\":{\"new\":1}}",
        "{\"format\":1,\"memory\":{",
    ] {
        let error = Memory::from_json(text).expect_err(text);
        assert_eq!(error.to_string(), "it is not the JSON of a memory", "{text}");
    }
}

/// What a memory takes at most while nothing waits to be delivered, in octets of its JSON, for names as short as here.
const HEALTHY: usize = 600;
const LARGEST: usize = 16 * 1024;

/// How many octets of JSON a memory takes, without the alerts that wait.
fn size(memory: &Memory) -> usize {
    let mut json: serde_json::Value = serde_json::from_str(&memory.to_json()).expect("it is JSON");
    json["memory"]["delivery"] = serde_json::json!({});
    json.to_string().len()
}

#[test]
fn a_healthy_domain_takes_little_memory_also_after_an_incident() {
    let mut stage = Stage::new();
    stage.look(at(0.0));
    assert!(size(&stage.memory) < HEALTHY, "{} octets", size(&stage.memory));
    for minute in [15.0, 16.0, 30.0] {
        all_silent(&mut stage);
        stage.look(at(minute));
    }
    for minute in [31.0, 32.0, 1600.0] {
        mended(&mut stage);
        stage.look(at(minute));
    }
    assert!(!stage.memory.has_incident() && !stage.memory.is_unsettled());
    assert!(size(&stage.memory) < HEALTHY, "{}", stage.memory.to_json());
}

/// What may become of the world between two looks.
const TURNS: [Change; 16] = [
    mended,
    mended,
    records_lost,
    one_lost,
    one_silent,
    all_silent,
    stale,
    one_question_lost,
    offline,
    quick,
    lost_at_provider,
    given_up,
    found_at_provider,
    provider_away,
    |s| {
        s.world = World::easy_dkim(DOMAIN);
        s.world.add_resolver(SECOND).fault(Fault::Silent);
        s.world.server(World::NS1).fault(Fault::Silent.for_kind(RecordKind::Txt));
    },
    |s| {
        // Every token another one, as long as selectors get.
        let count = s.identity.selectors[0].label.to_string().len() % 60;
        for (selector, label) in s.identity.selectors.iter_mut().zip(["x", "y", "z"]) {
            selector.label = name(&label.repeat(count + 1));
        }
    },
];

/// The looks of a random play: which turn, and how many seconds after the one before (or before it).
fn turns() -> impl Strategy<Value = Vec<(usize, i64)>> {
    let gap = prop_oneof![
        4 => 0_i64..90,
        8 => 60_i64..1200,
        2 => 3_000_i64..200_000,
        1 => -100_000_i64..0,
        1 => prop_oneof![Just(10_000_000_000_i64), Just(-10_000_000_000)],
    ];
    proptest::collection::vec((0..TURNS.len(), gap), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_incidents_open_first_recover_last_and_memory_stays_bounded(turns in turns()) {
        let mut stage = Stage::new();
        let mut replayed = Memory::default();
        let (mut now, mut alerts) = (at(0.0), Vec::new());
        for (turn, gap) in turns {
            now = now.checked_add(SignedDuration::from_secs(gap)).unwrap_or(now);
            TURNS[turn](&mut stage);
            let report = stage.take(stage.memory.witnesses(&stage.identity), now);
            let told = stage.look(now);
            let (again, told_again) = replayed.advance(&report, &stage.policy);
            prop_assert_eq!(&told, &told_again);
            replayed = Memory::from_json(&again.to_json()).expect("it has just been written");
            prop_assert_eq!(&replayed, &stage.memory);
            prop_assert!(size(&replayed) < LARGEST, "{} octets", size(&replayed));
            prop_assert!(replayed.undelivered().count() <= 16);
            alerts.extend(told);
            let next = stage.policy.next_look(&stage.memory, 0.5).expect("a look was taken");
            prop_assert!(next > now || next == Timestamp::MAX);
        }
        // The same second may open two incidents once a clock has been set back; then both have one name.
        let mut names: Vec<_> =
            alerts.iter().filter(|a| a.event == AlertEvent::Opened).map(|a| a.incident.clone()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        if names.len() == count {
            check_lives(&alerts);
        }
    }

    #[test]
    fn what_a_single_look_does_not_see_is_never_told(
        spells in proptest::collection::vec((prop_oneof![Just(one_question_lost as Change), Just(one_failing as Change), Just(one_silent as Change)], 2_i64..240), 1..24)
    ) {
        let mut stage = Stage::new();
        let mut now = at(0.0);
        prop_assert_eq!(stage.look(now), []);
        for (change, minutes) in spells {
            now += SignedDuration::from_mins(minutes);
            change(&mut stage);
            prop_assert_eq!(stage.look(now), []);
            now += SignedDuration::from_mins(1);
            mended(&mut stage);
            prop_assert_eq!(stage.look(now), []);
        }
    }

    #[test]
    fn a_server_that_answers_otherwise_three_times_within_a_day_is_told_of_at_the_third_and_not_before(
        gaps in proptest::collection::vec(1_i64..475, 3)
    ) {
        let mut stage = Stage::new();
        let mut now = at(0.0);
        prop_assert_eq!(stage.look(now), []);
        for (change, gap) in [stale as Change, mended, stale].into_iter().zip(&gaps) {
            now += SignedDuration::from_mins(*gap);
            change(&mut stage);
            let told = stage.look(now);
            let is_third = now == at(gaps.iter().sum::<i64>() as f64);
            prop_assert_eq!(told.len(), usize::from(is_third), "{:?}", told);
        }
    }

    #[test]
    fn a_failing_domain_is_told_of_within_two_looks_whatever_was_before(turns in turns()) {
        let mut stage = Stage::new();
        let mut now = at(0.0);
        for (turn, gap) in turns {
            now = now.checked_add(SignedDuration::from_secs(gap)).unwrap_or(now);
            TURNS[turn](&mut stage);
            stage.look(now);
        }
        stage.says(ProviderStatus::Success);
        stage.lose(&[]);
        // Whatever the tokens have become, the zone is empty of them.
        for token in TOKENS {
            stage.world.remove(&format!("{token}._domainkey.example.com"));
        }
        now += SignedDuration::from_mins(15);
        stage.look(now);
        now = stage.policy.next_look(&stage.memory, 0.0).expect("a look was taken");
        stage.look(now);
        prop_assert_eq!(stage.memory.verdict(), Some(Verdict::Failing));
        prop_assert!(stage.memory.has_incident());
    }
}
