//! Owns the sweep file: from YAML text to a checked sweep. Afterwards nothing is validated again.
//!
//! `tree` is the YAML with the place of every value; `raw` reads it by the table in `keys`; `grid` expands it;
//! `survey` looks at the files that its points use. `survey_rows` reads the rows of an error-free sweep for its
//! data cards. These two are the only ones that use the disk and the hub. `check` turns the result into a
//! [`SweepSpec`], or reports every error at once.

mod check;
mod drawn;
mod error;
mod foreign;
mod grid;
mod keys;
mod label_names;
mod model_shape;
mod number;
mod overrides;
mod point;
mod range;
mod raw;
mod read;
mod schema;
mod source;
mod space;
mod starter;
mod survey;
mod survey_models;
mod survey_rows;
mod templates;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod words;

use std::io::Read;
use std::path::Path;

pub use error::{Problem, SpecError, SpecErrors};
pub use overrides::Overrides;
pub use schema::schema;
pub use source::Spot;
pub use starter::Starter;

use crate::hub::{Hub, Progress};
use crate::sweep::SweepSpec;

/// Largest sweep file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The purpose of loading a sweep, which decides which files must exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To show what it would do: models may lack their weights.
    Plan,
    /// To train.
    Run,
}

/// The hub for models and data sets, and who is told of the progress.
#[derive(Clone, Copy)]
pub struct Downloads<'a> {
    /// Asked only for what the sweep names and this machine lacks.
    pub hub: &'a Hub,
    /// Called after every piece that arrives.
    pub progress: &'a dyn Fn(Progress<'_>),
}

/// Reads a sweep file, surveys the files that some point of the grid uses, and checks everything.
///
/// # Errors
/// Every error of the sweep at once, each with its place. Errors about the hub come only if there are no
/// others, since nothing is fetched for a sweep with errors. Nothing is written except to the hub's cache.
pub fn load(
    path: &Path,
    overrides: &Overrides,
    intent: Intent,
    downloads: Downloads<'_>,
) -> Result<SweepSpec, SpecErrors> {
    let file = path.display().to_string();
    let text = read_text(path).map_err(|problem| SpecErrors::unplaced(&file, problem))?;
    let mut report = error::Report::new(source::Sources::new(file, text.clone()));
    let mut tree = match tree::parse(&text) {
        Ok(tree) => tree,
        Err(error) => {
            let (line, column) = error.at.unwrap_or((1, 1));
            let place = report.sources.place(0, line, column);
            report.error(place, Problem::Syntax(error.message));
            return Err(report.into_errors());
        }
    };
    if !overrides::profile(&mut tree, overrides.profile.as_deref(), &mut report) {
        return Err(report.into_errors());
    }
    overrides::set(&mut tree, &overrides.set, &mut report);
    let mut raw = raw::read(&tree, &mut report);
    let only = overrides::only(&overrides.only, &mut report);
    drawn::complete(&mut raw, &only, &mut report);
    let folder = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_path_buf));
    let folder = &folder.unwrap_or_default();
    templates::read(&mut raw, folder, &mut report);
    let points = check::grid::check(&raw, &only, &mut report);
    let look = survey::Look { folder, intent, downloads, asks_hub: !report.has_errors() };
    let possible = check::grid::possible(&raw, &points, &only, &mut report);
    let survey = survey::look(&raw, &survey::Used::of(&raw, &possible), look);
    let points = check::Points { configured: &points, possible: &possible };
    let checked = check::check(&raw, points, &survey, overrides.profile.as_deref(), &mut report);
    let Some(mut sweep) = checked else { return Err(report.into_errors()) };
    sweep.cards = survey_rows::cards(&raw, &survey, &sweep, &mut report);
    if report.has_errors() {
        return Err(report.into_errors());
    }
    sweep.only.clone_from(&overrides.only);
    sweep.warnings = report.into_warnings();
    Ok(SweepSpec::try_from(sweep).expect("a sweep file's check refuses all that a sweep's own check does"))
}

/// The file's text, if its size is one that a person or a small script would write.
fn read_text(path: &Path) -> Result<String, Problem> {
    let file = std::fs::File::open(path).map_err(|error| Problem::Unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::Unreadable(error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Problem::TooLarge);
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Problem::Unreadable("it is not UTF-8 text".to_owned()))?;
    // A byte-order mark would count as a column.
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}
