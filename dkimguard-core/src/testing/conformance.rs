//! Suites that any implementation of a port can run: what its contract asks, checked from outside.
//!
//! They panic where the implementation fails, so that a test calls them and does nothing else.

mod publisher;
mod rearm;
mod store;

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::net::IpAddr;
use std::slice;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::error::{LookupError, ProviderError};
use crate::identity::{Identity, IdentityId};
use crate::look::{Question, Rcode, Response, Transport, Vantage};
use crate::name::Name;
use crate::ports::{DnsLookup, IdentitySource};
use crate::record::RecordKind;
use crate::zone::Zone;

use super::fault::Fault;
use super::lab::Lab;
use super::world::World;
use super::zone::name;

pub use publisher::publisher;
pub use rearm::rearm;
pub use store::store;

/// By when an engine must have ended every question of [`dns_lookup`].
const DNS_LOOKUP_ENDS: Duration = Duration::from_secs(60);

/// Checks an [`IdentitySource`] that holds exactly these identities, and none of the domain `unknown`.
///
/// Identities are compared by their ids and by the records that they expect; what a source tells beside that
/// is its own. Each call is made twice, since asking must not change anything. What a source does while it can't ask is
/// checked by [`identity_source_out_of_reach`].
///
/// ```
/// use dkimguard_core::testing::{FakeSource, conformance, easy_dkim_identity};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let held = [easy_dkim_identity("example.com"), easy_dkim_identity("example.org")];
/// let source = FakeSource::new(held.clone());
/// conformance::identity_source(&source, &held, &"example.net".parse()?).await;
/// # Ok::<(), dkimguard_core::error::ParseNameError>(())
/// # }).expect("a fake does not wait")?;
/// # Ok::<(), dkimguard_core::error::ParseNameError>(())
/// ```
///
/// # Panics
/// If the source fails: an identity that is missing, listed twice or with other records, in the list or in its
/// details; one of another domain; an error; anything found for the unknown domain; domains asked for together that are
/// missing or in another order.
pub async fn identity_source(source: &dyn IdentitySource, held: &[Identity], unknown: &Name) {
    for round in ["the first time", "the second time"] {
        let listed: Vec<_> = source.identities().collect().await;
        for identity in listed.iter().flatten() {
            let of_one: Vec<_> = held.iter().filter(|held| held.id == identity.id).cloned().collect();
            let call = format!("details({}), {round}", identity.id);
            same_identities(&call, vec![source.details(identity).await], &of_one);
        }
        same_identities(&format!("identities(), {round}"), listed, held);

        let domains: Vec<&Name> = held.iter().map(Identity::domain).collect();
        for domain in domains {
            let of_domain: Vec<Identity> =
                held.iter().filter(|identity| identity.domain() == domain).cloned().collect();
            same_identities(&format!("find({domain}), {round}"), source.find(domain).await, &of_domain);
        }
        same_identities(&format!("find({unknown}), {round}"), source.find(unknown).await, &[]);

        let mut many = vec![unknown.clone()];
        many.extend(held.iter().rev().map(|identity| identity.domain().clone()));
        let found: Vec<_> = source.find_many(&many).collect().await;
        assert!(found.iter().map(|(domain, _)| domain).eq(&many), "find_many() gave other domains, {round}");
        for (domain, found) in found {
            let of_domain: Vec<Identity> =
                held.iter().filter(|identity| *identity.domain() == domain).cloned().collect();
            same_identities(&format!("find_many() for {domain}, {round}"), found, &of_domain);
        }
        assert_eq!(
            source.find_many(&[]).count().await,
            0,
            "find_many() of no domain gave something, {round}"
        );
    }
}

/// Checks an [`IdentitySource`] none of whose places can be asked now, about a domain that they hold: each call tells,
/// so that nobody takes a place that is silent for one that holds nothing.
///
/// ```
/// use dkimguard_core::error::ProviderErrorKind;
/// use dkimguard_core::testing::{FakeSource, conformance};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let source = FakeSource::default().with_failure(ProviderErrorKind::Unavailable);
/// conformance::identity_source_out_of_reach(&source, &"example.com".parse()?).await;
/// # Ok::<(), dkimguard_core::error::ParseNameError>(())
/// # }).expect("a fake does not wait")?;
/// # Ok::<(), dkimguard_core::error::ParseNameError>(())
/// ```
///
/// # Panics
/// If a call gives no error, or an identity; if an error doesn't name the provider and the call.
pub async fn identity_source_out_of_reach(source: &dyn IdentitySource, domain: &Name) {
    only_errors("identities()", source.identities().collect().await);
    only_errors("find()", source.find(domain).await);
    let found: Vec<_> = source.find_many(slice::from_ref(domain)).collect().await;
    assert!(found.iter().map(|(domain, _)| domain).eq([domain]), "find_many() gave other domains");
    for (_, found) in found {
        only_errors("find_many()", found);
    }
}

