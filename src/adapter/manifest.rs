//! Owns `lorasweep.json`: what an exported folder records beyond PEFT's and transformers' own files, so that
//! the model can be used without its sweep. Follows no path.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::AdapterError;
use crate::disk::files;
use crate::families::{Architecture, Head};
use crate::tasks::{Cleaning, Problem, Purpose, Task};
use crate::values::ContentHash;

/// Its name in an exported folder.
pub const MANIFEST: &str = "lorasweep.json";
/// Changes whenever an older program would read the file wrongly.
const FORMAT: u32 = 2;
/// The format of files that older programs also read correctly.
const FIRST_FORMAT: u32 = 1;

/// What an exported folder holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file's format.
    format: u32,
    /// The model's purpose.
    pub purpose: Purpose,
    /// Longest sequence it was trained on, in tokens, special tokens included.
    pub max_length: usize,
    /// How texts are cleaned before they are tokenised; rows are never dropped.
    pub cleaning: Cleaning,
    /// Its shapes without adapters; only of the base's first layers where it was cut.
    pub architecture: Architecture,
    /// The base that an adapter works on. Absent for a whole model.
    pub base: Option<BaseModel>,
    /// From which probability on a label is answered, where each is judged by itself; one half where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// The base of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseModel {
    /// Its name on the hub, or its folder.
    pub name: String,
    /// Where it was when the adapter was made.
    pub folder: PathBuf,
    /// Number of its first layers that are used; all where absent.
    pub layers: Option<usize>,
    /// Hash of the names, shapes and values of the tensors that are used.
    pub content: ContentHash,
}

impl Manifest {
    /// The manifest of a model.
    #[must_use]
    pub fn new(purpose: Purpose, max_length: usize, architecture: Architecture) -> Self {
        let format = match &purpose {
            Purpose::Classification { problem: Problem::MultiLabel | Problem::Regression, .. }
            | Purpose::Tagging { .. }
            | Purpose::Chat(_) => FORMAT,
            Purpose::Classification { problem: Problem::SingleLabel, .. }
            | Purpose::LanguageModelling
            | Purpose::QuestionAnswering(_) => FIRST_FORMAT,
        };
        Self {
            format,
            purpose,
            max_length,
            cleaning: Cleaning::default(),
            architecture,
            base: None,
            threshold: None,
        }
    }

    /// The manifest of a model that learned a task.
    #[must_use]
    pub fn of_task(task: &Task, architecture: Architecture) -> Self {
        let cleaning = Cleaning { min_words: None, min_label_rows: None, ..task.cleaning.clone() };
        Self { cleaning, ..Self::new(task.objective.purpose(), task.max_length, architecture) }
    }

    /// The head that the purpose needs.
    #[must_use]
    pub fn head(&self) -> Head {
        self.purpose.head()
    }

    /// The text of the file.
    ///
    /// # Panics
    /// Never: it is a plain struct with a JSON form.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("plain structs have a JSON form");
        text.push(b'\n');
        text
    }

    /// Reads a folder's `lorasweep.json`; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or belongs to another version.
    pub fn read(folder: &Path) -> Result<Option<Self>, AdapterError> {
        let path = folder.join(MANIFEST);
        let manifest: Option<Self> = files::read_json(&path)
            .map_err(|error| AdapterError::Settings { path: path.clone(), reason: error.to_string() })?;
        match manifest {
            Some(manifest) if !(FIRST_FORMAT..=FORMAT).contains(&manifest.format) => {
                let reason = format!(
                    "its format is {}, and this program reads {FIRST_FORMAT} to {FORMAT}",
                    manifest.format
                );
                Err(AdapterError::Settings { path, reason })
            }
            Some(manifest) => match manifest.architecture.check_numbers() {
                Ok(()) => Ok(Some(manifest)),
                Err(problem) => Err(AdapterError::Config { path, problem }),
            },
            None => Ok(None),
        }
    }
}
