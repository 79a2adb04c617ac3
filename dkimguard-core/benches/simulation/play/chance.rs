//! Chance: everything that is drawn, from one seed.

use fastrand::Rng;

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const YEAR: i64 = 365 * DAY;

/// The source of one domain's chance.
pub(crate) fn rng(seed: u64, domain: u64) -> Rng {
    Rng::with_seed(mix(seed ^ mix(domain)))
}

/// A number from 0 up to 1 that belongs to this look, whether or not those before it are played.
pub(crate) fn of_look(seed: u64, look: u64) -> f64 {
    // 53 bits are what the fraction of such a number holds.
    (mix(seed.wrapping_add(mix(look))) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A time in seconds until what happens so often on average, at least one.
pub(crate) fn until_next(rng: &mut Rng, mean: f64) -> i64 {
    (-(1.0 - rng.f64()).ln() * mean).clamp(1.0, 1e12) as i64
}

/// A duration in seconds whose logarithm is normally distributed, at least one second.
pub(crate) fn lasting(rng: &mut Rng, median_minutes: f64, spread: f64) -> i64 {
    // The method of Box and Muller.
    let normal = (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
    (60.0 * median_minutes * (spread * normal).exp()).clamp(1.0, 1e9) as i64
}

/// SplitMix64's finaliser.
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
