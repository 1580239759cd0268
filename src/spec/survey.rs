//! Owns the survey of the files that a sweep names: data files here, models and tokenizers in `survey_models`.
//! It reads files and asks the hub for those that are missing, and looks only at files that some point of the
//! grid uses. `check` judges what it finds.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use crate::data::sources::{self, SourceError, SurveyRequest};
use crate::hub::{Files, HubError, Reference, Snapshot};
use crate::tasks::{Cleaning, Fields};

use super::label_names::{self, Names};
use super::point::Point;
use super::raw::RawSweep;
use super::raw::task::RawTask;
use super::source::At;
use super::survey_models::{self, ModelFacts};
use super::{Downloads, Intent};

/// Extensions of data files and compressed files: a name with one of them is not a data set of the hub.
const DATA_ENDINGS: [&str; 10] =
    ["csv", "tsv", "jsonl", "ndjson", "parquet", "arrow", "txt", "json", "gz", "zst"];

/// The facts found at the paths of a sweep. Nothing is known of files that were not looked at.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// For each task of the sweep, in its order.
    pub(super) tasks: Vec<TaskFacts>,
    /// For each model of the sweep, in its order.
    pub(super) models: Vec<ModelFacts>,
}

/// The files of one task.
#[derive(Debug, Default)]
pub(super) struct TaskFacts {
    pub(super) train: Option<DataFacts>,
    pub(super) validation: Option<DataFacts>,
    pub(super) test: Option<DataFacts>,
    /// The labels in the training file, each with its number of rows.
    pub(super) label_values: BTreeMap<String, usize>,
    /// Their class names.
    pub(super) names: Names,
}

/// A data file that the sweep names.
#[derive(Debug)]
pub(super) struct DataFacts {
    pub(super) path: PathBuf,
    pub(super) found: Result<sources::Survey, Fault>,
}

/// A fault of a file, of a folder, or of the way to it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: String,
}

/// How a sweep's files are looked at.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    /// Base of relative paths: the sweep file's folder.
    pub(super) folder: &'a Path,
    pub(super) intent: Intent,
    pub(super) downloads: Downloads<'a>,
    /// Whether the hub is asked: nothing is fetched for a sweep that already has errors.
    pub(super) asks_hub: bool,
}

/// The names of the tasks and models that some point of the grid uses.
#[derive(Debug)]
pub(super) struct Used<'a> {
    tasks: HashSet<&'a str>,
    models: HashSet<&'a str>,
}

/// How a file's rows are treated before they are counted.
#[derive(Clone, Copy)]
struct Rows<'a> {
    /// The class names of labels.
    names: &'a Names,
    cleaning: &'a Cleaning,
    /// The training file's classes, needed for the other files.
    classes: Option<&'a [String]>,
}

/// Where a named file or folder comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    Path(PathBuf),
    Hub(Reference),
}

impl<'a> Used<'a> {
    /// The tasks and models of these points.
    pub(super) fn of(raw: &'a RawSweep, points: &[Point<'a>]) -> Self {
        let named = |name: Option<At<&'a str>>| Some(name?.value);
        Self {
            tasks: names(&raw.tasks, |task| &task.name.value, points, |point| named(point.task())),
            models: names(&raw.models, |model| &model.name.value, points, |point| named(point.model())),
        }
    }
}

