//! Owns the seam between a kind of task and everything else: what each kind says of itself. Knows no
//! kind by name.

use std::fmt;
use std::ops::Range;

#[cfg(feature = "torch")]
use tch::Tensor;

use super::keys::{Given, KeyFault, TaskKey};
use super::{Classes, Examples, Fields, Objective, Purpose, RowTarget};
use crate::families::Head;
use crate::tokenizer::{Sequence, Tokenizer, TokenizerError};
use crate::values::{ClassRows, Metric, Reference, Scores, TrialResult};

/// A kind of task with its settings: its keys in a sweep file, its rows, its loss, its scores, and its
/// words.
///
/// What is said of the kind alone holds for [`super::KINDS`] too, whose settings are empty.
pub trait TaskKind: fmt::Debug + Send + Sync {
    /// Its name in sweep files, records and `init --kind`.
    fn name(&self) -> &'static str;

    /// What is learned, in a few words.
    fn about(&self) -> &'static str;

    /// The keys of a task that mean something for this kind.
    fn keys(&self) -> &'static [TaskKey];

    /// What is wrong with the keys beyond what the table of keys can say.
    fn faults(&self, _given: &Given) -> Vec<KeyFault> {
        Vec::new()
    }

    /// The kind with the settings that a sweep file gives it; `None` where too little is said for any
    /// row to be read.
    fn objective(&self, given: &Given, classes: Classes) -> Option<Objective>;

    /// What is read of each row of a file.
    fn fields(&self) -> Fields<'_>;

    /// Whether rows are joined, so that sequences are divided and not rows.
    fn joins_rows(&self) -> bool {
        false
    }

    /// Class names; none where there are no classes.
    fn labels(&self) -> &[String] {
        &[]
    }

    /// What a model needs on top of its base. The number of classes is that of the settings.
    fn head(&self) -> Head;

    /// Whether it predicts token by token: its loss and its speed are counted in tokens then.
    fn by_token(&self) -> bool {
        self.head() == Head::LanguageModel
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

    /// The tokens of a row that are to be predicted from those before them; `None` where the row as a
    /// whole has a target.
    fn predicted(&self, row: Row<'_>) -> Option<Range<usize>>;

    /// Longest generated answer in tokens, where answers are generated to be scored.
    fn generates(&self) -> Option<usize> {
        None
    }

    /// The loss of each prediction, `[K, N]`, of outputs `[K, N, C]` and targets `[K or 1, N]`: class or
    /// token indices as 64-bit integers, or numbers in 32 bits. In nats, where it is a cross-entropy.
    #[cfg(feature = "torch")]
    fn losses(&self, outputs: &Tensor, targets: &Tensor) -> Tensor {
        super::loss::cross_entropy(outputs, targets)
    }

    /// What outputs `[K, N, C]` answer to rows, `[K, N]`: a class's index, or a number.
    #[cfg(feature = "torch")]
    fn answers(&self, outputs: &Tensor) -> Tensor {
        outputs.argmax(-1, false)
    }

    /// What trials are scored by, in the order of tables. The first selects where the sweep names none.
    fn metrics(&self) -> &'static [Metric];

    /// Counts what models say of rows.
    fn tally(&self) -> Box<dyn Tally>;

    /// Whether these are the scores of a model that gives one answer to every row.
    fn is_constant(&self, _scores: &Scores) -> bool {
        false
    }

    /// What the targets of a trial's rows leave in its result: what a baseline is made from.
    fn target_facts(&self, _targets: &TrialTargets) -> TargetFacts {
        TargetFacts::default()
    }

    /// What the best constant answer scores on the rows that a trial was judged on; `None` where there
    /// is no such answer, or the result does not tell.
    fn baseline(&self, _result: &TrialResult) -> Option<Reference> {
        None
    }

    /// What a model that learned it is for.
    fn purpose(&self) -> Purpose;

    /// How reports speak of it.
    fn words(&self) -> &'static Words;

    /// Its settings as a report lists them.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// What a report's first lines say of its data, behind the number of rows.
    fn data_told(&self) -> Option<String> {
        None
    }
}

/// What rows are made tokens with.
#[derive(Clone, Copy, Debug)]
pub struct Encoder<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Longest sequence, in tokens, special tokens included.
    pub max_length: usize,
}

impl<'a> Encoder<'a> {
    /// The tokenizer and its token that ends a text.
    ///
    /// # Errors
    /// Where it has none.
    pub fn end(self) -> Result<(&'a Tokenizer, u32), EncodeError> {
        let end = self.tokenizer.end_of_text().ok_or(EncodeError::NoEnd)?;
        Ok((self.tokenizer, end))
    }
}

/// A row as tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedRow {
    /// Its tokens.
    pub sequence: Sequence,
    /// What is to be learned of it.
    pub target: RowTarget,
    /// Gold answers; empty but for question answering.
    pub answers: Vec<String>,
}

impl EncodedRow {
    /// A row whose tokens are what is to be predicted.
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
    /// Where its second part begins: the second text of a pair, the answer to a question. The number
    /// of tokens where there is none.
    pub second: u32,
    /// What is to be learned of it; class 0 where its tokens are.
    pub target: RowTarget,
    /// Gold answers; empty but for question answering.
    pub answers: &'a [String],
}

/// A row that cannot be tokenised.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The tokenizer has no token that ends a text.
    #[error("the tokenizer has no end-of-text token; name it as `eos_token` in tokenizer_config.json")]
    NoEnd,
    /// There is no room even without a context.
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
    /// The tokenizer rejects the text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// What tokenising tells of lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    /// The length of each row, in tokens.
    Rows(Vec<usize>),
    /// The tokens of all rows together, where these are joined.
    Text(usize),
}

/// Counts what a model says of rows, batch by batch.
pub trait Tally {
    /// Rows that are answered one by one, with the sum of their losses.
    fn add_rows(&mut self, _loss: f64, _rows: &[Row<'_>], _answers: &[f64]) {}

    /// A row that is predicted token by token: the losses of its predicted tokens, in nats.
    fn add_tokens(&mut self, _losses: &[f64]) {}

    /// A generated answer to a row.
    fn add_text(&mut self, _answer: &str, _row: Row<'_>) {}

    /// The scores of what was counted.
    fn scores(&self) -> Scores;
}

/// The targets of the rows that a trial was trained and judged on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrialTargets {
    /// Of the rows that it trained on.
    pub train: Vec<RowTarget>,
    /// Of its validation rows.
    pub validation: Vec<RowTarget>,
    /// Of the test rows; empty without any.
    pub test: Vec<RowTarget>,
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
    /// What a loss is counted in.
    pub loss_unit: &'static str,
    /// The metrics that tables show beside the one that selects.
    pub shown: &'static [Metric],
    /// The metrics that a headline names beside the one that selects.
    pub headline: &'static [Metric],
    /// What its metrics are, where a reader may wonder.
    pub metrics_note: Option<&'static str>,
    /// What the best constant answer is called in tables; `None` where nothing is constant, and models are
    /// held against the untrained base.
    pub baseline: Option<&'static str>,
    /// What the best constant answer is, with `{}` for the answers of a sweep's tasks.
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
