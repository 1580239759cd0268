//! What the children of the world do.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use super::{Happens, World};
use crate::job::Work;
use crate::sched::Launch;
use crate::sched::tests::finished;
use crate::sched::trial::TrialState;
use crate::values::{Device, Failure, JobKey, Placement, TrialId, What};

/// Rows of a batch of the example's trials.
const BATCH: usize = 32;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Exit {
    Done,
    Interrupted,
    Failed(Failure),
}

/// A child at work.
#[derive(Debug)]
pub(super) struct Child {
    /// Trials that it trains, and those it was told of and has not heard of yet.
    pub(super) open: Vec<TrialId>,
    pub(super) told: Vec<TrialId>,
    /// Where those pause that do.
    pub(super) until: BTreeMap<TrialId, f64>,
    /// Those that it is to let go at once.
    pub(super) ordered: BTreeSet<TrialId>,
    slots: usize,
    /// How many trials it ever had, or was to have: it has the time of all of them.
    given: u32,
    rows: usize,
    pub(super) placement: Placement,
    /// Something else drew from its memory meanwhile.
    pub(super) shared: bool,
    pub(super) alone: bool,
    since_ms: u64,
    /// It does not end when it is asked to.
    pub(super) deaf: bool,
    /// When it was asked to end.
    pub(super) asked_ms: Option<u64>,
    /// It ran past its time limit.
    is_late: bool,
}

impl Child {
    pub(super) fn has(&self, trial: TrialId) -> bool {
        self.open.contains(&trial) || self.told.contains(&trial)
    }

    /// Rows that it has in a memory, those of trials that just join twice.
    fn load(&self) -> usize {
        let joining = if self.told.is_empty() { 0 } else { self.told.len() + 1 };
        (self.open.len() + joining) * self.rows * (1 + usize::from(self.shared))
    }
}

impl World {
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    pub(super) fn launch(&mut self, launch: Launch) {
        let Launch { job, attempt, placement, micro_rows, work } = launch;
        let open: Vec<TrialId> = work.trials().iter().map(|trial| trial.id).collect();
        let (trials, at) = (open.clone(), placement.clone());
        self.tell(What::JobLaunching { key: job, attempt, placement: at, trials });
        let until = if let Work::Train(pack) = &work { pack.until.clone() } else { BTreeMap::new() };
        let shared = self.check_launch(job, &placement, &open);
        let rows = micro_rows.unwrap_or(BATCH);
        let gpus = self.scenario.resources.gpus.iter().map(|gpu| gpu.device);
        let in_service = gpus.filter(|gpu| !self.retired.contains(gpu)).chain([placement.device]);
        let capacity = in_service.map(|device| self.scenario.capacity(device).unwrap_or(usize::MAX)).max();
        assert!(rows == BATCH || capacity < Some(BATCH), "a trial fits with all of its rows");
        let child = Child {
            told: Vec::new(),
            until,
            ordered: BTreeSet::new(),
            slots: open.len(),
            given: u32::try_from(open.len()).unwrap(),
            rows,
            placement,
            shared,
            alone: self.has_to_be_alone(&open),
            since_ms: self.now_ms,
            deaf: self.chance(self.scenario.deaf),
            asked_ms: None,
            is_late: false,
            open: open.clone(),
        };
        self.expect(0, Happens::Told(What::JobStarted { key: job, pid: 7 }));
        self.foresee(job, &child);
        assert!(self.children.insert(job, child).is_none(), "{job} runs already");
        self.launches.push((job, open));
    }

    /// What a child that starts will do.
    fn foresee(&mut self, job: JobKey, child: &Child) {
        let ms = self.duration_ms(child);
        let dies = self.chance(self.scenario.failing).then(|| self.failure());
        let own_memory = matches!(child.placement.device, Device::Cuda { .. });
        let capacity = self.scenario.capacity(child.placement.device);
        let is_too_much = capacity.is_some_and(|capacity| child.load() > capacity);
        if child.open.is_empty() {
            self.expect(ms, Happens::Ends(job, dies.map_or(Exit::Done, Exit::Failed)));
        } else if capacity.is_some() && !own_memory {
            // Whether the host's memory lasts is seen at the end: others may have come meanwhile.
            self.expect(ms, Happens::Ends(job, Exit::Done));
        } else if is_too_much {
            self.expect(ms, Happens::Ends(job, Exit::Failed(Failure::OutOfMemory)));
        } else if let Some(failure) = self.device_failure(child) {
            self.expect(ms / 2, Happens::Ends(job, Exit::Failed(failure)));
        } else {
            for trial in &child.open {
                let mine = self.rng.random_range(ms / 2..=ms);
                self.expect(mine, Happens::TrialEnds(job, *trial));
            }
            let crashes = child.open.iter().any(|trial| self.crashes(*trial));
            let dies = if crashes { Some(self.crash()) } else { dies };
            if let Some(failure) = dies {
                self.expect(ms / 2 + 1, Happens::Ends(job, Exit::Failed(failure)));
            }
        }
    }

