//! Owns question answering: the answer to a question about a text, generated; cross-entropy on the answer and
//! its end alone, and SQuAD's metrics. Reads no file and trains nothing.

mod prompts;
mod squad;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::keys::{Given, KeyFault, KeyValue, TaskKey};
use super::kind::{
    Answered, Constant, EncodeError, EncodedRow, Encoder, Measured, Prediction, Row, Tally, TaskKind, Words,
    next_tokens,
};
use super::language_modelling::TokenLosses;
use super::{Classes, Examples, Fields, Objective, Purpose};
use crate::families::Head;
use crate::values::{JudgedRow, Metric, RowAnswer, Scores};

pub use prompts::{Prompts, fill};

const NAME: &str = "question_answering";

/// The answer to a question about a text, generated. Loss is taken on the answer and its end alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionAnswering {
    /// The prompt, with `{context}` and `{question}` in it.
    pub template: String,
    /// Longest generated answer, in tokens.
    pub max_new_tokens: usize,
    /// What to do with questions without an answer; where absent, they are an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswerable: Option<Unanswerable>,
}

/// How to treat questions without an answer, which SQuAD 2.0 has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unanswerable {
    /// They are left out.
    Drop,
    /// This text is their answer.
    Answer(String),
}

/// The word for leaving out questions without an answer.
const DROP: &str = "drop";
/// Default of the longest generated answer, in tokens.
const MAX_NEW_TOKENS: usize = 32;

const KEYS: &[TaskKey] = &[
    TaskKey::optional("template", KeyValue::Text, "Prompt, with {context} and {question} in it"),
    TaskKey::optional(
        "unanswerable",
        KeyValue::Text,
        "Questions without an answer: drop leaves them out, any other text is their answer (default: an error)",
    ),
    TaskKey::optional("max_new_tokens", KeyValue::Count, "Longest generated answer in tokens (default: 32)"),
];

const METRICS: &[Metric] = &[Metric::F1, Metric::ExactMatch, Metric::Loss];

const WORDS: Words = Words {
    loss_unit: "nats per token",
    shown: METRICS,
    headline: &[Metric::F1, Metric::ExactMatch],
    metrics_note: Some(
        "Answers are generated greedily. Exact match and F1 over tokens are SQuAD's (Rajpurkar et al. 2016): \
         lower case, no punctuation, no articles, the best over all gold answers. Loss is taken on the answer and \
         its end alone.",
    ),
    baseline: None,
    baseline_note: "",
    constant: Constant::ANY,
};

impl QuestionAnswering {
    /// Without any settings.
    pub const EMPTY: Self =
        Self { template: String::new(), max_new_tokens: MAX_NEW_TOKENS, unanswerable: None };
    /// The default prompt.
    pub const TEMPLATE: &str = "Context: {context}\nQuestion: {question}\nAnswer:";
}

impl TaskKind for QuestionAnswering {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "Answers to questions about texts"
    }

    fn keys(&self) -> &'static [TaskKey] {
        KEYS
    }

    fn faults(&self, given: &Given) -> Vec<KeyFault> {
        let template = given.text("template").unwrap_or(Self::TEMPLATE);
        let parts = ["{context}", "{question}"].into_iter();
        parts
            .filter(|part| !template.contains(part))
            .map(|part| KeyFault::Value {
                key: "template",
                found: format!("without `{part}`"),
                allowed: "a text with `{context}` and `{question}` in it",
            })
            .collect()
    }

    fn objective(&self, given: &Given, _classes: Classes) -> Option<Objective> {
        Some(Objective::QuestionAnswering(Self {
            template: given.text("template").unwrap_or(Self::TEMPLATE).to_owned(),
            max_new_tokens: given.number("max_new_tokens").unwrap_or(MAX_NEW_TOKENS),
            unanswerable: given.text("unanswerable").map(|text| match text {
                DROP => Unanswerable::Drop,
                _ => Unanswerable::Answer(text.to_owned()),
            }),
        }))
    }

    fn fields(&self) -> Fields<'_> {
        Fields::Questions { unanswerable: self.unanswerable.as_ref() }
    }

    fn head(&self) -> Head {
        Head::LanguageModel
    }

    fn encode(&self, rows: &Examples, by: Encoder<'_>) -> Result<Vec<EncodedRow>, EncodeError> {
        let Examples::Questions(questions) = rows else { unreachable!("rows are read as questions") };
        let sequences = Prompts::new(self, by)?.rows(questions)?;
        let rows = sequences.into_iter().zip(questions);
        Ok(rows
            .map(|(sequence, asked)| EncodedRow {
                answers: asked.answers.clone(),
                ..EncodedRow::of_tokens(sequence)
            })
            .collect())
    }

    fn measure(&self, rows: &Examples, by: Encoder<'_>) -> Result<Measured, EncodeError> {
        let Examples::Questions(questions) = rows else { unreachable!("rows are read as questions") };
        Ok(Measured::Rows(prompts::lengths(questions, self, by.tokenizer)?))
    }

    fn predictions(&self, row: Row<'_>) -> Option<Vec<Prediction>> {
        Some(next_tokens(row, row.second as usize))
    }

    #[cfg(feature = "torch")]
    fn answers(&self, _outputs: &tch::Tensor) -> Option<tch::Tensor> {
        None
    }

    fn generates(&self) -> Option<usize> {
        Some(self.max_new_tokens)
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn tally(&self) -> Box<dyn Tally + '_> {
        Box::new(Answers::default())
    }

    fn purpose(&self) -> Purpose {
        Purpose::QuestionAnswering(self.clone())
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("prompt", self.template.replace('\n', "\\n")),
            ("longest answer (tokens)", self.max_new_tokens.to_string()),
        ]
    }
}

