//! Owns which rows of a file a sweep uses. Pure: the same labels, number and seed give the same rows.

use rand::Rng;
use rand::seq::SliceRandom;

use crate::stream::{Draw, StreamKey};

/// Indices of the drawn rows, in file order.
///
/// The draw is stratified: each class keeps its share of the file, rounded by largest remainder
/// (equal remainders: the class with the smaller index first). `None`, or as many rows as there
/// are, gives every row.
#[must_use]
pub fn draw(row_labels: &[u32], rows: Option<usize>, seed: u64) -> Vec<u32> {
    match rows {
        Some(rows) if rows < row_labels.len() => {
            stratified(row_labels, rows, &mut StreamKey::from_seed(seed).rng(Draw::Sample))
        }
        Some(_) | None => indices(row_labels.len()).collect(),
    }
}

/// `rows` random rows with each class in its share of all rows, in ascending order.
pub(super) fn stratified(row_labels: &[u32], rows: usize, rng: &mut impl Rng) -> Vec<u32> {
    let mut classes = by_class(row_labels);
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let mut drawn = Vec::with_capacity(rows);
    for (class, quota) in classes.iter_mut().zip(quotas(&sizes, rows)) {
        class.shuffle(rng);
        drawn.extend_from_slice(&class[..quota]);
    }
    drawn.sort_unstable();
    drawn
}

/// The rows of each class, in ascending order.
pub(super) fn by_class(row_labels: &[u32]) -> Vec<Vec<u32>> {
    let classes = row_labels.iter().max().map_or(0, |label| *label as usize + 1);
    let mut rows = vec![Vec::new(); classes];
    for (row, label) in indices(row_labels.len()).zip(row_labels) {
        rows[*label as usize].push(row);
    }
    rows
}

/// Row indices from 0.
pub(super) fn indices(rows: usize) -> std::ops::Range<u32> {
    0..u32::try_from(rows).expect("fewer than 2^32 rows fit into memory")
}

/// `rows` shared out over classes in proportion to their sizes, by largest remainder.
fn quotas(sizes: &[usize], rows: usize) -> Vec<usize> {
    let all = sizes.iter().sum::<usize>().max(1);
    let mut quotas: Vec<usize> = sizes.iter().map(|size| rows * size / all).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|class| std::cmp::Reverse(rows * sizes[*class] % all));
    let missing = rows - quotas.iter().sum::<usize>();
    for class in by_remainder.into_iter().take(missing) {
        quotas[class] += 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_draw_keeps_every_class_in_its_share(
            labels in prop::collection::vec(0_u32..6, 0..200), rows in 0_usize..250, seed: u64,
        ) {
            let drawn = draw(&labels, Some(rows), seed);
            prop_assert_eq!(drawn.len(), rows.min(labels.len()));
            prop_assert!(drawn.is_sorted_by(|a, b| a < b));
            prop_assert!(drawn.iter().all(|row| (*row as usize) < labels.len()));
            prop_assert_eq!(&drawn, &draw(&labels, Some(rows), seed));
            let share = drawn.len() as f64 / labels.len().max(1) as f64;
            for class in 0..6 {
                let size = labels.iter().filter(|label| **label == class).count() as f64;
                let got = drawn.iter().filter(|row| labels[**row as usize] == class).count() as f64;
                prop_assert!((got - share * size).abs() < 1.0);
            }
        }
    }

    #[test]
    fn no_number_means_every_row() {
        assert_eq!(draw(&[1, 0, 1], None, 3), [0, 1, 2]);
        assert_eq!(draw(&[], Some(4), 3), [0_u32; 0]);
    }

    #[test]
    fn seeds_draw_different_rows() {
        let labels = vec![0; 100];
        assert_ne!(draw(&labels, Some(10), 1), draw(&labels, Some(10), 2));
    }
}
