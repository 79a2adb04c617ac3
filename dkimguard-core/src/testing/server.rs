//! [`Server`]: an authoritative name server.

use crate::error::LookupError;
use crate::look::{Question, Rcode, Response};
use crate::name::Name;
use crate::record::{Record, RecordData, RecordKind};
use crate::zone::{Zone, answer};

use super::fault::{Fault, SILENCE, ScopedFault};
use super::zone::{name, read_lines};

/// An authoritative name server: the zones that it serves, each its own copy, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    zones: Vec<Zone>,
    faults: Vec<ScopedFault>,
}

impl Server {
    /// The zones served.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter()
    }

    /// Serves this zone too, in the place of an earlier copy of it.
    pub fn serve(&mut self, zone: Zone) -> &mut Self {
        self.zones.retain(|old| old.apex() != zone.apex());
        self.zones.push(zone);
        self
    }

    /// Serves this zone no longer: questions about it are refused, unless a zone above is served.
    ///
    /// # Panics
    /// If the zone isn't served.
    pub fn drop_zone(&mut self, apex: &str) -> &mut Self {
        let before = self.zones.len();
        self.zones.retain(|zone| *zone.apex() != name(apex));
        assert!(self.zones.len() < before, "the server has no zone {apex}");
        self
    }

    /// Adds the records of these lines, each to the deepest zone served that holds its name. Lines are those of
    /// a [`Zone`], with absolute names: `a.example.com A 192.0.2.1`.
    ///
    /// # Panics
    /// If a line cannot be read, or no zone holds its name.
    pub fn publish(&mut self, lines: &str) -> &mut Self {
        for record in read_lines(lines) {
            match self.zone_of(&record.name) {
                Some(zone) => zone.insert(record),
                None => panic!("the server has no zone for {}", record.name),
            }
        }
        self
    }

    /// Adds the records of these lines, where the records of the same name and type are removed first.
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    pub fn replace(&mut self, lines: &str) -> &mut Self {
        for new in read_lines(lines) {
            if let Some(zone) = self.zone_of(&new.name) {
                zone.retain(|old| (&old.name, old.kind()) != (&new.name, new.kind()));
            }
        }
        self.publish(lines)
    }

    /// Removes every record of this name from the deepest zone served that holds it.
    ///
    /// # Panics
    /// If there is none: a test that removes nothing tests nothing.
    pub fn remove(&mut self, owner: &str) -> &mut Self {
        assert!(self.remove_where(owner, |_| true) > 0, "the server has no record of {owner}");
        self
    }

    /// Removes the records of this name and type from the deepest zone served that holds it.
    ///
    /// # Panics
    /// If there is none.
    pub fn remove_kind(&mut self, owner: &str, kind: RecordKind) -> &mut Self {
        assert!(self.remove_where(owner, |k| k == kind) > 0, "the server has no {kind} of {owner}");
        self
    }

    /// Sets the serial of a zone.
    ///
    /// # Panics
    /// If the zone isn't served.
    pub fn set_serial(&mut self, apex: &str, serial: u32) -> &mut Self {
        match self.zone_of(&name(apex)) {
            Some(zone) if *zone.apex() == name(apex) => zone.set_serial(serial),
            _ => panic!("the server has no zone {apex}"),
        }
        self
    }

    /// Adds a fault. Of several that hold for a question, the first one added shows.
    pub fn fault(&mut self, fault: impl Into<ScopedFault>) -> &mut Self {
        self.faults.push(fault.into());
        self
    }

    /// Takes every fault away.
    pub fn heal(&mut self) -> &mut Self {
        self.faults.clear();
        self
    }

    pub(super) fn faults(&self) -> &[ScopedFault] {
        &self.faults
    }

    pub(super) fn zones_mut(&mut self) -> impl Iterator<Item = &mut Zone> {
        self.zones.iter_mut()
    }

    pub(super) fn zone_mut(&mut self, apex: &Name) -> Option<&mut Zone> {
        self.zones.iter_mut().find(|zone| zone.apex() == apex)
    }

    /// How many records pass, and are gone.
    fn remove_where(&mut self, owner: &str, passes: impl Fn(RecordKind) -> bool) -> usize {
        let owner = name(owner);
        self.zone_of(&owner)
            .map_or(0, |zone| zone.retain(|record| record.name != owner || !passes(record.kind())))
    }

    fn zone_of(&mut self, owner: &Name) -> Option<&mut Zone> {
        self.zones
            .iter_mut()
            .filter(|zone| owner.is_at_or_below(zone.apex()))
            .max_by_key(|zone| zone.apex().label_count())
    }

    /// What the server answers (RFC 1034 §4.3.2, without recursion).
    pub(super) fn answer(&self, question: &Question) -> Result<Response, LookupError> {
        let Some(fault) = self.faults.iter().find(|fault| fault.holds_for(question)) else {
            return Ok(answer(&self.zones, question));
        };
        match &fault.fault {
            Fault::NotAuthoritative => Ok(Response { authoritative: false, ..answer(&self.zones, question) }),
            Fault::OtherCopy(zone) => Ok(answer(std::slice::from_ref(zone), question)),
            _ => faulty_answer(fault),
        }
    }
}

