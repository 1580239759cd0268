//! The shape of the source, as `src/lib.rs` states it: the order of its rooms, what each of them must
//! not do, and how large a file may be. Reads the source as text; tests in it are left out.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the source should end")]

mod docs;
mod source;

use std::collections::BTreeMap;

use source::{File, files, imports};

/// Most lines of a file.
const MOST_LINES: usize = 400;

/// The rooms in the order of the table in `src/lib.rs`, lowest first.
fn rooms() -> Vec<String> {
    let map = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let (_, table) = map.split_once("# Who owns what").unwrap();
    let (table, _) = table.split_once("# What is absent").unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    cells.map(|line| line.split('`').next().unwrap().to_owned()).collect()
}

#[test]
fn every_room_is_in_the_table_once() {
    let mut stated = rooms();
    let mut found: Vec<String> = files().iter().map(File::room).filter(|room| room != "lib").collect();
    found.retain(|room| room != "main");
    stated.sort();
    found.sort();
    found.dedup();
    assert_eq!(stated, found);
}

/// A room may use those above it in the table, and no other.
#[test]
fn no_room_uses_one_below_it_in_the_table() {
    let rooms = rooms();
    let floor = |room: &str| rooms.iter().position(|other| other == room);
    let mut arrows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut seen = 0;
    for file in files().iter().filter(|file| floor(&file.room()).is_some()) {
        for used in imports(&file.code) {
            seen += 1;
            let from = file.room();
            if used != from && floor(&used) >= floor(&from) {
                arrows.entry((from, used)).or_default().push(file.name.clone());
            }
        }
    }
    assert!(seen > 500, "only {seen} imports were found: does this test read the source right?");
    let told: Vec<String> =
        arrows.iter().map(|((from, to), files)| format!("{from} uses {to}: {}", files.join(", "))).collect();
    assert!(told.is_empty(), "arrows that run up:\n{}", told.join("\n"));
}

/// Fails for every file outside the rooms in `only` whose code has one of the words.
fn only_in(only: &[&str], words: &[&str]) {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| !only.contains(&file.room().as_str())) {
        found.extend(
            words
                .iter()
                .filter(|word| file.code.contains(*word))
                .map(|word| format!("{} has `{word}`", file.name)),
        );
    }
    assert!(found.is_empty(), "only {} may: {}", only.join(", "), found.join("; "));
}

#[test]
fn only_the_command_line_knows_its_parser() {
    only_in(&["cli"], &["clap::", "use clap"]);
}

#[test]
fn only_the_executor_starts_processes() {
    only_in(&["exec"], &["Command::new(", "process::Command"]);
}

#[test]
fn only_the_hub_opens_connections() {
    only_in(&["hub"], &["ureq::", "hf_hub::", "TcpStream"]);
}

#[test]
fn only_the_user_interface_and_the_child_write_to_the_standard_streams() {
    // The fault that ends a run of libtorch's loader is told before there is anything else.
    only_in(&["ui", "main", "worker"], &["println!", "eprintln!", "io::stdout(", "io::stderr("]);
}

#[test]
fn the_pure_rooms_touch_no_disk_and_read_no_clock() {
    let pure = ["values", "families", "tasks", "sweep", "cost", "sched", "plan"];
    let words = ["std::fs", "fs::read", "File::open", "Instant::now", "SystemTime::now", "Timestamp::now"];
    for file in files().iter().filter(|file| pure.contains(&file.room().as_str())) {
        for word in words {
            assert!(!file.code.contains(word), "{} has `{word}`", file.name);
        }
    }
}

#[test]
fn files_are_short() {
    for file in files() {
        assert!(file.lines <= MOST_LINES, "{} has {} lines", file.name, file.lines);
    }
}
