//! [`Forged`]: answers made by hand.

use std::ops::Range;

/// An answer to a query, to be bent before it is sent.
pub(crate) struct Forged {
    pub(crate) id: [u8; 2],
    pub(crate) flags: [u8; 2],
    pub(crate) questions: Vec<Vec<u8>>,
    pub(crate) answers: Vec<Vec<u8>>,
    pub(crate) authority: Vec<Vec<u8>>,
    pub(crate) additional: Vec<Vec<u8>>,
}

impl Forged {
    /// An empty answer to this query: NOERROR, authoritative, without EDNS.
    pub(crate) fn to(query: &[u8]) -> Self {
        Self {
            id: [query[0], query[1]],
            flags: [0x84, 0],
            questions: vec![query[question(query)].to_vec()],
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }

    pub(crate) fn rcode(mut self, rcode: u8) -> Self {
        self.flags[1] |= rcode;
        self
    }

    pub(crate) fn truncated(mut self) -> Self {
        self.flags[0] |= 2;
        self
    }

    pub(crate) fn without_question(mut self) -> Self {
        self.questions.clear();
        self
    }

    pub(crate) fn answer(mut self, record: Vec<u8>) -> Self {
        self.answers.push(record);
        self
    }

    pub(crate) fn authority(mut self, record: Vec<u8>) -> Self {
        self.authority.push(record);
        self
    }

    pub(crate) fn additional(mut self, record: Vec<u8>) -> Self {
        self.additional.push(record);
        self
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let sections = [&self.questions, &self.answers, &self.authority, &self.additional];
        let mut octets = [self.id, self.flags].concat();
        for section in sections {
            octets.extend(u16::try_from(section.len()).expect("few records").to_be_bytes());
        }
        octets.extend(sections.into_iter().flatten().flatten());
        octets
    }
}

/// Where the question stands in a query.
fn question(query: &[u8]) -> Range<usize> {
    let mut end = 12;
    while query[end] != 0 {
        end += usize::from(query[end]) + 1;
    }
    12..end + 5
}

/// Whether a query carries EDNS: its only additional record.
pub(crate) fn has_edns(query: &[u8]) -> bool {
    query[11] == 1
}

/// The octets of a name.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in text.split('.') {
        octets.push(u8::try_from(label.len()).expect("short labels"));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

/// A record of class IN with a TTL of 300.
pub(crate) fn record(owner: &[u8], kind: u16, octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).expect("short data");
    [owner, &kind.to_be_bytes(), &[0, 1, 0, 0, 1, 44], &length.to_be_bytes(), octets].concat()
}

/// A TXT record at the question's name.
pub(crate) fn txt(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short string");
    record(&[0xc0, 12], 16, &[&[length], text.as_bytes()].concat())
}

pub(crate) fn cname(owner: &str, target: &str) -> Vec<u8> {
    record(&name(owner), 5, &name(target))
}

/// The SOA of `example.com`, serial 7, minimum 900.
pub(crate) fn soa() -> Vec<u8> {
    let numbers = [7u32, 1, 2, 3, 900].map(u32::to_be_bytes).concat();
    record(&name("example.com"), 6, &[name("ns.example.com"), name("admin.example.com"), numbers].concat())
}

/// An OPT record without options.
pub(crate) fn opt() -> Vec<u8> {
    opt_with(0, &[])
}

/// An OPT record with the upper bits of the response code, and options.
pub(crate) fn opt_with(upper_rcode: u8, options: &[u8]) -> Vec<u8> {
    let length = u16::try_from(options.len()).expect("short options");
    [&[0, 0, 41, 4, 208, upper_rcode, 0, 0, 0], &length.to_be_bytes()[..], options].concat()
}

/// An OPT record with one extended error.
pub(crate) fn extended_error(code: u16, text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len() + 2).expect("a short text");
    opt_with(0, &[&[0, 15], &length.to_be_bytes()[..], &code.to_be_bytes(), text.as_bytes()].concat())
}
