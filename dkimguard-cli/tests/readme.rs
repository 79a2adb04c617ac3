//! What the README shows is what there is.

use std::error::Error;
use std::fs;
use std::process::Command;

use dkimguard_core::testing::{Lab, World};
use serde_json::Value;

const README: &str = include_str!("../../README.md");

/// The port of the servers in the README. A lab's has five digits too, so that lines break where they do there.
const PORT: &str = "20053";

/// The first block of this language.
fn block(language: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("\n```{language}\n")).expect("there is such a block");
    rest.split_once("```").expect("it ends").0
}

#[test]
fn the_file_is_sound_and_the_check_prints_what_is_shown() -> Result<(), Box<dyn Error>> {
    let mut world = World::easy_dkim("example.com");
    world.server(World::NS1).set_serial("example.com", 2);
    world.server(World::NS2).remove("bbb._domainkey.example.com").set_serial("example.com", 1);
    let lab = Lab::start(world)?;
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("identities.toml"), block("toml"))?;

    let port = lab.port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_dkimguard"))
        .current_dir(directory.path())
        .args(["check", "--source", "file:identities.toml", "example.com", "--color", "never"])
        .args(["--resolver", &lab.resolver().to_string(), "--authoritative-port", &port])
        .output()?;
    let text = String::from_utf8(output.stdout)?.replace(&port, PORT);
    assert_eq!(text, block("text"), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}

#[test]
fn the_policy_is_that_of_the_library() -> Result<(), Box<dyn Error>> {
    let shown: Value = serde_json::from_str(block("json"))?;
    assert_eq!(shown, serde_json::from_str::<Value>(dkimguard_aws::READ_ONLY_POLICY)?);
    Ok(())
}
