//! Owns the draw of the rows that a sweep uses. Pure: the same labels, number and seed give the same rows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::Rng;
use rand::seq::SliceRandom;

use crate::tasks::held_out_rows;
use crate::values::stream::{Draw, StreamKey};

/// Indices of the drawn rows, in file order.
///
/// The draw is stratified: each class keeps its share of the file, rounded by largest remainder (for equal
/// remainders, the class with the smaller index first), but has at least one row if at least as many rows as
/// classes are drawn. `None`, or as many rows as there are, gives every row.
#[must_use]
pub fn draw(row_labels: &[u32], rows: Option<usize>, seed: u64) -> Vec<u32> {
    some(row_labels, rows.unwrap_or(usize::MAX), &mut StreamKey::from_seed(seed).rng(Draw::Sample))
}

/// Indices of the validation rows, out of those with these labels, that are judged between validations of all: drawn
/// as [`draw`] does.
#[must_use]
pub fn judged(row_labels: &[u32], rows: usize, seed: u64) -> Vec<u32> {
    some(row_labels, rows, &mut StreamKey::from_seed(seed).rng(Draw::Judged))
}

fn some(row_labels: &[u32], rows: usize, rng: &mut impl Rng) -> Vec<u32> {
    if rows >= row_labels.len() {
        return indices(row_labels.len()).collect();
    }
    let mut classes = by_class(row_labels);
    let there = classes.iter().filter(|class| !class.is_empty()).count();
    let least = usize::from(rows >= there);
    let within = |size: usize| Bounds { least: least.min(size), most: size };
    take(&mut classes, rows, within, rng)
}

/// The test rows that are held out as a share of the training file's drawn rows, in ascending order: each class
/// with two rows or more has at least one on either side.
#[must_use]
pub fn test_rows(row_labels: &[u32], fraction: f64, seed: u64) -> Vec<u32> {
    hold_out(row_labels, fraction, &mut StreamKey::from_seed(seed).rng(Draw::Test))
}

/// Number of rows that [`test_rows`] returns.
#[must_use]
pub fn held_out(row_labels: &[u32], fraction: f64) -> usize {
    held_out_of(&by_class(row_labels), fraction)
}

/// A share of the rows, with the same share of each class, in ascending order.
///
/// A class with two rows or more has at least one row on either side, even if that makes the held-out rows
/// more, or fewer, than the share. A class with one row is not held out, since a class that training never sees
/// cannot be learned.
pub(super) fn hold_out(row_labels: &[u32], fraction: f64, rng: &mut impl Rng) -> Vec<u32> {
    let mut classes = by_class(row_labels);
    let rows = held_out_of(&classes, fraction);
    take(&mut classes, rows, Bounds::of_held_out, rng)
}

fn held_out_of(classes: &[Vec<u32>], fraction: f64) -> usize {
    let rows = classes.iter().map(Vec::len).sum();
    let bounds = || classes.iter().map(|class| Bounds::of_held_out(class.len()));
    let (least, most) = (bounds().map(|it| it.least).sum(), bounds().map(|it| it.most).sum());
    held_out_rows(rows, fraction).clamp(least, most)
}

/// Least and most rows taken from a class.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: usize,
    most: usize,
}

impl Bounds {
    /// For a class of this size: one row is left, and one is held out if there are two.
    fn of_held_out(size: usize) -> Self {
        let most = size.saturating_sub(1);
        Self { least: most.min(1), most }
    }
}

