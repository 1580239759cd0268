//! Owns the purpose of a trained model: what it can be asked, and what its head's numbers mean. Asks no model.

use serde::{Deserialize, Serialize};

use super::{Chat, QuestionAnswering};
use crate::families::Head;

/// The purpose of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    /// To predict classes or numbers.
    Classification {
        /// Class names by index.
        labels: Vec<String>,
        /// Whether it reads two texts at a time.
        pairs: bool,
        /// What the head's numbers mean.
        #[serde(default, skip_serializing_if = "Problem::is_single")]
        problem: Problem,
    },
    /// To tag the words of a text.
    Tagging {
        /// Tags by index.
        labels: Vec<String>,
    },
    /// To continue a text.
    LanguageModelling,
    /// To answer a question about a text.
    QuestionAnswering(QuestionAnswering),
    /// To answer in a conversation.
    Chat(Chat),
}

/// What the numbers of a classifier's head mean, in transformers' words (`problem_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Problem {
    /// Exactly one class is right: softmax.
    #[default]
    #[serde(rename = "single_label_classification")]
    SingleLabel,
    /// Each class is right or wrong independently: sigmoid.
    #[serde(rename = "multi_label_classification")]
    MultiLabel,
    /// They are the answer.
    #[serde(rename = "regression")]
    Regression,
}

impl Problem {
    /// transformers' word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleLabel => "single_label_classification",
            Self::MultiLabel => "multi_label_classification",
            Self::Regression => "regression",
        }
    }

    /// The meaning of transformers' word; without one, a head of one number is a score.
    #[must_use]
    pub fn of(word: Option<&str>, classes: usize) -> Option<Self> {
        match word {
            Some("multi_label_classification") => Some(Self::MultiLabel),
            Some("regression") => Some(Self::Regression),
            // With a single class there is nothing to choose.
            Some("single_label_classification") | None if classes == 1 => Some(Self::Regression),
            Some("single_label_classification") | None => Some(Self::SingleLabel),
            Some(_) => None,
        }
    }

    fn is_single(&self) -> bool {
        *self == Self::SingleLabel
    }
}

impl Purpose {
    /// Names for classes without names, in transformers' form.
    #[must_use]
    pub fn numbered(classes: usize) -> Vec<String> {
        (0..classes).map(|index| format!("LABEL_{index}")).collect()
    }

    /// What a question to it has besides its text, on a command line: `--pair` and a placeholder.
    #[must_use]
    pub fn second(&self) -> &'static str {
        match self {
            Self::Classification { pairs: true, .. } => " --pair 'its pair'",
            Self::QuestionAnswering(_) => " --pair 'its context'",
            Self::Classification { pairs: false, .. }
            | Self::Tagging { .. }
            | Self::LanguageModelling
            | Self::Chat(_) => "",
        }
    }

    /// The head that it needs.
    #[must_use]
    pub fn head(&self) -> Head {
        match self {
            Self::Classification { labels, .. } => Head::Classifier { labels: labels.len() },
            Self::Tagging { labels } => Head::Tagger { labels: labels.len() },
            Self::LanguageModelling | Self::QuestionAnswering(_) | Self::Chat(_) => Head::LanguageModel,
        }
    }
}
