//! Owns by which metric each task of a sweep selects, where it is not its kind's own. Scores nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Metric;

/// The metrics that select.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Select {
    /// On every task, its kind's own.
    #[default]
    Kinds,
    /// This one on every task.
    All(Metric),
    /// These on the tasks of these names, and on others their kind's own.
    Each(BTreeMap<String, Metric>),
}

impl Select {
    /// These on the tasks of these names. `tasks` is the number of all tasks.
    #[must_use]
    pub fn on(each: BTreeMap<String, Metric>, tasks: usize) -> Self {
        let Some(first) = each.values().next().copied() else { return Self::Kinds };
        let is_all = each.len() == tasks && each.values().all(|metric| *metric == first);
        if is_all { Self::All(first) } else { Self::Each(each) }
    }

    /// The metric that selects on a task; `None` where it is its kind's own.
    #[must_use]
    pub fn of(&self, task: &str) -> Option<Metric> {
        match self {
            Self::Kinds => None,
            Self::All(metric) => Some(*metric),
            Self::Each(each) => each.get(task).copied(),
        }
    }

    /// Whether every task selects by its kind's own metric.
    #[must_use]
    pub fn is_kinds(&self) -> bool {
        *self == Self::Kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_one_metric_wherever_one_selects_on_all_tasks() {
        let on = |each: &[(&str, Metric)], tasks| {
            Select::on(each.iter().map(|(name, metric)| ((*name).to_owned(), *metric)).collect(), tasks)
        };
        let (f1, mcc) = (Metric::MacroF1, Metric::Matthews);
        let cases = [
            (on(&[], 2), "null", [None, None]),
            (on(&[("a", f1), ("b", f1)], 2), "\"macro_f1\"", [Some(f1); 2]),
            (on(&[("a", f1)], 2), "{\"a\":\"macro_f1\"}", [Some(f1), None]),
            (
                on(&[("a", f1), ("b", mcc)], 2),
                "{\"a\":\"macro_f1\",\"b\":\"matthews\"}",
                [Some(f1), Some(mcc)],
            ),
        ];
        for (select, written, of) in cases {
            assert_eq!(serde_json::to_string(&select).unwrap(), written);
            assert_eq!(serde_json::from_str::<Select>(written).unwrap(), select);
            assert_eq!(["a", "b"].map(|task| select.of(task)), of);
        }
    }
}
