//! The built binary, with nothing of the caller's that it would heed.

use std::process::{Command, Stdio};

/// The binary, about to run: without the caller's options, accounts, proxies, terminal and service manager, and without
/// input.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dkimguard"));
    let heeded = |name: &str| {
        let name = name.to_ascii_uppercase();
        ["DKIMGUARD_", "AWS_", "XDG_"].iter().any(|start| name.starts_with(start))
            || name.ends_with("_PROXY")
            || ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"].contains(&name.as_str())
            || ["STATE_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].contains(&name.as_str())
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| heeded(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
        .env("HOME", "/nonexistent")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}
