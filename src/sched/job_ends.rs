//! Owns what follows from the end of a job: for its place, its trials, and the trials that wait for the store
//! it was to prepare. What an end means for a single one of them is decided in `ends`.

use std::time::SystemTime;

use crate::sched::Action;
use crate::sched::chores::ChoreState;
use crate::sched::ends::{Circumstances, End, Next};
use crate::sched::jobs::{Doing, Job, Training};
use crate::sched::memory::{Fallback, Load, Memory, fallback};
use crate::sched::places::{Loss, Told};
use crate::sched::scheduler::Scheduler;
use crate::sched::trial::{Change, Turn};
use crate::sched::workload::TrialNo;
use crate::values::{Device, Failure, JobKey};

impl Scheduler {
    pub(super) fn on_end(&mut self, now: SystemTime, key: JobKey, end: Option<End<'_>>) -> Vec<Action> {
        let Some(job) = self.jobs.remove(&key) else { return Vec::new() };
        self.closed = false;
        let mut actions = match &job.doing {
            Doing::Train(training) => self.end_pack(now, &job, training, end),
            Doing::Beside(chore) => self.end_chore(now, &job, *chore, end),
        };
        self.release_namesake(key);
        if matches!(end, Some(End::Failed(Failure::Unwritable { .. }))) && !self.ending {
            actions.extend(self.stop(now, false));
        }
        actions
    }

    fn end_pack(
        &mut self,
        now: SystemTime,
        job: &Job,
        training: &Training,
        end: Option<End<'_>>,
    ) -> Vec<Action> {
        let is_hopeless = end.is_some_and(|end| self.is_hopeless(job, training, end));
        let loss = end.filter(|_| !is_hopeless).and_then(|end| self.loss(job, training, end));
        let told = match end {
            None => Told::Works,
            Some(_) if loss.is_some() => Told::Lost(&training.given),
            Some(_) => Told::Nothing,
        };
        let retired = self.places.leave(now, &job.placement, told);
        let mut actions: Vec<Action> = retired.map(|device| Action::Retire { device }).into_iter().collect();
        let (mut trials, mut reason) = (Vec::new(), None);
        if let Some(end) = end {
            let turns = self.turns(training, end, loss);
            let circumstances =
                Circumstances { loss, is_hopeless, ..self.circumstances(now, job, training, end) };
            for (trial, turn) in training.open.iter().copied().zip(turns) {
                let past = &mut self.trials[trial].past;
                let next = circumstances.next(end, past);
                let turn = if past.alone { Turn::Alone } else { turn };
                let change = match next {
                    Next::Ready => Change::Returned { turn },
                    Next::At(until) => Change::Paused { until, turn },
                    Next::Failed(failure) => {
                        trials.push(self.work.id(trial));
                        self.given_up.insert(trial);
                        reason = Some(failure.clone());
                        Change::Failed { failure }
                    }
                    Next::Cancelled => Change::Cancelled,
                };
                self.change(trial, change);
                self.stay_stopped(trial);
            }
        } else {
            training.open.iter().for_each(|trial| self.change(*trial, Change::Finished));
        }
        if let Some(failure) = reason {
            actions.push(Action::GiveUp { trials, failure });
            actions.extend(self.fail_fast(now));
        }
        actions
    }

    /// The device that a pack lost, unless the pack is to blame: one that has lost every device that is left, and
    /// this one again after it worked for others, would go on like that.
    fn loss(&self, job: &Job, training: &Training, end: End<'_>) -> Option<Loss> {
        let device = job.placement.device;
        let blames = matches!(end, End::Failed(failure) if failure.blames(device));
        let works_for_others = |trial: &TrialNo| {
            let mut lost = self.trials[*trial].past.lost.iter();
            lost.any(|loss| loss.device == device && self.places.works_since(loss))
        };
        let is_to_blame = !self.has_others(training, device) && training.open.iter().any(works_for_others);
        (blames && !is_to_blame).then(|| self.places.loss(device))
    }

    /// Whether a single trial is to blame for the loss of a device: it has lost every one that is left, and often
    /// enough such as had worked before. Nobody else trains then who could show that they still do.
    fn is_hopeless(&self, job: &Job, training: &Training, end: End<'_>) -> bool {
        let (device, [trial]) = (job.placement.device, &training.open[..]) else { return false };
        let past = &self.trials[*trial].past;
        matches!(end, End::Failed(failure) if failure.blames(device))
            && !self.has_others(training, device)
            && past.would_be_hopeless(&self.places.loss(device), end)
    }

