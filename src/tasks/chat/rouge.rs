//! Owns ROUGE-L (Lin 2004) as the Python package `rouge-score` computes it without stemming.

/// The F-measure of the longest common subsequence of two texts' words; 0 where either has none.
#[expect(clippy::cast_precision_loss, reason = "texts have far fewer than 2^52 words")]
pub(super) fn rouge_l(gold: &str, answer: &str) -> f64 {
    let (gold, answer) = (words(gold), words(answer));
    let common = common(&gold, &answer) as f64;
    if common == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (common / answer.len() as f64, common / gold.len() as f64);
    2.0 * precision * recall / (precision + recall)
}

/// Runs of ASCII letters and digits of the text in lower case; all else separates them.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Length of the longest common subsequence.
fn common(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut before = 0;
        for (at, other) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if word == other { before + 1 } else { above.max(row[at]) };
            before = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::rouge_l;

    /// As `tests/fixtures/make_rouge.py` recorded them.
    #[test]
    fn scores_are_those_of_the_python_package() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/chat/rouge.json");
        let cases: Vec<(String, String, f64)> =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(cases.len() >= 12);
        for (gold, answer, wanted) in cases {
            let found = rouge_l(&gold, &answer);
            assert!((found - wanted).abs() < 1e-12, "{gold:?}, {answer:?}: {found}, {wanted}");
        }
    }
}
