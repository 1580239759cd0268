//! Owns the scheduler's actions: starting what can start, filling slots, and stopping what must end. Who trains
//! together is decided in [`pack`], what an event changes in `scheduler`.

use std::time::SystemTime;

use crate::job::Work;
use crate::sched::chores::ChoreState;
use crate::sched::jobs::{Deadline, Doing, Job, Progress, Training};
use crate::sched::memory::Memory;
use crate::sched::pack::{Opening, Slot};
use crate::sched::reserve::{InUse, Reserved};
use crate::sched::scheduler::{Scheduler, Vacancy};
use crate::sched::trial::{Change, TrialState};
use crate::sched::workload::{ShapeWork, TrialNo};
use crate::sched::{Action, Launch};
use crate::values::{self, Device, JobKey, Placement, Width};

impl Scheduler {
    /// Starts what can start now, and ends what has taken too long.
    pub(super) fn decide(&mut self, now: SystemTime) -> Vec<Action> {
        self.end_pauses(now);
        let mut actions = self.end_overdue(now);
        self.launch_ready(now, &mut actions);
        actions
    }

    /// Packs start first, so that jobs alongside training get only the remaining cores. Work that must run
    /// alone comes last, so that it does not keep other work waiting.
    fn launch_ready(&mut self, now: SystemTime, actions: &mut Vec<Action>) {
        while !self.closed
            && let Some((placement, trials)) = self.next_pack(now)
        {
            actions.push(self.launch_pack(now, placement, &trials));
        }
        let is_beside = |job: &Job| job.training().is_none();
        if !self.closed
            && !self.jobs.values().any(is_beside)
            && let Some(chore) = self.chores.next(self.open == 0, false)
        {
            actions.push(self.launch_chore(now, chore));
        }
        if self.jobs.is_empty() {
            if let Some(chore) = self.chores.next(self.open == 0, true) {
                actions.push(self.launch_chore(now, chore));
            } else if let Some((trial, placement)) = self.next_alone() {
                actions.push(self.launch_pack(now, placement, &[trial]));
            }
        }
    }

    /// The pack that starts next, and where: the widest that there is room for. While a wider one waits for
    /// cores, a narrower one starts only where that does not keep it waiting.
    fn next_pack(&self, now: SystemTime) -> Option<(Placement, Vec<TrialNo>)> {
        let mut reserved: Option<Reserved> = None;
        for width in self.work.widths.iter().copied() {
            let within_s = reserved.map_or(f64::INFINITY, |reserved| reserved.within_s(width));
            let rooms = self.places.rooms(width);
            let is_full = rooms.is_empty();
            for placement in rooms {
                if let Some(trials) = self.next_of(now, &placement, within_s) {
                    return Some((placement, trials));
                }
            }
            if is_full
                && let Width::Cores(cores) = width
                && reserved.is_none()
                && self.waits(width)
            {
                reserved = Reserved::of(cores, self.places.free_on_cpu(), self.in_use(now));
            }
        }
        None
    }

    /// Whether a trial of this width could start.
    fn waits(&self, width: Width) -> bool {
        let waits = |(shape, of): (usize, &ShapeWork)| {
            of.width == width && self.chores.is_prepared(of.store) && !self.pool.lanes(shape).is_empty()
        };
        self.work.shapes.iter().enumerate().any(waits)
            || self.pool.again().any(|group| self.work.width_of(group[0]) == width)
    }

    /// The cores that packs use, and for how long.
    fn in_use(&self, now: SystemTime) -> Vec<InUse> {
        let trainings = self.trainings().filter_map(|(job, training)| match job.placement.width() {
            Width::Cores(cores) => {
                let pace = self.pace.of(training.shape, training.on);
                Some(InUse { cores, left_s: pace * self.left_s(now, job, training) })
            }
            Width::Gpu => None,
        });
        trainings.collect()
    }

    pub(super) fn trainings(&self) -> impl Iterator<Item = (&Job, &Training)> {
        self.jobs.values().filter_map(|job| Some((job, job.training()?)))
    }

    /// The predicted seconds that a pack still takes, before its pace is considered.
    pub(super) fn left_s(&self, now: SystemTime, job: &Job, training: &Training) -> f64 {
        let elapsed = now.duration_since(job.since).unwrap_or_default();
        training.left(elapsed, self.pace.of(training.shape, training.on)).as_secs_f64()
    }

    /// The trial that starts now that nothing else runs.
    fn next_alone(&self) -> Option<(TrialNo, Placement)> {
        let room = |trial| self.places.rooms(self.work.width_of(trial)).into_iter().next();
        self.pool.alone().find_map(|trial| Some((trial, room(trial)?)))
    }

