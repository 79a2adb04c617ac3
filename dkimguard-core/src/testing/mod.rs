//! Fakes, a manual clock, a lab of name servers on loopback.
