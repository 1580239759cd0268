//! Owns the metrics of answers to questions, as SQuAD's official evaluation defines them (Rajpurkar et
//! al. 2016): exact match and F1 over tokens, after a normalisation.

use std::collections::HashMap;

use crate::values::AnswerScores;

/// Summed scores of answers.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct AnswerTally {
    exact_matches: u64,
    f1: f64,
    answers: u64,
}

impl AnswerTally {
    /// Counts one answer: each score is the best over the gold answers.
    pub fn add(&mut self, predicted: &str, gold: &[String]) {
        self.answers += 1;
        self.exact_matches += u64::from(gold.iter().any(|gold| exact_match(predicted, gold)));
        self.f1 += gold.iter().map(|gold| f1(predicted, gold)).fold(0.0, f64::max);
    }

    /// The scores of what was counted, zeros where nothing was, beside a loss per token.
    #[must_use]
    pub fn scores(&self, loss: f64) -> AnswerScores {
        let answers = self.answers.max(1) as f64;
        AnswerScores { loss, exact_match: self.exact_matches as f64 / answers, f1: self.f1 / answers }
    }
}

/// Whether two texts are the same once normalised.
fn exact_match(predicted: &str, gold: &str) -> bool {
    normalise(predicted) == normalise(gold)
}

/// Harmonic mean of precision and recall over the words that two texts share, counted as often as
/// both have them; 0 where they share none, also where both are empty. In [0, 1].
fn f1(predicted: &str, gold: &str) -> f64 {
    let [predicted, gold] = [predicted, gold].map(normalise);
    let mut left: HashMap<&str, usize> = HashMap::new();
    gold.split_whitespace().for_each(|word| *left.entry(word).or_default() += 1);
    let golden: usize = left.values().sum();
    let (mut words, mut shared) = (0_usize, 0_usize);
    for word in predicted.split_whitespace() {
        words += 1;
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    // The official order of operations, down to the last bit.
    let (precision, recall) = (shared as f64 / words as f64, shared as f64 / golden as f64);
    if shared == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}

/// Lower case, without ASCII punctuation, without the words a, an and the, single spaces.
fn normalise(text: &str) -> String {
    let text: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        kept.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = behind;
    }
    kept.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What the official evaluation splits at: Python counts four control characters as white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fixtures {
        answers: Vec<Answer>,
    }

    #[derive(Deserialize)]
    struct Answer {
        predicted: String,
        gold: String,
        normalised: [String; 2],
        exact_match: bool,
        f1: f64,
    }

    /// Recorded by `tests/fixtures/make_metrics.py`.
    #[test]
    fn answers_are_scored_as_by_the_official_evaluation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/metrics.json");
        let fixtures: Fixtures = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(fixtures.answers.len() > 60);
        for Answer { predicted, gold, normalised, exact_match: exact, f1: expected } in fixtures.answers {
            assert_eq!([normalise(&predicted), normalise(&gold)], normalised);
            assert_eq!(exact_match(&predicted, &gold), exact, "{predicted:?} and {gold:?}");
            assert_eq!(f1(&predicted, &gold), expected, "{predicted:?} and {gold:?}");
        }
    }

    #[test]
    fn the_best_gold_answer_counts_for_each_score() {
        let mut tally = AnswerTally::default();
        let gold = ["Denver".to_owned(), "the Denver Broncos".to_owned()];
        for predicted in ["denver", "Denver Broncos team", "Panthers"] {
            tally.add(predicted, &gold);
        }
        let scores = tally.scores(1.0);
        assert_eq!((scores.loss, scores.exact_match), (1.0, 1.0 / 3.0));
        assert!((scores.f1 - (1.0 + 0.8) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_counted_scores_zero_not_nan() {
        let scores = AnswerTally::default().scores(0.0);
        assert_eq!([scores.exact_match, scores.f1], [0.0; 2]);
    }
}