    fn launch_pack(&mut self, now: SystemTime, placement: Placement, trials: &[TrialNo]) -> Action {
        let (job, mut work) = self.work.train(trials);
        if let Work::Train(pack) = &mut work {
            let until = |trial: &TrialNo| Some((self.work.id(*trial), self.trials[*trial].part.until?));
            pack.until = trials.iter().filter_map(until).collect();
        }
        let shape = self.work.shape_of(trials[0]);
        let micro_rows = self.memory.allowed(shape, self.places.memory(placement.device)).rows;
        let attempt = self.seat_pack(now, job, placement.clone(), trials);
        Action::Launch(Launch { job, attempt, placement, micro_rows, work })
    }

    /// Places waiting trials into a job, and returns its attempt: the largest number of starts of its trials.
    pub(super) fn seat_pack(
        &mut self,
        now: SystemTime,
        key: JobKey,
        placement: Placement,
        trials: &[TrialNo],
    ) -> u32 {
        let shape = self.work.shape_of(trials[0]);
        let is_fresh = trials.iter().all(|trial| self.trials[*trial].past.starts == 0);
        let mut attempt = 0;
        for trial in trials {
            self.change(*trial, Change::Placed { job: key });
            let past = &mut self.trials[*trial].past;
            past.starts += 1;
            attempt = attempt.max(past.starts);
            self.closed |= past.alone;
        }
        self.places.take(&placement);
        let limit = self
            .policy
            .trial_timeout
            .map(|limit| limit.saturating_mul(u32::try_from(trials.len()).unwrap_or(u32::MAX)));
        let (on, memory) = (self.places.kind(placement.device), self.places.memory(placement.device));
        let rows = self.memory.allowed(shape, memory).rows;
        let training = Training {
            shape,
            on,
            open: trials.to_vec(),
            done: 0,
            given: trials.to_vec(),
            late: Vec::new(),
            returned: 0,
            rows: rows.unwrap_or(self.work.shapes[shape].rows),
            is_fresh,
            estimate: self.work.pack_estimate(trials, on).duration,
            progress: Progress::default(),
        };
        let deadline = limit.and_then(|limit| now.checked_add(limit)).map(|at| Deadline { at, asked: false });
        let doing = Doing::Train(training);
        self.seat(key, Job { doing, placement, memory, since: now, is_up: false, shared: false, deadline });
        attempt
    }

    fn launch_chore(&mut self, now: SystemTime, number: usize) -> Action {
        let placement = Placement { device: Device::Host, cores: self.places.free_cores() };
        let attempt = self.seat_chore(now, number, placement.clone());
        let chore = &self.chores.all[number];
        Action::Launch(Launch {
            job: chore.key,
            attempt,
            placement,
            micro_rows: None,
            work: chore.work.clone(),
        })
    }

    pub(super) fn seat_chore(&mut self, now: SystemTime, number: usize, placement: Placement) -> u32 {
        let chore = &mut self.chores.all[number];
        chore.state = ChoreState::AtWork;
        chore.past.starts += 1;
        self.closed |= chore.past.alone;
        let (key, attempt) = (chore.key, chore.past.starts);
        let doing = Doing::Beside(number);
        let (memory, deadline) = (Memory::Host, None);
        self.seat(key, Job { doing, placement, memory, since: now, is_up: false, shared: false, deadline });
        attempt
    }

    fn seat(&mut self, key: JobKey, job: Job) {
        let shared = !self.jobs.is_empty();
        self.jobs.values_mut().for_each(|job| job.shared = true);
        self.jobs.insert(key, Job { shared, ..job });
    }

    /// Gives the slot of an ended trial to a waiting one, if one gains by it. A pack with trials that failed
    /// before gets no newcomer: if it failed again, it would not be known which trial is to blame.
    pub(super) fn fill(&mut self, vacancy: Vacancy) -> Option<Action> {
        let Vacancy { job: key, ended, failed } = vacancy;
        let job = self.jobs.get(&key).filter(|job| job.is_up && !self.ending)?;
        let training = job.training().filter(|training| training.is_fresh)?;
        let slot = Slot { memory: job.memory, open: &training.open, ended, failed };
        let trial = *self.next(Opening::Slot(slot))?.first()?;
        self.admit(key, trial);
        let until = self.trials[trial].part.until;
        Some(Action::Join { job: key, trial: self.work.trials[trial].trial.clone(), until })
    }

