//! Owns an executor for tests: it starts no process, and a script says what each job does.
//!
//! It holds its user to the seam: no job is started twice at a time, job files are in place, and
//! [`FakeExecutor::finish`] asserts that every report was taken in and every job came to its end.

use std::collections::BTreeMap;
use std::io;

use crossbeam::channel::{Receiver, Sender, unbounded};

use super::{Executor, Exit, Report, StartJob, What};
use crate::disk::files;
use crate::job::{JobFile, ParentLine};
use crate::plan::{JobId, JobKey};
use crate::values::Failure;

/// What a job does when it is started: the files it leaves, and what it reports. Without an
/// `Ended` the job stays at work until it is stopped. An error means that it cannot be started.
pub type Script<'a> = dyn FnMut(&JobKey, &JobFile) -> io::Result<Vec<What>> + 'a;

/// What a job at work reports when it is told something.
pub type Answer<'a> = dyn FnMut(&JobKey, &ParentLine) -> Vec<What> + 'a;

/// Carries out jobs by a script.
pub struct FakeExecutor<'a> {
    script: Box<Script<'a>>,
    answer: Box<Answer<'a>>,
    at_work: BTreeMap<JobId, JobKey>,
    started: Vec<JobKey>,
    sender: Sender<Report>,
    receiver: Receiver<Report>,
}

impl<'a> FakeExecutor<'a> {
    /// An executor that follows this script.
    #[must_use]
    pub fn new(script: impl FnMut(&JobKey, &JobFile) -> io::Result<Vec<What>> + 'a) -> Self {
        let (sender, receiver) = unbounded();
        let (script, answer) = (Box::new(script), Box::new(|_: &JobKey, _: &ParentLine| Vec::new()));
        Self { script, answer, at_work: BTreeMap::new(), started: Vec::new(), sender, receiver }
    }

    /// The same, whose jobs answer what they are told.
    #[must_use]
    pub fn answering(self, answer: impl FnMut(&JobKey, &ParentLine) -> Vec<What> + 'a) -> Self {
        Self { answer: Box::new(answer), ..self }
    }

    /// The keys of all jobs that were started, in order.
    ///
    /// # Panics
    /// When a job is still at work or a report was not taken in.
    #[must_use]
    pub fn finish(self) -> Vec<JobKey> {
        assert!(self.at_work.is_empty(), "jobs {:?} are still at work", self.at_work);
        assert_eq!(self.receiver.try_recv().ok(), None, "a report was not taken in");
        self.started
    }

    fn report(&mut self, job: JobId, what: What) {
        if let What::Ended(_) = what {
            self.at_work.remove(&job);
        }
        self.sender.send(Report { job, what }).expect("the receiver is ours");
    }
}

impl Executor for FakeExecutor<'_> {
    fn start(&mut self, job: StartJob<'_>) -> io::Result<u32> {
        let written: Option<JobFile> = files::read_json(job.file_path)?;
        assert_eq!(written.as_ref(), Some(job.file), "the job file of `{}` is not in place", job.key);
        assert!(job.log_path.parent().is_some_and(std::path::Path::is_dir), "no folder for the log");
        self.started.push(job.key.clone());
        let reports = (self.script)(job.key, job.file)?;
        let before = self.at_work.insert(job.job, job.key.clone());
        assert_eq!(before, None, "`{}` was started while at work", job.key);
        for what in reports {
            self.report(job.job, what);
        }
        Ok(1_000_000 + job.job.0)
    }

    fn tell(&mut self, job: JobId, line: &ParentLine) {
        let Some(key) = self.at_work.get(&job) else { return };
        for what in (self.answer)(key, line) {
            self.report(job, what);
        }
    }

    fn stop(&mut self, job: JobId, force: bool) {
        if self.at_work.contains_key(&job) {
            let exit = if force { Exit::Failed(Failure::Killed { signal: 9 }) } else { Exit::Interrupted };
            self.report(job, What::Ended(exit));
        }
    }

    fn reports(&self) -> &Receiver<Report> {
        &self.receiver
    }
}
