//! DNS messages: [`Query`] and [`Response`] to octets and back (RFC 1035 §4, EDNS of RFC 6891).
//!
//! Both directions are here, so that a name server for tests answers with the codec that asks.

use domain::base::iana::{Class, Opcode, OptRcode, OptionCode, Rtype};
use domain::base::message_builder::{
    AdditionalBuilder, MessageBuilder, PushError, QuestionBuilder, RecordSectionBuilder, StaticCompressor,
};
use domain::base::name::Label;
use domain::base::opt::{ExtendedError as ExtendedErrorOption, Opt, OptRecord};
use domain::base::rdata::UnknownRecordData;
use domain::base::wire::{Composer, ParseError};
use domain::base::{Message, Name as WireName, ParseRecordData, ParsedName, ParsedRecord, Serial, Ttl};
use domain::rdata::{A, Aaaa, Cname, Dname, Mx, Ns, Soa as SoaOctets};
use thiserror::Error;

use crate::look::{ExtendedError, Question, Rcode, Response};
use crate::name::Name;
use crate::record::{Record, RecordData, RecordKind, Soa, Txt};

/// The largest datagram that is asked for: what passes every usual path in one piece (DNS flag day 2020).
pub(crate) const PAYLOAD_SIZE: u16 = 1232;
/// The largest datagram that may be sent to who didn't say (RFC 1035 §4.2.1).
const PLAIN_PAYLOAD_SIZE: u16 = 512;
/// The longest TTL; one with the highest bit set counts as zero (RFC 2181 §8).
const MAX_TTL: u32 = i32::MAX as u32;
/// The longest string in a TXT record (RFC 1035 §3.3).
const MAX_STRING: usize = 255;

/// A question with what its message carries beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// What ties the answer to it.
    pub(crate) id: u16,
    /// What is asked. Without EDNS the DO bit has no place in the message.
    pub(crate) question: Question,
    /// The RD bit.
    pub(crate) recursion_desired: bool,
    /// The largest datagram that the asker takes, in octets; none where the message carries no EDNS.
    pub(crate) payload_size: Option<u16>,
}

/// A message that answers a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// What it says; empty if it is truncated. Transport and time are left for who received it.
    pub(crate) response: Response,
    /// The TC bit: the whole answer has to be fetched over TCP.
    pub(crate) is_truncated: bool,
    /// Whether it carries EDNS.
    pub(crate) has_edns: bool,
}

