//! Trials that a person stops, and lets go on.

use crossbeam::channel::never;
use lorasweep::exec::{Exit, News};
use lorasweep::job::{ChildLine, ToChild, Work};
use lorasweep::record::journal;
use lorasweep::record::orders::{self, Order};
use lorasweep::record::{self, TrialState};
use lorasweep::search::Stop;
use lorasweep::values::{JobKey, StopReason, TrialId, What};

use crate::children::{Children, FOLDS, STEPS};
use crate::compared::{crash_after_pauses, decisions, nine, one_by_one, told};
use crate::fake_executor::FakeExecutor;
use crate::keep::lorasweep;
use crate::resume::CrashAt;
use crate::support::{Outcome, Site, sweep, work, write_checkpoint};

fn state(outcome: &Outcome, trial: TrialId) -> &TrialState {
    &outcome.record.trials.iter().find(|one| one.trial.id == trial).unwrap().state
}

#[test]
fn a_trial_that_is_stopped_ranks_last_and_trains_to_its_end_once_it_is_kept() {
    let sweep = nine(Stop::Halving);
    let (site, children) = (one_by_one(), Children::new(&sweep));
    let [best, other] = [0, 1].map(|fold| sweep.trials()[2 * FOLDS + fold].id);
    crash_after_pauses(&site, &sweep, &children, 8);
    let layout = site.layout(&sweep);
    orders::give(&layout, best, Order::Stop).unwrap();
    let first = site.run(&sweep, |key, file| children.work(key, file));
    let decided = decisions(&told(&site, &sweep));
    let last = decided[0].ranking.last().unwrap();
    assert_eq!((last.candidate.compared[0], last.kept), (best, false));
    assert_eq!(*state(&first, best), TrialState::Stopped { reason: StopReason::ByHand });
    assert!(matches!(state(&first, other), TrialState::Stopped { reason: StopReason::Rung { .. } }));
    assert_eq!((first.summary.left, orders::pending(&layout).len()), (0, 0));

    // Each order is heeded once, whatever becomes of the run.
    let again = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!((again.n_trained(), state(&again, best)), (0, state(&first, best)));
    orders::give(&layout, best, Order::Keep).unwrap();
    let kept = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!(kept.n_trained(), 2);
    assert!([best, other].iter().all(|trial| *state(&kept, *trial) == TrialState::Done));
    assert_eq!(children.steps()[&best], STEPS);
    let legs: Vec<_> = children.legs.borrow().iter().filter(|leg| leg.0 == best).copied().collect();
    assert_eq!(legs, [(best, 0, 15), (best, 15, STEPS)], "it went on from its pause");
    let events = told(&site, &sweep);
    let orders = |kind: fn(&What) -> bool| events.iter().filter(|event| kind(&event.what)).count();
    assert_eq!(orders(|what| matches!(what, What::StopOrdered { .. })), 1);
    assert_eq!(orders(|what| matches!(what, What::KeepOrdered { .. })), 1);
    assert_eq!(decisions(&events), decided, "nothing is decided again");
}

#[test]
fn a_configuration_that_a_rung_stopped_is_trained_whole_once_one_of_its_trials_is_kept() {
    let sweep = nine(Stop::Median);
    let (site, children) = (one_by_one(), Children::new(&sweep));
    site.run(&sweep, |key, file| children.work(key, file));
    let decided = decisions(&told(&site, &sweep));
    let worst = &decided[0].ranking.last().unwrap().candidate;
    let (compared, later) = (worst.compared[0], worst.later[0]);
    let layout = site.layout(&sweep);
    orders::give(&layout, later, Order::Keep).unwrap();
    let mut told_of = Vec::new();
    let kept = site.run(&sweep, |key, file| {
        if let JobKey::Train(first) = key
            && told_of.is_empty()
        {
            let other = if first == compared { later } else { compared };
            told_of.push(lorasweep("explain", &layout, &[&other.to_string()]).stdout);
        }
        children.work(key, file)
    });
    assert_eq!(kept.n_trained(), 2);
    assert!(told_of.iter().any(|said| said.contains("it waits for a free device")), "{told_of:?}");
    assert!([compared, later].iter().all(|trial| *state(&kept, *trial) == TrialState::Done));
    assert_eq!(decisions(&told(&site, &sweep)), decided);
}

#[test]
fn a_trial_at_work_leaves_with_a_checkpoint_when_a_person_stops_it() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    let (layout, trial) = (site.layout(&sweep), sweep.trials()[0].id);
    let mut executor = FakeExecutor::new(|key, file| {
        let Work::Train(pack) = &file.work else { return work(key, file) };
        if pack.slots[0].id != trial {
            return work(key, file);
        }
        orders::give(&layout, trial, Order::Stop)?;
        Ok(Vec::new())
    })
    .answering(|_, message| {
        assert_eq!(*message, ToChild::Stop { trial, step: 0 });
        write_checkpoint(&layout, trial);
        vec![News::Said(ChildLine::Stopped { trial, step: 7, steps: STEPS }), News::Ended(Exit::Done)]
    });
    let summary = site.start(&sweep, &mut executor, &mut CrashAt(usize::MAX), &never()).unwrap();
    assert_eq!((summary.done, summary.stopped_early, summary.left), (1, 1, 0));
    drop(executor.finish());
    let record = record::load(layout.run()).unwrap();
    assert_eq!(record.trials[0].state, TrialState::Stopped { reason: StopReason::ByHand });
    let events = journal::read(&layout.journal()).unwrap().events;
    let paused = events.iter().filter_map(|event| {
        let What::TrialPaused { pause, .. } = &event.what else { return None };
        Some((pause.trial, pause.step))
    });
    assert_eq!(paused.collect::<Vec<_>>(), [(trial, 7)]);
}

