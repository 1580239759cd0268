//! Owns language modelling: the next token of running text; cross-entropy over the vocabulary, from which
//! perplexity and bits per token follow. Reads no file and trains nothing.

pub(super) mod sequences;

use serde::{Deserialize, Serialize};

use super::keys::{Given, KeyFault, KeyValue, TaskKey};
use super::kind::{
    Answered, Constant, EncodeError, EncodedRow, Encoder, Measured, Prediction, Row, Tally, TaskKind, Words,
    next_tokens,
};
use super::{Classes, Examples, Fields, Objective, Purpose};
use crate::families::Head;
use crate::values::{Count, JudgedRow, Metric, RowAnswer, Scores};

const NAME: &str = "language_modelling";

/// The next token of running text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageModelling {
    /// Columns that make up the text, joined by one space in this order; empty for plain text files.
    pub text: Vec<String>,
    /// How rows become sequences.
    pub layout: TextLayout,
}

/// How the rows of a text become sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextLayout {
    /// Rows are joined, each followed by the end-of-text token, and cut into blocks of `max_length`.
    Blocks,
    /// Each row is a sequence of its own, cut at `max_length`.
    Documents,
}

const DOCUMENTS: &str = "documents";

const KEYS: &[TaskKey] = &[
    TaskKey::TEXT,
    TaskKey::optional(
        "layout",
        KeyValue::Choice(&["blocks", DOCUMENTS]),
        "Rows joined and cut into blocks of max_length, or each row on its own (default: blocks)",
    ),
];

const METRICS: &[Metric] = &[Metric::Loss, Metric::Perplexity, Metric::BitsPerToken, Metric::SequenceLoss];

const WORDS: Words = Words {
    loss_unit: "nats per token",
    shown: METRICS,
    headline: &[Metric::Loss, Metric::Perplexity, Metric::BitsPerToken],
    metrics_note: Some(
        "Loss is the mean cross-entropy over predicted tokens; perplexity is its exponential and bits per token \
         its quotient by ln 2, each taken per trial and then averaged. Sequence loss is the mean over sequences \
         of each one's mean. Over all tasks, loss is the mean over all evaluated tokens, and perplexity and bits \
         per token follow from it.",
    ),
    baseline: None,
    baseline_note: "",
    constant: Constant::ANY,
};

impl LanguageModelling {
    /// Without any settings.
    pub const EMPTY: Self = Self { text: Vec::new(), layout: TextLayout::Blocks };
}

impl TaskKind for LanguageModelling {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "The next token of running text"
    }

    fn keys(&self) -> &'static [TaskKey] {
        KEYS
    }

    fn faults(&self, given: &Given) -> Vec<KeyFault> {
        let missing = KeyFault::Missing {
            key: "text",
            hint: "columns that make up the text; only plain text files have none",
        };
        if lacks_text(given) { vec![missing] } else { Vec::new() }
    }

    fn objective(&self, given: &Given, _classes: Classes) -> Option<Objective> {
        let documents = given.text("layout") == Some(DOCUMENTS);
        let layout = if documents { TextLayout::Documents } else { TextLayout::Blocks };
        let objective = Self { text: given.texts("text").to_vec(), layout };
        (!lacks_text(given)).then_some(Objective::LanguageModelling(objective))
    }

    fn fields(&self) -> Fields<'_> {
        Fields::Documents { text: &self.text, layout: self.layout }
    }

    fn joins_rows(&self) -> bool {
        self.layout == TextLayout::Blocks
    }

    fn head(&self) -> Head {
        Head::LanguageModel
    }

    fn encode(&self, rows: &Examples, by: Encoder<'_>) -> Result<Vec<EncodedRow>, EncodeError> {
        let (end, max_length) = (by.end()?, by.max_length);
        let sequences = match (rows, self.layout) {
            (Examples::Documents(texts), TextLayout::Blocks) => sequences::blocks(texts, end, max_length),
            (Examples::Documents(texts), TextLayout::Documents) => {
                sequences::documents(texts, end, max_length)
            }
            (Examples::Lines(lines), _) => sequences::running(lines, end, max_length),
            (
                Examples::Texts { .. }
                | Examples::Words { .. }
                | Examples::Questions(_)
                | Examples::Conversations(_),
                _,
            ) => {
                unreachable!("rows are read as text")
            }
        };
        Ok(sequences?.into_iter().map(EncodedRow::of_tokens).collect())
    }

    fn measure(&self, rows: &Examples, by: Encoder<'_>) -> Result<Measured, EncodeError> {
        let (tokenizer, _) = by.end()?;
        if let (Examples::Documents(texts) | Examples::Lines(texts), TextLayout::Documents) =
            (rows, self.layout)
        {
            let tokens = tokenizer.encode_plain(texts)?;
            return Ok(Measured::Rows(tokens.iter().map(|tokens| tokens.len() + 1).collect()));
        }
        let rows = self.encode(rows, by)?;
        Ok(Measured::Text(rows.iter().map(|row| row.sequence.tokens.len()).sum()))
    }

    fn predictions(&self, row: Row<'_>) -> Option<Vec<Prediction>> {
        Some(next_tokens(row, 1))
    }

    #[cfg(feature = "torch")]
    fn answers(&self, _outputs: &tch::Tensor) -> Option<tch::Tensor> {
        None
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn tally(&self) -> Box<dyn Tally + '_> {
        Box::new(TokenLosses::default())
    }

    fn purpose(&self) -> Purpose {
        Purpose::LanguageModelling
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let layout = match self.layout {
            TextLayout::Blocks => "blocks of joined rows",
            TextLayout::Documents => "one row each",
        };
        vec![("sequences", layout.to_owned())]
    }
}

