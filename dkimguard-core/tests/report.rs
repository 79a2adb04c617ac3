//! What holds for the report on anything that may have been seen: healthy needs proof, and the text fits a terminal.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use dkimguard_core::error::LookupError;
use dkimguard_core::history::{Change, Effect, Event};
use dkimguard_core::identity::{
    Expected, ExpectedValue, Identity, IdentityId, ProviderStatus, Selector, Verification,
};
use dkimguard_core::judge::{Depth, Gap, Port, Report, Verdict, Witnesses};
use dkimguard_core::key_record::KeyRecord;
use dkimguard_core::look::{
    AddressLookup, Delegation, ExtendedError, Observation, Question, Rcode, Response, Server, Survey, Vantage,
};
use dkimguard_core::name::Name;
use dkimguard_core::record::{Record, RecordData, RecordKind, Soa, Txt};
use dkimguard_core::testing::PUBLIC_KEY;
use dkimguard_core::zone::{HostedZone, Visibility};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use textwrap::core::display_width;

/// What one place answers to one question.
#[derive(Clone, Debug)]
enum Answer {
    /// What must be there.
    Right,
    /// The same, without the AA bit.
    RightWithoutAuthority,
    /// That the name doesn't exist, with proof.
    Absent,
    /// That there is no such record at the name, with proof.
    NoData,
    /// A code and nothing else.
    Bare(Rcode, Option<ExtendedError>),
    /// A referral to the zone below.
    Referral,
    /// Aliases of these targets.
    Targets(Vec<Name>),
    /// What must be there, and beside it an address and a text.
    Beside(Vec<u8>),
    /// Texts.
    Texts(Vec<Vec<u8>>),
    /// None.
    Error(LookupError),
}

/// A question about a record is of one of these types.
const KINDS: [RecordKind; 3] = [RecordKind::Cname, RecordKind::Txt, RecordKind::A];
/// The most records that an identity expects here.
const MOST_RECORDS: usize = 3;

/// A place, and what it answers to the questions about each record.
#[derive(Clone, Debug)]
struct Place {
    vantage: Vantage,
    answers: Vec<Answer>,
}

/// Everything that a report is judged from.
#[derive(Clone, Debug)]
struct Seen {
    identity: Identity,
    expected: Vec<Expected>,
    survey: Survey,
    witnesses: Witnesses,
    depth: Depth,
}

impl Seen {
    fn report(&self) -> Report {
        let at: Timestamp = "2026-11-24T02:00:00Z".parse().expect("it is a time");
        Report::judge(self.identity.clone(), &self.expected, &self.survey, &self.witnesses, self.depth, at)
    }

    /// Whether there is a record to ask for, a server with an address and a resolver to ask.
    fn has_every_kind_of_place(&self) -> bool {
        let mut vantages = self.survey.zones.iter().flat_map(Delegation::vantages);
        vantages.next().is_some() && !self.survey.resolvers.is_empty() && !self.expected.is_empty()
    }

    /// Whether healthy is proven, said once more and without a look at how the library does it: the provider is
    /// content, every server has an address, and each record is right at every address that can be asked from here,
    /// and at one resolver at least.
    fn is_proven_healthy(&self) -> bool {
        let survey = &self.survey;
        let servers = || survey.zones.iter().flat_map(|zone| &zone.servers);
        let is_content =
            self.identity.status == ProviderStatus::Success && self.identity.signing_enabled != Some(false);
        let all_have_addresses = servers().all(|server| !server.addresses.is_empty());
        let asked: BTreeSet<Vantage> = survey.zones.iter().flat_map(Delegation::vantages).collect();
        let all_are_right = self.expected.iter().all(|expected| {
            let at_servers = asked
                .iter()
                .filter(|vantage| self.can_be_asked(vantage))
                .all(|vantage| self.is_right_at(vantage, expected));
            let somewhere = asked.iter().any(|vantage| self.is_right_at(vantage, expected));
            let at_a_resolver = survey.resolvers.iter().any(|vantage| self.is_right_at(vantage, expected));
            at_servers && (somewhere || !survey.asks_servers) && at_a_resolver
        });
        is_content && !self.expected.is_empty() && all_have_addresses && all_are_right
    }

    fn outcomes(&self) -> impl Iterator<Item = (&Vantage, &Result<Response, LookupError>)> {
        self.survey.observations.iter().map(|observation| (&observation.vantage, &observation.outcome))
    }

