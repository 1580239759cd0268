//! Owns the lengths of a task's training rows in tokens, and how many rows are cut. Large files are judged by a
//! sample of rows, spread evenly over the file. Reads no file.

use super::Look;
use crate::sweep::card::{Blocks, Lengths, Used, Warning};
use crate::tasks::{EncodeError, Encoder, Examples, Measured, held_out_rows};
use crate::tokenizer::Tokenizer;
use crate::values::Splitting;

/// Most rows that are tokenised for a card.
const MOST_ROWS: usize = 20_000;
/// Approximate bytes of text that are tokenised for a card: one or two seconds of work.
const MOST_BYTES: usize = 8 << 20;
/// A warning is given if more than this many percent of the rows are cut.
const CUT_PERCENT: usize = 5;

/// The lengths of a task's training rows, or the blocks that they are joined into.
pub(super) fn of(look: &Look<'_>, tokenizer: &Tokenizer) -> Result<Lined, EncodeError> {
    let Look { task, files, division, .. } = look;
    let (rows, train) = (&division.used, files.train);
    let sample = sample(rows, |row| train.bytes(row));
    let by = Encoder { tokenizer, max_length: task.max_length };
    Ok(match task.objective.measure(&train.chosen(&sample), by)? {
        Measured::Rows(lengths) => Lined::Rows(lengths),
        Measured::Text(tokens) => {
            let bytes = |rows: &[u32]| rows.iter().map(|row| train.bytes(*row as usize) + 1).sum::<usize>();
            Lined::Text(Blocks {
                tokens: in_proportion(tokens, bytes(rows), bytes(&sample)),
                max_length: task.max_length,
                estimated: sample.len() < rows.len(),
            })
        }
    })
}

/// The warning about rows that are left out because not even their beginning fits.
pub(super) fn unfit(look: &Look<'_>, tokenizer: &Tokenizer) -> Result<Option<Warning>, EncodeError> {
    let (task, train) = (look.task, look.files.train);
    let sample = sample(&look.division.used, |row| train.bytes(row));
    let by = Encoder { tokenizer, max_length: task.max_length };
    let rows = task.objective.unfit(&train.chosen(&sample), by)?;
    let warning = Warning::Unfit { rows, of: sample.len(), max_length: task.max_length };
    Ok((rows > 0).then_some(warning))
}

/// The result of tokenising.
pub(super) enum Lined {
    /// The length of each row.
    Rows(Vec<usize>),
    /// Blocks.
    Text(Blocks),
}

/// The rows, or a sample of them that is spread evenly and tokenised in little time.
fn sample(rows: &[u32], bytes: impl Fn(usize) -> usize) -> Vec<u32> {
    let all: usize = rows.iter().map(|row| bytes(*row as usize)).sum();
    let most = if all > MOST_BYTES { in_proportion(rows.len(), MOST_BYTES, all).max(1) } else { rows.len() };
    let wanted = most.min(MOST_ROWS).min(rows.len());
    (0..wanted).map(|n| rows[in_proportion(n, rows.len(), wanted)]).collect()
}

/// `n * part / whole`, rounded down.
fn in_proportion(n: usize, part: usize, whole: usize) -> usize {
    let exact = n as u128 * part as u128 / whole.max(1) as u128;
    usize::try_from(exact).unwrap_or(usize::MAX)
}

impl Lengths {
    /// The statistics of these lengths; `None` where there are none.
    pub(super) fn new(all: &mut [usize], max_length: usize, models: Vec<String>) -> Option<Self> {
        all.sort_unstable();
        let rows = all.len();
        let longest = *all.last()?;
        let [low, high] = [(rows - 1) / 2, rows / 2].map(|middle| all[middle]);
        #[expect(clippy::cast_precision_loss, reason = "texts are far shorter than 2^52 tokens")]
        let median = (low + high) as f64 / 2.0;
        let p95 = all[(rows * (100 - CUT_PERCENT)).div_ceil(100) - 1];
        let cut = rows - all.partition_point(|length| *length <= max_length);
        Some(Self { models, rows, of: rows, median, p95, longest, max_length, cut })
    }

