//! Owns the interface between a kind of task and everything else. Knows no kind by name.

use std::fmt;

#[cfg(feature = "torch")]
use tch::Tensor;

use super::keys::{Given, KeyFault, TaskKey};
use super::{Classes, Examples, Fields, Objective, Purpose, RowTarget};
use crate::families::Head;
use crate::tokenizer::{ChatError, Sequence, Tokenizer, TokenizerError};
use crate::values::{ClassRows, JudgedRow, Metric, Reference, Scores, TrialResult};

/// A kind of task with its settings: its keys in a sweep file, its rows, its loss, its scores, and its words.
///
/// Methods that do not depend on settings can be called on [`super::KINDS`] too, whose settings are empty.
pub trait TaskKind: fmt::Debug + Send + Sync {
    /// Its name in sweep files, records and `init --kind`.
    fn name(&self) -> &'static str;

    /// What is learned, in a few words.
    fn about(&self) -> &'static str;

    /// The keys of a task that this kind uses.
    fn keys(&self) -> &'static [TaskKey];

    /// Faults of the keys that the table of keys cannot express.
    fn faults(&self, _given: &Given) -> Vec<KeyFault> {
        Vec::new()
    }

    /// The kind with the settings of a sweep file; `None` where these are too few to read any row.
    fn objective(&self, given: &Given, classes: Classes) -> Option<Objective>;

    /// The fields that are read from each row of a file.
    fn fields(&self) -> Fields<'_>;

    /// Whether rows are joined, so that sequences rather than rows are divided.
    fn joins_rows(&self) -> bool {
        false
    }

    /// Class names; empty where there are no classes.
    fn labels(&self) -> &[String] {
        &[]
    }

    /// The head that a model needs, with the number of classes from the settings.
    fn head(&self) -> Head;

    /// Whether it predicts token by token; its loss and its speed are then per token.
    fn by_token(&self) -> bool {
        match self.head() {
            Head::Classifier { .. } => false,
            Head::LanguageModel | Head::Tagger { .. } => true,
        }
    }

    /// Rows as tokens, each with its target, on all of rayon's threads.
    ///
    /// # Errors
    /// Where the tokenizer rejects a text, or a row does not fit.
    fn encode(&self, rows: &Examples, by: Encoder<'_>) -> Result<Vec<EncodedRow>, EncodeError>;

    /// How long rows are before they are cut.
    ///
    /// # Errors
    /// Where the tokenizer rejects a text.
    fn measure(&self, rows: &Examples, by: Encoder<'_>) -> Result<Measured, EncodeError>;

    /// How many rows are left out because not even their beginning fits.
    ///
    /// # Errors
    /// As [`Self::encode`].
    fn unfit(&self, _rows: &Examples, _by: Encoder<'_>) -> Result<usize, EncodeError> {
        Ok(0)
    }

    /// What is predicted at single tokens of a row, in the order of the row; `None` where the row as a whole has
    /// a target.
    fn predictions(&self, _row: Row<'_>) -> Option<Vec<Prediction>> {
        None
    }

    /// Longest generated answer in tokens, if answers are generated and scored.
    fn generates(&self) -> Option<usize> {
        None
    }

    /// The token that ends a generated answer, besides the one that ends a text.
    fn stop(&self, _row: Row<'_>) -> Option<u32> {
        None
    }

    /// The loss of each prediction, `[K, N]`, from outputs `[K, N, C]` and targets `[K or 1, N]`: class or
    /// token indices as 64-bit integers, or numbers in 32 bits; or `[K or 1, N, C]`, 1 for each class that a row
    /// has and 0 for others, in 32 bits. In nats, if it is a cross-entropy.
    #[cfg(feature = "torch")]
    fn losses(&self, outputs: &Tensor, targets: &Tensor) -> Tensor {
        super::loss::cross_entropy(outputs, targets)
    }

    /// How much a row of each class counts in the training loss of a trial that trains on these targets; `None`
    /// where all rows count the same.
    fn class_weights(&self, _train: &[RowTarget<&[u32]>]) -> Option<Vec<f64>> {
        None
    }

    /// What the tally needs of outputs `[K, N, C]` besides their losses: `[K, N, A]` numbers, the same A for
    /// every prediction; `None` where it needs nothing.
    #[cfg(feature = "torch")]
    fn answers(&self, outputs: &Tensor) -> Option<Tensor>;

    /// The metrics of trials, in the order of tables. The first one selects, unless the sweep names another.
    fn metrics(&self) -> &'static [Metric];

    /// Collects models' answers to rows.
    fn tally(&self) -> Box<dyn Tally + '_>;

    /// The same for test rows, where a model's last validation may have chosen how it answers.
    fn tally_after(&self, _validation: Option<&Scores>) -> Box<dyn Tally + '_> {
        self.tally()
    }

    /// Whether these are the scores of a model that gives one answer to every row.
    fn is_constant(&self, _scores: &Scores) -> bool {
        false
    }

    /// The facts about the targets of a trial's rows that its result stores, for the baseline.
    fn target_facts(&self, _targets: &TrialTargets<'_>) -> TargetFacts {
        TargetFacts::default()
    }

    /// The scores of the best constant answer on the rows that a trial was judged on; `None` where there is no
    /// such answer, or the result does not store what it takes.
    fn baseline(&self, _result: &TrialResult) -> Option<Reference> {
        None
    }

    /// The purpose of a model that learned it.
    fn purpose(&self) -> Purpose;

    /// The words of reports for it.
    fn words(&self) -> &'static Words;

    /// Its settings, as listed in a report.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// What a report's first lines say about its data, after the number of rows.
    fn data_told(&self) -> Option<String> {
        None
    }
}

/// The tools to tokenise rows.
#[derive(Clone, Copy, Debug)]
pub struct Encoder<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Longest sequence, in tokens, special tokens included.
    pub max_length: usize,
}

