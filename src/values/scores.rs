//! Owns the scores of a set of rows: a map from metrics to numbers, with a few counts. Computes none of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Metric, Unit};

/// Scores on a set of rows.
///
/// In JSON one flat object: `{"kind": "classification", "loss": 0.3, "accuracy": 0.9, …}`. A metric that is
/// undefined for these rows is absent, such as the correlation with a constant answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    kind: String,
    values: BTreeMap<Metric, f64>,
    counts: BTreeMap<Count, u64>,
    threshold: Option<f64>,
}

/// The name of the threshold in JSON.
const THRESHOLD: &str = "threshold";

/// A count kept next to the metrics of a set of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// Predicted tokens.
    Tokens,
    /// Rows.
    Rows,
    /// Distinct answers, where each row is answered by a number.
    Answers,
}

impl Count {
    /// All of them.
    const ALL: [Self; 3] = [Self::Tokens, Self::Rows, Self::Answers];

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Rows => "rows",
            Self::Answers => "answers",
        }
    }
}

impl Scores {
    /// Empty scores of a task of this kind.
    #[must_use]
    pub fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), values: BTreeMap::new(), counts: BTreeMap::new(), threshold: None }
    }

    /// Adds a metric's value.
    #[must_use]
    pub fn with(mut self, metric: Metric, value: f64) -> Self {
        self.set(metric, value);
        self
    }

    /// Sets a metric's value.
    pub fn set(&mut self, metric: Metric, value: f64) {
        self.values.insert(metric, value);
    }

    /// Adds a metric's value, where it is defined.
    #[must_use]
    pub fn with_defined(self, metric: Metric, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.with(metric, value),
            None => self,
        }
    }

    /// Adds a count.
    #[must_use]
    pub fn with_count(mut self, count: Count, number: u64) -> Self {
        self.set_count(count, number);
        self
    }

    /// Sets a count.
    pub fn set_count(&mut self, count: Count, number: u64) {
        self.counts.insert(count, number);
    }

    /// Says from which probability on a label counted as answered.
    #[must_use]
    pub fn with_threshold(self, threshold: f64) -> Self {
        Self { threshold: Some(threshold), ..self }
    }

    /// From which probability on a label counted as answered; `None` where labels are not answered one by one.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// The kind of task, as named in files.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The value of a metric, measured or derived; `None` where these scores do not have it or it is undefined.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<f64> {
        let follows = || {
            let (from, how) = metric.row().follows?;
            Some(how(*self.values.get(&from)?))
        };
        self.values.get(&metric).copied().or_else(follows)
    }

    /// A count; `None` where these scores do not have it.
    #[must_use]
    pub fn count(&self, count: Count) -> Option<u64> {
        self.counts.get(&count).copied()
    }

    /// The loss on these rows; `None` where it was not measured.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        self.values.iter().find(|(metric, _)| metric.row().unit == Unit::Loss).map(|(_, value)| *value)
    }

    /// Whether the loss is present and finite.
    #[must_use]
    pub fn has_finite_loss(&self) -> bool {
        self.loss().is_some_and(f64::is_finite)
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.kind)?;
        for (metric, value) in self.values.iter().filter(|(_, value)| value.is_finite()) {
            map.serialize_entry(metric.name(), value)?;
        }
        for (count, number) in &self.counts {
            map.serialize_entry(count.name(), number)?;
        }
        if let Some(threshold) = self.threshold {
            map.serialize_entry(THRESHOLD, &threshold)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Flat)
    }
}

struct Flat;

impl<'de> Visitor<'de> for Flat {
    type Value = Scores;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scores: a kind of task and a number for each metric")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scores, A::Error> {
        let (mut kind, mut values, mut counts) = (None, BTreeMap::new(), BTreeMap::new());
        let mut threshold = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "kind" {
                kind = Some(map.next_value()?);
            } else if key == THRESHOLD {
                threshold = Some(map.next_value()?);
            } else if let Some(metric) = Metric::from_name(&key) {
                values.extend(map.next_value::<Option<f64>>()?.map(|value| (metric, value)));
            } else if let Some(count) = Count::ALL.into_iter().find(|count| count.name() == key) {
                counts.insert(count, map.next_value()?);
            } else {
                // A metric of a later version.
                map.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
        let scores = Scores { kind, values, counts, threshold };
        if scores.has_finite_loss() {
            return Ok(scores);
        }
        let losses = Metric::ALL.iter().filter(|metric| metric.row().unit == Unit::Loss);
        let names: Vec<String> = losses.map(|metric| format!("`{}`", metric.name())).collect();
        Err(A::Error::custom(format!("scores without a loss: there is no {}", names.join(" or "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As every version before this one wrote them.
    const WRITTEN: [&str; 3] = [
        r#"{"kind":"classification","loss":0.25,"accuracy":0.875,"macro_precision":0.5,"macro_recall":0.25,"macro_f1":0.125}"#,
        r#"{"kind":"language_modelling","loss":3.0,"sequence_loss":4.5,"tokens":5}"#,
        r#"{"kind":"question_answering","loss":1.5,"exact_match":0.5,"f1":0.625}"#,
    ];

    #[test]
    fn scores_keep_the_form_that_they_have_always_had() {
        for text in WRITTEN {
            let scores: Scores = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&scores).unwrap(), text);
            assert!(scores.loss() > Some(0.0) && text.contains(scores.kind()));
        }
        let [classes, language, _] = WRITTEN.map(|text| serde_json::from_str::<Scores>(text).unwrap());
        assert_eq!((classes.get(Metric::Accuracy), classes.get(Metric::F1)), (Some(0.875), None));
        assert_eq!((classes.count(Count::Tokens), language.count(Count::Tokens)), (None, Some(5)));
        assert_eq!(language.get(Metric::Perplexity), Some(3.0_f64.exp()));
        assert_eq!(language.get(Metric::BitsPerToken), Some(3.0 / std::f64::consts::LN_2));
    }

    #[test]
    fn what_is_not_defined_is_absent_and_a_loss_is_not() {
        let scores = Scores::of("classification").with(Metric::Loss, 1.0).with(Metric::Accuracy, f64::NAN);
        let text = serde_json::to_string(&scores).unwrap();
        assert_eq!(text, r#"{"kind":"classification","loss":1.0}"#);
        assert_eq!(serde_json::from_str::<Scores>(&text).unwrap().get(Metric::Accuracy), None);
        for damaged in [r#"{"loss":1.0}"#, r#"{"kind":"classification","accuracy":1.0}"#, "3"] {
            assert!(serde_json::from_str::<Scores>(damaged).is_err(), "{damaged}");
        }
        let error = serde_json::from_str::<Scores>(r#"{"kind":"regression"}"#).unwrap_err().to_string();
        assert!(error.contains("without a loss: there is no `loss` or `mse`"), "{error}");
    }
}
