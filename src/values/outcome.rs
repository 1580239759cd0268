//! Owns what a trial leaves behind: its metric lines, its result, and how it can fail.
//!
//! The training process writes these, the record and the report read them. Units are in the names.

use serde::{Deserialize, Serialize};

use crate::values::TrialId;

/// Scores on a set of rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scores {
    /// Of a classifier.
    Classification(ClassificationScores),
    /// Of a language model.
    LanguageModelling(LanguageScores),
    /// Of generated answers.
    QuestionAnswering(AnswerScores),
}

/// Scores of a classifier; precision, recall and F1 as scikit-learn gives them by default, averaged over
/// the classes that some row has or was given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationScores {
    /// Mean cross-entropy, in nats per row.
    pub loss: f64,
    /// Share of rows classified correctly, in [0, 1].
    pub accuracy: f64,
    /// Macro-averaged precision, in [0, 1].
    pub macro_precision: f64,
    /// Macro-averaged recall, in [0, 1].
    pub macro_recall: f64,
    /// Macro-averaged F1, in [0, 1].
    pub macro_f1: f64,
}

/// Scores of a language model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageScores {
    /// Mean cross-entropy over all predicted tokens, in nats per token.
    pub loss: f64,
    /// Mean over sequences of each one's mean cross-entropy, in nats per token: a short sequence
    /// weighs as much as a long one.
    pub sequence_loss: f64,
    /// Predicted tokens.
    pub tokens: u64,
}

/// Scores of generated answers, with SQuAD's normalisation and the best over all gold answers
/// (Rajpurkar et al. 2016).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerScores {
    /// Mean cross-entropy over the tokens of the first gold answer and its end, in nats per token.
    pub loss: f64,
    /// Share of answers equal to a gold answer, in [0, 1].
    pub exact_match: f64,
    /// Mean F1 over tokens, in [0, 1].
    pub f1: f64,
}

/// A number that scores hold or that follows from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean cross-entropy, in nats per row or token.
    Loss,
    /// Share of rows classified correctly.
    Accuracy,
    /// Macro-averaged precision.
    MacroPrecision,
    /// Macro-averaged recall.
    MacroRecall,
    /// Macro-averaged F1.
    MacroF1,
    /// exp(loss).
    Perplexity,
    /// loss / ln 2.
    BitsPerToken,
    /// Mean of the sequences' losses, in nats per token.
    SequenceLoss,
    /// Share of answers equal to a gold answer.
    ExactMatch,
    /// Mean F1 over the tokens of answers.
    F1,
}

impl ClassificationScores {
    /// Whether they are those of a model that gives one answer to every row, though the rows have two
    /// classes or more. All three macro averages then follow from the accuracy and the number of
    /// classes: each class but one adds nothing to them.
    #[must_use]
    pub fn answers_one_class(&self) -> bool {
        const ROUNDING: f64 = 1e-9;
        let classes = (1.0 / self.macro_recall).round();
        let is = |value: f64, sum: f64| (value - sum / classes).abs() < ROUNDING;
        classes.is_finite()
            && classes >= 2.0
            && is(self.macro_recall, 1.0)
            && is(self.macro_precision, self.accuracy)
            && is(self.macro_f1, 2.0 * self.accuracy / (1.0 + self.accuracy))
    }
}

impl Metric {
    /// Those of classifiers, in the order of tables. The first selects where the sweep names none.
    pub const CLASSIFICATION: &[Self] =
        &[Self::Accuracy, Self::MacroF1, Self::MacroPrecision, Self::MacroRecall, Self::Loss];
    /// Those of language models.
    pub const LANGUAGE_MODELLING: &[Self] =
        &[Self::Loss, Self::Perplexity, Self::BitsPerToken, Self::SequenceLoss];
    /// Those of generated answers.
    pub const QUESTION_ANSWERING: &[Self] = &[Self::F1, Self::ExactMatch, Self::Loss];

    /// Its name in files: the same as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::MacroPrecision => "macro_precision",
            Self::MacroRecall => "macro_recall",
            Self::MacroF1 => "macro_f1",
            Self::Perplexity => "perplexity",
            Self::BitsPerToken => "bits_per_token",
            Self::SequenceLoss => "sequence_loss",
            Self::ExactMatch => "exact_match",
            Self::F1 => "f1",
        }
    }

    /// Its name in sentences and headings.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::MacroPrecision => "macro precision",
            Self::MacroRecall => "macro recall",
            Self::MacroF1 => "macro F1",
            Self::Perplexity => "perplexity",
            Self::BitsPerToken => "bits per token",
            Self::SequenceLoss => "sequence loss",
            Self::ExactMatch => "exact match",
            Self::F1 => "F1",
        }
    }

    /// Whether it is a share in [0, 1] that people read in percent.
    #[must_use]
    pub fn is_share(self) -> bool {
        match self {
            Self::Accuracy
            | Self::MacroPrecision
            | Self::MacroRecall
            | Self::MacroF1
            | Self::ExactMatch
            | Self::F1 => true,
            Self::Loss | Self::Perplexity | Self::BitsPerToken | Self::SequenceLoss => false,
        }
    }

    /// Whether more is better. Every share is, every loss is not.
    #[must_use]
    pub fn higher_is_better(self) -> bool {
        self.is_share()
    }

    /// Whether `a` is better than `b`.
    #[must_use]
    pub fn better(self, a: f64, b: f64) -> bool {
        if self.higher_is_better() { a > b } else { a < b }
    }
}

impl Scores {
    /// Whether they are a classifier's that gives one answer to every row.
    #[must_use]
    pub fn answers_one_class(&self) -> bool {
        match self {
            Self::Classification(scores) => scores.answers_one_class(),
            Self::LanguageModelling(_) | Self::QuestionAnswering(_) => false,
        }
    }