/// `rows` random rows, with each class in proportion and within its bounds, in ascending order.
fn take(
    classes: &mut [Vec<u32>],
    rows: usize,
    within: impl Fn(usize) -> Bounds,
    rng: &mut impl Rng,
) -> Vec<u32> {
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let bounds: Vec<Bounds> = sizes.iter().map(|size| within(*size)).collect();
    let mut taken = Vec::with_capacity(rows);
    for (class, quota) in classes.iter_mut().zip(quotas(&sizes, rows, &bounds)) {
        class.shuffle(rng);
        taken.extend_from_slice(&class[..quota]);
    }
    taken.sort_unstable();
    taken
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

/// `rows` distributed over classes in proportion to their sizes, by largest remainder, each within its bounds.
/// Where a bound prevents that, the difference goes to the classes that are then furthest from their shares.
/// The bounds must allow `rows` rows in all.
fn quotas(sizes: &[usize], rows: usize, bounds: &[Bounds]) -> Vec<usize> {
    let all = sizes.iter().sum::<usize>().max(1);
    let mut quotas: Vec<usize> = sizes.iter().map(|size| rows * size / all).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|class| Reverse(rows * sizes[*class] % all));
    let missing = rows - quotas.iter().sum::<usize>();
    for class in by_remainder.into_iter().take(missing) {
        quotas[class] += 1;
    }
    for (quota, Bounds { least, most }) in quotas.iter_mut().zip(bounds) {
        *quota = (*quota).clamp(*least, *most);
    }
    // Rows missing from a class's share, times the number of all rows.
    let lacks =
        |class: usize, quota: usize| (rows * sizes[class]).cast_signed() - (quota * all).cast_signed();
    let mut given = quotas.iter().sum::<usize>();
    let open = |class: &usize| quotas[*class] < bounds[*class].most;
    let mut heap: BinaryHeap<_> =
        (0..sizes.len()).filter(open).map(|class| (lacks(class, quotas[class]), Reverse(class))).collect();
    while given < rows
        && let Some((_, Reverse(class))) = heap.pop()
    {
        quotas[class] += 1;
        given += 1;
        if quotas[class] < bounds[class].most {
            heap.push((lacks(class, quotas[class]), Reverse(class)));
        }
    }
    let open = |class: &usize| quotas[*class] > bounds[*class].least;
    let mut heap: BinaryHeap<_> =
        (0..sizes.len()).filter(open).map(|class| (-lacks(class, quotas[class]), class)).collect();
    while given > rows
        && let Some((_, class)) = heap.pop()
    {
        quotas[class] -= 1;
        given -= 1;
        if quotas[class] > bounds[class].least {
            heap.push((-lacks(class, quotas[class]), class));
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The rule without bounds: shares by largest remainder alone.
    fn by_share_alone(row_labels: &[u32], rows: usize, rng: &mut impl rand::Rng) -> Vec<u32> {
        let mut classes = by_class(row_labels);
        let all = row_labels.len().max(1);
        let mut quotas: Vec<usize> = classes.iter().map(|class| rows * class.len() / all).collect();
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.sort_by_key(|class| Reverse(rows * classes[*class].len() % all));
        let missing = rows - quotas.iter().sum::<usize>();
        order.iter().take(missing).for_each(|class| quotas[*class] += 1);
        let mut drawn = Vec::new();
        for (class, quota) in classes.iter_mut().zip(quotas) {
            class.shuffle(rng);
            drawn.extend_from_slice(&class[..quota]);
        }
        drawn.sort_unstable();
        drawn
    }

    fn classes_of(labels: &[u32], rows: &[u32]) -> BTreeSet<u32> {
        rows.iter().map(|row| labels[*row as usize]).collect()
    }

    fn count(labels: &[u32], rows: &[u32], class: u32) -> usize {
        rows.iter().filter(|row| labels[**row as usize] == class).count()
    }

    /// Few rows of many classes, or the other way round.
    fn labels() -> impl Strategy<Value = Vec<u32>> {
        prop_oneof![
            prop::collection::vec(0_u32..6, 0..200),
            prop::collection::vec(0_u32..30, 0..60),
            prop::collection::vec(prop_oneof![9 => 0_u32..2, 1 => 2_u32..12], 0..200),
        ]
    }

    proptest! {
        #[test]
        fn a_draw_keeps_every_class_and_nearly_its_share(labels in labels(), rows in 0_usize..250, seed: u64) {
            let drawn = draw(&labels, Some(rows), seed);
            prop_assert_eq!(drawn.len(), rows.min(labels.len()));
            prop_assert!(drawn.is_sorted_by(|a, b| a < b));
            prop_assert!(drawn.iter().all(|row| (*row as usize) < labels.len()));
            prop_assert_eq!(&drawn, &draw(&labels, Some(rows), seed));
            let all: Vec<u32> = indices(labels.len()).collect();
            let there = classes_of(&labels, &all);
            if rows >= there.len() {
                prop_assert_eq!(classes_of(&labels, &drawn), there);
            }
            if rows < labels.len() {
                let old = by_share_alone(&labels, rows, &mut StreamKey::from_seed(seed).rng(Draw::Sample));
                if classes_of(&labels, &old).len() == classes_of(&labels, &drawn).len() {
                    prop_assert_eq!(&drawn, &old, "the old rule lost no class");
                }
            }
        }

        #[test]
        fn a_held_out_share_never_has_a_class_whole(labels in labels(), fraction in 0.01..0.99, seed: u64) {
            let held = test_rows(&labels, fraction, seed);
            prop_assert!(held.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(held.len(), held_out(&labels, fraction));
            let all: Vec<u32> = indices(labels.len()).collect();
            let mut rare = false;
            for class in classes_of(&labels, &all) {
                let (size, out) = (count(&labels, &all, class), count(&labels, &held, class));
                prop_assert!(out < size, "class {} of {} rows is held out whole", class, size);
                prop_assert!(out > 0 || size == 1, "class {} of {} rows is not held out", class, size);
                let exact = held_out_rows(labels.len(), fraction) as f64 * size as f64 / labels.len() as f64;
                rare |= exact < 1.0 || size as f64 - exact < 1.0;
            }
            let old = held_out_rows(labels.len(), fraction);
            let old = by_share_alone(&labels, old, &mut StreamKey::from_seed(seed).rng(Draw::Test));
            let fits = |class| {
                let (size, out) = (count(&labels, &all, class), count(&labels, &old, class));
                (1..size).contains(&out) || size == 1 && out == 0
            };
            if classes_of(&labels, &all).into_iter().all(fits) {
                prop_assert_eq!(&held, &old, "the old rule did the same");
            }
            if !rare && !labels.is_empty() {
                prop_assert_eq!(held.len(), held_out_rows(labels.len(), fraction));
            }
        }
    }

    #[test]
    fn rare_classes_make_way() {
        // Ten rows of one class, and ten classes of one row each.
        let labels: Vec<u32> = (0..20).map(|row| u32::saturating_sub(row, 9)).collect();
        let held = test_rows(&labels, 0.1, 1);
        assert_eq!((held.len(), classes_of(&labels, &held)), (2, BTreeSet::from([0])));
        // Ten classes of two rows: one row of each, though a tenth would be two rows.
        let labels: Vec<u32> = (0..20).map(|row| row / 2).collect();
        assert_eq!(test_rows(&labels, 0.1, 1).len(), 10);
        // Of 90 + 8 + 2 rows a draw of ten would be 9 + 1 + 0.
        let labels: Vec<u32> = (0..100).map(|row| u32::from(row >= 90) + u32::from(row >= 98)).collect();
        let drawn = draw(&labels, Some(10), 7);
        assert_eq!([0, 1, 2].map(|class| count(&labels, &drawn, class)), [8, 1, 1]);
        // No room for all: the largest stay, as they did.
        assert_eq!(classes_of(&labels, &draw(&labels, Some(2), 7)), BTreeSet::from([0]));
    }

    #[test]
    fn a_hundred_thousand_classes_take_no_time() {
        let labels: Vec<u32> = (0..100_000).map(|row| row / 2 * 2).collect();
        assert_eq!(test_rows(&labels, 0.9, 3).len(), 50_000);
    }

    #[test]
    fn rows_judged_in_between_are_drawn_by_class_and_apart_from_the_sample() {
        let labels: Vec<u32> = (0..100).map(|row| u32::from(row % 5 == 0)).collect();
        let some = judged(&labels, 10, 3);
        assert_eq!([0, 1].map(|class| count(&labels, &some, class)), [8, 2]);
        assert_eq!(some, judged(&labels, 10, 3));
        assert_ne!(some, draw(&labels, Some(10), 3));
        assert_eq!(judged(&labels, 100, 3).len(), 100);
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
