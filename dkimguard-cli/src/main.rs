//! dkimguard.
fn main() {}
