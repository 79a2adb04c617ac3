//! [`Zone`]: the records of one zone, and what an authoritative server says of a name in it.

use crate::name::Name;
use crate::record::{Record, RecordData, RecordKind, Soa};

/// The number of the type DS, which belongs to the parent's side of a cut (RFC 4035 §3.1.4.1).
pub(crate) const DS: RecordKind = RecordKind::Other(43);

/// The records of one zone.
///
/// What no server should load is accepted, since zones that hold it are what is to be judged: two CNAMEs at a name, a
/// CNAME beside other data. Every zone has an SOA: unless another is inserted, serial 1, and an absence is cached for
/// 300 seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    apex: Name,
    records: Vec<Record>,
}

impl Zone {
    /// A zone with nothing but its SOA.
    pub fn at(apex: Name) -> Self {
        let soa = Soa {
            primary: apex.child("ns1").unwrap_or_else(|_| apex.clone()),
            mailbox: apex.child("hostmaster").unwrap_or_else(|_| apex.clone()),
            serial: 1,
            refresh: 7200,
            retry: 900,
            expire: 1_209_600,
            minimum: 300,
        };
        let soa = Record { name: apex.clone(), ttl: 3600, data: RecordData::Soa(soa) };
        Self { apex, records: vec![soa] }
    }

    /// The name of the zone.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The records, in the order in which they came.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// The zone's SOA, as an answer holds it that proves an absence: the TTL is the lesser of its own and of
    /// its `minimum` (RFC 2308 §3).
    pub fn absence(&self) -> Option<Record> {
        self.records.iter().find_map(|record| match &record.data {
            RecordData::Soa(soa) => Some(Record { ttl: record.ttl.min(soa.minimum), ..record.clone() }),
            _ => None,
        })
    }

    #[cfg(feature = "testing")]
    pub(crate) fn set_serial(&mut self, new: u32) {
        for record in &mut self.records {
            if let RecordData::Soa(soa) = &mut record.data {
                soa.serial = new;
            }
        }
    }

    /// Adds a record of a name in the zone; the SOA replaces the one that is there.
    pub fn insert(&mut self, record: Record) {
        if record.kind() == RecordKind::Soa {
            self.records.retain(|old| old.kind() != RecordKind::Soa);
        }
        self.records.push(record);
    }

    /// Keeps the records that pass, and tells how many did not.
    #[cfg(feature = "testing")]
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Record) -> bool) -> usize {
        let before = self.records.len();
        self.records.retain(keep);
        before - self.records.len()
    }

    /// The addresses that the zone holds for a name: an answer's additional section.
    pub(crate) fn addresses(&self, owner: &Name) -> impl Iterator<Item = &Record> {
        self.records
            .iter()
            .filter(move |record| record.name == *owner)
            .filter(|record| matches!(record.kind(), RecordKind::A | RecordKind::Aaaa))
    }

    /// What the zone says of one name, without following aliases (RFC 1034 §4.3.2 step 3).
    pub(crate) fn find(&self, owner: &Name, kind: RecordKind) -> Found {
        if let Some(cut) = self.cut_above(owner, kind) {
            return Found::Cut(self.set(&cut, RecordKind::Ns));
        }
        let above = owner.ancestors().skip(1).take_while(|above| above.is_at_or_below(&self.apex));
        for tree in above {
            if let Some(dname) = self.set(&tree, RecordKind::Dname).into_iter().next() {
                return redirect(owner, dname);
            }
        }
        if self.exists(owner) {
            return self.find_at(owner, owner, kind);
        }
        let encloser = owner.ancestors().find(|above| self.exists(above));
        let wildcard = encloser.and_then(|encloser| encloser.child("*").ok());
        match wildcard {
            Some(wildcard) if self.has_node(&wildcard) => self.find_at(&wildcard, owner, kind),
            _ => Found::NoName,
        }
    }

    /// What stands at a node, told as though it stood at `owner`: they differ for a wildcard (RFC 4592).
    fn find_at(&self, node: &Name, owner: &Name, kind: RecordKind) -> Found {
        let told = |kind| -> Vec<Record> {
            let set = self.set(node, kind).into_iter();
            set.map(|record| Record { name: owner.clone(), ..record }).collect()
        };
        let records = told(kind);
        if !records.is_empty() {
            return Found::Records(records);
        }
        let aliases = told(RecordKind::Cname);
        match aliases.first().map(|alias| &alias.data) {
            Some(RecordData::Cname(target)) => Found::Alias { target: target.clone(), records: aliases },
            _ => Found::NoData,
        }
    }

    /// The delegation that the name lies at or below; the topmost, since what is below it isn't this zone's.
    fn cut_above(&self, owner: &Name, kind: RecordKind) -> Option<Name> {
        owner
            .ancestors()
            .take_while(|above| above.is_below(&self.apex))
            .filter(|above| !(kind == DS && above == owner))
            .filter(|above| self.records.iter().any(|r| r.name == *above && r.kind() == RecordKind::Ns))
            .last()
    }

    fn set(&self, owner: &Name, kind: RecordKind) -> Vec<Record> {
        let set = self.records.iter().filter(|record| record.name == *owner && record.kind() == kind);
        set.cloned().collect()
    }

    fn has_node(&self, owner: &Name) -> bool {
        self.records.iter().any(|record| record.name == *owner)
    }

    /// Whether the name exists, if only because something below it does (RFC 8020).
    fn exists(&self, owner: &Name) -> bool {
        self.records.iter().any(|record| record.name.is_at_or_below(owner))
    }
}

