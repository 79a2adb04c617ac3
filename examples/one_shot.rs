//! One shot.
fn main() {}
