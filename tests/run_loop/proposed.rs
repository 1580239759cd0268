//! Runs whose points are proposed generation after generation, whatever happens to the orchestrator.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam::channel::{never, unbounded};
use lorasweep::exec::{Exit, News};
use lorasweep::job::{ChildLine, ToChild};
use lorasweep::record::orders::{self, Order};
use lorasweep::record::{self, TrialState};
use lorasweep::run::StopRequest;
use lorasweep::search::{Sampler, Stop, StopRule};
use lorasweep::sweep::{Proposing, SweepParts, SweepSpec};
use lorasweep::values::{Event, Failure, JobKey, Point, What};
use serde_json::json;

use crate::children::{Children, FOLDS, STEPS};
use crate::compared::{CrashWhen, one_by_one, told};
use crate::fake_executor::FakeExecutor;
use crate::keep::lorasweep;
use crate::resume::CrashAt;
use crate::support::{Outcome, Site, compared, failed, when_training, write_checkpoint};

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
    with_first_generation(&listed.with(|parts| parts.proposing = Some(proposing)).unwrap())
}

/// The sweep with the configurations that its file gives it.
fn with_first_generation(sweep: &SweepSpec) -> SweepSpec {
    let proposing = sweep.proposing.as_ref().unwrap();
    let points = proposing.blocks.iter().map(|block| (block, proposing.next(block, &[])));
    let first = points.flat_map(|(block, points)| {
        points.into_iter().flat_map(|point| sweep.configurations_of(block, &point))
    });
    sweep.with(|parts| parts.configurations = first.collect()).unwrap()
}

fn tpe(trials: u32) -> SweepSpec {
    sweep(Sampler::Tpe, trials, None)
}

