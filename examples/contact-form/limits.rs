//! [`Limits`]: how many forms are taken in a minute, from one client and in all.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How many clients are remembered before those are forgotten that have been quiet.
const CLIENTS_KEPT: usize = 10_000;

/// How many forms are taken in a minute.
#[derive(Debug)]
pub(crate) struct Limits {
    each: DefaultKeyedRateLimiter<IpAddr>,
    all: DefaultDirectRateLimiter,
}

impl Limits {
    /// So many from one client, and so many in all; as many at once.
    pub(crate) fn new(per_client: NonZeroU32, per_minute: NonZeroU32) -> Self {
        Self {
            each: RateLimiter::keyed(Quota::per_minute(per_client)),
            all: RateLimiter::direct(Quota::per_minute(per_minute)),
        }
    }

    /// Whether one more may come from this client. What one client sends too much doesn't count against the others.
    pub(crate) fn allow(&self, client: IpAddr) -> bool {
        if self.each.len() > CLIENTS_KEPT {
            self.each.retain_recent();
        }
        self.each.check_key(&network(client)).is_ok() && self.all.check().is_ok()
    }
}

/// Whom a limit holds for: an IPv4 address, or the /64 that one IPv6 host has to itself.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    #[test]
    fn a_client_has_its_share_and_all_have_theirs() {
        let limits = Limits::new(count(2), count(3));
        let allow = |client: &str| limits.allow(client.parse().expect("an address"));
        assert!(allow("192.0.2.1"));
        assert!(allow("::ffff:192.0.2.1"), "the same client, told otherwise");
        assert!(!allow("192.0.2.1"), "its third");
        assert!(allow("2001:db8::1"));
        assert!(!allow("192.0.2.2"), "the fourth in all");
    }

    #[test]
    fn a_host_of_ipv6_is_one_client_whatever_address_it_takes() {
        let limits = Limits::new(count(1), count(9));
        let allow = |client: &str| limits.allow(client.parse().expect("an address"));
        assert!(allow("2001:db8::1"));
        assert!(!allow("2001:db8::ffff:1"));
        assert!(allow("2001:db8:0:1::1"));
    }
}