fn only_errors(call: &str, found: Vec<Result<Identity, ProviderError>>) {
    assert!(!found.is_empty(), "{call} gave no error, as though the domain were not held");
    for found in found {
        match found {
            Ok(identity) => panic!("{call} gave {}, which it cannot know", identity.id),
            Err(error) => {
                let is_named = !error.provider.is_empty() && !error.operation.is_empty();
                assert!(is_named, "{call} gave an error that names no provider or no operation: {error:?}");
            }
        }
    }
}

fn same_identities<E: std::fmt::Display>(call: &str, found: Vec<Result<Identity, E>>, held: &[Identity]) {
    let mut by_id: BTreeMap<IdentityId, Identity> = BTreeMap::new();
    for found in found {
        let found = found.unwrap_or_else(|error| panic!("{call} gave an error: {error}"));
        if let Some(twice) = by_id.insert(found.id.clone(), found) {
            panic!("{call} gave {} twice", twice.id);
        }
    }
    for held in held {
        let found = by_id.remove(&held.id).unwrap_or_else(|| panic!("{call} did not give {}", held.id));
        assert_eq!(found.expected(), held.expected(), "{call} gave other records for {}", held.id);
    }
    if let Some((id, _)) = by_id.pop_first() {
        panic!("{call} gave {id}, which is not held");
    }
}

/// The world of [`dns_lookup`].
pub fn dns_world() -> World {
    let mut world = World::easy_dkim("example.com");
    world.publish(&format!(
        "long.example.com    TXT   {}
         tree.example.com    DNAME other.example.com
         x.other.example.com TXT   here
         loop.example.com    CNAME loop.example.com
         away.example.com    CNAME www.elsewhere.net",
        "x".repeat(40_000)
    ));
    world.host(Zone::new("bogus.net").with("@ TXT signed"), [("ns1.bogus.net", World::TARGETS)]);
    world.make_bogus("bogus.net", 7, "signature expired");
    let servfail = Fault::Rcode(Rcode::SERVFAIL);
    world
        .server(World::NS1)
        .fault(Fault::Silent.below("silent.example.com"))
        .fault(Fault::Malformed.below("malformed.example.com"))
        .fault(Fault::TruncatedWithoutTcp.below("truncated.example.com"))
        .fault(servfail.below("failing.example.com").with_extended_error(14, "not loaded yet"))
        .fault(Fault::Rcode(Rcode::NOTIMP).for_kind(RecordKind::Mx))
        .fault(Fault::EmptyWithoutSoa.below("empty.example.com"));
    world.server(World::NS2).fault(Fault::PortClosed);
    world
}

/// Checks a [`DnsLookup`] engine that serves authoritative servers and resolvers, against a lab of [`dns_world`].
///
/// What the engine gives is compared with what the world says: the whole response, extended errors included,
/// whatever its code; aliases not followed by the engine itself; RD and CD as asked; truncated answers fetched
/// over TCP; a closed port told from silence. Everything is asked at once, so the suite takes as long as the engine
/// waits for silence, and needs a tokio runtime with time enabled.
///
/// # Panics
/// If the engine fails, or takes more than a minute.
pub async fn dns_lookup(engine: &dyn DnsLookup, lab: &Lab) {
    let world = lab.world();
    let asks = dns_asks(lab);
    let observed = engine.ask_many(stream::iter(asks.clone()).boxed()).collect();
    let observed: Vec<_> = tokio::time::timeout(DNS_LOOKUP_ENDS, observed)
        .await
        .unwrap_or_else(|_| panic!("the questions did not end within {DNS_LOOKUP_ENDS:?}"));
    assert_eq!(observed.len(), asks.len(), "one observation is due for each question");
    for (question, vantage) in &asks {
        let observation = observed
            .iter()
            .find(|observation| observation.question == *question && observation.vantage == *vantage)
            .unwrap_or_else(|| panic!("no observation of {question} at {vantage}"));
        same_outcome(question, vantage, &observation.outcome, &world.answer(question, vantage));
    }

    let (question, vantage) = &asks[0];
    let alone = tokio::time::timeout(DNS_LOOKUP_ENDS, engine.ask(question, vantage))
        .await
        .unwrap_or_else(|_| panic!("{question} at {vantage} did not end within {DNS_LOOKUP_ENDS:?}"));
    same_outcome(question, vantage, &alone, &world.answer(question, vantage));
}

