//! Runs whose points are proposed generation after generation, whatever happens to the orchestrator.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam::channel::{never, unbounded};
use lorasweep::record::{self, TrialState};
use lorasweep::run::StopRequest;
use lorasweep::search::{Sampler, Stop, StopRule};
use lorasweep::sweep::{Proposing, SweepSpec};
use lorasweep::values::{Event, Failure, JobKey, Point, What};
use serde_json::json;

use crate::children::{Children, FOLDS};
use crate::compared::{one_by_one, told};
use crate::fake_executor::FakeExecutor;
use crate::keep::lorasweep;
use crate::resume::CrashAt;
use crate::support::{Outcome, Site, compared, failed, when_training};

/// Points of a generation.
const GENERATION: usize = 4;

/// A sweep over learning rates from 1e-5 to 1e-1, of this many points.
fn sweep(sampler: Sampler, trials: u32, stop: Option<StopRule>) -> SweepSpec {
    let block = json!({
        "space": {"dimensions": [{"values": {"range": {"low": 1e-5, "high": 1e-1, "scale": "log", "whole": false}}}]},
        "sets": [{"number": "learning_rate"}],
        "repeats": [],
        "given": {"task": ["task"], "model": ["small"], "method": ["lora"], "rank": [4], "alpha": [8.0]},
        "exclude": [],
        "only": {},
    });
    let blocks = vec![serde_json::from_value(block).unwrap()];
    let generation = u32::try_from(GENERATION).unwrap();
    let proposing = Proposing { sampler, seed: 1, trials, generation, budget_s: None, blocks };
    let listed = compared(&[1e-3], stop);
    let task = listed.first_task().name.clone();
    let proposing: Proposing = serde_json::from_str(
        &serde_json::to_string(&proposing).unwrap().replace("[\"task\"]", &format!("[{task:?}]")),
    )
    .unwrap();
    let points = proposing.next(&proposing.blocks[0], &[]);
    let with = listed.with(|parts| parts.proposing = Some(proposing.clone())).unwrap();
    let first = points.iter().flat_map(|point| with.configurations_of(&proposing.blocks[0], point)).collect();
    with.with(|parts| parts.configurations = first).unwrap()
}

fn tpe(trials: u32) -> SweepSpec {
    sweep(Sampler::Tpe, trials, None)
}

/// The generations that were proposed.
fn proposals(events: &[Event]) -> Vec<Vec<Point>> {
    let points = |event: &Event| {
        if let What::GenerationProposed { points, .. } = &event.what { Some(points.clone()) } else { None }
    };
    events.iter().filter_map(points).collect()
}

fn run(site: &Site, sweep: &SweepSpec) -> Outcome {
    let children = Children::new(sweep);
    site.run(sweep, |key, file| children.work(key, file))
}

fn reports(outcome: &Outcome) -> usize {
    outcome.started.iter().filter(|job| *job == "report").count()
}

/// The learning rates of a run's configurations, in their order.
fn rates(outcome: &Outcome) -> Vec<f64> {
    outcome.record.sweep.configurations.iter().map(|one| one.training.learning_rate).collect()
}

#[test]
fn generations_follow_one_another_and_come_closer() {
    let (site, sweep) = (Site::new(), tpe(16));
    assert_eq!(sweep.configurations.len(), GENERATION, "the others are not known yet");
    let outcome = run(&site, &sweep);
    assert_eq!((outcome.summary.done, outcome.summary.left), (16 * FOLDS, 0));
    assert_eq!(proposals(&outcome.events).iter().map(Vec::len).collect::<Vec<_>>(), [GENERATION; 3]);
    assert_eq!((reports(&outcome), outcome.started.last().map(String::as_str)), (1, Some("report")));
    let far = |rate: &f64| (rate.log10() + 3.0).abs();
    let rates = rates(&outcome);
    let mean = |part: &[f64]| part.iter().map(far).sum::<f64>() / part.len() as f64;
    // The first eight are Sobol's.
    assert!(mean(&rates[8..]) < 0.5 * mean(&rates[..8]), "{rates:?}");
    let again = run(&site, &sweep);
    assert_eq!((again.summary.kept, again.started), (16 * FOLDS, vec!["report".to_owned()]));
    let more = run(&site, &tpe(20));
    assert_eq!((more.summary.kept, more.summary.done), (16 * FOLDS, 20 * FOLDS));
    assert_eq!(self::rates(&more)[..16], rates[..], "what was proposed stays");
}

