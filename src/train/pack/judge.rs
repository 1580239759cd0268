//! Owns the judgement of a pack's slots: validation while they train, and the result when they are
//! done. Trains nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use tch::Tensor;

use super::{Trainer, bad_data, part, peak_memory_mib};
use crate::job::ChildLine;
use crate::model::Model;
use crate::model::params::fill;
use crate::outcome::{Failure, MetricLine, Scores, TrialResult};
use crate::run::files;
use crate::task::Part;
use crate::train::checkpoint;
use crate::train::evaluate::all_rows;
use crate::trial::{Keep, Splitting};

impl Trainer<'_> {
    /// Validates the slots for which it is time. Those that diverged leave the pack: the last step
    /// of a training can do that, and no loss shows it any more.
    pub(in crate::train) fn evaluate_due(&mut self) -> Result<(), Failure> {
        let mut kept = Vec::new();
        for k in 0..self.slots.len() {
            if self.slots[k].evaluation_due() && !self.validate(k)? {
                self.fail_diverged(k)?;
            } else {
                kept.push(k);
            }
        }
        self.keep_slots(&kept);
        Ok(())
    }

    /// Writes the results of slots that did all their steps; they leave the pack.
    pub(in crate::train) fn finish_done_slots(&mut self) -> Result<(), Failure> {
        let (done, kept): (Vec<usize>, Vec<usize>) =
            (0..self.slots.len()).partition(|k| self.slots[*k].finished());
        for k in done {
            self.finish(k)?;
        }
        self.keep_slots(&kept);
        Ok(())
    }

    /// Validates a slot and keeps its weights where they are the best so far. False where its loss
    /// is not finite.
    fn validate(&mut self, k: usize) -> Result<bool, Failure> {
        let scores = match self.slots[k].trial.splitting {
            Splitting::KFold { .. } | Splitting::HoldOut { .. } => {
                let rows = self.slots[k].rows.validation.clone();
                self.score(k, Part::Train, &rows)?
            }
            Splitting::File => {
                let rows = all_rows(part(&self.store, Part::Validation)?);
                self.score(k, Part::Validation, &rows)?
            }
        };
        if !scores.loss().is_finite() {
            return Ok(false);
        }
        let slot = &mut self.slots[k];
        let step = slot.state.step;
        slot.state.latest = Some((step, scores));
        slot.write(&MetricLine::Validation { step, epoch: slot.epochs_done(), scores }).map_err(bad_data)?;
        if slot
            .state
            .best
            .is_none_or(|(_, best)| scores.primary_metric().better(scores.primary(), best.primary()))
        {
            slot.state.best = Some((step, scores));
            let path = self.context.layout.best_checkpoint(slot.trial.id);
            checkpoint::save(&path, &slot.state, &self.params.slot(k)).map_err(bad_data)?;
        }
        Ok(true)
    }

    /// Tests the weights that `keep` names and writes the result.
    fn finish(&mut self, k: usize) -> Result<(), Failure> {
        let layout = &self.context.layout;
        let id = self.slots[k].trial.id;
        let last: BTreeMap<String, Tensor> =
            self.params.slot(k).into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
        let kept = match self.slots[k].trial.configuration.training.keep {
            Keep::Last => self.slots[k].state.latest,
            Keep::Best => {
                let (state, best) = checkpoint::load(&layout.best_checkpoint(id)).map_err(bad_data)?;
                fill(&self.params.slot(k), &best).map_err(bad_data)?;
                // What the file says of its own weights.
                state.best
            }
        };
        let (kept_step, validation) = kept.ok_or_else(|| bad_data("the trial ended without a validation"))?;
        let test = match self.store.part(Part::Test) {
            Some(test) if !test.is_empty() => Some(self.score(k, Part::Test, &all_rows(test))?),
            Some(_) | None => None,
        };
        if test.is_some_and(|scores| !scores.loss().is_finite()) {
            return self.fail_diverged(k);
        }
        let (trainable_params, total_params) = self.params.count(k);
        let slot = &mut self.slots[k];
        slot.state.cost.peak_memory_mib = slot.state.cost.peak_memory_mib.max(peak_memory_mib());
        let result = TrialResult {
            trial: id,
            validation,
            kept_step,
            test,
            steps: slot.state.step,
            trainable_params,
            total_params,
            cost: slot.state.cost,
        };
        files::write_sealed(&layout.result(id), &result).map_err(bad_data)?;
        // The optimiser's state is of no use any more; the final weights stay.
        checkpoint::save(&layout.last_checkpoint(id), &slot.state, &last).map_err(bad_data)?;
        (self.context.say)(ChildLine::Finished { trial: id });
        self.results += 1;
        Ok(())
    }

    /// The scores of one slot's weights on these rows; the time is charged to it.
    fn score(&mut self, k: usize, of: Part, rows: &[u32]) -> Result<Scores, Failure> {
        let started = Instant::now();
        let architecture = &self.pack.model.architecture;
        let adapters = self.adapters.as_ref().map(|settings| settings.retain(&[k]));
        let head = self.pack.task.objective.head();
        let model = Model::new(architecture, head, &self.params.only(k), adapters.as_ref());
        let scores = self.evaluator.scores(&model, part(&self.store, of)?, rows).map_err(bad_data)?;
        let seconds = started.elapsed().as_secs_f64();
        let cost = &mut self.slots[k].state.cost;
        cost.evaluate_s += seconds;
        cost.wall_s += seconds;
        cost.evaluated_rows += rows.len() as u64;
        Ok(scores)
    }
}
