//! Owns the division of a task's rows into those to train on and those to select on. Pure: a split
//! is a function of the labels, the splitting and the fold. Decides nothing about test rows.

use rand::Rng;
use rand::seq::SliceRandom;

use crate::data::sample::{by_class, indices, stratified};
use crate::stream::{Draw, StreamKey};
use crate::task::held_out_rows;
use crate::trial::Splitting;

/// One division of a task's rows: disjoint, together all rows, each in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitRows {
    /// Rows to train on.
    pub train: Vec<u32>,
    /// Rows to select on; empty where a file of its own holds them.
    pub validation: Vec<u32>,
}

/// Divides the rows that have these labels; `fold` counts from 0.
///
/// In k-fold cross-validation each row is held out in exactly one fold, and the sizes of two folds
/// differ by at most one row, stratified also per class. A hold-out has `fraction` of the rows,
/// rounded, and at least one row on either side where there are two.
///
/// # Panics
/// Where the splitting has no such fold.
#[must_use]
pub fn split(labels: &[u32], splitting: &Splitting, fold: usize) -> SplitRows {
    assert!(fold < splitting.splits(), "fold {fold} of {splitting:?} does not exist");
    let validation = match *splitting {
        Splitting::KFold { k, stratified, seed } => {
            let dealt = shuffled(labels, stratified, &mut rng(seed));
            let mut held_out: Vec<u32> = dealt.into_iter().skip(fold).step_by(k).collect();
            held_out.sort_unstable();
            held_out
        }
        Splitting::HoldOut { fraction, stratified: keep_shares, seed } => {
            let rows = held_out_rows(labels.len(), fraction);
            // Without strata all rows are of one class.
            let strata = if keep_shares { labels } else { &vec![0; labels.len()] };
            stratified(strata, rows, &mut rng(seed))
        }
        Splitting::File => Vec::new(),
    };
    let train = indices(labels.len()).filter(|row| validation.binary_search(row).is_err()).collect();
    SplitRows { train, validation }
}

fn rng(seed: u64) -> impl Rng {
    StreamKey::from_seed(seed).rng(Draw::Split)
}

/// All rows in random order, one class after the other where stratified: dealing them out in turn
/// then gives each fold its share of every class.
fn shuffled(labels: &[u32], stratified: bool, rng: &mut impl Rng) -> Vec<u32> {
    let mut groups = if stratified { by_class(labels) } else { vec![indices(labels.len()).collect()] };
    groups.iter_mut().for_each(|group| group.shuffle(rng));
    groups.concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec(0_u32..5, 0..120)
    }

    fn count(labels: &[u32], rows: &[u32], class: u32) -> usize {
        rows.iter().filter(|row| labels[**row as usize] == class).count()
    }

    fn spread(counts: impl Iterator<Item = usize> + Clone) -> usize {
        counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn every_row_is_held_out_once_and_trained_on_otherwise(
            labels in labels(), k in 2_usize..7, stratified: bool, seed: u64,
        ) {
            let splitting = Splitting::KFold { k, stratified, seed };
            let splits: Vec<_> = (0..k).map(|fold| split(&labels, &splitting, fold)).collect();
            let mut held_out: Vec<u32> = splits.iter().flat_map(|s| s.validation.clone()).collect();
            held_out.sort_unstable();
            prop_assert_eq!(held_out, indices(labels.len()).collect::<Vec<_>>());
            prop_assert!(spread(splits.iter().map(|s| s.validation.len())) <= 1);
            for s in &splits {
                let mut all = [s.train.clone(), s.validation.clone()].concat();
                all.sort_unstable();
                prop_assert_eq!(all, indices(labels.len()).collect::<Vec<_>>());
            }
            if stratified {
                for class in 0..5 {
                    let counts = splits.iter().map(|s| count(&labels, &s.validation, class));
                    prop_assert!(spread(counts) <= 1);
                }
            }
        }

        #[test]
        fn a_hold_out_has_its_share_of_all_rows_and_of_every_class(
            labels in prop::collection::vec(0_u32..5, 2..120), fraction in 0.01..0.99, seed: u64,
        ) {
            for stratified in [false, true] {
                let s = split(&labels, &Splitting::HoldOut { fraction, stratified, seed }, 0);
                prop_assert_eq!(s.train.len() + s.validation.len(), labels.len());
                prop_assert!(!s.train.is_empty() && !s.validation.is_empty());
                let share = s.validation.len() as f64 / labels.len() as f64;
                let wanted = fraction * labels.len() as f64;
                prop_assert!((s.validation.len() as f64 - wanted).abs() <= 1.0);
                for class in (0..5).filter(|_| stratified) {
                    let size = labels.iter().filter(|label| **label == class).count() as f64;
                    prop_assert!((count(&labels, &s.validation, class) as f64 - share * size).abs() < 1.0);
                }
            }
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let labels: Vec<u32> = (0..60).map(|row| row % 3).collect();
        let of = |seed| split(&labels, &Splitting::KFold { k: 3, stratified: true, seed }, 0);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn with_a_validation_file_every_row_trains() {
        let s = split(&[0, 1, 0], &Splitting::File, 0);
        assert_eq!((s.train, s.validation), (vec![0, 1, 2], vec![]));
    }
}