/// What a host with this fault answers.
pub(super) fn faulty_answer(scoped: &ScopedFault) -> Result<Response, LookupError> {
    let mut response = match &scoped.fault {
        Fault::Silent => return Err(SILENCE),
        Fault::PortClosed => return Err(LookupError::PortClosed),
        Fault::Unreachable => return Err(LookupError::Unreachable),
        Fault::NoRoute => return Err(LookupError::NoRoute),
        Fault::Malformed => return Err(LookupError::Malformed("the message ends in its header".to_owned())),
        Fault::TruncatedWithoutTcp => {
            return Err(LookupError::TruncatedThenTcp(Box::new(LookupError::PortClosed)));
        }
        Fault::Rcode(rcode) => Response::new(*rcode),
        Fault::NoRecursion => Response::new(Rcode::REFUSED),
        Fault::NotAuthoritative | Fault::OtherCopy(_) => Response::new(Rcode::NOERROR),
        Fault::EmptyWithoutSoa => Response { authoritative: true, ..Response::new(Rcode::NOERROR) },
        Fault::UpwardReferral => {
            let data = RecordData::Ns(name("a.root-servers.net"));
            let root = Record { name: Name::root(), ttl: 518_400, data };
            Response { authority: vec![root], ..Response::new(Rcode::NOERROR) }
        }
    };
    response.extended_errors.extend(scoped.extended_error.clone());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{DS, MAX_ALIASES};

    fn server() -> Server {
        let mut server = Server::default();
        server.serve(Zone::new("com").with("example NS ns1.example\nns1.example A 192.0.2.1"));
        server.serve(Zone::new("example.com").with(
            "@     NS    ns1
             ns1   A     192.0.2.1
             here  TXT   text
             one   CNAME two
             two   CNAME here
             gone  CNAME nowhere
             away  CNAME x.example.net.
             into  CNAME x.child
             child NS    ns.child
             ns.child A  192.0.2.7
             loop  CNAME pool
             pool  CNAME loop
             cross CNAME name.example.org.",
        ));
        server.serve(Zone::new("example.org").with("name TXT other"));
        server
    }

    /// `rcode aa answers/authority/additional`, each as its owners and types.
    fn show(outcome: Result<Response, LookupError>) -> String {
        let list = |records: &[Record]| {
            let texts: Vec<String> = records.iter().map(|r| format!("{} {}", r.name, r.kind())).collect();
            texts.join(", ")
        };
        match outcome {
            Ok(r) => format!(
                "{} {} / {} / {} / {}",
                r.rcode,
                if r.authoritative { "aa" } else { "--" },
                list(&r.answers),
                list(&r.authority),
                list(&r.additional)
            ),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn answers_as_an_authoritative_server_does() {
        use RecordKind::{A, Cname, Ns, Soa, Txt};
        let table = [
            ("here.example.com", Txt, "NOERROR aa / here.example.com TXT /  / "),
            ("here.example.com", A, "NOERROR aa /  / example.com SOA / "),
            ("nowhere.example.com", A, "NXDOMAIN aa /  / example.com SOA / "),
            ("example.com", Soa, "NOERROR aa / example.com SOA /  / "),
            ("example.com", Ns, "NOERROR aa / example.com NS /  / ns1.example.com A"),
            (
                "one.example.com",
                Txt,
                "NOERROR aa / one.example.com CNAME, two.example.com CNAME, here.example.com TXT /  / ",
            ),
            ("one.example.com", Cname, "NOERROR aa / one.example.com CNAME /  / "),
            ("gone.example.com", Txt, "NXDOMAIN aa / gone.example.com CNAME / example.com SOA / "),
            ("away.example.com", Txt, "NOERROR aa / away.example.com CNAME /  / "),
            ("cross.example.com", Txt, "NOERROR aa / cross.example.com CNAME, name.example.org TXT /  / "),
            ("a.child.example.com", Txt, "NOERROR -- /  / child.example.com NS / ns.child.example.com A"),
            ("child.example.com", Ns, "NOERROR -- /  / child.example.com NS / ns.child.example.com A"),
            (
                "into.example.com",
                Txt,
                "NOERROR aa / into.example.com CNAME / child.example.com NS / ns.child.example.com A",
            ),
            ("example.net", A, "REFUSED -- /  /  / "),
            ("example.com", DS, "NOERROR aa /  / com SOA / "),
        ];
        for (owner, kind, expected) in table {
            let question = Question::new(name(owner), kind);
            assert_eq!(show(server().answer(&question)), expected, "{question}");
        }
    }

    #[test]
    fn a_loop_of_aliases_ends() {
        let looped = server().answer(&Question::new(name("loop.example.com"), RecordKind::Txt));
        let looped = looped.expect("a server answers");
        assert_eq!((looped.rcode, looped.answers.len()), (Rcode::NOERROR, MAX_ALIASES));
    }

    #[test]
    fn faults_show_for_the_questions_they_hold_for() {
        let servfail = || Fault::Rcode(Rcode::SERVFAIL);
        let other = Zone::new("example.com").with("here CNAME one");
        let table: [(ScopedFault, &str, &str); 13] = [
            (Fault::Silent.into(), "Timeout { timeout: 2s, attempts: 2 }", "the same"),
            (Fault::PortClosed.into(), "PortClosed", "the same"),
            (Fault::Unreachable.into(), "Unreachable", "the same"),
            (Fault::NoRoute.into(), "NoRoute", "the same"),
            (servfail().into(), "SERVFAIL -- /  /  / ", "the same"),
            (Fault::NotAuthoritative.into(), "NOERROR -- / here.example.com TXT /  / ", ""),
            (Fault::Malformed.into(), "Malformed(\"the message ends in its header\")", "the same"),
            (Fault::TruncatedWithoutTcp.into(), "TruncatedThenTcp(PortClosed)", "the same"),
            (Fault::EmptyWithoutSoa.into(), "NOERROR aa /  /  / ", "the same"),
            (Fault::UpwardReferral.into(), "NOERROR -- /  / . NS / ", "the same"),
            (
                Fault::OtherCopy(Box::new(other)).for_kind(RecordKind::Txt),
                "NXDOMAIN aa / here.example.com CNAME / example.com SOA / ",
                "",
            ),
            (servfail().for_kind(RecordKind::Txt), "SERVFAIL -- /  /  / ", ""),
            (servfail().below("here.example.com"), "SERVFAIL -- /  /  / ", ""),
        ];
        for (fault, at_txt, at_soa) in table {
            let mut server = server();
            server.fault(fault.clone());
            let txt = server.answer(&Question::new(name("here.example.com"), RecordKind::Txt));
            let soa = server.answer(&Question::new(name("example.com"), RecordKind::Soa));
            let untouched = soa.as_ref().is_ok_and(|soa| !soa.answers.is_empty());
            assert_eq!(show(txt), at_txt, "{fault:?}");
            assert_eq!(untouched, at_soa.is_empty(), "{fault:?}");
            server.heal();
            assert_eq!(server, self::server());
        }
    }

    #[test]
    fn an_extended_error_comes_with_the_code() {
        let mut server = server();
        server.fault(Fault::Rcode(Rcode::SERVFAIL).with_extended_error(22, "all down"));
        let answer = server.answer(&Question::new(name("example.com"), RecordKind::Soa));
        let errors = answer.expect("a code is an answer").extended_errors;
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["No Reachable Authority: all down"]
        );
    }

    #[test]
    fn edits_change_what_is_answered() {
        let answer = |server: &Server, owner, kind| show(server.answer(&Question::new(name(owner), kind)));
        let mut server = server();
        server.remove("here.example.com");
        assert!(answer(&server, "here.example.com", RecordKind::Txt).starts_with("NXDOMAIN"));
        server.publish("here.example.com A 192.0.2.9");
        assert!(answer(&server, "here.example.com", RecordKind::A).contains("here.example.com A"));
        server.replace("two.example.com CNAME ns1.example.com");
        assert!(answer(&server, "one.example.com", RecordKind::A).contains("ns1.example.com A"));
        server.drop_zone("example.com");
        assert!(answer(&server, "here.example.com", RecordKind::A).contains("example.com NS"), "com refers");
    }
}
