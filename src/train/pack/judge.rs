//! Owns the evaluation of a pack's slots: validation while they train, and the result when they are done.
//! Trains nothing.

use std::time::Instant;

use super::{SlotIndex, Trainer, bad_data, failed, part};
use crate::data::sample;
use crate::data::store::PartView;
use crate::disk::files;
use crate::job::ChildLine;
use crate::model::Model;
use crate::model::params::fill;
use crate::record::rows;
use crate::tasks::{self, TargetFacts, TrialTargets};
use crate::train::checkpoint;
use crate::train::evaluate::{Judged, Verdict, all_rows};
use crate::values::{Failure, JudgedRows, Keep, MetricLine, Part, Scores, Splitting, TrialResult};

/// Slots that are validated on the same rows.
struct Due {
    indices: Vec<SlotIndex>,
    of: Part,
    rows: Vec<u32>,
    /// Whether these are not all of the slots' validation rows.
    partly: bool,
}

/// A finished slot whose kept weights are loaded.
struct Kept {
    index: SlotIndex,
    step: u64,
    /// `None` where every row was trained on.
    validation: Option<Scores>,
}

impl Trainer<'_> {
    /// Validates the slots whose validation is due. Slots that diverged leave the pack: the last training step
    /// can cause that, and no later loss would show it.
    pub(in crate::train) fn evaluate_due(&mut self) -> Result<(), Failure> {
        let mut diverged = Vec::new();
        for Due { indices, of, rows, partly } in self.validations_due()? {
            for (index, verdict) in self.score(&indices, of, &rows, &[])? {
                if verdict.scores.has_finite_loss() && partly {
                    self.take_partial(index, of, verdict)?;
                } else if verdict.scores.has_finite_loss() {
                    self.take_validation(index, of, verdict)?;
                } else {
                    self.fail_diverged(index)?;
                    diverged.push(index);
                }
            }
        }
        self.release(&diverged);
        Ok(())
    }

    /// Slots to be validated, grouped by their validation rows.
    fn validations_due(&self) -> Result<Vec<Due>, Failure> {
        let mut due: Vec<Due> = Vec::new();
        for index in self.indices(|slot| slot.evaluation_due()) {
            let slot = &self.stacks[index.stack].slots[index.slot];
            let (of, rows) = match slot.trial.splitting {
                Splitting::KFold { .. } | Splitting::HoldOut { .. } => {
                    (Part::Train, slot.rows.validation.clone())
                }
                Splitting::File => (Part::Validation, all_rows(part(&self.store, Part::Validation)?)),
                Splitting::All => continue,
            };
            let all = rows.len();
            let rows = match slot.rows_due() {
                Some(some) => self.some_of(rows, of, some)?,
                None => rows,
            };
            let partly = rows.len() < all;
            match due.iter_mut().find(|due| due.of == of && due.rows == rows && due.partly == partly) {
                Some(due) => due.indices.push(index),
                None => due.push(Due { indices: vec![index], of, rows, partly }),
            }
        }
        Ok(due)
    }

    /// As many of these rows of a part, the same for every trial that is validated on them.
    fn some_of(&self, rows: Vec<u32>, of: Part, some: usize) -> Result<Vec<u32>, Failure> {
        let targets = part(&self.store, of)?;
        let classes: Vec<u32> = rows.iter().map(|row| targets.target(*row).class().unwrap_or(0)).collect();
        let chosen = sample::judged(&classes, some, self.pack.task.sample_seed);
        Ok(chosen.into_iter().map(|at| rows[at as usize]).collect())
    }

    /// Writes a slot's validation on some of its rows, which chooses no weights.
    fn take_partial(&mut self, index: SlotIndex, of: Part, verdict: Verdict) -> Result<(), Failure> {
        let Verdict { scores, rows } = verdict;
        let slot = self.slot(index);
        let (step, epoch) = (slot.state.step, slot.epochs_done());
        slot.state.partly = Some(step);
        let judged = JudgedRows { trial: slot.trial.id, part: of, step, rows };
        let (loss_error, rows) = (judged.loss_error(), Some(judged.rows.len() as u64));
        slot.write(&MetricLine::Validation { step, epoch, scores, loss_error, rows }).map_err(failed)
    }

    /// Writes a slot's validation and keeps its weights where they are the best so far. What it gave for each row
    /// is written before any checkpoint that has the validation.
    fn take_validation(&mut self, index: SlotIndex, of: Part, verdict: Verdict) -> Result<(), Failure> {
        let Verdict { scores, rows } = verdict;
        let slot = self.slot(index);
        let step = slot.state.step;
        slot.state.latest = Some((step, scores.clone()));
        let epoch = slot.epochs_done();
        let trial = slot.trial.id;
        let judged = JudgedRows { trial, part: of, step, rows };
        let loss_error = judged.loss_error();
        let line = MetricLine::Validation { step, epoch, scores: scores.clone(), loss_error, rows: None };
        slot.write(&line).map_err(failed)?;
        (self.context.say)(ChildLine::Evaluated { trial, step, scores: scores.clone() });
        let slot = &mut self.stacks[index.stack].slots[index.slot];
        let training = &slot.trial.configuration.training;
        let (metric, score) = tasks::selecting(&scores, training.keep_by);
        let is_best =
            slot.state.best.as_ref().is_none_or(|(_, best)| metric.improves(score, best.get(metric)));
        let is_kept = match training.keep {
            Keep::Last => slot.finished(),
            Keep::Best => is_best,
        };
        if is_kept {
            rows::write(
                &self.context.layout.validation_rows(trial),
                &judged,
                self.pack.task.objective.labels(),
            )
            .map_err(failed)?;
        }
        slot.latest_rows = Some(judged);
        if is_best {
            slot.state.best = Some((step, scores));
            let stack = &self.stacks[index.stack];
            let state = &stack.slots[index.slot].state;
            let path = self.context.layout.best_checkpoint(state.trial);
            checkpoint::save(&path, state, &stack.params.slot(index.slot)).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the results of slots that have done all their steps; these leave the pack.
    pub(in crate::train) fn finish_done_slots(&mut self) -> Result<(), Failure> {
        let done = self.indices(|slot| slot.finished());
        if done.is_empty() {
            return Ok(());
        }
        let kept: Vec<Kept> = done.iter().map(|index| self.keep(*index)).collect::<Result<_, _>>()?;
        let rows = self.store.part(Part::Test).map(all_rows).unwrap_or_default();
        let validated: Vec<Option<&Scores>> = kept.iter().map(|kept| kept.validation.as_ref()).collect();
        let mut tests =
            if rows.is_empty() { Vec::new() } else { self.score(&done, Part::Test, &rows, &validated)? };
        for kept in kept {
            let own = tests.iter().position(|(index, _)| *index == kept.index);
            let test = own.map(|at| tests.swap_remove(at).1);
            if test.as_ref().is_some_and(|test| !test.scores.has_finite_loss()) {
                self.fail_diverged(kept.index)?;
            } else {
                self.finish(&kept, test)?;
            }
        }
        self.release(&done);
        Ok(())
    }

    /// Makes the last weights durable, and loads the weights that the trial's `keep` chooses. After a crash
    /// from here on, the trial only has to be tested: there is no result without its weights.
    fn keep(&self, index: SlotIndex) -> Result<Kept, Failure> {
        let stack = &self.stacks[index.stack];
        let slot = &stack.slots[index.slot];
        let weights = stack.params.slot(index.slot);
        let path = self.context.layout.last_checkpoint(slot.trial.id);
        // The optimiser's state is no longer needed.
        checkpoint::save(&path, &slot.state, &weights).map_err(failed)?;
        files::sync(&path).map_err(failed)?;
        if !slot.trial.splitting.validates() {
            return Ok(Kept { index, step: slot.state.step, validation: None });
        }
        let kept = match slot.trial.keep() {
            Keep::Last => slot.state.latest.clone(),
            Keep::Best => {
                let path = self.context.layout.best_checkpoint(slot.trial.id);
                let (state, best) = checkpoint::load(&path).map_err(failed)?;
                files::sync(&path).map_err(failed)?;
                fill(&weights, &best).map_err(bad_data)?;
                // The file records the score of its own weights.
                state.best
            }
        };
        let (step, validation) =
            kept.ok_or_else(|| bad_data("the trial ended without a validation".to_owned()))?;
        Ok(Kept { index, step, validation: Some(validation) })
    }

    /// Writes a slot's result, after everything that belongs to it.
    fn finish(&mut self, kept: &Kept, test: Option<Verdict>) -> Result<(), Failure> {
        let TargetFacts { class_rows, baseline } = self.target_facts(kept.index)?;
        let layout = &self.context.layout;
        let stack = &mut self.stacks[kept.index.stack];
        let (trainable_params, total_params) = stack.params.count(kept.index.slot);
        let peak_mib = self.memory.mib();
        let state = &mut stack.slots[kept.index.slot].state;
        state.cost.peak_memory_mib = state.cost.peak_memory_mib.max(peak_mib);
        let trial = state.trial;
        let test = match test {
            Some(Verdict { scores, rows }) => {
                let judged = JudgedRows { trial, part: Part::Test, step: kept.step, rows };
                rows::write(&layout.test_rows(trial), &judged, self.pack.task.objective.labels())
                    .map_err(failed)?;
                Some(scores)
            }
            None => None,
        };
        files::remove(&layout.latest_rows(trial)).map_err(failed)?;
        rows::sync(layout, trial).map_err(failed)?;
        let result = TrialResult {
            trial,
            validation: kept.validation.clone(),
            kept_step: kept.step,
            test,
            steps: state.step,
            trainable_params,
            total_params,
            cost: state.cost,
            class_rows,
            baseline,
        };
        files::write_sealed(&layout.result(trial), &result).map_err(failed)?;
        (self.context.say)(ChildLine::Finished { trial });
        self.kept += 1;
        Ok(())
    }

    /// The facts about the targets of a slot's rows that belong in its result.
    fn target_facts(&self, index: SlotIndex) -> Result<TargetFacts, Failure> {
        let slot = &self.stacks[index.stack].slots[index.slot];
        let train = part(&self.store, Part::Train)?;
        let of = |rows: &[u32]| rows.iter().map(|row| train.target(*row)).collect();
        let targets = TrialTargets {
            train: of(&slot.rows.train),
            validation: match slot.trial.splitting {
                Splitting::KFold { .. } | Splitting::HoldOut { .. } => of(&slot.rows.validation),
                Splitting::File => part(&self.store, Part::Validation)?.targets(),
                Splitting::All => Vec::new(),
            },
            test: self.store.part(Part::Test).map(PartView::targets).unwrap_or_default(),
        };
        Ok(self.evaluator.collator().kind.target_facts(&targets))
    }

    /// The verdicts on some slots' weights on these rows; each slot is charged its part of the time. `validated` has
    /// the validations of these weights where the rows are test rows.
    fn score(
        &mut self,
        indices: &[SlotIndex],
        of: Part,
        rows: &[u32],
        validated: &[Option<&Scores>],
    ) -> Result<Vec<(SlotIndex, Verdict)>, Failure> {
        let started = Instant::now();
        // Answers are generated slot by slot, everything else is computed by stack.
        let apart = self.evaluator.collator().kind.generates().is_some();
        let together = indices.chunk_by(|a, b| a.stack == b.stack && !apart);
        let models: Vec<(usize, Option<Model>)> = together
            .map(|indices| {
                let slots: Vec<usize> = indices.iter().map(|index| index.slot).collect();
                (indices[0].stack, self.stacks[indices[0].stack].model_of(&slots))
            })
            .collect();
        let models: Vec<&Model> =
            models.iter().map(|(stack, some)| some.as_ref().unwrap_or(&self.stacks[*stack].model)).collect();
        let gets_on = || (self.context.say)(ChildLine::Heartbeat);
        let judged = Judged { part: part(&self.store, of)?, rows, validated, each_batch: &gets_on };
        let verdicts = self.evaluator.judge(&models, judged).map_err(failed)?;
        let seconds = started.elapsed().as_secs_f64() / indices.len() as f64;
        for index in indices {
            let cost = &mut self.slot(*index).state.cost;
            cost.evaluate_s += seconds;
            cost.wall_s += seconds;
            cost.evaluated_rows += rows.len() as u64;
        }
        Ok(indices.iter().copied().zip(verdicts).collect())
    }
}
