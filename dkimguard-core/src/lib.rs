//! dkimguard's core.

pub mod error;
#[cfg(feature = "file")]
pub mod file;
pub mod history;
pub mod identity;
pub mod judge;
pub mod key_record;
pub mod look;
pub mod name;
pub mod ports;
pub mod record;
#[cfg(feature = "testing")]
pub mod testing;
pub mod zone;
#[cfg(feature = "zone-file")]
pub mod zone_file;
