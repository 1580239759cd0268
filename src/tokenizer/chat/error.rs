//! Owns what can be wrong with a chat template and its conversations, and what the user can do about it. Decides
//! nothing.

use std::path::{Path, PathBuf};

use minijinja::ErrorKind;

use crate::tokenizer::TokenizerError;

/// A conversation that cannot be made into text, or text that is nobody's.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The tokenizer has no template.
    #[error(
        "the tokenizer `{}` has no chat template; give one in the task, as the path of a file \
         (`chat_template: chat.jinja`) or as its text (`chat_template: \"{{% for message in messages %}}…\"`)",
        folder.display()
    )]
    Absent {
        /// Its folder.
        folder: PathBuf,
    },
    /// A file of the tokenizer that cannot be read.
    #[error("cannot read the chat template of `{}`: {detail}; download the tokenizer's files again", path.display())]
    Unreadable {
        /// The file, or the tokenizer's folder.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// The template is wrong, or refuses the conversation.
    #[error("the chat template {origin}{}: {detail}; {hint}", at(*line))]
    Failed {
        /// The file, or the key of the sweep file.
        origin: String,
        /// The line in the template, counted from 1.
        line: Option<usize>,
        /// Why.
        detail: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The text of a turn changes with the turns that follow, so that the assistant's part cannot be found.
    #[error(
        "the chat template {origin} writes the beginning of a conversation differently once turn {turn} follows, so \
         that the assistant's part cannot be told from the rest; put `{{% generation %}}` and `{{% endgeneration \
         %}}` around it in a copy of the template (`chat_template: copy.jinja`), or set `loss_on: all`"
    )]
    Diverges {
        /// The file, or the key of the sweep file.
        origin: String,
        /// The assistant's turn, counted from 1.
        turn: usize,
    },
    /// The tokenizer rejects the text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// What to do about a template that is at fault itself.
const MEND: &str = "correct it in a copy, and name this in the task: `chat_template: copy.jinja`";

impl ChatError {
    /// The error of the engine in a template.
    pub(super) fn of(origin: &str, error: &minijinja::Error) -> Self {
        let text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let kind = error.kind();
        let is_raised = std::error::Error::source(error).is_some_and(|source| source.is::<Raised>());
        let (detail, hint) = if kind == ErrorKind::OutOfFuel {
            let detail = "it takes too many steps or writes too much".to_owned();
            (detail, "shorten the conversation, or give another template with `chat_template`")
        } else if is_raised {
            (text, "remove such conversations, or name another template with `chat_template`")
        } else {
            (format!("{kind}: {text}"), MEND)
        };
        Self::Failed { origin: origin.to_owned(), line: error.line(), detail, hint }
    }

    pub(super) fn unreadable(path: &Path, error: &dyn std::error::Error) -> Self {
        Self::Unreadable { path: path.to_path_buf(), detail: error.to_string() }
    }
}

/// Marks an error that the template raised on purpose.
#[derive(Debug, thiserror::Error)]
#[error("raised by the template")]
pub(super) struct Raised;

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(", line {line}")).unwrap_or_default()
}