#[test]
fn a_crash_at_any_event_changes_no_proposal() {
    for stop in [None, Some(StopRule::new(Stop::Halving))] {
        let sweep = sweep(Sampler::Tpe, 12, stop);
        let whole = run(&Site::new(), &sweep);
        assert_eq!(whole.summary.stopped_early > 0, stop.is_some());
        for n in 0.. {
            let (site, children) = (Site::new(), Children::new(&sweep));
            let crashed = catch_unwind(AssertUnwindSafe(|| {
                let mut executor = FakeExecutor::new(|key, file| children.work(key, file));
                site.start(&sweep, &mut executor, &mut CrashAt(n), &never()).unwrap();
            }));
            if crashed.is_ok() {
                assert!(n > 30, "the run has {n} events");
                break;
            }
            let outcome = site.run(&sweep, |key, file| children.work(key, file));
            assert_eq!(proposals(&told(&site, &sweep)), proposals(&whole.events), "event {n}");
            let states = |outcome: &Outcome| -> Vec<(String, bool)> {
                let trials = outcome.record.trials.iter();
                trials.map(|one| (one.trial.id.to_string(), one.state == TrialState::Done)).collect()
            };
            assert_eq!(states(&outcome), states(&whole), "event {n}");
            assert!(outcome.summary.reported, "event {n}");
        }
    }
}

#[test]
fn a_run_that_is_stopped_proposes_nothing_and_goes_on_later() {
    let (site, sweep) = (Site::new(), tpe(12));
    let children = Children::new(&sweep);
    let (stop, stops) = unbounded();
    // With the first job of the second generation.
    let mut trained = 0;
    let outcome = site.run_until(
        &sweep,
        |key, file| {
            trained += usize::from(matches!(key, JobKey::Train(_)));
            if trained > 0
                && told(&site, &sweep)
                    .iter()
                    .any(|event| matches!(event.what, What::GenerationProposed { .. }))
            {
                stop.send(StopRequest { force: false }).unwrap();
            }
            children.work(key, file)
        },
        &stops,
    );
    assert!(outcome.summary.stopped && !outcome.summary.reported);
    assert_eq!(proposals(&outcome.events).len(), 1);
    let later = run(&site, &sweep);
    assert_eq!((later.summary.done, reports(&later)), (12 * FOLDS, 1));
}

#[test]
fn points_that_fail_count_as_bad_and_end_a_run_that_fails_fast() {
    let (mut site, sweep) = (Site::new(), tpe(8));
    let diverge = || when_training(|_, _| failed(Failure::Diverged { step: 1 }));
    let outcome = site.run(&sweep, diverge());
    assert_eq!((outcome.summary.failed, outcome.summary.left), (8 * FOLDS, 0));
    assert!(outcome.summary.reported);
    site = Site::new();
    site.options.policy.fail_fast = true;
    let outcome = site.run(&sweep, diverge());
    assert_eq!(proposals(&outcome.events).len(), 0);
    assert!(!outcome.summary.reported);
}

#[test]
fn a_budget_ends_the_search_and_more_of_it_goes_on() {
    let budget = |budget_s: f64| {
        let sweep = sweep(Sampler::Sobol, 12, None);
        sweep.with(|parts| parts.proposing.as_mut().unwrap().budget_s = Some(budget_s)).unwrap()
    };
    let site = Site::new();
    let outcome = run(&site, &budget(1e-3));
    assert_eq!((outcome.summary.done, reports(&outcome)), (GENERATION * FOLDS, 1));
    let warns = |event: &&Event| matches!(&event.what, What::Warned { message } if message.contains("ends the search"));
    assert_eq!(outcome.events.iter().filter(warns).count(), 1);
    let more = run(&site, &budget(1e6));
    assert_eq!((more.summary.kept, more.summary.done), (GENERATION * FOLDS, 12 * FOLDS));
    let all: BTreeSet<String> = rates(&more).iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 12);
}

#[test]
fn a_trial_of_a_later_generation_is_explained_while_it_waits() {
    let (site, sweep) = (one_by_one(), tpe(8));
    let (children, layout) = (Children::new(&sweep), site.layout(&sweep));
    let mut said = None;
    site.run(&sweep, |key, file| {
        let is_proposed = proposals(&told(&site, &sweep)).len() == 1;
        if said.is_none() && is_proposed && matches!(key, JobKey::Train(_)) {
            let last = record::load(layout.run()).unwrap().trials.last().unwrap().trial.id;
            said = Some(lorasweep("explain", &layout, &[&last.to_string()]).stdout);
        }
        children.work(key, file)
    });
    assert!(said.as_ref().is_some_and(|said| said.contains("it waits for a free device")), "{said:?}");
}
