//! Owns the reasons why a model or a data set cannot be fetched, and what to do next. Asks nobody.

use std::fmt;
use std::path::PathBuf;

/// A model or data set that cannot be fetched.
#[derive(Debug)]
pub struct HubError {
    /// What was asked for, as in "model `owner/name`".
    pub subject: String,
    /// Its page on the hub, for people.
    pub page: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a model or data set of the hub, or with the way to it.
#[derive(Debug)]
pub enum Problem {
    /// Offline mode, and the cache does not hold all of it.
    Offline {
        /// The cache.
        cache: PathBuf,
        /// What the cache lacks.
        missing: Missing,
    },
    /// No connection, and the cache does not hold all of it.
    Unreachable {
        /// The hub's address.
        endpoint: String,
        /// The connection's error.
        reason: String,
    },
    /// The hub asks for a token, as it also does for repositories that do not exist.
    NeedsToken,
    /// The hub does not know the token.
    TokenRejected,
    /// Gated: its owner admits only users who accepted conditions, and no token was sent.
    Gated,
    /// The token's owner has no access.
    NoAccess,
    /// There is no such repository, or the token's owner may not see it.
    NoRepository,
    /// The repository has no such branch, tag or commit.
    NoRevision(String),
    /// The repository has no such file.
    NoFile(String),
    /// Another refusal.
    Refused {
        /// HTTP status.
        status: u16,
        /// The hub's own message, which may be empty.
        message: String,
    },
    /// The answer is not one that the hub gives.
    Answer(String),
    /// A name in the repository that leads out of the cache.
    UnsafePath(String),
    /// The connection ended before the file was complete.
    CutShort {
        /// The file.
        file: String,
        /// Bytes received.
        received: u64,
        /// Size of the file in bytes.
        size: u64,
        /// The connection's error.
        reason: String,
    },
    /// The received file does not match the announced checksum.
    WrongSum(String),
    /// No space is left for a file.
    DiskFull(PathBuf),
    /// The cache cannot be read or written.
    Cache(PathBuf, std::io::Error),
    /// A model was named with a folder or a split.
    ModelWithFolder,
    /// A model without `config.json`.
    NoConfiguration,
    /// A model with neither safetensors nor PyTorch weights.
    NoWeights,
    /// A model without readable tokenizer files, with the name of an unreadable one where there is one.
    NoTokenizer(Option<&'static str>),
    /// An adapter of PEFT, which is not a model.
    Adapter,
    /// Fewer parts than a file's name announces.
    MissingParts {
        /// One of the parts.
        example: String,
        /// Parts there are.
        found: usize,
        /// Parts there should be.
        expected: usize,
    },
    /// A data set without files of a known format.
    NoDataFiles,
    /// The data set has no such folder with data.
    NoFolder {
        /// The folder.
        folder: String,
        /// The folders there are.
        folders: Vec<String>,
    },
    /// The split exists in several folders, and none is named.
    SeveralFolders(Vec<String>),
    /// There is no such split.
    NoSplit {
        /// The split.
        split: String,
        /// The splits there are.
        splits: Vec<String>,
    },
    /// There are several splits, and none is named.
    SeveralSplits(Vec<String>),
}

/// What the cache lacks.
#[derive(Debug)]
pub enum Missing {
    /// Any commit for the revision.
    Revision(String),
    /// Files of the commit that is there.
    Files(Box<Problem>),
}

impl HubError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        let page = &self.page;
        match &self.problem {
            Problem::Offline { .. } => {
                "unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE once to download it, set \
                 HF_HOME to the cache that has it, or name a local path"
                    .into()
            }
            Problem::Unreachable { .. } => {
                "check the network, the proxy and HF_ENDPOINT, or name a local path".into()
            }
            Problem::NeedsToken => format!(
                "check the name; if it is private or gated, ask for access at {page} and set HF_TOKEN to a \
                 token that may read it"
            ),
            Problem::Gated => format!(
                "open {page} in a browser, accept its conditions, and set HF_TOKEN to a token of the same \
                 account"
            ),
            Problem::TokenRejected => {
                "set HF_TOKEN to a valid token, or unset it and remove the token file".into()
            }
            Problem::NoAccess => format!(
                "open {page} in a browser, accept its conditions or ask for access with the account of the \
                 token in HF_TOKEN, and let the token read gated repositories"
            ),
            Problem::NoRepository => {
                "check the name; if it is private, set HF_TOKEN to a token that may read it".into()
            }
            Problem::NoRevision(_) => format!("use one of the branches, tags or commits of {page}"),
            Problem::NoFile(_) | Problem::NoDataFiles => {
                format!("look at the files of {page}; another revision may have it: `owner/name@revision`")
            }
            Problem::Refused { status, .. } if *status == 429 || *status >= 500 => {
                "try again later; what has been downloaded is kept".into()
            }
            Problem::Refused { .. } | Problem::Answer(_) => "check HF_ENDPOINT and the proxy".into(),
            Problem::UnsafePath(_) => "do not use this repository, or this endpoint".into(),
            Problem::CutShort { .. } => "start again: the download continues where it stopped".into(),
            Problem::WrongSum(_) => "start again; if it stays so, check HF_ENDPOINT and the proxy".into(),
            Problem::DiskFull(_) => "free some space, or set HF_HOME to a folder with more".into(),
            Problem::Cache(..) => "check its owner and permissions, or set HF_HOME to another folder".into(),
            Problem::ModelWithFolder => "name it as `owner/name` or `owner/name@revision`".into(),
            Problem::NoTokenizer(Some(_)) => {
                "in Python, `AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)` writes a \
                 tokenizer.json for most tokenizers: name that folder as `tokenizer`, beside `from` with a \
                 folder of the model"
                    .into()
            }
            Problem::Adapter => {
                format!("`from` takes the model that the adapter is for: {page} says which that is")
            }
            Problem::NoConfiguration | Problem::NoWeights | Problem::NoTokenizer(None) => {
                "use a repository with config.json, model.safetensors or pytorch_model.bin, and \
                 tokenizer.json, vocab.txt, or vocab.json with merges.txt"
                    .into()
            }
            Problem::MissingParts { .. } => format!("look at the files of {page}, or use another revision"),
            Problem::NoFolder { .. } | Problem::SeveralFolders(_) => {
                "name one of the folders: `owner/name/folder:split`".into()
            }
            Problem::NoSplit { .. } | Problem::SeveralSplits(_) => {
                "name one of the splits: `owner/name:split`".into()
            }
        }
    }
}