    /// A warning if too many rows are cut, for models that read at most `longest` tokens.
    pub(super) fn warning(&self, longest: usize) -> Option<Warning> {
        (self.cut * 100 > self.rows * CUT_PERCENT).then_some(Warning::Cut {
            cut: self.cut,
            of: self.rows,
            max_length: self.max_length,
            enough: self.p95,
            longest,
            models: self.models.clone(),
        })
    }
}

impl Blocks {
    /// The number of blocks for training, validation and testing. Blocks of other files, and of test rows, are
    /// estimated with the same number of tokens per byte.
    pub(super) fn divide(&self, look: &Look<'_>) -> Used {
        let Look { task, files, division, splitting } = look;
        let bytes = |examples: &Examples, rows: &[u32]| -> usize {
            let (Examples::Documents(texts) | Examples::Lines(texts)) = examples else { return 0 };
            rows.iter().map(|row| texts[*row as usize].len() + 1).sum()
        };
        let trained = bytes(files.train, &division.used);
        let like = |bytes: usize| self.count(in_proportion(self.tokens, bytes, trained));
        let every = |examples: &Examples| (0..).take(examples.rows()).collect::<Vec<u32>>();
        let used = Used {
            drawn: task.drawn_rows(),
            training: self.count(self.tokens),
            validation: files.validation.map_or(0, |file| like(bytes(file, &every(file)))),
            test: like(bytes(files.test.unwrap_or(files.train), &division.tested)),
            folds: Vec::new(),
        };
        match **splitting {
            Splitting::File | Splitting::All => used,
            Splitting::HoldOut { fraction, .. } => {
                let validation = held_out_rows(used.training, fraction).min(used.training);
                Used { training: used.training - validation, validation, ..used }
            }
            Splitting::KFold { k, .. } => {
                let fold = |n: usize| (used.training + k - 1 - n) / k;
                Used { folds: (0..k).map(fold).collect(), ..used }
            }
        }
    }

    /// Number of blocks from `tokens` tokens; a single token has nothing to predict.
    fn count(&self, tokens: usize) -> usize {
        let rest = tokens % self.max_length;
        tokens / self.max_length + usize::from(rest >= 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(mut all: Vec<usize>, max_length: usize) -> Lengths {
        Lengths::new(&mut all, max_length, Vec::new()).unwrap()
    }

    #[test]
    fn middles_and_ends_are_those_of_a_statistics_book() {
        let odd = lengths(vec![9, 1, 5], 8);
        assert_eq!((odd.median, odd.p95, odd.longest, odd.cut), (5.0, 9, 9, 1));
        let even = lengths(vec![4, 1, 3, 10], 4);
        assert_eq!((even.median, even.p95, even.longest, even.cut), (3.5, 10, 10, 1));
        // Of a hundred, five are longer than the 95th.
        let hundred = lengths((1..=100).collect(), 95);
        assert_eq!((hundred.median, hundred.p95, hundred.cut), (50.5, 95, 5));
        assert_eq!(hundred.warning(512), None, "5 % is not more than 5 %");
        let cut = lengths((1..=100).collect(), 94);
        let expected =
            Warning::Cut { cut: 6, of: 100, max_length: 94, enough: 95, longest: 512, models: Vec::new() };
        assert_eq!(cut.warning(512), Some(expected));
        assert!(Lengths::new(&mut [], 4, Vec::new()).is_none());
    }

    #[test]
    fn a_sample_is_spread_over_all_rows_and_bounded() {
        let rows: Vec<u32> = (0..100_000).collect();
        let few = sample(&rows, |_| 10);
        assert_eq!((few.len(), few[1], few[19_999]), (20_000, 5, 99_995));
        assert_eq!(sample(&rows, |_| 8_192).len(), 1_024);
        assert_eq!(sample(&rows[..3], |_| 1 << 30), [0]);
        assert_eq!(sample(&rows[..3], |_| 1), [0, 1, 2]);
    }

    #[test]
    fn a_last_block_of_one_token_is_none() {
        let blocks = Blocks { tokens: 0, max_length: 8, estimated: false };
        assert_eq!([0, 1, 2, 8, 9, 10].map(|tokens| blocks.count(tokens)), [0, 0, 1, 1, 1, 2]);
    }
}
