//! Owns the loop: what the executor reports and the user asks becomes journal entries, then events
//! for the scheduler, and its actions are carried out. The only place where these meet.
//!
//! A trial is done when its result file is valid, and failed when the scheduler gives its job up;
//! a line on a child's standard output alone proves nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::{Receiver, never, select_biased, tick};
use jiff::Timestamp;

use super::StopRequest;
use crate::error::AppError;
use crate::exec::{Executor, Exit, Report, StartJob, What};
use crate::job::{ChildLine, JobFile, Placement, Work};
use crate::outcome::Failure;
use crate::plan::cost::Calibration;
use crate::plan::{JobId, JobKey};
use crate::run::files;
use crate::run::journal::{Entry, Happened, Journal};
use crate::run::layout::Layout;
use crate::run::resume;
use crate::sched::{Action, Event, JobState, Scheduler};
use crate::spec::SweepSpec;
use crate::trial::{Trial, TrialId};
use crate::ui::{Notice, Observer};

/// A child that has said nothing for this long hangs. Heartbeats come every two seconds.
const SILENCE: Duration = Duration::from_secs(300);
/// Time between two looks for silent children.
const TICK: Duration = Duration::from_secs(5);

/// The state of the loop.
pub(super) struct Dispatcher<'a> {
    pub(super) layout: &'a Layout,
    pub(super) spec: &'a SweepSpec,
    pub(super) journal: Journal,
    pub(super) scheduler: Scheduler,
    pub(super) calibration: Calibration,
    pub(super) executor: &'a mut dyn Executor,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) tally: Tally,
    pub(super) at_work: BTreeMap<JobId, AtWork>,
}

/// What has become of the sweep's trials so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) total: usize,
    pub(super) done: BTreeSet<TrialId>,
    pub(super) failures: BTreeMap<TrialId, Failure>,
    pub(super) failed_jobs: Vec<(JobKey, Failure)>,
    pub(super) stopped: bool,
    pub(super) reported: bool,
}

impl Tally {
    fn is_settled(&self, trial: TrialId) -> bool {
        self.done.contains(&trial) || self.failures.contains_key(&trial)
    }
}

/// A job with a child.
#[derive(Debug)]
pub(super) struct AtWork {
    trials: Vec<Trial>,
    heard: Instant,
    asked: Asked,
}

/// What a child was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Work,
    Stop,
    /// It hung, and is being killed.
    Die,
}

