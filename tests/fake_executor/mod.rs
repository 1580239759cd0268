//! An executor for tests: it starts no process, and a script says what each job does.
//!
//! It holds its user to the seam: no job is started twice at a time, job files are in place, and
//! [`FakeExecutor::finish`] asserts that every message was taken in and every job came to its end.

use std::collections::BTreeSet;
use std::io;

use crossbeam::channel::{Receiver, Sender, unbounded};

use lorasweep::disk::files;
use lorasweep::disk::layout::Layout;
use lorasweep::exec::{Executor, Exit, News, StartJob, WorkerMessage};
use lorasweep::job::{JobFile, ToChild};
use lorasweep::values::{Cost, Failure, JobKey, Metric, Scores, TrialId, TrialResult};

/// What a job does when it is started: the files it leaves, and what it says. Without an
/// `Ended` the job stays at work until it is stopped. An error means that it cannot be started.
pub(crate) type Script<'a> = dyn FnMut(JobKey, &JobFile) -> io::Result<Vec<News>> + 'a;

/// What a job at work says when it is told something.
pub(crate) type Answer<'a> = dyn FnMut(JobKey, &ToChild) -> Vec<News> + 'a;

/// Leaves the result of a trial that is done.
pub(crate) fn write_result(layout: &Layout, trial: TrialId) {
    let scores = Scores::of("classification").with(Metric::Loss, 0.1).with(Metric::Accuracy, 0.9);
    let result = TrialResult {
        trial,
        validation: Some(scores),
        kept_step: 7,
        test: None,
        steps: 7,
        trainable_params: 1,
        total_params: 1,
        cost: Cost { wall_s: 1.0, ..Cost::default() },
        class_rows: None,
        baseline: None,
    };
    files::write_sealed(&layout.result(trial), &result).unwrap();
}

/// Carries out jobs by a script.
pub(crate) struct FakeExecutor<'a> {
    script: Box<Script<'a>>,
    answer: Box<Answer<'a>>,
    at_work: BTreeSet<JobKey>,
    started: Vec<JobKey>,
    sender: Sender<WorkerMessage>,
    receiver: Receiver<WorkerMessage>,
}

impl<'a> FakeExecutor<'a> {
    /// An executor that follows this script.
    #[must_use]
    pub(crate) fn new(script: impl FnMut(JobKey, &JobFile) -> io::Result<Vec<News>> + 'a) -> Self {
        let (sender, receiver) = unbounded();
        let (script, answer) = (Box::new(script), Box::new(|_: JobKey, _: &ToChild| Vec::new()));
        Self { script, answer, at_work: BTreeSet::new(), started: Vec::new(), sender, receiver }
    }

    /// The same, whose jobs answer what they are told.
    #[must_use]
    pub(crate) fn answering(self, answer: impl FnMut(JobKey, &ToChild) -> Vec<News> + 'a) -> Self {
        Self { answer: Box::new(answer), ..self }
    }

    /// The keys of all jobs that were started, in order.
    ///
    /// # Panics
    /// When a job is still at work or a message was not taken in.
    #[must_use]
    pub(crate) fn finish(self) -> Vec<JobKey> {
        assert!(self.at_work.is_empty(), "jobs {:?} are still at work", self.at_work);
        assert_eq!(self.receiver.try_recv().ok(), None, "a message was not taken in");
        self.started
    }

    fn say(&mut self, job: JobKey, news: News) {
        if let News::Ended(_) = news {
            self.at_work.remove(&job);
        }
        self.sender.send(WorkerMessage { job, news }).expect("the receiver is ours");
    }
}

impl Executor for FakeExecutor<'_> {
    fn start(&mut self, job: StartJob<'_>) -> io::Result<u32> {
        let written: Option<JobFile> = files::read_json(&job.folder.file())?;
        assert_eq!(written.as_ref(), Some(job.file), "the job file of `{}` is not in place", job.key);
        assert!(job.file.log.parent().is_some_and(std::path::Path::is_dir), "no folder for the log");
        self.started.push(job.key);
        let said = (self.script)(job.key, job.file)?;
        assert!(self.at_work.insert(job.key), "`{}` was started while at work", job.key);
        for news in said {
            self.say(job.key, news);
        }
        Ok(1_000_000 + u32::try_from(self.started.len()).expect("few jobs"))
    }

    fn send(&mut self, job: JobKey, message: &ToChild) {
        if !self.at_work.contains(&job) {
            return;
        }
        for news in (self.answer)(job, message) {
            self.say(job, news);
        }
    }

    fn stop(&mut self, job: JobKey, force: bool) {
        if self.at_work.contains(&job) {
            let exit = if force { Exit::Failed(Failure::Killed { signal: 9 }) } else { Exit::Interrupted };
            self.say(job, News::Ended(exit));
        }
    }

    fn messages(&self) -> &Receiver<WorkerMessage> {
        &self.receiver
    }
}
