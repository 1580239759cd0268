//! What must hold in the world, whatever happens.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;

use super::World;
use super::children::Child;
use crate::sched::Turn;
use crate::sched::jobs::Job;
use crate::sched::reserve::InUse;
use crate::sched::tests::finished;
use crate::sched::trial::TrialState;
use crate::search;
use crate::values::{Device, Failure, JobKey, Placement, Progress, Resources, TrialId, What, Width};

impl World {
    /// Whether something else draws from the memory of a job that starts, which is then told to share it too.
    pub(super) fn check_launch(&mut self, job: JobKey, placement: &Placement, open: &[TrialId]) -> bool {
        assert!(!self.ending, "{job} was started while the run was ending");
        assert!(open.len() <= self.scenario.limits.slots);
        assert!(!self.retired.contains(&placement.device), "{} is out of service", placement.device);
        assert!(!self.has_to_be_alone(open) || self.children.is_empty());
        let rests_until_ms = self.gpus.get(&placement.device).map_or(0, |gpu| gpu.not_before_ms);
        assert!(self.now_ms >= rests_until_ms, "{} was to rest", placement.device);
        for trial in open {
            let Some(past) = self.pasts.get(trial) else { continue };
            assert!(
                self.trusts(trial, placement.device),
                "{trial} lost {}, not all others",
                placement.device
            );
            assert!(self.now_ms >= past.not_before_ms, "{trial} was to pause");
            let is_known = |other: &TrialId| past.company.contains(other);
            let lacked = self.scenario.capacity(placement.device).is_some();
            assert!(lacked || open.iter().all(is_known), "{trial} starts with others than it failed with");
        }
        self.check_placement(placement, open);
        let is_gpu = |placement: &Placement| matches!(placement.device, Device::Cuda { .. });
        for child in self.children.values_mut() {
            assert!(child.placement.device != placement.device, "{} is taken", placement.device);
            assert!(!child.alone, "{job} was started beside one that wants to be alone");
            child.shared |= !is_gpu(&child.placement);
        }
        !is_gpu(placement) && !self.children.is_empty()
    }

    /// Whether a trial may start on a device: on one that it lost only where it lost all that are in service.
    fn trusts(&self, trial: &TrialId, device: Device) -> bool {
        let Some(past) = self.pasts.get(trial) else { return true };
        let gpus = self.scenario.resources.gpus.iter().map(|gpu| gpu.device);
        let number = self.scheduler.work.number(*trial).unwrap();
        let holds = |gpu: &Device| self.scheduler.holds(number, *gpu);
        let mut others =
            gpus.filter(|gpu| !self.retired.contains(gpu) && !past.lost.contains(gpu)).filter(holds);
        !past.lost.contains(&device) || others.next().is_none()
    }

    /// No core is used twice, and a pack has the width of each of its trials.
    fn check_placement(&self, placement: &Placement, open: &[TrialId]) {
        let Resources { cores, gpus, at_once, .. } = &self.scenario.resources;
        let work = &self.scheduler.work;
        for trial in open {
            assert_eq!(work.width_of(work.number(*trial).unwrap()), placement.width());
        }
        match placement.device {
            Device::Cpu { slot } => {
                let is_on_cpu = |child: &&Child| matches!(child.placement.device, Device::Cpu { .. });
                let on_cpu = self.children.values().filter(is_on_cpu);
                assert!(at_once.is_none_or(|most| on_cpu.clone().count() < most));
                let mut used = on_cpu.flat_map(|child| &child.placement.cores);
                assert!(used.all(|core| !placement.cores.contains(core)), "{placement:?}: a core is taken");
                assert_eq!(placement.cores[0], cores[slot]);
                assert!(placement.cores.iter().all(|core| cores.contains(core)));
            }
            Device::Cuda { .. } => {
                assert!(gpus.contains(placement));
                self.check_memory(placement, open);
            }
            Device::Host => assert!(open.is_empty()),
        }
    }

    /// A pack needs no more memory than its GPU has, and a trial that does starts where there is most.
    fn check_memory(&self, placement: &Placement, open: &[TrialId]) {
        let (known, work) = (&self.scenario.resources.known, &self.scheduler.work);
        let Some(gpu) = known.iter().find(|gpu| gpu.device == placement.device) else { return };
        let numbers: Vec<_> = open.iter().map(|trial| work.number(*trial).unwrap()).collect();
        let on = self.scheduler.places.kind(placement.device);
        let is_too_much = work.pack_estimate(&numbers, on).mem_mib > gpu.mem_mib as f64;
        let larger = known.iter().filter(|other| 10 * other.mem_mib > 11 * gpu.mem_mib);
        let has_larger = larger.clone().any(|other| !self.retired.contains(&other.device));
        assert!(!is_too_much || open.len() == 1, "{open:?} do not fit into {gpu:?}");
        assert!(!is_too_much || !has_larger, "{open:?} fit into a larger memory than {gpu:?}");
    }

