//! Owns how a run's forecast of its own cost is compared with what came of it. Pure.

use crate::record::{RunRecord, TrialRecord, TrialState};
use crate::values::quantity;

/// What the run's latest start predicted, and what was measured, without a full stop. `None` while a trial has
/// not ended, and for runs of versions that did not record what they predicted.
#[must_use]
pub fn line(record: &RunRecord) -> Option<String> {
    let foreseen = record.foreseen.as_ref()?;
    let took_s = foreseen.took_s()?;
    if !record.trials.iter().all(|trial| trial.state.is_settled()) {
        return None;
    }
    let mut line = format!(
        "training predicted to take {}, took {}",
        quantity::predicted(foreseen.training_s),
        quantity::measured(took_s)
    );
    let is_of_this_start = |trial: &&TrialRecord| foreseen.trials.contains(&trial.trial.id);
    let results = record.trials.iter().filter(is_of_this_start).filter_map(|trial| trial.result.as_ref());
    let peak_mib = results.map(|result| result.cost.peak_memory_mib).fold(0.0, f64::max);
    if let Some(mem_mib) = foreseen.mem_mib.filter(|_| peak_mib > 0.0) {
        let [predicted, measured] = [mem_mib, peak_mib].map(quantity::mib);
        line += &format!("; largest pack predicted to need {predicted}, needed {measured}");
    }
    // What was stopped before it started was left to none.
    let is_begun =
        |trial: &&TrialRecord| trial.attempts > 0 || !matches!(trial.state, TrialState::Stopped { .. });
    let (trained, all) = (foreseen.trials.len(), record.trials.iter().filter(is_begun).count());
    if trained < all {
        line += &format!(" (for the {trained} of {all} trials that were left at its latest start)");
    }
    if foreseen.put_off {
        line += "; a decision on what is stopped early was put off, so more was trained than predicted";
    }
    if foreseen.disturbed {
        line += "; trials failed or were stopped meanwhile, so the work was not the predicted one";
    }
    Some(line)
}
