//! Owns the check of a run's folder: files with a checksum are compared with it, and all others must be
//! readable. Reports what is damaged and what the next run will do about it; changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use crate::data::store::{TokenStore, store_key};
use crate::disk::layout::Layout;
use crate::disk::{FileError, files, lock};
use crate::record;
use crate::record::ledger::{Ledger, TrialState};
use crate::record::resume::{self, Checkpoint, Decision, Evidence};
use crate::record::{checkpoint, journal, orders, rows};
use crate::sweep::{ForeignId, SweepSpec};
use crate::values::{Keep, MetricLine, Trial, TrialId, TrialResult, quantity};

/// The checked items, and the findings.
#[derive(Debug, Default, Serialize)]
pub struct Verification {
    /// Whether the run was active meanwhile, so that files may have changed.
    pub live: bool,
    /// Entries of the journal.
    pub entries: usize,
    /// Results in place.
    pub results: usize,
    /// Metric files.
    pub metrics: usize,
    /// Checkpoints.
    pub checkpoints: usize,
    /// Files of what trials gave for each row.
    pub rows: usize,
    /// Token stores of this sweep.
    pub stores: usize,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// A file that differs from what was written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// What the next run does about it.
    pub next: String,
    /// Whether it counts as damage; some findings are normal after a crash.
    pub damaged: bool,
}

impl Verification {
    /// Number of findings that count as damage.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.findings.iter().filter(|finding| finding.damaged).count()
    }

    fn damage(&mut self, path: PathBuf, problem: impl Into<String>, next: impl Into<String>) {
        let (problem, next) = (problem.into(), next.into());
        self.findings.push(Finding { path, problem, next, damaged: true });
    }
}

/// Checks everything in a run's folder, and the token stores of its sweep. Takes no lock. Where no run has begun,
/// there is nothing to find.
///
/// # Errors
/// When the folder of the trials cannot be read.
pub fn verify(layout: &Layout) -> Result<Verification, FileError> {
    let mut found = Verification { live: lock::is_held(&layout.lock()), ..Verification::default() };
    let on_disk = record::on_disk(layout)?;
    if on_disk.is_empty() && !layout.journal().exists() && !layout.sweep().exists() {
        return Ok(found);
    }
    let ledger = check_journal(layout, &mut found);
    let sweep = check_sweep(layout, &ledger, &mut found);
    let trials = sweep.iter().flat_map(SweepSpec::trials).map(|trial| (trial.id, trial));
    let trials: BTreeMap<TrialId, Trial> = trials.collect();
    let done = trials.keys().copied().filter(|id| *ledger.state(*id) == TrialState::Done);
    for id in on_disk.into_iter().chain(done).collect::<BTreeSet<_>>() {
        Look { layout, ledger: &ledger, id, in_sweep: trials.get(&id) }.check(&mut found);
    }
    if found.results > 0 && found.entries == 0 && layout.journal().exists() {
        let next = "trials with a result stay done; all others, and all decisions, are made anew";
        found.damage(layout.journal(), "it has no entry, and there are results", next);
    }
    for path in orders::unreadable(layout) {
        found.damage(path, "it holds no order", "it is passed over: give the order again");
    }
    if let Some(sweep) = &sweep {
        check_stores(layout, sweep, &mut found);
    }
    Ok(found)
}

fn check_journal(layout: &Layout, found: &mut Verification) -> Ledger {
    let path = layout.journal();
    match journal::read(&path) {
        Err(error) => {
            found.damage(path, error.to_string(), "the next run refuses it: move it away first");
            Ledger::default()
        }
        Ok(replay) if replay.is_missing => {
            let next = "a new one is begun: trials with a result stay done, all others train";
            found.damage(path, "it is missing", next);
            Ledger::default()
        }
        Ok(replay) => {
            found.entries = replay.events.len();
            let torn = replay.dropped_entries == 0;
            if let Some(problem) = replay.dropped().filter(|_| !(torn && found.live)) {
                let next = if torn {
                    "nothing: a crash leaves it so, and it is cut off"
                } else {
                    "the whole is kept aside; trials with a result stay done, others are checked again"
                };
                found.findings.push(Finding { path, problem, next: next.to_owned(), damaged: !torn });
            }
            Ledger::replay(&replay.events)
        }
    }
}

fn check_sweep(layout: &Layout, ledger: &Ledger, found: &mut Verification) -> Option<SweepSpec> {
    let path = layout.sweep();
    let (problem, damaged) = match read(files::read_json::<SweepSpec>(&path)) {
        Ok(Some(sweep)) => {
            check_ids(&sweep, path, ledger, found);
            return Some(sweep);
        }
        // A run writes it before it launches its first job, and can be killed before that.
        Ok(None) => ("it is missing".to_owned(), ledger.launches > 0 || !layout.journal().exists()),
        Err(problem) => (problem, true),
    };
    let next = "it is written anew; until then no command can look at the run".to_owned();
    found.findings.push(Finding { path, problem, next, damaged });
    None
}

fn check_ids(sweep: &SweepSpec, path: PathBuf, ledger: &Ledger, found: &mut Verification) {
    if let Some(ForeignId { id, is_of_before }) = sweep.foreign_ids().next() {
        let (problem, next) = if is_of_before {
            let problem = "an earlier version of lorasweep made it, which trained in another way";
            (problem.to_owned(), "it asks before anything is trained again")
        } else {
            let problem = format!(
                "configuration `{id}` has other settings than its id was made from: they were changed"
            );
            (problem, "it is written anew from the sweep file")
        };
        // Later versions may make ids differently.
        let damaged = !is_of_before && ledger.version.as_deref() == Some(env!("CARGO_PKG_VERSION"));
        found.findings.push(Finding { path, problem, next: next.to_owned(), damaged });
    }
}

