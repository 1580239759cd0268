//! Runs in which configurations are compared and stopped early, whatever happens to the orchestrator, to checkpoints
//! and to the sweep file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crossbeam::channel::never;
use lorasweep::disk::layout::Layout;
use lorasweep::record::TrialState;
use lorasweep::record::journal::{self, Journal};
use lorasweep::sched::Limits;
use lorasweep::search::{ComparedOn, Stop, StopRule};
use lorasweep::sweep::SweepSpec;
use lorasweep::values::{Event, JobKey, Reader, RungDecision, TrialId, What};

use crate::children::{Children, FOLDS, STEPS};
use crate::fake_executor::FakeExecutor;
use crate::resume::CrashAt;
use crate::support::{Outcome, Site, compared, cores};

/// So many configurations.
fn sweep(count: u32, stop: Stop) -> SweepSpec {
    compared(&rates(count), Some(StopRule::new(stop)))
}

/// Nine configurations.
pub(crate) fn nine(stop: Stop) -> SweepSpec {
    sweep(9, stop)
}

fn rates(count: u32) -> Vec<f64> {
    (1..=count).map(|n| 1e-3 * f64::from(n)).collect()
}

pub(crate) fn decisions(events: &[Event]) -> Vec<RungDecision> {
    let decision = |event: &Event| {
        if let What::RungDecided(decision) = &event.what { Some((**decision).clone()) } else { None }
    };
    events.iter().filter_map(decision).collect()
}

pub(crate) fn told(site: &Site, sweep: &SweepSpec) -> Vec<Event> {
    journal::read(&site.layout(sweep).journal()).unwrap().events
}

/// What a run that nothing disturbs decides, how far its trials come, and how many steps that takes.
fn undisturbed(sweep: &SweepSpec, late: bool) -> (Vec<RungDecision>, BTreeMap<TrialId, u64>, u64) {
    let (site, mut children) = (Site::new(), Children::new(sweep));
    children.is_validated_late = late;
    site.run(sweep, |key, file| children.work(key, file));
    (decisions(&told(&site, sweep)), children.steps(), children.trained())
}

/// Panics at such an event, as a crash of the orchestrator.
pub(crate) struct CrashWhen<F>(pub(crate) F);

impl<F: FnMut(&What) -> bool> Reader for CrashWhen<F> {
    fn on(&mut self, event: &Event) {
        assert!(!(self.0)(&event.what), "crashed on purpose");
    }
}

/// Starts a run whose orchestrator crashes at an event; `false` where it ended before.
fn crash(site: &Site, sweep: &SweepSpec, children: &Children<'_>, reader: &mut dyn Reader) -> bool {
    let crashed = catch_unwind(AssertUnwindSafe(|| {
        let mut executor = FakeExecutor::new(|key, file| children.work(key, file));
        site.start(sweep, &mut executor, reader, &never()).unwrap();
    }));
    crashed.is_err()
}

/// Where each trial trains in a process of its own.
pub(crate) fn one_by_one() -> Site {
    let mut site = Site::new();
    site.options.limits = Limits::ALONE;
    site
}

/// Starts a run of single trials, whose orchestrator crashes at the start after so many pauses.
pub(crate) fn crash_after_pauses(site: &Site, sweep: &SweepSpec, children: &Children<'_>, pauses: usize) {
    let is_pause = |event: &&Event| matches!(event.what, What::TrialPaused { .. });
    let crashed = catch_unwind(AssertUnwindSafe(|| {
        let mut executor = FakeExecutor::new(|key, file| {
            assert!(told(site, sweep).iter().filter(is_pause).count() < pauses, "crashed on purpose");
            children.work(key, file)
        });
        site.start(sweep, &mut executor, &mut CrashAt(usize::MAX), &never()).unwrap();
    }));
    assert!(crashed.is_err() && children.steps().len() == pauses);
}

/// Cuts the journal off behind the last event that was durable, as a machine that loses power does.
fn lose_power(layout: &Layout) {
    let events = journal::read(&layout.journal()).unwrap().events;
    let durable = events.iter().rposition(|event| event.what.is_announcement()).unwrap();
    fs::remove_file(layout.journal()).unwrap();
    let (mut journal, _) = Journal::open(&layout.journal()).unwrap();
    events[..=durable].iter().for_each(|event| journal.append(event).unwrap());
}