    /// Nothing is idle that the widest waiting trials could use, and what started beside them does not keep
    /// them waiting.
    fn check_waiting(&self, waiting: &BTreeMap<Width, Vec<TrialId>>, started: &[(JobKey, Vec<TrialId>)]) {
        if self.children.values().any(|child| child.alone) {
            return;
        }
        let Resources { cores, at_once, .. } = &self.scenario.resources;
        let on_gpus = waiting.get(&Width::Gpu).into_iter().flatten();
        let idle: Vec<Device> = self.idle_gpus().collect();
        for trial in on_gpus {
            let number = self.scheduler.work.number(*trial).unwrap();
            let may_start = |gpu: &Device| self.trusts(trial, *gpu) && self.scheduler.holds(number, *gpu);
            assert!(!idle.iter().any(may_start), "{trial} waits, and {idle:?} are idle");
        }
        let on_cpu = |width: &Width| match width {
            Width::Cores(cores) => Some(*cores),
            Width::Gpu => None,
        };
        let Some(widest) = waiting.keys().filter_map(on_cpu).max() else { return };
        let running = self.running();
        let at_once = at_once.unwrap_or(usize::MAX);
        let could_start = |after_s: f64, without: &dyn Fn(JobKey, usize) -> bool| {
            let left = running.iter().filter(|(job, one)| one.left_s > after_s && !without(*job, one.cores));
            let used: usize = left.clone().map(|(_, one)| one.cores).sum();
            used + widest <= cores.len() && left.count() < at_once
        };
        let used: usize = running.iter().map(|(_, one)| one.cores).sum();
        let has_room = used + widest <= cores.len() && running.len() < at_once;
        assert!(!has_room, "cores are idle");
        let narrower =
            |job: JobKey, cores: usize| cores < widest && started.iter().any(|(started, _)| *started == job);
        for after_s in running.iter().map(|(_, one)| one.left_s) {
            let is_kept = could_start(after_s, &narrower) && !could_start(after_s, &|_, _| false);
            assert!(!is_kept, "a pack of {widest} cores could start in {after_s} s: {running:?} {started:?}");
        }
    }

    /// The GPUs in service that neither train nor rest.
    fn idle_gpus(&self) -> impl Iterator<Item = Device> {
        let longest = self.now() + Duration::from_mins(8);
        assert!(self.scheduler.places.rests().all(|until| until <= longest));
        self.scheduler.places.rooms(Width::Gpu).into_iter().map(|room| room.device)
    }

    /// The packs on the CPU.
    fn running(&self) -> Vec<(JobKey, InUse)> {
        let one = |(key, job): (&JobKey, &Job)| {
            let (cores, training) = (job.placement.cores.len(), job.training()?);
            let left_s = self.scheduler.left_s(self.now(), job, training);
            (job.placement.width() != Width::Gpu).then_some((*key, InUse { cores, left_s }))
        };
        self.scheduler.jobs.iter().filter_map(one).collect()
    }

    pub(super) fn has_to_be_alone(&self, open: &[TrialId]) -> bool {
        let number = |trial: &TrialId| self.scheduler.work.number(*trial).unwrap();
        open.iter().any(|trial| self.scheduler.trials[number(trial)].past.alone)
    }

    /// What must hold after every event.
    pub(super) fn check(&mut self) {
        let scheduler = &self.scheduler;
        let mut waiting: BTreeMap<Width, Vec<TrialId>> = BTreeMap::new();
        for trial in &self.trials {
            let state = scheduler.state(*trial).unwrap();
            let at_work = self.children.iter().find(|(_, child)| child.has(*trial)).map(|(job, _)| *job);
            assert_eq!(at_work.is_some(), matches!(state, TrialState::Placed { .. }), "{trial}: {state:?}");
            if let Some(job) = at_work {
                assert_eq!(*state, TrialState::Placed { job });
            }
            match self.fates.get(trial) {
                Some(fate) => assert_eq!(state, fate),
                None => assert!(!matches!(state, TrialState::Done | TrialState::Failed { .. }), "{state:?}"),
            }
            self.check_turn(*trial, state);
            let number = scheduler.work.number(*trial).unwrap();
            let store = scheduler.work.shapes[scheduler.work.shape_of(number)].store;
            let ready = scheduler.chores.is_prepared(store);
            match state {
                TrialState::Waiting { turn: Turn::InLane | Turn::Together { .. } } => {
                    if ready {
                        waiting.entry(scheduler.work.width_of(number)).or_default().push(*trial);
                    }
                }
                TrialState::Placed { .. } => assert!(ready, "{trial} has no data"),
                TrialState::Waiting { turn: Turn::Alone }
                | TrialState::Paused { .. }
                | TrialState::Held
                | TrialState::Stopped
                | TrialState::Done
                | TrialState::Failed { .. }
                | TrialState::Skipped { .. }
                | TrialState::Cancelled => {}
            }
        }
        let hosts = self.children.values().filter(|child| child.placement.device == Device::Host).count();
        assert!(hosts <= 1);
        self.check_waiting(&waiting, &self.launches[self.checked..]);
        self.checked = self.launches.len();
        assert!(!self.ending || waiting.is_empty(), "trials wait while the run ends");
        self.tell_nonsense();
    }

