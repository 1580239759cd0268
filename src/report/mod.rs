//! Owns the report: a pure function of the run's record, and the files it is written to.
//!
//! `summary` folds trials into configurations, `findings` ranks and compares them; `tables`,
//! `headline`, `plots` and `frames` say it in cells, sentences, charts and data frames; `html`,
//! `markdown` and `terminal` set those. Only this file writes. Nothing here reads a clock or looks
//! at a run's folder: the same record always gives the same bytes.

pub mod axes;
pub mod curves;
pub mod findings;
pub mod format;
pub mod frames;
pub mod headline;
pub mod html;
pub mod markdown;
pub mod plots;
pub mod sections;
pub mod statistics;
pub mod summary;
pub mod tables;
mod terminal;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::AppError;
use crate::run::record::RunRecord;

use findings::Findings;
pub use terminal::terminal_table;

/// Writes the whole report into a folder, which is made if need be. Each file appears complete or
/// not at all. Charts that the record no longer gives are removed.
///
/// Returns the files, `report.html` first.
///
/// # Errors
/// When the folder cannot be written, or a chart cannot be drawn.
pub fn write(record: &RunRecord, folder: &Path) -> Result<Vec<PathBuf>, AppError> {
    let findings = Findings::of(record);
    let charts = plots::charts(&findings);
    fs::create_dir_all(folder).map_err(|error| AppError::file("make the folder", folder, &error))?;
    let page = html::render(&findings, &charts).map_err(|error| undrawn(&error))?;
    let trials = frames::trials(&findings).and_then(frames::csv).map_err(|error| unframed(&error))?;
    let configurations =
        frames::configurations(&findings).and_then(frames::csv).map_err(|error| unframed(&error))?;
    let mut written = vec![
        put(folder, "report.html", page.as_bytes())?,
        put(folder, "report.md", markdown::render(&findings, &charts).as_bytes())?,
        put(folder, "configurations.csv", &configurations)?,
        put(folder, "trials.csv", &trials)?,
    ];
    for chart in &charts {
        let svg = chart.svg().map_err(|error| undrawn(&error))?;
        written.push(put(folder, &format!("{}.svg", chart.name), svg.as_bytes())?);
        let name = format!("{}.png", chart.name);
        let draw = |path: &Path| chart.write_png(path).map_err(|error| undrawn(&error));
        written.push(replace(folder, &name, draw)?);
    }
    for name in plots::NAMES.iter().filter(|name| charts.iter().all(|chart| chart.name != **name)) {
        for ending in ["svg", "png"] {
            remove(&folder.join(format!("{name}.{ending}")))?;
        }
    }
    Ok(written)
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, AppError> {
    replace(folder, name, |path| {
        fs::write(path, bytes).map_err(|error| AppError::file("write", path, &error))
    })
}

/// Lets `fill` write a temporary file, with the same ending, then renames it.
fn replace(
    folder: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> Result<(), AppError>,
) -> Result<PathBuf, AppError> {
    let temporary = folder.join(format!(".new-{}-{name}", std::process::id()));
    let path = folder.join(name);
    fill(&temporary)?;
    fs::rename(&temporary, &path).map_err(|error| AppError::file("write", &path, &error))?;
    Ok(path)
}

fn remove(path: &Path) -> Result<(), AppError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(AppError::file("remove the outdated chart", path, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn undrawn(error: &plots::PaintError) -> AppError {
    AppError::Unexpected(format!("cannot draw a chart of the report: {error}"))
}

fn unframed(error: &polars::error::PolarsError) -> AppError {
    AppError::Unexpected(format!("cannot make the report's data frames: {error}"))
}