    /// Whether a question gets from here to this address: not where each fails on this machine, nor where nobody with
    /// an address of that family answers, unless the host itself says that its port is closed.
    fn can_be_asked(&self, vantage: &Vantage) -> bool {
        let family = vantage.address().is_ipv4();
        let is_family_alive =
            self.outcomes().any(|(other, outcome)| other.address().is_ipv4() == family && outcome.is_ok());
        let here = || self.outcomes().filter(|(other, _)| *other == vantage).map(|(_, outcome)| outcome);
        let is_closed = here().any(|outcome| *outcome == Err(LookupError::PortClosed));
        let could_send = here().any(|outcome| match outcome {
            Ok(_) | Err(LookupError::NoRoute) => true,
            Err(error) => !error.is_local(),
        });
        is_closed || (is_family_alive && could_send)
    }

    /// Whether this place gives this record rightly.
    fn is_right_at(&self, vantage: &Vantage, expected: &Expected) -> bool {
        let name = &expected.name;
        let asked = |kind| {
            self.survey
                .observations
                .iter()
                .find(|other| {
                    other.vantage == *vantage && other.question == Question::new(name.clone(), kind)
                })
                .map(|observation| &observation.outcome)
        };
        let is_usable = |response: &Response| {
            (vantage.is_recursive() || response.authoritative)
                && matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
        };
        let Some(Ok(main)) = asked(expected.value.kind()) else { return false };
        let Some(target) = expected.value.target() else {
            let texts = main.texts(name);
            // An alias into another zone is the resolvers' to follow.
            let leads_on = !main.cnames(name).is_empty();
            let is_key = |text: &Txt| KeyRecord::parse(&text.joined()).is_ok_and(|key| !key.is_weak());
            return is_usable(main) && (leads_on || matches!(texts[..], [text] if is_key(text)));
        };
        let is_alone = [RecordKind::Txt, RecordKind::A].into_iter().all(|kind| {
            let is_beside = |record: &Record| record.name == *name && record.kind() == kind;
            !matches!(asked(kind), Some(Ok(response)) if response.answers.iter().any(is_beside))
        });
        let answers_text = match asked(RecordKind::Txt) {
            Some(Ok(response)) => {
                response.cnames(name) == [target]
                    && matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
            }
            Some(Err(_)) => false,
            None => true,
        };
        is_usable(main)
            && main.cnames(name) == [target]
            && is_alone
            && (answers_text || vantage.is_recursive())
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("it is a name")
}

fn any_domain() -> impl Strategy<Value = Name> {
    prop_oneof![
        4 => Just(name("example.com")),
        1 => Just(name("bücher.example")),
        1 => Just(name(&format!("{0}.{0}.example", "long".repeat(15)))),
    ]
}

/// What strangers write, of whatever characters.
fn any_words() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[a-z ]{0,120}",
        1 => vec(any::<char>(), 0..100).prop_map(|characters| characters.into_iter().collect()),
        1 => "[a-z \u{1b}\n\r\t\u{9b}]{0,60}",
    ]
}

fn any_octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any_words().prop_map(String::into_bytes),
        Just(format!("v=DKIM1; p={PUBLIC_KEY}").into_bytes()),
        Just(b"v=DKIM1; p=".to_vec()),
    ]
}

fn any_target() -> impl Strategy<Value = Name> {
    let texts = ["t0.dkim.amazonses.com", "t1.dkim.amazonses.com.example.com", "elsewhere.example.net"];
    proptest::sample::select(texts.to_vec()).prop_map(name)
}

fn any_error() -> impl Strategy<Value = LookupError> {
    let timeout = LookupError::Timeout { timeout: Duration::from_secs(2), attempts: 2 };
    prop_oneof![
        Just(timeout.clone()),
        Just(LookupError::PortClosed),
        Just(LookupError::Unreachable),
        Just(LookupError::NoRoute),
        Just(LookupError::TruncatedThenTcp(Box::new(timeout))),
        Just(LookupError::TruncatedThenTcp(Box::new(LookupError::NoRoute))),
        Just(LookupError::Unsupported("such places")),
        any_words().prop_map(LookupError::Malformed),
        any_words().prop_map(LookupError::Tls),
        any_words().prop_map(LookupError::Local),
    ]
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let extended_error = (0..40_u16, any_words()).prop_map(|(code, text)| ExtendedError { code, text });
    prop_oneof![
        8 => Just(Answer::Right),
        1 => Just(Answer::RightWithoutAuthority),
        1 => Just(Answer::Absent),
        1 => Just(Answer::NoData),
        2 => (0..12_u16, option::of(extended_error)).prop_map(|(code, error)| Answer::Bare(Rcode(code), error)),
        1 => Just(Answer::Referral),
        1 => vec(any_target(), 1..3).prop_map(Answer::Targets),
        1 => any_octets().prop_map(Answer::Beside),
        1 => vec(any_octets(), 1..3).prop_map(Answer::Texts),
        3 => any_error().prop_map(Answer::Error),
    ]
}

