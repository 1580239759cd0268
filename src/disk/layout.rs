//! Owns every path under `results/` and `reports/`. Creates and reads nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::values::{ContentHash, Part, TrialId};

/// The paths of one job, within its own folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFolder {
    path: PathBuf,
}

impl JobFolder {
    /// The paths of the job whose folder this is.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the job's child is given.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.path.join("job.json")
    }

    /// What the child tells: a line for each fact.
    #[must_use]
    pub fn news(&self) -> PathBuf {
        self.path.join("news.jsonl")
    }

    /// What shows that the child is alive, and how far it is.
    #[must_use]
    pub fn pulse(&self) -> PathBuf {
        self.path.join("pulse")
    }

    /// The folder of messages to the child.
    #[must_use]
    pub fn messages(&self) -> PathBuf {
        self.path.join("in")
    }

    /// A message to the child; the first is number 1.
    #[must_use]
    pub fn message(&self, number: u64) -> PathBuf {
        self.messages().join(format!("{number}.json"))
    }

    /// Standard error of the job's child, for jobs that train no trial or several. A job that trains one trial
    /// writes to that trial's log, [`Layout::log`].
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Why the job failed as a whole, written by its child.
    #[must_use]
    pub fn failure(&self) -> PathBuf {
        self.path.join("failure.json")
    }
}

/// The paths of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    run: PathBuf,
    stores: PathBuf,
}

impl Layout {
    /// The layout of the sweep called `name` under a results folder.
    #[must_use]
    pub fn new(results: &Path, name: &str) -> Self {
        Self { run: results.join(name), stores: results.join(".stores") }
    }

    /// The layout of an existing run folder (`results/<sweep>`).
    #[must_use]
    pub fn of_run(run: &Path) -> Self {
        let results = run.parent().unwrap_or_else(|| Path::new("."));
        Self { run: run.to_path_buf(), stores: results.join(".stores") }
    }

    /// The run's folder.
    #[must_use]
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// How the folder of a refit ends, after the name of the run that it refits. No sweep is called so.
    pub const REFIT: &str = ".refit";

    /// The run beside this one that trains what was chosen from it on all rows.
    #[must_use]
    pub fn refit(&self) -> Self {
        let mut name = self.run.file_name().unwrap_or_default().to_os_string();
        name.push(Self::REFIT);
        Self { run: self.run.with_file_name(name), stores: self.stores.clone() }
    }

    /// Folder of token stores, shared by all sweeps of a results folder.
    #[must_use]
    pub fn stores(&self) -> &Path {
        &self.stores
    }

    /// What packs took, for the predictions of later runs; shared by all sweeps of a results folder.
    #[must_use]
    pub fn experience(&self) -> PathBuf {
        self.stores.with_file_name(".experience.json")
    }

    /// The checked sweep that the run last worked on, as JSON.
    #[must_use]
    pub fn sweep(&self) -> PathBuf {
        self.run.join("sweep.json")
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.run.join("journal")
    }

    /// Where a damaged journal is put aside; each gets its own number.
    #[must_use]
    pub fn journal_aside(journal: &Path, number: usize) -> PathBuf {
        journal.with_extension(format!("damaged-{number}"))
    }

    /// Whether a file name belongs to a journal put aside.
    #[must_use]
    pub fn is_journal_aside(name: &str) -> bool {
        name.starts_with("journal.damaged-")
    }

