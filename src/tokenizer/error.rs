//! Owns what can be wrong with a tokenizer, and what the user can do about it. Decides nothing.

use std::fmt;
use std::path::PathBuf;

/// A tokenizer that cannot be used.
#[derive(Debug)]
pub struct TokenizerError {
    /// The file or folder.
    pub path: PathBuf,
    /// Why not.
    pub fault: Fault,
}

/// Why a tokenizer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is none.
    #[error("there is neither a tokenizer.json nor a vocab.txt, nor a vocab.json with merges.txt")]
    Absent,
    /// A file of an unsupported kind of tokenizer.
    #[error("`{0}` is not supported without a tokenizer.json")]
    OtherFile(String),
    /// An unsupported tokenizer class of transformers.
    #[error("its class `{0}` is not supported without a tokenizer.json")]
    OtherClass(String),
    /// A setting that splits text into words differently.
    #[error("tokenizer_config.json says `{key}` is `{value}`, which is not supported")]
    OtherWords {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// Its files are damaged or contradict each other, or it rejects a text.
    #[error("{0}")]
    Unusable(String),
}

impl Fault {
    /// What to do about it, where the answer is not just another tokenizer.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherFile(_) | Self::OtherClass(_) => Some(
                "in Python, `AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)` writes one for most \
                 tokenizers: put it beside the model",
            ),
            Self::OtherWords { .. } => {
                Some("use a model whose tokenizer is plain WordPiece or has a tokenizer.json")
            }
            Self::Absent | Self::Unusable(_) => None,
        }
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Unusable(reason)
    }
}

impl From<tokenizers::Error> for Fault {
    fn from(error: tokenizers::Error) -> Self {
        Self::Unusable(error.to_string())
    }
}

impl fmt::Display for TokenizerError {
    /// What is wrong and, after a semicolon, what to do about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the tokenizer `{}`: {}", self.path.display(), self.fault)?;
        self.fault.hint().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for TokenizerError {}