    fn crashes(&self, trial: TrialId) -> bool {
        self.scenario.crashing.is_some_and(|n| self.trials[n % self.trials.len()] == trial)
    }

    /// What is seen of the trial that brings its process down.
    pub(super) fn crash(&self) -> Failure {
        match self.scenario.crashing_takes_device {
            true => Failure::DeviceFailed { message: "CUDA error".to_owned() },
            false => Failure::Killed { signal: 11 },
        }
    }

    /// The failure of a sick GPU, if it fails now.
    fn device_failure(&mut self, child: &Child) -> Option<Failure> {
        let Device::Cuda { index } = child.placement.device else { return None };
        let percent = self.scenario.sick.get(&index).copied()?;
        let says_so = self.chance(50);
        let failure = Failure::DeviceFailed { message: "CUDA error".to_owned() };
        self.chance(percent).then_some(if says_so { failure } else { Failure::Hung })
    }

    fn duration_ms(&mut self, child: &Child) -> u64 {
        let numbers: Vec<_> = child.open.iter().filter_map(|id| self.scheduler.work.number(*id)).collect();
        let on = self.scheduler.places.kind(child.placement.device);
        let seconds = match numbers[..] {
            [] => 0.3,
            [..] => self.scheduler.work.pack_estimate(&numbers, on).duration.as_secs_f64(),
        };
        let noise = self.scenario.noise;
        let [shortest, longest] = [seconds * noise, seconds / noise].map(|seconds| (1e3 * seconds) as u64);
        self.rng.random_range(shortest..=longest).max(2)
    }

    fn failure(&mut self) -> Failure {
        if self.scenario.devices_fail && self.chance(50) {
            return Failure::DeviceFailed { message: "CUDA error".to_owned() };
        }
        match self.rng.random_range(0..4) {
            0 => Failure::Exited { code: 1 },
            1 => Failure::BadData { message: "no rows".to_owned() },
            2 => Failure::Hung,
            _ => Failure::Killed { signal: 9 },
        }
    }

    /// Gives a child one more trial; sometimes it is about to end, and the trial comes back at once.
    pub(super) fn join(&mut self, job: JobKey, trial: TrialId, until: Option<f64>) {
        let is_gone = self.chance(10);
        let child = self.children.get_mut(&job).expect("it is at work");
        assert!(matches!(child.placement.device, Device::Cuda { .. }));
        assert!(!self.fates.contains_key(&trial));
        child.given += 1;
        if is_gone {
            self.tell(What::TrialReturned { key: job, trial });
            return;
        }
        child.told.push(trial);
        child.until.extend(until.map(|share| (trial, share)));
        assert!(child.open.len() + child.told.len() <= child.slots, "it is full");
        self.joins += 1;
        self.tell(What::TrialJoining { key: job, trial });
        self.expect(1, Happens::Takes(job, trial));
    }

    pub(super) fn take(&mut self, job: JobKey, trial: TrialId) {
        let crashes = self.crashes(trial);
        let Some(child) = self.children.get_mut(&job) else { return };
        let Some(at) = child.told.iter().position(|told| *told == trial) else { return };
        let capacity = self.scenario.capacity(child.placement.device);
        if capacity.is_some_and(|capacity| child.load() > capacity) {
            self.lacked_at_join += 1;
            self.end_job(job, Exit::Failed(Failure::OutOfMemory));
            return;
        }
        child.told.remove(at);
        child.open.push(trial);
        let ms = self.rng.random_range(1..2_000);
        if crashes {
            let crash = self.crash();
            self.expect(1, Happens::Ends(job, Exit::Failed(crash)));
        }
        self.expect(ms, Happens::TrialEnds(job, trial));
    }

    pub(super) fn end_trial(&mut self, job: JobKey, trial: TrialId) {
        let fails = self.rng.random_ratio(self.scenario.failing, 200);
        let crashes = self.crashes(trial);
        let Some(child) = self.children.get_mut(&job) else { return };
        let Some(at) = child.open.iter().position(|open| *open == trial) else { return };
        if crashes {
            // It never gets there.
            return;
        }
        if let Some(share) = child.until.get(&trial).copied().filter(|_| !fails) {
            self.come_to_a_rung(job, trial, share);
            return;
        }
        child.open.remove(at);
        let failure = Failure::Diverged { step: 3 };
        let (state, what) = if fails {
            (TrialState::Failed { failure: failure.clone() }, What::TrialFailed { trial, failure })
        } else {
            (TrialState::Done, finished(trial))
        };
        assert!(self.fates.insert(trial, state).is_none(), "{trial} was trained twice");
        if child.open.is_empty() {
            self.expect(1, Happens::Ends(job, Exit::Done));
        }
        self.happen(what);
    }