#[test]
fn most_configurations_are_stopped_and_the_best_get_their_other_folds() {
    let (site, sweep) = (Site::new(), sweep(9, Stop::Halving));
    let children = Children::new(&sweep);
    let outcome = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!((outcome.summary.done, outcome.summary.stopped_early, outcome.summary.left), (2, 16, 0));
    let decided = decisions(&outcome.events);
    let ranked: Vec<_> =
        decided.iter().map(|one| (one.rung, one.ranking.len(), one.ranking[0].step)).collect();
    assert_eq!(ranked, [(1, 9, 15), (2, 3, 30)]);
    assert_eq!(children.trained(), 9 * 15 + 3 * 15 + 20 + 50);
    let best = sweep.trials()[2 * FOLDS].id;
    assert_eq!(decided[1].ranking[0].candidate.compared, [best]);
    for trial in &outcome.record.trials {
        let is_best = trial.trial.configuration == sweep.trials()[2 * FOLDS].configuration;
        assert_eq!(trial.state == TrialState::Done, is_best, "{:?}", trial.state);
    }
}

#[test]
fn a_decision_is_in_the_journal_before_anyone_acts_on_it() {
    for stop in [Stop::Halving, Stop::Median] {
        let (mut site, sweep) = (Site::new(), sweep(9, stop));
        site.options.resources = cores(4);
        let (children, layout) = (Children::new(&sweep), site.layout(&sweep));
        let first: BTreeSet<TrialId> = sweep.trials().iter().step_by(FOLDS).map(|trial| trial.id).collect();
        site.run(&sweep, |key, file| {
            let events = journal::read(&layout.journal()).unwrap().events;
            for trial in file.work.trials().iter().map(|trial| trial.id) {
                let paused = |event: &Event| matches!(&event.what, What::TrialPaused { pause, .. } if pause.trial == trial);
                let lets_go_on = |event: &Event| matches!(&event.what, What::RungDecided(one) if one.go_on().any(|id| id == trial));
                let (paused, goes_on) = (events.iter().rposition(paused), events.iter().rposition(lets_go_on));
                assert!(first.contains(&trial) || goes_on.is_some(), "{trial} started before its time");
                assert!(paused <= goes_on, "{trial} goes on undecided");
            }
            children.work(key, file)
        });
    }
}

#[test]
fn the_same_is_decided_on_any_number_of_places() {
    for stop in [Stop::Halving, Stop::Median] {
        let sweep = sweep(12, stop);
        let expected = undisturbed(&sweep, false);
        for places in [2, 4, 7] {
            let (mut site, children) = (Site::new(), Children::new(&sweep));
            site.options.resources = cores(places);
            site.run(&sweep, |key, file| children.work(key, file));
            let seen = (decisions(&told(&site, &sweep)), children.steps(), children.trained());
            assert_eq!(seen, expected, "{places} places");
        }
    }
}

/// The orchestrator crashes at every event of a run, between the last pause and the decision too.
#[test]
fn a_crash_at_any_event_changes_no_decision() {
    for (stop, late) in [(Stop::Halving, false), (Stop::Median, false), (Stop::Halving, true)] {
        let sweep = sweep(6, stop);
        let (decided, steps, trained) = undisturbed(&sweep, late);
        assert!(!decided.is_empty());
        for n in 0.. {
            let (site, mut children) = (Site::new(), Children::new(&sweep));
            children.is_validated_late = late;
            let over = !crash(&site, &sweep, &children, &mut CrashAt(n));
            if n % 2 == 0 && site.layout(&sweep).journal().exists() {
                lose_power(&site.layout(&sweep));
            }
            let outcome = site.run(&sweep, |key, file| children.work(key, file));
            let seen = (decisions(&told(&site, &sweep)), children.steps(), children.trained());
            assert_eq!(seen, (decided.clone(), steps.clone(), trained), "{stop:?} late: {late}, event {n}");
            assert_eq!(outcome.summary.left, 0);
            if over {
                assert!(n > 20, "the run has {n} events");
                break;
            }
        }
    }
}

/// As after a restored backup: a trial that is further than the decision knows is compared where the others are.
#[test]
fn a_journal_without_its_last_decisions_decides_the_same_again() {
    let sweep = sweep(9, Stop::Halving);
    let (site, children) = (Site::new(), Children::new(&sweep));
    site.run(&sweep, |key, file| children.work(key, file));
    let events = told(&site, &sweep);
    let expected = decisions(&events);
    let is_decision = |what: &What| matches!(what, What::RungDecided(_));
    let last = events.iter().rposition(|event| is_decision(&event.what)).unwrap();
    for n in (0..=last).step_by(3) {
        let (site, children) = (Site::new(), Children::new(&sweep));
        // Nobody has a result yet at the second decision.
        let mut decided = 0;
        let mut at_the_second = CrashWhen(|what: &What| {
            decided += usize::from(is_decision(what));
            decided == 2
        });
        assert!(crash(&site, &sweep, &children, &mut at_the_second));
        let path = site.layout(&sweep).journal();
        fs::remove_file(&path).unwrap();
        let (mut journal, _) = Journal::open(&path).unwrap();
        events[..n].iter().for_each(|event| journal.append(event).unwrap());
        drop(journal);
        let outcome = site.run(&sweep, |key, file| children.work(key, file));
        let seen: Vec<_> = decisions(&told(&site, &sweep));
        assert_eq!(seen, expected, "{n} events");
        assert_eq!((outcome.summary.left, outcome.summary.done), (0, 2), "{n} events");
    }
}

