//! What a user sees of the order of things, of failures and of stops.

use super::{at, cpus, finished, launched, started, workload};
use crate::plan::example;
use crate::sched::{Action, Explanation, Launch, Limits, Policy, Scheduler, TrialState};
use crate::values::{Device, Failure, JobKey, Method, Resources, TrialId, What};

/// The example on two places, whose data has to be prepared first.
fn unprepared(policy: Policy) -> (Scheduler, JobKey) {
    let sweep = example::sweep();
    let places = cpus(2);
    let mut scheduler = Scheduler::new(workload(&sweep, &places, false), places, Limits::default(), policy);
    let actions = scheduler.step(at(0), &super::begun());
    let [Action::Launch(Launch { job, attempt: 1, placement, micro_rows: None, .. })] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert!(matches!(job, JobKey::Prepare(_)));
    assert_eq!(placement.device, Device::Host);
    assert_eq!(placement.cores, [0, 1, 2, 3], "it has all cores while nothing trains");
    (scheduler, *job)
}

fn trials() -> Vec<TrialId> {
    example::sweep().trials().iter().map(|trial| trial.id).collect()
}

#[test]
fn trials_start_when_their_data_is_there_and_the_report_when_all_have_ended() {
    let (mut scheduler, first) = unprepared(Policy::ONCE);
    let actions = scheduler.step(at(1), &What::JobFinished { key: first });
    let jobs: Vec<JobKey> = launched(&actions).iter().map(|(job, _)| *job).collect();
    let [JobKey::Train(_), JobKey::Train(_), JobKey::Prepare(second)] = jobs[..] else { panic!("{jobs:?}") };
    let mut at_work = vec![jobs[0], jobs[1], JobKey::Prepare(second)];
    let mut reported = false;
    while let Some(key) = at_work.pop() {
        assert!(!reported, "something ran beside the report");
        let actions = scheduler.step(at(2), &What::JobFinished { key });
        let next = launched(&actions);
        reported = next.iter().any(|(job, _)| *job == JobKey::Report);
        at_work.extend(next.iter().map(|(job, _)| *job));
        if at_work == [JobKey::Report] {
            assert_eq!(scheduler.step(at(3), &What::JobFinished { key: JobKey::Report }), [Action::End]);
            break;
        }
    }
    assert!(reported);
    assert!(trials().iter().all(|trial| scheduler.state(*trial) == Some(&TrialState::Done)));
}

#[test]
fn without_data_nothing_trains_and_the_report_still_says_so() {
    let (mut scheduler, first) = unprepared(Policy::ONCE);
    let failure = Failure::BadData { message: "no column `text`".to_owned() };
    let actions = scheduler.step(at(1), &What::JobFailed { key: first, failure: failure.clone() });
    let second = launched(&actions)[0].0;
    let skipped = scheduler.explain(trials()[0], at(1)).unwrap();
    assert_eq!(skipped, Explanation::Skipped { job: first, failure: Some(failure.clone()) });
    assert_eq!(skipped.to_string(), format!("it needs job `{first}`, which failed: no column `text`"));
    let actions = scheduler.step(at(2), &What::JobFailed { key: second, failure });
    assert_eq!(launched(&actions), [(JobKey::Report, Vec::new())]);
    assert_eq!(scheduler.step(at(3), &What::JobFinished { key: JobKey::Report }), [Action::End]);
}

#[test]
fn only_what_another_start_can_mend_is_tried_again() {
    let policy = Policy { attempts: 2, ..Policy::ONCE };
    let (mut scheduler, key) = unprepared(policy);
    let failed = |failure| What::JobFailed { key, failure };
    let again = scheduler.step(at(1), &failed(Failure::Killed { signal: 9 }));
    assert!(matches!(again[..], [Action::Launch(Launch { job, attempt: 2, .. })] if job == key), "{again:?}");
    let last = launched(&scheduler.step(at(2), &failed(Failure::Killed { signal: 9 })));
    assert!(last[0].0 != key, "{last:?}");

    let (mut scheduler, key) = unprepared(policy);
    let last =
        launched(&scheduler.step(at(1), &What::JobFailed { key, failure: Failure::Diverged { step: 1 } }));
    assert!(last[0].0 != key, "{last:?}");
}

/// Four whole models of different lengths on two places.
fn lengths() -> (Scheduler, Vec<Action>, Vec<TrialId>) {
    lengths_under(Policy::ONCE)
}

fn lengths_under(policy: Policy) -> (Scheduler, Vec<Action>, Vec<TrialId>) {
    let sweep = example::grid([1.0, 3.0, 2.0].map(|epochs| (Method::Full, epochs, 1)), 2);
    let trials = sweep.trials().iter().map(|trial| trial.id).collect();
    let (scheduler, actions) = started(&sweep, cpus(2), Limits::default(), policy);
    (scheduler, actions, trials)
}

#[test]
fn the_longest_trains_first() {
    let (scheduler, actions, trials) = lengths();
    let started: Vec<TrialId> = launched(&actions).into_iter().flat_map(|(_, trials)| trials).collect();
    assert_eq!(started, trials[2..4]);
    let explain = |trial: usize| scheduler.explain(trials[trial], at(0)).unwrap();
    let Explanation::Waits { start: Some(start), .. } = explain(1) else { panic!("{:?}", explain(1)) };
    assert_eq!((start.ahead, start.beside), (3, 0));
    let text = explain(4).to_string();
    assert!(
        text.starts_with("it waits for a free device; it is next, and it is expected to start on cpu:0 in "),
        "{text}"
    );
    assert_eq!(explain(2).to_string(), "it is starting on cpu:0");
}

