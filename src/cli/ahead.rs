//! What lies ahead of a sweep by what its folder holds, before anything starts: for `plan` and `run`.

use crate::disk::layout::Layout;
use crate::plan;
use crate::record::resume::{self, Decision};
use crate::record::{Ledger, journal};
use crate::sched::{Limits, Simulated};
use crate::sweep::SweepSpec;
use crate::values::Placement;

/// What earlier runs have left of a sweep.
pub(super) struct Ahead {
    /// Trials that are done, and stay so.
    pub(super) done: usize,
    /// Trials that failed, and are not tried again.
    pub(super) failed: usize,
    /// What a run does with the others.
    pub(super) run: Simulated,
}

impl Ahead {
    /// Looks at a sweep's folder; without one, all is still to be done.
    pub(super) fn of(
        sweep: &SweepSpec,
        layout: &Layout,
        retry_failed: bool,
        places: &[Placement],
        limits: Limits,
    ) -> Self {
        // A journal that cannot be read is reported when the run starts; results count without it.
        let events = journal::read(&layout.journal()).map(|replay| replay.events).unwrap_or_default();
        let ledger = Ledger::replay(&events);
        let (mut done, mut failed) = (0, 0);
        let mut todo = sweep.trials();
        todo.retain(|trial| {
            let evidence = resume::look(layout, &ledger, trial.id);
            let keeps = resume::decide(evidence, retry_failed) == Decision::Keep;
            done += usize::from(keeps && evidence.result);
            failed += usize::from(keeps && !evidence.result);
            !keeps
        });
        let is_there = |store| Layout::store(layout.stores(), store).is_dir();
        Self { done, failed, run: plan::foresee(sweep, &todo, places, limits, &is_there) }
    }
}