/// The answers of a place to all questions: all right, all alike, each another, or none.
fn any_answers() -> impl Strategy<Value = Vec<Answer>> {
    const COUNT: usize = MOST_RECORDS * KINDS.len();
    prop_oneof![
        4 => Just(vec![Answer::Right; COUNT]),
        1 => any_answer().prop_map(|answer| vec![answer; COUNT]),
        2 => vec(any_answer(), COUNT),
        1 => vec(any_error().prop_map(Answer::Error), COUNT),
    ]
}

/// The servers of a zone, each with up to two addresses, and what those answer. No address comes twice.
fn any_servers() -> impl Strategy<Value = Vec<(Server, Vec<Place>)>> {
    let is_ipv6 = proptest::bool::weighted(0.2);
    let addresses = vec((is_ipv6, any_answers()), 0..=2);
    let lookup = prop_oneof![
        4 => Just(AddressLookup::Found),
        1 => Just(AddressLookup::None),
        1 => Just(AddressLookup::Unseen),
        1 => Just(AddressLookup::Unresolvable(Rcode::SERVFAIL)),
    ];
    vec((prop_oneof![4 => vec((Just(false), any_answers()), 1), 1 => addresses], lookup), 1..=3).prop_map(
        |all| {
            let mut last = 0;
            (1..)
                .zip(all)
                .map(|(number, (addresses, lookup))| {
                    let server = name(&format!("ns{number}.example.com"));
                    let places: Vec<Place> = addresses
                        .into_iter()
                        .map(|(is_ipv6, answers)| {
                            last += 1;
                            let ip = if is_ipv6 {
                                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))
                            } else {
                                IpAddr::V4(Ipv4Addr::from_bits(0xc000_0200 + u32::from(last)))
                            };
                            let vantage = Vantage::Authoritative {
                                server: Some(server.clone()),
                                address: (ip, 53).into(),
                            };
                            Place { vantage, answers }
                        })
                        .collect();
                    let addresses: Vec<_> = places.iter().map(|place| place.vantage.address()).collect();
                    let lookup = if addresses.is_empty() { lookup } else { AddressLookup::Found };
                    (Server { name: server, addresses, lookup }, places)
                })
                .collect()
        },
    )
}

fn any_resolvers() -> impl Strategy<Value = Vec<Place>> {
    vec((0..4, any_answers()), 0..=3).prop_map(|all| {
        (1..)
            .zip(all)
            .map(|(last, (kind, answers))| {
                let address = (Ipv4Addr::new(198, 51, 100, last), 53).into();
                let server_name = "dns.example".to_owned();
                let vantage = match kind {
                    0 => Vantage::System { address },
                    1 => Vantage::Tls { address, server_name },
                    2 => Vantage::Https { address, server_name, path: "/dns-query".to_owned() },
                    _ => Vantage::Resolver { address },
                };
                Place { vantage, answers }
            })
            .collect()
    })
}

fn any_identity() -> impl Strategy<Value = Identity> {
    let status = prop_oneof![
        5 => Just(ProviderStatus::Success),
        1 => Just(ProviderStatus::Pending),
        1 => Just(ProviderStatus::TemporaryFailure),
        1 => Just(ProviderStatus::Failed),
        1 => Just(ProviderStatus::Unknown),
        1 => any_words().prop_map(ProviderStatus::Other),
    ];
    let signing = prop_oneof![4 => Just(Some(true)), 1 => Just(None), 1 => Just(Some(false))];
    let error = option::weighted(0.2, any_words());
    let gap = option::weighted(0.2, any_words());
    (any_domain(), 0..=MOST_RECORDS, any::<bool>(), status, signing, error, gap).prop_map(
        |(domain, count, own_keys, status, signing_enabled, error, gap)| {
            let value = |number: usize| match own_keys {
                true => ExpectedValue::AnyKey,
                false => ExpectedValue::Cname(name(&format!("t{number}.dkim.amazonses.com"))),
            };
            let selectors = (0..count)
                .map(|number| Selector { label: name(&format!("t{number}")), value: value(number) })
                .collect();
            let id = IdentityId { provider: "file".to_owned(), account: None, region: None, domain };
            let gaps = gap.map(|detail| Gap { port: Port::IdentitySource, detail, transient: true });
            Identity {
                status,
                signing_enabled,
                verification: error
                    .map(|error| Verification { error: Some(error), ..Verification::default() }),
                gaps: gaps.into_iter().collect(),
                ..Identity::new(id, selectors)
            }
        },
    )
}

