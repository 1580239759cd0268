//! Owns what a trial leaves behind: its metric lines, its result, and how it can fail.
//!
//! The training process writes these, the record and the report read them. Units are in the names.

use serde::{Deserialize, Serialize};

use crate::trial::TrialId;

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

/// Scores of a classifier; precision, recall and F1 as scikit-learn defines them, averaged over all
/// classes, absent ones included.
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

impl Metric {
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

    /// The metric that selects among trials with such scores; see [`crate::task::Objective::primary`].
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

/// Why a job did not finish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// Memory ran out, on the host or the device.
    OutOfMemory,
    /// The loss or a gradient was no longer finite.
    Diverged {
        /// Optimiser step at which it was seen.
        step: u64,
    },
    /// It ran longer than allowed.
    TimedOut,
    /// It gave no sign of life any more, and was killed.
    Hung,
    /// The process ended by itself with this code and no result.
    Exited {
        /// Exit code.
        code: i32,
    },
    /// A signal ended the process.
    Killed {
        /// Signal number.
        signal: i32,
    },
    /// The machine that ran it is gone.
    HostLost,
    /// The device does not work: its driver or its library says so.
    DeviceFailed {
        /// What it said.
        message: String,
    },
    /// Its process could not be started.
    NotStarted {
        /// What the system said.
        message: String,
    },
    /// Files cannot be written: the disk is full, or was made read-only. That is no failure of a
    /// trial, and the run stops for it.
    Unwritable {
        /// What the system said.
        message: String,
    },
    /// The data or the model did not hold what the check had found.
    BadData {
        /// What was wrong.
        message: String,
    },
}

/// What allocators say when there is no more: Rust's, libtorch's on the host and on a GPU, cuBLAS's,
/// C++'s, libgomp's, the kernel's.
const OUT_OF_MEMORY: [&str; 9] = [
    "memory allocation of",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
    "Out of memory allocating",
    "Cannot allocate memory",
    "failed to allocate",
];

/// What libtorch says of a GPU that does not do its work, whatever it was given.
const DEVICE_FAILED: [&str; 5] =
    ["CUDA error", "CUDA driver", "CUDA-capable device", "_STATUS_NOT_INITIALIZED", "uncorrectable ECC"];

/// ENOMEM, which a file operation may return.
const NO_MEMORY: [i32; 1] = [12];

/// ENOSPC, EROFS and EDQUOT.
const UNWRITABLE: [i32; 3] = [28, 30, 122];

impl Failure {
    /// The failure of memory or of a device that a library's or the system's message tells of.
    #[must_use]
    pub fn told_by(message: &str) -> Option<Self> {
        let speaks_of = |text: &str, signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        if speaks_of(message, &OUT_OF_MEMORY) {
            return Some(Self::OutOfMemory);
        }
        let line = message.lines().find(|line| speaks_of(line, &DEVICE_FAILED))?;
        Some(Self::DeviceFailed { message: line.to_owned() })
    }

    /// The failure that a message means which may hold what the system said of memory, a device or a
    /// disk; one of the data otherwise.
    #[must_use]
    pub fn meant_by(message: String) -> Self {
        let speaks_of = |errors: &[i32]| errors.iter().any(|n| message.contains(&format!("(os error {n})")));
        match Self::told_by(&message) {
            Some(told) => told,
            None if speaks_of(&NO_MEMORY) => Self::OutOfMemory,
            None if speaks_of(&UNWRITABLE) => Self::Unwritable { message },
            None => Self::BadData { message },
        }
    }

    /// Its kind in a few words, to count failures by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OutOfMemory => "out of memory",
            Self::Diverged { .. } => "diverged",
            Self::TimedOut => "ran longer than allowed",
            Self::Hung => "hung",
            Self::Exited { .. } => "ended without a result",
            Self::Killed { .. } => "killed by a signal",
            Self::HostLost => "lost with their machine",
            Self::DeviceFailed { .. } => "lost with their device",
            Self::NotStarted { .. } => "not started",
            Self::Unwritable { .. } => "that could not write",
            Self::BadData { .. } => "with bad data",
        }
    }

    /// Whether the same start can go better the next time. What memory, numbers, time or data decide
    /// happens again.
    #[must_use]
    pub fn is_mendable(&self) -> bool {
        match self {
            Self::Hung
            | Self::Exited { .. }
            | Self::Killed { .. }
            | Self::HostLost
            | Self::DeviceFailed { .. }
            | Self::NotStarted { .. }
            | Self::Unwritable { .. } => true,
            Self::OutOfMemory | Self::TimedOut | Self::Diverged { .. } | Self::BadData { .. } => false,
        }
    }

    /// Whether it tells of the device rather than of the job.
    #[must_use]
    pub fn blames_device(&self) -> bool {
        match self {
            Self::HostLost | Self::DeviceFailed { .. } => true,
            Self::OutOfMemory
            | Self::Diverged { .. }
            | Self::TimedOut
            | Self::Hung
            | Self::Exited { .. }
            | Self::Killed { .. }
            | Self::NotStarted { .. }
            | Self::Unwritable { .. }
            | Self::BadData { .. } => false,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfMemory => write!(f, "out of memory"),
            Self::Diverged { step } => write!(f, "diverged at step {step}: the loss was no longer finite"),
            Self::TimedOut => write!(f, "ran longer than allowed"),
            Self::Hung => write!(f, "gave no sign of life for minutes and was killed"),
            Self::Exited { code } => write!(f, "the process ended with exit code {code} and no result"),
            Self::Killed { signal } => write!(f, "the process was killed by signal {signal}"),
            Self::HostLost => write!(f, "the machine that ran it is gone"),
            Self::DeviceFailed { message } => write!(f, "the device failed: {message}"),
            Self::NotStarted { message } => write!(f, "cannot start its process: {message}"),
            Self::Unwritable { message } | Self::BadData { message } => write!(f, "{message}"),
        }
    }
}
