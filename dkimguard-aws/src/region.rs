//! [`Region`]: an AWS region's name, and the regions in which SES is offered.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The regions in which SES is offered to every account, the one most used first. From the endpoint data that
/// AWS publishes with its SDKs, as of November 2026. Those that an account must switch on first are among them.
const COMMERCIAL: [&str; 33] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "af-south-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
];

/// The same for accounts of AWS GovCloud (US), which see no other regions.
const GOVERNMENT: [&str; 2] = ["us-gov-west-1", "us-gov-east-1"];

/// The same for accounts of the AWS European Sovereign Cloud.
const EUROPEAN: [&str; 1] = ["eusc-de-east-1"];

/// The name of an AWS region, of the shape `us-east-1`. Whether there is such a region, AWS will tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String);

impl Region {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region that the services without regions belong to, for an account that sees this region.
    pub(crate) fn global(&self) -> Self {
        let all = self.beside();
        all.into_iter().next().unwrap_or_default()
    }

    /// The regions with SES that an account sees which sees this region.
    pub(crate) fn beside(&self) -> Vec<Self> {
        let names: &[&str] = match &*self.0 {
            name if name.starts_with("us-gov-") => &GOVERNMENT,
            name if name.starts_with("eusc-") => &EUROPEAN,
            _ => &COMMERCIAL,
        };
        names.iter().map(|name| Self((*name).to_owned())).collect()
    }
}

impl Default for Region {
    /// `us-east-1`, the first region that AWS had.
    fn default() -> Self {
        Self(COMMERCIAL[0].to_owned())
    }
}

impl FromStr for Region {
    type Err = ParseRegionError;

    fn from_str(text: &str) -> Result<Self, ParseRegionError> {
        let refused = || ParseRegionError { text: text.to_owned() };
        let parts: Vec<&str> = text.split('-').collect();
        let (number, words) = parts.split_last().ok_or_else(refused)?;
        let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_lowercase());
        let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|octet| octet.is_ascii_digit());
        if is_number && (2..=4).contains(&words.len()) && words.iter().all(is_word) && text.len() <= 32 {
            Ok(Self(text.to_owned()))
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is no region's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not the name of an AWS region, which looks like `us-east-1`")]
pub struct ParseRegionError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::Region;

    #[test]
    fn every_listed_region_is_of_the_shape_that_is_accepted() {
        for name in super::COMMERCIAL.into_iter().chain(super::GOVERNMENT).chain(super::EUROPEAN) {
            assert_eq!(name.parse::<Region>().map(|region| region.0).as_deref(), Ok(name));
        }
    }

    #[test]
    fn what_cannot_be_a_region_is_refused_and_named() {
        let too_long = format!("us-{}-1", "e".repeat(40));
        for text in [
            "",
            "-",
            "us",
            "us-east",
            "useast1",
            "US-EAST-1",
            "us-east-1 ",
            "us-east-1a",
            "us-east-1.evil.example",
            "us_east_1",
            "us--1",
            "us-east-100",
            "us-éast-1",
            "1-2-3",
            &too_long,
        ] {
            let error = text.parse::<Region>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn all_regions_are_those_of_the_same_partition() {
        let government: Region = "us-gov-west-1".parse().expect("a region");
        assert_eq!(government.beside().len(), 2);
        assert!(Region::default().beside().iter().all(|region| !region.as_str().contains("gov")));
        assert_eq!(government.global().as_str(), "us-gov-west-1");
        let dublin: Region = "eu-west-1".parse().expect("a region");
        assert_eq!(dublin.global().as_str(), "us-east-1");
    }
}
