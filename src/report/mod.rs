//! Owns the report: a pure function of the run's record, and the files it is written to.
//!
//! In reading order:
//!
//! | file | owns |
//! |---|---|
//! | `long`, `grouped` | every number of every trial as rows of a frame, and the expressions that group them |
//! | `summary` | a configuration's trials as one, over folds and seeds |
//! | `seeds`, `curves`, `statistics` | how steady it is over its seeds, its learning curves; the arithmetic |
//! | `left` | where a configuration left that was stopped early, and the steps that this saved |
//! | `entry` | its place in its task, and how it differs from the one selected |
//! | `baseline`, `chance` | the best constant answer, and whether the best configuration beats no training |
//! | `pool` | configurations over all tasks |
//! | `findings` | all of these: the results of a record |
//! | `choice` | what a refit trains: the selected configuration of each task, or one that a person names |
//! | `refitted` | what a refit ends with: test scores, and which model they are of |
//! | `foreseen` | what the run predicted of its cost, and what it was |
//! | `measure`, `format` | how metrics and other numbers are written |
//! | `headline`, `stopped`, `warnings` | sentences: what was compared and found, what was stopped, and what not to believe |
//! | `tables`, `data`, `plots` | tables, data cards and charts |
//! | `sections` | the order of everything below the opening |
//! | `html`, `markdown`, `terminal`, `frames` | the page, the text, the table that ends a run, the CSV files |
//!
//! Only this file writes. Nothing here reads a clock or looks at a run's folder: the same record always
//! gives the same bytes.

pub mod baseline;
pub mod chance;
pub mod choice;
pub mod curves;
pub(crate) mod data;
pub mod entry;
pub mod findings;
pub mod foreseen;
pub mod format;
pub mod frames;
mod grouped;
pub mod headline;
pub mod html;
pub mod left;
mod long;
pub mod markdown;
pub mod measure;
pub mod plots;
pub mod pool;
pub mod refitted;
pub mod sections;
pub mod seeds;
pub mod statistics;
mod stopped;
pub mod summary;
pub mod tables;
mod terminal;
mod warnings;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{FileError, files};
use crate::record::RunRecord;

use findings::Findings;
pub use terminal::terminal_table;

/// A report that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of it cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A chart cannot be drawn.
    #[error("cannot draw a chart of the report: {0}")]
    Chart(#[from] plots::PaintError),
    /// Its data frames cannot be made.
    #[error("cannot make the report's data frames: {0}")]
    Frames(#[from] polars::error::PolarsError),
}

/// Writes the whole report into a folder, which is created if necessary. Each file appears complete or not at
/// all. Charts of an earlier report that no longer exist are removed.
///
/// Returns the files, `report.html` first.
///
/// # Errors
/// When the folder cannot be written, or a chart cannot be drawn.
pub fn write(record: &RunRecord, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let findings = Findings::of(record);
    let charts = plots::charts(&findings);
    let page = html::render(&findings, &charts)?;
    let trials = frames::trials(&findings).and_then(frames::csv)?;
    let configurations = frames::configurations(&findings).and_then(frames::csv)?;
    let page_in_markdown = markdown::render(&findings, &charts);
    let texts = [
        ("report.html", page.as_bytes()),
        ("report.md", page_in_markdown.as_bytes()),
        ("configurations.csv", &configurations),
        ("trials.csv", &trials),
    ];
    let mut written = Vec::new();
    for (name, text) in texts {
        written.push(put(folder, name, |path| fs::write(path, text))?);
    }
    for chart in &charts {
        let svg = chart.svg()?;
        written.push(put(folder, &format!("{}.svg", chart.name), |path| fs::write(path, svg))?);
        let draw = |path: &Path| chart.write_png(path).map_err(io::Error::other);
        written.push(put(folder, &format!("{}.png", chart.name), draw)?);
    }
    remove_outdated(folder, &written)?;
    Ok(written)
}

/// Removes the charts of an earlier report that this one does not have.
fn remove_outdated(folder: &Path, written: &[PathBuf]) -> Result<(), FileError> {
    const ACTION: &str = "remove the outdated chart";
    for entry in fs::read_dir(folder).map_err(FileError::of(ACTION, folder))? {
        let path = entry.map_err(FileError::of(ACTION, folder))?.path();
        let is_chart = path.file_stem().is_some_and(|stem| plots::is_name(&stem.to_string_lossy()))
            && path.extension().is_some_and(|ending| ending == "svg" || ending == "png");
        if is_chart && !written.contains(&path) {
            files::remove(&path).map_err(FileError::of(ACTION, &path))?;
        }
    }
    Ok(())
}

/// Puts a file of the report in place as a whole.
fn put(folder: &Path, name: &str, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<PathBuf, FileError> {
    let path = folder.join(name);
    files::replace(&path, fill).map_err(FileError::of("write", &path))?;
    Ok(path)
}
