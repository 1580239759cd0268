//! Owns evaluation: models over the same rows, in order of length, without dropout. Stores no scores and
//! selects nothing.

use std::rc::Rc;

use tch::{Device, Kind, Tensor};

use super::batch::{Collator, Seen};
use super::objective;
use super::warm::Warm;
use crate::cost::EVALUATED_TOKENS;
use crate::data::batches;
use crate::data::store::PartView;
use crate::families::ModelSpec;
use crate::model::pass::Pass;
use crate::model::{Model, Trunk};
use crate::tasks::{Answered, Row, Tally, Task, TaskKind};
use crate::tokenizer::{Fault, Tokenizer, TokenizerError};
use crate::values::{JudgedRow, Scores};

/// Batches whose values are read from a device at once: each read leaves it without work for a moment. A batch has
/// at most [`EVALUATED_TOKENS`] values of each slot, in 32 bits.
const BATCHES_AT_ONCE: usize = 64;

/// The rows of a part that models are judged on.
#[derive(Clone, Copy)]
pub struct Judged<'r> {
    /// The part.
    pub part: &'r PartView,
    /// Its rows.
    pub rows: &'r [u32],
    /// For test rows, the validation of each slot's weights; empty for others.
    pub validated: &'r [Option<&'r Scores>],
    /// Called after each batch.
    pub each_batch: &'r dyn Fn(),
}

impl Judged<'_> {
    /// Batches of rows of similar length; `lengths` has the length of every row of the part.
    fn batches(self, lengths: &[u32]) -> Vec<Vec<u32>> {
        batches::evaluation(self.rows, lengths, EVALUATED_TOKENS)
    }
}

/// What a model scored on rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The scores on all of them.
    pub scores: Scores,
    /// What it gave for each, in ascending order.
    pub rows: Vec<JudgedRow>,
}

impl Verdict {
    fn of(tally: &mut dyn Tally) -> Self {
        let mut rows = tally.take_rows();
        rows.sort_by_key(|row| row.row);
        Self { scores: tally.scores(), rows }
    }
}

/// Scores models on a task.
#[derive(Debug)]
pub struct Evaluator<'a> {
    /// How rows become batches.
    collator: Collator<'a>,
    /// The tokenizer that decodes generated answers, and the token that ends them; `None` where none are
    /// generated.
    answering: Option<(Rc<Tokenizer>, u32)>,
}

impl<'a> Evaluator<'a> {
    /// An evaluator for models of this kind on this task.
    ///
    /// # Errors
    /// Where answers are generated and the tokenizer cannot be read.
    pub fn new(
        task: &'a Task,
        model: &ModelSpec,
        device: Device,
        warm: &mut Warm,
    ) -> Result<Self, TokenizerError> {
        let kind: &dyn TaskKind = &*task.objective;
        let answering = match kind.generates() {
            Some(_) => {
                let tokenizer = warm.tokenizer(model)?;
                let end = tokenizer.end_of_text().ok_or_else(|| TokenizerError {
                    path: model.tokenizer.clone(),
                    fault: Fault::Unusable("it has no token that ends a text".to_owned()),
                })?;
                Some((tokenizer, end))
            }
            None => None,
        };
        let collator = Collator { kind, padding: model.architecture.padding(), device };
        Ok(Self { collator, answering })
    }

