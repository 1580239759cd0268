//! `lorasweep completions`: a script that completes commands and options in a shell.

use crate::error::AppError;
use crate::ui::output;

pub(super) fn call(shell: clap_complete::Shell, grammar: &mut clap::Command) -> Result<(), AppError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, grammar, "lorasweep", &mut script);
    output::data(&String::from_utf8_lossy(&script))
}