#[test]
fn a_stop_asks_first_and_kills_when_forced() {
    let (mut scheduler, actions, trials) = lengths();
    let mut jobs: Vec<JobKey> = launched(&actions).iter().map(|(job, _)| *job).collect();
    jobs.sort_unstable();
    let stop = |force| jobs.iter().map(|job| Action::Stop { job: *job, force }).collect::<Vec<_>>();
    let asked = scheduler.step(at(1), &What::StopRequested { force: false });
    assert_eq!(asked, [stop(false), vec![wait_for_checkpoints(1)]].concat());
    assert_eq!(scheduler.step(at(1), &What::StopRequested { force: false }), []);
    assert_eq!(scheduler.step(at(2), &What::JobInterrupted { key: jobs[0] }), []);
    assert_eq!(scheduler.step(at(2), &What::StopRequested { force: true }), stop(true)[1..]);
    let killed = What::JobFailed { key: jobs[1], failure: Failure::Killed { signal: 9 } };
    assert_eq!(scheduler.step(at(3), &killed), [Action::End]);
    assert!(trials.iter().all(|trial| scheduler.state(*trial) == Some(&TrialState::Cancelled)));
}

/// When a job that was asked to end at a second is not waited for any longer.
fn wait_for_checkpoints(second: u64) -> Action {
    Action::WakeAt { at: at(second + 600) }
}

#[test]
fn a_job_that_does_not_end_when_it_is_asked_to_is_killed_in_the_end() {
    let (mut scheduler, actions, _) = lengths();
    let mut jobs: Vec<JobKey> = launched(&actions).iter().map(|(job, _)| *job).collect();
    jobs.sort_unstable();
    scheduler.step(at(1), &What::StopRequested { force: false });
    assert_eq!(scheduler.step(at(2), &What::JobInterrupted { key: jobs[0] }), []);
    assert_eq!(scheduler.step(at(600), &What::Woke), [wait_for_checkpoints(1)], "too early");
    assert_eq!(scheduler.step(at(601), &What::Woke), [Action::Stop { job: jobs[1], force: true }]);
    assert_eq!(scheduler.step(at(602), &What::JobInterrupted { key: jobs[1] }), [Action::End]);
}

#[test]
fn failing_fast_stops_what_runs_and_cancels_what_waits() {
    let (mut scheduler, actions, trials) = lengths_under(Policy { fail_fast: true, ..Policy::ONCE });
    let jobs = launched(&actions);
    let ((first, failing), (other, _)) = (jobs[0].clone(), jobs[1].clone());
    let failure = Failure::Diverged { step: 9 };
    let actions = scheduler.step(at(1), &What::JobFailed { key: first, failure: failure.clone() });
    let given_up = Action::GiveUp { trials: failing, failure };
    assert_eq!(actions, [given_up, Action::Stop { job: other, force: false }, wait_for_checkpoints(1)]);
    assert_eq!(scheduler.state(trials[0]), Some(&TrialState::Cancelled));
    assert_eq!(scheduler.step(at(2), &What::JobFinished { key: other }), [Action::End]);
    assert_eq!(scheduler.state(trials[3]), Some(&TrialState::Done), "work that was finished counts");
}

#[test]
fn files_that_cannot_be_written_end_the_run_and_fail_nothing() {
    let (mut scheduler, actions, trials) = lengths_under(Policy { attempts: 3, ..Policy::ONCE });
    let jobs = launched(&actions);
    let failure = Failure::Unwritable { message: "No space left on device".to_owned() };
    let actions = scheduler.step(at(1), &What::JobFailed { key: jobs[0].0, failure: failure.clone() });
    assert_eq!(actions, [Action::Stop { job: jobs[1].0, force: false }, wait_for_checkpoints(1)]);
    assert_eq!(scheduler.step(at(1), &What::JobFailed { key: jobs[1].0, failure }), [Action::End]);
    assert!(trials.iter().all(|trial| scheduler.state(*trial) == Some(&TrialState::Cancelled)));
}

#[test]
fn without_a_place_the_run_ends_at_once() {
    let sweep = example::sweep();
    let (scheduler, actions) = started(&sweep, Resources::default(), Limits::default(), Policy::ONCE);
    assert_eq!(actions, [Action::End]);
    assert_eq!(scheduler.state(trials()[0]), Some(&TrialState::Cancelled));
}

#[test]
fn a_result_is_in_place_once() {
    let (mut scheduler, actions, _) = lengths();
    let (key, trials) = launched(&actions)[0].clone();
    assert_eq!(scheduler.step(at(1), &finished(trials[0])), []);
    assert_eq!(scheduler.step(at(1), &finished(trials[0])), []);
    let failed = What::JobFailed { key, failure: Failure::Killed { signal: 11 } };
    assert_eq!(launched(&scheduler.step(at(2), &failed)).len(), 1, "the next trial starts");
    assert_eq!(scheduler.state(trials[0]), Some(&TrialState::Done));
}