/// Summed scores of generated answers, with the losses of the gold ones.
#[derive(Clone, Debug, PartialEq, Default)]
struct Answers {
    losses: TokenLosses,
    exact_matches: u64,
    f1: f64,
    answers: u64,
    /// The answers to rows, each with the first right one, whether it is right and its F1.
    texts: BTreeMap<u32, (String, Option<String>, bool, f64)>,
}

impl Tally for Answers {
    fn add(&mut self, row: &Answered<'_>) {
        self.losses.add(row);
    }

    /// Each score is the best over the gold answers.
    fn add_text(&mut self, index: u32, answer: &str, row: Row<'_>) {
        // An answer is one line; what a model goes on with is none.
        let answer = answer.lines().next().unwrap_or_default().trim();
        let is_right = row.answers.iter().any(|gold| squad::exact_match(answer, gold));
        let f1 = row.answers.iter().map(|gold| squad::f1(answer, gold)).fold(0.0, f64::max);
        self.answers += 1;
        self.exact_matches += u64::from(is_right);
        self.f1 += f1;
        self.texts.insert(index, (answer.to_owned(), row.answers.first().cloned(), is_right, f1));
    }

    fn take_rows(&mut self) -> Vec<JudgedRow> {
        let mut rows = self.losses.take_rows();
        for row in &mut rows {
            let tokens = row.predictions();
            let (text, target, exact_match, f1) = self.texts.remove(&row.row).unwrap_or_default();
            row.answer = RowAnswer::Text { tokens, text, target, exact_match, f1 };
        }
        rows
    }

    /// Zeros where nothing was counted.
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    fn scores(&self) -> Scores {
        let answers = self.answers.max(1) as f64;
        Scores::of(NAME)
            .with(Metric::Loss, self.losses.mean())
            .with(Metric::ExactMatch, self.exact_matches as f64 / answers)
            .with(Metric::F1, self.f1 / answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::RowTarget;

    #[test]
    fn the_best_gold_answer_counts_for_each_score() {
        let gold = ["Denver".to_owned(), "the Denver Broncos".to_owned()];
        let row = Row { tokens: &[], second: 0, target: RowTarget::Class(0), answers: &gold };
        let mut tally = Answers::default();
        for (index, predicted) in (0..).zip(["denver", "Denver Broncos team", "Panthers"]) {
            tally.add_text(index, predicted, row);
        }
        tally.add(&Answered { index: 1, row, losses: &[0.5, 1.5], answers: &[] });
        let scores = tally.scores();
        assert_eq!((scores.loss(), scores.get(Metric::ExactMatch)), (Some(1.0), Some(1.0 / 3.0)));
        assert!((scores.get(Metric::F1).unwrap() - (1.0 + 0.8) / 3.0).abs() < 1e-12);
        let text = "Denver Broncos team".to_owned();
        let target = Some(gold[0].clone());
        let answer = RowAnswer::Text { tokens: 2, text, target, exact_match: false, f1: 0.8 };
        assert_eq!(tally.take_rows(), [JudgedRow { row: 1, loss: 2.0, answer }]);
    }

    #[test]
    fn nothing_counted_scores_zero_not_nan() {
        let scores = Answers::default().scores();
        assert_eq!([Metric::ExactMatch, Metric::F1].map(|metric| scores.get(metric)), [Some(0.0); 2]);
    }
}
