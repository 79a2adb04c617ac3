//! The catalogue: every code is explained, and `docs/causes.md` says the same.

use std::collections::HashSet;
use std::{env, fs};

use dkimguard_core::judge::Entry;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/causes.md");

#[test]
fn every_code_is_explained_in_whole_sentences() {
    for entry in Entry::all() {
        let text = entry.explanation;
        for part in [text.what, text.seen, text.look_alike, text.remedy] {
            assert!(part.ends_with(['.', ')']), "{}: {part:?} is no sentence", entry.code);
        }
        assert!(!text.rests_on.is_empty(), "{} rests on nothing", entry.code);
        for source in text.rests_on {
            let names_a_section = source.starts_with("RFC ") && source.contains('§');
            assert!(names_a_section || source.starts_with("https://"), "{}: {source:?}", entry.code);
        }
    }
}

#[test]
fn every_text_is_short_and_80_columns_wide() {
    for entry in Entry::all() {
        let text = entry.to_string();
        let body = text.lines().skip(3).take_while(|line| !line.starts_with("Rests on")).count();
        assert!((5..=15).contains(&body), "{body} lines:\n{text}");
        for line in text.lines().filter(|line| !line.contains("https://")) {
            assert!(line.chars().count() <= 80, "{}: {line:?}", entry.code);
        }
    }
}

#[test]
fn codes_are_unique_and_found() {
    let codes: HashSet<&str> = Entry::all().map(|entry| entry.code).collect();
    assert_eq!(codes.len(), Entry::all().count());
    for entry in Entry::all() {
        assert_eq!(Entry::find(entry.code), Some(entry));
    }
    assert_eq!(Entry::find("no-such-code"), None);
}

#[test]
fn the_page_in_docs_says_what_the_catalogue_says() {
    let page = Entry::all_as_markdown();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PAGE, &page).expect("docs/causes.md can be written");
    }
    let kept = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        kept == page,
        "docs/causes.md is not what the catalogue says; write it anew with \
         UPDATE_DOCS=1 cargo test -p dkimguard-core --test catalogue"
    );
}