#[test]
fn a_paused_trial_that_lost_its_checkpoint_waits_and_starts_over_if_it_is_kept() {
    let sweep = sweep(9, Stop::Halving);
    let expected = undisturbed(&sweep, false);
    let (best, worst) = (sweep.trials()[2 * FOLDS].id, expected.0[0].ranking[8].candidate.compared[0]);
    let losses: [fn(PathBuf) -> io::Result<()>; 2] =
        [|path| fs::remove_file(path), |path| fs::write(path, "half a he")];
    for lose in losses {
        let (site, children) = (one_by_one(), Children::new(&sweep));
        crash_after_pauses(&site, &sweep, &children, 8);
        for trial in [best, worst] {
            lose(site.layout(&sweep).last_checkpoint(trial)).unwrap();
        }
        site.run(&sweep, |key, file| children.work(key, file));
        assert_eq!(
            (decisions(&told(&site, &sweep)), children.steps()),
            (expected.0.clone(), expected.1.clone())
        );
        let legs = children.legs.borrow();
        let of =
            |trial| legs.iter().filter(|leg| leg.0 == trial).map(|leg| (leg.1, leg.2)).collect::<Vec<_>>();
        assert_eq!(of(best), [(0, 15), (0, 30), (30, 50)]);
        assert_eq!(of(worst), [(0, 15)]);
    }
}

#[test]
fn a_compared_trial_that_failed_is_trained_whole_when_it_is_tried_again() {
    let sweep = sweep(9, Stop::Halving);
    let (mut site, mut children) = (one_by_one(), Children::new(&sweep));
    let [bad, other] = [0, 1].map(|fold| sweep.trials()[2 * FOLDS + fold].id);
    children.failing.insert(bad);
    let first = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!((first.summary.failed, first.summary.left), (1, 0));
    let decided = decisions(&first.events);
    let last = decided[0].ranking.last().unwrap();
    assert_eq!((last.candidate.compared[0], last.score, last.kept), (bad, None, false));
    let kept = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!((kept.n_trained(), kept.summary.failed), (0, 1));

    site.options.retry_failed = true;
    children.failing.clear();
    let again = site.run(&sweep, |key, file| children.work(key, file));
    let states = |outcome: &Outcome, id| {
        outcome.record.trials.iter().find(|one| one.trial.id == id).unwrap().state.clone()
    };
    assert_eq!((again.n_trained(), states(&again, bad)), (1, TrialState::Done));
    assert!(matches!(states(&again, other), TrialState::Stopped { .. }));
    assert_eq!(decisions(&told(&site, &sweep)), decided, "nothing is decided again");
}

/// What it was freed from by `--retry-failed` it stays freed from, when that run is interrupted.
#[test]
fn a_failed_trial_that_is_tried_again_goes_on_after_an_interruption() {
    let sweep = sweep(9, Stop::Halving);
    let (mut site, mut children) = (one_by_one(), Children::new(&sweep));
    let bad = sweep.trials()[2 * FOLDS].id;
    children.failing.insert(bad);
    site.run(&sweep, |key, file| children.work(key, file));
    site.options.retry_failed = true;
    children.failing.clear();
    let starts = |what: &What| matches!(what, What::JobLaunching { key, .. } if *key == JobKey::Train(bad));
    assert!(crash(&site, &sweep, &children, &mut CrashWhen(starts)));
    site.options.retry_failed = false;
    let outcome = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!((outcome.n_trained(), outcome.summary.failed, outcome.summary.left), (1, 0, 0));
    assert_eq!(children.steps()[&bad], STEPS);
}

/// Nothing else is at work then, and the others wait for what becomes of it.
#[test]
fn a_run_goes_on_when_the_last_trial_that_is_awaited_fails() {
    let sweep = sweep(9, Stop::Halving);
    let (site, mut children) = (one_by_one(), Children::new(&sweep));
    children.failing.insert(sweep.trials()[8 * FOLDS].id);
    let outcome = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!(decisions(&outcome.events).len(), 2);
    assert_eq!((outcome.summary.done, outcome.summary.failed, outcome.summary.left), (2, 1, 0));
}