/// Each is asked once, so that observations, which come in any order, can be told apart.
fn dns_asks(lab: &Lab) -> Vec<(Question, Vantage)> {
    use RecordKind::{A, Aaaa, Cname, Mx, Ns, Soa, Txt};

    let ask = |owner: &str, kind| Question::new(name(owner), kind);
    let server =
        |host: IpAddr| Vantage::Authoritative { server: Some(name("ns.test")), address: lab.address(host) };
    let resolver = Vantage::Resolver { address: lab.resolver() };
    let mut asks = vec![
        // Presence: the alias as such, and as far as the server itself follows it.
        (ask("aaa._domainkey.example.com", Cname), server(World::NS1)),
        (ask("aaa._domainkey.example.com", Txt), server(World::NS1)),
        (ask("away.example.com", A), server(World::NS1)),
        (ask("x.tree.example.com", Txt), server(World::NS1)),
        (ask("loop.example.com", Txt), server(World::NS1)),
        (ask("bbb.dkim.amazonses.com", Txt), server(World::TARGETS)),
        (ask("example.com", Soa), server(World::NS1)),
        (ask("example.com", Ns), server(World::NS1)),
        (ask("example.com", Soa).with_dnssec_ok(), server(World::NS1)),
        (ask("long.example.com", Txt), server(World::NS1)),
        (ask(".", Ns), server(World::ROOT)),
        // Absence is a response: no such name, none of the type, none of either with a proof.
        (ask("nowhere.example.com", Txt), server(World::NS1)),
        (ask("_domainkey.example.com", Txt), server(World::NS1)),
        (ask("empty.example.com", Aaaa), server(World::NS1)),
        // So are referrals and codes.
        (ask("aaa._domainkey.example.com", Txt), server(World::TLD)),
        (ask("example.org", Txt), server(World::NS1)),
        (ask("failing.example.com", Txt), server(World::NS1)),
        (ask("example.com", Mx), server(World::NS1)),
        // No response.
        (ask("silent.example.com", Txt), server(World::NS1)),
        (ask("malformed.example.com", Txt), server(World::NS1)),
        (ask("truncated.example.com", Txt), server(World::NS1)),
        (ask("example.com", Soa), server(World::NS2)),
        // A server that is asked as though it recursed, and a resolver that is asked not to.
        (ask("example.com", Soa), Vantage::Resolver { address: lab.address(World::NS1) }),
        (ask("example.com", Soa), server(World::RESOLVER)),
    ];
    for recursive in [
        ask("aaa._domainkey.example.com", Txt),
        ask("ccc._domainkey.example.com", Txt),
        ask("nowhere.example.com", Txt),
        ask("failing.example.com", Txt),
        ask("bogus.net", Txt),
        ask("bogus.net", Txt).with_checking_disabled(),
    ] {
        asks.push((recursive, resolver.clone()));
    }
    asks
}

fn same_outcome(
    question: &Question,
    vantage: &Vantage,
    found: &Result<Response, LookupError>,
    expected: &Result<Response, LookupError>,
) {
    match (found, expected) {
        (Ok(found), Ok(expected)) => {
            assert_eq!(comparable(found), comparable(expected), "{question} at {vantage}");
        }
        // How long it waited, and what it says of malformed octets, is the engine's.
        (Err(found), Err(expected)) if discriminant(found) == discriminant(expected) => {}
        _ => panic!("{question} at {vantage}: expected {expected:?}, found {found:?}"),
    }
}

