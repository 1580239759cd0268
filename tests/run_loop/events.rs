//! Runs, failures and stops.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crossbeam::channel::{never, unbounded};
use lorasweep::exec::{Exit, News};
use lorasweep::record::TrialState;
use lorasweep::run::{RunSummary, StopRequest};
use lorasweep::sched::Policy;
use lorasweep::values::{Event, Failure, JobKey, What};

use crate::fake_executor::FakeExecutor;
use crate::keep::lorasweep;
use crate::support::{Remember, Site, failed, sweep, when_training, work, write_checkpoint, write_result};

#[test]
fn a_fresh_run_does_everything_once_and_a_second_one_nothing_again() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    let first = site.run(&sweep, work);
    assert_eq!((first.summary.done, first.summary.failed, first.summary.left), (4, 0, 0));
    assert_eq!(first.n_trained(), 4);
    assert!(first.started[0].starts_with("prepare-"));
    assert_eq!(first.started.last().unwrap(), "report");
    assert!(matches!(first.events[0].what, What::RunStarted { .. }));
    assert!(matches!(first.events[1].what, What::WidthsDecided { .. }));
    assert!(matches!(first.events[2].what, What::TrainingForeseen { .. }));
    assert!(matches!(first.events[3].what, What::RunPlanned { .. }));
    let finished = |event: &&Event| matches!(event.what, What::TrialFinished { result: Some(_), .. });
    assert_eq!(first.events.iter().filter(finished).count(), 4);
    for trial in &first.record.trials {
        assert_eq!((&trial.state, trial.attempts), (&TrialState::Done, 1));
    }
    assert!(first.record.started_at <= first.record.updated_at);

    let second = site.run(&sweep, work);
    assert_eq!((second.summary.done, second.summary.kept), (4, 4));
    assert_eq!(second.n_trained(), 0);
    assert_eq!(second.record.trials, first.record.trials);
    assert!(first.record.foreseen.is_some(), "what was foreseen of its training");
    assert_eq!(second.record.foreseen, first.record.foreseen, "a start that trains nothing foresees nothing");
}

#[test]
fn the_time_left_is_told_before_the_end_of_a_trial_and_counts_it_as_done() {
    let outcome = Site::new().run(&sweep(&[1e-3]), work);
    let what: Vec<&What> = outcome.events.iter().map(|event| &event.what).collect();
    let is_end = |pair: &&[&What]| matches!(pair[1], What::TrialFinished { .. });
    let Some([What::Forecast { remaining }, _]) = what.windows(2).find(is_end) else { panic!("{what:?}") };
    let is_planned = |what: &&&What| matches!(what, What::RunPlanned { .. });
    let Some(What::RunPlanned { predicted, .. }) = what.iter().find(is_planned) else { panic!("{what:?}") };
    // One of two trials is done, and the process of each takes longer than a second to start.
    assert!(*remaining + Duration::from_millis(1_500) < *predicted, "{remaining:?} {predicted:?}");
}

#[test]
fn a_failed_trial_stops_no_other_and_runs_again_only_when_asked() {
    let (mut site, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    let bad = sweep.trials()[1].id;
    let diverged = Failure::Diverged { step: 3 };
    let script = || {
        when_training(|trial, layout| {
            if trial == bad {
                return failed(Failure::Diverged { step: 3 });
            }
            write_result(layout, trial);
            vec![News::Ended(Exit::Done)]
        })
    };
    let first = site.run(&sweep, script());
    assert_eq!((first.summary.done, first.summary.failed), (3, 1));
    assert_eq!(first.summary.failures, [(bad, diverged.clone())]);
    assert_eq!(first.record.trials[1].state, TrialState::Failed { failure: diverged.clone() });
    assert_eq!(first.started.last().unwrap(), "report");

    let kept = site.run(&sweep, script());
    assert_eq!((kept.n_trained(), kept.summary.failures), (0, vec![(bad, diverged)]));

    site.options.retry_failed = true;
    let again = site.run(&sweep, work);
    assert_eq!((again.n_trained(), again.summary.done), (1, 4));
    assert_eq!(again.record.trials[1].attempts, 2);
}

#[test]
fn an_end_without_a_result_is_a_failure_whatever_the_exit_code_says() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    let outcome = site.run(&sweep, when_training(|_, _| vec![News::Ended(Exit::Done)]));
    assert_eq!(outcome.summary.failed, 2);
    assert_eq!(outcome.summary.failures[0].1, Failure::Exited { code: 0 });
}

