//! Owns the judgement of a pack's slots: validation while they train, and the result when they are
//! done. Trains nothing.

use std::time::Instant;

use super::{Seat, Trainer, bad_data, failed, part, peak_memory_mib};
use crate::disk::files;
use crate::job::ChildLine;
use crate::model::Model;
use crate::model::params::fill;
use crate::tasks::Objective;
use crate::train::checkpoint;
use crate::train::evaluate::all_rows;
use crate::values::{ClassRows, Failure, Keep, MetricLine, Part, Scores, Splitting, TrialResult};

/// Slots to be validated on the same rows.
struct Due {
    seats: Vec<Seat>,
    of: Part,
    rows: Vec<u32>,
}

/// A finished slot whose kept weights are in place.
struct Kept {
    seat: Seat,
    step: u64,
    validation: Scores,
}

impl Trainer<'_> {
    /// Validates the slots for which it is time. Those that diverged leave the pack: the last step
    /// of a training can do that, and no loss shows it any more.
    pub(in crate::train) fn evaluate_due(&mut self) -> Result<(), Failure> {
        let mut diverged = Vec::new();
        for Due { seats, of, rows } in self.validations_due()? {
            for (seat, scores) in self.score(&seats, of, &rows)? {
                if scores.loss().is_finite() {
                    self.take_validation(seat, scores)?;
                } else {
                    self.fail_diverged(seat)?;
                    diverged.push(seat);
                }
            }
        }
        self.release(&diverged);
        Ok(())
    }

    /// Slots to be validated, by the rows that they are validated on.
    fn validations_due(&self) -> Result<Vec<Due>, Failure> {
        let mut due: Vec<Due> = Vec::new();
        for seat in self.seats(|slot| slot.evaluation_due()) {
            let slot = &self.stacks[seat.stack].slots[seat.slot];
            let (of, rows) = match slot.trial.splitting {
                Splitting::KFold { .. } | Splitting::HoldOut { .. } => {
                    (Part::Train, slot.rows.validation.clone())
                }
                Splitting::File => (Part::Validation, all_rows(part(&self.store, Part::Validation)?)),
            };
            match due.iter_mut().find(|due| due.of == of && due.rows == rows) {
                Some(due) => due.seats.push(seat),
                None => due.push(Due { seats: vec![seat], of, rows }),
            }
        }
        Ok(due)
    }

    /// Writes a slot's validation and keeps its weights where they are the best so far.
    fn take_validation(&mut self, seat: Seat, scores: Scores) -> Result<(), Failure> {
        let slot = self.slot(seat);
        let step = slot.state.step;
        slot.state.latest = Some((step, scores));
        slot.write(&MetricLine::Validation { step, epoch: slot.epochs_done(), scores }).map_err(failed)?;
        let trial = slot.trial.id;
        (self.context.say)(ChildLine::Evaluated { trial, step, scores });
        let slot = self.slot(seat);
        let by = slot.trial.configuration.training.keep_by;
        let (metric, score) = scores.selecting(by);
        let better = |best: Scores| metric.better(score, best.selecting(by).1);
        if slot.state.best.is_none_or(|(_, best)| better(best)) {
            slot.state.best = Some((step, scores));
            let stack = &self.stacks[seat.stack];
            let state = &stack.slots[seat.slot].state;
            let path = self.context.layout.best_checkpoint(state.trial);
            checkpoint::save(&path, state, &stack.params.slot(seat.slot)).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the results of slots that did all their steps; they leave the pack.
    pub(in crate::train) fn finish_done_slots(&mut self) -> Result<(), Failure> {
        let done = self.seats(|slot| slot.finished());
        if done.is_empty() {
            return Ok(());
        }
        let kept: Vec<Kept> = done.iter().map(|seat| self.keep(*seat)).collect::<Result<_, _>>()?;
        let rows = self.store.part(Part::Test).map(all_rows).unwrap_or_default();
        let tests = if rows.is_empty() { Vec::new() } else { self.score(&done, Part::Test, &rows)? };
        for kept in kept {
            let test = tests.iter().find(|(seat, _)| *seat == kept.seat).map(|(_, scores)| *scores);
            if test.is_some_and(|scores| !scores.loss().is_finite()) {
                self.fail_diverged(kept.seat)?;
            } else {
                self.finish(&kept, test)?;
            }
        }
        self.release(&done);
        Ok(())
    }

    /// Makes the last weights durable, and puts those in place that the trial's `keep` names. From here
    /// a crash leaves a trial that only has to be tested: there is no result without its weights.
    fn keep(&self, seat: Seat) -> Result<Kept, Failure> {
        let stack = &self.stacks[seat.stack];
        let slot = &stack.slots[seat.slot];
        let weights = stack.params.slot(seat.slot);
        let path = self.context.layout.last_checkpoint(slot.trial.id);
        // The optimiser's state is of no use any more.
        checkpoint::save(&path, &slot.state, &weights).map_err(failed)?;
        files::sync(&path).map_err(failed)?;
        let kept = match slot.trial.configuration.training.keep {
            Keep::Last => slot.state.latest,
            Keep::Best => {
                let path = self.context.layout.best_checkpoint(slot.trial.id);
                let (state, best) = checkpoint::load(&path).map_err(failed)?;
                files::sync(&path).map_err(failed)?;
                fill(&weights, &best).map_err(bad_data)?;
                // What the file says of its own weights.
                state.best
            }
        };
        let (step, validation) =
            kept.ok_or_else(|| bad_data("the trial ended without a validation".to_owned()))?;
        Ok(Kept { seat, step, validation })
    }

    fn finish(&mut self, kept: &Kept, test: Option<Scores>) -> Result<(), Failure> {
        let class_rows = self.class_rows(kept.seat);
        let layout = &self.context.layout;
        let stack = &mut self.stacks[kept.seat.stack];
        let (trainable_params, total_params) = stack.params.count(kept.seat.slot);
        let state = &mut stack.slots[kept.seat.slot].state;
        state.cost.peak_memory_mib = state.cost.peak_memory_mib.max(peak_memory_mib());
        let result = TrialResult {
            trial: state.trial,
            validation: kept.validation,
            kept_step: kept.step,
            test,
            steps: state.step,
            trainable_params,
            total_params,
            cost: state.cost,
            class_rows,
        };
        files::write_sealed(&layout.result(state.trial), &result).map_err(failed)?;
        (self.context.say)(ChildLine::Finished { trial: state.trial });
        self.results += 1;
        Ok(())
    }

    /// The classes of the rows that a slot was trained and judged on; `None` where there are no classes.
    fn class_rows(&self, seat: Seat) -> Option<ClassRows> {
        let classes = match self.evaluator.collator().objective {
            Objective::Classification(of) => of.labels.len(),
            Objective::LanguageModelling(_) | Objective::QuestionAnswering(_) => return None,
        };
        let slot = &self.stacks[seat.stack].slots[seat.slot];
        let of = |part: Part, rows: Option<&[u32]>| {
            let mut counts = vec![0_u64; classes];
            let part = self.store.part(part)?;
            let mut count = |label: u32| counts[label as usize] += 1;
            match rows {
                Some(rows) => rows.iter().for_each(|row| count(part.label(*row))),
                None => part.labels().iter().for_each(|label| count(*label)),
            }
            Some(counts)
        };
        let validation = match slot.trial.splitting {
            Splitting::KFold { .. } | Splitting::HoldOut { .. } => {
                of(Part::Train, Some(&slot.rows.validation))
            }
            Splitting::File => of(Part::Validation, None),
        };
        Some(ClassRows {
            train: of(Part::Train, Some(&slot.rows.train))?,
            validation: validation?,
            test: of(Part::Test, None).unwrap_or_default(),
        })
    }

    /// The scores of some slots' weights on these rows; each is charged its part of the time.
    fn score(&mut self, seats: &[Seat], of: Part, rows: &[u32]) -> Result<Vec<(Seat, Scores)>, Failure> {
        let started = Instant::now();
        // Answers are generated slot by slot, all else by stacks.
        let apart = matches!(self.evaluator.collator().objective, Objective::QuestionAnswering(_));
        let together = seats.chunk_by(|a, b| a.stack == b.stack && !apart);
        let models: Vec<(usize, Option<Model>)> = together
            .map(|seats| {
                let slots: Vec<usize> = seats.iter().map(|seat| seat.slot).collect();
                (seats[0].stack, self.stacks[seats[0].stack].model_of(&slots))
            })
            .collect();
        let models: Vec<&Model> =
            models.iter().map(|(stack, some)| some.as_ref().unwrap_or(&self.stacks[*stack].model)).collect();
        let scores = self.evaluator.scores(&models, part(&self.store, of)?, rows).map_err(failed)?;
        let seconds = started.elapsed().as_secs_f64() / seats.len() as f64;
        for seat in seats {
            let cost = &mut self.slot(*seat).state.cost;
            cost.evaluate_s += seconds;
            cost.wall_s += seconds;
            cost.evaluated_rows += rows.len() as u64;
        }
        Ok(seats.iter().copied().zip(scores).collect())
    }
}
