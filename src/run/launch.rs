//! Owns how a job gets a child, and a running job one more trial, including the files that must be in place
//! before. Part of the loop; what starts where, and which trial joins which job, is the scheduler's decision.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use super::event_loop::{Asked, Child, EventLoop};
use crate::disk::files;
use crate::disk::layout::Layout;
use crate::exec::StartJob;
use crate::job::{JobFile, ToChild, mailbox};
use crate::run::RunError;
use crate::sched::Launch;
use crate::values::{Failure, JobKey, Trial, What};

impl EventLoop<'_, '_> {
    /// Starts a job's child.
    pub(super) fn launch(&mut self, launch: Launch) -> Result<(), RunError> {
        let Launch { job: key, attempt, placement, micro_rows, work } = launch;
        // A trial has its own log; trials that share a process have their job's.
        let log = match work.trials() {
            [trial] => self.layout.log(trial.id),
            [] | [_, _, ..] => self.layout.job(key).log(),
        };
        let trials = work.trials().iter().map(|trial| trial.id).collect();
        self.tell(What::JobLaunching { key, attempt, placement: placement.clone(), trials })?;
        let (run, stores) = (self.layout.run().to_path_buf(), self.layout.stores().to_path_buf());
        let checkpoint_every_s = self.checkpoint_every.map(|every| every.as_secs_f64());
        let (start, silence_s) = (self.stream.ledger.launches, self.silence.as_secs_f64());
        let file =
            JobFile { start, run, log, stores, placement, micro_rows, checkpoint_every_s, silence_s, work };
        match self.start_child(key, &file) {
            Ok(pid) => {
                let child = Child { heard: Instant::now(), asked: Asked::Work };
                self.state.children.insert(key, child);
                self.tell(What::JobStarted { key, pid })
            }
            Err(error) => self.tell(What::JobFailed { key, failure: not_started(&error) }),
        }
    }

    fn start_child(&mut self, key: JobKey, file: &JobFile) -> io::Result<u32> {
        let (folder, trials) = (self.layout.job(key), file.work.trials());
        fs::create_dir_all(file.log.parent().unwrap_or(Path::new(".")))?;
        if trials.len() > 1 {
            for trial in trials {
                let others = trials.len() - 1;
                let line = format!("trains with {others} others; their log: {}", file.log.display());
                add_to_log(self.layout, trial, &line)?;
            }
        }
        // What an earlier attempt told and left says nothing about this one.
        mailbox::clear(&folder)?;
        files::remove(&folder.failure())?;
        for trial in trials {
            files::remove(&self.layout.failure(trial.id))?;
        }
        files::put_json(&folder.file(), file)?;
        self.executor.start(StartJob { key, file, folder: &folder })
    }

    /// Sends one more trial to a running job. It is returned at once where the job cannot take it.
    pub(super) fn join(&mut self, key: JobKey, trial: Trial, until: Option<f64>) -> Result<(), RunError> {
        let works = self.state.children.get(&key).is_some_and(|child| child.asked == Asked::Work);
        if !works || self.make_way(key, &trial).is_err() {
            return self.tell(What::TrialReturned { key, trial: trial.id });
        }
        self.tell(What::TrialJoining { key, trial: trial.id })?;
        self.executor.send(key, &ToChild::Join { trial: Box::new(trial), until });
        Ok(())
    }

    /// Removes a trial's earlier failure, as before a start, and points its log to the job's.
    fn make_way(&self, key: JobKey, trial: &Trial) -> io::Result<()> {
        files::remove(&self.layout.failure(trial.id))?;
        let log = self.layout.job(key).log();
        add_to_log(self.layout, trial, &format!("joins a running pack; its log: {}", log.display()))
    }
}

fn add_to_log(layout: &Layout, trial: &Trial, line: &str) -> io::Result<()> {
    let mut own = OpenOptions::new().create(true).append(true).open(layout.log(trial.id))?;
    writeln!(own, "{line}")
}

fn not_started(error: &io::Error) -> Failure {
    let failure = Failure::of(error);
    if let Failure::BadData { message } = failure { Failure::NotStarted { message } } else { failure }
}