    /// Cuts a child short that had more than the time of all of its trials.
    pub(super) fn cut_short(&mut self, job: JobKey, force: bool) {
        let limit = self.scenario.policy.trial_timeout.expect("there is a limit").as_millis();
        let child = self.children.get_mut(&job).expect("it is at work");
        let had = u128::from(self.now_ms - child.since_ms);
        assert!(had >= limit * u128::from(child.given), "{job} had {had} ms");
        assert_eq!(child.is_late, force, "it is asked first");
        child.is_late = true;
        if force || !child.deaf {
            self.expect(1, Happens::Ends(job, Exit::Interrupted));
        }
    }

    pub(super) fn end_job(&mut self, job: JobKey, exit: Exit) {
        let Some(child) = self.children.get(&job) else { return };
        let own_memory = matches!(child.placement.device, Device::Cuda { .. });
        let capacity = self.scenario.capacity(child.placement.device).unwrap_or(usize::MAX);
        let exit = match exit {
            _ if !own_memory && child.load() > capacity => Exit::Failed(Failure::OutOfMemory),
            Exit::Interrupted | Exit::Failed(Failure::Killed { .. }) if child.is_late => {
                Exit::Failed(Failure::TimedOut)
            }
            exit @ (Exit::Done | Exit::Interrupted | Exit::Failed(_)) => exit,
        };
        let ends_with_its_trials = self.scenario.capacity(child.placement.device).is_none() || own_memory;
        let works = !child.open.is_empty() || !child.told.is_empty();
        if exit == Exit::Done && ends_with_its_trials && works {
            // It was given another trial since.
            return;
        }
        let child = self.children.remove(&job).expect("it was there");
        let ms = self.now_ms - child.since_ms;
        if child.placement.device == Device::Host {
            self.beside_ms += ms;
        } else {
            self.training_ms += ms;
            self.longest_ms = self.longest_ms.max(ms);
        }
        for trial in &child.told {
            self.happen(What::TrialReturned { key: job, trial: *trial });
        }
        self.note(&child, &exit);
        self.happen(match exit {
            Exit::Done => What::JobFinished { key: job },
            Exit::Interrupted => What::JobInterrupted { key: job },
            Exit::Failed(failure) => What::JobFailed { key: job, failure },
        });
    }

    /// Remembers what an end showed, and that nothing is tried too often.
    fn note(&mut self, child: &Child, exit: &Exit) {
        let company: BTreeSet<TrialId> = child.open.iter().chain(&child.told).copied().collect();
        self.note_device(child, exit);
        match exit {
            Exit::Done => {
                self.fates.extend(child.open.iter().map(|trial| (*trial, TrialState::Done)));
            }
            Exit::Failed(Failure::OutOfMemory) => {
                let capacity = self.scenario.capacity(child.placement.device).unwrap_or(usize::MAX);
                let tried = (company, child.rows, child.shared, capacity);
                assert!(self.tried.insert(tried), "the same was tried again");
            }
            Exit::Failed(failure) if failure.blames(child.placement.device) => {
                for trial in &child.open {
                    let past = self.pasts.entry(*trial).or_default();
                    past.company = child.open.iter().copied().collect();
                    past.lost.insert(child.placement.device);
                }
            }
            Exit::Interrupted | Exit::Failed(_) => {
                for trial in &child.open {
                    let past = self.pasts.entry(*trial).or_default();
                    past.failures += 1;
                    past.failures_alone += u32::from(company.len() == 1);
                    past.company = child.open.iter().copied().collect();
                    let pause = self.scenario.policy.pause.as_millis();
                    past.not_before_ms = self.now_ms + u64::try_from(pause).unwrap();
                    let (attempts, halvings) = (self.scenario.policy.attempts, self.trials.len().ilog2() + 2);
                    assert!(past.failures_alone <= attempts, "{trial} was tried too often");
                    assert!(past.failures <= attempts + halvings, "{trial} was tried too often with others");
                }
            }
        }
    }
    /// Remembers what an end showed of a GPU. Packs that lost one before may be to blame themselves.
    fn note_device(&mut self, child: &Child, exit: &Exit) {
        let device = child.placement.device;
        let is_new =
            child.open.iter().all(|trial| self.pasts.get(trial).is_none_or(|past| past.lost.is_empty()));
        let gpu = self.gpus.entry(device).or_default();
        match exit {
            Exit::Done => {
                gpu.lost_in_row = 0;
                gpu.finished += 1;
            }
            Exit::Failed(failure) if failure.blames(device) => {
                gpu.lost_in_row += 1;
                gpu.not_before_ms = self.now_ms + if is_new { 120_000 } else { 0 };
            }
            Exit::Interrupted | Exit::Failed(_) => {}
        }
    }
}
