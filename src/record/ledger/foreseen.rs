//! Owns what a start of a run foresaw of its training, and what came of it. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::values::{Event, JobKey, TrialId, What};

/// What a start of a run foresaw of its training, and what came of it. What earlier starts did is in neither. Where
/// points are proposed while it runs, that is foreseen one generation after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreseen {
    at: Timestamp,
    /// Seconds until the last trial ends, as foreseen.
    pub training_s: f64,
    /// Memory of the largest pack in MiB, as foreseen; `None` where it is not measured.
    pub mem_mib: Option<f64>,
    /// The trials that this start trained.
    pub trials: BTreeSet<TrialId>,
    /// Whether a trial or a job failed or was stopped, so that other work was done than foreseen. Trials that are
    /// stopped early by rule are foreseen.
    pub disturbed: bool,
    /// Whether a rung was put off, so that more was trained than foreseen.
    pub put_off: bool,
    ended: Option<Timestamp>,
    /// Further points were proposed, of whose training nothing is foreseen yet.
    grows: bool,
}

impl Foreseen {
    /// Seconds until the last pack so far ended; `None` before the first one has.
    #[must_use]
    pub fn took_s(&self) -> Option<f64> {
        self.ended.map(|ended| ended.duration_since(self.at).as_secs_f64())
    }

    /// Takes in an event of the start that began then.
    pub(super) fn apply(foreseen: &mut Option<Self>, begun: Option<Timestamp>, event: &Event) {
        if let What::TrainingForeseen { seconds, mem_mib } = event.what {
            let is_of_this_start = |before: &&mut Self| begun.is_some_and(|begun| before.at >= begun);
            let before = foreseen.as_mut().filter(is_of_this_start);
            if let Some(before) = before.filter(|before| before.grows) {
                before.grows = false;
                before.training_s += seconds;
                before.mem_mib = before.mem_mib.zip(mem_mib).map(|(one, other)| one.max(other));
                return;
            }
            *foreseen = Some(Self {
                at: event.at,
                training_s: seconds,
                mem_mib,
                trials: BTreeSet::new(),
                disturbed: false,
                put_off: false,
                ended: None,
                grows: false,
            });
        } else if let Some(foreseen) = foreseen {
            foreseen.take(event);
        }
    }

    fn take(&mut self, event: &Event) {
        match &event.what {
            What::JobLaunching { trials, .. } => self.trials.extend(trials),
            What::TrialJoining { trial, .. } => _ = self.trials.insert(*trial),
            What::JobFinished { key: JobKey::Train(_) } => self.ended = Some(event.at),
            // Pauses at rungs, and that trials are stopped there, are foreseen.
            What::RungPutOff(_) => self.put_off = true,
            What::GenerationProposed { .. } => self.grows = true,
            What::StopOrdered { .. }
            | What::KeepOrdered { .. }
            | What::TrialFailed { .. }
            | What::JobFailed { .. }
            | What::JobInterrupted { .. }
            | What::DeviceRetired { .. }
            | What::StopRequested { .. } => self.disturbed = true,
            What::RunStarted { .. }
            | What::BracketsOpened { .. }
            | What::TrialsFreed { .. }
            | What::TrialsStopped { .. }
            | What::RungDecided(_)
            | What::TrialPaused { .. }
            | What::WidthsDecided { .. }
            | What::TrainingForeseen { .. }
            | What::RunPlanned { .. }
            | What::JobStarted { .. }
            | What::JobFinished { .. }
            | What::TrialJoined { .. }
            | What::TrialReturned { .. }
            | What::TrialProgressed { .. }
            | What::TrialEvaluated { .. }
            | What::TrialFinished { .. }
            | What::Forecast { .. }
            | What::Warned { .. }
            | What::Woke
            | What::RunEnded { .. } => {}
        }
    }
}