/// The response without what only a network has.
fn comparable(response: &Response) -> Response {
    Response { transport: Transport::Udp, elapsed: Duration::ZERO, ..response.clone() }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::FutureExt;
    use futures_util::stream::BoxStream;

    use super::*;
    use crate::error::ProviderErrorKind;
    use crate::look::wire::Wire;
    use crate::ports::Found;
    use crate::testing::{FakeDns, FakeSource, easy_dkim_identity};

    /// An engine with a fault of its own.
    #[derive(Debug)]
    struct Wrong {
        dns: FakeDns,
        fault: fn(&Question, &Vantage, &FakeDns) -> Option<Result<Response, LookupError>>,
    }

    #[async_trait]
    impl DnsLookup for Wrong {
        async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
            match (self.fault)(question, vantage, &self.dns) {
                Some(outcome) => outcome,
                None => self.dns.ask(question, vantage).await,
            }
        }
    }

    fn run(engine: &dyn DnsLookup, lab: &Lab) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(dns_lookup(engine, lab));
    }

    fn fails(check: impl FnOnce()) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
    }

    #[test]
    fn a_right_engine_passes() {
        let lab = Lab::start(dns_world()).expect("a lab");
        run(&FakeDns::new(lab.world()), &lab);
    }

    /// The engine of this crate, over sockets: so the lab is right too.
    #[test]
    fn the_wire_engine_passes() {
        let lab = Lab::start(dns_world()).expect("a lab");
        run(&Wire::default(), &lab);
    }

    #[test]
    fn the_world_shows_what_the_questions_are_for() {
        let lab = Lab::start(dns_world()).expect("a lab");
        let outcomes: Vec<String> = dns_asks(&lab)
            .iter()
            .map(|(question, vantage)| match dns_world().answer(question, vantage) {
                Ok(response) => format!("{} {}", response.rcode, response.answers.len()),
                Err(error) => format!("{error:?}").chars().take_while(char::is_ascii_alphabetic).collect(),
            })
            .collect();
        let expected = [
            "NOERROR 1",
            "NOERROR 1",
            "NOERROR 1",
            "NOERROR 3",
            "NOERROR 16",
            "NOERROR 1",
            "NOERROR 1",
            "NOERROR 2",
            "NOERROR 1",
            "NOERROR 1",
            "NOERROR 1",
            "NXDOMAIN 0",
            "NOERROR 0",
            "NOERROR 0",
            "NOERROR 0",
            "REFUSED 0",
            "SERVFAIL 0",
            "NOTIMP 0",
            "Timeout",
            "Malformed",
            "TruncatedThenTcp",
            "PortClosed",
            "NOERROR 1",
            "REFUSED 0",
            "NOERROR 2",
            "NXDOMAIN 1",
            "NXDOMAIN 0",
            "SERVFAIL 0",
            "SERVFAIL 0",
            "NOERROR 1",
        ];
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn wrong_engines_fail() {
        type Engine = fn(&Question, &Vantage, &FakeDns) -> Option<Result<Response, LookupError>>;
        let table: [(&str, Engine); 6] = [
            ("reads a closed port as silence", |question, vantage, dns| {
                let outcome = dns.change(|world| world.answer(question, vantage));
                (outcome == Err(LookupError::PortClosed)).then_some(Err(super::super::fault::SILENCE))
            }),
            ("reads no such name as a failure", |question, vantage, dns| {
                let outcome = dns.change(|world| world.answer(question, vantage));
                let is_absent = outcome.is_ok_and(|response| response.rcode == Rcode::NXDOMAIN);
                is_absent.then(|| Err(LookupError::Malformed("no such name".to_owned())))
            }),
            ("reads silence as absence", |question, _, _| {
                question.name.to_string().starts_with("silent").then(|| Ok(Response::new(Rcode::NXDOMAIN)))
            }),
            ("ignores CD", |question, vantage, dns| {
                let plain = Question { checking_disabled: false, ..question.clone() };
                Some(dns.change(|world| world.answer(&plain, vantage)))
            }),
            ("follows aliases by itself", |question, vantage, dns| {
                let resolver =
                    Vantage::Resolver { address: (World::RESOLVER, vantage.address().port()).into() };
                let is_alias = question.kind == RecordKind::Txt && vantage.is_authoritative();
                is_alias.then(|| dns.change(|world| world.answer(question, &resolver)))
            }),
            ("drops extended errors", |question, vantage, dns| {
                let outcome = dns.change(|world| world.answer(question, vantage));
                Some(outcome.map(|response| Response { extended_errors: Vec::new(), ..response }))
            }),
        ];
        let lab = Lab::start(dns_world()).expect("a lab");
        for (case, fault) in table {
            let engine = Wrong { dns: FakeDns::new(lab.world()), fault };
            assert!(fails(|| run(&engine, &lab)), "an engine that {case} passes");
        }
    }

    #[test]
    fn wrong_sources_fail() {
        let [com, org] = ["example.com", "example.org"].map(easy_dkim_identity);
        let held = [com.clone(), org.clone()];
        let mut other_records = org.clone();
        other_records.selectors.pop();
        let table = [
            ("has all", FakeSource::new(held.clone()), false),
            ("lacks one", FakeSource::new([com.clone()]), true),
            ("has one twice", FakeSource::new([com.clone(), org.clone(), org.clone()]), true),
            ("has other records", FakeSource::new([com, other_records]), true),
            (
                "has the unknown",
                FakeSource::new(held.clone().into_iter().chain([easy_dkim_identity("example.net")])),
                true,
            ),
            ("gives an error", FakeSource::new(held.clone()).with_failure(ProviderErrorKind::Denied), true),
        ];
        let unknown = name("example.net");
        for (case, source, expected) in table {
            let failed = fails(|| {
                identity_source(&source, &held, &unknown).now_or_never().expect("a fake does not wait");
            });
            assert_eq!(failed, expected, "a source that {case}");
        }
    }

    /// What a [`WrongSource`] does wrong.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Wrongly {
        DetailsOfAnother,
        DetailsWithOtherRecords,
        ManyInAnotherOrder,
        ManyWithoutUnknown,
        ListIsEmptyOutOfReach,
        FindIsEmptyOutOfReach,
        ManyIsEmptyOutOfReach,
        RemembersOutOfReach,
    }

    #[derive(Debug)]
    struct WrongSource {
        source: FakeSource,
        wrongly: Wrongly,
    }

    #[async_trait]
    impl IdentitySource for WrongSource {
        async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
            match self.wrongly {
                Wrongly::FindIsEmptyOutOfReach => Vec::new(),
                Wrongly::RemembersOutOfReach => vec![Ok(easy_dkim_identity("example.com"))],
                _ => self.source.find(domain).await,
            }
        }

        fn find_many<'a>(&'a self, domains: &'a [Name]) -> BoxStream<'a, Found> {
            let wrongly = self.wrongly;
            let ordered: Vec<&Name> = match wrongly {
                Wrongly::ManyInAnotherOrder => domains.iter().rev().collect(),
                _ => domains.iter().collect(),
            };
            let found = stream::iter(ordered).then(move |domain| async move {
                let found = match wrongly {
                    Wrongly::ManyIsEmptyOutOfReach => Vec::new(),
                    _ => self.source.find(domain).await,
                };
                (domain.clone(), found)
            });
            let is_kept = move |found: &Found| wrongly != Wrongly::ManyWithoutUnknown || !found.1.is_empty();
            found.filter(move |found| std::future::ready(is_kept(found))).boxed()
        }

        fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
            match self.wrongly {
                Wrongly::ListIsEmptyOutOfReach => stream::empty().boxed(),
                _ => self.source.identities(),
            }
        }

        async fn details(&self, identity: &Identity) -> Result<Identity, ProviderError> {
            let mut detailed = identity.clone();
            match self.wrongly {
                Wrongly::DetailsOfAnother => detailed.id.region = Some("elsewhere".to_owned()),
                Wrongly::DetailsWithOtherRecords => detailed.selectors.truncate(1),
                _ => {}
            }
            Ok(detailed)
        }
    }

    #[test]
    fn sources_that_are_wrong_in_other_calls_fail() {
        let held = ["example.com", "example.org"].map(easy_dkim_identity);
        let unknown = name("example.net");
        for wrongly in [
            Wrongly::DetailsOfAnother,
            Wrongly::DetailsWithOtherRecords,
            Wrongly::ManyInAnotherOrder,
            Wrongly::ManyWithoutUnknown,
        ] {
            let source = WrongSource { source: FakeSource::new(held.clone()), wrongly };
            let failed = fails(|| {
                identity_source(&source, &held, &unknown).now_or_never().expect("a fake does not wait");
            });
            assert!(failed, "{wrongly:?} passes");
        }
    }

    #[test]
    fn sources_that_are_silent_while_they_cannot_ask_fail() {
        let domain = name("example.com");
        let out_of_reach = || FakeSource::default().with_failure(ProviderErrorKind::Unavailable);
        let run = |source: &dyn IdentitySource| {
            fails(|| {
                identity_source_out_of_reach(source, &domain).now_or_never().expect("a fake does not wait");
            })
        };
        assert!(!run(&out_of_reach()), "one that tells fails");
        assert!(run(&FakeSource::new([easy_dkim_identity("example.com")])), "one within reach passes");
        for wrongly in [
            Wrongly::ListIsEmptyOutOfReach,
            Wrongly::FindIsEmptyOutOfReach,
            Wrongly::ManyIsEmptyOutOfReach,
            Wrongly::RemembersOutOfReach,
        ] {
            assert!(run(&WrongSource { source: out_of_reach(), wrongly }), "{wrongly:?} passes");
        }
    }
}
