//! Owns what a run makes of the orders that a person gave on single trials: each becomes an event, once.

use super::RunError;
use super::event_loop::EventLoop;
use crate::disk::FileError;
use crate::disk::layout::Layout;
use crate::record::orders::{self, Order};
use crate::values::{TrialId, What};

/// Removes an order whose event is in the journal.
pub(super) fn heeded(layout: &Layout, trial: TrialId, order: Order) -> Result<(), RunError> {
    let path = layout.order(trial);
    Ok(orders::heeded(layout, trial, order).map_err(FileError::of("remove", &path))?)
}

impl EventLoop<'_, '_> {
    /// Heeds the orders that were given since the last look.
    pub(super) fn heed_orders(&mut self) -> Result<(), RunError> {
        for (trial, order) in orders::pending(self.layout) {
            let what = order.event(self.scheduler.brackets(), trial);
            if let What::KeepOrdered { trials } = &what {
                let is_over = self.is_over();
                let is_beside = |trial: &TrialId| is_over || self.scheduler.state(*trial).is_none();
                self.kept.extend(trials.iter().copied().filter(is_beside));
            } else {
                self.kept.remove(&trial);
            }
            self.happen(what)?;
            heeded(self.layout, trial, order)?;
        }
        Ok(())
    }
}
