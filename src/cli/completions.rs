//! `lorasweep completions`: a script that completes commands and options in a shell.

use clap::Args;

use crate::error::AppError;
use crate::ui::output;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: clap_complete::Shell,
}

pub(super) fn call(args: &CompletionsArgs, grammar: &mut clap::Command) -> Result<(), AppError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, grammar, "lorasweep", &mut script);
    output::data(&String::from_utf8_lossy(&script))
}