#[test]
fn a_decision_lets_no_fold_go_on_that_a_person_stopped() {
    let sweep = nine(Stop::Halving);
    let (site, children) = (one_by_one(), Children::new(&sweep));
    let [best, other] = [0, 1].map(|fold| sweep.trials()[2 * FOLDS + fold].id);
    crash_after_pauses(&site, &sweep, &children, 8);
    orders::give(&site.layout(&sweep), other, Order::Stop).unwrap();
    let outcome = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!(*state(&outcome, best), TrialState::Done);
    assert_eq!(*state(&outcome, other), TrialState::Stopped { reason: StopReason::ByHand });
    assert!(!children.steps().contains_key(&other) && outcome.summary.left == 0);
}

#[test]
fn a_bracket_that_opens_over_a_stopped_trial_does_not_wait_for_it() {
    let sweep = nine(Stop::Halving);
    let (mut site, children) = (one_by_one(), Children::new(&sweep));
    site.options.no_stop = true;
    let trial = sweep.trials()[2 * FOLDS].id;
    crash_after_pauses(&site, &nine(Stop::Halving), &children, 0);
    orders::give(&site.layout(&sweep), trial, Order::Stop).unwrap();
    site.options.no_stop = false;
    let outcome = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!((decisions(&outcome.events).len(), outcome.summary.left), (2, 0));
    assert_eq!(*state(&outcome, trial), TrialState::Stopped { reason: StopReason::ByHand });
}

#[test]
fn what_is_ordered_last_holds_whatever_the_ids_of_trials() {
    let sweep = nine(Stop::Halving);
    let folds = [0, 1].map(|fold| sweep.trials()[2 * FOLDS + fold].id);
    for [kept, stopped] in [folds, [folds[1], folds[0]]] {
        let (site, children) = (one_by_one(), Children::new(&sweep));
        crash_after_pauses(&site, &sweep, &children, 0);
        let layout = site.layout(&sweep);
        orders::give(&layout, kept, Order::Keep).unwrap();
        orders::give(&layout, stopped, Order::Stop).unwrap();
        let outcome = site.run(&sweep, |key, file| children.work(key, file));
        assert_eq!(*state(&outcome, kept), TrialState::Done);
        assert_eq!(*state(&outcome, stopped), TrialState::Stopped { reason: StopReason::ByHand });
    }
}

#[test]
fn a_keep_that_no_run_has_heeded_is_taken_back() {
    let (site, sweep) = (one_by_one(), nine(Stop::Halving));
    let children = Children::new(&sweep);
    let first = site.run(&sweep, |key, file| children.work(key, file));
    let is_stopped = |one: &&record::TrialRecord| matches!(one.state, TrialState::Stopped { .. });
    let stopped = first.record.trials.iter().find(is_stopped).unwrap().trial.id;
    let (layout, id) = (site.layout(&sweep), stopped.to_string());
    assert_eq!(lorasweep("stop", &layout, &[&id]).code, 2, "it is stopped already");
    assert_eq!(lorasweep("keep", &layout, &[&id]).code, 0);
    let said = lorasweep("stop", &layout, &[&id]);
    assert!(said.code == 0 && said.stderr.contains("the order to keep it is taken back"), "{}", said.stderr);
    assert_eq!(orders::pending(&layout), []);
    assert_eq!(site.run(&sweep, |key, file| children.work(key, file)).n_trained(), 0);
}

#[test]
fn an_order_to_stop_what_has_ended_changes_nothing_and_is_told() {
    let (site, sweep) = (one_by_one(), nine(Stop::Halving));
    let children = Children::new(&sweep);
    let first = site.run(&sweep, |key, file| children.work(key, file));
    let done = first.record.trials.iter().find(|one| one.state == TrialState::Done).unwrap().trial.id;
    orders::give(&site.layout(&sweep), done, Order::Stop).unwrap();
    let outcome = site.run(&sweep, |key, file| children.work(key, file));
    let is_told = |what: &What| matches!(what, What::Warned { message } if message.contains("came too late"));
    assert!(outcome.events.iter().any(|event| is_told(&event.what)));
    assert!(!outcome.events.iter().any(|event| matches!(event.what, What::StopOrdered { .. })));
    assert_eq!((state(&outcome, done), outcome.summary.done), (&TrialState::Done, first.summary.done));
}

#[test]
fn an_order_to_stop_holds_without_a_rule_until_nothing_is_to_stop() {
    let (mut site, sweep) = (one_by_one(), nine(Stop::Halving));
    let children = Children::new(&sweep);
    site.run(&sweep, |key, file| children.work(key, file));
    let whole = sweep.with(|parts| parts.stop = None).unwrap();
    let trial = sweep.trials()[0].id;
    let layout = site.layout(&sweep);
    orders::give(&layout, trial, Order::Keep).unwrap();
    orders::give(&layout, trial, Order::Stop).unwrap();
    for _ in 0..2 {
        let outcome = site.run(&whole, |key, file| children.work(key, file));
        assert_eq!((outcome.summary.done, outcome.summary.left), (17, 0));
        assert_eq!(*state(&outcome, trial), TrialState::Stopped { reason: StopReason::ByHand });
    }
    site.options.no_stop = true;
    let outcome = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!((outcome.summary.done, outcome.summary.left), (18, 0));
}
