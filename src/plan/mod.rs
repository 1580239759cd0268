//! Owns the plan of a sweep: a simulated run of its scheduler, and an overview of that. Pure: no I/O, no clock.
//! Read `overview.rs` first.

#[cfg(test)]
pub(crate) mod example;
pub mod overview;
mod table;

pub use overview::overview;
pub use table::table;

use std::sync::Arc;
use std::time::SystemTime;

use crate::sched::{Limits, Policy, Scheduler, Simulated, Workload, simulate};
use crate::search::Brackets;
use crate::values::Resources;

/// The simulated run of this work with these resources, if every job takes its predicted time. Where trials are
/// compared, it is assumed that as many are kept as the rule says, and that those are the first of the sweep.
#[must_use]
pub fn foresee(work: Workload, brackets: Brackets, resources: &Resources, limits: Limits) -> Simulated {
    let scheduler = Scheduler::new(Arc::new(work), resources.clone(), limits, Policy::ONCE);
    simulate(&scheduler.comparing(brackets), SystemTime::UNIX_EPOCH)
}
