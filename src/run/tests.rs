//! The loop with packs of three trials, whose children do as a script says.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::never;

use super::fake_executor::{FakeExecutor, write_result};
use crate::cost::Experience;
use crate::disk::files;
use crate::disk::layout::Layout;
use crate::exec::{Exit, News};
use crate::job::{ChildLine, ToChild, Work};
use crate::plan::example;
use crate::record::journal::{self, Journal};
use crate::record::ledger::{Ledger, TrialState};
use crate::run::clock::Clock;
use crate::run::event_loop::{Asked, EventLoop, LoopState};
use crate::run::stream::Stream;
use crate::sched::{Limits, Policy, Remaining, Scheduler, Workload};
use crate::sweep::SweepSpec;
use crate::values::{Device, Failure, JobKey, Placement, Resources, Select, Trial, TrialId, What};

const DONE: News = News::Ended(Exit::Done);
const PAUSE: Duration = Duration::from_millis(1);
const POLICY: Policy = Policy { attempts: 2, pause: PAUSE, ..Policy::ONCE };

/// What a child of a script is given, and how many were started before it.
struct Child<'a> {
    micro_rows: Option<usize>,
    slots: &'a [Trial],
    layout: &'a Layout,
    before: usize,
}

impl Child<'_> {
    fn finish(&self, trial: TrialId) -> News {
        write_result(self.layout, trial);
        News::Said(ChildLine::Finished { trial })
    }

    fn diverge(&self, trial: TrialId) -> News {
        let failure = Failure::Diverged { step: 3 };
        files::write_json(&self.layout.failure(trial), &failure).unwrap();
        News::Said(ChildLine::Failed { trial, failure })
    }
}

/// What came of a run: its ledger as it was followed, which is the one that its journal tells.
struct Outcome {
    ledger: Ledger,
    /// The trials of each start, by their place in the pack.
    starts: Vec<Vec<usize>>,
    _folder: tempfile::TempDir,
    layout: Layout,
    trials: Vec<TrialId>,
}

impl Outcome {
    fn attempts(&self) -> Vec<u32> {
        self.trials.iter().map(|trial| self.ledger.trial(*trial).unwrap().attempts).collect()
    }

    fn state(&self, slot: usize) -> &TrialState {
        self.ledger.state(self.trials[slot])
    }

    /// Number of trials done and failed.
    fn fates(&self) -> (usize, usize) {
        (self.ledger.done(), self.ledger.failed())
    }
}

/// So many adapters of one fold, which see the same batches or each its own.
fn adapters(n: u64, batches: impl Fn(u64) -> u64) -> (SweepSpec, Vec<Trial>) {
    let sweep = example::grid((0..n).map(|n| (example::lora(8), 1.0, batches(n))), 2);
    let trials = sweep.trials().into_iter().filter(|trial| trial.fold == 0).collect();
    (sweep, trials)
}

/// What runs, and where.
struct Scene<'a> {
    sweep: &'a SweepSpec,
    todo: &'a [Trial],
    device: Device,
    policy: Policy,
}

