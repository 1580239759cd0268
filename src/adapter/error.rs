//! Owns the errors about adapters, model folders and questions to a model, and what the user can do about each.
//! Decides nothing.

use std::io;
use std::path::PathBuf;

use crate::data::sources::SourceError;
use crate::families::ConfigError;
use crate::model::weights::WeightsError;
use crate::tokenizer::TokenizerError;
use crate::values::TrialId;

/// An adapter or a model that cannot be used, or an output that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The file system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A settings file does not hold what it should.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// A model's configuration that is not valid.
    #[error("`{}` {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        problem: ConfigError,
    },
    /// The adapter uses a feature that is not supported here.
    #[error("the adapter uses {feature}, which lorasweep does not support")]
    Unsupported {
        /// The feature with its value, as `adapter_config.json` has it.
        feature: String,
    },
    /// The adapter's initialisation changed its base in an unsupported way.
    #[error("the adapter uses `init_lora_weights`: {value}, which lorasweep does not support")]
    UnsupportedStart {
        /// The initialisation, as `adapter_config.json` has it.
        value: String,
    },
    /// A weight file that cannot be read, or weights that are not numbers.
    #[error("{0}")]
    Weights(#[from] WeightsError),
    /// A tensor that belongs to no module of the base.
    #[error(
        "the adapter's tensor `{name}` is neither on a target module of the base nor a module saved with them"
    )]
    Unknown {
        /// The tensor.
        name: String,
    },
    /// A tensor whose shape does not match the base.
    #[error("the adapter's tensor `{name}` has shape {found:?}, and the base calls for {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// The shape that the base requires.
        expected: Vec<usize>,
        /// The shape in the adapter.
        found: Vec<usize>,
    },
    /// Two tensors for the same module.
    #[error("the adapter's tensors `{one}` and `{other}` have the same place: its file holds two adapters")]
    Twice {
        /// The first tensor.
        one: String,
        /// The other one.
        other: String,
    },
    /// A word embedding with another vocabulary than the base's.
    #[error(
        "the adapter's word embedding `{name}` has {rows} rows, and the base's has {base}: it was trained on \
         a base whose embedding was resized, for tokens that were added"
    )]
    Resized {
        /// The tensor.
        name: String,
        /// Its rows.
        rows: usize,
        /// Rows of the base's embedding.
        base: usize,
    },
    /// A tensor that the adapter's own settings require.
    #[error("the adapter has no tensor `{name}`, which its settings call for")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// An adapter that was saved without the head it was trained with.
    #[error("the adapter has no head: `{name}` was not saved with it, and a fresh head only guesses")]
    NoHead {
        /// The head's first tensor.
        name: String,
    },
    /// A model folder whose head does not answer for whole texts.
    #[error("the model in `{}` is a {class}: {answers}, and `predict` answers for whole texts", folder.display())]
    OtherHead {
        /// The folder.
        folder: PathBuf,
        /// What it is, in transformers' words.
        class: String,
        /// What it does.
        answers: &'static str,
    },
    /// A base model without a head.
    #[error("the model in `{}` has no head: it is a base model without a classifier", folder.display())]
    Headless {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder of another kind than the option expects.
    #[error("`{}` is not a folder of {wanted}: {found}", folder.display())]
    OtherFolder {
        /// The folder.
        folder: PathBuf,
        /// What the option expects.
        wanted: &'static str,
        /// What was found there.
        found: &'static str,
        /// What to do about it.
        hint: String,
    },
    /// A class name that is empty or used twice.
    #[error("the labels {reason}")]
    LabelNames {
        /// What is wrong with them.
        reason: String,
    },
    /// A tensor that the adapter was trained with and that the base lacks.
    #[error(
        "the base in `{}` has no `{name}`, and the adapter does not bring it: the one that it was trained with \
         was drawn at random, and is lost", base.display()
    )]
    Drawn {
        /// The folder of the base.
        base: PathBuf,
        /// The tensor.
        name: String,
        /// Its module's name in `modules_to_save`.
        module: &'static str,
    },
    /// A trial of a version that drew weights in another way, with weights that were drawn and did not train.
    #[error(
        "the trial {trial} was trained by another version of lorasweep on weights drawn at random, which this \
         version draws differently"
    )]
    DrawnOtherwise {
        /// The trial.
        trial: TrialId,
    },
    /// Class names whose number does not match the head.
    #[error("{given} labels are given, but the head has {classes} classes")]
    Labels {
        /// Number of names.
        given: usize,
        /// Rows of the head.
        classes: usize,
    },
    /// A base with other tensors than the adapter was trained on.
    #[error("`{}` is not the base of this adapter: {detail}", base.display())]
    WrongBase {
        /// The folder that was given.
        base: PathBuf,
        /// The difference.
        detail: String,
    },
    /// No base was given, and the recorded one does not exist here.
    #[error("the adapter's base model `{name}` was not found")]
    NoBase {
        /// The adapter's name for its base.
        name: String,
    },
    /// The weights that a trial started from have been replaced since.
    #[error("the weights in `{}` have changed since the trial started from them", folder.display())]
    ChangedBase {
        /// The folder of the base.
        folder: PathBuf,
    },
    /// Something that cannot be written in the format asked for.
    #[error("{what} cannot be exported: {reason}")]
    Refused {
        /// What was to be exported.
        what: String,
        /// Why not.
        reason: String,
        /// What to do instead.
        hint: String,
    },
    /// The output path is already taken.
    #[error("`{}` exists and is not an empty folder", path.display())]
    Occupied {
        /// The output folder.
        path: PathBuf,
    },
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer has tokens that the model has no row for.
    #[error("the tokenizer has token ids up to {highest}, but the model's embedding only {rows} rows")]
    Vocabulary {
        /// The highest token id.
        highest: usize,
        /// Rows of the word embedding.
        rows: usize,
    },
    /// The texts cannot be read.
    #[error("{0}")]
    Texts(Box<SourceError>),
    /// A question that this model cannot answer.
    #[error("{message}")]
    Question {
        /// Why it cannot.
        message: String,
        /// What it can answer.
        hint: String,
    },
}

