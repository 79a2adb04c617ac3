//! Programs that use dkimguard as a library; see the examples of this package.

/// The README's Rust compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub mod readme {}