/// Where the rung is not decided yet, it is compared as if it had not failed.
#[test]
fn a_failed_trial_that_is_tried_again_before_the_decision_is_compared() {
    let sweep = sweep(9, Stop::Halving);
    let expected = undisturbed(&sweep, false);
    let (mut site, mut children) = (one_by_one(), Children::new(&sweep));
    let bad = sweep.trials()[2 * FOLDS].id;
    children.failing.insert(bad);
    let has_failed = |what: &What| matches!(what, What::TrialFailed { .. });
    assert!(crash(&site, &sweep, &children, &mut CrashWhen(has_failed)));
    site.options.retry_failed = true;
    children.failing.clear();
    // Once it is started again, nobody has to say so again.
    let starts = |what: &What| matches!(what, What::JobLaunching { key, .. } if *key == JobKey::Train(bad));
    assert!(crash(&site, &sweep, &children, &mut CrashWhen(starts)));
    site.options.retry_failed = false;
    site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!((decisions(&told(&site, &sweep)), children.steps()), (expected.0, expected.1));
}

#[test]
fn more_configurations_open_a_bracket_and_change_nothing_that_was_decided() {
    let (few, many) = (sweep(9, Stop::Halving), sweep(18, Stop::Halving));
    let (site, children) = (Site::new(), Children::new(&many));
    site.run(&few, |key, file| children.work(key, file));
    let (before, legs) = (decisions(&told(&site, &few)), children.legs.borrow().len());
    let outcome = site.run(&many, |key, file| children.work(key, file));
    assert_eq!(outcome.summary.left, 0);
    let after = decisions(&told(&site, &many));
    assert_eq!(after[..before.len()], before);
    let old: BTreeSet<TrialId> = few.trials().iter().map(|trial| trial.id).collect();
    let ranked = after[before.len()..]
        .iter()
        .flat_map(|one| one.ranking.iter().map(|ranked| (one.bracket, ranked.candidate.compared[0])));
    assert!(
        ranked.clone().count() == 9 + 3
            && ranked.clone().all(|(bracket, trial)| bracket == 2 && !old.contains(&trial))
    );
    assert!(children.legs.borrow()[legs..].iter().all(|(trial, ..)| !old.contains(trial)), "none goes on");
}

#[test]
fn without_a_rule_all_go_on_from_where_they_were_stopped() {
    for by_option in [true, false] {
        let (mut site, stopping) = (Site::new(), sweep(9, Stop::Halving));
        let children = Children::new(&stopping);
        site.run(&stopping, |key, file| children.work(key, file));
        let legs = children.legs.borrow().len();
        let whole = if by_option { stopping.clone() } else { compared(&rates(9), None) };
        site.options.no_stop = by_option;
        let outcome = site.run(&whole, |key, file| children.work(key, file));
        assert_eq!((outcome.summary.done, outcome.summary.stopped_early), (18, 0));
        assert_eq!(children.trained(), 18 * STEPS, "no step is trained twice");
        assert!(children.legs.borrow()[legs..].iter().all(|(_, _, to)| *to == STEPS));

        // And with the rule again, there is nothing left to stop.
        site.options.no_stop = false;
        let again = site.run(&stopping, |key, file| children.work(key, file));
        assert_eq!((again.n_trained(), again.summary.done), (0, 18));
    }
}

/// A run that began without stopping: trials whose checkpoints lie behind a rung are compared at that rung.
#[test]
fn trials_that_are_further_than_a_rung_are_compared_there() {
    let sweep = sweep(9, Stop::Halving);
    let expected = undisturbed(&sweep, false);
    let (site, children) = (Site::new(), Children::new(&sweep));
    fs::create_dir_all(site.layout(&sweep).run()).unwrap();
    for (n, trial) in sweep.trials().iter().step_by(FOLDS).enumerate() {
        fs::create_dir_all(site.layout(&sweep).trial(trial.id)).unwrap();
        let steps = [None, Some(3), Some(13), Some(22)][n % 4];
        if steps.is_some() {
            children.train(&site.layout(&sweep), trial.id, steps).unwrap();
        }
    }
    site.run(&sweep, |key, file| children.work(key, file));
    let seen = decisions(&told(&site, &sweep));
    assert_eq!(seen, expected.0);
}

#[test]
fn all_folds_are_compared_by_their_mean() {
    let rule = StopRule { compared_on: ComparedOn::All, ..StopRule::new(Stop::Halving) };
    let sweep = compared(&rates(9), Some(rule));
    let (site, children) = (Site::new(), Children::new(&sweep));
    let outcome = site.run(&sweep, |key, file| children.work(key, file));
    assert_eq!((outcome.summary.done, outcome.summary.stopped_early), (2, 16));
    assert_eq!(children.trained(), 2 * (9 * 15 + 3 * 15 + 20));
}