/// What others tell, mostly nothing.
fn any_witnesses(domain: Name) -> impl Strategy<Value = Witnesses> {
    let domain_of_change = domain.clone();
    let effect = prop_oneof![
        Just(Effect::IdentityDeleted),
        Just(Effect::NameServersMoved { domain: domain_of_change }),
        Just(Effect::SigningSwitched),
    ];
    let change = (any_words(), any_words(), option::of(any_words()), any_words(), effect).prop_map(
        |(actor, action, tool, source, effect)| {
            let at = "2026-11-20T09:00:00Z".parse().expect("it is a time");
            Event { change: Change { at, actor, action, tool, source, event_id: "e-1".to_owned() }, effect }
        },
    );
    let zone = (any_words(), any::<bool>()).prop_map(move |(id, is_public)| HostedZone {
        id,
        host: "Route 53".to_owned(),
        name: domain.clone(),
        visibility: if is_public { Visibility::Public } else { Visibility::Private },
        servers: vec![name("ns-1.awsdns-00.com")],
        records: Vec::new(),
    });
    (option::weighted(0.2, change), option::weighted(0.2, zone)).prop_map(|(change, zone)| Witnesses {
        zones: zone.into_iter().collect(),
        changes: change.into_iter().collect(),
        ..Witnesses::default()
    })
}

fn any_seen() -> impl Strategy<Value = Seen> {
    let lost = option::weighted(0.1, any_words());
    let rest =
        (any_servers(), any_resolvers(), proptest::bool::weighted(0.8), lost, proptest::bool::weighted(0.9));
    (any_identity(), rest)
        .prop_flat_map(|(identity, rest)| {
            let witnesses = any_witnesses(identity.domain().clone());
            (Just(identity), Just(rest), witnesses)
        })
        .prop_map(|(identity, (servers, resolvers, asks_servers, lost, is_full), witnesses)| {
            let expected = identity.expected().expect("the names are short");
            let asks_servers = asks_servers && is_full;
            let servers = if asks_servers { servers } else { Vec::new() };
            let zone = identity.domain().clone();
            let (servers, at_servers): (Vec<Server>, Vec<Vec<Place>>) = servers.into_iter().unzip();
            let names: Vec<Name> = servers.iter().map(|server| server.name.clone()).collect();
            let zones = asks_servers.then(|| Delegation {
                zone: zone.clone(),
                parent: zone.parent(),
                parent_addresses: Vec::new(),
                given_by_parent: names.clone(),
                given_by_zone: names,
                servers,
                left_out: 0,
                unnamed: Vec::new(),
                supposed: false,
            });
            let places = || at_servers.iter().flatten().chain(&resolvers);
            let survey = Survey {
                zones: zones.into_iter().collect(),
                resolvers: resolvers.iter().map(|place| place.vantage.clone()).collect(),
                asks_servers,
                observations: places().flat_map(|place| observations(place, &expected, &zone)).collect(),
                lost: lost.into_iter().collect(),
                ..Survey::default()
            };
            let depth = if is_full { Depth::Full } else { Depth::Quick };
            Seen { identity, expected, survey, witnesses, depth }
        })
}

fn observations(place: &Place, expected: &[Expected], zone: &Name) -> Vec<Observation> {
    let questions = expected.iter().flat_map(|expected| KINDS.map(|kind| (expected, kind)));
    questions
        .zip(&place.answers)
        .map(|((expected, kind), answer)| Observation {
            question: Question::new(expected.name.clone(), kind),
            vantage: place.vantage.clone(),
            outcome: outcome(answer, expected, kind, zone, place.vantage.is_authoritative()),
        })
        .collect()
}

