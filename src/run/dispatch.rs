//! Owns the loop: what the executor reports and the user asks becomes journal entries, then events
//! for the scheduler, and its actions are carried out. The only place where these meet; `fate` is
//! the part of it that says what an end means for the trials, `joins` how a trial gets into a job at work.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, at, never, select_biased, tick};
use jiff::Timestamp;

use super::StopRequest;
use crate::cost::Calibration;
use crate::disk::files;
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::exec::{Executor, Report, StartJob, What};
use crate::job::{ChildLine, JobFile, Work};
use crate::plan::{JobId, JobKey};
use crate::record::journal::{Entry, Happened, Journal};
use crate::run::clock::Clock;
use crate::run::forecast::Forecast;
use crate::sched::{Action, Event, Scheduler};
use crate::sweep::SweepSpec;
use crate::ui::{Notice, Observer};
use crate::values::{Device, Failure, Trial, TrialId};

/// A child that has said nothing for this long hangs. Heartbeats come every two seconds.
pub(super) const SILENCE: Duration = Duration::from_secs(300);
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
    pub(super) clock: Clock,
    pub(super) checkpoint_every: Option<Duration>,
    /// Tells when the scheduler wants to look again.
    pub(super) wake: Receiver<Instant>,
    pub(super) tally: Tally,
    pub(super) forecast: Forecast,
    pub(super) at_work: BTreeMap<JobId, AtWork>,
}

/// What has become of the sweep's trials so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) total: usize,
    pub(super) done: BTreeSet<TrialId>,
    pub(super) failures: BTreeMap<TrialId, Failure>,
    pub(super) failed_jobs: Vec<(JobKey, Failure)>,
    pub(super) retired: Vec<Device>,
    /// Why files can no longer be written.
    pub(super) unwritable: Option<String>,
    pub(super) stopped: bool,
    pub(super) reported: bool,
}

impl Tally {
    pub(super) fn is_settled(&self, trial: TrialId) -> bool {
        self.done.contains(&trial) || self.failures.contains_key(&trial)
    }
}

/// A job with a child.
#[derive(Debug)]
pub(super) struct AtWork {
    /// All that it was ever given.
    pub(super) trials: Vec<Trial>,
    /// Those of them that it was given while at work, and has not taken yet.
    pub(super) joining: BTreeSet<TrialId>,
    /// It was given a trial while at work.
    pub(super) was_joined: bool,
    pub(super) heard: Instant,
    pub(super) asked: Asked,
}

impl AtWork {
    fn new(trials: Vec<Trial>, heard: Instant) -> Self {
        Self { trials, joining: BTreeSet::new(), was_joined: false, heard, asked: Asked::Work }
    }
}

/// What a child was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Work,
    Stop,
    /// It ran past the time limit of its trials.
    CutShort,
    /// It hung, and is being killed.
    Die,
}

