//! [`tag`]: six digits that tell two notifiers of one kind and place apart.

/// Six hexadecimal digits of a text: the same after every restart and with every version (FNV-1a, cut to 24 bits).
/// They tell two entries of a configuration apart, and say too little of a secret to find it.
pub(super) fn tag<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        // The zero keeps `ab`, `c` apart from `a`, `bc`.
        for octet in part.iter().chain(&[0]) {
            hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{:06x}", (hash ^ (hash >> 24)) & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn tag_stays_what_it_is_and_minds_where_a_part_ends() {
        let of = |parts: &[&str]| tag(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["https://hooks.example.com/a"]), of(&["https://hooks.example.com/a"]));
        assert_ne!(of(&["https://hooks.example.com/a"]), of(&["https://hooks.example.com/b"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        // What was delivered is kept under a name with this in it.
        assert_eq!(of(&["notify"]), "f10c09");
    }
}
