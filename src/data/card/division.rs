//! Owns which rows of a task's files are for training, validation and testing: the same draws as in the token
//! store, and the same splits as in trials. Pure.

use crate::data::{folds, sample};
use crate::tasks::Task;
use crate::values::Splitting;

use crate::sweep::card::Used;

/// The rows by their use.
#[derive(Debug)]
pub(super) struct Division {
    /// Rows of the training file that are drawn and not held out as test rows.
    pub(super) used: Vec<u32>,
    /// For each split, the positions in `used` of its validation rows. Empty where a validation file has them,
    /// and where blocks rather than rows are divided.
    pub(super) held_out: Vec<Vec<u32>>,
    /// Test rows: of the test file, or of the training file where there is none.
    pub(super) tested: Vec<u32>,
}

impl Division {
    /// The division of a training file and a test file with these classes.
    pub(super) fn of(task: &Task, splitting: &Splitting, train: &[u32], test: Option<&[u32]>) -> Self {
        let mut used = sample::draw(train, task.rows, task.sample_seed);
        let drawn_of = |rows: &[u32]| {
            let chosen = sample::draw(rows, task.test_rows, task.sample_seed);
            chosen.into_iter().map(|row| row as usize)
        };
        let tested = match (test, task.test_fraction) {
            (Some(test), _) => sample::draw(test, task.test_rows, task.sample_seed),
            (None, Some(fraction)) => {
                let chosen = sample::test_rows(&classes(&used, train), fraction, task.sample_seed);
                let held: Vec<u32> = chosen.iter().map(|row| used[*row as usize]).collect();
                used.retain(|row| held.binary_search(row).is_err());
                drawn_of(&classes(&held, train)).map(|row| held[row]).collect()
            }
            (None, None) => Vec::new(),
        };
        let held_out = match splitting {
            Splitting::File | Splitting::All => Vec::new(),
            Splitting::KFold { .. } | Splitting::HoldOut { .. } if task.objective.joins_rows() => Vec::new(),
            Splitting::KFold { .. } | Splitting::HoldOut { .. } => {
                let labels = classes(&used, train);
                let of = |fold| folds::split(&labels, splitting, fold).validation;
                (0..splitting.splits()).map(of).collect()
            }
        };
        Self { used, held_out, tested }
    }

    /// The number of rows for each use; `validation` is the number in a validation file.
    pub(super) fn used_rows(&self, validation: usize) -> Used {
        let (training, test) = (self.used.len(), self.tested.len());
        let used = Used { drawn: training, training, validation, test, folds: Vec::new() };
        match self.held_out.as_slice() {
            [] => used,
            [only] => Used { training: training - only.len(), validation: only.len(), ..used },
            folds => Used { folds: folds.iter().map(Vec::len).collect(), ..used },
        }
    }
}

fn classes(rows: &[u32], of: &[u32]) -> Vec<u32> {
    rows.iter().map(|row| of[*row as usize]).collect()
}
