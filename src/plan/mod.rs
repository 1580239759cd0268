//! Owns what a sweep will do before it does it: a run of its scheduler on a clock of its own, and the
//! overview of that. Pure: no I/O, no clock.

#[cfg(test)]
pub(crate) mod example;
pub mod overview;
mod table;

pub use overview::overview;
pub use table::table;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::sched::{Limits, Policy, Scheduler, Simulated, Workload, simulate};
use crate::sweep::SweepSpec;
use crate::values::{ContentHash, Placement, Trial};

/// What a run does that trains these trials of a sweep on these places, if all takes what it is thought to.
/// `is_there` says which token stores need not be prepared.
#[must_use]
pub fn foresee(
    sweep: &SweepSpec,
    todo: &[Trial],
    places: &[Placement],
    limits: Limits,
    is_there: &dyn Fn(ContentHash) -> bool,
) -> Simulated {
    let work = Workload::of(sweep, todo, Path::new("reports"), places, is_there);
    let scheduler = Scheduler::new(Arc::new(work), places.to_vec(), limits, Policy::ONCE);
    simulate(&scheduler, SystemTime::UNIX_EPOCH)
}