/// Why octets are no message, or none that answers the question.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum DecodeError {
    #[error("it is shorter than the header of a DNS message")]
    Short,
    #[error("its id is not the question's")]
    OtherId,
    #[error("it is a question, not a response")]
    NotAResponse,
    #[error("it is a response, not a question")]
    NotAQuestion,
    #[error("it answers another kind of request")]
    OtherOpcode,
    #[error("it echoes no question")]
    NoQuestion,
    #[error("it echoes another question")]
    OtherQuestion,
    #[error("it has two OPT records")]
    SecondOpt,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl From<ParseError> for DecodeError {
    fn from(error: ParseError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// The message that asks.
pub(crate) fn encode_query(query: &Query) -> Vec<u8> {
    compose_query(query).expect("a header, a question and an empty OPT record fit into any message")
}

/// Reads what came in answer to this query.
///
/// The question's echo may be in any case. It may be missing from an answer that says FORMERR, SERVFAIL, NOTIMP
/// or REFUSED, since some servers answer so. Records of classes other than IN are passed over, extended errors
/// that cannot be read too.
///
/// # Errors
/// Anything that is no answer to this query, or cannot be read to its end.
pub(crate) fn decode_response(octets: &[u8], query: &Query) -> Result<Reply, DecodeError> {
    let message = Message::from_slice(octets).map_err(|_| DecodeError::Short)?;
    let header = message.header();
    if header.id() != query.id {
        return Err(DecodeError::OtherId);
    }
    if !header.qr() {
        return Err(DecodeError::NotAResponse);
    }
    if header.opcode() != Opcode::QUERY {
        return Err(DecodeError::OtherOpcode);
    }
    let mut response = Response::new(Rcode(u16::from(header.rcode().to_int())));
    match sole_question(message)? {
        Some((name, kind)) if name == query.question.name && kind == query.question.kind.number() => {}
        Some(_) => return Err(DecodeError::OtherQuestion),
        None if may_lack_question(response.rcode) => {}
        None => return Err(DecodeError::NoQuestion),
    }
    response.authoritative = header.aa();
    response.recursion_available = header.ra();
    response.authentic = header.ad();
    if header.tc() {
        // Where the message was cut is the server's choice, so its records may not be readable.
        return Ok(Reply { response, is_truncated: true, has_edns: false });
    }
    let opt = read_records(message, &mut response)?;
    if let Some(opt) = &opt {
        response.rcode = Rcode(opt.rcode(header).to_int());
        response.extended_errors = extended_errors(opt.opt());
    }
    Ok(Reply { response, is_truncated: false, has_edns: opt.is_some() })
}

/// Reads a query, as a server does.
///
/// # Errors
/// Anything that isn't one readable question of class IN.
#[allow(dead_code, reason = "for the name server in `testing`")]
pub(crate) fn decode_query(octets: &[u8]) -> Result<Query, DecodeError> {
    let message = Message::from_slice(octets).map_err(|_| DecodeError::Short)?;
    let header = message.header();
    if header.qr() {
        return Err(DecodeError::NotAQuestion);
    }
    if header.opcode() != Opcode::QUERY {
        return Err(DecodeError::OtherOpcode);
    }
    let (name, kind) = sole_question(message)?.ok_or(DecodeError::NoQuestion)?;
    let opt = read_records(message, &mut Response::new(Rcode::NOERROR))?;
    Ok(Query {
        id: header.id(),
        question: Question {
            name,
            kind: RecordKind::from(kind),
            checking_disabled: header.cd(),
            dnssec_ok: opt.as_ref().is_some_and(OptRecord::dnssec_ok),
        },
        recursion_desired: header.rd(),
        payload_size: opt.map(|opt| opt.udp_payload_size()),
    })
}

/// The message that answers this query, in at most `max_size` octets.
///
/// An answer that is longer is cut to its header, question and EDNS, with TC set. The response's extended
/// errors, and the upper bits of its code, have a place only where the query carried EDNS. A TXT string of over
/// 255 octets is split.
#[allow(dead_code, reason = "for the name server in `testing`")]
pub(crate) fn encode_response(query: &Query, response: &Response, max_size: usize) -> Vec<u8> {
    match compose_response(query, response) {
        Ok(octets) if octets.len() <= max_size.min(usize::from(u16::MAX)) => octets,
        _ => compose_truncated(query, response)
            .expect("a header, a question and an empty OPT record fit into any message"),
    }
}

impl Query {
    /// How many octets the answer may have in a datagram.
    #[allow(dead_code, reason = "for the name server in `testing`")]
    pub(crate) fn datagram_limit(&self) -> usize {
        usize::from(self.payload_size.unwrap_or(PLAIN_PAYLOAD_SIZE).max(PLAIN_PAYLOAD_SIZE))
    }
}

/// Whether servers are known to answer with this code and without the question.
fn may_lack_question(rcode: Rcode) -> bool {
    matches!(rcode, Rcode::FORMERR | Rcode::SERVFAIL | Rcode::NOTIMP | Rcode::REFUSED)
}

/// The name and type of the question; none if there is no question.
fn sole_question(message: &Message<[u8]>) -> Result<Option<(Name, u16)>, DecodeError> {
    let mut questions = message.question();
    let Some(question) = questions.next().transpose()? else {
        return Ok(None);
    };
    if questions.next().is_some() || question.qclass() != Class::IN {
        return Err(DecodeError::OtherQuestion);
    }
    Ok(Some((read_name(question.qname())?, question.qtype().to_int())))
}

/// Puts the records of all sections into the response, and gives the OPT record.
fn read_records<'a>(
    message: &'a Message<[u8]>,
    response: &mut Response,
) -> Result<Option<OptRecord<&'a [u8]>>, DecodeError> {
    let mut opt = None;
    let mut section = Some(message.answer()?);
    for records in [&mut response.answers, &mut response.authority, &mut response.additional] {
        let Some(mut parsed) = section else { break };
        for record in parsed.by_ref() {
            let record = record?;
            if record.rtype() == Rtype::OPT {
                let record = record.to_record::<Opt<&[u8]>>()?.map(OptRecord::from_record);
                if opt.is_some() {
                    return Err(DecodeError::SecondOpt);
                }
                opt = record;
            } else if record.class() == Class::IN {
                records.push(read_record(&record)?);
            }
        }
        section = parsed.next_section()?;
    }
    Ok(opt)
}

