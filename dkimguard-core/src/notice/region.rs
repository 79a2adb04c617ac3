//! The regions by the names that AWS's mails call them.

/// Code and name of each region with SES, lower-case. From AWS's list of regions, as of November 2026.
const REGIONS: [(&str, &str); 36] = [
    ("us-east-1", "us east (n. virginia)"),
    ("us-east-2", "us east (ohio)"),
    ("us-west-1", "us west (n. california)"),
    ("us-west-2", "us west (oregon)"),
    ("af-south-1", "africa (cape town)"),
    ("ap-east-2", "asia pacific (taipei)"),
    ("ap-northeast-1", "asia pacific (tokyo)"),
    ("ap-northeast-2", "asia pacific (seoul)"),
    ("ap-northeast-3", "asia pacific (osaka)"),
    ("ap-south-1", "asia pacific (mumbai)"),
    ("ap-south-2", "asia pacific (hyderabad)"),
    ("ap-southeast-1", "asia pacific (singapore)"),
    ("ap-southeast-2", "asia pacific (sydney)"),
    ("ap-southeast-3", "asia pacific (jakarta)"),
    ("ap-southeast-4", "asia pacific (melbourne)"),
    ("ap-southeast-5", "asia pacific (malaysia)"),
    ("ap-southeast-6", "asia pacific (new zealand)"),
    ("ap-southeast-7", "asia pacific (thailand)"),
    ("ca-central-1", "canada (central)"),
    ("ca-west-1", "canada west (calgary)"),
    ("eu-central-1", "europe (frankfurt)"),
    ("eu-central-2", "europe (zurich)"),
    ("eu-north-1", "europe (stockholm)"),
    ("eu-south-1", "europe (milan)"),
    ("eu-south-2", "europe (spain)"),
    ("eu-west-1", "europe (ireland)"),
    ("eu-west-2", "europe (london)"),
    ("eu-west-3", "europe (paris)"),
    ("il-central-1", "israel (tel aviv)"),
    ("me-central-1", "middle east (uae)"),
    ("me-south-1", "middle east (bahrain)"),
    ("mx-central-1", "mexico (central)"),
    ("sa-east-1", "south america (sao paulo)"),
    ("sa-east-1", "south america (são paulo)"),
    ("us-gov-west-1", "aws govcloud (us-west)"),
    ("us-gov-east-1", "aws govcloud (us-east)"),
];

/// The code of the region whose code or name begins `text`, which is lower-case, and how long that is there.
pub(super) fn region_at(text: &str) -> Option<(&'static str, usize)> {
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
    find(|word| text.strip_prefix(word).is_some_and(ends))
}

/// The code of the region whose code or name ends `text`, which is lower-case.
pub(super) fn region_ending(text: &str) -> Option<&'static str> {
    let starts = |rest: &str| !rest.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '-');
    find(|word| text.trim_end().strip_suffix(word).is_some_and(starts)).map(|(code, _)| code)
}

/// The region that has a name for which `is_there`, and the length of that.
fn find(is_there: impl Fn(&str) -> bool) -> Option<(&'static str, usize)> {
    REGIONS.iter().find_map(|&(code, name)| {
        // Until 2020 they were called EU (Ireland) and so on.
        let former = name.strip_prefix("europe (").map(|place| format!("eu ({place}"));
        let mut names = [code, name].into_iter().chain(former.as_deref());
        names.find(|word| is_there(word)).map(|word| (code, word.len()))
    })
}
