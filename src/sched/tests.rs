//! Laws of whole runs, and the cases that decide what a user sees.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use crate::job::Work;
use crate::plan::JobId;
use crate::sched::simulation::{Scenario, World, places};
use crate::sched::{Explanation, GraphAction, GraphEvent, GraphScheduler, JobState, Policy};
use crate::values::Failure;

const CALM: Scenario = Scenario {
    seed: 1,
    places: 2,
    prepares: 1,
    trains: 4,
    failing: 0,
    policy: Policy::ONCE,
    stops: Vec::new(),
};

/// Jobs of [`CALM`]: one preparation, four trainings, two reports, the last report.
const PREPARE: JobId = JobId(0);

fn scenarios() -> impl Strategy<Value = Scenario> {
    let policy = (any::<bool>(), 1..4_u32).prop_map(|(fail_fast, attempts)| Policy {
        fail_fast,
        attempts,
        ..Policy::ONCE
    });
    let stops = prop_oneof![
        3 => Just(Vec::new()),
        1 => proptest::collection::vec(0..5_000_u64, 1..3).prop_map(|mut at| { at.sort_unstable(); at }),
    ];
    let sizes = (any::<u64>(), 1..=16_usize, 0..4_usize, 0..120_usize);
    let failing = prop_oneof![Just(0), 1..100_u32];
    (sizes, failing, policy, stops).prop_map(|((seed, places, prepares, trains), failing, policy, stops)| {
        Scenario { seed, places, prepares, trains, failing, policy, stops }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_keeps_the_invariants_and_ends_once(scenario in scenarios()) {
        World::new(&scenario).run();
    }

    #[test]
    fn no_schedule_is_far_from_the_shortest(scenario in scenarios()) {
        let mut world = World::new(&Scenario { policy: CALM.policy, stops: Vec::new(), ..scenario });
        world.run();
        let (mut training, mut longest, mut beside) = (0, 0, 0);
        for (job, ms) in &world.worked_ms {
            if matches!(world.scheduler.graph().job(*job).work, Work::Train(_)) {
                training += ms;
                longest = longest.max(*ms);
            } else {
                beside += ms;
            }
        }
        // Graham 1969: list scheduling is at most twice as long as the shortest schedule.
        let lower_bound = (training / scenario.places as u64).max(beside);
        prop_assert!(world.now_ms <= 2 * lower_bound + longest + 1);
    }

    #[test]
    fn an_event_that_makes_no_sense_changes_nothing(scenario in scenarios(), pick in any::<u32>()) {
        let mut world = World::new(&scenario);
        while world.next() {
            let n_jobs = u32::try_from(world.scheduler.graph().len()).unwrap();
            let job = JobId(pick % (n_jobs + 1));
            if job.0 < n_jobs && world.scheduler.state(job).is_active() {
                continue;
            }
            let failure = Failure::OutOfMemory;
            let states = world.scheduler.states.clone();
            for event in [
                GraphEvent::JobStarted { job },
                GraphEvent::JobFinished { job },
                GraphEvent::JobFailed { job, failure },
                GraphEvent::JobInterrupted { job },
            ] {
                prop_assert_eq!(world.scheduler.step(SystemTime::UNIX_EPOCH, &event), vec![]);
            }
            prop_assert_eq!(&world.scheduler.states, &states);
        }
    }
}

#[test]
fn thousands_of_jobs_keep_the_invariants() {
    let mut world =
        World::new(&Scenario { seed: 7, places: 16, prepares: 3, trains: 2_000, failing: 5, ..CALM });
    world.run();
}

#[test]
fn a_step_with_ten_thousand_jobs_takes_less_than_a_tenth_of_a_millisecond() {
    let mut world = World::new(&Scenario { places: 8, trains: 7_500, ..CALM });
    while world.next() {}
    assert!(world.scheduler.graph().len() > 10_000);
    let mean = world.in_steps / u32::try_from(world.steps).unwrap();
    assert!(mean < Duration::from_micros(100), "{mean:?}");
}

/// A scheduler of [`CALM`] without a prepared store, all its training behind [`PREPARE`].
fn started(policy: Policy) -> GraphScheduler {
    let scenario = (0..).map(|seed| Scenario { seed, ..CALM }).map(|scenario| World::new(&scenario));
    let behind = |world: &World| {
        let jobs = world.scheduler.graph().iter();
        jobs.filter(|(_, job)| job.needs == [PREPARE]).count() == CALM.trains
    };
    let world = scenario.into_iter().find(behind).expect("some seed");
    let mut scheduler = GraphScheduler::new(world.scheduler.graph().clone(), places(2), policy);
    let actions = scheduler.step(SystemTime::UNIX_EPOCH, &GraphEvent::RunStarted);
    let [GraphAction::Launch { job: PREPARE, attempt: 1, placement, micro_rows: None }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(placement.cores, [0, 1, 2, 3], "it has all cores while nothing trains");
    scheduler
}

fn step(scheduler: &mut GraphScheduler, event: GraphEvent) -> Vec<GraphAction> {
    scheduler.step(SystemTime::UNIX_EPOCH, &event)
}

fn launched(actions: &[GraphAction]) -> Vec<JobId> {
    let launch =
        |action: &GraphAction| if let GraphAction::Launch { job, .. } = action { Some(*job) } else { None };
    actions.iter().filter_map(launch).collect()
}

#[test]
fn the_longest_training_starts_first() {
    let mut scheduler = started(CALM.policy);
    let first = launched(&step(&mut scheduler, GraphEvent::JobFinished { job: PREPARE }));
    let length = |job: JobId| scheduler.graph().job(job).estimate.duration;
    let mut all: Vec<_> = (1..=4).map(JobId).collect();
    all.sort_by_key(|job| std::cmp::Reverse(length(*job)));
    assert_eq!(first, all[..2]);
    assert_eq!(scheduler.explain(all[3]), Explanation::WaitsForPlace { ahead: 1 });
    assert_eq!(scheduler.explain(all[3]).to_string(), "ready; waits for a free place behind 1 job");
    assert_eq!(scheduler.explain(all[0]).to_string(), "starting on cpu:0");
}

#[test]
fn a_blocked_job_names_the_first_few_it_waits_for() {
    let scheduler = started(CALM.policy);
    assert_eq!(
        scheduler.explain(JobId(1)).to_string(),
        format!("waits for `{}`", scheduler.graph().job(PREPARE).key)
    );
    assert_eq!(
        scheduler.explain(JobId(5)).to_string(),
        "waits for `train-0000000000000000`, `train-0000000000000001`, `train-0000000000000002`"
    );
    let many = World::new(&Scenario { trains: 30, ..CALM }).scheduler;
    let report = JobId(u32::try_from(many.graph().len()).unwrap() - 1);
    let text = many.explain(report).to_string();
    assert!(text.ends_with(" and 7 more"), "{text}");
}

#[test]
fn without_data_nothing_trains_and_the_report_still_says_so() {
    let mut scheduler = started(CALM.policy);
    let failure = Failure::BadData { message: "no column `text`".to_owned() };
    let mut actions = step(&mut scheduler, GraphEvent::JobFailed { job: PREPARE, failure });
    assert_eq!(
        scheduler.explain(JobId(2)).to_string(),
        format!("skipped, since `{}` failed: no column `text`", scheduler.graph().job(PREPARE).key)
    );
    for job in [JobId(5), JobId(6), JobId(7)] {
        assert_eq!(launched(&actions), [job], "reports run one after the other");
        actions = step(&mut scheduler, GraphEvent::JobFinished { job });
    }
    assert_eq!(actions, [GraphAction::End]);
}

#[test]
fn only_what_another_start_can_mend_is_tried_again() {
    let mut scheduler = started(Policy { attempts: 2, ..CALM.policy });
    let failed = |failure: Failure| GraphEvent::JobFailed { job: PREPARE, failure };
    let again = step(&mut scheduler, failed(Failure::Killed { signal: 9 }));
    assert!(matches!(again[..], [GraphAction::Launch { job: PREPARE, attempt: 2, .. }]), "{again:?}");
    step(&mut scheduler, failed(Failure::Killed { signal: 9 }));
    assert_eq!(*scheduler.state(PREPARE), JobState::Failed { reason: Failure::Killed { signal: 9 } });

    let mut scheduler = started(Policy { attempts: 2, ..CALM.policy });
    step(&mut scheduler, failed(Failure::Diverged { step: 1 }));
    assert_eq!(*scheduler.state(PREPARE), JobState::Failed { reason: Failure::Diverged { step: 1 } });
}

#[test]
fn a_stop_asks_first_and_kills_when_forced() {
    let mut scheduler = started(CALM.policy);
    let training = launched(&step(&mut scheduler, GraphEvent::JobFinished { job: PREPARE }));
    let stop = |force| training.iter().map(|job| GraphAction::Stop { job: *job, force }).collect::<Vec<_>>();
    let mut asked = stop(false);
    asked.sort_by_key(|action| if let GraphAction::Stop { job, .. } = action { Some(*job) } else { None });
    assert_eq!(step(&mut scheduler, GraphEvent::StopRequested { force: false }), asked);
    assert_eq!(step(&mut scheduler, GraphEvent::StopRequested { force: false }), []);
    assert_eq!(step(&mut scheduler, GraphEvent::JobInterrupted { job: training[0] }), []);
    assert_eq!(step(&mut scheduler, GraphEvent::StopRequested { force: true }), stop(true)[1..]);
    let killed = GraphEvent::JobFailed { job: training[1], failure: Failure::Killed { signal: 9 } };
    assert_eq!(step(&mut scheduler, killed), [GraphAction::End]);
    assert_eq!(*scheduler.state(training[1]), JobState::Cancelled);
    assert_eq!(scheduler.explain(JobId(7)).to_string(), "not done: stopped; run the sweep again to continue");
}

#[test]
fn failing_fast_stops_what_runs_and_cancels_what_waits() {
    let mut scheduler = started(Policy { fail_fast: true, ..Policy::ONCE });
    let training = launched(&step(&mut scheduler, GraphEvent::JobFinished { job: PREPARE }));
    let diverged = GraphEvent::JobFailed { job: training[0], failure: Failure::Diverged { step: 9 } };
    let other = training[1];
    assert_eq!(step(&mut scheduler, diverged), [GraphAction::Stop { job: other, force: false }]);
    let key = scheduler.graph().job(training[0]).key;
    assert_eq!(scheduler.explain(JobId(7)), Explanation::Cancelled { failed: Some(key) });
    assert_eq!(step(&mut scheduler, GraphEvent::JobFinished { job: other }), [GraphAction::End]);
    assert_eq!(*scheduler.state(other), JobState::Done, "work that was finished counts");
}

#[test]
fn without_a_place_the_run_ends_at_once() {
    let scenario = Scenario { prepares: 0, ..CALM };
    let graph = World::new(&scenario).scheduler.graph().clone();
    let mut scheduler = GraphScheduler::new(graph, Vec::new(), CALM.policy);
    assert_eq!(step(&mut scheduler, GraphEvent::RunStarted), [GraphAction::End]);
    assert_eq!(*scheduler.state(JobId(0)), JobState::Cancelled);
}