/// The names that points use. All existing names where points use none or an unknown one: the grid then has an
/// error, and any name may have been meant.
fn names<'a, T>(
    all: &'a [T],
    name: fn(&'a T) -> &'a String,
    points: &[Point<'a>],
    named: impl Fn(&Point<'a>) -> Option<&'a str>,
) -> HashSet<&'a str> {
    let known: HashSet<&str> = all.iter().map(|one| name(one).as_str()).collect();
    let used: HashSet<&str> = points.iter().filter_map(named).collect();
    if used.is_empty() || !used.is_subset(&known) { known } else { used }
}

/// Looks at everything that is used.
pub(super) fn look(raw: &RawSweep, used: &Used<'_>, look: Look<'_>) -> Survey {
    let task = |task: &RawTask| {
        if used.tasks.contains(task.name.value.as_str()) { look.task(task) } else { TaskFacts::default() }
    };
    Survey {
        tasks: raw.tasks.iter().map(task).collect(),
        models: survey_models::look(raw, &used.models, look),
    }
}

impl Look<'_> {
    fn task(self, task: &RawTask) -> TaskFacts {
        let mut facts = TaskFacts::default();
        let [train, validation, test] =
            [&task.train, &task.validation, &task.test].map(|name| self.place(name.as_ref()?));
        if let (Some(Ok(path)), Some(_)) = (&train, &task.labels) {
            facts.look_at_labels(task, path);
        }
        let file = |path: Option<Result<PathBuf, Fault>>, classes: Option<&[String]>, names: &Names| {
            data(task, path?, Rows { names, cleaning: &task.cleaning, classes })
        };
        let mut looked = file(train.clone(), None, &facts.names);
        if let (Some(DataFacts { found: Ok(found), .. }), None) = (&looked, &task.labels) {
            facts.label_values.clone_from(&found.label_values);
            if !found.class_names.is_empty() {
                facts.names =
                    label_names::names(task, &facts.label_values, &found.class_names).unwrap_or_default();
                looked = file(train, None, &facts.names);
            }
        }
        let classes = looked.as_ref().and_then(|train| train.found.as_ref().ok()).map(|it| &*it.label_names);
        let [validation, test] = [validation, test].map(|path| file(path, classes, &facts.names));
        TaskFacts { train: looked, validation, test, ..facts }
    }

    /// The path of a data file, fetched if it is on the hub; `None` where the hub is not asked.
    fn place(self, name: &At<String>) -> Option<Result<PathBuf, Fault>> {
        Some(match self.asked(self.data_origin(&name.value))? {
            Origin::Path(path) => Ok(path),
            Origin::Hub(reference) => self.data_set(&reference),
        })
    }

    /// The origin, if it is to be looked at.
    fn asked(self, origin: Origin) -> Option<Origin> {
        match origin {
            Origin::Hub(_) if !self.asks_hub => None,
            Origin::Hub(_) | Origin::Path(_) => Some(origin),
        }
    }

    /// The origin of a data file: a name that does not exist here and has no data file's extension is a data
    /// set of the hub.
    fn data_origin(self, text: &str) -> Origin {
        let path = self.folder.join(text);
        let ending = Path::new(text).extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let is_file = ending.is_some_and(|ending| DATA_ENDINGS.contains(&ending.as_str()));
        self.origin(text, path, is_file)
    }

    /// The origin of a model: a name that does not exist here is a model of the hub. `None` where the hub is
    /// not asked.
    pub(super) fn model_origin(self, text: &str) -> Option<Origin> {
        let bare = text.split('@').next().unwrap_or_default();
        self.asked(self.origin(text, self.folder.join(bare), false))
    }

    fn origin(self, text: &str, path: PathBuf, is_file: bool) -> Origin {
        let owner = text.split('/').next().unwrap_or_default();
        let beside_others = self.folder.join(owner).is_dir();
        match Reference::parse(text) {
            Some(reference) if !path.exists() && !is_file => {
                // If the owner's name is a folder here, a path in it was meant, unless the rest shows
                // otherwise.
                let says_more = text.contains(['@', ':']);
                if beside_others && !says_more { Origin::Path(path) } else { Origin::Hub(reference) }
            }
            Some(_) | None => Origin::Path(path),
        }
    }

    /// Fetches the files of a hub model that `intent` needs.
    pub(super) fn model(self, reference: &Reference, files: Files) -> Result<PathBuf, Fault> {
        let Downloads { hub, progress } = self.downloads;
        let snapshot = hub.model(reference, files, progress);
        snapshot.map(|snapshot| snapshot.folder).map_err(|error| hub_fault(&error, "folder"))
    }

    fn data_set(self, reference: &Reference) -> Result<PathBuf, Fault> {
        let Downloads { hub, progress } = self.downloads;
        let snapshot = hub.dataset(reference, progress);
        let Snapshot { folder, files, .. } = snapshot.map_err(|error| hub_fault(&error, "file"))?;
        let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
        sources::as_one(&files).ok_or_else(|| Fault {
            message: format!(
                "`{reference}` is in {} files whose names have too little in common",
                files.len()
            ),
            hint: format!("they are in `{}`: name one of them", folder.display()),
        })
    }
}

impl TaskFacts {
    /// Looks at the labels of the training file before they get names.
    fn look_at_labels(&mut self, task: &RawTask, path: &Path) {
        // Whether labels may be missing is checked with their names.
        let missing_too = Names { dropped: [String::new()].into(), ..Names::default() };
        let Some(objective) = task.objective(&[], &missing_too) else { return };
        let fields = match objective.fields() {
            Fields::Texts { target, .. } => Fields::Texts { text: &[], pair: &[], target },
            fields @ (Fields::Words { .. }
            | Fields::Documents { .. }
            | Fields::Questions { .. }
            | Fields::Conversations) => fields,
        };
        let columns = task.column_names();
        let request = SurveyRequest {
            columns: columns.as_deref(),
            reading: &task.reading,
            ..SurveyRequest::as_it_is(path, fields)
        };
        if let Ok(found) = sources::survey(&request) {
            // `check` reports names that do not match.
            self.names =
                label_names::names(task, &found.label_values, &found.class_names).unwrap_or_default();
            self.label_values = found.label_values;
        }
    }

    /// The class names recorded in the training file.
    pub(super) fn recorded_names(&self) -> &[String] {
        let train = self.train.as_ref().and_then(|train| train.found.as_ref().ok());
        train.map(|found| found.class_names.as_slice()).unwrap_or_default()
    }
}

/// The content of a data file; `None` where its columns are not given.
fn data(task: &RawTask, path: Result<PathBuf, Fault>, rows: Rows<'_>) -> Option<DataFacts> {
    let Rows { names, cleaning, classes } = rows;
    let path = match path {
        Ok(path) => path,
        Err(fault) => return Some(DataFacts { path: PathBuf::new(), found: Err(fault) }),
    };
    let columns = task.column_names();
    // `check` asks for what is missing here.
    let objective = task.objective(&[], names)?;
    let (path, columns, reading) = (&path, columns.as_deref(), &task.reading);
    let request = SurveyRequest { path, columns, reading, fields: objective.fields(), cleaning, classes };
    let found = sources::survey(&request).map_err(|error| source_fault(&error));
    Some(DataFacts { path: path.clone(), found })
}

fn source_fault(error: &SourceError) -> Fault {
    Fault { message: error.to_string(), hint: error.hint() }
}

/// The hub's error already names the repository.
fn hub_fault(error: &HubError, what: &str) -> Fault {
    Fault { message: format!("no such {what} here; {error}"), hint: error.hint() }
}