impl Problem {
    /// Whether the machine, the network or an account is at fault rather than the reference.
    pub(crate) fn is_of_environment(&self) -> bool {
        match self {
            Self::Offline { .. }
            | Self::Unreachable { .. }
            | Self::NeedsToken
            | Self::Gated
            | Self::TokenRejected
            | Self::NoAccess
            | Self::Refused { .. }
            | Self::Answer(_)
            | Self::CutShort { .. }
            | Self::WrongSum(_)
            | Self::DiskFull(_)
            | Self::Cache(..) => true,
            Self::NoRepository
            | Self::NoRevision(_)
            | Self::NoFile(_)
            | Self::UnsafePath(_)
            | Self::ModelWithFolder
            | Self::NoConfiguration
            | Self::NoWeights
            | Self::NoTokenizer(_)
            | Self::Adapter
            | Self::MissingParts { .. }
            | Self::NoDataFiles
            | Self::NoFolder { .. }
            | Self::SeveralFolders(_)
            | Self::NoSplit { .. }
            | Self::SeveralSplits(_) => false,
        }
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.problem)
    }
}

impl std::error::Error for HubError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Problem::Cache(_, error) = &self.problem { Some(error) } else { None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline { cache, missing } => {
                write!(f, "offline mode, and the cache in `{}` is not enough: {missing}", cache.display())
            }
            Self::Unreachable { endpoint, reason } => {
                write!(f, "cannot reach {endpoint} ({reason}), and the cache does not hold it")
            }
            Self::NeedsToken => write!(f, "it does not exist, or it is private or gated"),
            Self::TokenRejected => write!(f, "the hub rejects the token"),
            Self::Gated => write!(f, "it is gated: its conditions have to be accepted first"),
            Self::NoAccess => write!(f, "the token has no access to it"),
            Self::NoRepository => write!(f, "no such repository"),
            Self::NoRevision(revision) => write!(f, "no branch, tag or commit `{revision}`"),
            Self::NoFile(file) => write!(f, "no file `{file}`"),
            Self::Refused { status, message } if message.is_empty() => {
                write!(f, "the hub refused with HTTP status {status}")
            }
            Self::Refused { status, message } => {
                write!(f, "the hub refused with HTTP status {status}: {message}")
            }
            Self::Answer(detail) => write!(f, "unexpected answer: {detail}"),
            Self::UnsafePath(path) => write!(f, "`{}` leads out of the cache", path.escape_debug()),
            Self::CutShort { file, received, size, reason } => {
                write!(f, "`{file}` broke off after {received} of {size} bytes ({reason})")
            }
            Self::WrongSum(file) => {
                write!(f, "`{file}` arrived damaged: its checksum is not the announced one")
            }
            Self::DiskFull(path) => write!(f, "no space left for `{}`", path.display()),
            Self::Cache(path, error) => write!(f, "the cache's `{}` cannot be used: {error}", path.display()),
            Self::ModelWithFolder => write!(f, "a model has neither folder nor split"),
            Self::NoConfiguration => write!(f, "no `config.json`"),
            Self::NoWeights => write!(f, "neither `model.safetensors` nor `pytorch_model.bin`"),
            Self::NoTokenizer(None) => write!(f, "no tokenizer in a format that can be read"),
            Self::NoTokenizer(Some(file)) => {
                write!(f, "its tokenizer `{file}` cannot be read without a `tokenizer.json`")
            }
            Self::Adapter => write!(f, "it is an adapter of PEFT, not a model"),
            Self::MissingParts { example, found, expected } => {
                write!(f, "{found} of {expected} parts, as `{example}`")
            }
            Self::NoDataFiles => write!(f, "no Parquet, JSON Lines, CSV or TSV files"),
            Self::NoFolder { folder, folders } => {
                write!(f, "no data in a folder `{folder}`; the folders are `{}`", folders.join("`, `"))
            }
            Self::SeveralFolders(folders) => {
                write!(f, "it is in several folders: `{}`", folders.join("`, `"))
            }
            Self::NoSplit { split, splits } => {
                write!(f, "no split `{split}`; the splits are `{}`", splits.join("`, `"))
            }
            Self::SeveralSplits(splits) => write!(f, "it has several splits: `{}`", splits.join("`, `")),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revision(revision) => write!(f, "nothing of revision `{revision}`"),
            Self::Files(problem) => problem.fmt(f),
        }
    }
}
