//! Owns the division of a task's rows into training and validation rows. Pure: a split is a function of the
//! labels, the splitting and the fold. Decides nothing about test rows.

use rand::Rng;
use rand::seq::SliceRandom;

use crate::data::sample::{self, by_class, indices};
use crate::tasks::held_out_rows;
use crate::values::Splitting;
use crate::values::stream::{Draw, StreamKey};

/// One division of a task's rows: disjoint, together all rows, each in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitRows {
    /// Training rows.
    pub train: Vec<u32>,
    /// Validation rows; empty where a file of their own holds them, and where there are none.
    pub validation: Vec<u32>,
}

/// Divides the rows with these labels; `fold` counts from 0.
///
/// In k-fold cross-validation each row is held out in exactly one fold, and the sizes of two folds differ by at
/// most one row, if stratified also within each class. A hold-out has `fraction` of the rows, rounded, but
/// never a whole class; if stratified, each class with two rows or more has at least one row on either side, as
/// [`sample::held_out`] counts them.
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
        Splitting::HoldOut { fraction, stratified, seed } => {
            let mut rng = rng(seed);
            if stratified {
                sample::hold_out(labels, fraction, &mut rng)
            } else {
                any(labels, fraction, &mut rng)
            }
        }
        Splitting::File | Splitting::All => Vec::new(),
    };
    let train = indices(labels.len()).filter(|row| validation.binary_search(row).is_err()).collect();
    SplitRows { train, validation }
}

fn rng(seed: u64) -> impl Rng {
    StreamKey::from_seed(seed).rng(Draw::Split)
}

/// All rows in random order, if stratified one class after the other: dealing them out in turn then gives each
/// fold its share of every class.
fn shuffled(labels: &[u32], stratified: bool, rng: &mut impl Rng) -> Vec<u32> {
    let mut groups = if stratified { by_class(labels) } else { vec![indices(labels.len()).collect()] };
    groups.iter_mut().for_each(|group| group.shuffle(rng));
    groups.concat()
}

/// A random share of the rows, whatever their classes, but no whole class: the first row of such a class is
/// exchanged for one of a class with two rows or more left, or stays where there is none.
fn any(labels: &[u32], fraction: f64, rng: &mut impl Rng) -> Vec<u32> {
    let mut order: Vec<u32> = indices(labels.len()).collect();
    order.shuffle(rng);
    let (chosen, rest) = order.split_at(held_out_rows(labels.len(), fraction));
    let class = |row: u32| labels[row as usize] as usize;
    let mut left = vec![0_usize; labels.iter().max().map_or(0, |label| *label as usize + 1)];
    rest.iter().for_each(|row| left[class(*row)] += 1);
    let mut spare = rest.iter().copied();
    let mut held_out = Vec::with_capacity(chosen.len());
    for row in chosen.iter().copied() {
        if left[class(row)] > 0 {
            held_out.push(row);
            continue;
        }
        left[class(row)] += 1;
        // A class without a row to spare now will not have one later.
        if let Some(other) = spare.find(|other| left[class(*other)] > 1) {
            left[class(other)] -= 1;
            held_out.push(other);
        }
    }
    held_out.sort_unstable();
    held_out
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
        fn a_hold_out_has_its_share_and_no_class_whole(
            labels in prop::collection::vec(0_u32..5, 2..120), fraction in 0.01..0.99, seed: u64,
        ) {
            for stratified in [false, true] {
                let s = split(&labels, &Splitting::HoldOut { fraction, stratified, seed }, 0);
                prop_assert_eq!(s.train.len() + s.validation.len(), labels.len());
                for class in labels.iter().copied() {
                    prop_assert!(count(&labels, &s.train, class) > 0);
                }
                let sizes = (0..5).map(|class| count(&labels, &indices(labels.len()).collect::<Vec<_>>(), class));
                let wanted = held_out_rows(labels.len(), fraction);
                let (least, most) = sizes.filter(|size| *size > 1).fold((0, 0), |(a, b), size| (a + 1, b + size - 1));
                let expected = if stratified { wanted.clamp(least, most) } else { wanted };
                if stratified {
                    prop_assert_eq!(s.validation.len(), expected);
                } else {
                    prop_assert!(s.validation.len() <= expected && s.validation.len() >= expected.min(most));
                }
            }
        }

        #[test]
        fn without_strata_rows_change_only_where_a_class_would_be_lost(
            labels in prop::collection::vec(0_u32..8, 2..60), fraction in 0.01..0.99, seed: u64,
        ) {
            let s = split(&labels, &Splitting::HoldOut { fraction, stratified: false, seed }, 0);
            let mut order: Vec<u32> = indices(labels.len()).collect();
            order.shuffle(&mut rng(seed));
            let (old, rest) = order.split_at(held_out_rows(labels.len(), fraction));
            let mut old = old.to_vec();
            old.sort_unstable();
            let lost = |class: &u32| count(&labels, rest, *class) == 0;
            prop_assert_eq!(s.validation == old, !labels.iter().any(lost));
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
    fn with_a_validation_file_or_nothing_held_out_every_row_trains() {
        for splitting in [Splitting::File, Splitting::All] {
            let s = split(&[0, 1, 0], &splitting, 0);
            assert_eq!((s.train, s.validation), (vec![0, 1, 2], vec![]));
        }
    }
}