fn outcome(
    answer: &Answer,
    expected: &Expected,
    kind: RecordKind,
    zone: &Name,
    authoritative: bool,
) -> Result<Response, LookupError> {
    let empty = |rcode| Response { authoritative, ..Response::new(rcode) };
    let here = |data| Record { name: expected.name.clone(), ttl: 300, data };
    let soa = Record {
        name: zone.clone(),
        ttl: 300,
        data: RecordData::Soa(Soa {
            primary: name("ns1.example.com"),
            mailbox: name("hostmaster.example.com"),
            serial: 1,
            refresh: 1,
            retry: 1,
            expire: 1,
            minimum: 300,
        }),
    };
    let right = match (&expected.value, kind) {
        (ExpectedValue::Cname(target), _) => {
            let rcode = if kind == RecordKind::Cname { Rcode::NOERROR } else { Rcode::NXDOMAIN };
            Response { answers: vec![here(RecordData::Cname(target.clone()))], ..empty(rcode) }
        }
        (_, RecordKind::Txt) => {
            let key = format!("v=DKIM1; p={PUBLIC_KEY}");
            let strings = key.as_bytes().chunks(200);
            Response { answers: vec![here(RecordData::Txt(Txt::new(strings)))], ..empty(Rcode::NOERROR) }
        }
        _ => Response { authority: vec![soa.clone()], ..empty(Rcode::NOERROR) },
    };
    Ok(match answer {
        Answer::Right => right,
        Answer::RightWithoutAuthority => Response { authoritative: false, ..right },
        Answer::Absent => Response { authority: vec![soa], ..empty(Rcode::NXDOMAIN) },
        Answer::NoData => Response { authority: vec![soa], ..empty(Rcode::NOERROR) },
        Answer::Bare(rcode, error) => {
            Response { extended_errors: error.clone().into_iter().collect(), ..empty(*rcode) }
        }
        Answer::Referral => Response {
            authority: vec![Record { data: RecordData::Ns(name("ns.example.net")), ..soa }],
            ..Response::new(Rcode::NOERROR)
        },
        Answer::Targets(targets) => Response {
            answers: targets.iter().map(|target| here(RecordData::Cname(target.clone()))).collect(),
            ..empty(Rcode::NOERROR)
        },
        Answer::Beside(text) => {
            let beside = [
                here(RecordData::A(Ipv4Addr::new(192, 0, 2, 80))),
                here(RecordData::Txt(Txt::new([text.clone()]))),
            ];
            Response { answers: right.answers.iter().cloned().chain(beside).collect(), ..right }
        }
        Answer::Texts(texts) => Response {
            answers: texts.iter().map(|text| here(RecordData::Txt(Txt::new([text.clone()])))).collect(),
            ..empty(Rcode::NOERROR)
        },
        Answer::Error(error) => return Err(error.clone()),
    })
}

/// How many columns a line of a report may take.
const WIDTH: usize = 80;

/// Whether a line is no longer than it may be, or only so because of a name or value that can't be broken: it is a
/// record as it is to be published, or it would fit without its longest word and is no prose.
fn fits(line: &str) -> bool {
    let marks = ["-", "To", "do:"];
    let words: Vec<&str> = line.split_whitespace().filter(|word| !marks.contains(word)).collect();
    let is_record = matches!(words[..], [owner, "CNAME" | "TXT", _, ..] if owner.ends_with('.'));
    let longest = words.iter().map(|word| display_width(word)).max().unwrap_or(0);
    let width = display_width(line);
    width <= WIDTH || is_record || (width - longest <= WIDTH && words.len() <= 4)
}

proptest! {
    // A case that fails is printed whole; nothing is written beside the tests.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn healthy_needs_proof(seen in any_seen()) {
        let report = seen.report();
        prop_assert!(report.verdict != Verdict::Healthy || seen.is_proven_healthy(), "{report}");
        prop_assert!(!report.summary.contains("through 0 resolvers"), "{}", report.summary);
    }

    /// So that the rule above isn't kept by never saying healthy.
    #[test]
    fn what_is_right_everywhere_is_healthy(
        mut seen in any_seen().prop_filter("everything can be asked", Seen::has_every_kind_of_place),
    ) {
        seen.identity.status = ProviderStatus::Success;
        seen.identity.signing_enabled = Some(true);
        seen.identity.verification = None;
        seen.witnesses = Witnesses::default();
        let zone = seen.identity.domain().clone();
        for delegation in &mut seen.survey.zones {
            delegation.servers.retain(|server| !server.addresses.is_empty());
        }
        let servers = seen.survey.zones.iter().flat_map(Delegation::vantages);
        let all = servers.chain(seen.survey.resolvers.clone()).map(|vantage| Place {
            vantage,
            answers: vec![Answer::Right; MOST_RECORDS * KINDS.len()],
        });
        seen.survey.observations = all.flat_map(|place| observations(&place, &seen.expected, &zone)).collect();
        prop_assert!(seen.is_proven_healthy());
        let report = seen.report();
        prop_assert_eq!(report.verdict, Verdict::Healthy, "{}", report);
    }

    #[test]
    fn the_text_fits_a_terminal(seen in any_seen()) {
        let text = seen.report().to_string();
        for line in text.lines() {
            prop_assert!(fits(line), "{line:?} in\n{text}");
        }
        let controls: Vec<char> = text.chars().filter(|&c| c.is_control() && c != '\n').collect();
        prop_assert!(controls.is_empty(), "{controls:?} in\n{text:?}");
    }
}
