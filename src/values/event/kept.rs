//! Owns which events a journal holds, and which of them must be on disk before anyone acts on them.

use super::What;

impl What {
    /// Whether it is written to the journal. The others are ephemeral.
    #[must_use]
    pub fn is_journaled(&self) -> bool {
        match self {
            Self::RunStarted { .. }
            | Self::TrainingForeseen { .. }
            | Self::WidthsDecided { .. }
            | Self::JobLaunching { .. }
            | Self::JobStarted { .. }
            | Self::TrialJoining { .. }
            | Self::TrialReturned { .. }
            | Self::TrialPaused { .. }
            | Self::BracketsOpened { .. }
            | Self::GenerationProposed { .. }
            | Self::RungDecided(_)
            | Self::RungPutOff(_)
            | Self::StopOrdered { .. }
            | Self::KeepOrdered { .. }
            | Self::TrialsFreed { .. }
            | Self::TrialsStopped { .. }
            | Self::TrialFinished { .. }
            | Self::TrialFailed { .. }
            | Self::JobFinished { .. }
            | Self::JobFailed { .. }
            | Self::JobInterrupted { .. }
            | Self::DeviceRetired { .. }
            | Self::StopRequested { .. }
            | Self::RunEnded { .. } => true,
            Self::RunPlanned { .. }
            | Self::TrialJoined { .. }
            | Self::TrialProgressed { .. }
            | Self::TrialEvaluated { .. }
            | Self::Forecast { .. }
            | Self::Warned { .. }
            | Self::Woke => false,
        }
    }

    /// Whether it must be durable before the run acts on it: it announces an action, or no other file records
    /// it.
    #[must_use]
    pub fn is_announcement(&self) -> bool {
        match self {
            Self::RunStarted { .. }
            | Self::WidthsDecided { .. }
            | Self::JobLaunching { .. }
            | Self::TrialJoining { .. }
            | Self::BracketsOpened { .. }
            | Self::GenerationProposed { .. }
            | Self::RungDecided(_)
            | Self::RungPutOff(_)
            | Self::StopOrdered { .. }
            | Self::KeepOrdered { .. }
            | Self::TrialsFreed { .. }
            | Self::TrialsStopped { .. }
            | Self::TrialFailed { .. }
            | Self::RunEnded { .. } => true,
            Self::TrainingForeseen { .. }
            | Self::JobStarted { .. }
            | Self::TrialReturned { .. }
            | Self::TrialPaused { .. }
            | Self::TrialFinished { .. }
            | Self::JobFinished { .. }
            | Self::JobFailed { .. }
            | Self::JobInterrupted { .. }
            | Self::DeviceRetired { .. }
            | Self::RunPlanned { .. }
            | Self::TrialJoined { .. }
            | Self::TrialProgressed { .. }
            | Self::TrialEvaluated { .. }
            | Self::Forecast { .. }
            | Self::StopRequested { .. }
            | Self::Warned { .. }
            | Self::Woke => false,
        }
    }
}
