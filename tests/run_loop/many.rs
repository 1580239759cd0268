//! As many trials as a run may be asked to hold.

use std::path::Path;

use lorasweep::record::TrialState;
use lorasweep::values::Splitting;

use crate::support::{Site, sweep, work, write_result};

#[test]
fn ten_thousand_trials_live_in_one_folder() {
    let rates: Vec<f64> = (1..=100).map(|n| f64::from(n) * 1e-5).collect();
    let splitting = Splitting::KFold { k: 100, stratified: true, seed: 1 };
    let sweep = sweep(&rates).with(|sweep| sweep.splitting = splitting).unwrap();
    // In memory where that is a folder: what takes long is to make so many files durable.
    let memory = Path::new("/dev/shm");
    let site = if memory.is_dir() { Site::of(tempfile::tempdir_in(memory).unwrap()) } else { Site::new() };
    let trials = sweep.trials();
    assert_eq!(trials.len(), 10_000);
    for trial in &trials[100..] {
        write_result(&site.layout(&sweep), trial.id);
    }
    let first = site.run(&sweep, work);
    assert_eq!((first.summary.kept, first.summary.done, first.n_trained()), (9_900, 10_000, 100));
    assert!(first.record.trials.iter().all(|trial| trial.state == TrialState::Done));
    let again = site.run(&sweep, work);
    assert_eq!((again.summary.kept, again.n_trained()), (10_000, 0));
}
