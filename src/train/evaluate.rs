//! Owns evaluation: one slot's weights over some rows, in order of length, without dropout. Keeps nothing
//! and chooses nothing.

use tch::{Device, Kind, Tensor};

use super::batch::Collator;
use super::metrics::{AnswerTally, LanguageTally, Tally};
use super::objective::{cross_entropy, predicted, token_losses};
use crate::arch::ModelSpec;
use crate::data::batches;
use crate::data::store::PartView;
use crate::data::tokenizer::{Tokenizer, TokenizerError};
use crate::model::Model;
use crate::model::pass::Pass;
use crate::outcome::{AnswerScores, ClassificationScores, LanguageScores, Scores};
use crate::task::{Objective, Task};

/// Most tokens in one evaluation batch, padding counted: enough to keep the cores busy, little
/// enough to stay in the cache.
const BATCH_TOKENS: usize = 4096;

/// Scores models on a task.
#[derive(Debug)]
pub struct Evaluator<'a> {
    /// How rows become batches.
    collator: Collator<'a>,
    /// Reads generated answers, and the token that ends them; `None` where none are generated.
    answering: Option<(Tokenizer, u32)>,
}

impl<'a> Evaluator<'a> {
    /// For models of this kind on this task.
    ///
    /// # Errors
    /// Where answers are generated and the tokenizer cannot be read.
    pub fn new(task: &'a Task, model: &ModelSpec, device: Device) -> Result<Self, TokenizerError> {
        let objective = &task.objective;
        let answering = match objective {
            Objective::QuestionAnswering(_) => {
                let tokenizer = Tokenizer::load(&model.tokenizer)?;
                let end = tokenizer.end_of_text().ok_or_else(|| TokenizerError {
                    path: model.tokenizer.clone(),
                    detail: "it has no token that ends a text".to_owned(),
                })?;
                Some((tokenizer, end))
            }
            Objective::Classification(_) | Objective::LanguageModelling(_) => None,
        };
        let collator = Collator { objective, padding: model.architecture.padding(), device };
        Ok(Self { collator, answering })
    }

    /// How rows become batches.
    #[must_use]
    pub fn collator(&self) -> &Collator<'a> {
        &self.collator
    }

    /// The scores of a one-slot model on these rows of a part.
    ///
    /// # Errors
    /// Where the tokenizer cannot read what the model has generated.
    pub fn scores(&self, model: &Model, part: &PartView, rows: &[u32]) -> Result<Scores, TokenizerError> {
        Ok(match self.collator.objective {
            Objective::Classification(of) => {
                Scores::Classification(self.classification(model, part, rows, of.labels.len()))
            }
            Objective::LanguageModelling(_) => Scores::LanguageModelling(self.language(model, part, rows)),
            Objective::QuestionAnswering(of) => {
                Scores::QuestionAnswering(self.answers(model, part, rows, of.max_new_tokens)?)
            }
        })
    }

    fn classification(
        &self,
        model: &Model,
        part: &PartView,
        rows: &[u32],
        classes: usize,
    ) -> ClassificationScores {
        let mut tally = Tally::new(classes);
        for rows in batches::evaluation(rows, &part.lengths(), BATCH_TOKENS) {
            let batch = self.collator.collate(part, &[(&rows, 1.0)]);
            let (loss, guesses) = tch::no_grad(|| {
                let logits = model.classify(&batch.inputs, &mut Pass::evaluation());
                let losses = cross_entropy(&logits, &batch.targets.labels);
                (losses.sum(Kind::Double).double_value(&[]), logits.argmax(-1, false).view([-1]))
            });
            tally.add_loss(loss);
            for (row, guess) in rows.iter().zip(integers(&guesses)) {
                tally.add(part.label(*row) as usize, usize::try_from(guess).expect("classes count from 0"));
            }
        }
        tally.scores()
    }

    fn language(&self, model: &Model, part: &PartView, rows: &[u32]) -> LanguageScores {
        let mut tally = LanguageTally::default();
        for rows in batches::evaluation(rows, &part.lengths(), BATCH_TOKENS) {
            let batch = self.collator.collate(part, &[(&rows, 1.0)]);
            let losses = token_losses(model, &batch);
            let mut rest = losses.as_slice();
            for row in rows {
                let (own, behind) = rest.split_at(predicted(self.collator.objective, part, row).len());
                tally.add(own);
                rest = behind;
            }
        }
        tally.scores()
    }

    fn answers(
        &self,
        model: &Model,
        part: &PartView,
        rows: &[u32],
        max_new: usize,
    ) -> Result<AnswerScores, TokenizerError> {
        let Some((tokenizer, end)) = &self.answering else { unreachable!("it is there where answers are") };
        let prompt = |row: u32| &part.tokens(row)[..part.second(row) as usize];
        let room = |row: u32| u32::try_from(prompt(row).len() + max_new).expect("answers are short");
        let lengths: Vec<u32> = all_rows(part).into_iter().map(room).collect();
        let mut tally = AnswerTally::default();
        for rows in batches::evaluation(rows, &lengths, BATCH_TOKENS) {
            let prompts: Vec<&[u32]> = rows.iter().map(|row| prompt(*row)).collect();
            for (row, ids) in rows.iter().zip(model.generate(&prompts, max_new, *end)) {
                let text = tokenizer.decode(&ids)?;
                tally.add(text.lines().next().unwrap_or_default().trim(), part.answers(*row));
            }
        }
        Ok(tally.scores(self.language(model, part, rows).loss))
    }
}

/// All rows of a part.
pub(super) fn all_rows(part: &PartView) -> Vec<u32> {
    (0..u32::try_from(part.len()).expect("stores hold fewer than 2^32 rows")).collect()
}

fn integers(values: &Tensor) -> Vec<i64> {
    Vec::try_from(values.to_device(Device::Cpu)).expect("argmax gives 64-bit integers")
}
