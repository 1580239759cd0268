//! Owns the metrics of a language model. Perplexity and bits per token follow from the loss.

use crate::values::LanguageScores;

/// Summed losses of sequences.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct LanguageTally {
    loss: f64,
    tokens: u64,
    sequence_losses: f64,
    sequences: u64,
}

impl LanguageTally {
    /// Counts one sequence: the losses of its predicted tokens, in nats. One without any is no sequence.
    pub fn add(&mut self, losses: &[f64]) {
        if losses.is_empty() {
            return;
        }
        let sum: f64 = losses.iter().sum();
        self.loss += sum;
        self.tokens += losses.len() as u64;
        self.sequence_losses += sum / losses.len() as f64;
        self.sequences += 1;
    }

    /// The scores of what was counted; zeros where nothing was.
    #[must_use]
    pub fn scores(&self) -> LanguageScores {
        LanguageScores {
            loss: self.loss / self.tokens.max(1) as f64,
            sequence_loss: self.sequence_losses / self.sequences.max(1) as f64,
            tokens: self.tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{Metric, Scores};

    #[test]
    fn a_short_sequence_weighs_as_a_sequence_but_not_as_tokens() {
        let mut tally = LanguageTally::default();
        for losses in [&[1.0, 2.0, 3.0, 2.0][..], &[], &[7.0]] {
            tally.add(losses);
        }
        let scores = tally.scores();
        assert_eq!(scores, LanguageScores { loss: 3.0, sequence_loss: 4.5, tokens: 5 });
        let scores = Scores::LanguageModelling(scores);
        assert_eq!(scores.get(Metric::Perplexity), Some(3.0_f64.exp()));
        assert_eq!(scores.get(Metric::BitsPerToken), Some(3.0 / std::f64::consts::LN_2));
    }

    #[test]
    fn nothing_counted_scores_zero_not_nan() {
        assert_eq!(LanguageTally::default().scores().loss, 0.0);
    }
}