/// Whether no text column is named although some file has columns.
fn lacks_text(given: &Given) -> bool {
    given.texts("text").is_empty() && !given.plain_text
}

/// Summed losses of sequences.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct TokenLosses {
    loss: f64,
    tokens: u64,
    sequence_losses: f64,
    sequences: u64,
    rows: Vec<JudgedRow>,
}

impl TokenLosses {
    /// Number of predicted tokens.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Mean of the sequences' mean losses; 0 where nothing was counted.
    #[expect(clippy::cast_precision_loss, reason = "sequences are far fewer than 2^52")]
    pub(super) fn mean_of_sequences(&self) -> f64 {
        self.sequence_losses / self.sequences.max(1) as f64
    }

    /// Mean loss, in nats per token; 0 where nothing was counted.
    #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
    pub(super) fn mean(&self) -> f64 {
        self.loss / self.tokens.max(1) as f64
    }
}

impl Tally for TokenLosses {
    /// A row without predicted tokens does not count as a sequence.
    #[expect(clippy::cast_precision_loss, reason = "sequences are far shorter")]
    fn add(&mut self, row: &Answered<'_>) {
        let Answered { index, losses, .. } = *row;
        let sum: f64 = losses.iter().sum();
        let tokens = u32::try_from(losses.len()).expect("sequences are short");
        self.rows.push(JudgedRow { row: index, loss: sum, answer: RowAnswer::Tokens { tokens } });
        if losses.is_empty() {
            return;
        }
        self.loss += sum;
        self.tokens += losses.len() as u64;
        self.sequence_losses += sum / losses.len() as f64;
        self.sequences += 1;
    }

    fn take_rows(&mut self) -> Vec<JudgedRow> {
        std::mem::take(&mut self.rows)
    }

    /// Zeros where nothing was counted.
    fn scores(&self) -> Scores {
        Scores::of(NAME)
            .with(Metric::Loss, self.mean())
            .with(Metric::SequenceLoss, self.mean_of_sequences())
            .with_count(Count::Tokens, self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::RowTarget;

    fn answered(index: u32, losses: &[f64]) -> Answered<'_> {
        let row = Row { tokens: &[], second: 0, target: RowTarget::Class(0), answers: &[] };
        Answered { index, row, losses, answers: &[] }
    }

    #[test]
    fn a_short_sequence_weighs_as_a_sequence_but_not_as_tokens() {
        let mut tally = TokenLosses::default();
        for (row, losses) in (0..).zip([&[1.0, 2.0, 3.0, 2.0][..], &[], &[7.0]]) {
            tally.add(&answered(row, losses));
        }
        let scores = tally.scores();
        assert_eq!((scores.loss(), scores.get(Metric::SequenceLoss)), (Some(3.0), Some(4.5)));
        assert_eq!(scores.count(Count::Tokens), Some(5));
        assert_eq!(scores.get(Metric::Perplexity), Some(3.0_f64.exp()));
        assert_eq!(scores.get(Metric::BitsPerToken), Some(3.0 / std::f64::consts::LN_2));
        let rows: Vec<_> =
            tally.take_rows().iter().map(|row| (row.row, row.loss, row.predictions())).collect();
        assert_eq!(rows, [(0, 8.0, 4), (1, 0.0, 0), (2, 7.0, 1)]);
    }

    #[test]
    fn nothing_counted_scores_zero_not_nan() {
        assert_eq!(TokenLosses::default().scores().loss(), Some(0.0));
    }
}
