//! The regions by the names that AWS's mails call them.

/// Code and name of each region with SES, lower-case. From AWS's list of regions, as of November 2026.
const REGIONS: [(&str, &str); 35] = [
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
    ("us-gov-west-1", "aws govcloud (us-west)"),
    ("us-gov-east-1", "aws govcloud (us-east)"),
];

/// The code of the region whose code or name begins `text`, which is lower-case, and how long that is there.
pub(super) fn region_at(text: &str) -> Option<(&'static str, usize)> {
    // Names of before 2020: EU (Ireland).
    let (text, is_old) = match text.strip_prefix("eu (") {
        Some(place) => (format!("europe ({}", place.chars().take(20).collect::<String>()), true),
        None => (text.chars().take(40).collect(), false),
    };
    let text = text.replace("são", "sao");
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
    REGIONS.iter().find_map(|&(code, name)| {
        let length =
            [code, name].into_iter().find(|word| text.strip_prefix(word).is_some_and(ends)).map(str::len)?;
        let added = if is_old { "europe".len() - "eu".len() } else { 0 };
        Some((code, length - added))
    })
}