/// Runs one pack of three trials on a CPU under a policy.
fn run(policy: Policy, script: impl Fn(&Child<'_>) -> Vec<News>) -> Outcome {
    run_behind(|_, _| (), policy, script)
}

/// The same, behind something that is done first.
fn run_behind(
    first: impl FnOnce(&mut EventLoop<'_, '_>, &What),
    policy: Policy,
    script: impl Fn(&Child<'_>) -> Vec<News>,
) -> Outcome {
    let (sweep, trials) = adapters(3, |_| 1);
    let answer = |_: &Child<'_>, _| panic!("nobody joins on a CPU");
    let scene = Scene { sweep: &sweep, todo: &trials, device: Device::Cpu { slot: 0 }, policy };
    run_trials(first, &scene, script, answer)
}

/// Runs trials on one device in packs of three at most, whose children answer to trials that join.
fn run_trials(
    first: impl FnOnce(&mut EventLoop<'_, '_>, &What),
    scene: &Scene<'_>,
    script: impl Fn(&Child<'_>) -> Vec<News>,
    answer: impl Fn(&Child<'_>, TrialId) -> Vec<News>,
) -> Outcome {
    let Scene { sweep, todo, device, policy } = *scene;
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path(), "packs");
    let trials: Vec<TrialId> = todo.iter().map(|trial| trial.id).collect();
    trials.iter().for_each(|trial| fs::create_dir_all(layout.trial(*trial)).unwrap());
    let places = vec![Placement { device, cores: vec![0] }];
    let resources = Resources::from(places.as_slice());
    let width = resources.equal_width();
    let mut starts: Vec<Vec<usize>> = Vec::new();
    let mut executor = FakeExecutor::new(|_, file| {
        let Work::Train(pack) = &file.work else { return Ok(vec![News::Ended(Exit::Done)]) };
        let place = |trial: &Trial| trials.iter().position(|id| *id == trial.id).unwrap();
        let before = starts.len();
        starts.push(pack.slots.iter().map(place).collect());
        let child = Child { slots: &pack.slots, layout: &layout, before, micro_rows: file.micro_rows };
        Ok(script(&child))
    })
    .answering(|_, message| {
        let ToChild::Join { trial, .. } = message else { panic!("{message:?}") };
        let child = Child { slots: &[], layout: &layout, before: 0, micro_rows: None };
        answer(&child, trial.id)
    });
    let planned = What::RunPlanned {
        trials: todo.into(),
        done: [].into(),
        todo: trials.as_slice().into(),
        continued: 0,
        resources: resources.clone(),
        select: Select::Kinds,
        predicted: Duration::ZERO,
    };
    let journal = Journal::open(&layout.journal()).unwrap().0;
    let (remaining, known) = (Remaining::of(sweep, todo), Experience::default());
    let work = Arc::new(Workload::of(&remaining, folder.path(), &|_| width, &|_| true, &known));
    let limits = Limits { slots: 3, ..Limits::default() };
    let mut events = EventLoop {
        layout: &layout,
        stream: Stream { journal, ledger: Ledger::default(), readers: &mut [], measuring: None },
        scheduler: Scheduler::new(work, resources, limits, policy),
        executor: &mut executor,
        checkpoint_every: None,
        silence: policy.silence,
        clock: Clock::start(),
        kept: std::collections::HashSet::new(),
        beyond: None,
        state: LoopState::new(),
    };
    first(&mut events, &planned);
    events.run(planned, &never()).unwrap();
    events.close();
    let ledger = events.stream.ledger;
    let started = executor.finish();
    assert!(policy.fail_fast || *started.last().unwrap() == JobKey::Report);
    let replayed = Ledger::replay(&journal::read(&layout.journal()).unwrap().events);
    for trial in &trials {
        assert_eq!(ledger.state(*trial), replayed.state(*trial), "live and replayed");
        let attempts = |of: &Ledger| of.trial(*trial).map(|standing| standing.attempts);
        assert_eq!(attempts(&ledger), attempts(&replayed), "live and replayed");
    }
    Outcome { ledger, starts, _folder: folder, layout, trials }
}

#[test]
fn one_slot_diverges_and_two_finish() {
    let outcome = run(POLICY, |child| {
        let [a, b, c] = [0, 1, 2].map(|slot| child.slots[slot].id);
        vec![child.finish(a), child.diverge(b), child.finish(c), News::Ended(Exit::Done)]
    });
    assert_eq!(outcome.starts, [[0, 1, 2]]);
    assert_eq!(outcome.fates(), (2, 1));
    assert_eq!(*outcome.state(1), TrialState::Failed { failure: Failure::Diverged { step: 3 } });
    assert_eq!(*outcome.state(2), TrialState::Done);
    let log = fs::read_to_string(outcome.layout.log(outcome.trials[1])).unwrap();
    assert!(log.starts_with("trains with 2 others; their log: "), "{log}");
}

#[test]
fn when_a_child_dies_only_trials_without_a_fate_are_tried_again() {
    let outcome = run(POLICY, |child| match child.before {
        0 => {
            let (a, b) = (child.slots[0].id, child.slots[1].id);
            vec![child.finish(a), child.diverge(b), News::Ended(Exit::Failed(Failure::Killed { signal: 9 }))]
        }
        _ => vec![child.finish(child.slots[0].id), News::Ended(Exit::Done)],
    });
    assert_eq!(outcome.starts, [vec![0, 1, 2], vec![2]]);
    assert_eq!(outcome.fates(), (2, 1));
    assert_eq!(outcome.attempts(), [1, 1, 2]);
}

#[test]
fn a_child_that_hangs_is_killed_and_started_again() {
    let script = |child: &Child<'_>| match child.before {
        0 => Vec::new(),
        _ => [0, 1, 2].map(|slot| child.finish(child.slots[slot].id)).into_iter().chain([DONE]).collect(),
    };
    let silent = |events: &mut EventLoop<'_, '_>, planned: &What| {
        events.happen(planned.clone()).unwrap();
        events.kill_silent(Instant::now() + POLICY.silence + Duration::from_secs(1));
    };
    let outcome = run_behind(silent, POLICY, script);
    assert_eq!(outcome.starts, [[0, 1, 2], [0, 1, 2]]);
    assert_eq!((outcome.ledger.done(), outcome.attempts()), (3, vec![2; 3]));
}

#[test]
fn a_child_that_was_cut_short_and_hangs_ran_for_too_long() {
    let silent = |events: &mut EventLoop<'_, '_>, planned: &What| {
        events.happen(planned.clone()).unwrap();
        events.state.children.values_mut().for_each(|child| child.asked = Asked::CutShort);
        events.kill_silent(Instant::now() + POLICY.silence + Duration::from_secs(1));
    };
    let outcome = run_behind(silent, POLICY, |child| if child.before == 0 { Vec::new() } else { vec![DONE] });
    assert_eq!(outcome.starts, [[0, 1, 2]], "what takes too long does so again");
    assert_eq!(*outcome.state(0), TrialState::Failed { failure: Failure::TimedOut });
}

#[test]
fn a_child_fails_no_trial_but_its_own() {
    let (sweep, trials) = adapters(4, |_| 1);
    let scene = Scene { sweep: &sweep, todo: &trials, device: Device::Cpu { slot: 0 }, policy: POLICY };
    let script = |child: &Child<'_>| {
        let another =
            trials.iter().map(|trial| trial.id).find(|id| child.slots.iter().all(|own| own.id != *id));
        let said = ChildLine::Failed { trial: another.unwrap(), failure: Failure::Diverged { step: 1 } };
        let finished = child.slots.iter().map(|trial| child.finish(trial.id));
        [News::Said(said)].into_iter().chain(finished).chain([DONE]).collect()
    };
    let outcome = run_trials(|_, _| (), &scene, script, |_, _| panic!("nobody joins on a CPU"));
    assert_eq!(outcome.fates(), (4, 0));
    let events = journal::read(&outcome.layout.journal()).unwrap().events;
    assert!(!events.iter().any(|event| matches!(event.what, What::TrialFailed { .. })));
}

#[test]
fn a_fate_that_a_dying_child_could_not_tell_is_found_in_its_files() {
    let outcome = run(POLICY, |child| {
        let [a, b, c] = [0, 1, 2].map(|slot| child.slots[slot].id);
        let _unsaid = (child.finish(a), child.diverge(b), child.finish(c));
        vec![News::Ended(Exit::Failed(Failure::Killed { signal: 11 }))]
    });
    assert_eq!(outcome.starts, [[0, 1, 2]]);
    assert_eq!(outcome.fates(), (2, 1));
}

#[test]
fn a_failure_of_the_whole_pack_is_that_of_every_trial_without_a_fate() {
    let broken = Failure::BadData { message: "no store".to_owned() };
    let outcome =
        run(POLICY, |child| vec![child.finish(child.slots[1].id), News::Ended(Exit::Failed(broken.clone()))]);
    assert_eq!(outcome.starts, [[0, 1, 2]]);
    let failed = TrialState::Failed { failure: broken };
    assert_eq!([0, 2].map(|slot| outcome.state(slot)), [&failed; 2]);
    assert_eq!(*outcome.state(1), TrialState::Done);
}

#[test]
fn an_end_that_leaves_a_trial_without_a_fate_is_tried_again_and_then_a_failure() {
    let outcome = run(POLICY, |child| vec![child.finish(child.slots[0].id), News::Ended(Exit::Done)]);
    // Each start finishes one more; the third would be one too many.
    assert_eq!(outcome.starts, [vec![0, 1, 2], vec![1, 2]]);
    assert_eq!(*outcome.state(2), TrialState::Failed { failure: Failure::Exited { code: 0 } });
}

#[test]
fn a_trial_that_pauses_untold_is_left_for_the_next_run() {
    let stop = |trial| News::Said(ChildLine::Stopped { trial, step: 3, steps: 9 });
    let outcome = run(POLICY, |child| {
        let [a, b, c] = [0, 1, 2].map(|slot| child.slots[slot].id);
        vec![stop(b), stop(b), child.finish(a), stop(c), DONE]
    });
    assert_eq!((&outcome.starts[..], outcome.attempts()), (&[vec![0, 1, 2]][..], vec![1; 3]));
    assert_eq!((outcome.fates(), outcome.ledger.left()), ((1, 0), 2));
    assert_eq!([1, 2].map(|slot| outcome.state(slot)), [&TrialState::Paused { step: 3 }; 2]);
    let events = journal::read(&outcome.layout.journal()).unwrap().events;
    let pauses = events.iter().filter(|event| matches!(event.what, What::TrialPaused { .. }));
    assert_eq!(pauses.count(), 2, "each is told once");
}

#[test]
fn a_slot_that_fails_ends_the_run_where_the_policy_says_so() {
    let outcome = run_to_stop(Policy { fail_fast: true, ..POLICY });
    assert_eq!(outcome.fates(), (0, 1));
    assert_eq!(*outcome.state(0), TrialState::Interrupted);
}

/// A pack whose second slot diverges while the others have long to go.
fn run_to_stop(policy: Policy) -> Outcome {
    run(policy, |child| vec![child.diverge(child.slots[1].id)])
}

#[test]
fn when_memory_runs_out_the_pack_is_halved_and_then_takes_fewer_rows_at_a_time() {
    let outcome = run(Policy::ONCE, |child| {
        let rows = child.micro_rows;
        if child.slots.len() > 1 || (child.before > 1 && rows.is_none_or(|rows| rows > 8)) {
            return vec![News::Ended(Exit::Failed(Failure::OutOfMemory))];
        }
        vec![child.finish(child.slots[0].id), News::Ended(Exit::Done)]
    });
    assert_eq!(outcome.fates(), (3, 0));
    // What was too much for one trial is not tried with another.
    assert_eq!(outcome.starts, [vec![0, 1, 2], vec![0, 1], vec![0], vec![1], vec![2], vec![0], vec![1]]);
    assert_eq!(outcome.attempts(), [4, 4, 2]);
}

/// Five trials on a GPU that do not see the same batches.
fn five() -> (SweepSpec, Vec<Trial>) {
    adapters(5, |n| n)
}
/// A pack of three on a GPU, whose first trial diverges at once, and two trials that wait; the children do
/// as the scripts say with the one that joins. Every other trial is done in the end, once.
fn run_joined(
    first: impl Fn(&Child<'_>) -> Vec<News>,
    answer: impl Fn(&Child<'_>, TrialId) -> Vec<News>,
) -> Outcome {
    let script = |child: &Child<'_>| {
        if child.before == 0 {
            return first(child);
        }
        let all = child.slots.iter().map(|trial| child.finish(trial.id));
        all.chain([News::Ended(Exit::Done)]).collect()
    };
    let (sweep, trials) = five();
    let gpu = Device::Cuda { index: 0 };
    let scene = Scene { sweep: &sweep, todo: &trials, device: gpu, policy: POLICY };
    let outcome = run_trials(|_, _| (), &scene, script, answer);
    assert_eq!(outcome.fates(), (4, 1));
    assert!((1..5).all(|slot| *outcome.state(slot) == TrialState::Done));
    let events = journal::read(&outcome.layout.journal()).unwrap().events;
    let finished = events.iter().filter(|event| matches!(event.what, What::TrialFinished { .. }));
    assert_eq!(finished.count(), 4, "a trial is told to be done once");
    outcome
}

fn first_diverges(child: &Child<'_>) -> Vec<News> {
    vec![child.diverge(child.slots[0].id)]
}
const KILLED: News = News::Ended(Exit::Failed(Failure::Killed { signal: 9 }));

fn said_joined(trial: TrialId) -> News {
    News::Said(ChildLine::Joined { trial })
}

#[test]
fn a_waiting_trial_joins_and_is_done_by_the_pack() {
    let trials: Vec<TrialId> = five().1.iter().map(|trial| trial.id).collect();
    let outcome = run_joined(first_diverges, |child, joiner| {
        let all = [joiner, trials[1], trials[2]].map(|trial| child.finish(trial));
        [said_joined(joiner)].into_iter().chain(all).chain([News::Ended(Exit::Done)]).collect()
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
    let gone = |child: &Child<'_>| vec![child.diverge(child.slots[0].id), KILLED];
    let gone_unheard = |child: &Child<'_>| {
        let _unsaid = child.diverge(child.slots[0].id);
        vec![KILLED]
    };
    for first in [&gone as &dyn Fn(&Child<'_>) -> Vec<News>, &gone_unheard] {
        let outcome = run_joined(first, |_, _| panic!("it is gone"));
        assert_eq!(outcome.attempts(), [1, 2, 2, 1, 1]);
    }
    let trials: Vec<TrialId> = five().1.iter().map(|trial| trial.id).collect();
    let ended = run_joined(first_diverges, |child, _| {
        vec![child.finish(trials[1]), child.finish(trials[2]), News::Ended(Exit::Done)]
    });
    assert_eq!(ended.attempts(), [1; 5]);
    assert_eq!(ended.starts.concat().len(), 5, "{:?}", ended.starts);
}
