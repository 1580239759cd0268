//! Owns who is compared with whom in a run, as its journal tells. Decides and writes nothing.

use std::collections::HashSet;
use std::sync::Arc;

use crate::disk::layout::Layout;
use crate::record::{resume, rows};
use crate::search::Brackets;
use crate::sweep::SweepSpec;
use crate::values::{Event, JudgedRows, Trial, TrialId, What};

/// The brackets of a sweep's trials after these events, under the sweep's rule. Where nothing is to be stopped, all
/// trials are free but those that a person stopped, whatever was decided before.
#[must_use]
pub fn brackets(sweep: &SweepSpec, trials: &[Trial], events: &[Event], no_stop: bool) -> Brackets {
    let mut brackets = match sweep.stop.filter(|_| !no_stop) {
        Some(rule) => Brackets::new(rule, sweep.compared(trials)),
        None => Brackets::default(),
    };
    // What a person ordered holds without a rule, too.
    let is_order = |what: &What| matches!(what, What::StopOrdered { .. } | What::KeepOrdered { .. });
    let counts = |event: &&Event| !no_stop || is_order(&event.what);
    events.iter().filter(counts).for_each(|event| brackets.on(&event.what));
    let there: HashSet<TrialId> = trials.iter().map(|trial| trial.id).collect();
    brackets.retain(&|trial| there.contains(&trial));
    brackets.extend(trials);
    brackets
}

/// Whether a run is to go on with what earlier ones stopped: it was told so, or its sweep has no rule any more.
#[must_use]
pub fn goes_on_with_all(sweep: &SweepSpec, events: &[Event], no_stop: bool) -> bool {
    let was_decided = |event: &Event| matches!(event.what, What::RungDecided(_));
    no_stop || (sweep.stop.is_none() && events.iter().any(was_decided))
}

/// What a trial gave for each validation row at a step, where that is in place.
#[must_use]
pub fn rows_at(layout: &Layout, trial: TrialId, step: u64) -> Option<Arc<JudgedRows>> {
    let judged = rows::read(&layout.latest_rows(trial), trial).ok().flatten()?;
    (judged.step == step).then(|| Arc::new(judged))
}

/// Tells the brackets of results that are in place, which is all that a journal says of them.
pub fn take_results(brackets: &mut Brackets, layout: &Layout, done: &[TrialId]) {
    for trial in done.iter().copied().filter(|trial| brackets.awaits(*trial)).collect::<Vec<TrialId>>() {
        if let Some(result) = resume::result(layout, trial) {
            brackets.on(&What::TrialFinished { trial, result: Some(Arc::new(result)) });
        }
    }
}