impl Dispatcher<'_> {
    /// Runs until the scheduler says that it is over.
    pub(super) fn run(&mut self, stop: &Receiver<StopRequest>) -> Result<(), AppError> {
        let reports = self.executor.reports().clone();
        let mut stop = stop.clone();
        let ticks = tick(TICK);
        let mut over = self.happen(Event::RunStarted)?;
        while !over {
            over = select_biased! {
                recv(stop) -> request => match request {
                    Ok(request) => self.on_stop(request)?,
                    Err(_) => {
                        // Nobody is left who could ask.
                        stop = never();
                        false
                    }
                },
                recv(reports) -> report => {
                    let Report { job, what } = report.expect("an executor keeps its channel open");
                    match what {
                        What::Said(line) => self.on_line(job, &line)?,
                        What::Ended(exit) => self.on_end(job, exit)?,
                    }
                }
                recv(ticks) -> _ => {
                    self.kill_silent(Instant::now());
                    false
                }
            };
        }
        self.note(Happened::RunEnded)
    }

    /// Leaves nothing running, whatever ended the loop.
    pub(super) fn close(self, ended: Result<(), AppError>) -> (Result<(), AppError>, Tally) {
        for job in self.at_work.keys() {
            self.executor.stop(*job, true);
        }
        (ended, self.tally)
    }

    /// Gives an event to the scheduler and carries out what follows. Says whether the run is over.
    fn happen(&mut self, event: Event) -> Result<bool, AppError> {
        let mut events = VecDeque::from([event]);
        let mut over = false;
        while let Some(event) = events.pop_front() {
            let actions = self.scheduler.step(SystemTime::now(), &event);
            if let Event::JobFailed { job, failure } = &event {
                self.give_up(*job, failure)?;
            }
            for action in actions {
                match action {
                    Action::Launch { job, attempt, placement } => {
                        events.push_back(self.launch(job, attempt, placement)?);
                    }
                    Action::Stop { job, force } => self.ask(job, Asked::Stop, force),
                    Action::End => over = true,
                }
            }
        }
        Ok(over)
    }

    fn launch(&mut self, job: JobId, attempt: u32, placement: Placement) -> Result<Event, AppError> {
        let planned = self.scheduler.graph().job(job);
        let (key, mut work) = (planned.key.clone(), planned.work.clone());
        if let Work::Train(pack) = &mut work {
            // An earlier attempt may have settled some of the pack.
            pack.slots.retain(|trial| !self.tally.is_settled(trial.id));
        }
        let trials = trained_by(&work);
        let ids = trials.iter().map(|trial| trial.id).collect();
        self.note(Happened::JobLaunching {
            key: key.clone(),
            attempt,
            placement: placement.clone(),
            trials: ids,
        })?;
        self.observer.observe(&Notice::JobLaunched {
            job,
            key: &key,
            placement: &placement,
            attempt,
            trials: &trials,
        });
        let (run, stores) = (self.layout.run().to_path_buf(), self.layout.stores().to_path_buf());
        let file = JobFile { run, stores, placement, work };
        match self.start_child(job, &key, &file) {
            Ok(pid) => {
                self.at_work.insert(job, AtWork { trials, heard: Instant::now(), asked: Asked::Work });
                self.note(Happened::JobStarted { key, pid })?;
                Ok(Event::JobStarted { job })
            }
            Err(error) => {
                let failure = Failure::BadData { message: format!("cannot start its process: {error}") };
                self.fail_job(job, &key, failure)
            }
        }
    }

    fn start_child(&mut self, job: JobId, key: &JobKey, file: &JobFile) -> io::Result<u32> {
        let log = log_path(self.layout, key, &file.work);
        fs::create_dir_all(log.parent().unwrap_or(Path::new(".")))?;
        // What an earlier attempt said about its failure is not about this one.
        files::remove(&self.layout.job_failure(&key.0))?;
        for trial in trained_by(&file.work) {
            files::remove(&self.layout.failure(trial.id))?;
        }
        let path = self.layout.job(&key.0);
        files::write_json(&path, file)?;
        self.executor.start(StartJob { job, key, file, file_path: &path, log_path: &log })
    }

    fn on_stop(&mut self, request: StopRequest) -> Result<bool, AppError> {
        self.tally.stopped = true;
        self.observer.observe(&Notice::StopRequested { force: request.force });
        self.happen(Event::StopRequested { force: request.force })
    }

    fn ask(&mut self, job: JobId, asked: Asked, force: bool) {
        if let Some(at_work) = self.at_work.get_mut(&job) {
            // Who hangs while stopping was asked to stop.
            at_work.asked = if at_work.asked == Asked::Stop { Asked::Stop } else { asked };
            self.executor.stop(job, force);
        }
    }

    fn kill_silent(&mut self, now: Instant) {
        for job in silent(&self.at_work, now) {
            self.ask(job, Asked::Die, true);
        }
    }

    fn on_line(&mut self, job: JobId, line: &ChildLine) -> Result<bool, AppError> {
        let Some(at_work) = self.at_work.get_mut(&job) else { return Ok(false) };
        at_work.heard = Instant::now();
        let n_trials = at_work.trials.len();
        match line {
            ChildLine::Heartbeat => {}
            ChildLine::Progress(progress) => {
                self.observer.observe(&Notice::TrialProgressed { job, progress });
            }
            ChildLine::Finished { trial } => self.finish_trials(job, Some(*trial))?,
            // Whether a trial alone in its process is tried again is for the scheduler to say.
            ChildLine::Failed { trial, failure } if n_trials > 1 => self.fail_trial(*trial, failure)?,
            ChildLine::Failed { .. } => {}
            ChildLine::Warning { trial, message } => {
                let message = format!("trial {trial}: {message}");
                self.observer.observe(&Notice::Warned { message: &message });
            }
        }
        Ok(false)
    }

    fn on_end(&mut self, job: JobId, exit: Exit) -> Result<bool, AppError> {
        self.finish_trials(job, None)?;
        let Some(AtWork { trials, asked, .. }) = self.at_work.remove(&job) else { return Ok(false) };
        let key = self.scheduler.graph().job(job).key.clone();
        let event = match self.judge(&trials, understood(exit, asked))? {
            Exit::Done => {
                self.note(Happened::JobFinished { key: key.clone() })?;
                self.tally.reported |= matches!(self.scheduler.graph().job(job).work, Work::Report { .. });
                self.observer.observe(&Notice::JobEnded { job, key: &key, failure: None });
                Event::JobFinished { job }
            }
            Exit::Interrupted => {
                self.note(Happened::JobInterrupted { key: key.clone() })?;
                self.observer.observe(&Notice::JobEnded { job, key: &key, failure: None });
                Event::JobInterrupted { job }
            }
            Exit::Failed(failure) => self.fail_job(job, &key, failure)?,
        };
        self.happen(event)
    }

    /// What the end of a pack's child means, by the files it left.
    fn judge(&mut self, trials: &[Trial], exit: Exit) -> Result<Exit, AppError> {
        let open: Vec<_> =
            trials.iter().map(|trial| trial.id).filter(|id| !self.tally.is_settled(*id)).collect();
        if !trials.is_empty() && open.is_empty() {
            return Ok(Exit::Done);
        }
        if exit != Exit::Done || trials.is_empty() {
            return Ok(exit);
        }
        let mut failures = Vec::new();
        for id in &open {
            match files::read_json::<Failure>(&self.layout.failure(*id)).ok().flatten() {
                Some(failure) => failures.push(failure),
                None => return Ok(Exit::Failed(Failure::Exited { code: 0 })),
            }
        }
        if open.len() == trials.len() {
            return Ok(Exit::Failed(failures.swap_remove(0)));
        }
        for (id, failure) in open.iter().zip(&failures) {
            self.fail_trial(*id, failure)?;
        }
        Ok(Exit::Done)
    }

    fn fail_job(&mut self, job: JobId, key: &JobKey, failure: Failure) -> Result<Event, AppError> {
        self.note(Happened::JobFailed { key: key.clone(), failure: failure.clone() })?;
        self.observer.observe(&Notice::JobEnded { job, key, failure: Some(&failure) });
        Ok(Event::JobFailed { job, failure })
    }

    /// Settles the trials of a failed job that will not be tried again.
    fn give_up(&mut self, job: JobId, failure: &Failure) -> Result<(), AppError> {
        match self.scheduler.state(job) {
            JobState::Failed { .. } => {}
            JobState::Blocked { .. }
            | JobState::Ready
            | JobState::Launched { .. }
            | JobState::Running { .. }
            | JobState::Done
            | JobState::Skipped { .. }
            | JobState::Cancelled => return Ok(()),
        }
        let planned = self.scheduler.graph().job(job);
        let (key, trials) = (planned.key.clone(), planned.trials());
        if trials.is_empty() {
            self.tally.failed_jobs.push((key, failure.clone()));
        }
        for trial in trials {
            self.fail_trial(trial, failure)?;
        }
        Ok(())
    }

    /// Takes in the results that a job's trials have: of one trial, or of all.
    fn finish_trials(&mut self, job: JobId, only: Option<TrialId>) -> Result<(), AppError> {
        let Some(at_work) = self.at_work.get(&job) else { return Ok(()) };
        let together = at_work.trials.clone();
        let trials: Vec<_> = together
            .iter()
            .filter(|trial| only.is_none_or(|id| id == trial.id) && !self.tally.is_settled(trial.id))
            .cloned()
            .collect();
        for trial in trials {
            let Some(result) = resume::result(self.layout, trial.id) else { continue };
            self.note(Happened::TrialFinished { trial: trial.id })?;
            self.tally.done.insert(trial.id);
            self.calibration.observe(self.spec, &together, &trial, &result.cost);
            let remaining = self.scheduler.remaining(SystemTime::now(), &self.calibration);
            let done = self.tally.done.len();
            self.observer.observe(&Notice::TrialFinished { result: &result, done, remaining });
        }
        Ok(())
    }

    fn fail_trial(&mut self, trial: TrialId, failure: &Failure) -> Result<(), AppError> {
        if self.tally.is_settled(trial) {
            return Ok(());
        }
        self.note(Happened::TrialFailed { trial, failure: failure.clone() })?;
        self.tally.failures.insert(trial, failure.clone());
        self.observer.observe(&Notice::TrialFailed { trial, failure });
        Ok(())
    }

    fn note(&mut self, what: Happened) -> Result<(), AppError> {
        Ok(self.journal.append(&Entry { at: Timestamp::now(), what })?)
    }
}