#[test]
fn a_trial_with_a_result_is_done_whatever_the_exit_code_says() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    let script = when_training(|trial, layout| {
        write_result(layout, trial);
        failed(Failure::Killed { signal: 11 })
    });
    assert_eq!(site.run(&sweep, script).summary.done, 2);
}

#[test]
fn a_killed_child_is_started_again_as_often_as_the_policy_allows() {
    let (mut site, sweep) = (Site::new(), sweep(&[1e-3]));
    site.options.policy = Policy { attempts: 2, ..Policy::ONCE };
    let starts = Cell::new(0);
    let outcome = site.run(&sweep, |key, file| {
        starts.set(starts.get() + usize::from(matches!(key, JobKey::Train(_))));
        if matches!(key, JobKey::Train(_)) && starts.get() == 1 {
            return Ok(failed(Failure::Killed { signal: 9 }));
        }
        work(key, file)
    });
    assert_eq!((outcome.summary.done, outcome.summary.failed, starts.get()), (2, 0, 3));
    let mut attempts: Vec<_> = outcome.record.trials.iter().map(|trial| trial.attempts).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2]);
}

#[test]
fn the_first_failure_ends_the_run_where_the_policy_says_so() {
    let (mut site, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    site.options.policy = Policy { fail_fast: true, ..Policy::ONCE };
    let outcome = site.run(&sweep, when_training(|_, _| failed(Failure::Diverged { step: 1 })));
    assert_eq!((outcome.summary.failed, outcome.summary.left, outcome.n_trained()), (1, 3, 1));
    assert!(!outcome.summary.stopped);
}

#[test]
fn what_a_failed_job_blocks_is_left_for_the_next_run() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    let broken = Failure::BadData { message: "no such column".to_owned() };
    let outcome = site.run(&sweep, |key, file| {
        if matches!(key, JobKey::Prepare(_)) { Ok(failed(broken.clone())) } else { work(key, file) }
    });
    assert_eq!((outcome.n_trained(), outcome.summary.left), (0, 2));
    let (key, failure) = &outcome.summary.failed_jobs[0];
    assert!(matches!(key, JobKey::Prepare(_)));
    assert_eq!(*failure, broken);
    assert_eq!(outcome.record.failed_jobs, [(*key, broken)]);

    let mended = site.run(&sweep, work);
    assert_eq!((mended.summary.done, mended.record.failed_jobs.len()), (2, 0));
}

#[test]
fn a_child_that_cannot_be_started_fails_its_trial_with_the_reason() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    let outcome = site.run(&sweep, |key, file| {
        if matches!(key, JobKey::Train(_)) {
            Err(std::io::Error::other("no such program"))
        } else {
            work(key, file)
        }
    });
    assert_eq!(outcome.summary.failed, 2);
    assert!(outcome.summary.failures[0].1.to_string().contains("no such program"));
}

#[test]
fn a_child_that_cannot_be_started_now_is_started_later() {
    let (mut site, sweep) = (Site::new(), sweep(&[1e-3]));
    site.options.policy = Policy { attempts: 2, ..Policy::ONCE };
    let starts = Cell::new(0);
    let outcome = site.run(&sweep, |key, file| {
        starts.set(starts.get() + 1);
        // EAGAIN: too many processes.
        if starts.get() % 2 == 1 { Err(std::io::Error::from_raw_os_error(11)) } else { work(key, file) }
    });
    assert_eq!((outcome.summary.done, outcome.summary.failed_jobs), (2, Vec::new()));
}

