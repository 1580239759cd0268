//! Owns what a run makes of the orders that a person gave on single trials: each becomes an event, once.

use super::RunError;
use super::event_loop::EventLoop;
use crate::disk::FileError;
use crate::disk::layout::Layout;
use crate::record::orders::{self, Order};
use crate::search::Brackets;
use crate::values::{TrialId, What};

/// The event of an order.
pub(super) fn event(brackets: &Brackets, trial: TrialId, order: Order) -> What {
    match order {
        Order::Stop => What::StopOrdered { trials: vec![trial] },
        Order::Keep => What::KeepOrdered { trials: brackets.company(trial) },
    }
}

/// Removes an order whose event is in the journal.
pub(super) fn heeded(layout: &Layout, trial: TrialId) -> Result<(), RunError> {
    let path = layout.order(trial);
    Ok(orders::heeded(layout, trial).map_err(FileError::of("remove", &path))?)
}

impl EventLoop<'_, '_> {
    /// Heeds the orders that were given since the last look.
    pub(super) fn heed_orders(&mut self) -> Result<(), RunError> {
        for (trial, order) in orders::pending(self.layout) {
            self.happen(event(self.scheduler.brackets(), trial, order))?;
            heeded(self.layout, trial)?;
        }
        Ok(())
    }
}
