//! Owns what can be wrong with weights, and what the user can do about it. Decides nothing.

use std::io;
use std::path::PathBuf;

/// Weights that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The folder has none of the known weight files.
    #[error(
        "no weight file in `{}`; put one of {} there, or name another folder",
        folder.display(), list(looked_for)
    )]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// The file names that were looked for.
        looked_for: &'static [&'static str],
    },
    /// The file system refused.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file's content is not usable.
    #[error("cannot use the weights in `{}`: {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A tensor that the model or the shard index names is in no file.
    #[error(
        "tensor `{name}` is not among the weights in `{}`; check that its `config.json` \
         and weight files belong together",
        folder.display()
    )]
    Missing {
        /// The tensor, as it was asked for.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
    /// A tensor has other sizes than the model needs.
    #[error(
        "tensor `{name}` has shape {found:?} and the model needs {expected:?}; check that \
         `config.json` belongs to these weights"
    )]
    Shape {
        /// The tensor, as the file names it.
        name: String,
        /// What the model needs.
        expected: Vec<usize>,
        /// What the file holds.
        found: Vec<usize>,
    },
    /// The weights are a model with PEFT's adapters in it, saved as a whole.
    #[error(
        "the weights in `{}` are a model with adapters that were not merged (tensor `{name}`); in Python, \
         save `model.merge_and_unload()`, or take the adapter's base for `from`",
        folder.display()
    )]
    Adapters {
        /// A tensor that says so.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
    /// The output layer of a language model is not its word embedding.
    #[error(
        "the weights in `{}` have an output layer of their own (`lm_head.weight` differs from the word \
         embedding), which is not supported; take a model whose output layer is tied to its embedding",
        folder.display()
    )]
    UntiedOutput {
        /// The folder.
        folder: PathBuf,
    },
    /// The weights are packed into integers.
    #[error(
        "the weights in `{}` are quantised (tensor `{name}`), which is not supported; use the model that \
         they were made from, in float32, float16 or bfloat16",
        folder.display()
    )]
    Quantised {
        /// A tensor that says so.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
    /// A tensor holds NaN or infinity.
    #[error(
        "tensor `{name}` is NaN or infinite at element {element}; take the weights from an \
         earlier checkpoint or download them again"
    )]
    NotFinite {
        /// The tensor, as the file names it.
        name: String,
        /// The first such element, counted in row-major order.
        element: usize,
    },
}

/// What is wrong with the content of one weight file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A text of a few lines that stands for a file kept elsewhere.
    #[error("it is a Git LFS pointer, not the file itself; run `git lfs pull` in its folder")]
    Pointer,
    /// Bytes are missing at the end.
    #[error("it is cut short: {needed} bytes are promised and {found} are there; copy or download it again")]
    Truncated {
        /// Bytes that the file's own header promises.
        needed: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The part that says where the tensors are is not readable, or contradicts itself.
    #[error("it is damaged: {reason}; copy or download it again")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// A tensor's bytes would lie outside the file, or over another tensor.
    #[error("tensor `{tensor}` does not lie where the file says; copy or download it again")]
    Outside {
        /// The tensor.
        tensor: String,
    },
    /// An element type that is not supported.
    #[error("tensor `{tensor}` has the unsupported type `{found}`; save the model again in float32")]
    UnknownKind {
        /// The tensor.
        tensor: String,
        /// The type, as the file names it.
        found: String,
    },
    /// The pickle asks for a function or class that a state dictionary never needs.
    #[error(
        "its pickle is a program, and lorasweep refuses to run `{global}`; only if you trust its \
         source, {RESAVE}"
    )]
    Refused {
        /// Module and name.
        global: String,
    },
    /// The pickle is not the state dictionary that `torch.save` writes.
    #[error("its pickle is no state dictionary of tensors ({reason}, at byte {position}); {RESAVE}")]
    Pickle {
        /// Place in `data.pkl`, or in a file of torch before 1.6.
        position: usize,
        /// What was found.
        reason: &'static str,
    },
    /// A size that the file cannot hold.
    #[error(
        "{what} claims {claimed} bytes where at most {limit} can be; take weights from a source you trust"
    )]
    Oversized {
        /// What makes the claim.
        what: String,
        /// The claim.
        claimed: u64,
        /// The most that is accepted.
        limit: u64,
    },
}

const RESAVE: &str =
    "load it in Python and save it again with `model.save_pretrained(folder, safe_serialization=True)`";

impl Fault {
    pub(super) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged { reason: reason.into() }
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