fn trained_by(work: &Work) -> Vec<Trial> {
    match work {
        Work::Train(pack) => pack.slots.clone(),
        Work::Prepare(_) | Work::Summarise { .. } | Work::Report { .. } => Vec::new(),
    }
}

fn log_path(layout: &Layout, key: &JobKey, work: &Work) -> PathBuf {
    let first = trained_by(work).first().map(|trial| trial.id);
    first.map_or_else(|| layout.job_log(&key.0), |id| layout.log(id))
}

fn silent(at_work: &BTreeMap<JobId, AtWork>, now: Instant) -> Vec<JobId> {
    let hangs = |child: &AtWork| now.saturating_duration_since(child.heard) > SILENCE;
    at_work.iter().filter(|(_, child)| hangs(child)).map(|(job, _)| *job).collect()
}

/// An exit in the light of what the child had been asked: a signal of ours is no failure of its own.
fn understood(exit: Exit, asked: Asked) -> Exit {
    match (exit, asked) {
        (Exit::Failed(Failure::Killed { .. }), Asked::Stop) => Exit::Interrupted,
        (Exit::Failed(Failure::Killed { .. }), Asked::Die) => Exit::Failed(Failure::TimedOut),
        (exit, Asked::Work | Asked::Stop | Asked::Die) => exit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_hangs_after_five_silent_minutes() {
        let heard = Instant::now();
        let child = AtWork { trials: Vec::new(), heard, asked: Asked::Work };
        let at_work = BTreeMap::from([(JobId(3), child)]);
        assert!(silent(&at_work, heard + SILENCE).is_empty());
        assert_eq!(silent(&at_work, heard + SILENCE + TICK), [JobId(3)]);
    }

    #[test]
    fn a_signal_means_what_we_sent_it_for() {
        let killed = Exit::Failed(Failure::Killed { signal: 9 });
        assert_eq!(understood(killed.clone(), Asked::Work), killed);
        assert_eq!(understood(killed.clone(), Asked::Stop), Exit::Interrupted);
        assert_eq!(understood(killed, Asked::Die), Exit::Failed(Failure::TimedOut));
        let failed = Exit::Failed(Failure::OutOfMemory);
        assert_eq!(understood(failed.clone(), Asked::Stop), failed);
        assert_eq!(understood(Exit::Done, Asked::Die), Exit::Done);
    }
}