    /// A metric of these scores; `None` where they have no such one.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match self {
            Self::Classification(scores) => match metric {
                Metric::Loss => Some(scores.loss),
                Metric::Accuracy => Some(scores.accuracy),
                Metric::MacroPrecision => Some(scores.macro_precision),
                Metric::MacroRecall => Some(scores.macro_recall),
                Metric::MacroF1 => Some(scores.macro_f1),
                Metric::Perplexity
                | Metric::BitsPerToken
                | Metric::SequenceLoss
                | Metric::ExactMatch
                | Metric::F1 => None,
            },
            Self::LanguageModelling(scores) => match metric {
                Metric::Loss => Some(scores.loss),
                Metric::Perplexity => Some(scores.loss.exp()),
                Metric::BitsPerToken => Some(scores.loss / std::f64::consts::LN_2),
                Metric::SequenceLoss => Some(scores.sequence_loss),
                Metric::Accuracy
                | Metric::MacroPrecision
                | Metric::MacroRecall
                | Metric::MacroF1
                | Metric::ExactMatch
                | Metric::F1 => None,
            },
            Self::QuestionAnswering(scores) => match metric {
                Metric::Loss => Some(scores.loss),
                Metric::ExactMatch => Some(scores.exact_match),
                Metric::F1 => Some(scores.f1),
                Metric::Accuracy
                | Metric::MacroPrecision
                | Metric::MacroRecall
                | Metric::MacroF1
                | Metric::Perplexity
                | Metric::BitsPerToken
                | Metric::SequenceLoss => None,
            },
        }
    }

    /// The metric that selects among trials with such scores; see [`crate::tasks::Objective::primary`].
    #[must_use]
    pub fn primary_metric(&self) -> Metric {
        match self {
            Self::Classification(_) => Metric::Accuracy,
            Self::LanguageModelling(_) => Metric::Loss,
            Self::QuestionAnswering(_) => Metric::F1,
        }
    }

    /// The value of the metric that selects.
    #[must_use]
    pub fn primary(&self) -> f64 {
        match self {
            Self::Classification(scores) => scores.accuracy,
            Self::LanguageModelling(scores) => scores.loss,
            Self::QuestionAnswering(scores) => scores.f1,
        }
    }

    /// The metric that selects, with its value: the one that the sweep names, where these scores have it.
    #[must_use]
    pub fn selecting(&self, named: Option<Metric>) -> (Metric, f64) {
        let chosen = named.and_then(|metric| Some((metric, self.get(metric)?)));
        chosen.unwrap_or_else(|| (self.primary_metric(), self.primary()))
    }

    /// Mean cross-entropy, in nats per row or token.
    #[must_use]
    pub fn loss(&self) -> f64 {
        match self {
            Self::Classification(scores) => scores.loss,
            Self::LanguageModelling(scores) => scores.loss,
            Self::QuestionAnswering(scores) => scores.loss,
        }
    }
}

/// Share of the average before that a step's exponential moving average of the loss keeps. The
/// average starts at the first step's loss.
pub const EMA_DECAY: f64 = 0.98;

/// One line of a trial's `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MetricLine {
    /// The state of training after an optimiser step.
    Train {
        /// Optimiser steps so far.
        step: u64,
        /// Passes over the training rows so far.
        epoch: f64,
        /// Mean training loss since the line before, in nats per row or token.
        loss: f64,
        /// Exponential moving average of the steps' losses; see [`EMA_DECAY`].
        ema_loss: f64,
        /// Learning rate of the step.
        learning_rate: f64,
        /// Gradient norm before clipping.
        grad_norm: f64,
        /// Training rows per second since the line before.
        rows_per_s: f64,
        /// Training tokens per second since the line before, padding not counted.
        tokens_per_s: f64,
    },
    /// An evaluation on the validation rows.
    Validation {
        /// Optimiser steps so far.
        step: u64,
        /// Passes over the training rows so far.
        epoch: f64,
        /// What was measured.
        scores: Scores,
    },
}

/// A finished trial's `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// Which trial.
    pub trial: TrialId,
    /// Scores on the validation rows of the weights that `keep` names.
    pub validation: Scores,
    /// Step at which those weights were taken.
    pub kept_step: u64,
    /// Scores on the test rows of the same weights, evaluated once.
    pub test: Option<Scores>,
    /// Optimiser steps in all.
    pub steps: u64,
    /// Exact counts, taken from the tensors that were trained.
    pub trainable_params: u64,
    /// All tensors, each counted once.
    pub total_params: u64,
    /// What it cost.
    pub cost: Cost,
    /// The classes of the rows that it was trained and judged on; `None` where there are no classes,
    /// and in results from before they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_rows: Option<ClassRows>,
}

/// How many rows each class has, by the class's index.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClassRows {
    /// Among the rows that the trial trained on.
    pub train: Vec<u64>,
    /// Among its validation rows.
    pub validation: Vec<u64>,
    /// Among the test rows; empty without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<u64>,
}

/// What a trial cost, over all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds from the first step to the result, evaluation included.
    pub wall_s: f64,
    /// Seconds in training steps.
    pub train_s: f64,
    /// Seconds in evaluation.
    pub evaluate_s: f64,
    /// Training rows seen.
    pub train_rows: u64,
    /// Training tokens seen, padding not counted.
    pub train_tokens: u64,
    /// Rows evaluated.
    pub evaluated_rows: u64,
    /// Largest resident memory of the process on the host, in MiB.
    pub peak_memory_mib: f64,
}
