//! Owns the notices as JSON, one object per line: the form described at [`super::Notice`].

use std::io::Write;

use super::{Notice, Observer};

/// Writes each notice as one line.
pub(super) struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Observer for Json<W> {
    fn observe(&mut self, notice: &Notice<'_>) {
        let Ok(mut line) = serde_json::to_vec(notice) else { return };
        line.push(b'\n');
        // A reader that has gone away must not end the training.
        let _ = self.out.write_all(&line).and_then(|()| self.out.flush());
    }
}
