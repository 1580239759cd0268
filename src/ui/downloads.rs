//! Owns the progress bar of files that come from the hub: on standard error, and only in a terminal. Fetches
//! nothing.

use std::cell::Cell;

use indicatif::{ProgressBar, ProgressStyle};

use crate::hub::Progress;

/// Progress of the files of a model or data set.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    total: Cell<u64>,
}

impl Bar {
    /// A bar that appears with the first bytes.
    #[must_use]
    pub fn new() -> Self {
        Self { bar: ProgressBar::hidden(), total: Cell::new(0) }
    }

    /// Shows the progress.
    pub fn tell(&self, progress: Progress<'_>) {
        if self.total.replace(progress.total) != progress.total {
            self.bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            self.bar.set_style(style());
            self.bar.set_length(progress.total);
        }
        self.bar.set_message(progress.file.to_owned());
        self.bar.set_position(progress.done);
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bytes:>10} of {total_bytes} {bar:30} {bytes_per_sec} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
