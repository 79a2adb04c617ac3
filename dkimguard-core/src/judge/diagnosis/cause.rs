//! [`Cause`]: the catalogue of what can be wrong.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::judge::catalogue::{provider, record, servers, time, zone};
use crate::judge::{Explanation, Impact};

macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident $code:literal $title:literal => $impact:ident, $explanation:path;)*) => {
        /// One row of the catalogue: what can be wrong. Codes never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$doc])* $variant,)*
        }

        impl Cause {
            /// All causes, in the catalogue's order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code in JSON and on the command line.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The cause in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What it comes to where nothing else is wrong.
            pub fn impact(self) -> Impact {
                match self { $(Self::$variant => Impact::$impact,)* }
            }

            /// The long text on it.
            pub fn explanation(self) -> &'static Explanation {
                match self { $(Self::$variant => &$explanation,)* }
            }

            /// What to do about it in general; what a report says on top is specific to the case.
            pub fn remedy(self) -> &'static str {
                self.explanation().remedy
            }
        }
    };
}

catalogue! {
    /// Every server that answers says, with authority, that the record isn't there.
    RecordMissing "record-missing" "A DKIM record is missing"
        => Failing, record::RECORD_MISSING;
    /// The record stands at its name with the zone appended once more.
    NameDoubled "name-doubled" "The zone is appended twice to the record's name"
        => Failing, record::NAME_DOUBLED;
    /// The record stands at the name with `domainkey` in place of `_domainkey`.
    UnderscoreLost "underscore-lost" "The underscore of _domainkey is lost"
        => Failing, record::UNDERSCORE_LOST;
    /// The CNAME's target has the zone appended.
    ValueDoubled "value-doubled" "The zone is appended to the record's value"
        => Failing, record::VALUE_DOUBLED;
    /// One CNAME with another target.
    WrongTarget "wrong-target" "A CNAME has another target"
        => Failing, record::WRONG_TARGET;
    /// The DNS host answers with what the target holds instead of the CNAME.
    CnameFlattened "cname-flattened" "The CNAME is proxied or flattened"
        => Failing, record::CNAME_FLATTENED;
    /// A TXT stands where a CNAME must.
    TxtInsteadOfCname "txt-instead-of-cname" "A TXT stands where a CNAME must"
        => Failing, record::TXT_INSTEAD_OF_CNAME;
    /// The target is right once stray characters are taken away.
    MalformedValue "malformed-value" "The value holds stray characters"
        => Failing, record::MALFORMED_VALUE;
    /// Several CNAMEs at the name, or a CNAME beside other records.
    ConflictingRecords "conflicting-records" "Records conflict at the name"
        => Failing, record::CONFLICTING_RECORDS;
    /// Only a wildcard answers.
    WildcardAnswer "wildcard-answer" "A wildcard answers in place of the record"
        => Failing, record::WILDCARD_ANSWER;
    /// Earlier tokens of the identity are published, today's are not.
    TokensChanged "tokens-changed" "The published tokens are not today's"
        => Failing, record::TOKENS_CHANGED;
    /// All CNAMEs hold, and no target holds a key.
    NoActiveKey "no-active-key" "No target holds a key"
        => Degraded, record::NO_ACTIVE_KEY;
    /// `p=` is empty.
    KeyRevoked "key-revoked" "The key is revoked"
        => Failing, record::KEY_REVOKED;
    /// The TXT is no key record.
    KeyUnreadable "key-unreadable" "The TXT is no usable key record"
        => Failing, record::KEY_UNREADABLE;
    /// An RSA key under 1024 bits.
    KeyWeak "key-weak" "The key is too short"
        => Failing, record::KEY_WEAK;
    /// A usable key, and not the expected one.
    KeyMismatch "key-mismatch" "Another key is published"
        => Failing, record::KEY_MISMATCH;
    /// More than one TXT at the selector.
    SeveralKeys "several-keys" "Several TXT records at one selector"
        => Failing, record::SEVERAL_KEYS;
    /// `t=y`.
    KeyTesting "key-testing" "The key says that it is being tested"
        => Listed, record::KEY_TESTING;
    /// Some servers hold the record, others answer otherwise with authority.
    ServersDisagree "servers-disagree" "The name servers disagree"
        => Degraded, servers::SERVERS_DISAGREE;
    /// A delegated server doesn't serve the zone.
    ServerLame "server-lame" "A name server does not serve the zone"
        => DegradedOrFailing, servers::SERVER_LAME;
    /// A server fails to answer properly.
    ServerFailing "server-failing" "A name server fails"
        => DegradedOrFailing, servers::SERVER_FAILING;
    /// A server cannot be reached.
    ServerUnreachable "server-unreachable" "A name server cannot be reached"
        => DegradedOrFailing, servers::SERVER_UNREACHABLE;
    /// TXT isn't answered where the CNAME is.
    TxtUnanswerable "txt-unanswerable" "A name server does not answer TXT at the CNAME"
        => DegradedOrFailing, servers::TXT_UNANSWERABLE;
    /// Truncated over UDP, and TCP fails.
    TcpUnanswerable "tcp-unanswerable" "A name server does not answer over TCP"
        => DegradedOrFailing, servers::TCP_UNANSWERABLE;
    /// The records are held in another zone than the one that the parent delegates to.
    WrongNameservers "wrong-nameservers" "The records are not where the parent delegates"
        => Failing, zone::WRONG_NAMESERVERS;
    /// The parent and the zone itself name different name servers.
    DelegationMismatch "delegation-mismatch" "Parent and zone name different name servers"
        => Degraded, zone::DELEGATION_MISMATCH;
    /// A delegation lies between the zone and the records.
    ZoneCut "zone-cut" "A delegation hides the records"
        => Failing, zone::ZONE_CUT;
    /// The DNS host has several public zones of the name, and the records are in one that isn't delegated.
    SeveralZones "several-zones" "The records are in the wrong zone of several"
        => Failing, zone::SEVERAL_ZONES;
    /// The records are only in a private zone.
    PrivateZone "private-zone" "The records are only in a private zone"
        => Failing, zone::PRIVATE_ZONE;
    /// A validating resolver refuses the zone's signatures.
    DnssecBogus "dnssec-bogus" "DNSSEC validation fails"
        => Failing, zone::DNSSEC_BOGUS;
    /// The registered domain doesn't exist any more, or is parked.
    DomainGone "domain-gone" "The domain's registration is gone"
        => Failing, zone::DOMAIN_GONE;
    /// A resolver still answers an absence that is over.
    NegativeCached "negative-cached" "A resolver remembers that the record was absent"
        => Degraded, zone::NEGATIVE_CACHED;
    /// One resolver fails, the servers and the others don't.
    ResolverFailing "resolver-failing" "A resolver fails"
        => Listed, zone::RESOLVER_FAILING;
    /// The records are sound; the provider hasn't looked since.
    ProviderBehind "provider-behind" "The provider has not looked again yet"
        => Degraded, provider::PROVIDER_BEHIND;
    /// The provider has stopped looking.
    ProviderGaveUp "provider-gave-up" "The provider has given up"
        => Failing, provider::PROVIDER_GAVE_UP;
    /// DKIM isn't set up.
    NotStarted "not-started" "DKIM is not set up at the provider"
        => Failing, provider::NOT_STARTED;
    /// The provider doesn't sign.
    SigningDisabled "signing-disabled" "DKIM signing is switched off"
        => Failing, provider::SIGNING_DISABLED;
    /// A replica of another region's identity isn't kept up to date.
    ReplicaBroken "replica-broken" "The identity's replica is broken"
        => Failing, provider::REPLICA_BROKEN;
    /// The identity was deleted and made anew.
    IdentityRecreated "identity-recreated" "The identity was deleted and made anew"
        => Degraded, provider::IDENTITY_RECREATED;
    /// A record comes and goes at one place.
    Flapping "flapping" "A record comes and goes"
        => Degraded, time::FLAPPING;
    /// Nothing at all can be reached.
    Offline "offline" "Nothing can be reached from here"
        => Unknown, time::OFFLINE;
}

impl Cause {
    /// Whether its remedy is to publish the records that it affects as they are expected. A key that is too weak is
    /// not among them: the expected key may be the weak one.
    pub fn publishes(self) -> bool {
        matches!(
            self,
            Self::RecordMissing
                | Self::NameDoubled
                | Self::UnderscoreLost
                | Self::ValueDoubled
                | Self::WrongTarget
                | Self::CnameFlattened
                | Self::TxtInsteadOfCname
                | Self::MalformedValue
                | Self::ConflictingRecords
                | Self::WildcardAnswer
                | Self::TokensChanged
                | Self::KeyRevoked
                | Self::KeyUnreadable
                | Self::KeyMismatch
                | Self::SeveralKeys
                | Self::WrongNameservers
                | Self::ZoneCut
                | Self::SeveralZones
                | Self::PrivateZone
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
