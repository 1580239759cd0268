//! Owns how long a task's training rows are in tokens, and how many of them are cut. Large files are
//! judged by a sample of rows that are evenly spread over them. Reads no file.

use super::Look;
use crate::data::language;
use crate::data::questions::{PromptError, fill};
use crate::data::sources::{Examples, Question};
use crate::sweep::card::{Blocks, Lengths, Used, Warning};
use crate::tasks::{Objective, QuestionAnswering, TextLayout, held_out_rows};
use crate::tokenizer::{Tokenizer, TokenizerError};
use crate::values::Splitting;

/// Most rows that are tokenised for a card.
const MOST_ROWS: usize = 20_000;
/// Most bytes of text that are, about: a second's work or two.
const MOST_BYTES: usize = 8 << 20;
/// More rows cut than this many in a hundred are worth a warning.
const CUT_PERCENT: usize = 5;
/// More tokens than any text has.
const MUCH_ROOM: usize = 1_000_000_000;

/// What tokenising tells.
pub(super) enum Measured {
    /// The length of each row.
    Rows(Vec<usize>),
    /// Blocks.
    Text(Blocks),
}

/// The lengths of a task's training rows.
pub(super) fn of(look: &Look<'_>, tokenizer: &Tokenizer) -> Result<Measured, PromptError> {
    let Look { task, files, division, .. } = look;
    let rows = &division.used;
    Ok(match (files.train, &task.objective) {
        (Examples::Labelled { texts, pairs, .. }, _) => {
            let sample =
                sample(rows, |row| texts[row].len() + pairs.as_ref().map_or(0, |all| all[row].len()));
            let pairs = pairs.as_ref().map(|all| chosen(all, &sample));
            Measured::Rows(labelled(&chosen(texts, &sample), pairs.as_deref(), tokenizer)?)
        }
        (Examples::Questions(all), Objective::QuestionAnswering(objective)) => {
            let sample = sample(rows, |row| all[row].context.len() + all[row].question.len());
            Measured::Rows(prompts(&chosen(all, &sample), objective, tokenizer)?)
        }
        (Examples::Documents(texts) | Examples::Lines(texts), objective) => {
            let end = tokenizer.end_of_text().ok_or(PromptError::NoEnd)?;
            let sample = sample(rows, |row| texts[row].len());
            let texts_of_sample = chosen(texts, &sample);
            let own =
                matches!(objective, Objective::LanguageModelling(l) if l.layout == TextLayout::Documents);
            if own {
                let tokens = tokenizer.encode_plain(&texts_of_sample)?;
                return Ok(Measured::Rows(tokens.iter().map(|tokens| tokens.len() + 1).collect()));
            }
            let sequences = if matches!(files.train, Examples::Lines(_)) {
                language::running(&texts_of_sample, (tokenizer, end), task.max_length)?
            } else {
                language::blocks(&texts_of_sample, (tokenizer, end), task.max_length)?
            };
            let tokens = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
            let bytes = |rows: &[u32]| rows.iter().map(|row| texts[*row as usize].len() + 1).sum::<usize>();
            Measured::Text(Blocks {
                tokens: in_proportion(tokens, bytes(rows), bytes(&sample)),
                max_length: task.max_length,
                estimated: sample.len() < rows.len(),
            })
        }
        (Examples::Questions(_), _) => unreachable!("rows are read as the task's objective has them"),
    })
}

/// The rows themselves, or as many of them, evenly spread, as are tokenised in little time.
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

fn chosen<T: Clone>(all: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| all[*row as usize].clone()).collect()
}

fn labelled(
    texts: &[String],
    pairs: Option<&[String]>,
    tokenizer: &Tokenizer,
) -> Result<Vec<usize>, TokenizerError> {
    let special = MUCH_ROOM - tokenizer.room(MUCH_ROOM, pairs.is_some())?;
    let mut lengths: Vec<usize> =
        tokenizer.encode_plain(texts)?.iter().map(|tokens| tokens.len() + special).collect();
    if let Some(pairs) = pairs {
        for (length, pair) in lengths.iter_mut().zip(tokenizer.encode_plain(pairs)?) {
            *length += pair.len();
        }
    }
    Ok(lengths)
}

/// As [`crate::data::questions::Prompts`] makes them, before contexts lose their ends.
fn prompts(
    questions: &[Question],
    objective: &QuestionAnswering,
    tokenizer: &Tokenizer,
) -> Result<Vec<usize>, TokenizerError> {
    let filled = |asked: &Question| fill(&objective.template, &asked.context, &asked.question);
    let prompts = tokenizer.encode_plain(&questions.iter().map(filled).collect::<Vec<_>>())?;
    let answer = |asked: &Question| format!(" {}", asked.answers.first().map_or("", String::as_str));
    let answers = tokenizer.encode_plain(&questions.iter().map(answer).collect::<Vec<_>>())?;
    let room = |answer: &Vec<u32>| (answer.len() + 1).max(objective.max_new_tokens);
    Ok(prompts.iter().zip(&answers).map(|(prompt, answer)| prompt.len() + room(answer)).collect())
}

impl Lengths {
    /// What these lengths amount to; `None` where there are none.
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

    /// Whether too many rows are cut, by what models read that read at most `longest` tokens.
    pub(super) fn warning(&self, longest: usize) -> Option<Warning> {
        (self.cut * 100 > self.rows * CUT_PERCENT).then_some(Warning::Cut {
            cut: self.cut,
            of: self.rows,
            max_length: self.max_length,
            enough: self.p95,
            longest,
        })
    }
}

impl Blocks {
    /// How many blocks are trained on, validated on and tested on. Those of other files, and of test
    /// rows, are estimated: their text has as many tokens per byte.
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
            Splitting::File => used,
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

    /// Blocks of so many tokens; one token alone has nothing to predict.
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
        let expected = Warning::Cut { cut: 6, of: 100, max_length: 94, enough: 95, longest: 512 };
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
