//! The loop with packs of three trials, whose children do as a script says.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::never;

use crate::cost::{Calibration, Estimate};
use crate::disk::files;
use crate::disk::layout::Layout;
use crate::exec::fake::FakeExecutor;
use crate::exec::{Exit, What};
use crate::job::{ChildLine, Pack, ParentLine, Work};
use crate::plan::{Job, JobGraph, JobKey, example};
use crate::record::history::{History, LastWord};
use crate::record::journal::{self, Happened, Journal};
use crate::run::clock::Clock;
use crate::run::dispatch::{Dispatcher, SILENCE, Tally};
use crate::run::forecast::Forecast;
use crate::sched::{Event, Policy, Scheduler};
use crate::sweep::SweepSpec;
use crate::ui::{Notice, Observer};
use crate::values::{
    ClassificationScores, ContentHash, Cost, Device, Failure, Placement, Scores, Trial, TrialId, TrialResult,
};

const DONE: What = What::Ended(Exit::Done);
const PAUSE: Duration = Duration::from_millis(1);
const POLICY: Policy = Policy { attempts: 2, pause: PAUSE, ..Policy::ONCE };

/// What a child is told, and how many of its kind were started before.
struct Told<'a> {
    micro_rows: Option<usize>,
    slots: &'a [Trial],
    layout: &'a Layout,
    before: usize,
}

impl Told<'_> {
    fn finish(&self, trial: TrialId) -> What {
        let scores = ClassificationScores {
            loss: 0.1,
            accuracy: 0.9,
            macro_precision: 0.9,
            macro_recall: 0.9,
            macro_f1: 0.9,
        };
        let result = TrialResult {
            trial,
            validation: Scores::Classification(scores),
            kept_step: 7,
            test: None,
            steps: 7,
            trainable_params: 1,
            total_params: 1,
            cost: Cost { wall_s: 1.0, ..Cost::default() },
            class_rows: None,
        };
        files::write_sealed(&self.layout.result(trial), &result).unwrap();
        What::Said(ChildLine::Finished { trial })
    }

    fn diverge(&self, trial: TrialId) -> What {
        let failure = Failure::Diverged { step: 3 };
        files::write_json(&self.layout.failure(trial), &failure).unwrap();
        What::Said(ChildLine::Failed { trial, failure })
    }
}

/// What came of a run.
struct Outcome {
    tally: Tally,
    history: History,
    /// The trials of each start, by their place in the pack.
    starts: Vec<Vec<usize>>,
    _folder: tempfile::TempDir,
    layout: Layout,
    trials: Vec<TrialId>,
}

impl Outcome {
    fn attempts(&self) -> Vec<u32> {
        self.trials.iter().map(|trial| self.history.trials[trial].attempts).collect()
    }

    fn last(&self, slot: usize) -> &LastWord {
        &self.history.trials[&self.trials[slot]].last
    }
}

struct Silent;

