//! As many trials as a run may be asked to hold.

use std::time::{Duration, Instant};

use lorasweep::run::record::TrialState;

use crate::support::{Site, sweep, work};

/// Far more than it takes where nothing is optimised, far less than anything quadratic.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn ten_thousand_trials_live_in_one_folder() {
    let rates: Vec<f64> = (1..=5000).map(|n| f64::from(n) * 1e-6).collect();
    let (site, sweep) = (Site::new(), sweep(&rates));
    let begun = Instant::now();
    let first = site.run(&sweep, work);
    assert_eq!((first.summary.done, first.summary.left), (10_000, 0));
    assert!(first.record.trials.iter().all(|trial| trial.state == TrialState::Done));
    let again = site.run(&sweep, work);
    assert_eq!((again.summary.kept, again.n_trained()), (10_000, 0));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}
