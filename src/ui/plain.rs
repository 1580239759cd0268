//! Owns the plain lines for logs and pipes: what stays worth reading, and now and then the progress.

use std::io::Write;
use std::time::{Duration, Instant};

use super::board::Board;
use super::{Notice, Observer, phrase};

/// How often the progress is worth a line.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Writes lines to a log.
pub(super) struct Plain<W> {
    out: W,
    board: Board,
    progress_every: Option<Duration>,
    progress_at: Option<Instant>,
}

impl<W: Write> Plain<W> {
    /// Writes to `out`, the progress at most every `progress_every`.
    pub(super) fn new(out: W, progress_every: Duration) -> Self {
        Self { out, board: Board::default(), progress_every: Some(progress_every), progress_at: None }
    }

    /// Writes nothing but failures and how a stop goes on.
    pub(super) fn failures_only(out: W) -> Self {
        Self { out, board: Board::default(), progress_every: None, progress_at: None }
    }

    fn take(&mut self, now: Instant, notice: &Notice<'_>) {
        self.board.take(now, notice);
        if let (Notice::TrialProgressed { .. }, Some(every)) = (notice, self.progress_every) {
            self.progress(now, every);
        }
        let wanted = self.progress_every.is_some()
            || matches!(notice, Notice::TrialFailed { .. } | Notice::StopRequested { .. });
        if let Some(line) = phrase::notice(notice, &self.board).filter(|_| wanted) {
            self.line(&line);
        }
    }

    fn progress(&mut self, now: Instant, every: Duration) {
        if self.progress_at.is_some_and(|at| now.duration_since(at) < every) {
            return;
        }
        self.progress_at = Some(now);
        let overall = self.board.overall(now);
        self.line(&overall);
        let places: Vec<String> =
            self.board.occupants().iter().map(|o| format!("  {}: {}", o.device(), o.status())).collect();
        for place in places {
            self.line(&place);
        }
        if let Some(best) = self.board.best() {
            self.line(&format!("  {best}"));
        }
    }

    fn line(&mut self, text: &str) {
        // Talk that nobody can hear must not end the training.
        let _ = writeln!(self.out, "{text}");
    }
}

impl<W: Write> Observer for Plain<W> {
    fn observe(&mut self, notice: &Notice<'_>) {
        self.take(Instant::now(), notice);
    }
}