#[test]
fn a_full_disk_stops_the_run_and_fails_no_trial() {
    let (mut site, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    site.options.policy = Policy { attempts: 3, ..Policy::ONCE };
    let full = || Failure::of(&std::io::Error::from_raw_os_error(28));
    let child = site.run(&sweep, when_training(|_, _| failed(full())));
    let orchestrator = site.run(&sweep, |key, file| {
        if matches!(key, JobKey::Train(_)) {
            Err(std::io::Error::from_raw_os_error(28))
        } else {
            work(key, file)
        }
    });
    for outcome in [child, orchestrator] {
        let RunSummary { failed, left, unwritable, .. } = &outcome.summary;
        assert_eq!((*failed, *left, outcome.n_trained()), (0, 4, 1));
        assert!(unwritable.as_ref().is_some_and(|why| why.contains("No space left")), "{unwritable:?}");
    }
    assert_eq!(site.run(&sweep, work).summary.done, 4);
}

#[test]
fn a_stopped_run_goes_on_from_its_checkpoints() {
    for force in [false, true] {
        let (site, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
        let (ask, asked) = unbounded();
        let hold = when_training(|trial, layout| {
            write_checkpoint(layout, trial);
            ask.send(StopRequest { force }).unwrap();
            Vec::new()
        });
        let first = site.run_until(&sweep, hold, &asked);
        assert!(first.summary.stopped);
        assert_eq!((first.summary.left, first.summary.failed, first.n_trained()), (4, 0, 1));
        let states: Vec<_> = first.record.trials.iter().map(|trial| &trial.state).collect();
        assert_eq!(states.iter().filter(|state| ***state == TrialState::Interrupted).count(), 1);

        let second = site.run(&sweep, work);
        assert_eq!((second.summary.done, second.n_trained()), (4, 4));
        let goes_on = |event: &Event| matches!(event.what, What::RunPlanned { continued: 1, .. });
        assert!(second.events.iter().any(goes_on));
    }
}

#[test]
fn a_second_orchestrator_is_refused_while_the_first_is_at_work() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    let refusals = Cell::new(0);
    let outcome = site.run(&sweep, |key, file| {
        let mut other = FakeExecutor::new(work);
        let error = site.start(&sweep, &mut other, &mut Remember::default(), &never()).unwrap_err();
        assert!(error.to_string().contains("is in use by"), "{error}");
        assert_eq!(lorasweep::error::AppError::from(error).exit_code(), 2);
        assert!(other.finish().is_empty());
        refusals.set(refusals.get() + 1);
        work(key, file)
    });
    assert_eq!(outcome.summary.done, 2);
    assert_eq!(refusals.get(), outcome.started.len());
}

#[test]
fn what_a_waiting_trial_waits_for_is_told_by_the_scheduler_itself() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    let layout = site.layout(&sweep);
    let told = RefCell::new(Vec::new());
    let last = sweep.trials()[3].id.to_string();
    site.run(&sweep, |key, file| {
        let said = lorasweep("explain", &layout, &[&last]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        told.borrow_mut().push(said.stdout.lines().nth(2).unwrap_or_default().to_owned());
        work(key, file)
    });
    let told = told.into_inner();
    let beginnings = [
        "it waits for its data: job `prepare-",
        "it waits for a free device; 2 packs start before it, and it is expected to start on cpu:0 in ",
        "it waits for a free device; one pack starts before it, and it is expected to start on cpu:0 in ",
        "it waits for a free device; it is next, and it is expected to start on cpu:0 in ",
    ];
    for (text, beginning) in told.iter().zip(beginnings) {
        assert!(text.starts_with(beginning), "{text}");
    }
    assert_eq!(told.len(), 6, "{told:?}");
}
