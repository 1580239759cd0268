//! Owns the parts of a report that are the same on the page and in Markdown, apart from tables and
//! headline: what is missing, and when the record was taken. Pure.

use crate::quantity;

use super::findings::Findings;
use super::tables::{Table, without_result};
use crate::run::record::{TrialRecord, TrialState};

/// What a report cannot show.
pub struct Missing {
    /// Trials without a result.
    pub trials: Option<Table>,
    /// Jobs that failed, and trials that the sweep no longer has.
    pub notes: Vec<String>,
}

impl Missing {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trials.is_none() && self.notes.is_empty()
    }
}

/// What the record lacks.
#[must_use]
pub fn missing(findings: &Findings<'_>) -> Missing {
    let record = findings.record;
    let mut notes: Vec<String> =
        record.failed_jobs.iter().map(|(key, failure)| format!("Job `{key}` failed: {failure}.")).collect();
    if !record.removed.is_empty() {
        let n = record.removed.len();
        notes.push(format!(
            "{} on disk {} no longer part of the sweep and {} not shown.",
            quantity::counted(n, "trial"),
            if n == 1 { "is" } else { "are" },
            if n == 1 { "is" } else { "are" },
        ));
    }
    // The report is written by the run itself, as its last job: then nothing is left to come.
    let to_come = |trial: &TrialRecord| match trial.state {
        TrialState::Waiting | TrialState::Running { .. } => true,
        TrialState::Interrupted | TrialState::Done | TrialState::Failed { .. } => false,
    };
    if record.live && record.trials.iter().any(to_come) {
        notes.push("The sweep was still running when this report was written.".to_owned());
    }
    Missing { trials: without_result(findings), notes }
}

/// What wrote the report, and the state it shows. Times are the record's, in UTC.
#[must_use]
pub fn colophon(findings: &Findings<'_>) -> String {
    let record = findings.record;
    let when = match (record.started_at, record.updated_at) {
        (Some(start), Some(end)) => {
            format!(
                " Run started {}, last change {} (UTC).",
                start.strftime("%Y-%m-%d %H:%M"),
                end.strftime("%Y-%m-%d %H:%M")
            )
        }
        (Some(_) | None, _) => String::new(),
    };
    format!(
        "Written by lorasweep {}.{when} The numbers behind every table, unrounded: `trials.csv`, \
         `configurations.csv`.",
        env!("CARGO_PKG_VERSION")
    )
}