    /// Places a waiting trial into a running job.
    pub(super) fn admit(&mut self, key: JobKey, trial: TrialNo) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let (limit, deadline) = (self.policy.trial_timeout, &mut job.deadline);
        if let (Some(limit), Some(deadline)) = (limit, deadline.as_mut().filter(|deadline| !deadline.asked)) {
            deadline.at = deadline.at.checked_add(limit).unwrap_or(deadline.at);
        }
        let Some(training) = job.training_mut() else { return };
        training.add(trial, self.work.time(trial, training.on).alone());
        self.trials[trial].past.starts += 1;
        self.change(trial, Change::Placed { job: key });
    }

    /// Takes in a trial's progress.
    pub(super) fn hear(&mut self, now: SystemTime, heard: &values::Progress) {
        let Some(trial) = self.work.number(heard.trial) else { return };
        let TrialState::Placed { job } = self.trials[trial].state else { return };
        if let Some(training) = self.jobs.get_mut(&job).and_then(Job::training_mut) {
            let share = heard.step as f64 / heard.steps.max(1) as f64;
            self.pace.hear(now, training, trial, self.trials[trial].part.done_at(share));
        }
    }

    pub(super) fn end_pauses(&mut self, now: SystemTime) {
        while let Some((_, turn, trial)) = self.paused.first().copied().filter(|(until, ..)| *until <= now) {
            self.change(trial, Change::Returned { turn });
        }
        self.chores.end_pauses(now);
        self.places.end_rests(now);
    }

    /// The ends of the rests for which waiting trials wait.
    fn rests(&self) -> impl Iterator<Item = SystemTime> {
        self.places.rests().filter(|_| self.open > 0 && !self.ending)
    }

    /// Ends jobs that have run for too long, or have not ended long after they were asked to.
    fn end_overdue(&mut self, now: SystemTime) -> Vec<Action> {
        let ending = self.ending;
        let late = |(job, at_work): (&JobKey, &mut Job)| {
            let (job, force) = (*job, at_work.overdue(now)?);
            Some(if ending { Action::Stop { job, force } } else { Action::CutShort { job, force } })
        };
        self.jobs.iter_mut().filter_map(late).collect()
    }

    /// When to be called again, if that has changed.
    pub(super) fn wake(&mut self) -> Option<Action> {
        let pauses =
            self.paused.first().map(|(until, ..)| *until).into_iter().chain(self.chores.next_start());
        let deadlines = self.jobs.values().filter_map(|job| job.deadline).map(|deadline| deadline.at);
        let next = pauses.chain(deadlines).chain(self.rests()).min();
        let changed = next != self.wake_at;
        self.wake_at = next;
        next.filter(|_| changed).map(|at| Action::WakeAt { at })
    }

    pub(super) fn fail_fast(&mut self, now: SystemTime) -> Vec<Action> {
        if self.policy.fail_fast && !self.ending { self.stop(now, false) } else { Vec::new() }
    }

    pub(super) fn on_stop(&mut self, now: SystemTime, force: bool) -> Vec<Action> {
        if !self.ending || (force && !self.forced) { self.stop(now, force) } else { Vec::new() }
    }

    /// Asks running jobs to end, and leaves the waiting work for the next run.
    pub(super) fn stop(&mut self, now: SystemTime, force: bool) -> Vec<Action> {
        self.cancel_waiting();
        self.forced = force;
        for job in self.jobs.values_mut() {
            job.deadline = (!force).then(|| Deadline::asked(now));
        }
        self.jobs.keys().map(|job| Action::Stop { job: *job, force }).collect()
    }

    pub(super) fn cancel_waiting(&mut self) {
        self.ending = true;
        self.pool.clear();
        self.paused.clear();
        self.chores.cancel_waiting();
        for standing in &mut self.trials {
            match standing.state {
                TrialState::Waiting { .. } | TrialState::Paused { .. } | TrialState::Held => {
                    standing.state = TrialState::Cancelled;
                    self.open -= 1;
                }
                TrialState::Placed { .. }
                | TrialState::Done
                | TrialState::Failed { .. }
                | TrialState::Skipped { .. }
                | TrialState::Stopped
                | TrialState::Cancelled => {}
            }
        }
    }

    /// Ends the run, once. Everything that can start has been started before this is called, so a trial that
    /// still waits never starts, for example because there is no place to train.
    pub(super) fn end(&mut self, now: SystemTime) -> Vec<Action> {
        let rests = self.rests().next().is_some();
        let pauses = rests || !self.paused.is_empty() || self.chores.next_start().is_some();
        if self.ended || !self.jobs.is_empty() || pauses {
            return Vec::new();
        }
        if self.leave_held() {
            let actions = self.decide(now);
            if !actions.is_empty() {
                return actions;
            }
        }
        self.cancel_waiting();
        self.ended = true;
        vec![Action::End]
    }
}