impl<'a> Encoder<'a> {
    /// The tokenizer and its end-of-text token.
    ///
    /// # Errors
    /// Where it has none.
    pub fn end(self) -> Result<(&'a Tokenizer, u32), EncodeError> {
        let end = self.tokenizer.end_of_text().ok_or(EncodeError::NoEnd)?;
        Ok((self.tokenizer, end))
    }
}

/// A tokenised row.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedRow {
    /// Its tokens.
    pub sequence: Sequence,
    /// Its target.
    pub target: RowTarget,
    /// Gold answers; only for question answering and chat.
    pub answers: Vec<String>,
}

impl EncodedRow {
    /// A row whose targets are its own tokens.
    #[must_use]
    pub fn of_tokens(sequence: Sequence) -> Self {
        Self { sequence, target: RowTarget::Class(0), answers: Vec::new() }
    }
}

/// A row of a token store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// Its token ids, special tokens included.
    pub tokens: &'a [u32],
    /// Where its second part begins: the second text of a pair, or the answer to a question or in a conversation.
    /// The number of tokens where there is none.
    pub second: u32,
    /// Its target; class 0 where the targets are its tokens.
    pub target: RowTarget<&'a [u32]>,
    /// Gold answers; only for question answering.
    pub answers: &'a [String],
}

/// What is predicted at a token of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The token whose activations are read, by its position in the row.
    pub reads: u32,
    /// The right answer: a token's id, or the index of a class.
    pub wanted: u32,
}

/// The tokens of a row from this one on, each predicted from those before it.
pub(super) fn next_tokens(row: Row<'_>, from: usize) -> Vec<Prediction> {
    let wanted = (0..).zip(row.tokens.iter().skip(1)).skip(from.saturating_sub(1));
    wanted.map(|(reads, token)| Prediction { reads, wanted: *token }).collect()
}

/// A row that cannot be tokenised.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The tokenizer has no token that ends a text.
    #[error("the tokenizer has no end-of-text token; name it as `eos_token` in tokenizer_config.json")]
    NoEnd,
    /// The prompt does not fit even without a context.
    #[error(
        "the prompt of the question `{question}` has no room in {max_length} tokens even without its \
         context; raise `max_length` or lower `max_new_tokens`"
    )]
    TooLong {
        /// The question's beginning.
        question: String,
        /// The limit.
        max_length: usize,
    },
    /// A conversation cannot be written out.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The tokenizer rejects the text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Lengths found by tokenising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    /// The length of each row, in tokens.
    Rows(Vec<usize>),
    /// The tokens of all rows together, where these are joined.
    Text(usize),
}

/// A row with a model's answers to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answered<'a> {
    /// Its index in its part.
    pub index: u32,
    /// The row.
    pub row: Row<'a>,
    /// The loss of each of its predictions: one, or one for each predicted token.
    pub losses: &'a [f64],
    /// What [`TaskKind::answers`] gives for each prediction, one after the other.
    pub answers: &'a [f64],
}

/// Collects a model's answers to rows, batch by batch. Rows have their indices in their part.
pub trait Tally {
    /// A row with a model's answers.
    fn add(&mut self, row: &Answered<'_>);

    /// A generated answer to a row. Comes before its other answers.
    fn add_text(&mut self, _index: u32, _answer: &str, _row: Row<'_>) {}

    /// The scores of what was counted.
    fn scores(&self) -> Scores;

    /// The rows that were counted, in any order.
    fn take_rows(&mut self) -> Vec<JudgedRow>;
}

/// The targets of the rows that a trial was trained and judged on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrialTargets<'a> {
    /// Of the rows that it trained on.
    pub train: Vec<RowTarget<&'a [u32]>>,
    /// Of its validation rows.
    pub validation: Vec<RowTarget<&'a [u32]>>,
    /// Of the test rows; empty without any.
    pub test: Vec<RowTarget<&'a [u32]>>,
}

/// What a trial's targets leave in its result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetFacts {
    /// How many rows each class has.
    pub class_rows: Option<ClassRows>,
    /// What the best constant answer scores.
    pub baseline: Option<Reference>,
}

/// How reports speak of a kind of task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Words {
    /// Unit of the loss.
    pub loss_unit: &'static str,
    /// Metrics shown in tables in addition to the one that selects.
    pub shown: &'static [Metric],
    /// Metrics named in a headline in addition to the one that selects.
    pub headline: &'static [Metric],
    /// A note on its metrics, where a reader may wonder about them.
    pub metrics_note: Option<&'static str>,
    /// The name of the best constant answer in tables; `None` where there is no constant answer, and models are
    /// compared with the untrained base.
    pub baseline: Option<&'static str>,
    /// A description of the best constant answer, with `{}` for the answers of a sweep's tasks.
    pub baseline_note: &'static str,
    /// A model that gives one answer to every row.
    pub constant: Constant,
}

/// How reports speak of a model that gives one answer to every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    /// What one model does: `answers one class`.
    pub does: &'static str,
    /// What several do: `answer one class`.
    pub do_plural: &'static str,
    /// What is answered: `one class`.
    pub what: &'static str,
    /// How it is recognised, and what follows from it.
    pub note: Option<&'static str>,
}

impl Constant {
    /// Of kinds that do not recognise such models.
    pub const ANY: Self =
        Self { does: "gives one answer", do_plural: "give one answer", what: "one answer", note: None };
}
