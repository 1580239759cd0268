//! Asks before anything is trained again because its settings, its data or its base model changed. Deletes
//! nothing.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::record::{RunRecord, TrialState, resume};
use crate::sweep::SweepSpec;
use crate::sweep::changes::{self, Changes};
use crate::ui::output;
use crate::values::{TrialId, quantity};

/// Most reasons that are listed.
const SHOWN_REASONS: usize = 8;

/// Reports how many points of a sweep were worked on with other settings, and which settings these are, and
/// continues if the user agrees or has agreed beforehand.
///
/// # Errors
/// When the user does not agree, or nobody can be asked.
pub(super) fn ask(
    record: &RunRecord,
    layout: &Layout,
    sweep: &SweepSpec,
    agreed: bool,
) -> Result<(), AppError> {
    let worked_on: HashSet<TrialId> =
        record.trials.iter().filter(|trial| is_work(&trial.state)).map(|trial| trial.trial.id).collect();
    let to_come = |id| resume::result(layout, id).is_none();
    let changes = changes::between(&record.sweep, sweep, &|id| worked_on.contains(&id), &to_come);
    if changes.trials == 0 {
        return Ok(());
    }
    let told = told(&changes, sweep.trials().len(), if agreed { "are" } else { "would be" });
    if agreed {
        output::say(&told);
        return Ok(());
    }
    let hint = "nothing was started; `--yes` retrains them and sets the old results aside, another `name` in the \
                sweep file keeps both sweeps";
    let message = if output::can_ask() {
        if output::ask(&format!("{told}\nretrain them, and set the old results aside?")) {
            return Ok(());
        }
        "the sweep changed".to_owned()
    } else {
        told
    };
    Err(AppError::Input { message, hint: Some(hint.to_owned()) })
}

/// Whether there is work that a new trial would not continue.
fn is_work(state: &TrialState) -> bool {
    match state {
        TrialState::Done
        | TrialState::Paused { .. }
        | TrialState::Stopped { .. }
        | TrialState::Interrupted
        | TrialState::Running { .. } => true,
        TrialState::Waiting | TrialState::Failed { .. } => false,
    }
}

/// How many points changed, and why.
fn told(changes: &Changes, all: usize, are: &str) -> String {
    let trials = quantity::counted(all, "trial");
    let mut text = format!("{} of {trials} {are} trained again, since the sweep changed:", changes.trials);
    for reason in changes.reasons.iter().take(SHOWN_REASONS) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {reason}");
    }
    if changes.reasons.len() > SHOWN_REASONS {
        let _ = write!(text, "\n  and {} more", changes.reasons.len() - SHOWN_REASONS);
    }
    text
}
