//! Owns the plain lines for logs and pipes: the lines that stay, and from time to time the progress. Decides
//! nothing about the run.

use std::io::Write;
use std::time::{Duration, Instant};

use super::board::Board;
use super::line;
use crate::values::{Event, Reader, What};

/// Time between two progress lines.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Writes lines to a log.
pub(super) struct Plain<W> {
    out: W,
    board: Board,
    progress_every: Option<Duration>,
    progress_at: Option<Instant>,
}

impl<W: Write> Plain<W> {
    /// Writes to `out`; progress at most once per `progress_every`.
    pub(super) fn new(out: W, progress_every: Duration) -> Self {
        Self { out, board: Board::default(), progress_every: Some(progress_every), progress_at: None }
    }

    /// Writes only failures and the course of a stop.
    pub(super) fn failures_only(out: W) -> Self {
        Self { out, board: Board::default(), progress_every: None, progress_at: None }
    }

    fn take(&mut self, now: Instant, event: &Event) {
        self.board.take(now, event);
        let what = &event.what;
        if let (What::TrialProgressed { .. }, Some(every)) = (what, self.progress_every) {
            self.progress(now, every);
        }
        let wanted = self.progress_every.is_some()
            || matches!(what, What::TrialFailed { .. } | What::StopRequested { .. });
        if let Some(line) = line::of(what, &self.board, now).filter(|_| wanted) {
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
        for (device, status) in self.board.occupants() {
            self.line(&format!("  {device}: {status}"));
        }
        if let Some(best) = self.board.best() {
            self.line(&format!("  {best}"));
        }
    }

    fn line(&mut self, text: &str) {
        // An output that cannot be written must not end the training.
        let _ = writeln!(self.out, "{text}");
    }
}

impl<W: Write> Reader for Plain<W> {
    fn on(&mut self, event: &Event) {
        self.take(Instant::now(), event);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::plan::example;
    use crate::values::{
        Cost, Device, Failure, JobKey, Metric, Placement, Progress, Resources, Scores, Select, Trial,
        TrialId, TrialResult, TrialsOfWidth, Width,
    };

    /// The second fold of an adapter and of full fine-tuning.
    fn trials() -> [Trial; 2] {
        let all = example::sweep().trials();
        [1, 7].map(|index| all[index].clone())
    }

    fn scores(accuracy: f64) -> Scores {
        Scores::of("classification").with(Metric::Loss, 0.5).with(Metric::Accuracy, accuracy)
    }

    fn result(trial: &Trial, accuracy: f64) -> TrialResult {
        TrialResult {
            trial: trial.id,
            validation: Some(scores(accuracy)),
            kept_step: 40,
            test: Some(scores(accuracy - 0.01)),
            steps: 40,
            trainable_params: 1,
            total_params: 2,
            cost: Cost { wall_s: 35.0, ..Cost::default() },
            class_rows: None,
            baseline: None,
        }
    }

    /// A run of two trials on two CPU slots, the second of which diverges; then the user stops.
    fn observe_a_run<W: Write>(plain: &mut Plain<W>) {
        let start = Instant::now();
        let (sweep, [first, second]) = (example::sweep(), &trials());
        let trials = sweep.trials();
        let places = [0, 1].map(|slot| Placement { device: Device::Cpu { slot }, cores: vec![slot] });
        let keys = [first, second].map(|trial| JobKey::Train(trial.id));
        let launching = |index: usize, attempt, trial: &Trial| What::JobLaunching {
            key: keys[index],
            placement: places[index].clone(),
            attempt,
            trials: vec![trial.id],
        };
        let progressed = |trial: &Trial, step, accuracy: Option<f64>| What::TrialProgressed {
            key: keys[0],
            progress: Progress {
                trial: trial.id,
                step,
                steps: 40,
                loss: 1.25,
                rows_per_s: 310.4,
                validation: accuracy.map(scores),
            },
        };
        let (killed, diverged) = (Failure::Killed { signal: 9 }, Failure::Diverged { step: 12 });
        let after = Duration::from_secs;
        let planned = What::RunPlanned {
            todo: [first.id, second.id].into(),
            done: [trials[0].id].into(),
            trials: trials.into(),
            select: Select::Kinds,
            continued: 1,
            resources: Resources { cores: vec![0, 1], ..Resources::default() },
            predicted: after(250),
        };
        let decided = What::WidthsDecided {
            widths: [(Width::Cores(1), &first), (Width::Cores(2), &second)]
                .map(|(width, trial)| TrialsOfWidth { width, trials: vec![trial.id] })
                .to_vec(),
        };
        let script = [
            (0, decided),
            (0, planned),
            (0, launching(0, 1, first)),
            (0, launching(1, 1, second)),
            (1, What::JobFailed { key: keys[1], failure: killed }),
            (1, launching(1, 2, second)),
            (1, progressed(first, 10, None)),
            (2, What::TrialEvaluated { trial: first.id, step: 20, scores: scores(0.75) }),
            (2, progressed(first, 20, Some(0.75))),
            (30, progressed(first, 20, Some(0.75))),
            (31, What::Warned { message: "the disk is nearly full".to_owned() }),
            (32, What::TrialFailed { trial: second.id, failure: diverged }),
            (32, What::JobFinished { key: keys[1] }),
            (40, What::Forecast { remaining: after(90) }),
            (40, What::TrialFinished { trial: first.id, result: Some(Arc::new(result(first, 0.8))) }),
            (40, What::JobFinished { key: keys[0] }),
            (41, What::StopRequested { force: false }),
            (42, What::RunEnded { done: 2, failed: 1, stopped: 0, left: 12, elapsed_s: 42.0 }),
        ];
        for (second, what) in script {
            plain.take(start + after(second), &Event { at: Timestamp::UNIX_EPOCH, what });
        }
    }

    #[test]
    fn a_log_reads_well_without_a_terminal() {
        let mut plain = Plain::new(Vec::new(), PROGRESS_EVERY);
        observe_a_run(&mut plain);
        let [first, second] = trials().map(|trial| trial.id.to_string());
        let text = String::from_utf8(plain.out).unwrap();
        insta::assert_snapshot!(text.replace(&second, "<id>").replace(&first, "<other id>"));
    }

    #[test]
    fn a_pack_that_starts_again_is_told_whatever_it_is_called() {
        let mut plain = Plain::new(Vec::new(), PROGRESS_EVERY);
        let [first, second] = trials().map(|trial| trial.id);
        let placement = Placement { device: Device::Cpu { slot: 0 }, cores: vec![0] };
        let launching = |attempt, trials: &[TrialId]| What::JobLaunching {
            key: JobKey::Train(trials[0]),
            placement: placement.clone(),
            attempt,
            trials: trials.to_vec(),
        };
        for what in [
            launching(1, &[first, second]),
            What::TrialFinished { trial: first, result: None },
            What::JobFailed { key: JobKey::Train(first), failure: Failure::Killed { signal: 9 } },
            launching(2, &[second]),
        ] {
            plain.take(Instant::now(), &Event { at: Timestamp::UNIX_EPOCH, what });
        }
        let text = String::from_utf8(plain.out).unwrap();
        let again = format!("job `train-{second}` starts again on cpu:0 (attempt 2): ");
        assert!(text.starts_with(&again), "{text}");
    }

    #[test]
    fn a_device_that_fails_is_told() {
        let mut plain = Plain::new(Vec::new(), PROGRESS_EVERY);
        let [first, _] = trials().map(|trial| trial.id);
        let (key, attempt, trials) = (JobKey::Train(first), 1, vec![first]);
        for device in [Device::Cpu { slot: 0 }, Device::Cuda { index: 1 }] {
            let placement = Placement { device, cores: vec![0] };
            let launching = What::JobLaunching { key, placement, attempt, trials: trials.clone() };
            for what in [launching, What::JobFailed { key, failure: Failure::Hung }] {
                plain.take(Instant::now(), &Event { at: Timestamp::UNIX_EPOCH, what });
            }
        }
        let text = String::from_utf8(plain.out).unwrap();
        let told = format!("warning: cuda:1 failed under job `{key}`: gave no sign of life for minutes");
        assert_eq!(text.matches("warning").count(), 1);
        assert!(text.contains(&told), "{text}");
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
