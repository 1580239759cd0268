//! Owns the plain lines for logs and pipes: what stays worth reading, and now and then the progress.

use std::io::Write;
use std::time::{Duration, Instant};

use super::board::{Board, Occupant};
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
        let select = self.board.select();
        let place = |busy: &Occupant| format!("  {}: {}", busy.device(), busy.status(select));
        let places: Vec<String> = self.board.occupants().into_iter().map(place).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Progress;
    use crate::plan::{JobId, JobKey, example};
    use crate::values::{ClassificationScores, Cost, Device, Failure, Placement, Scores, Trial, TrialResult};

    /// The second fold of an adapter and of full fine-tuning.
    fn trials() -> [Trial; 2] {
        let all = example::sweep().trials();
        [1, 7].map(|index| all[index].clone())
    }

    fn scores(accuracy: f64) -> Scores {
        Scores::Classification(ClassificationScores {
            loss: 0.5,
            accuracy,
            macro_precision: 0.5,
            macro_recall: 0.5,
            macro_f1: 0.5,
        })
    }

    fn result(trial: &Trial, accuracy: f64) -> TrialResult {
        TrialResult {
            trial: trial.id,
            validation: scores(accuracy),
            kept_step: 40,
            test: Some(scores(accuracy - 0.01)),
            steps: 40,
            trainable_params: 1,
            total_params: 2,
            cost: Cost { wall_s: 35.0, ..Cost::default() },
            class_rows: None,
        }
    }

    /// A run of two trials on two CPU slots, the second of which diverges; then the user stops.
    fn observe_a_run<W: Write>(plain: &mut Plain<W>) {
        let start = Instant::now();
        let (sweep, [first, second]) = (example::sweep(), &trials());
        let places = [0, 1].map(|slot| Placement { device: Device::Cpu { slot }, cores: vec![slot] });
        let keys = ["train-a", "train-b"].map(|key| JobKey(key.into()));
        let launched = |index: usize, attempt, trial| Notice::JobLaunched {
            job: JobId(u32::try_from(index).unwrap()),
            key: &keys[index],
            placement: &places[index],
            attempt,
            trials: std::slice::from_ref(trial),
        };
        let progress = |trial: &Trial, step, accuracy: Option<f64>| Progress {
            trial: trial.id,
            step,
            steps: 40,
            loss: 1.25,
            rows_per_s: 310.4,
            validation: accuracy.map(scores),
        };
        let (early, late) = (progress(first, 10, None), progress(first, 20, Some(0.75)));
        let (killed, diverged) = (Failure::Killed { signal: 9 }, Failure::Diverged { step: 12 });
        let after = Duration::from_secs;
        let script = [
            (
                0,
                Notice::RunPlanned {
                    configurations: &sweep.configurations,
                    select: None,
                    trials: 4,
                    kept: 1,
                    continued: 1,
                    places: &places,
                    predicted: after(250),
                },
            ),
            (0, launched(0, 1, first)),
            (0, launched(1, 1, second)),
            (1, Notice::JobEnded { job: JobId(1), key: &keys[1], failure: Some(&killed) }),
            (1, launched(1, 2, second)),
            (1, Notice::TrialProgressed { job: JobId(0), progress: &early }),
            (2, Notice::TrialProgressed { job: JobId(0), progress: &late }),
            (30, Notice::TrialProgressed { job: JobId(0), progress: &late }),
            (31, Notice::Warned { message: "the disk is nearly full" }),
            (32, Notice::TrialFailed { trial: second.id, failure: &diverged }),
            (32, Notice::JobEnded { job: JobId(1), key: &keys[1], failure: None }),
            (40, Notice::TrialFinished { result: &result(first, 0.8), done: 2, remaining: after(90) }),
            (40, Notice::JobEnded { job: JobId(0), key: &keys[0], failure: None }),
            (41, Notice::StopRequested { force: false }),
            (42, Notice::RunEnded { done: 2, failed: 1, left: 1, elapsed: after(42) }),
        ];
        for (second, notice) in &script {
            plain.take(start + after(*second), notice);
        }
    }

    #[test]
    fn a_log_reads_well_without_a_terminal() {
        let mut plain = Plain::new(Vec::new(), PROGRESS_EVERY);
        observe_a_run(&mut plain);
        let id = trials()[1].id.to_string();
        insta::assert_snapshot!(String::from_utf8(plain.out).unwrap().replace(&id, "<id>"));
    }

    #[test]
    fn quiet_means_failures_only() {
        let mut plain = Plain::failures_only(Vec::new());
        observe_a_run(&mut plain);
        let text = String::from_utf8(plain.out).unwrap();
        let starts: Vec<&str> = text.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(starts, ["failed", "stopping"]);
    }
}
