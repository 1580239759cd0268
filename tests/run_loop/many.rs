//! As many trials as a run may be asked to hold.

use lorasweep::run::record::TrialState;
use lorasweep::spec::SweepSpec;
use lorasweep::trial::Splitting;

use crate::support::{Site, sweep, work};

#[test]
fn ten_thousand_trials_live_in_one_folder() {
    let rates: Vec<f64> = (1..=100).map(|n| f64::from(n) * 1e-5).collect();
    let splitting = Splitting::KFold { k: 100, stratified: true, seed: 1 };
    let (site, sweep) = (Site::new(), SweepSpec { splitting, ..sweep(&rates) });
    let first = site.run(&sweep, work);
    assert_eq!((first.summary.done, first.summary.left), (10_000, 0));
    assert!(first.record.trials.iter().all(|trial| trial.state == TrialState::Done));
    let again = site.run(&sweep, work);
    assert_eq!((again.summary.kept, again.n_trained()), (10_000, 0));
}
