//! Owns the orders of a person on single trials, from the command that gives one to the run that heeds it: a file for
//! each trial, of which the last one counts. Heeds none.

use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
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

/// An order that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// What is wanted.
    pub order: Order,
    /// When it was given. What is said later about trials of one configuration overrules what was said before.
    #[serde(with = "crate::values::time")]
    pub at: Timestamp,
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
    files::write_json(&layout.order(trial), &Given { order, at: Timestamp::now() })
}

/// The orders that no run has heeded yet, in the order in which they were given. A file that holds none is passed over.
#[must_use]
pub fn pending(layout: &Layout) -> Vec<(TrialId, Given)> {
    let given = |trial: TrialId| Some((trial, read(layout, trial)?));
    let mut orders: Vec<(TrialId, Given)> = trials(layout).filter_map(given).collect();
    orders.sort_unstable_by_key(|(trial, given)| (given.at, *trial));
    orders
}

/// The order on a trial that no run has heeded yet.
#[must_use]
pub fn waiting(layout: &Layout, trial: TrialId) -> Option<Order> {
    read(layout, trial).map(|given| given.order)
}

/// The files of orders that hold none.
#[must_use]
pub fn unreadable(layout: &Layout) -> Vec<PathBuf> {
    let holds_none = |trial: &TrialId| read(layout, *trial).is_none();
    trials(layout).filter(holds_none).map(|trial| layout.order(trial)).collect()
}

/// Takes back an order that no run has heeded yet.
///
/// # Errors
/// When its file cannot be removed.
pub fn take_back(layout: &Layout, trial: TrialId) -> io::Result<()> {
    files::remove(&layout.order(trial))
}

/// Removes an order that is heeded, unless another was given since.
///
/// # Errors
/// When its file cannot be removed.
pub fn heeded(layout: &Layout, trial: TrialId, given: Given) -> io::Result<()> {
    let is_another = read(layout, trial).is_some_and(|other| other != given);
    if is_another { Ok(()) } else { files::remove(&layout.order(trial)) }
}

/// The trials with a file for an order.
fn trials(layout: &Layout) -> impl Iterator<Item = TrialId> {
    let entries = fs::read_dir(layout.orders()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".json")?.parse().ok())
}

fn read(layout: &Layout, trial: TrialId) -> Option<Given> {
    files::read_json(&layout.order(trial)).ok().flatten()
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
        let [_, (_, first)] = pending(&layout)[..] else { panic!("two orders") };
        give(&layout, a, Order::Keep).unwrap();
        fs::write(layout.orders().join("note.txt"), "?").unwrap();
        let torn = layout.orders().join("00000000000000ef.json");
        fs::write(&torn, "{").unwrap();
        let orders = || pending(&layout).into_iter().map(|(id, given)| (id, given.order)).collect::<Vec<_>>();
        assert_eq!(orders(), [(b, Order::Stop), (a, Order::Keep)], "as they were given, whatever their ids");
        assert_eq!(unreadable(&layout), [torn]);
        heeded(&layout, a, first).unwrap();
        assert_eq!(orders().len(), 2, "the one that was heeded is not there any more");
        heeded(&layout, a, pending(&layout)[1].1).unwrap();
        assert_eq!((orders(), waiting(&layout, b)), (vec![(b, Order::Stop)], Some(Order::Stop)));
        take_back(&layout, b).unwrap();
        assert_eq!(waiting(&layout, b), None);
    }
}