    /// Nobody waits to train who is stopped or waits for a decision.
    fn check_turn(&self, trial: TrialId, state: &TrialState) {
        let turn = self.scheduler.brackets.turn(trial);
        match state {
            TrialState::Waiting { .. } | TrialState::Paused { .. } => {
                assert!(
                    matches!(turn, search::Turn::Free | search::Turn::Until(_)),
                    "{trial} waits: {turn:?}"
                );
            }
            // Or waits for the end of the job that is called after it.
            TrialState::Held => {
                assert!(turn == search::Turn::Waits || self.children.contains_key(&JobKey::Train(trial)));
            }
            TrialState::Stopped => assert_eq!(turn, search::Turn::Stopped, "{trial}"),
            TrialState::Placed { .. }
            | TrialState::Done
            | TrialState::Failed { .. }
            | TrialState::Skipped { .. }
            | TrialState::Cancelled => {}
        }
    }

    pub(super) fn check_the_end(&mut self) {
        self.check();
        assert!(self.ended, "the run never ended");
        assert!(self.children.is_empty());
        for trial in &self.trials {
            assert!(self.scheduler.state(*trial).unwrap().is_over(), "{trial} was lost");
        }
        let reports = self.launches.iter().filter(|(key, _)| *key == JobKey::Report).count();
        let no_gpu_is_left =
            !self.retired.is_empty() && self.retired.len() == self.scenario.resources.gpus.len();
        let was_stopped = self.ending || self.scenario.policy.fail_fast || no_gpu_is_left;
        assert!(was_stopped || reports >= 1, "nothing was reported");
    }

    /// An event that makes no sense changes nothing, whenever it comes. (One that comes before a pause is seen
    /// to be over would end it.)
    fn tell_nonsense(&mut self) {
        if self.stepped_ms != self.now_ms {
            return;
        }
        let states = |world: &Self| -> Vec<TrialState> {
            world.scheduler.trials.iter().map(|trial| trial.state.clone()).collect()
        };
        let (what, before) = (self.nonsense(), states(self));
        assert_eq!(self.scheduler.step(self.now(), &what), [], "{what:?}");
        assert_eq!(states(self), before, "{what:?}");
    }

    fn nonsense(&mut self) -> What {
        let unknown: TrialId = "0123456789abcdef".parse().unwrap();
        // A job that is not at work: it has ended, or never was.
        let gone = self.launches.iter().map(|(job, _)| *job).filter(|job| !self.children.contains_key(job));
        let gone: Vec<JobKey> = gone.chain([JobKey::Train(unknown)]).collect();
        let key = *gone.choose(&mut self.rng).unwrap();
        let at_work = self.children.keys().next().copied().unwrap_or(key);
        let trial = *self.trials.choose(&mut self.rng).unwrap();
        let failure = Failure::OutOfMemory;
        let is_placed = matches!(self.scheduler.state(trial), Some(TrialState::Placed { .. }));
        let idle = if is_placed || self.scenario.rule.is_some() { unknown } else { trial };
        match self.rng.random_range(0..10) {
            0 => What::JobStarted { key, pid: 1 },
            1 => What::JobFinished { key },
            2 => What::JobFailed { key, failure },
            3 => What::JobInterrupted { key },
            4 => What::TrialReturned { key, trial },
            5 => What::TrialReturned { key: at_work, trial: idle },
            6 => What::TrialJoining { key: at_work, trial: idle },
            7 => finished(idle),
            8 => What::TrialFailed { trial: idle, failure },
            _ => {
                let (step, steps, loss, rows_per_s) = (9, 3, f64::NAN, 0.0);
                let progress = Progress { trial: idle, step, steps, loss, rows_per_s, validation: None };
                What::TrialProgressed { key: at_work, progress }
            }
        }
    }
}
