//! Workers that train one pack after the other, and wait in between.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use lorasweep::record::resume;
use lorasweep::values::{JobKey, TrialId};
use rustix::process::Signal;
use serde_json::Value;

use crate::life::{Ended, Life};
use crate::site::{FEW, Site};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// One pack of one trial after the other, on one core.
const ONE_BY_ONE: [&str; 5] = ["run", "chaos.yaml", "--json", "--devices=cpu:1", "--pack-slots=1"];

/// Two points of a grid.
const LARGE: &str =
    "{method: lora, model: small, rank: 4, alpha: 4, learning_rate: 1e-3, batch_size: 64, epochs: 2}";
const SMALL: &str =
    "{method: lora, model: small, rank: 4, alpha: 4, learning_rate: 1e-3, batch_size: 2, epochs: 1}";

/// The first trial of each pack of a run, the process of its worker, and whether it failed.
fn packs(site: &Site) -> Vec<(TrialId, u64, bool)> {
    let said = site.lorasweep(&ONE_BY_ONE).stdout;
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let train = |event: &Value, kind: &str| match event["key"].as_str()?.parse() {
        Ok(JobKey::Train(first)) if event["event"] == kind => Some(first),
        _ => None,
    };
    let failed: Vec<TrialId> = events.iter().filter_map(|event| train(event, "job_failed")).collect();
    let started = events.iter().filter_map(|event| Some((train(event, "job_started")?, event)));
    started.map(|(first, event)| (first, event["pid"].as_u64().unwrap(), failed.contains(&first))).collect()
}

#[test]
fn one_worker_trains_pack_after_pack_until_one_fails() {
    let packs = packs(&Site::new(30));
    assert!(packs.iter().any(|(_, _, failed)| *failed) && packs.len() >= 30);
    for pair in packs.windows(2) {
        let [(_, pid, failed), (_, next, _)] = pair else { unreachable!("windows of two") };
        assert_eq!(pid != next, *failed, "{packs:?}");
    }
}

#[test]
fn workers_that_wait_die_with_their_orchestrator() {
    let site = Site::new(FEW);
    write_sweep(&site, &[LARGE, SMALL]);
    let life = Life::start(&site, Some(1));
    assert!(life.wait_for("trial_finished", PATIENCE) && life.wait_for("job_finished", PATIENCE));
    assert!(life.children().len() > 1, "one waits, while the other trains or a report is written");
    life.signal(Signal::KILL);
    assert_eq!(life.end(PATIENCE), Ended::Killed);
}

/// Its peak is within a tenth of what it is in a process of its own, though the pack before took far more.
#[test]
fn a_small_pack_after_a_large_one_is_charged_for_its_own_memory() {
    let peaks = |grid: &[&str]| -> BTreeMap<TrialId, f64> {
        let site = Site::new(FEW);
        write_sweep(&site, grid);
        let packs = packs(&site);
        assert!(packs.iter().all(|(_, pid, failed)| *pid == packs[0].1 && !failed), "{packs:?}");
        let peak = |id: TrialId| resume::result(&site.layout, id).unwrap().cost.peak_memory_mib;
        assert!(packs.windows(2).all(|pair| peak(pair[0].0) > 1.5 * peak(pair[1].0)));
        packs.iter().map(|(id, ..)| (*id, peak(*id))).collect()
    };
    let (both, alone) = (peaks(&[LARGE, SMALL]), peaks(&[SMALL]));
    let (id, fresh) = alone.first_key_value().unwrap();
    assert!((both[id] / fresh - 1.0).abs() <= 0.1, "{both:?} against {alone:?}");
}

/// Long rows, for a model whose memory they fill.
fn write_sweep(site: &Site, grid: &[&str]) {
    let row = |n: usize| format!("{} {n},{}\n", "good text bad row ".repeat(32), ["yes", "no"][n % 2]);
    let rows: String = (0..160).map(row).collect();
    fs::write(site.folder().join("train.csv"), format!("text,label\n{rows}")).unwrap();
    let points: String = grid.iter().map(|point| format!("  - {point}\n")).collect();
    let sweep = format!(
        "name: chaos
task: {{train: train.csv, text: [text], label: label, max_length: 128}}
models:
  small: {{architecture: bert, layers: 2, hidden: 64, heads: 8, intermediate: 128, tokenizer: tokenizer}}
grid:
{points}split: {{fraction: 0.2}}
"
    );
    fs::write(site.folder().join("chaos.yaml"), sweep).unwrap();
}
