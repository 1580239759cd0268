//! The shape of the source, as `src/lib.rs` states it: the order of its rooms, what each of them must
//! not do, and how large a file may be. Reads the source as text; tests in it are left out.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the source should end")]

mod docs;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use source::{File, behind, files, imports};

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

/// Modules of a room that use each other nevertheless.
const TOGETHER: [(&str, &[&str]); 5] = [
    // An axis is a field and its row, which stand together; the table is made of all rows.
    ("values", &["axes", "method", "training"]),
    ("adapter", &["fit", "names", "peft"]),
    // What encoders have in common is built from BERT's configuration.
    ("families", &["bert", "encoder", "config", "detect", "family"]),
    ("spec", &["grid", "label_names", "raw", "survey", "survey_models"]),
    ("tokenizer", &["added", "files", "settings"]),
];

/// Which of a room's modules each of them uses.
fn arrows_within(room: &str, files: &[File]) -> BTreeMap<String, BTreeSet<String>> {
    let inside: Vec<(Vec<&str>, &File)> = files
        .iter()
        .map(|file| (file.module(), file))
        .filter(|(module, _)| module.len() > 1 && module[0] == room)
        .collect();
    let modules: BTreeSet<&str> = inside.iter().map(|(module, _)| module[1]).collect();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, file) in &inside {
        let mut used = behind(&file.code, &format!("crate::{room}::"));
        used.extend(behind(&file.code, &"super::".repeat(module.len() - 1)));
        used.retain(|name| modules.contains(name.as_str()) && name != module[1]);
        arrows.entry(module[1].to_owned()).or_default().extend(used);
    }
    arrows
}

/// Everything that can be reached from here.
fn reached<'a>(from: &'a str, arrows: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(next) = open.pop() {
        open.extend(
            arrows.get(next).into_iter().flatten().map(String::as_str).filter(|to| found.insert(*to)),
        );
    }
    found
}

#[test]
fn no_modules_of_a_room_use_each_other() {
    let files = files();
    let mut circles = BTreeSet::new();
    let mut seen = 0;
    for room in rooms() {
        let arrows = arrows_within(&room, &files);
        seen += arrows.values().map(BTreeSet::len).sum::<usize>();
        let allowed = TOGETHER.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, modules)| modules);
        for module in arrows.keys() {
            let all = reached(module, &arrows);
            let circle: Vec<&str> = all
                .iter()
                .copied()
                .filter(|other| reached(other, &arrows).contains(module.as_str()))
                .collect();
            if circle.iter().any(|module| !allowed.contains(module)) {
                circles.insert(format!("{room}: {}", circle.join(", ")));
            }
        }
    }
    assert!(seen > 300, "only {seen} arrows were found: does this test read the source right?");
    assert!(circles.is_empty(), "modules that use each other:\n{}", Vec::from_iter(circles).join("\n"));
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
    only_in(&["hub"], &["ureq::", "TcpStream"]);
}

#[test]
fn only_the_user_interface_and_the_child_write_to_the_standard_streams() {
    // The fault that ends a run of libtorch's loader is told before there is anything else.
    only_in(&["ui", "main", "worker"], &["println!", "eprintln!", "io::stdout(", "io::stderr("]);
}

/// What is pure: rooms, and parts of rooms by how the names of their files begin.
const PURE: [&str; 11] = [
    "values/",
    "families/",
    "tasks/",
    "sweep/",
    "cost/",
    "sched/",
    "plan/",
    "spec/check",
    "spec/grid",
    "record/ledger",
    "report/",
];

/// Those of them that write what the others have made: the report's files, and its charts as PNG.
const WRITERS: [&str; 3] = ["report/mod.rs", "report/plots/mod.rs", "report/plots/paint.rs"];

#[test]
fn what_is_pure_touches_no_disk_and_reads_no_clock() {
    let words = [
        "std::fs",
        "fs::read",
        "fs::write",
        "File::",
        "disk::files",
        "Instant::now",
        "SystemTime::now",
        "Timestamp::now",
    ];
    let files = files();
    for pure in PURE {
        let mut of_it = files.iter().filter(|file| file.name.starts_with(pure)).peekable();
        assert!(of_it.peek().is_some(), "there is no `{pure}`");
        for file in of_it.filter(|file| !WRITERS.contains(&file.name.as_str())) {
            for word in words {
                assert!(!file.code.contains(word), "{} has `{word}`", file.name);
            }
        }
    }
}

/// Whoever writes a name that `disk::layout` gives builds a path under `results/` by hand.
#[test]
fn only_the_layout_names_the_files_of_a_run() {
    let name = Regex::new(r#"\.join\("([^"]+)"\)"#).unwrap();
    let files = files();
    let layout = files.iter().find(|file| file.name == "disk/layout.rs").unwrap();
    let names: BTreeSet<&str> =
        name.captures_iter(&layout.code).map(|found| found.get(1).unwrap().as_str()).collect();
    assert!(names.contains("trials") && names.len() > 10, "{names:?}");
    for file in files.iter().filter(|file| file.name != layout.name) {
        for found in name.captures_iter(&file.code) {
            assert!(!names.contains(&found[1]), "{} joins `{}`", file.name, &found[1]);
        }
    }
}

#[test]
fn files_are_short() {
    for (path, text) in docs::sources() {
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
    }
}
