//! Programs that use dkimguard as a library; see the examples of this package.
