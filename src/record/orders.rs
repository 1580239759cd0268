//! Owns the orders of a person on single trials, from the command that gives one to the run that heeds it: a file for
//! each trial, of which the last one counts. Heeds none.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::disk::files;
use crate::disk::layout::Layout;
use crate::search::Brackets;
use crate::values::{TrialId, What};

/// What a person wants of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// It stops, with a checkpoint.
    Stop,
    /// It trains to its end, with the other folds and seeds of its configuration.
    Keep,
}

impl Order {
    /// The event of an order on a trial.
    #[must_use]
    pub fn event(self, brackets: &Brackets, trial: TrialId) -> What {
        match self {
            Self::Stop => What::StopOrdered { trials: vec![trial] },
            Self::Keep => What::KeepOrdered { trials: brackets.company(trial) },
        }
    }
}

/// The event by which all go on that a person stopped; `None` where there are none.
#[must_use]
pub fn keep_all(brackets: &Brackets) -> Option<What> {
    let trials = brackets.stopped_by_hand();
    (!trials.is_empty()).then_some(What::KeepOrdered { trials })
}

/// Gives an order.
///
/// # Errors
/// When it cannot be written.
pub fn give(layout: &Layout, trial: TrialId, order: Order) -> io::Result<()> {
    fs::create_dir_all(layout.orders())?;
    files::write_json(&layout.order(trial), &order)
}

/// The orders that no run has heeded yet, in the order of the trials' ids. A file that holds none is passed over.
#[must_use]
pub fn pending(layout: &Layout) -> Vec<(TrialId, Order)> {
    let entries = fs::read_dir(layout.orders()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut trials: Vec<TrialId> =
        names.filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
    trials.sort_unstable();
    let order = |trial: TrialId| Some((trial, files::read_json(&layout.order(trial)).ok().flatten()?));
    trials.into_iter().filter_map(order).collect()
}

/// Removes an order that is heeded, unless another was given since.
///
/// # Errors
/// When its file cannot be removed.
pub fn heeded(layout: &Layout, trial: TrialId, order: Order) -> io::Result<()> {
    let path = layout.order(trial);
    let is_another = matches!(files::read_json::<Order>(&path), Ok(Some(other)) if other != order);
    if is_another { Ok(()) } else { files::remove(&path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_order_on_a_trial_counts_until_it_is_heeded() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::of_run(&folder.path().join("run"));
        assert_eq!(pending(&layout), []);
        let [a, b] = ["00000000000000ab", "00000000000000cd"].map(|id| id.parse().unwrap());
        give(&layout, b, Order::Stop).unwrap();
        give(&layout, a, Order::Stop).unwrap();
        give(&layout, a, Order::Keep).unwrap();
        fs::write(layout.orders().join("note.txt"), "?").unwrap();
        fs::write(layout.orders().join("00000000000000ef.json"), "{").unwrap();
        assert_eq!(pending(&layout), [(a, Order::Keep), (b, Order::Stop)]);
        heeded(&layout, a, Order::Stop).unwrap();
        assert_eq!(pending(&layout).len(), 2, "the one that was heeded is not there any more");
        heeded(&layout, a, Order::Keep).unwrap();
        assert_eq!(pending(&layout), [(b, Order::Stop)]);
    }
}