    /// Whether another device is in service that a pack has not lost.
    fn has_others(&self, training: &Training, than: Device) -> bool {
        let lost = |device| {
            let is_of_no_use =
                |trial: &TrialNo| self.trials[*trial].past.has_lost(device) || !self.holds(*trial, device);
            training.open.iter().any(is_of_no_use)
        };
        self.places.has_others(|device| device == than || lost(device))
    }

    /// What the trials of a failed pack may start with. Trials for which memory was too small are packed anew.
    /// Others start together again, and after that in halves, so that a trial that brings its process down ends
    /// up alone. Those that lost a device stay together as long as there is another; where they have to start on
    /// one that they lost, halves show whether a trial or the device is to blame.
    fn turns(&mut self, training: &Training, end: End<'_>, loss: Option<Loss>) -> Vec<Turn> {
        let open = training.open.len();
        let lost = training.open.iter().any(|trial| !self.trials[*trial].past.lost.is_empty());
        let lacked = end == End::Failed(&Failure::OutOfMemory);
        if lacked && !lost {
            return vec![Turn::InLane; open];
        }
        let failed_before = training.open.iter().all(|trial| self.trials[*trial].past.counted > 0);
        let is_due_to_one = match loss {
            Some(loss) => !self.has_others(training, loss.device),
            None => failed_before && !lacked && end.may_be_due_to_one(),
        };
        let half = if is_due_to_one { open.div_ceil(2) } else { open };
        let group = self.groups;
        self.groups += 2;
        (0..open).map(|at| Turn::Together { group: group + usize::from(at >= half) }).collect()
    }

    fn circumstances(
        &mut self,
        now: SystemTime,
        job: &Job,
        training: &Training,
        end: End<'_>,
    ) -> Circumstances {
        let memory = job.memory;
        let trials = training.open.len() + training.returned;
        let load = Load { trials, rows: training.rows, alone: job.had_its_memory_alone() };
        let lacked = end == End::Failed(&Failure::OutOfMemory) && !training.open.is_empty();
        Circumstances {
            policy: self.policy,
            now,
            ending: self.ending,
            fallback: if lacked {
                self.memory.learn(training.shape, memory, load, self.places.has_larger(memory))
            } else {
                Fallback::Exhausted
            },
            shares_memory: memory == Memory::Host,
            in_company: trials > 1,
            loss: None,
            is_hopeless: false,
        }
    }

    fn end_chore(&mut self, now: SystemTime, job: &Job, number: usize, end: Option<End<'_>>) -> Vec<Action> {
        let load = Load { trials: 0, rows: 1, alone: job.had_its_memory_alone() };
        let circumstances = Circumstances {
            policy: self.policy,
            now,
            ending: self.ending,
            fallback: fallback(load),
            shares_memory: true,
            in_company: false,
            loss: None,
            is_hopeless: false,
        };
        let chore = &mut self.chores.all[number];
        let next = end.map(|end| circumstances.next(end, &mut chore.past));
        let failed = matches!(next, Some(Next::Failed(_)));
        chore.state = match next {
            None => ChoreState::Done,
            Some(Next::Ready) => ChoreState::Waiting,
            Some(Next::At(until)) => ChoreState::Paused { until },
            Some(Next::Failed(failure)) => ChoreState::Failed { failure },
            Some(Next::Cancelled) => ChoreState::Cancelled,
        };
        let is_out_of_date = self.open > 0 && !self.ending;
        let (is_over, is_done) = (chore.state.is_over(), chore.state == ChoreState::Done);
        if is_out_of_date && is_done && number + 1 == self.chores.all.len() {
            self.chores.report_again();
        }
        if is_over && !is_done {
            self.skip_those_that_need(number);
        }
        if failed { self.fail_fast(now) } else { Vec::new() }
    }

    fn skip_those_that_need(&mut self, store: usize) {
        let Some(of) = self.work.stores.get(store) else { return };
        let key = of.prepare.store;
        for trial in 0..self.trials.len() {
            if self.work.shapes[self.work.shape_of(trial)].store == store {
                self.change(trial, Change::Skipped { store: key });
            }
        }
    }
}