fn check_stores(layout: &Layout, sweep: &SweepSpec, found: &mut Verification) {
    let keys: BTreeSet<_> = stores_of(sweep).collect();
    for folder in keys.into_iter().map(|key| Layout::store(layout.stores(), key)) {
        if folder.exists() {
            found.stores += 1;
            if let Err(error) = TokenStore::open(&folder) {
                found.damage(folder, error.to_string(), "it is made again from the data file");
            }
        }
    }
}

/// The names of the token stores that a sweep's trials read.
pub(super) fn stores_of(sweep: &SweepSpec) -> impl Iterator<Item = crate::values::ContentHash> {
    let store = |task, model: &crate::families::ModelSpec| store_key(task, model.tokenizer_content);
    sweep.configurations.iter().map(move |one| store(sweep.task(one), sweep.model(one)))
}

/// A trial with a folder.
struct Look<'a> {
    layout: &'a Layout,
    ledger: &'a Ledger,
    id: TrialId,
    /// The trial, if the sweep has it.
    in_sweep: Option<&'a Trial>,
}

impl Look<'_> {
    fn check(&self, found: &mut Verification) {
        let Self { layout, id, .. } = *self;
        let path = layout.trial_file(id);
        match read(files::read_json::<Trial>(&path)) {
            Ok(Some(trial)) if trial.id == id => {}
            Ok(None) => {}
            Ok(Some(_)) => {
                found.damage(path, "it belongs to another trial", self.or_nothing("it is written anew"))
            }
            Err(problem) => found.damage(path, problem, self.or_nothing("it is written anew")),
        }
        self.check_metrics(found);
        let [last, best] = [layout.last_checkpoint(id), layout.best_checkpoint(id)].map(|path| {
            let state = checkpoint::verify(&path, id);
            found.checkpoints += usize::from(state != Ok(None));
            (path, state)
        });
        let damaged = [&last, &best].into_iter().any(|(_, state)| state.is_err());
        let done = self.check_result(damaged, found);
        self.check_rows(found);
        for ((path, state), kept_by) in [(last, Keep::Last), (best, Keep::Best)] {
            if let Err(problem) = state {
                found.damage(path, problem, self.or_nothing(&self.without_checkpoint(done, kept_by)));
            }
        }
    }

    /// Whether the trial has a usable result.
    fn check_result(&self, damaged_checkpoint: bool, found: &mut Verification) -> bool {
        let path = self.layout.result(self.id);
        let problem = match read(files::read_sealed::<TrialResult>(&path)) {
            Ok(None) if self.in_sweep.is_some() && *self.ledger.state(self.id) == TrialState::Done => {
                "it is missing, and the journal says that the trial is done".to_owned()
            }
            Ok(None) => return false,
            Ok(Some(result)) if result.trial == self.id => {
                found.results += 1;
                return true;
            }
            Ok(Some(_)) => "it belongs to another trial".to_owned(),
            Err(problem) => problem,
        };
        let seen = resume::look(self.layout, self.ledger, self.id);
        let checkpoint = if damaged_checkpoint { Checkpoint::Damaged } else { seen.checkpoint };
        let next = match resume::decide(Evidence { checkpoint, ..seen }, false) {
            Decision::Continue => "the trial continues from its last checkpoint",
            Decision::Run if checkpoint == Checkpoint::Readable => {
                "the trial continues from its last checkpoint"
            }
            Decision::Run | Decision::Restart => "the trial starts over",
            Decision::Keep => "nothing: the trial counts as failed",
        };
        found.damage(path, problem, self.or_nothing(next));
        false
    }

    /// A trial's rows decide nothing of its own.
    fn check_rows(&self, found: &mut Verification) {
        let Self { layout, id, .. } = *self;
        let lacking = "comparisons row by row lack the trial";
        for (path, next) in [
            (layout.validation_rows(id), lacking),
            (layout.test_rows(id), lacking),
            (layout.latest_rows(id), "it is written anew at the next evaluation"),
        ] {
            let state = rows::read(&path, id);
            found.rows += usize::from(state != Ok(None));
            if let Err(problem) = state {
                found.damage(path, problem, self.or_nothing(next));
            }
        }
    }

    fn check_metrics(&self, found: &mut Verification) {
        let path = self.layout.metrics(self.id);
        let Ok(text) = fs::read(&path) else { return };
        found.metrics += 1;
        // A line without its end was torn by a crash, or is being written.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = text[..whole].split_inclusive(|byte| *byte == b'\n');
        let damaged = lines.filter(|line| serde_json::from_slice::<MetricLine>(line).is_err()).count();
        if damaged > 0 {
            let problem = format!("{} cannot be read", quantity::counted(damaged, "line"));
            found.damage(path, problem, self.or_nothing("curves lack these points"));
        }
    }

    fn without_checkpoint(&self, done: bool, kept_by: Keep) -> String {
        if !done {
            return "the trial starts over".to_owned();
        }
        let keep = self.in_sweep.map(Trial::keep);
        if keep == Some(kept_by) {
            let result = self.layout.result(self.id);
            return format!(
                "the result stays, but its weights are lost; to train them again, delete `{}`",
                result.display()
            );
        }
        "nothing needs it any more; `lorasweep gc` removes it".to_owned()
    }

    fn or_nothing(&self, next: &str) -> String {
        let removed = "nothing: the sweep no longer has the trial";
        if self.in_sweep.is_some() { next } else { removed }.to_owned()
    }
}

/// A file's value, or what is wrong with it.
fn read<T>(found: std::io::Result<Option<T>>) -> Result<Option<T>, String> {
    found.map_err(|error| error.to_string())
}
