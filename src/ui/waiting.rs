//! Owns the line that says what a command waits for before it has anything to show: on standard error, only in a
//! terminal, and only once it has taken a while. Waits for nothing itself.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What takes less time needs no words.
const A_WHILE: Duration = Duration::from_secs(2);

/// The line, which goes when this is dropped.
#[derive(Debug)]
pub struct Waiting {
    line: ProgressBar,
    is_quiet: bool,
}

impl Waiting {
    /// Shows nothing yet, and never anything where that is not wanted.
    #[must_use]
    pub fn new(what: &str, is_quiet: bool) -> Self {
        let style = ProgressStyle::with_template("{wide_msg}");
        let line = ProgressBar::hidden().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        line.set_message(format!("{what} …"));
        Self { line, is_quiet }
    }

    /// It has taken so long.
    pub fn tell(&self, so_far: Duration) {
        if so_far > A_WHILE && self.line.is_hidden() && !self.is_quiet {
            self.line.set_draw_target(ProgressDrawTarget::stderr());
            self.line.tick();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}
