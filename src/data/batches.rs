//! Owns which rows form a batch and in which order batches come. Pure; pads and copies nothing.
//!
//! Rows of similar length share a batch, because a batch is as long as its longest row and the rest is padding
//! that costs as much as text.

use rand::seq::SliceRandom;

use crate::values::stream::{Draw, StreamKey};

/// Number of batches whose rows are sorted by length together: more give less padding, fewer give more random
/// batches.
const POOLED_BATCHES: usize = 50;

/// The batches of one epoch: every row once, each batch full except for at most one.
///
/// The rows are shuffled, cut into pools of 50 batches, sorted by length within each pool and cut into batches,
/// which then come in random order. `lengths` is indexed by row and in tokens. The order depends only on the
/// key and the epoch.
///
/// # Panics
/// Where `batch_size` is 0.
#[must_use]
pub fn training(
    rows: &[u32],
    lengths: &[u32],
    batch_size: usize,
    key: StreamKey,
    epoch: u64,
) -> Vec<Vec<u32>> {
    let mut rng = key.rng(Draw::Order(epoch));
    let mut rows = rows.to_vec();
    rows.shuffle(&mut rng);
    let mut batches = Vec::with_capacity(rows.len().div_ceil(batch_size));
    for pool in rows.chunks_mut(POOLED_BATCHES * batch_size) {
        // Stable: rows of one length stay in random order.
        pool.sort_by_key(|row| lengths[*row as usize]);
        batches.extend(pool.chunks(batch_size).map(<[u32]>::to_vec));
    }
    batches.shuffle(&mut rng);
    batches
}

/// Batches in order of length, for evaluation. Each has as many rows as fit in `max_tokens` with padding, but
/// at least one. Every row occurs once.
#[must_use]
pub fn evaluation(rows: &[u32], lengths: &[u32], max_tokens: usize) -> Vec<Vec<u32>> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| lengths[*row as usize]);
    let mut batches: Vec<Vec<u32>> = Vec::new();
    for row in rows {
        let width = lengths[row as usize] as usize;
        match batches.last_mut() {
            // The row is the longest so far, so it sets the width of the whole batch.
            Some(batch) if (batch.len() + 1) * width <= max_tokens => batch.push(row),
            Some(_) | None => batches.push(vec![row]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn padding(batches: &[Vec<u32>], lengths: &[u32]) -> u32 {
        let length = |row: &u32| lengths[*row as usize];
        let wasted = |batch: &Vec<u32>| {
            let longest = batch.iter().map(length).max().unwrap_or(0);
            batch.iter().map(|row| longest - length(row)).sum::<u32>()
        };
        batches.iter().map(wasted).sum()
    }

    proptest! {
        #[test]
        fn every_row_stands_in_one_batch(
            lengths in prop::collection::vec(1_u32..64, 1..400), size in 1_usize..9, seed: u64, epoch in 0_u64..9,
        ) {
            let rows: Vec<u32> = (0..lengths.len() as u32).step_by(2).collect();
            let key = StreamKey::from_seed(seed);
            let trained = training(&rows, &lengths, size, key, epoch);
            prop_assert_eq!(&trained, &training(&rows, &lengths, size, key, epoch));
            prop_assert!(trained.iter().filter(|batch| batch.len() != size).count() <= 1);
            prop_assert_eq!(trained.len(), rows.len().div_ceil(size));
            for batches in [trained, evaluation(&rows, &lengths, 16 * size)] {
                let mut seen = batches.concat();
                seen.sort_unstable();
                prop_assert_eq!(&seen, &rows);
            }
        }

        #[test]
        fn evaluation_goes_up_in_length_and_fills_its_batches(
            lengths in prop::collection::vec(1_u32..64, 1..200), max_tokens in 1_usize..300,
        ) {
            let rows: Vec<u32> = (0..lengths.len() as u32).collect();
            let batches = evaluation(&rows, &lengths, max_tokens);
            let width = |batch: &[u32]| batch.iter().map(|row| lengths[*row as usize] as usize).max().unwrap_or(0);
            prop_assert!(batches.concat().is_sorted_by_key(|row| lengths[*row as usize]));
            prop_assert!(batches.iter().all(|batch| batch.len() == 1 || batch.len() * width(batch) <= max_tokens));
            for pair in batches.windows(2) {
                prop_assert!((pair[0].len() + 1) * width(&pair[1][..1]) > max_tokens);
            }
        }
    }

    #[test]
    fn epochs_differ_and_pad_little() {
        let lengths: Vec<u32> = (0..3000).map(|row| 1 + row * 7919 % 128).collect();
        let rows: Vec<u32> = (0..3000).collect();
        let key = StreamKey::from_seed(7);
        let (first, second) = (training(&rows, &lengths, 32, key, 0), training(&rows, &lengths, 32, key, 1));
        assert_ne!(first, second);
        let unsorted: Vec<Vec<u32>> = rows.chunks(32).map(<[u32]>::to_vec).collect();
        assert!(padding(&first, &lengths) * 10 < padding(&unsorted, &lengths));
    }
}