    /// The lock held by the run's only orchestrator.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.run.join("lock")
    }

    /// A job's folder.
    #[must_use]
    pub fn job(&self, key: impl fmt::Display) -> JobFolder {
        JobFolder::at(&self.jobs().join(key.to_string()))
    }

    /// Where earlier versions put a job's log: beside those of all other jobs.
    #[must_use]
    pub fn old_job_log(&self, key: impl fmt::Display) -> PathBuf {
        self.jobs().join(format!("{key}.log"))
    }

    /// Where earlier versions put a summary of each configuration; it is no longer read.
    #[must_use]
    pub fn old_summaries(&self) -> PathBuf {
        self.run.join("configurations")
    }

    /// The folder of all trials' folders, including trials that the sweep no longer has.
    #[must_use]
    pub fn trials(&self) -> PathBuf {
        self.run.join("trials")
    }

    /// The folder of all jobs' folders. Earlier versions put the jobs' files here.
    #[must_use]
    pub fn jobs(&self) -> PathBuf {
        self.run.join("jobs")
    }

    /// The folder of orders that a person gave and no run has heeded yet.
    #[must_use]
    pub fn orders(&self) -> PathBuf {
        self.run.join("orders")
    }

    /// The order on a trial.
    #[must_use]
    pub fn order(&self, id: TrialId) -> PathBuf {
        self.orders().join(format!("{id}.json"))
    }

    /// A trial's folder.
    #[must_use]
    pub fn trial(&self, id: TrialId) -> PathBuf {
        self.run.join("trials").join(id.to_string())
    }

    /// What a trial is: the [`crate::values::Trial`] as JSON.
    #[must_use]
    pub fn trial_file(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("trial.json")
    }

    /// A trial's metric lines.
    #[must_use]
    pub fn metrics(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("metrics.jsonl")
    }

    /// A finished trial's result.
    #[must_use]
    pub fn result(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("result.json")
    }

    /// What a trial's kept weights gave for each validation row; of a trial that trains, what the best weights so
    /// far gave, if these are to be kept.
    #[must_use]
    pub fn validation_rows(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("rows-validation.parquet")
    }

    /// What a finished trial's kept weights gave for each test row.
    #[must_use]
    pub fn test_rows(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("rows-test.parquet")
    }

    /// What an unfinished trial gave for each validation row at the latest evaluation that its checkpoint knows of.
    #[must_use]
    pub fn latest_rows(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("rows-latest.parquet")
    }

    /// Why this trial failed, written by its child; other trials of its pack may go on.
    #[must_use]
    pub fn failure(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("failure.json")
    }

    /// The checkpoint from which a trial continues.
    #[must_use]
    pub fn last_checkpoint(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("checkpoint/last.safetensors")
    }

    /// The trained weights with the best validation score.
    #[must_use]
    pub fn best_checkpoint(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("checkpoint/best.safetensors")
    }

    /// Standard error of a trial's child.
    #[must_use]
    pub fn log(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("log")
    }

    /// The folder of a sweep's report, within a folder of reports.
    #[must_use]
    pub fn report(reports: &Path, name: &str) -> PathBuf {
        reports.join(name)
    }

    /// The first page of a report.
    #[must_use]
    pub fn report_page(reports: &Path, name: &str) -> PathBuf {
        Self::report(reports, name).join("report.html")
    }

    /// The lock that every active run shares, and that a process holds alone while it removes stores.
    #[must_use]
    pub fn stores_lock(&self) -> PathBuf {
        self.stores.join("lock")
    }

    /// A token store's folder, within a folder of stores.
    #[must_use]
    pub fn store(stores: &Path, key: ContentHash) -> PathBuf {
        stores.join(key.to_string())
    }

    /// The lock of the process that makes a token store.
    #[must_use]
    pub fn store_lock(stores: &Path, key: ContentHash) -> PathBuf {
        stores.join(format!("{key}.lock"))
    }

    /// A token store that is being made.
    #[must_use]
    pub fn store_draft(stores: &Path, key: ContentHash) -> PathBuf {
        stores.join(format!("{key}.draft"))
    }

    /// A part's file, within a token store's folder.
    #[must_use]
    pub fn store_part(store: &Path, part: Part) -> PathBuf {
        store.join(match part {
            Part::Train => "train.tokens",
            Part::Validation => "validation.tokens",
            Part::Test => "test.tokens",
        })
    }
}