impl AdapterError {
    /// What to do next, where there is an answer.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Unknown { .. } | Self::Shape { .. } => {
                "give the base that the adapter was trained on with `--base`"
            }
            Self::Missing { .. } => {
                "copy the adapter again; if it was trained on the first layers of the base, say how many \
                 with `--layers`"
            }
            Self::NoHead { .. } => {
                "train again with the head among PEFT's `modules_to_save` (`task_type=\"SEQ_CLS\"` sees to that), \
                 and save again"
            }
            Self::Drawn { module, .. } => {
                return Some(format!(
                    "give the base that has it with `--base`, or train again with `{module}` among PEFT's \
                     `modules_to_save`"
                ));
            }
            Self::Twice { .. } => {
                "save one of them alone, with `model.save_pretrained(DIR, selected_adapters=[\"NAME\"])`"
            }
            Self::Resized { rows, .. } => {
                return Some(format!(
                    "resize the base as it was resized for the training, and give that with `--base`; in Python: \
                     `base.resize_token_embeddings({rows}); base.save_pretrained(DIR); \
                     tokenizer.save_pretrained(DIR)`"
                ));
            }
            Self::UnsupportedStart { .. } => {
                "this start changed the base too: save the adapter again with PEFT's \
                 `path_initial_model_for_weight_conversion`, or merge it with `merge_and_unload`, save the model, \
                 and ask that with `lorasweep predict --model`"
            }
            Self::Unsupported { .. } => {
                "in Python, merge the adapter with `merge_and_unload`, save the model, and ask that with \
                 `lorasweep predict --model`"
            }
            Self::Labels { .. } => {
                "give one name per class, in the order of the head's rows: `--labels a,b,c`; names that have commas \
                 one by one, `--labels a --labels 'b, c'`, or one per line in a file, `--labels-file FILE`"
            }
            Self::LabelNames { .. } => "give every class a name of its own",
            Self::OtherHead { .. } => {
                "ask it in Python, with transformers' `pipeline`; `predict --model` takes sequence classification, \
                 regression and GPT-2's language model"
            }
            Self::Headless { .. } => {
                "give a model with a trained classifier, or an adapter on this one: `lorasweep import ADAPTER \
                 --base FOLDER --out DIR`, then `lorasweep predict --adapter DIR`"
            }
            Self::WrongBase { .. } => {
                "give the folder of the base that lorasweep.json names; an adapter works on its own base only"
            }
            Self::NoBase { .. } => "give its folder with `--base`",
            Self::DrawnOtherwise { .. } => "use the version that trained it, or run the sweep again",
            Self::ChangedBase { .. } => "put the weights back, or run the sweep again",
            Self::Occupied { .. } => "name another folder with `--out`, or remove this one",
            Self::Vocabulary { .. } => "use the tokenizer that the model was trained with",
            Self::Config { problem, .. } => return Some(problem.hint()),
            Self::Refused { hint, .. } | Self::Question { hint, .. } | Self::OtherFolder { hint, .. } => hint,
            Self::Texts(error) => return Some(error.hint()),
            Self::File { .. } | Self::Settings { .. } | Self::Weights(_) | Self::Tokenizer(_) => return None,
        };
        Some(text.to_owned())
    }

    /// The error of a file that could not be read.
    pub(super) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action: "read", path, source }
    }

    /// The error of a file or folder that could not be written.
    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action: "write", path, source }
    }
}

impl From<SourceError> for AdapterError {
    fn from(error: SourceError) -> Self {
        Self::Texts(Box::new(error))
    }
}
