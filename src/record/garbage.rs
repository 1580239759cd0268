//! Owns the files in a run's folder, and in the stores next to it, that no trial needs any more, and their
//! removal. The caller holds the run's lock.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::disk::layout::Layout;
use crate::disk::lock::Lock;
use crate::disk::{FileError, files};
use crate::record;
use crate::record::{checkpoint, resume, verify};
use crate::sweep::SweepSpec;
use crate::values::{Keep, TrialId};

/// Why nothing needs a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Weights of a finished trial other than those that its setting `keep` chooses.
    SpareWeights,
    /// A file that a killed process was writing.
    Leftover,
    /// A damaged journal that was put aside.
    DamagedJournal,
    /// A summary of a configuration, which earlier versions wrote.
    OldSummary,
    /// A file of a job that an earlier version left.
    OldJob,
    /// A token store that no sweep of the results folder reads.
    UnusedStore,
    /// A trial that the sweep no longer has.
    RemovedTrial,
}

/// A file or folder that nothing needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Where it is.
    pub path: PathBuf,
    /// Why nothing needs it.
    pub reason: Reason,
    /// Its size on disk.
    pub bytes: u64,
}

impl Reason {
    /// The name of this kind, in the plural.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::SpareWeights => "weights of finished trials that `keep` does not choose",
            Self::Leftover => "files that killed processes were writing",
            Self::DamagedJournal => "damaged journals that were put aside",
            Self::OldSummary => "summaries that an earlier version wrote",
            Self::OldJob => "files of jobs of an earlier version",
            Self::UnusedStore => "token stores that no sweep here reads",
            Self::RemovedTrial => "trials that the sweep no longer has",
        }
    }
}

/// Everything that no trial of a run needs, in a stable order, including trials that the sweep no longer has;
/// where only a part of the grid ran last, none is counted among these.
///
/// # Errors
/// When a folder cannot be read.
pub fn of_run(layout: &Layout, sweep: &SweepSpec, _held: &Lock) -> Result<Vec<Garbage>, FileError> {
    let mut found = Vec::new();
    let mut removed = record::on_disk(layout)?;
    for trial in sweep.trials() {
        removed.remove(&trial.id);
        if resume::result(layout, trial.id).is_some() {
            found.extend(spare_weights(layout, trial.id, trial.keep()));
        }
    }
    if !sweep.only.is_empty() {
        // The sweep file may have them still: only a run of the whole grid tells.
        removed.clear();
    }
    let removed: Vec<PathBuf> = removed.into_iter().map(|id| layout.trial(id)).collect();
    let run = layout.run();
    walk(run, &mut |path, bytes| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let reason = if files::is_left_aside(&name) && !removed.iter().any(|trial| path.starts_with(trial)) {
            Reason::Leftover
        } else if path.parent() == Some(run) && Layout::is_journal_aside(&name) {
            Reason::DamagedJournal
        } else if path.parent() == Some(&layout.jobs()) {
            Reason::OldJob
        } else {
            return;
        };
        found.push(Garbage { path: path.to_path_buf(), reason, bytes });
    })
    .map_err(|error| FileError::new("read", run, error))?;
    if layout.old_summaries().is_dir() {
        found.push(whole_folder(layout.old_summaries(), Reason::OldSummary)?);
    }
    for path in removed {
        found.push(whole_folder(path, Reason::RemovedTrial)?);
    }
    found.sort_by(|a, b| (a.reason, &a.path).cmp(&(b.reason, &b.path)));
    Ok(found)
}

/// The stores that no sweep of the results folder reads. Empty where a sweep cannot be read, since it may need
/// any of them. `_held` is the stores' own lock, held alone, so that no run is active.
///
/// # Errors
/// When a folder cannot be read.
pub fn of_stores(layout: &Layout, _held: &Lock) -> Result<Vec<Garbage>, FileError> {
    let stores = layout.stores();
    let results = stores.parent().unwrap_or_else(|| Path::new("."));
    let mut used = BTreeSet::new();
    for folder in folders(results)? {
        match files::read_json::<SweepSpec>(&Layout::of_run(&folder).sweep()) {
            Ok(sweep) => {
                used.extend(sweep.iter().flat_map(verify::stores_of).map(|key| Layout::store(stores, key)))
            }
            Err(_) => return Ok(Vec::new()),
        }
    }
    let unused = folders(stores)?.into_iter().filter(|folder| !used.contains(folder));
    unused.map(|folder| whole_folder(folder, Reason::UnusedStore)).collect()
}

/// Removes a file or folder; of a link only the link itself.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(garbage: &Garbage) -> Result<(), FileError> {
    let path = &garbage.path;
    let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let removed = if is_folder { fs::remove_dir_all(path) } else { files::remove(path) };
    removed.map_err(FileError::of("remove", path))
}

/// The weights that `keep` does not choose, if the chosen ones are intact.
fn spare_weights(layout: &Layout, id: TrialId, keep: Keep) -> Option<Garbage> {
    let [last, best] = [layout.last_checkpoint(id), layout.best_checkpoint(id)];
    let (kept, path) = match keep {
        Keep::Last => (last, best),
        Keep::Best => (best, last),
    };
    let bytes = path.metadata().ok()?.len();
    let is_whole = matches!(checkpoint::verify(&kept, id), Ok(Some(_)));
    is_whole.then_some(Garbage { path, reason: Reason::SpareWeights, bytes })
}

fn whole_folder(path: PathBuf, reason: Reason) -> Result<Garbage, FileError> {
    let mut bytes = 0;
    let walked = walk(&path, &mut |_, size| bytes += size);
    walked.map_err(FileError::of("read", &path))?;
    Ok(Garbage { path, reason, bytes })
}

/// The folders within a folder, in order; empty where it does not exist.
fn folders(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = FileError::of("read", path);
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(&failed)?;
        if entry.file_type().map_err(&failed)?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Calls `visit` with every file below a folder and its size in bytes. Follows no link.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, u64)) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), visit)?;
        } else {
            visit(&entry.path(), entry.metadata()?.len());
        }
    }
    Ok(())
}