/// The points of each generation.
fn proposals(events: &[Event]) -> Vec<Vec<Point>> {
    let points = |event: &Event| {
        let What::GenerationProposed { blocks } = &event.what else { return None };
        Some(blocks.iter().flat_map(|block| block.points.iter().cloned()).collect())
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

/// Points that a sweep had before have trials that were stopped, or failed.
#[test]
fn what_was_tried_under_another_search_counts_as_it_ended() {
    let site = Site::new();
    let rule = Some(StopRule::new(Stop::Halving));
    run(&site, &sweep(Sampler::Sobol, 12, rule));
    let budget = |sweep: SweepSpec| {
        let set = |parts: &mut SweepParts| parts.proposing.as_mut().unwrap().budget_s = Some(1e6);
        sweep.with(set).unwrap()
    };
    let again = run(&site, &budget(sweep(Sampler::Sobol, 12, rule)));
    let trained: usize = again.n_trained();
    assert_eq!((again.summary.left, again.summary.reported, trained), (0, true, 0));
    assert_eq!(again.record.trials.len(), 12 * FOLDS);

    let site = Site::new();
    let diverge = || when_training(|_, _| failed(Failure::Diverged { step: 1 }));
    site.run(&sweep(Sampler::Sobol, 12, None), diverge());
    let again = site.run(&budget(sweep(Sampler::Sobol, 12, None)), diverge());
    assert_eq!((again.n_trained(), again.summary.failed, again.summary.left), (0, 12 * FOLDS, 0));
}

#[test]
fn a_trial_of_an_earlier_generation_that_is_kept_is_trained_before_the_next_one() {
    let (site, sweep) = (one_by_one(), sweep(Sampler::Tpe, 12, Some(StopRule::new(Stop::Halving))));
    let (children, layout) = (Children::new(&sweep), site.layout(&sweep));
    let mut kept = None;
    let mut executor = FakeExecutor::new(|key, file| {
        let (JobKey::Train(trial), None) = (key, kept) else { return children.work(key, file) };
        if proposals(&told(&site, &sweep)).is_empty() {
            return children.work(key, file);
        }
        // The job that is at work meanwhile is told to stop its trial.
        let record = record::load(layout.run()).unwrap();
        let stopped =
            record.trials.iter().find(|one| matches!(one.state, TrialState::Stopped { .. })).unwrap();
        kept = Some(stopped.trial.id);
        orders::give(&layout, stopped.trial.id, Order::Keep)?;
        orders::give(&layout, trial, Order::Stop)?;
        Ok(Vec::new())
    })
    .answering(|_, message| {
        let ToChild::Stop { trial, .. } = message else { panic!("{message:?}") };
        write_checkpoint(&layout, *trial);
        let stopped = ChildLine::Stopped { trial: *trial, step: 3, steps: STEPS };
        vec![News::Said(stopped), News::Ended(Exit::Done)]
    });
    let summary = site.start(&sweep, &mut executor, &mut CrashAt(usize::MAX), &never()).unwrap();
    drop(executor.finish());
    let record = record::load(layout.run()).unwrap();
    let state = |id| record.trials.iter().find(|one| one.trial.id == id).unwrap().state.clone();
    assert_eq!((state(kept.unwrap()), summary.left, summary.reported), (TrialState::Done, 0, true));
    assert_eq!(record.trials.len(), 12 * FOLDS);
}

#[test]
fn a_crash_after_a_proposal_hides_none_of_its_trials() {
    let (site, sweep) = (Site::new(), tpe(12));
    let children = Children::new(&sweep);
    let crashed = catch_unwind(AssertUnwindSafe(|| {
        let mut executor = FakeExecutor::new(|key, file| children.work(key, file));
        let is_proposal = |what: &What| matches!(what, What::GenerationProposed { .. });
        site.start(&sweep, &mut executor, &mut CrashWhen(is_proposal), &never()).unwrap();
    }));
    assert!(crashed.is_err());
    let record = record::load(site.layout(&sweep).run()).unwrap();
    assert_eq!((record.trials.len(), record.to_propose), (2 * GENERATION * FOLDS, 4));
}

#[test]
fn configurations_have_the_same_order_in_every_run() {
    let one = sweep(Sampler::Random, 6, None);
    let two = one.with(|parts| {
        let proposing = parts.proposing.as_mut().unwrap();
        let mut block = serde_json::to_value(&proposing.blocks[0]).unwrap();
        block["given"]["warmup"] = json!([0.3]);
        proposing.blocks.push(serde_json::from_value(block).unwrap());
        (proposing.generation, proposing.budget_s) = (1, Some(1e6));
    });
    let (site, two) = (Site::new(), with_first_generation(&two.unwrap()));
    let first = run(&site, &two);
    assert_eq!(first.record.sweep.configurations.len(), 12);
    let again = run(&site, &two);
    assert_eq!(again.record.sweep.configurations, first.record.sweep.configurations);
}

/// An order that comes while the last job is at work is heeded before the run ends.
#[test]
fn what_is_kept_at_the_end_of_a_run_is_trained_in_it() {
    let (site, sweep) = (one_by_one(), sweep(Sampler::Tpe, 8, Some(StopRule::new(Stop::Halving))));
    let (children, layout) = (Children::new(&sweep), site.layout(&sweep));
    let mut kept = None;
    let outcome = site.run(&sweep, |key, file| {
        if key == JobKey::Report && kept.is_none() {
            let record = record::load(layout.run()).unwrap();
            let is_stopped = |one: &&record::TrialRecord| matches!(one.state, TrialState::Stopped { .. });
            let trial = record.trials.iter().rfind(is_stopped).unwrap().trial.id;
            orders::give(&layout, trial, Order::Keep)?;
            kept = Some(trial);
        }
        children.work(key, file)
    });
    let state = |id| outcome.record.trials.iter().find(|one| one.trial.id == id).unwrap().state.clone();
    assert_eq!((state(kept.unwrap()), outcome.summary.left), (TrialState::Done, 0));
    assert_eq!(reports(&outcome), 2, "the second report has it");
}