impl Observer for Silent {
    fn observe(&mut self, _: &Notice<'_>) {}
}

fn graph(sweep: &SweepSpec, packs: &[&[Trial]]) -> JobGraph {
    let mut graph = JobGraph::new();
    let mut push = |key, work, needs| graph.push(Job { key, work, needs, estimate: Estimate::default() });
    let mut trains = Vec::new();
    for slots in packs {
        let pack = Pack {
            task: Arc::clone(sweep.first_task()),
            model: Arc::new(sweep.models["minilm-2"].clone()),
            store: ContentHash::of_bytes(b""),
            slots: slots.to_vec(),
        };
        trains.push(push(JobKey::training(slots), Work::Train(Box::new(pack)), Vec::new()));
    }
    let work = Work::Summarise { configurations: Vec::new() };
    let summary = push(JobKey("summarise".to_owned()), work, trains);
    push(JobKey("report".to_owned()), Work::Report { folder: PathBuf::new() }, vec![summary]);
    graph
}

/// Runs one pack of the example's first three trials under a policy.
fn run(policy: Policy, script: impl Fn(&Told<'_>) -> Vec<What>) -> Outcome {
    run_behind(|_| (), policy, script)
}

/// The same, behind something that is done first.
fn run_behind(
    first: impl FnOnce(&mut Dispatcher<'_>),
    policy: Policy,
    script: impl Fn(&Told<'_>) -> Vec<What>,
) -> Outcome {
    let (device, trials) = (Device::Cpu { slot: 0 }, example::sweep().trials());
    let answer = |_: &Told<'_>, _| panic!("nobody joins on a CPU");
    run_packs(first, policy, &[&trials[..3]], device, (script, answer))
}

/// Runs packs on one device, whose children answer to trials that join.
fn run_packs(
    first: impl FnOnce(&mut Dispatcher<'_>),
    policy: Policy,
    packs: &[&[Trial]],
    device: Device,
    (script, answer): (impl Fn(&Told<'_>) -> Vec<What>, impl Fn(&Told<'_>, TrialId) -> Vec<What>),
) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path(), "packs");
    let spec = example::sweep();
    let trials: Vec<TrialId> = packs.iter().copied().flatten().map(|trial| trial.id).collect();
    trials.iter().for_each(|trial| fs::create_dir_all(layout.trial(*trial)).unwrap());
    let places = vec![Placement { device, cores: vec![0] }];
    let mut starts: Vec<Vec<usize>> = Vec::new();
    let mut executor = FakeExecutor::new(|_, file| {
        let Work::Train(pack) = &file.work else { return Ok(vec![What::Ended(Exit::Done)]) };
        let place = |trial: &Trial| trials.iter().position(|id| *id == trial.id).unwrap();
        let before = starts.len();
        starts.push(pack.slots.iter().map(place).collect());
        let told = Told { slots: &pack.slots, layout: &layout, before, micro_rows: file.micro_rows };
        Ok(script(&told))
    })
    .answering(|_, ParentLine::Join { trial }| {
        let told = Told { slots: &[], layout: &layout, before: 0, micro_rows: None };
        answer(&told, trial.id)
    });
    let mut dispatcher = Dispatcher {
        layout: &layout,
        spec: &spec,
        journal: Journal::open(&layout.journal()).unwrap().0,
        scheduler: Scheduler::new(graph(&spec, packs), places.clone(), policy),
        calibration: Calibration::assumed(&places),
        executor: &mut executor,
        observer: &mut Silent,
        clock: Clock::start(),
        checkpoint_every: None,
        wake: never::<Instant>(),
        tally: Tally { total: trials.len(), ..Tally::default() },
        forecast: Forecast::default(),
        at_work: BTreeMap::new(),
    };
    first(&mut dispatcher);
    let tally = finish(dispatcher);
    let started = executor.finish();
    assert!(policy.fail_fast || started.last().unwrap().0 == "report");
    let history = History::of(&journal::read(&layout.journal()).unwrap().entries);
    Outcome { tally, history, starts, _folder: folder, layout, trials }
}

fn finish(mut dispatcher: Dispatcher<'_>) -> Tally {
    let ended = dispatcher.run(&never());
    let (ended, tally) = dispatcher.close(ended);
    ended.unwrap();
    tally
}

#[test]
fn one_slot_diverges_and_two_finish() {
    let outcome = run(POLICY, |told| {
        let [a, b, c] = [0, 1, 2].map(|slot| told.slots[slot].id);
        vec![told.finish(a), told.diverge(b), told.finish(c), What::Ended(Exit::Done)]
    });
    assert_eq!(outcome.starts, [[0, 1, 2]]);
    assert_eq!((outcome.tally.done.len(), outcome.tally.failures.len()), (2, 1));
    assert_eq!(*outcome.last(1), LastWord::Failed(Failure::Diverged { step: 3 }));
    assert_eq!(*outcome.last(2), LastWord::Finished);
    let log = fs::read_to_string(outcome.layout.log(outcome.trials[1])).unwrap();
    assert!(log.starts_with("trains with 2 others; their log: "), "{log}");
}

#[test]
fn when_a_child_dies_only_trials_without_a_fate_are_tried_again() {
    let outcome = run(POLICY, |told| match told.before {
        0 => {
            let (a, b) = (told.slots[0].id, told.slots[1].id);
            vec![told.finish(a), told.diverge(b), What::Ended(Exit::Failed(Failure::Killed { signal: 9 }))]
        }
        _ => vec![told.finish(told.slots[0].id), What::Ended(Exit::Done)],
    });
    assert_eq!(outcome.starts, [vec![0, 1, 2], vec![2]]);
    assert_eq!((outcome.tally.done.len(), outcome.tally.failures.len()), (2, 1));
    assert_eq!(outcome.attempts(), [1, 1, 2]);
}

#[test]
fn a_child_that_hangs_is_killed_and_started_again() {
    let script = |told: &Told<'_>| match told.before {
        0 => Vec::new(),
        _ => [0, 1, 2].map(|slot| told.finish(told.slots[slot].id)).into_iter().chain([DONE]).collect(),
    };
    let silent = |dispatcher: &mut Dispatcher<'_>| {
        dispatcher.happen([Event::RunStarted]).unwrap();
        dispatcher.kill_silent(Instant::now() + SILENCE + Duration::from_secs(1));
    };
    let outcome = run_behind(silent, POLICY, script);
    assert_eq!(outcome.starts, [[0, 1, 2], [0, 1, 2]]);
    assert_eq!((outcome.tally.done.len(), outcome.attempts()), (3, vec![2; 3]));
}

#[test]
fn a_fate_that_a_dying_child_could_not_tell_is_found_in_its_files() {
    let outcome = run(POLICY, |told| {
        let [a, b, c] = [0, 1, 2].map(|slot| told.slots[slot].id);
        let _unsaid = (told.finish(a), told.diverge(b), told.finish(c));
        vec![What::Ended(Exit::Failed(Failure::Killed { signal: 11 }))]
    });
    assert_eq!(outcome.starts, [[0, 1, 2]]);
    assert_eq!((outcome.tally.done.len(), outcome.tally.failures.len()), (2, 1));
}

#[test]
fn a_failure_of_the_whole_pack_is_that_of_every_trial_without_a_fate() {
    let broken = Failure::BadData { message: "no store".to_owned() };
    let outcome =
        run(POLICY, |told| vec![told.finish(told.slots[1].id), What::Ended(Exit::Failed(broken.clone()))]);
    assert_eq!(outcome.starts, [[0, 1, 2]]);
    assert_eq!(outcome.tally.failures.values().collect::<Vec<_>>(), [&broken; 2]);
    assert_eq!(*outcome.last(1), LastWord::Finished);
}

#[test]
fn an_end_that_leaves_a_trial_without_a_fate_is_tried_again_and_then_a_failure() {
    let outcome = run(POLICY, |told| vec![told.finish(told.slots[0].id), What::Ended(Exit::Done)]);
    // Each start finishes one more; the third would be one too many.
    assert_eq!(outcome.starts, [vec![0, 1, 2], vec![1, 2]]);
    assert_eq!(*outcome.last(2), LastWord::Failed(Failure::Exited { code: 0 }));
}

#[test]
fn a_slot_that_fails_ends_the_run_where_the_policy_says_so() {
    let outcome = run_to_stop(Policy { fail_fast: true, ..POLICY });
    assert_eq!((outcome.tally.done.len(), outcome.tally.failures.len()), (0, 1));
    assert_eq!(*outcome.last(0), LastWord::Interrupted);
}

/// A pack whose second slot diverges while the others have long to go.
fn run_to_stop(policy: Policy) -> Outcome {
    run(policy, |told| vec![told.diverge(told.slots[1].id)])
}

#[test]
fn when_memory_runs_out_the_pack_is_halved_and_then_takes_fewer_rows_at_a_time() {
    let outcome = run(Policy::ONCE, |told| {
        let rows = told.micro_rows;
        if told.slots.len() > 1 || (told.before > 1 && rows.is_none_or(|rows| rows > 8)) {
            return vec![What::Ended(Exit::Failed(Failure::OutOfMemory))];
        }
        vec![told.finish(told.slots[0].id), What::Ended(Exit::Done)]
    });
    assert_eq!((outcome.tally.done.len(), outcome.tally.failures.len()), (3, 0));
    assert_eq!(outcome.starts[0], [0, 1, 2]);
    assert_eq!(outcome.attempts().iter().max(), Some(&5), "{:?}", outcome.starts);
}

/// The trials of a pack that smaller ones may join.
const FIRST: Range<usize> = 3..6;

/// A pack of three on a GPU, whose first trial diverges at once, and two trials that wait; the children do
/// as the scripts say with the one that joins. Every other trial is done in the end, once.
fn run_joined(
    first: impl Fn(&Told<'_>) -> Vec<What>,
    answer: impl Fn(&Told<'_>, TrialId) -> Vec<What>,
) -> Outcome {
    let script = |told: &Told<'_>| {
        if told.before == 0 {
            return first(told);
        }
        let all = told.slots.iter().map(|trial| told.finish(trial.id));
        all.chain([What::Ended(Exit::Done)]).collect()
    };
    let trials = example::sweep().trials();
    let packs = [&trials[FIRST], &trials[..2]];
    let outcome = run_packs(|_| (), POLICY, &packs, Device::Cuda { index: 0 }, (script, answer));
    assert_eq!((outcome.tally.done.len(), outcome.tally.failures.len()), (4, 1));
    assert!((1..5).all(|slot| *outcome.last(slot) == LastWord::Finished));
    let finished = |entry: &&journal::Entry| matches!(entry.what, Happened::TrialFinished { .. });
    let entries = journal::read(&outcome.layout.journal()).unwrap().entries;
    assert_eq!(entries.iter().filter(finished).count(), 4, "a trial is told to be done once");
    outcome
}

fn first_diverges(told: &Told<'_>) -> Vec<What> {
    vec![told.diverge(told.slots[0].id)]
}

const KILLED: What = What::Ended(Exit::Failed(Failure::Killed { signal: 9 }));

fn said_joined(trial: TrialId) -> What {
    What::Said(ChildLine::Joined { trial })
}

#[test]
fn a_waiting_trial_joins_and_is_done_by_the_pack() {
    let trials: Vec<TrialId> = example::sweep().trials()[FIRST].iter().map(|trial| trial.id).collect();
    let outcome = run_joined(first_diverges, |told, joiner| {
        let all = [joiner, trials[1], trials[2]].map(|trial| told.finish(trial));
        [said_joined(joiner)].into_iter().chain(all).chain([What::Ended(Exit::Done)]).collect()
    });
    assert_eq!(outcome.starts, [vec![0, 1, 2], vec![3]], "the fifth trial joined the first pack");
    assert_eq!(outcome.attempts(), [1; 5]);
    let log = fs::read_to_string(outcome.layout.log(outcome.trials[4])).unwrap();
    assert!(log.starts_with("joins a running pack; its log: "), "{log}");
}

#[test]
fn a_child_that_is_killed_right_after_a_join_loses_nothing() {
    // Whether it said so before or not: then the trial is one of its pack's, or waits as before.
    let taken = run_joined(first_diverges, |_, joiner| vec![said_joined(joiner), KILLED]);
    assert_eq!(taken.starts, [vec![0, 1, 2], vec![3], vec![1, 2, 4]]);
    assert_eq!(taken.attempts(), [1, 2, 2, 1, 2]);
    let not_taken = run_joined(first_diverges, |_, _| vec![KILLED]);
    assert_eq!(not_taken.starts[0], [0, 1, 2]);
    assert_eq!(not_taken.starts[1..].concat().len(), 4);
    assert_eq!(not_taken.attempts(), [1, 2, 2, 1, 1]);
}

#[test]
fn a_trial_comes_back_from_a_child_that_is_gone_or_ends_first() {
    let gone = |told: &Told<'_>| vec![told.diverge(told.slots[0].id), KILLED];
    let gone_unheard = |told: &Told<'_>| {
        let _unsaid = told.diverge(told.slots[0].id);
        vec![KILLED]
    };
    for first in [&gone as &dyn Fn(&Told<'_>) -> Vec<What>, &gone_unheard] {
        let outcome = run_joined(first, |_, _| panic!("it is gone"));
        assert_eq!(outcome.attempts(), [1, 2, 2, 1, 1]);
    }
    let trials: Vec<TrialId> = example::sweep().trials()[FIRST].iter().map(|trial| trial.id).collect();
    let ended = run_joined(first_diverges, |told, _| {
        vec![told.finish(trials[1]), told.finish(trials[2]), What::Ended(Exit::Done)]
    });
    assert_eq!(ended.attempts(), [1; 5]);
    assert_eq!(ended.starts.concat().len(), 5, "{:?}", ended.starts);
}
