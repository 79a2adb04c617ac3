//! [`Cause`]: the catalogue of what can be wrong.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident $code:literal $title:literal,)*) => {
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
        }
    };
}

catalogue! {
    /// Every server that answers says, with authority, that the record isn't there.
    RecordMissing "record-missing" "A DKIM record is missing",
    /// The record stands at its name with the zone appended once more.
    NameDoubled "name-doubled" "The zone is appended twice to the record's name",
    /// The record stands at the name with `domainkey` in place of `_domainkey`.
    UnderscoreLost "underscore-lost" "The underscore of _domainkey is lost",
    /// The CNAME's target has the zone appended.
    ValueDoubled "value-doubled" "The zone is appended to the record's value",
    /// One CNAME with another target.
    WrongTarget "wrong-target" "A CNAME has another target",
    /// The DNS host answers with what the target holds instead of the CNAME.
    CnameFlattened "cname-flattened" "The CNAME is proxied or flattened",
    /// A TXT stands where a CNAME must.
    TxtInsteadOfCname "txt-instead-of-cname" "A TXT stands where a CNAME must",
    /// The target is right once stray characters are taken away.
    MalformedValue "malformed-value" "The value holds stray characters",
    /// Several CNAMEs at the name, or a CNAME beside other records.
    ConflictingRecords "conflicting-records" "Records conflict at the name",
    /// Only a wildcard answers.
    WildcardAnswer "wildcard-answer" "A wildcard answers in place of the record",
    /// Earlier tokens of the identity are published, today's are not.
    TokensChanged "tokens-changed" "The published tokens are not today's",
    /// All CNAMEs hold, and no target holds a key.
    NoActiveKey "no-active-key" "No target holds a key",
    /// `p=` is empty.
    KeyRevoked "key-revoked" "The key is revoked",
    /// The TXT is no key record.
    KeyUnreadable "key-unreadable" "The TXT is no usable key record",
    /// An RSA key under 1024 bits.
    KeyWeak "key-weak" "The key is too short",
    /// A usable key, and not the expected one.
    KeyMismatch "key-mismatch" "Another key is published",
    /// More than one TXT at the selector.
    SeveralKeys "several-keys" "Several TXT records at one selector",
    /// `t=y`.
    KeyTesting "key-testing" "The key says that it is being tested",
    /// Some servers hold the record, others answer otherwise with authority.
    ServersDisagree "servers-disagree" "The name servers disagree",
    /// A delegated server doesn't serve the zone.
    ServerLame "server-lame" "A name server does not serve the zone",
    /// A server fails to answer properly.
    ServerFailing "server-failing" "A name server fails",
    /// A server cannot be reached.
    ServerUnreachable "server-unreachable" "A name server cannot be reached",
    /// TXT isn't answered where the CNAME is.
    TxtUnanswerable "txt-unanswerable" "A name server does not answer TXT at the CNAME",
    /// Truncated over UDP, and TCP fails.
    TcpUnanswerable "tcp-unanswerable" "A name server does not answer over TCP",
    /// The records are held in another zone than the one that the parent delegates to.
    WrongNameservers "wrong-nameservers" "The records are not where the parent delegates",
    /// The parent and the zone itself name different name servers.
    DelegationMismatch "delegation-mismatch" "Parent and zone name different name servers",
    /// A delegation lies between the zone and the records.
    ZoneCut "zone-cut" "A delegation hides the records",
    /// The DNS host has several public zones of the name, and the records are in one that isn't delegated.
    SeveralZones "several-zones" "The records are in the wrong zone of several",
    /// The records are only in a private zone.
    PrivateZone "private-zone" "The records are only in a private zone",
    /// A validating resolver refuses the zone's signatures.
    DnssecBogus "dnssec-bogus" "DNSSEC validation fails",
    /// The registered domain doesn't exist any more, or is parked.
    DomainGone "domain-gone" "The domain's registration is gone",
    /// A resolver still answers an absence that is over.
    NegativeCached "negative-cached" "A resolver remembers that the record was absent",
    /// One resolver fails, the servers and the others don't.
    ResolverFailing "resolver-failing" "A resolver fails",
    /// The records are sound; the provider hasn't looked since.
    ProviderBehind "provider-behind" "The provider has not looked again yet",
    /// The provider has stopped looking.
    ProviderGaveUp "provider-gave-up" "The provider has given up",
    /// DKIM isn't set up.
    NotStarted "not-started" "DKIM is not set up at the provider",
    /// The provider doesn't sign.
    SigningDisabled "signing-disabled" "DKIM signing is switched off",
    /// A replica of another region's identity isn't kept up to date.
    ReplicaBroken "replica-broken" "The identity's replica is broken",
    /// The identity was deleted and made anew.
    IdentityRecreated "identity-recreated" "The identity was deleted and made anew",
    /// A record comes and goes at one place.
    Flapping "flapping" "A record comes and goes",
    /// Nothing at all can be reached.
    Offline "offline" "Nothing can be reached from here",
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
