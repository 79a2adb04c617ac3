//! Identities from files.