fn read_record(record: &ParsedRecord<'_, [u8]>) -> Result<Record, DecodeError> {
    let ttl = record.ttl().as_secs();
    Ok(Record {
        name: read_name(&record.owner())?,
        ttl: if ttl > MAX_TTL { 0 } else { ttl },
        data: read_data(record)?,
    })
}

fn read_data(record: &ParsedRecord<'_, [u8]>) -> Result<RecordData, DecodeError> {
    type Parsed<'a> = ParsedName<&'a [u8]>;
    Ok(match RecordKind::from(record.rtype().to_int()) {
        RecordKind::A => RecordData::A(parse::<A>(record)?.addr()),
        RecordKind::Aaaa => RecordData::Aaaa(parse::<Aaaa>(record)?.addr()),
        RecordKind::Cname => RecordData::Cname(read_name(parse::<Cname<Parsed<'_>>>(record)?.cname())?),
        RecordKind::Dname => RecordData::Dname(read_name(parse::<Dname<Parsed<'_>>>(record)?.dname())?),
        RecordKind::Ns => RecordData::Ns(read_name(parse::<Ns<Parsed<'_>>>(record)?.nsdname())?),
        RecordKind::Mx => {
            let mx = parse::<Mx<Parsed<'_>>>(record)?;
            RecordData::Mx { preference: mx.preference(), exchange: read_name(mx.exchange())? }
        }
        RecordKind::Soa => {
            let soa = parse::<SoaOctets<Parsed<'_>>>(record)?;
            RecordData::Soa(Soa {
                primary: read_name(soa.mname())?,
                mailbox: read_name(soa.rname())?,
                serial: soa.serial().into_int(),
                refresh: soa.refresh().as_secs(),
                retry: soa.retry().as_secs(),
                expire: soa.expire().as_secs(),
                minimum: soa.minimum().as_secs(),
            })
        }
        RecordKind::Txt => read_strings(parse::<UnknownRecordData<&[u8]>>(record)?.data())?,
        RecordKind::Other(kind) => {
            RecordData::Other { kind, octets: Box::from(*parse::<UnknownRecordData<&[u8]>>(record)?.data()) }
        }
    })
}

fn parse<'a, Data: ParseRecordData<'a, [u8]>>(record: &ParsedRecord<'a, [u8]>) -> Result<Data, DecodeError> {
    match record.to_record::<Data>()? {
        Some(record) => Ok(record.into_data()),
        None => Err(DecodeError::Unreadable(format!("no data of type {}", record.rtype()))),
    }
}

/// Read here because a TXT record without any string, which some servers send, is an error to the codec.
fn read_strings(mut octets: &[u8]) -> Result<RecordData, DecodeError> {
    let mut strings: Vec<Box<[u8]>> = Vec::new();
    while let Some((&length, rest)) = octets.split_first() {
        let (string, rest) = rest
            .split_at_checked(usize::from(length))
            .ok_or_else(|| DecodeError::Unreadable("a TXT string is cut short".to_owned()))?;
        strings.push(string.into());
        octets = rest;
    }
    Ok(RecordData::Txt(Txt::new(strings)))
}

fn read_name(name: &ParsedName<&[u8]>) -> Result<Name, DecodeError> {
    let labels = name.iter().map(Label::as_slice).filter(|label| !label.is_empty());
    Name::from_labels(labels).map_err(|error| DecodeError::Unreadable(format!("a name: {error}")))
}

fn extended_errors(opt: &Opt<&[u8]>) -> Vec<ExtendedError> {
    opt.iter::<ExtendedErrorOption<_>>()
        .filter_map(Result::ok)
        .map(|error| ExtendedError {
            code: error.code().to_int(),
            // Senders were allowed to end the text with a zero octet (RFC 8914 §2).
            text: String::from_utf8_lossy(error.text_slice().unwrap_or_default())
                .trim_end_matches('\0')
                .to_owned(),
        })
        .collect()
}

fn compose_query(query: &Query) -> Result<Vec<u8>, PushError> {
    let mut builder = MessageBuilder::new_vec();
    let header = builder.header_mut();
    header.set_id(query.id);
    header.set_rd(query.recursion_desired);
    header.set_cd(query.question.checking_disabled);
    let mut builder = builder.question();
    builder.push((wire_name(&query.question.name), Rtype::from_int(query.question.kind.number())))?;
    let mut builder = builder.additional();
    push_opt(&mut builder, query, Rcode::NOERROR, &[])?;
    Ok(builder.finish())
}

fn compose_response(query: &Query, response: &Response) -> Result<Vec<u8>, PushError> {
    let mut builder = begin_response(query, response)?.answer();
    push_records(&mut builder, &response.answers)?;
    let mut builder = builder.authority();
    push_records(&mut builder, &response.authority)?;
    let mut builder = builder.additional();
    push_records(&mut builder, &response.additional)?;
    push_opt(&mut builder, query, response.rcode, &response.extended_errors)?;
    Ok(builder.finish().into_target())
}

fn compose_truncated(query: &Query, response: &Response) -> Result<Vec<u8>, PushError> {
    let mut builder = begin_response(query, response)?.additional();
    builder.header_mut().set_tc(true);
    push_opt(&mut builder, query, response.rcode, &[])?;
    Ok(builder.finish().into_target())
}

type ResponseTarget = StaticCompressor<Vec<u8>>;

fn begin_response(query: &Query, response: &Response) -> Result<QuestionBuilder<ResponseTarget>, PushError> {
    let Ok(mut builder) = MessageBuilder::from_target(StaticCompressor::new(Vec::new()));
    let header = builder.header_mut();
    header.set_id(query.id);
    header.set_qr(true);
    header.set_rd(query.recursion_desired);
    header.set_cd(query.question.checking_disabled);
    header.set_aa(response.authoritative);
    header.set_ra(response.recursion_available);
    header.set_ad(response.authentic);
    header.set_rcode(OptRcode::masked_from_int(response.rcode.0).rcode());
    let mut builder = builder.question();
    builder.push((wire_name(&query.question.name), Rtype::from_int(query.question.kind.number())))?;
    Ok(builder)
}

fn push_records(
    section: &mut impl RecordSectionBuilder<ResponseTarget>,
    records: &[Record],
) -> Result<(), PushError> {
    records.iter().try_for_each(|record| push_record(section, record))
}

fn push_record(
    section: &mut impl RecordSectionBuilder<ResponseTarget>,
    record: &Record,
) -> Result<(), PushError> {
    let owner = wire_name(&record.name);
    let ttl = Ttl::from_secs(record.ttl);
    match &record.data {
        RecordData::A(address) => section.push((owner, ttl, A::new(*address))),
        RecordData::Aaaa(address) => section.push((owner, ttl, Aaaa::new(*address))),
        RecordData::Cname(name) => section.push((owner, ttl, Cname::new(wire_name(name)))),
        RecordData::Dname(name) => section.push((owner, ttl, Dname::new(wire_name(name)))),
        RecordData::Ns(name) => section.push((owner, ttl, Ns::new(wire_name(name)))),
        RecordData::Mx { preference, exchange } => {
            section.push((owner, ttl, Mx::new(*preference, wire_name(exchange))))
        }
        RecordData::Soa(soa) => section.push((
            owner,
            ttl,
            SoaOctets::new(
                wire_name(&soa.primary),
                wire_name(&soa.mailbox),
                Serial(soa.serial),
                Ttl::from_secs(soa.refresh),
                Ttl::from_secs(soa.retry),
                Ttl::from_secs(soa.expire),
                Ttl::from_secs(soa.minimum),
            ),
        )),
        RecordData::Txt(txt) => section.push((owner, ttl, raw_data(RecordKind::Txt, &string_octets(txt))?)),
        RecordData::Other { kind, octets } => {
            section.push((owner, ttl, raw_data(RecordKind::Other(*kind), octets)?))
        }
    }
}

fn raw_data(kind: RecordKind, octets: &[u8]) -> Result<UnknownRecordData<&[u8]>, PushError> {
    UnknownRecordData::from_octets(Rtype::from_int(kind.number()), octets).map_err(|_| PushError::ShortBuf)
}

fn string_octets(txt: &Txt) -> Vec<u8> {
    let mut octets = Vec::new();
    for string in txt.strings() {
        if string.is_empty() {
            octets.push(0);
        }
        for part in string.chunks(MAX_STRING) {
            octets.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            octets.extend_from_slice(part);
        }
    }
    octets
}

/// Adds the OPT record, if the query carries one.
fn push_opt<Target: Composer>(
    builder: &mut AdditionalBuilder<Target>,
    query: &Query,
    rcode: Rcode,
    errors: &[ExtendedError],
) -> Result<(), PushError> {
    let Some(payload_size) = query.payload_size else {
        return Ok(());
    };
    builder.opt(|opt| {
        opt.set_udp_payload_size(payload_size);
        opt.set_dnssec_ok(query.question.dnssec_ok);
        opt.set_rcode(OptRcode::masked_from_int(rcode.0));
        for error in errors {
            let text = &error.text.as_bytes()[..error.text.len().min(usize::from(u16::MAX) - 2)];
            let length = u16::try_from(2 + text.len()).unwrap_or(u16::MAX);
            opt.push_raw_option(OptionCode::EXTENDED_ERROR, length, |target| {
                target.append_slice(&error.code.to_be_bytes())?;
                target.append_slice(text)
            })?;
        }
        Ok(())
    })
}

fn wire_name(name: &Name) -> &WireName<[u8]> {
    WireName::from_slice(name.as_wire()).expect("a Name holds a valid wire form")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ID: u16 = 0x1234;
    /// The header of a response to a question with [`ID`]: one question, one answer, nothing else.
    const ONE_ANSWER: &[u8] = &[0x12, 0x34, 0x84, 0x00, 0, 1, 0, 1, 0, 0, 0, 0];
    /// `s1.example TXT IN`, the case mixed.
    const ECHO: &[u8] = b"\x02S1\x07eXample\x00\x00\x10\x00\x01";

    fn query(name: &str, kind: RecordKind) -> Query {
        Query {
            id: ID,
            question: Question::new(name.parse().expect("a valid name"), kind),
            recursion_desired: false,
            payload_size: Some(PAYLOAD_SIZE),
        }
    }

    fn txt_query() -> Query {
        query("s1.example", RecordKind::Txt)
    }

    #[test]
    fn a_query_has_the_octets_that_the_rfcs_say() {
        let header = |flags: [u8; 2], additional: u8| {
            [&[0x12, 0x34], &flags[..], &[0, 1, 0, 0, 0, 0, 0, additional]].concat()
        };
        let question = b"\x02s1\x07example\x00\x00\x10\x00\x01";
        let opt = |flags: u8| [0, 0, 41, 0x04, 0xd0, 0, 0, flags, 0, 0, 0];
        let plain = txt_query();

        let recursive = Query { recursion_desired: true, ..plain.clone() };
        let unchecked = Query { question: plain.question.clone().with_checking_disabled(), ..plain.clone() };
        let signed = Query { question: plain.question.clone().with_dnssec_ok(), ..plain.clone() };
        let without_edns = Query { payload_size: None, ..plain.clone() };
        for (query, expected) in [
            (plain, [&header([0x00, 0x00], 1), &question[..], &opt(0)].concat()),
            (recursive, [&header([0x01, 0x00], 1), &question[..], &opt(0)].concat()),
            (unchecked, [&header([0x00, 0x10], 1), &question[..], &opt(0)].concat()),
            (signed, [&header([0x00, 0x00], 1), &question[..], &opt(0x80)].concat()),
            (without_edns, [&header([0x00, 0x00], 0), &question[..]].concat()),
        ] {
            assert_eq!(encode_query(&query), expected, "{query:?}");
        }
    }

    #[test]
    fn an_answer_is_read_with_its_compressed_names_and_extended_errors() {
        let octets = [
            &[0x12, 0x34, 0x85, 0xb3, 0, 1, 0, 2, 0, 1, 0, 2][..],
            ECHO,
            // At the question's name a CNAME to `a.` below the question's second label, at offset 15.
            b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x01\x2c\x00\x04\x01A\xc0\x0f",
            // A record of class CH, which is passed over.
            b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x01\x00\x02\x01x",
            // The SOA of `example`, its names the root; a TTL with the highest bit set.
            b"\xc0\x0f\x00\x06\x00\x01\x80\x00\x00\x01\x00\x16\x00\x00",
            &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5],
            // EDNS: the upper bits of BADVERS, and the extended error 7 with a text that ends in a zero.
            b"\x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x0b\x00\x0f\x00\x07\x00\x07late\x00",
            // A type without a reader.
            b"\x00\x01\x00\x00\x01\x00\x00\x00\x09\x00\x02\xc0\x0c",
        ]
        .concat();

        let reply = decode_response(&octets, &txt_query()).expect("it is well-formed");
        assert!(reply.has_edns && !reply.is_truncated);
        let name = |text: &str| text.parse::<Name>().expect("a valid name");
        let other = RecordData::Other { kind: 256, octets: Box::from([0xc0, 0x0c].as_slice()) };
        assert_eq!(
            reply.response,
            Response {
                authoritative: true,
                recursion_available: true,
                authentic: true,
                answers: vec![Record {
                    name: name("s1.example"),
                    ttl: 300,
                    data: RecordData::Cname(name("a.example")),
                }],
                authority: vec![Record {
                    name: name("example"),
                    ttl: 0,
                    data: RecordData::Soa(Soa {
                        primary: Name::root(),
                        mailbox: Name::root(),
                        serial: 1,
                        refresh: 2,
                        retry: 3,
                        expire: 4,
                        minimum: 5,
                    }),
                }],
                additional: vec![Record { name: Name::root(), ttl: 9, data: other }],
                extended_errors: vec![ExtendedError { code: 7, text: "late".to_owned() }],
                ..Response::new(Rcode(0x13))
            }
        );
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_an_error() {
        let empty = |flags: [u8; 2]| [&[0x12, 0x34], &flags[..], &[0, 1, 0, 0, 0, 0, 0, 0], ECHO].concat();
        let with = |tail: &[u8]| [ONE_ANSWER, ECHO, tail].concat();
        let with_question = |question: &[u8]| [&[0x12, 0x34, 0x84, 0, 0, 1], &[0; 6], question].concat();
        let unreadable = |_: &DecodeError| true;
        type Expectation<'a> = &'a dyn Fn(&DecodeError) -> bool;
        let is = |expected: DecodeError| move |error: &DecodeError| *error == expected;
        let other_id = {
            let mut octets = empty([0x84, 0]);
            octets[1] ^= 1;
            octets
        };
        let cases: &[(&str, Vec<u8>, Expectation<'_>)] = &[
            ("nothing", Vec::new(), &is(DecodeError::Short)),
            ("half a header", vec![0x12, 0x34, 0x84], &is(DecodeError::Short)),
            ("another id", other_id, &is(DecodeError::OtherId)),
            ("QR clear", empty([0x04, 0]), &is(DecodeError::NotAResponse)),
            ("a notification", empty([0xa4, 0]), &is(DecodeError::OtherOpcode)),
            (
                "another name",
                with_question(b"\x02s2\x07example\0\0\x10\0\x01"),
                &is(DecodeError::OtherQuestion),
            ),
            (
                "another type",
                with_question(b"\x02s1\x07example\0\0\x05\0\x01"),
                &is(DecodeError::OtherQuestion),
            ),
            (
                "another class",
                with_question(b"\x02s1\x07example\0\0\x10\0\x03"),
                &is(DecodeError::OtherQuestion),
            ),
            (
                "two questions",
                [&[0x12, 0x34, 0x84, 0, 0, 2, 0, 0, 0, 0, 0, 0], ECHO, ECHO].concat(),
                &is(DecodeError::OtherQuestion),
            ),
            (
                "no question, NOERROR",
                [0x12, 0x34, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec(),
                &is(DecodeError::NoQuestion),
            ),
            (
                "no question, NXDOMAIN",
                [0x12, 0x34, 0x84, 3, 0, 0, 0, 0, 0, 0, 0, 0].to_vec(),
                &is(DecodeError::NoQuestion),
            ),
            (
                "two OPT records",
                [
                    &[0x12, 0x34, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 2],
                    ECHO,
                    &[0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0],
                    &[0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0],
                ]
                .concat(),
                &is(DecodeError::SecondOpt),
            ),
            ("a promised record that isn't there", with(b""), &unreadable),
            (
                "a name that points at itself",
                with(b"\xc0\x1c\0\x05\0\x01\0\0\0\x01\0\x02\xc0\x0c"),
                &unreadable,
            ),
            (
                "two names that point at each other",
                with(b"\xc0\x1e\xc0\x1c\0\x05\0\x01\0\0\0\0\0\0"),
                &unreadable,
            ),
            ("a name that points ahead", with(b"\xc0\xff\0\x05\0\x01\0\0\0\x01\0\x02\xc0\x0c"), &unreadable),
            (
                "an address of three octets",
                with(b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x03\x7f\0\0"),
                &unreadable,
            ),
            (
                "an address of five octets",
                with(b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x05\x7f\0\0\0\x01"),
                &unreadable,
            ),
            (
                "a string longer than its record",
                with(b"\xc0\x0c\0\x10\0\x01\0\0\0\x01\0\x02\x05a"),
                &unreadable,
            ),
        ];
        for (case, octets, is_expected) in cases {
            let outcome = decode_response(octets, &txt_query());
            assert!(outcome.as_ref().is_err_and(is_expected), "{case}: {outcome:?}");
        }
    }

    #[test]
    fn an_error_may_come_without_the_question() {
        for rcode in [1, 2, 4, 5] {
            let octets = [0x12, 0x34, 0x80, rcode, 0, 0, 0, 0, 0, 0, 0, 0];
            let reply = decode_response(&octets, &txt_query()).expect("servers answer so");
            assert_eq!(reply.response.rcode, Rcode(u16::from(rcode)));
        }
    }

    #[test]
    fn a_txt_record_without_strings_is_read_as_that() {
        let octets = [ONE_ANSWER, ECHO, b"\xc0\x0c\0\x10\0\x01\0\0\0\x01\0\0"].concat();
        let reply = decode_response(&octets, &txt_query()).expect("some servers send it");
        assert_eq!(reply.response.answers[0].data, RecordData::Txt(Txt::new(Vec::<Box<[u8]>>::new())));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_cut_and_says_so() {
        let query = txt_query();
        let text = Record {
            name: query.question.name.clone(),
            ttl: 60,
            data: RecordData::Txt(Txt::new([vec![b'p'; 700]])),
        };
        let response = Response {
            answers: vec![text],
            extended_errors: vec![ExtendedError { code: 0, text: "x".repeat(600) }],
            ..Response::new(Rcode::SERVFAIL)
        };

        let whole = encode_response(&query, &response, 65_535);
        let reply = decode_response(&whole, &query).expect("it is well-formed");
        assert!(!reply.is_truncated);
        assert_eq!(reply.response.texts(&query.question.name)[0].joined(), vec![b'p'; 700]);

        assert_eq!(encode_response(&query, &response, whole.len()), whole);
        let cut = encode_response(&query, &response, whole.len() - 1);
        assert!(cut.len() < 100, "{} octets", cut.len());
        let reply = decode_response(&cut, &query).expect("it is well-formed");
        assert!(reply.is_truncated);
        assert_eq!(reply.response.rcode, Rcode::SERVFAIL);
    }

    #[test]
    fn the_datagram_limit_is_what_the_asker_takes() {
        for (payload_size, limit) in [(None, 512), (Some(100), 512), (Some(512), 512), (Some(1232), 1232)] {
            assert_eq!(Query { payload_size, ..txt_query() }.datagram_limit(), limit);
        }
    }

    /// Names of any octets, and names of few, which end alike and so get compressed.
    fn any_name() -> impl Strategy<Value = Name> {
        prop_oneof![vec(vec(any::<u8>(), 1..=63), 0..=3), vec(vec(b'a'..=b'b', 1..=2), 0..=4)].prop_map(
            |labels| {
                Name::from_labels(labels.iter().map(Vec::as_slice))
                    .expect("the lengths are within the limits")
            },
        )
    }

    prop_compose! {
        fn any_soa()(primary in any_name(), mailbox in any_name(), numbers in any::<[u32; 5]>()) -> Soa {
            let [serial, refresh, retry, expire, minimum] = numbers;
            Soa { primary, mailbox, serial, refresh, retry, expire, minimum }
        }
    }

    fn any_data() -> impl Strategy<Value = RecordData> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|octets| RecordData::A(octets.into())),
            any::<[u8; 16]>().prop_map(|octets| RecordData::Aaaa(octets.into())),
            any_name().prop_map(RecordData::Cname),
            any_name().prop_map(RecordData::Dname),
            any_name().prop_map(RecordData::Ns),
            (any::<u16>(), any_name())
                .prop_map(|(preference, exchange)| RecordData::Mx { preference, exchange }),
            any_soa().prop_map(RecordData::Soa),
            vec(vec(any::<u8>(), 0..=MAX_STRING), 0..=3)
                .prop_map(|strings| RecordData::Txt(Txt::new(strings))),
            (256..=u16::MAX, vec(any::<u8>(), 0..=40))
                .prop_map(|(kind, octets)| RecordData::Other { kind, octets: octets.into() }),
        ]
    }

    prop_compose! {
        fn any_record()(name in any_name(), ttl in 0..=MAX_TTL, data in any_data()) -> Record {
            Record { name, ttl, data }
        }
    }

    prop_compose! {
        fn any_query()(
            id in any::<u16>(),
            name in any_name(),
            kind in any::<u16>(),
            [checking_disabled, dnssec_ok, recursion_desired, edns] in any::<[bool; 4]>(),
            payload_size in any::<u16>(),
        ) -> Query {
            let kind = RecordKind::from(kind);
            // The DO bit is part of EDNS.
            let question = Question { name, kind, checking_disabled, dnssec_ok: dnssec_ok && edns };
            Query { id, question, recursion_desired, payload_size: edns.then_some(payload_size) }
        }
    }

    prop_compose! {
        fn any_response()(
            rcode in 0u16..4096,
            [authoritative, recursion_available, authentic] in any::<[bool; 3]>(),
            answers in vec(any_record(), 0..=6),
            authority in vec(any_record(), 0..=4),
            additional in vec(any_record(), 0..=4),
            errors in vec((any::<u16>(), "[ -~é]{0,40}"), 0..=3),
        ) -> Response {
            let extended_errors = errors.into_iter().map(|(code, text)| ExtendedError { code, text }).collect();
            Response {
                authoritative,
                recursion_available,
                authentic,
                answers,
                authority,
                additional,
                extended_errors,
                ..Response::new(Rcode(rcode))
            }
        }
    }

    proptest! {
        #[test]
        fn a_query_comes_back_as_it_went(query in any_query()) {
            prop_assert_eq!(decode_query(&encode_query(&query)), Ok(query));
        }

        #[test]
        fn a_response_comes_back_as_it_went(query in any_query(), response in any_response()) {
            let octets = encode_response(&query, &response, 65_535);
            let expected = if query.payload_size.is_some() {
                response
            } else {
                Response { rcode: Rcode(response.rcode.0 & 15), extended_errors: Vec::new(), ..response }
            };
            let has_edns = query.payload_size.is_some();
            let reply = Reply { response: expected, is_truncated: false, has_edns };
            prop_assert_eq!(decode_response(&octets, &query), Ok(reply));
        }

        #[test]
        fn a_response_that_is_cut_anywhere_is_an_error(
            query in any_query(),
            response in any_response(),
            cut in any::<prop::sample::Index>(),
        ) {
            let octets = encode_response(&query, &response, 65_535);
            prop_assert!(decode_response(&octets[..cut.index(octets.len())], &query).is_err());
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..600), query in any_query()) {
            let _ = decode_query(&octets);
            let _ = decode_response(&octets, &query);
            // The same behind a header and a question that let the reading begin.
            let mut begun = encode_response(&query, &Response::new(Rcode::NOERROR), 65_535);
            begun[6..12].copy_from_slice(&[0, 3, 0, 3, 0, 3]);
            begun.extend_from_slice(&octets);
            let _ = decode_response(&begun, &query);
        }

        #[test]
        fn mutated_messages_never_panic(
            query in any_query(),
            response in any_response(),
            // Behind id and flags, so that most are read on.
            mutations in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut octets = encode_response(&query, &response, 65_535);
            for (place, octet) in mutations {
                let place = 4 + place.index(octets.len() - 4);
                octets[place] = octet;
            }
            let _ = decode_response(&octets, &query);
            octets[2] &= 0x7f;
            let _ = decode_query(&octets);
        }
    }
}
