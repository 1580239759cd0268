//! Owns the list of the kinds of tasks. A new kind is added here.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::{
    Chat, Classification, LanguageModelling, MultiLabel, QuestionAnswering, Regression, Tagging, TaskKind,
};
use crate::values::{Metric, Scores};

/// What is learned: a kind of task with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Objective {
    /// One label per text, or per pair of texts.
    Classification(Classification),
    /// The next token of running text.
    LanguageModelling(LanguageModelling),
    /// The answer to a question about a text, generated.
    QuestionAnswering(QuestionAnswering),
    /// One number per text, or per pair of texts.
    Regression(Regression),
    /// Any number of labels per text, or per pair of texts.
    MultiLabel(MultiLabel),
    /// A tag for each word of a text.
    Tagging(Tagging),
    /// The assistant's turns of conversations.
    Chat(Chat),
}

/// The kind of a task whose sweep names none.
pub const DEFAULT_KIND: &str = "classification";

/// Every kind, with empty settings.
pub static KINDS: [&dyn TaskKind; 7] = [
    &Classification::EMPTY,
    &LanguageModelling::EMPTY,
    &QuestionAnswering::EMPTY,
    &Regression::EMPTY,
    &MultiLabel::EMPTY,
    &Tagging::EMPTY,
    &Chat::EMPTY,
];

impl Deref for Objective {
    type Target = dyn TaskKind;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Classification(kind) => kind,
            Self::LanguageModelling(kind) => kind,
            Self::QuestionAnswering(kind) => kind,
            Self::Regression(kind) => kind,
            Self::MultiLabel(kind) => kind,
            Self::Tagging(kind) => kind,
            Self::Chat(kind) => kind,
        }
    }
}

impl Objective {
    /// The metric that selects where the sweep names none.
    #[must_use]
    pub fn primary(&self) -> Metric {
        self.metrics()[0]
    }
}

/// The kind of this name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static dyn TaskKind> {
    KINDS.into_iter().find(|kind| kind.name() == name)
}

/// The metric that selects, with its value where it is defined: the one that the sweep names, or that of the
/// scores' kind of task.
#[must_use]
pub fn selecting(scores: &Scores, named: Option<Metric>) -> (Metric, Option<f64>) {
    let own = || kind(scores.kind()).map_or(Metric::Loss, |kind| kind.metrics()[0]);
    let metric = named.unwrap_or_else(own);
    (metric, scores.get(metric))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::{Classes, Given};

    #[test]
    fn a_kind_is_called_the_same_in_sweep_files_and_in_records() {
        for empty in KINDS {
            assert_eq!(kind(empty.name()).unwrap().name(), empty.name());
            let mut given = Given::default();
            empty.keys().iter().for_each(|key| given.say(key.name, "text"));
            let objective = empty.objective(&given, Classes::default()).unwrap();
            assert_eq!(objective.name(), empty.name());
            let json = serde_json::to_value(&objective).unwrap();
            assert_eq!(json["kind"], empty.name());
            assert_eq!(serde_json::from_value::<Objective>(json).unwrap(), objective);
            assert_eq!(objective.tally().scores().kind(), empty.name());
        }
        assert!(kind("clustering").is_none());
    }
}
