//! Owns what a run makes of the orders that a person gave on single trials: each becomes an event, once.

use super::RunError;
use super::event_loop::EventLoop;
use crate::disk::FileError;
use crate::disk::layout::Layout;
use crate::record::ledger::{Ledger, TrialState};
use crate::record::orders::{self, Given, Order};
use crate::values::{TrialId, What};

/// Removes an order that is in the journal, or that came too late.
pub(super) fn heeded(layout: &Layout, trial: TrialId, given: Given) -> Result<(), RunError> {
    let path = layout.order(trial);
    Ok(orders::heeded(layout, trial, given).map_err(FileError::of("remove", &path))?)
}

/// What is said of an order to stop a trial that has ended; `None` where the order still means something.
pub(super) fn too_late(ledger: &Ledger, trial: TrialId, order: Order) -> Option<What> {
    let has_ended = *ledger.state(trial) == TrialState::Done || ledger.state(trial).failure().is_some();
    let message = || format!("the order to stop trial {trial} came too late: it had ended");
    (order == Order::Stop && has_ended).then(|| What::Warned { message: message() })
}

impl EventLoop<'_, '_> {
    /// Heeds the orders that were given since the last look.
    pub(super) fn heed_orders(&mut self) -> Result<(), RunError> {
        for (trial, given) in orders::pending(self.layout) {
            if let Some(what) = too_late(&self.stream.ledger, trial, given.order) {
                self.happen(what)?;
                heeded(self.layout, trial, given)?;
                continue;
            }
            let what = given.order.event(self.scheduler.brackets(), trial);
            if let What::KeepOrdered { trials } = &what {
                let is_over = self.is_over();
                let is_beside = |trial: &TrialId| is_over || self.scheduler.state(*trial).is_none();
                self.kept.extend(trials.iter().copied().filter(is_beside));
            } else {
                self.kept.remove(&trial);
            }
            self.happen(what)?;
            heeded(self.layout, trial, given)?;
        }
        Ok(())
    }
}
