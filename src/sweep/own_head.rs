//! Owns whether a finished model answers a task without training: which of its classes are the task's, or
//! whether it predicts a number as the task requires. Pure.

use std::collections::BTreeMap;

use crate::families::{Head, ModelSpec, are_unnamed};
use crate::tasks::{Target, Task};

/// A model's own head in relation to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnHead {
    /// The model has no head of the task's kind, or the task needs none.
    Absent,
    /// Its classes differ from the task's.
    Other,
    /// Its outputs are the task's.
    Same {
        /// For each class of the task, or for its number, the index of the matching output.
        outputs: Vec<usize>,
        /// How they were recognised.
        by: By,
    },
}

/// How a model's outputs were recognised as a task's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By their names.
    Name,
    /// By their names in different case.
    Spelling,
    /// By their numbers: the model's are called `LABEL_0`, `LABEL_1` and so on.
    Number,
    /// Both have a single number.
    Only,
}

impl OwnHead {
    /// The model's own head, for this task.
    #[must_use]
    pub fn of(task: &Task, model: &ModelSpec) -> Self {
        let labels = task.objective.labels();
        let (own, map) = match (task.objective.fields().target(), &model.parts.classes) {
            (Target::Number { .. }, _) if model.parts.number => {
                return Self::Same { outputs: vec![0], by: By::Only };
            }
            (Target::Class { map, .. }, Some(own)) => (own, map),
            (Target::Class { .. } | Target::Classes { .. } | Target::Number { .. } | Target::None, _) => {
                return Self::Absent;
            }
        };
        if own.len() != labels.len() {
            return Self::Other;
        }
        let by_number = || are_unnamed(own).then(|| numbered(labels, map)).flatten();
        [(By::Name, str::to_owned as fn(&str) -> String), (By::Spelling, |name| name.trim().to_lowercase())]
            .into_iter()
            .find_map(|(by, spelled)| Some((outputs(labels, own, spelled)?, by)))
            .or_else(|| Some((by_number()?, By::Number)))
            .map_or(Self::Other, |(outputs, by)| Self::Same { outputs, by })
    }

    /// Whether an untrained model answers this task with a randomly initialised head.
    #[must_use]
    pub fn is_drawn(task: &Task, model: &ModelSpec) -> bool {
        match task.objective.head() {
            Head::Classifier { .. } => Self::of(task, model).outputs().is_none(),
            // Taggers start with a head of their own.
            Head::Tagger { .. } => true,
            Head::LanguageModel => false,
        }
    }

    /// For each class of the task, or for its number, the index of the matching output, where the model's own
    /// head has the same ones.
    #[must_use]
    pub fn outputs(self) -> Option<Vec<usize>> {
        match self {
            Self::Same { outputs, .. } => Some(outputs),
            Self::Absent | Self::Other => None,
        }
    }
}

/// The index of each wanted name among a model's, each used once.
fn outputs(wanted: &[String], own: &[String], spelled: fn(&str) -> String) -> Option<Vec<usize>> {
    let own: Vec<String> = own.iter().map(|name| spelled(name)).collect();
    let places = wanted.iter().map(|name| own.iter().position(|known| *known == spelled(name)));
    once_each(places.collect::<Option<_>>()?)
}

/// Classes that are the numbers from 0 on, in the task or in its file.
fn numbered(labels: &[String], map: &BTreeMap<String, String>) -> Option<Vec<usize>> {
    let number = |name: &String| {
        let mut values = map.iter().filter(|(_, class)| *class == name).map(|(value, _)| value);
        match (values.next(), values.next()) {
            (Some(value), None) => value.parse().ok(),
            (None, _) => name.parse().ok(),
            // Several values are one class here, but not for the model.
            (Some(_), Some(_)) => None,
        }
    };
    let places: Vec<usize> = labels.iter().map(number).collect::<Option<_>>()?;
    let all_known = places.iter().all(|place| *place < labels.len());
    all_known.then_some(places).and_then(once_each)
}

fn once_each(places: Vec<usize>) -> Option<Vec<usize>> {
    let mut sorted = places.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (sorted.len() == places.len()).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Parts;
    use crate::plan::example;
    use crate::tasks::{Classification, Objective};

    fn own(classes: &[&str], labels: &[&str], map: &[(&str, &str)]) -> OwnHead {
        let sweep = example::sweep();
        let (task, model) = (sweep.first_task(), sweep.models.values().next().expect("a model"));
        let Objective::Classification(objective) = &task.objective else { panic!("a classification") };
        let names = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let map: BTreeMap<String, String> =
            map.iter().map(|(value, class)| ((*value).to_owned(), (*class).to_owned())).collect();
        let objective = Classification { labels: names(labels), label_map: map, ..objective.clone() };
        let task = Task { objective: Objective::Classification(objective), ..(**task).clone() };
        let parts = Parts { classes: Some(names(classes)), ..Parts::default() };
        OwnHead::of(&task, &ModelSpec { parts, ..model.clone() })
    }

    #[test]
    fn classes_are_the_same_whatever_their_order() {
        let same = |outputs: &[usize], by| OwnHead::Same { outputs: outputs.to_vec(), by };
        assert_eq!(own(&["neg", "pos"], &["neg", "pos"], &[]), same(&[0, 1], By::Name));
        assert_eq!(own(&["b", "c", "a"], &["a", "b", "c"], &[]), same(&[2, 0, 1], By::Name));
        assert_eq!(
            own(&["POSITIVE", "NEGATIVE"], &["negative", "positive"], &[]),
            same(&[1, 0], By::Spelling)
        );
        assert_eq!(own(&["LABEL_0", "LABEL_1"], &["0", "1"], &[]), same(&[0, 1], By::Number));
        // Classes stand in the order of their names.
        let map = [("0", "World"), ("1", "Sports"), ("2", "Business")];
        let labels = ["Business", "Sports", "World"];
        assert_eq!(own(&["LABEL_0", "LABEL_1", "LABEL_2"], &labels, &map), same(&[2, 1, 0], By::Number));
    }

    #[test]
    fn other_classes_are_told_apart() {
        for (classes, labels, map) in [
            (&["neg", "pos"][..], &["neg", "pos", "neutral"][..], &[][..]),
            (&["neg", "pos"], &["no", "yes"], &[]),
            (&["LABEL_0", "LABEL_1"], &["no", "yes"], &[]),
            (&["LABEL_0", "LABEL_1"], &["1", "2"], &[]),
            (&["LABEL_0", "LABEL_1"], &["bad", "good"], &[("0", "bad"), ("1", "bad"), ("2", "good")]),
            (&["Yes", "yes"], &["YES", "no"], &[]),
        ] {
            assert_eq!(own(classes, labels, map), OwnHead::Other, "{classes:?} {labels:?}");
        }
    }
}
