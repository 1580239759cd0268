//! The grids of two experiments, whole, on few rows.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::site::Site;
use crate::{data, models};

/// Runs a sweep and gives how many trials ended with so many parameters that train, of so many.
fn run(site: &Site, sweep: &str, name: &str, changes: &[&str]) -> BTreeMap<(u64, u64), usize> {
    let path = format!("sweeps/{sweep}.yaml");
    let set = changes.iter().flat_map(|change| ["--set", change]);
    let args: Vec<&str> = ["run", &path, "--json"].into_iter().chain(set).collect();
    let said = site.lorasweep(&args);
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let mut counts = BTreeMap::new();
    for trial in fs::read_dir(site.path().join("results").join(name).join("trials")).unwrap() {
        let result = fs::read(trial.unwrap().path().join("result.json")).unwrap();
        let result: Value = serde_json::from_slice(&result).unwrap();
        let count = |key: &str| result[key].as_u64().unwrap();
        assert!(result["validation"]["loss"].as_f64().unwrap().is_finite(), "{result}");
        *counts.entry((count("trainable_params"), count("total_params"))).or_default() += 1;
    }
    counts
}

#[test]
fn rank_and_alpha_on_both_tiny_encoders() {
    let site = Site::new();
    models::bert_tiny(&site.model("prajjwal1/bert-tiny"), 1);
    models::bert_tiny(&site.model("google/bert_uncased_L-2_H-128_A-2"), 2);
    data::ag_news(&site);
    let counts =
        run(&site, "agnews_rank_alpha", "agnews-rank-alpha", &["task.max_length=16", "task.test_rows=8"]);
    // Query and value of two layers, and a head for four classes on 128 features.
    let (head, base) = (4 * 128 + 4, 4_385_920);
    let adapters = |rank: u64| rank * 2 * 2 * (128 + 128);
    let lora = |rank: u64| (head + adapters(rank), base + head + adapters(rank));
    // Two encoders and three seeds of each; rank 16 with dropout too.
    let expected = [(lora(4), 18), (lora(16), 24), (lora(32), 18), ((0, base + head), 6)];
    assert_eq!(counts, BTreeMap::from_iter(expected));
}

#[test]
fn three_ways_on_complaints() {
    let site = Site::new();
    models::bert_tiny(&site.model("prajjwal1/bert-tiny"), 1);
    models::bert_tokenizer(&site.model("google-bert/bert-base-uncased"));
    data::complaints(&site, ".data/complaints.csv", 6);
    let few = ["task.max_length=16", "task.cleaning.min_label_rows=2"];
    let counts = run(&site, "complaints_three_ways", "complaints-three-ways-full", &few);
    // As the sweep's head says.
    let trainable: Vec<(u64, usize)> =
        counts.iter().map(|((trains, _), trials)| (*trains, *trials)).collect();
    assert_eq!(trainable, [(9_353, 3), (4_387_081, 1), (10_122_249, 1)]);
}
