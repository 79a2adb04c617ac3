//! [`Advice`]: what would be better otherwise, and changes no verdict.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident $code:literal $title:literal,)*) => {
        /// One piece of advice in the catalogue. Codes never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum AdviceCode {
            $($(#[$doc])* $variant,)*
        }

        impl AdviceCode {
            /// All advice, in the catalogue's order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code in JSON and on the command line.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The advice in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

catalogue! {
    /// Not exactly one MX at the MAIL FROM domain, or not the provider's.
    MailFromMx "mail-from-mx" "The MX of the MAIL FROM domain is not the provider's",
    /// No SPF record at the MAIL FROM domain, several, or one without the provider's include.
    MailFromSpf "mail-from-spf" "The SPF record of the MAIL FROM domain does not name the provider",
    /// No DMARC policy, at the domain or at its organisational domain.
    DmarcMissing "dmarc-missing" "No DMARC policy is published",
    /// The DMARC record can't be used.
    DmarcInvalid "dmarc-invalid" "The DMARC record cannot be used",
    /// `adkim=s` or `aspf=s` breaks what this identity sends.
    DmarcStrictAlignment "dmarc-strict-alignment" "Strict DMARC alignment excludes this mail",
    /// The DMARC policy is quarantine or reject while DKIM isn't healthy.
    DmarcEnforced "dmarc-enforced" "DMARC is enforced while DKIM is not healthy",
    /// The records' TTL is so short that each passing fault is felt.
    TtlShort "ttl-short" "The TTL of a record is short",
    /// An absence is remembered for long.
    NegativeTtlLong "negative-ttl-long" "Resolvers remember an absence for long",
    /// An RSA key of 1024 bits.
    Key1024 "key-1024" "The key has 1024 bits",
}

impl fmt::Display for AdviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for AdviceCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// One thing that would be better otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Which row of the catalogue.
    pub code: AdviceCode,
    /// What was seen here and what to do about it, in whole sentences.
    pub detail: String,
}

impl Advice {
    /// The code in JSON and on the command line.
    pub fn code(&self) -> &'static str {
        self.code.code()
    }

    /// The advice in a few words.
    pub fn title(&self) -> &'static str {
        self.code.title()
    }
}
