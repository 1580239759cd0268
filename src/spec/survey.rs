//! Owns the look at what a sweep names: data files here, models and tokenizers in `survey_models`.
//! The only part of `spec` that does I/O; it reads files, and asks the hub for what is not here.
//! What it finds is judged by `check`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::data::sources::{self, Fields, SourceError, SurveyRequest};
use crate::hub::{Files, HubError, Reference, Snapshot};
use crate::task::Cleaning;

use super::raw::RawSweep;
use super::raw_task::{RawTask, TaskKind};
use super::source::At;
use super::survey_models::{self, ModelFacts};
use super::{Downloads, Purpose, check_labels};

/// Endings of files that can hold data or are compressed: what has one is no data set of the hub.
const DATA_ENDINGS: [&str; 9] = ["csv", "tsv", "jsonl", "ndjson", "parquet", "txt", "json", "gz", "zst"];

/// What there is at the paths of a sweep.
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
    /// The labels of the training file as it has them; empty where the task does not rename any.
    pub(super) label_values: Vec<String>,
    /// What the files call a class, to the class's name.
    pub(super) label_map: BTreeMap<String, String>,
}

/// A data file that the sweep names.
#[derive(Debug)]
pub(super) struct DataFacts {
    pub(super) path: PathBuf,
    pub(super) found: Result<sources::Survey, Fault>,
}

/// What is wrong with a file, a folder, or the way to it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: String,
}

/// From where, and for what, a sweep's files are looked at.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    /// Relative paths start here: the sweep file's folder.
    pub(super) folder: &'a Path,
    pub(super) purpose: Purpose,
    pub(super) downloads: Downloads<'a>,
}

/// What becomes of a file's rows before they are counted.
#[derive(Clone, Copy)]
struct Rows<'a> {
    /// What the file calls a class, to the class's name.
    map: &'a BTreeMap<String, String>,
    cleaning: &'a Cleaning,
    /// The training file's classes, for the other files.
    classes: Option<&'a [String]>,
}

/// Where something is that a sweep names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    Path(PathBuf),
    Hub(Reference),
}

/// Looks at everything that the sweep names.
pub(super) fn look(raw: &RawSweep, look: Look<'_>) -> Survey {
    Survey {
        tasks: raw.tasks.iter().map(|task| look.task(task)).collect(),
        models: survey_models::look(raw, look),
    }
}

