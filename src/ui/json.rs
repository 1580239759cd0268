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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Progress;
    use crate::plan::JobId;
    use std::time::Duration;

    #[test]
    fn every_notice_is_one_object_on_one_line() {
        let mut json = Json::new(Vec::new());
        let trial = "00000000000000ff".parse().unwrap();
        let progress =
            Progress { trial, step: 3, steps: 9, loss: f64::NAN, rows_per_s: 100.0, validation: None };
        json.observe(&Notice::TrialProgressed { job: JobId(2), progress: &progress });
        json.observe(&Notice::Warned { message: "two\nlines" });
        let elapsed = Duration::from_millis(1500);
        json.observe(&Notice::RunEnded { done: 1, failed: 0, left: 0, elapsed });
        let text = String::from_utf8(json.out).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["event"], "trial_progressed");
        assert_eq!(lines[0]["progress"]["trial"], "00000000000000ff");
        assert!(lines[0]["progress"]["loss"].is_null(), "a diverged loss has no JSON number");
        assert_eq!(lines[1]["message"], "two\nlines");
        assert_eq!(lines[2]["elapsed_s"], 1.5);
    }
}
