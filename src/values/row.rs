//! Owns what a model gave for single rows: its loss on each and its answer. Sums nothing up and writes no file.

use super::{Part, TrialId};

/// What one state of a trial's weights gave for rows of a part of its task.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedRows {
    /// The trial.
    pub trial: TrialId,
    /// The part in whose token store the rows stand.
    pub part: Part,
    /// Optimiser steps before the weights.
    pub step: u64,
    /// Each row, in ascending order.
    pub rows: Vec<JudgedRow>,
}

/// What a model gave for a row.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedRow {
    /// Its index in its part. All trials of a store mean the same row by it; where rows are not joined to
    /// sequences, all trials of a task do.
    pub row: u32,
    /// Its loss: in nats, summed over its predicted tokens where it has any; or a squared error.
    pub loss: f64,
    /// What was answered.
    pub answer: RowAnswer,
}

/// A model's answer to a row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowAnswer {
    /// A class, by its index.
    Class {
        /// The model's.
        predicted: u32,
        /// The right one.
        target: u32,
        /// The probability of the model's; `None` in files of earlier versions.
        probability: Option<f32>,
    },
    /// Any number of classes, by their indices in ascending order.
    Classes {
        /// The model's.
        predicted: Vec<u32>,
        /// The right ones.
        target: Vec<u32>,
        /// The probability of each of the task's classes.
        probabilities: Vec<f32>,
    },
    /// A tag for each word, by its index.
    Tags {
        /// The model's; [`RowAnswer::CUT`] for a word that it did not see.
        predicted: Vec<u32>,
        /// The right ones.
        target: Vec<u32>,
        /// Tags with a loss.
        tokens: u32,
    },
    /// A number.
    Number {
        /// The model's.
        predicted: f64,
        /// The right one.
        target: f64,
    },
    /// The tokens of a text, each with its own loss.
    Tokens {
        /// How many were predicted.
        tokens: u32,
    },
    /// A generated text.
    Text {
        /// Tokens of the right answer, whose loss it is.
        tokens: u32,
        /// The model's answer.
        text: String,
        /// The first of the right ones; `None` in files of earlier versions.
        target: Option<String>,
        /// Whether it is a right one.
        exact_match: bool,
        /// Its F1 with the nearest right one.
        f1: f64,
    },
}

impl JudgedRows {
    /// The standard error of the mean loss, over rows; `None` for fewer than two.
    #[must_use]
    pub fn loss_error(&self) -> Option<f64> {
        let rows: Vec<(f64, f64)> =
            self.rows.iter().map(|row| (row.loss, f64::from(row.predictions()))).collect();
        ratio(&rows).map(|(_, error)| error)
    }
}

/// The sum of first numbers by that of second ones, and its standard error: of a mean where all second numbers are 1, and
/// else of a ratio of sums (Cochran 1977, section 6.4). `None` for fewer than two pairs.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "rows are fewer than 2^32")]
pub fn ratio(pairs: &[(f64, f64)]) -> Option<(f64, f64)> {
    let below: f64 = pairs.iter().map(|(_, below)| below).sum();
    let ratio = pairs.iter().map(|(above, _)| above).sum::<f64>() / below;
    let squares: f64 = pairs.iter().map(|(above, below)| (above - ratio * below).powi(2)).sum();
    let n = pairs.len() as f64;
    let error = (squares * n / (n - 1.0)).sqrt() / below;
    error.is_finite().then_some((ratio, error))
}

impl JudgedRow {
    /// How many predictions its loss is the sum of. The mean loss of rows is the sum of their losses by the sum of
    /// these.
    #[must_use]
    pub fn predictions(&self) -> u32 {
        self.answer.tokens().unwrap_or(1)
    }
}

impl RowAnswer {
    /// The tag of a word that the model did not see.
    pub const CUT: u32 = u32::MAX;

    /// The predicted class and the right one.
    #[must_use]
    pub fn classes(&self) -> Option<[u32; 2]> {
        let Self::Class { predicted, target, .. } = self else { return None };
        Some([*predicted, *target])
    }

    /// The probability of the predicted class.
    #[must_use]
    pub fn probability(&self) -> Option<f32> {
        let Self::Class { probability, .. } = self else { return None };
        *probability
    }

    /// The predicted classes, or words' tags, and the right ones.
    #[must_use]
    pub fn lists(&self) -> Option<[&[u32]; 2]> {
        match self {
            Self::Classes { predicted, target, .. } | Self::Tags { predicted, target, .. } => {
                Some([predicted, target])
            }
            Self::Class { .. } | Self::Number { .. } | Self::Tokens { .. } | Self::Text { .. } => None,
        }
    }

    /// The probability of each class, where any number of them is answered.
    #[must_use]
    pub fn probabilities(&self) -> Option<&[f32]> {
        let Self::Classes { probabilities, .. } = self else { return None };
        Some(probabilities)
    }

    /// The predicted number and the right one.
    #[must_use]
    pub fn numbers(&self) -> Option<[f64; 2]> {
        let Self::Number { predicted, target } = self else { return None };
        Some([*predicted, *target])
    }

    /// How many tokens were predicted.
    #[must_use]
    pub fn tokens(&self) -> Option<u32> {
        match self {
            Self::Class { .. } | Self::Classes { .. } | Self::Number { .. } => None,
            Self::Tags { tokens, .. } | Self::Tokens { tokens } | Self::Text { tokens, .. } => Some(*tokens),
        }
    }

    /// The first right answer to a question.
    #[must_use]
    pub fn right_text(&self) -> Option<&str> {
        let Self::Text { target, .. } = self else { return None };
        target.as_deref()
    }

    /// The generated text, whether it is right, and its F1.
    #[must_use]
    pub fn text(&self) -> Option<(&str, bool, f64)> {
        let Self::Text { text, exact_match, f1, .. } = self else { return None };
        Some((text, *exact_match, *f1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rows: &[(f64, u32)]) -> JudgedRows {
        let row = |(row, (loss, tokens)): (u32, &(f64, u32))| JudgedRow {
            row,
            loss: *loss,
            answer: RowAnswer::Tokens { tokens: *tokens },
        };
        let trial = "00000000000000ab".parse().unwrap();
        JudgedRows { trial, part: Part::Validation, step: 1, rows: (0..).zip(rows).map(row).collect() }
    }

    #[test]
    fn the_error_of_a_mean_loss_is_that_of_a_mean_and_of_a_ratio() {
        // Standard deviation of 1, 2, 3, 4 over the root of four.
        let error = judged(&[(1.0, 1), (2.0, 1), (3.0, 1), (4.0, 1)]).loss_error().unwrap();
        assert!((error - (5.0_f64 / 3.0).sqrt() / 2.0).abs() < 1e-12);
        // Equal losses for each token: nothing varies, however many tokens the rows have.
        assert!(judged(&[(2.0, 1), (6.0, 3), (4.0, 2)]).loss_error().unwrap() < 1e-12);
        assert_eq!(judged(&[(1.0, 1)]).loss_error(), None);
        assert_eq!(judged(&[]).loss_error(), None);
    }
}
