//! The ports of dkimguard-core for Amazon SES.
