//! Owns the metrics of answers, as in SQuAD's official evaluation (Rajpurkar et al. 2016): exact match and F1
//! over tokens, after normalisation.

use std::collections::HashMap;

/// Whether two texts are the same once normalised.
pub(super) fn exact_match(predicted: &str, gold: &str) -> bool {
    normalise(predicted) == normalise(gold)
}

/// Harmonic mean of precision and recall over the words that two texts share, counted with multiplicity; 0
/// where they share none, also where both are empty. In [0, 1].
pub(super) fn f1(predicted: &str, gold: &str) -> f64 {
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
    // In the official order of operations, so that the result is equal to the last bit.
    #[expect(clippy::cast_precision_loss, reason = "answers have far fewer than 2^52 words")]
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

/// White space in the official evaluation: Python also counts four control characters.
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
}
