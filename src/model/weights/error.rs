//! Owns the errors about weights, and what the user can do about each. Decides nothing.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Weights that cannot be used.
#[derive(Debug)]
pub enum WeightsError {
    /// The folder has none of the known weight files.
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// The file names that were looked for.
        looked_for: &'static [&'static str],
    },
    /// The model was made without weights.
    Absent {
        /// Its name in the sweep.
        model: String,
    },
    /// The file system refused.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file's content is not usable.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A tensor that the model or the shard index names is in no file.
    Missing {
        /// The tensor's name, as it was looked up.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
    /// A tensor has other sizes than the model needs.
    Shape {
        /// The tensor, as the file names it.
        name: String,
        /// The shape that the model needs.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// The weights are a model with PEFT's adapters inside, saved as a whole.
    Adapters {
        /// A tensor that shows it.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
    /// The output layer of a language model is not its word embedding.
    UntiedOutput {
        /// The folder.
        folder: PathBuf,
    },
    /// The weights are packed into integers.
    Quantised {
        /// A tensor that shows it.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
    /// A tensor holds NaN or infinity.
    NotFinite {
        /// The tensor, as the file names it.
        name: String,
        /// The first such element, counted in row-major order.
        element: usize,
    },
    /// All weights of an output are 0, and DoRA divides by their length.
    Empty {
        /// The tensor.
        name: String,
        /// The output.
        output: usize,
    },
}

impl WeightsError {
    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::NoWeights { folder, .. } => format!("no weight file in `{}`", folder.display()),
            Self::Absent { model } => format!("the model `{model}` has no weights"),
            Self::Read { path, source } => format!("cannot read `{}`: {source}", path.display()),
            Self::File { path, fault } => format!("cannot use the weights in `{}`: {fault}", path.display()),
            Self::Missing { name, folder } => {
                format!("tensor `{name}` is not among the weights in `{}`", folder.display())
            }
            Self::Shape { name, expected, found } => {
                format!("tensor `{name}` has shape {found:?} and the model needs {expected:?}")
            }
            Self::Adapters { name, folder } => format!(
                "the weights in `{}` are a model with adapters that were not merged (tensor `{name}`)",
                folder.display()
            ),
            Self::UntiedOutput { folder } => format!(
                "the weights in `{}` have an output layer of their own (`lm_head.weight` differs from the word \
                 embedding), which is not supported",
                folder.display()
            ),
            Self::Quantised { name, folder } => format!(
                "the weights in `{}` are quantised (tensor `{name}`), which is not supported",
                folder.display()
            ),
            Self::NotFinite { name, element } => {
                format!("tensor `{name}` is NaN or infinite at element {element}")
            }
            Self::Empty { name, output } => {
                format!(
                    "`method: dora` cannot adapt tensor `{name}`: its weights for output {output} are all 0"
                )
            }
        }
    }

    /// What to do about it, where there is an answer.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoWeights { looked_for, .. } => {
                return Some(format!("put one of {} there, or name another folder", list(looked_for)));
            }
            Self::Absent { .. } => "put a weight file into its folder, or train it by `method: scratch`",
            Self::Read { .. } => return None,
            Self::File { fault, .. } => fault.hint(),
            Self::Missing { .. } => "check that its `config.json` and weight files belong together",
            Self::Shape { .. } => "check that `config.json` belongs to these weights",
            Self::Adapters { .. } => {
                "in Python, save `model.merge_and_unload()`, or take the adapter's base for `from`"
            }
            Self::UntiedOutput { .. } => "take a model whose output layer is tied to its embedding",
            Self::Quantised { .. } => {
                "use the model that they were made from, in float32, float16 or bfloat16"
            }
            Self::Empty { .. } => "leave its module out of `targets`, or use `method: lora`",
            Self::NotFinite { .. } => "take the weights from an earlier checkpoint or download them again",
        };
        Some(hint.to_owned())
    }

    /// The same error with the folder under another name: the sweep's name for it.
    #[must_use]
    pub fn calling(mut self, folder: &Path, name: &str) -> Self {
        let place = match &mut self {
            Self::NoWeights { folder, .. }
            | Self::Missing { folder, .. }
            | Self::Adapters { folder, .. }
            | Self::UntiedOutput { folder }
            | Self::Quantised { folder, .. } => Some(folder),
            Self::Read { path, .. } | Self::File { path, .. } => Some(path),
            Self::Absent { .. } | Self::Shape { .. } | Self::NotFinite { .. } | Self::Empty { .. } => None,
        };
        if let Some(place) = place
            && let Ok(rest) = place.strip_prefix(folder)
        {
            *place = match rest.as_os_str().is_empty() {
                true => PathBuf::from(name),
                false => Path::new(name).join(rest),
            };
        }
        self
    }
}

impl fmt::Display for WeightsError {
    /// What is wrong and, after a semicolon, what to do about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        self.hint().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl Error for WeightsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::NoWeights { .. }
            | Self::Absent { .. }
            | Self::File { .. }
            | Self::Missing { .. }
            | Self::Shape { .. }
            | Self::Adapters { .. }
            | Self::UntiedOutput { .. }
            | Self::Quantised { .. }
            | Self::NotFinite { .. }
            | Self::Empty { .. } => None,
        }
    }
}

/// What is wrong with the content of one weight file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A text of a few lines in place of a file that is stored elsewhere.
    #[error("it is a Git LFS pointer, not the file itself")]
    Pointer,
    /// Bytes are missing at the end.
    #[error("it is cut short: {needed} bytes are promised and {found} are there")]
    Truncated {
        /// Bytes that the file's own header promises.
        needed: u64,
        /// Bytes in the file.
        found: u64,
    },
    /// The part that lists the tensors cannot be read or contradicts itself.
    #[error("it is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// A tensor's bytes would lie outside the file, or over another tensor.
    #[error("tensor `{tensor}` does not lie where the file says")]
    Outside {
        /// The tensor.
        tensor: String,
    },
    /// An element type that is not supported.
    #[error("tensor `{tensor}` has the unsupported type `{found}`")]
    UnknownKind {
        /// The tensor.
        tensor: String,
        /// The type, as the file names it.
        found: String,
    },
    /// The pickle asks for a function or class that no state dictionary needs.
    #[error("its pickle is a program, and lorasweep refuses to run `{global}`")]
    Refused {
        /// Module and name.
        global: String,
    },
    /// The pickle is not a state dictionary written by `torch.save`.
    #[error("its pickle is not a state dictionary of tensors ({reason}, at byte {position})")]
    Pickle {
        /// Place in `data.pkl`, or in a file of torch before 1.6.
        position: usize,
        /// What was found.
        reason: &'static str,
    },
    /// A size that the file cannot hold.
    #[error("{what} claims {claimed} bytes where at most {limit} can be")]
    Oversized {
        /// The part of the file that claims it.
        what: String,
        /// The claim.
        claimed: u64,
        /// The most that is accepted.
        limit: u64,
    },
}

impl Fault {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Pointer => "run `git lfs pull` in its folder",
            Self::Truncated { .. } | Self::Damaged { .. } | Self::Outside { .. } => {
                "copy or download it again"
            }
            Self::UnknownKind { .. } => "save the model again in float32",
            Self::Refused { .. } => {
                "only if you trust its source, load it in Python and save it again with \
                 `model.save_pretrained(folder, safe_serialization=True)`"
            }
            Self::Pickle { .. } => {
                "load it in Python and save it again with \
                 `model.save_pretrained(folder, safe_serialization=True)`"
            }
            Self::Oversized { .. } => "take weights from a source you trust",
        }
    }

    pub(super) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged { reason: reason.into() }
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
