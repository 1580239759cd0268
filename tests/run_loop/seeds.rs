//! Sweeps that are compared, to which seeds are added, or from which some are taken.

use std::sync::Arc;

use lorasweep::search::Stop;
use lorasweep::sweep::SweepSpec;
use lorasweep::values::{Configuration, Training, What};

use crate::children::Children;
use crate::compared::{nine, told};
use crate::support::Site;

/// Each configuration with a second seed.
fn with_seeds(few: &SweepSpec) -> SweepSpec {
    let all = few.configurations.iter().flat_map(|one| {
        let second = Training { seed: 7, ..one.training.clone() };
        let second = Configuration::new(few.task(one), few.model(one), one.method.clone(), second);
        [Arc::clone(one), Arc::new(second)]
    });
    few.with(|parts| parts.configurations = all.collect()).unwrap()
}

/// The second seed of each configuration alone.
fn second(many: &SweepSpec) -> SweepSpec {
    let second = many.configurations.iter().skip(1).step_by(2).cloned().collect();
    many.with(|parts| parts.configurations = second).unwrap()
}

#[test]
fn seeds_that_are_added_share_the_fate_of_their_configuration() {
    let few = nine(Stop::Halving);
    let many = with_seeds(&few);
    let (site, children) = (Site::new(), Children::new(&many));
    site.run(&few, |key, file| children.work(key, file));
    let outcome = site.run(&many, |key, file| children.work(key, file));
    assert_eq!((outcome.summary.done, outcome.summary.stopped_early, outcome.summary.left), (4, 32, 0));
    let again = site.run(&many, |key, file| children.work(key, file));
    assert_eq!((again.n_trained(), again.summary.stopped_early, again.summary.left), (0, 32, 0));
    let events = told(&site, &many);
    let stopped = events.iter().filter(|event| matches!(event.what, What::TrialsStopped { .. }));
    assert_eq!(stopped.count(), 16, "each is told once");

    // Without what they were stopped with, they are compared with one another.
    let anew = site.run(&second(&many), |key, file| children.work(key, file));
    assert_eq!((anew.summary.left, anew.summary.done + anew.summary.stopped_early), (0, 18));
    assert!(anew.n_trained() > 0);
}

#[test]
fn a_seed_stays_stopped_when_the_one_that_was_compared_is_taken_away() {
    let many = with_seeds(&nine(Stop::Halving));
    let (site, children) = (Site::new(), Children::new(&many));
    site.run(&many, |key, file| children.work(key, file));
    let outcome = site.run(&second(&many), |key, file| children.work(key, file));
    assert_eq!((outcome.n_trained(), outcome.summary.stopped_early, outcome.summary.left), (0, 16, 0));
}