/// What a zone says of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The records asked for.
    Records(Vec<Record>),
    /// The name stands for another one.
    Alias { records: Vec<Record>, target: Name },
    /// The name exists, and has nothing of the type.
    NoData,
    /// The name doesn't exist.
    NoName,
    /// The name lies at or below a delegation; its NS records.
    Cut(Vec<Record>),
    /// A DNAME makes of the name one that is too long.
    TooLong(Record),
}

/// The DNAME and the CNAME that it stands for (RFC 6672 §2.2, §3.1).
fn redirect(owner: &Name, dname: Record) -> Found {
    let RecordData::Dname(tree) = &dname.data else {
        return Found::NoData;
    };
    let labels: Vec<&[u8]> = owner.relative_to(&dname.name).into_iter().flatten().collect();
    match Name::from_labels(labels.into_iter().chain(tree.labels())) {
        Ok(target) => {
            let data = RecordData::Cname(target.clone());
            let alias = Record { name: owner.clone(), ttl: dname.ttl, data };
            Found::Alias { records: vec![dname, alias], target }
        }
        Err(_) => Found::TooLong(dname),
    }
}

// What a zone says is shown on zones that are written as tests write them.
#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn zone() -> Zone {
        Zone::new("example.com").with(
            "@        NS    ns1
             ns1      A     192.0.2.1
             txt      TXT   \"one\" two \"th\\\"r;ee\" ; a comment
             alias 60 IN CNAME target.example.net.
             a.b.ent  TXT   deep
             *.wild   TXT   any
             *.star   CNAME elsewhere
             sub      NS    ns.sub
             ns.sub   A     192.0.2.2
             below.sub TXT  hidden
             tree     DNAME other.example.net.",
        )
    }

    fn find(owner: &str, kind: RecordKind) -> String {
        match zone().find(&name(owner), kind) {
            Found::Records(records) => show(&records),
            Found::Alias { records, target } => format!("{} -> {target}", show(&records)),
            Found::Cut(records) => format!("cut: {}", show(&records)),
            other => format!("{other:?}"),
        }
    }

    fn show(records: &[Record]) -> String {
        let texts: Vec<String> =
            records.iter().map(|r| format!("{} {} {} {}", r.name, r.ttl, r.kind(), r.data)).collect();
        texts.join(" | ")
    }

    #[test]
    fn finds_what_the_rfcs_say() {
        use RecordKind::{A, Cname, Dname, Mx, Ns, Txt};
        let table = [
            ("txt.example.com", Txt, "txt.example.com 300 TXT onetwoth\"r;ee"),
            ("TXT.Example.com", Mx, "NoData"),
            ("none.example.com", Txt, "NoName"),
            ("example.com", Ns, "example.com 300 NS ns1.example.com"),
            ("example.com", Mx, "NoData"),
            // An alias answers for every type, and for itself.
            ("alias.example.com", Cname, "alias.example.com 60 CNAME target.example.net"),
            ("alias.example.com", Txt, "alias.example.com 60 CNAME target.example.net -> target.example.net"),
            // Names that exist because something below them does.
            ("ent.example.com", Txt, "NoData"),
            ("b.ent.example.com", Txt, "NoData"),
            ("x.ent.example.com", Txt, "NoName"),
            // Wildcards: for what does not exist, at any depth, also as an alias (RFC 4592).
            ("x.wild.example.com", Txt, "x.wild.example.com 300 TXT any"),
            ("x.y.wild.example.com", Txt, "x.y.wild.example.com 300 TXT any"),
            ("x.wild.example.com", A, "NoData"),
            ("wild.example.com", Txt, "NoData"),
            ("*.wild.example.com", Txt, "*.wild.example.com 300 TXT any"),
            ("x.*.wild.example.com", Txt, "NoName"),
            ("x.star.example.com", Cname, "x.star.example.com 300 CNAME elsewhere.example.com"),
            // Cuts hide what the zone holds below them.
            ("sub.example.com", Ns, "cut: sub.example.com 300 NS ns.sub.example.com"),
            ("below.sub.example.com", Txt, "cut: sub.example.com 300 NS ns.sub.example.com"),
            ("sub.example.com", RecordKind::Other(43), "NoData"),
            // A DNAME redirects what is below it, not itself.
            ("tree.example.com", Dname, "tree.example.com 300 DNAME other.example.net"),
            ("tree.example.com", Txt, "NoData"),
            (
                "x.tree.example.com",
                Txt,
                "tree.example.com 300 DNAME other.example.net | x.tree.example.com 300 CNAME \
                 x.other.example.net -> x.other.example.net",
            ),
        ];
        for (owner, kind, expected) in table {
            assert_eq!(find(owner, kind), expected, "{owner} {kind}");
        }
    }

    #[test]
    fn an_absence_is_cached_for_the_lesser_of_two_times() {
        let zone = zone().with("@ 120 SOA ns1 hostmaster 7 1 1 1 900");
        let soa = zone.absence().expect("every zone has an SOA");
        assert_eq!(soa.ttl, 120);
        assert_eq!(zone.records().filter(|record| record.kind() == RecordKind::Soa).count(), 1);
        assert_eq!(Zone::new("example.com").absence().map(|soa| soa.ttl), Some(300));
    }

    #[test]
    fn a_dname_that_makes_a_name_too_long_says_so() {
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join(".");
        let zone = Zone::new("x").with(&format!("t DNAME {long}."));
        let asked = name(&format!("{}.t.x", "d".repeat(63)));
        assert!(matches!(zone.find(&asked, RecordKind::Txt), Found::TooLong(_)));
    }
}
