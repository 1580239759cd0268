//! The documentation beside the code: its links lead somewhere, the tests that it names are there, and
//! the README is short.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Most bytes of the README.
const README_BYTES: usize = 10_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project's pages, with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let names = ["", "sweeps", "results", "reports", "reports/example", "tests", "tests/bench"];
    let mut found = Vec::new();
    for folder in names.map(|name| root().join(name)) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "md") {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() >= 7, "only {} pages", found.len());
    found
}

/// The anchor that a heading gets on the pages of code hosts.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .collect::<String>();
    kept.replace(' ', "-")
}

fn anchors(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn every_link_within_the_project_leads_somewhere() {
    let links = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut followed = 0;
    for (page, text) in pages() {
        for found in links.captures_iter(&text) {
            let link = &found[1];
            if link.contains("://") {
                continue;
            }
            let (file, wanted) =
                link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: `{link}` leads nowhere", page.display());
            if let Some(wanted) = wanted {
                let there = fs::read_to_string(&target).unwrap();
                assert!(
                    anchors(&there).iter().any(|a| a == wanted),
                    "{}: no heading for `{link}`",
                    page.display()
                );
            }
            followed += 1;
        }
    }
    assert!(followed > 10, "only {followed} links were found");
}

#[test]
fn the_readme_is_short() {
    let length = fs::read(root().join("README.md")).unwrap().len();
    assert!(length < README_BYTES, "README.md has {length} bytes");
}

/// Every Rust file of `src/` and `tests/`, with its text.
pub(crate) fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

/// A promise names its tests as `file.rs` and as `the_name…` or `…part of it…`.
#[test]
fn the_tests_that_promises_name_are_there() {
    let page = fs::read_to_string(root().join("tests/README.md")).unwrap();
    let (_, table) = page.split_once("## Promises and their tests").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 30, "only {} promises were found", rows.len());
    let sources = sources();
    let marked = Regex::new(r"`([^`]+)`").unwrap();
    let name = Regex::new(r"^…?[a-z0-9_]+(?:…|$)").unwrap();
    for row in rows {
        let tests = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap();
        for found in marked.captures_iter(tests) {
            let word = &found[1];
            if word.ends_with(".rs") {
                for file in braces(word) {
                    let is_there = sources.iter().any(|(path, _)| path.ends_with(&file));
                    assert!(is_there, "there is no `{file}`: {row}");
                }
            } else if name.is_match(word) && word.contains('_') {
                if root().join("tests").join(word).is_dir() {
                    continue;
                }
                let part = word.trim_matches('…');
                let is_there = sources.iter().any(|(_, text)| {
                    text.lines().any(|line| line.trim_start().starts_with("fn ") && line.contains(part))
                });
                assert!(is_there, "there is no test `{word}`: {row}");
            }
        }
    }
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn braces(word: &str) -> Vec<String> {
    let Some((before, rest)) = word.split_once('{') else { return vec![word.to_owned()] };
    let (list, after) = rest.split_once('}').unwrap();
    list.split(',').map(|part| format!("{before}{part}{after}")).collect()
}

#[test]
fn headings_and_lists_are_read_as_hosts_read_them() {
    assert_eq!(anchor(" Promises, and their `tests`"), "promises-and-their-tests");
    assert_eq!(braces("a/{b,c}.rs"), ["a/b.rs", "a/c.rs"]);
}
