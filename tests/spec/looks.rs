//! What is looked at: the files that some point of the grid uses, and what is on the hub only where
//! nothing is wrong. The hub is offline here, so to be asked for what the cache lacks is an error.

use lorasweep::spec::{Intent, Overrides, SpecErrors};
use lorasweep::sweep::SweepSpec;

use crate::folder::Folder;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const SWEEP: &str = "\
name: demo
tasks:
  here: {train: train.csv, text: text, label: label, max_length: 16}
  hub: {train: someone/news:train, text: text, label: label, max_length: 16}
  gone: {train: gone.csv, text: text, label: label, max_length: 16}
models:
  tiny: {from: tiny}
  big: {from: someone/big}
  idle: {from: someone/idle}
grid:
  - {method: full, model: [tiny, big], learning_rate: 1}
split: {fraction: 0.5}
profiles:
  small: {grid: [{method: full, task: here, model: tiny, learning_rate: 1}]}
";

fn load(folder: &Folder, only: &[&str], profile: Option<&str>) -> Result<SweepSpec, SpecErrors> {
    let only = only.iter().map(ToString::to_string).collect();
    let overrides = Overrides { only, profile: profile.map(str::to_owned), ..Overrides::default() };
    folder.load_as(SWEEP, &overrides, Intent::Run)
}

#[test]
fn only_what_some_point_uses_is_looked_at() {
    let folder = Folder::new();
    let all = folder.plain(&load(&folder, &[], None).unwrap_err());
    for asked in ["someone/news", "gone.csv", "someone/big"] {
        assert!(all.contains(asked), "{all}");
    }
    assert!(!all.contains("someone/idle") && all.contains("3 errors"), "no block uses it: {all}");
    let left = load(&folder, &["task=here", "model=tiny"], None).unwrap();
    assert_eq!((left.tasks.len(), left.models.len(), left.configurations.len()), (1, 1, 1));
    assert!(left.warnings[0].ends_with("model `idle` is not used"), "{:?}", left.warnings);
    let small = load(&folder, &[], Some("small")).unwrap();
    assert_eq!(small.tasks.keys().collect::<Vec<_>>(), ["here"]);
    assert_eq!(small.configurations[0].id, left.configurations[0].id);
}

#[test]
fn what_is_not_used_is_still_judged_by_what_is_written() {
    let folder = Folder::new();
    let sweep = SWEEP
        .replace("gone: {train: gone.csv, text: text,", "gone: {train: gone.csv, rows: none,")
        .replace("idle: {from: someone/idle}", "idle: {from: someone/idle, heads: 2}")
        .replace("model: [tiny, big],", "task: here, model: tiny,");
    insta::assert_snapshot!(folder.message(&sweep));
}

#[test]
fn the_hub_is_not_asked_for_a_sweep_that_is_wrong() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.plain(&load(&folder, &[], Some("smal")).unwrap_err()));
    insta::assert_snapshot!(folder.plain(&load(&folder, &["task=hubb"], None).unwrap_err()));
}

#[test]
fn a_split_of_the_hub_may_be_in_several_files() {
    let folder = Folder::new();
    let rows = |n: usize| format!("text,label\n{}", "row,yes\nrow,no\n".repeat(n));
    folder.write("hub/datasets--someone--news/refs/main", COMMIT);
    let snapshot = format!("hub/datasets--someone--news/snapshots/{COMMIT}");
    for (name, n) in [("train-00000-of-00002", 3), ("train-00001-of-00002", 2), ("test-00000-of-00001", 9)] {
        folder.write(&format!("{snapshot}/data/{name}.csv"), &rows(n));
    }
    let spec = load(&folder, &["task=hub", "model=tiny"], None).unwrap();
    let train = &spec.first_task().train;
    assert_eq!(train.rows, 10);
    assert!(train.path.ends_with("data/train-0000*-of-00002.csv"), "{}", train.path.display());
}

#[test]
fn a_pattern_names_files_of_this_machine() {
    let folder = Folder::new();
    let load = |train: &str| {
        let text = SWEEP.replace("train: train.csv", &format!("train: {train}"));
        let only = ["task=here", "model=tiny"].map(str::to_owned).to_vec();
        folder.load_as(&text, &Overrides { only, ..Overrides::default() }, Intent::Run)
    };
    assert_eq!(load("t*.csv").unwrap().first_task().train.rows, 16);
    let [one, pattern] = ["train.csv", "tr*.csv"].map(|name| load(name).unwrap().configurations[0].id);
    assert_eq!(one, pattern, "one file is the same task however it is named");
    insta::assert_snapshot!(folder.plain(&load("data/part-*.csv").unwrap_err()));
    insta::assert_snapshot!(folder.plain(&load("part-*.csv").unwrap_err()));
}