    /// How rows become batches.
    #[must_use]
    pub fn collator(&self) -> &Collator<'a> {
        &self.collator
    }

    /// The verdicts on models that share their trunk, on these rows of a part, slot by slot and model by model.
    /// Only models of one slot can generate answers.
    ///
    /// # Errors
    /// Where the tokenizer cannot decode generated tokens.
    pub fn judge(&self, models: &[&Model], judged: Judged<'_>) -> Result<Vec<Verdict>, TokenizerError> {
        let kind = self.collator.kind;
        let tally = |slot: usize| match judged.validated.get(slot) {
            Some(validation) => kind.tally_after(*validation),
            None => kind.tally(),
        };
        let mut tallies: Vec<Box<dyn Tally + '_>> = (0..n_slots(models)).map(tally).collect();
        if let Some(longest) = kind.generates() {
            self.generate(models, judged, longest, &mut tallies)?;
        }
        self.answers(models, judged, &mut tallies);
        Ok(tallies.iter_mut().map(|tally| Verdict::of(&mut **tally)).collect())
    }

    /// Adds what the models give for each row to their tallies. Values are read from the device for many batches
    /// at once.
    fn answers(&self, models: &[&Model], judged: Judged<'_>, tallies: &mut [Box<dyn Tally + '_>]) {
        let (kind, part) = (self.collator.kind, judged.part);
        for batches in judged.batches(&part.lengths()).chunks(BATCHES_AT_ONCE) {
            let of_batch = |rows: &Vec<u32>| {
                let values = Tensor::cat(&self.each_model(models, part, rows), 0);
                (judged.each_batch)();
                values
            };
            let values: Vec<Tensor> = batches.iter().map(of_batch).collect();
            let sizes: Vec<i64> = values.iter().map(|values| values.size()[1]).collect();
            let values = Tensor::cat(&values, 1).to_device(Device::Cpu).split_with_sizes(sizes, 1);
            for (rows, values) in batches.iter().zip(values) {
                let predictions = |row: Row<'_>| kind.predictions(row).map_or(1, |all| all.len());
                let counted = rows.iter().map(|row| (*row, part.row(*row)));
                let counted: Vec<_> = counted.map(|(index, row)| (index, row, predictions(row))).collect();
                for (tally, values) in tallies.iter_mut().zip(values.unbind(0)) {
                    add(&mut **tally, &counted, &numbers(&values));
                }
            }
        }
    }

    /// For each model and slot, the losses of a batch's predictions, and then its answers, `[K, N + N * A]`; what
    /// the models share is computed once.
    fn each_model(&self, models: &[&Model], part: &PartView, rows: &[u32]) -> Vec<Tensor> {
        let batch = self.collator.collate(part, &[Seen::of(rows, 1.0)]);
        tch::no_grad(|| {
            let shared = models.iter().all(|model| model.shares_trunk());
            let trunk = |model: &Model| model.trunk(&batch.inputs, &mut Pass::evaluation());
            let judge = |model: &Model, trunk: &Trunk<'_>| {
                let (losses, answers) = objective::judged(self.collator.kind, model, trunk, &batch.targets);
                let losses = losses.to_kind(Kind::Double);
                let answers = answers.map(|answers| answers.to_kind(Kind::Double).flatten(1, 2));
                answers.map_or_else(|| losses.shallow_clone(), |all| Tensor::cat(&[&losses, &all], 1))
            };
            let first = models.first().filter(|_| shared).map(|model| trunk(model));
            let judged = models.iter().map(|model| match &first {
                Some(first) => judge(model, first),
                None => judge(model, &trunk(model)),
            });
            judged.collect()
        })
    }

    /// Answers to questions, each at most `longest` tokens.
    fn generate(
        &self,
        models: &[&Model],
        judged: Judged<'_>,
        longest: usize,
        tallies: &mut [Box<dyn Tally + '_>],
    ) -> Result<(), TokenizerError> {
        let Some((tokenizer, end)) = &self.answering else { unreachable!("it is there where answers are") };
        let Judged { part, each_batch, .. } = judged;
        let prompt = |row: u32| {
            let row = part.row(row);
            &row.tokens[..row.second as usize]
        };
        let room = |row: u32| u32::try_from(prompt(row).len() + longest).expect("answers are short");
        let lengths: Vec<u32> = all_rows(part).into_iter().map(room).collect();
        for rows in judged.batches(&lengths) {
            let prompts: Vec<&[u32]> = rows.iter().map(|row| prompt(*row)).collect();
            // All rows of a part end their answers alike.
            let stop = rows.first().and_then(|row| self.collator.kind.stop(part.row(*row)));
            let ends: Vec<u32> = stop.into_iter().chain([*end]).collect();
            for (model, tally) in models.iter().zip(tallies.iter_mut()) {
                for (row, ids) in rows.iter().zip(model.generate(&prompts, longest, &ends)) {
                    tally.add_text(*row, &tokenizer.decode(&ids)?, part.row(*row));
                }
                each_batch();
            }
        }
        Ok(())
    }
}

/// All rows of a part.
pub(super) fn all_rows(part: &PartView) -> Vec<u32> {
    (0..u32::try_from(part.len()).expect("stores hold fewer than 2^32 rows")).collect()
}

fn n_slots(models: &[&Model]) -> usize {
    models.iter().map(|model| model.slots()).sum()
}

/// Adds a batch's rows to a tally, each with its number of predictions: `values` has the losses of all of them, and
/// then as many answers for each.
fn add(tally: &mut dyn Tally, rows: &[(u32, Row<'_>, usize)], values: &[f64]) {
    let all: usize = rows.iter().map(|(_, _, predictions)| predictions).sum();
    // Without any prediction a batch still has a place for one.
    let (mut losses, mut answers) = values.split_at(all.max(1));
    let each = answers.len() / all.max(1);
    for (index, row, predictions) in rows {
        let (own, answered);
        (own, losses) = losses.split_at(*predictions);
        (answered, answers) = answers.split_at(predictions * each);
        tally.add(&Answered { index: *index, row: *row, losses: own, answers: answered });
    }
}

fn numbers(values: &Tensor) -> Vec<f64> {
    Vec::try_from(values.to_kind(Kind::Double)).expect("a vector of numbers")
}
