//! Owns the plan of a sweep: a simulated run of its scheduler, and an overview of that. Pure: no I/O, no clock.
//! Read `overview.rs` first.

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
use crate::values::{ContentHash, Placement, Resources, Trial};

/// The simulated run that trains these trials of a sweep on these places, if every job takes its predicted
/// time. `is_there` says which token stores need not be prepared.
#[must_use]
pub fn foresee(
    sweep: &SweepSpec,
    todo: &[Trial],
    places: &[Placement],
    limits: Limits,
    is_there: &dyn Fn(ContentHash) -> bool,
) -> Simulated {
    let resources = Resources::from(places);
    let width = resources.equal_width();
    let work = Workload::of(sweep, todo, Path::new("reports"), &|_| width, is_there);
    let scheduler = Scheduler::new(Arc::new(work), resources, limits, Policy::ONCE);
    simulate(&scheduler, SystemTime::UNIX_EPOCH)
}