impl Dispatcher<'_> {
    /// Runs until the scheduler says that it is over.
    pub(super) fn run(&mut self, stop: &Receiver<StopRequest>) -> Result<(), AppError> {
        let reports = self.executor.reports().clone();
        let mut stop = stop.clone();
        let ticks = tick(TICK);
        let mut over = self.happen([Event::RunStarted])?;
        while !over {
            let wake = self.wake.clone();
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
                recv(wake) -> _ => {
                    self.wake = never();
                    self.happen([Event::Woke])?
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

    /// Gives events to the scheduler and carries out what follows. Says whether the run is over.
    pub(super) fn happen(&mut self, events: impl IntoIterator<Item = Event>) -> Result<bool, AppError> {
        let mut events = VecDeque::from_iter(events);
        let mut over = false;
        while let Some(event) = events.pop_front() {
            let actions = self.scheduler.step(self.clock.now(), &event);
            if let Event::JobFailed { job, failure } = &event {
                self.give_up(*job, failure)?;
            }
            for action in actions {
                match action {
                    Action::Launch { job, attempt, placement, micro_rows } => {
                        let (run, stores) =
                            (self.layout.run().to_path_buf(), self.layout.stores().to_path_buf());
                        let work = self.scheduler.graph().job(job).work.clone();
                        let checkpoint_every_s = self.checkpoint_every.map(|every| every.as_secs_f64());
                        let file = JobFile { run, stores, placement, micro_rows, checkpoint_every_s, work };
                        events.push_back(self.launch(job, attempt, file)?);
                    }
                    // What comes back does so before the job ends.
                    Action::Join { job, trial } => {
                        self.join(job, trial)?.into_iter().for_each(|event| events.push_front(event));
                    }
                    Action::Stop { job, force } => self.ask(job, Asked::Stop, force),
                    Action::CutShort { job, force } => self.ask(job, Asked::CutShort, force),
                    Action::Retire { device } => self.retire(device),
                    Action::WakeAt { at: time } => self.wake = at(self.clock.instant(time)),
                    Action::End => over = true,
                }
            }
        }
        Ok(over)
    }

    fn retire(&mut self, device: Device) {
        let message = format!("{device} failed twice in a row, with different jobs, and is no longer used");
        self.observer.observe(&Notice::Warned { message: &message });
        self.tally.retired.push(device);
    }

    fn launch(&mut self, job: JobId, attempt: u32, mut file: JobFile) -> Result<Event, AppError> {
        if let Work::Train(pack) = &mut file.work {
            // An earlier attempt may have settled some of the pack.
            pack.slots.retain(|trial| !self.tally.is_settled(trial.id));
        }
        let key = self.scheduler.graph().job(job).key.clone();
        let trials = trained_by(&file.work);
        let placement = &file.placement;
        self.note(Happened::JobLaunching {
            key: key.clone(),
            attempt,
            placement: placement.clone(),
            trials: trials.iter().map(|trial| trial.id).collect(),
        })?;
        self.observer.observe(&Notice::JobLaunched { job, key: &key, placement, attempt, trials: &trials });
        match self.start_child(job, &key, &file) {
            Ok(pid) => {
                self.at_work.insert(job, AtWork::new(trials, Instant::now()));
                self.note(Happened::JobStarted { key, pid })?;
                Ok(Event::JobStarted { job })
            }
            Err(error) => {
                let failure = match Failure::of(&error) {
                    Failure::BadData { message } => Failure::NotStarted { message },
                    failure => failure,
                };
                self.fail_job(job, &key, failure)
            }
        }
    }

    fn start_child(&mut self, job: JobId, key: &JobKey, file: &JobFile) -> io::Result<u32> {
        let log = log_path(self.layout, key, &file.work);
        fs::create_dir_all(log.parent().unwrap_or(Path::new(".")))?;
        point_to_log(self.layout, &log, &trained_by(&file.work))?;
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
        self.happen([Event::StopRequested { force: request.force }])
    }

    fn ask(&mut self, job: JobId, asked: Asked, force: bool) {
        if let Some(at_work) = self.at_work.get_mut(&job) {
            // Who hangs while stopping was asked to stop.
            at_work.asked = if at_work.asked == Asked::Stop { Asked::Stop } else { asked };
            self.executor.stop(job, force);
        }
    }

    pub(super) fn kill_silent(&mut self, now: Instant) {
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
            ChildLine::Joined { trial } => self.on_joined(job, *trial),
            ChildLine::Finished { trial } => {
                let finished = self.finish_trials(job, Some(*trial))?;
                return self.happen(finished);
            }
            // Whether a trial alone in its process is tried again is for the scheduler to say.
            ChildLine::Failed { trial, failure } if n_trials > 1 => {
                let failed = self.fail_trial(job, *trial, failure)?;
                return self.happen(failed);
            }
            ChildLine::Failed { .. } => {}
            ChildLine::Warning { trial, message } => {
                let message = format!("trial {trial}: {message}");
                self.observer.observe(&Notice::Warned { message: &message });
            }
        }
        Ok(false)
    }

    pub(super) fn note(&mut self, what: Happened) -> Result<(), AppError> {
        Ok(self.journal.append(&Entry { at: Timestamp::now(), what })?)
    }
}

fn trained_by(work: &Work) -> Vec<Trial> {
    match work {
        Work::Train(pack) => pack.slots.clone(),
        Work::Prepare(_) | Work::Summarise { .. } | Work::Report { .. } => Vec::new(),
    }
}

/// A trial's own log; where several share a process, that of their job.
fn log_path(layout: &Layout, key: &JobKey, work: &Work) -> PathBuf {
    match &trained_by(work)[..] {
        [trial] => layout.log(trial.id),
        [] | [_, _, ..] => layout.job_log(&key.0),
    }
}

/// Tells in the logs of trials that share a process where its words are.
fn point_to_log(layout: &Layout, log: &Path, trials: &[Trial]) -> io::Result<()> {
    if trials.len() < 2 {
        return Ok(());
    }
    for trial in trials {
        let mut own = OpenOptions::new().create(true).append(true).open(layout.log(trial.id))?;
        writeln!(own, "trains with {} others; their log: {}", trials.len() - 1, log.display())?;
    }
    Ok(())
}

fn silent(at_work: &BTreeMap<JobId, AtWork>, now: Instant) -> Vec<JobId> {
    let hangs = |child: &AtWork| now.saturating_duration_since(child.heard) > SILENCE;
    at_work.iter().filter(|(_, child)| hangs(child)).map(|(job, _)| *job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_hangs_after_five_silent_minutes() {
        let heard = Instant::now();
        let child = AtWork::new(Vec::new(), heard);
        let at_work = BTreeMap::from([(JobId(3), child)]);
        assert!(silent(&at_work, heard + SILENCE).is_empty());
        assert_eq!(silent(&at_work, heard + SILENCE + TICK), [JobId(3)]);
    }
}