impl Look<'_> {
    fn task(self, task: &RawTask) -> TaskFacts {
        let bare = Cleaning::default();
        let none = BTreeMap::new();
        let mut facts = TaskFacts::default();
        if let (Some(train), Some(_)) = (&task.train, &task.labels)
            && let Some(DataFacts { found: Ok(found), .. }) =
                self.data(task, train, Rows { map: &none, cleaning: &bare, classes: None })
        {
            facts.label_values = found.label_names;
            // Names that do not fit are told by `check`.
            facts.label_map = check_labels::map(task, &facts.label_values).unwrap_or_default();
        }
        let file = |name: &Option<At<String>>, classes: Option<&[String]>| {
            let rows = Rows { map: &facts.label_map, cleaning: &task.cleaning, classes };
            self.data(task, name.as_ref()?, rows)
        };
        let train = file(&task.train, None);
        let classes = train.as_ref().and_then(|train| train.found.as_ref().ok()).map(|it| &*it.label_names);
        let [validation, test] = [&task.validation, &task.test].map(|name| file(name, classes));
        TaskFacts { train, validation, test, ..facts }
    }

    fn data(self, task: &RawTask, name: &At<String>, rows: Rows<'_>) -> Option<DataFacts> {
        let Rows { map, cleaning, classes } = rows;
        let path = match self.data_origin(&name.value) {
            Origin::Path(path) => path,
            Origin::Hub(reference) => match self.data_set(&reference, &name.value) {
                Ok(path) => path,
                Err(fault) => return Some(DataFacts { path: PathBuf::new(), found: Err(fault) }),
            },
        };
        let texts = |at: &Option<At<Vec<At<String>>>>| {
            at.iter().flat_map(|at| &at.value).map(value).collect::<Vec<_>>()
        };
        let (text, pair) = (texts(&task.text), texts(&task.pair));
        let columns = task.columns.as_ref().map(|at| at.value.iter().map(value).collect::<Vec<_>>());
        let fields = match task.kind {
            TaskKind::Classification => {
                let label = task.label.as_ref().map(|at| at.value.as_str());
                Fields::Labelled { text: &text, pair: &pair, label, map }
            }
            // What its columns are is asked for by `check`.
            TaskKind::LanguageModelling if text.is_empty() && !is_plain_text(&path) => return None,
            TaskKind::LanguageModelling => Fields::Documents { text: &text, layout: task.layout },
            TaskKind::QuestionAnswering => Fields::Questions,
        };
        let request = SurveyRequest { path: &path, columns: columns.as_deref(), fields, cleaning, classes };
        let found = sources::survey(&request).map_err(|error| source_fault(&error));
        Some(DataFacts { path, found })
    }

    /// Where a data file is: what is not here, and has no data file's name, is a data set of the hub.
    fn data_origin(self, text: &str) -> Origin {
        let path = self.folder.join(text);
        let ending = Path::new(text).extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let is_file = ending.is_some_and(|ending| DATA_ENDINGS.contains(&ending.as_str()));
        self.origin(text, path, is_file)
    }

    /// Where a model is: what is not here is one of the hub.
    pub(super) fn model_origin(self, text: &str) -> Origin {
        let bare = text.split('@').next().unwrap_or_default();
        self.origin(text, self.folder.join(bare), false)
    }

    fn origin(self, text: &str, path: PathBuf, is_file: bool) -> Origin {
        let owner = text.split('/').next().unwrap_or_default();
        let beside_others = self.folder.join(owner).is_dir();
        match Reference::parse(text) {
            Some(reference) if !path.exists() && !is_file => {
                // Where the owner's folder is there, a path in it was meant, unless the rest says more.
                let says_more = text.contains(['@', ':']);
                if beside_others && !says_more { Origin::Path(path) } else { Origin::Hub(reference) }
            }
            Some(_) | None => Origin::Path(path),
        }
    }

    /// Brings a model of the hub: what `purpose` needs of it.
    pub(super) fn model(self, reference: &Reference, files: Files, name: &str) -> Result<PathBuf, Fault> {
        let Downloads { hub, progress } = self.downloads;
        let snapshot = hub.model(reference, files, progress);
        snapshot.map(|snapshot| snapshot.folder).map_err(|error| hub_fault(&error, "folder", name))
    }

    fn data_set(self, reference: &Reference, name: &str) -> Result<PathBuf, Fault> {
        let Downloads { hub, progress } = self.downloads;
        let snapshot = hub.dataset(reference, progress);
        let Snapshot { folder, files, .. } = snapshot.map_err(|error| hub_fault(&error, "file", name))?;
        match files.as_slice() {
            [file] => Ok(folder.join(file)),
            _ => Err(Fault {
                message: format!("`{name}` is in {} files, and only one can be read", files.len()),
                hint: format!("they are in `{}`: join them, or name one of them", folder.display()),
            }),
        }
    }
}

fn value(at: &At<String>) -> String {
    at.value.clone()
}

/// Whether a file is plain text, which has no columns to name.
fn is_plain_text(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    [".txt", ".txt.gz", ".txt.zst"].iter().any(|ending| name.ends_with(ending))
}

fn source_fault(error: &SourceError) -> Fault {
    Fault { message: error.to_string(), hint: error.hint() }
}

fn hub_fault(error: &HubError, what: &str, name: &str) -> Fault {
    Fault { message: format!("no {what} `{name}` here; {error}"), hint: error.hint() }
}
