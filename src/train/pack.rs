//! Owns a pack at work: model, optimiser and slots, and the parts of one round of the loop.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

use super::batch::{assemble, row_losses};
use super::checkpoint::{self, Window};
use super::evaluate::evaluate;
use super::optimiser::{AdamW, SlotStep};
use super::schedule::learning_rate;
use super::slot::Slot;
use super::training::{Context, Ended};
use crate::arch::{Architecture, Weights};
use crate::data::folds;
use crate::data::store::{PartView, TokenStore};
use crate::job::{ChildLine, Pack, Progress};
use crate::model::layers::AdapterSettings;
use crate::model::params::{Params, index};
use crate::model::pass::Pass;
use crate::model::{self, Classifier, weights};
use crate::outcome::{Failure, MetricLine, Scores, TrialResult};
use crate::run::files;
use crate::run::layout::Layout;
use crate::task::Part;
use crate::trial::{Keep, Method, Splitting};

/// A training line every so many optimiser steps.
const LINE_EVERY: u64 = 10;

/// Writing checkpoints may take this share of the time.
const CHECKPOINT_SHARE: f64 = 0.02;

/// A pack at work.
pub(super) struct Trainer<'a> {
    pack: &'a Pack,
    context: &'a Context<'a>,
    device: Device,
    store: TokenStore,
    slots: Vec<Slot>,
    params: Params,
    adapters: Option<AdapterSettings>,
    model: Classifier,
    optimiser: AdamW,
    failure: Option<Failure>,
    results: usize,
    said: Instant,
    saved: Instant,
    save_took: Duration,
}

impl<'a> Trainer<'a> {
    /// The pack before its first step, or where its checkpoints stand.
    pub(super) fn start(pack: &'a Pack, context: &'a Context<'a>) -> Result<Self, Failure> {
        let device = model::device::select(context.placement.device)?;
        if !context.placement.cores.is_empty() {
            tch::set_num_threads(i32::try_from(context.placement.cores.len()).unwrap_or(i32::MAX));
        }
        let store =
            TokenStore::open(&Layout::store(context.layout.stores(), pack.store)).map_err(bad_data)?;
        let train = part(&store, Part::Train)?;
        let mut slots = Vec::new();
        for trial in &pack.slots {
            let rows = folds::split(train.labels(), &trial.splitting, trial.fold);
            slots.push(Slot::new(trial, rows, train.lengths(), &context.layout));
        }
        let fresh = pack.slots.iter().all(|trial| trial.configuration.method == Method::Scratch);
        let base = match &pack.model.weights {
            Weights::Folder { path, .. } if !fresh => Some(weights::read(path).map_err(bad_data)?),
            Weights::Folder { .. } | Weights::Random => None,
        };
        let n_labels = pack.task.labels.len();
        let start =
            model::build::start(&pack.model.architecture, n_labels, &pack.slots, base.as_ref(), device);
        let start = start.map_err(bad_data)?;
        let model = Classifier::new(&pack.model.architecture, &start.params, start.adapters.as_ref());
        let optimiser = AdamW::new(&start.params);
        let now = Instant::now();
        let mut trainer = Self {
            pack,
            context,
            device,
            store,
            slots,
            params: start.params,
            adapters: start.adapters,
            model,
            optimiser,
            failure: None,
            results: 0,
            said: now,
            saved: now,
            save_took: Duration::ZERO,
        };
        for k in 0..trainer.slots.len() {
            trainer.resume(k)?;
        }
        Ok(trainer)
    }

    /// Whether any slot has steps to do.
    pub(super) fn active(&self) -> bool {
        !self.slots.is_empty()
    }

    /// How it ended, once no slot is left.
    pub(super) fn ended(self) -> Result<Ended, Failure> {
        match self.failure {
            Some(failure) if self.results == 0 => Err(failure),
            Some(_) | None => Ok(Ended::Finished),
        }
    }

    /// One optimiser step of every slot.
    pub(super) fn step(&mut self) {
        let started = Instant::now();
        let (losses, rows, tokens) = self.accumulate_gradients();
        let steps: Vec<SlotStep<'_>> = self.slots.iter().map(slot_step).collect();
        let norms = self.optimiser.step(&self.params, &steps);
        let losses = host(&losses);
        let norms = host(&norms);
        // Slots share the time of a step; each is charged its part.
        let seconds = started.elapsed().as_secs_f64() / self.slots.len() as f64;
        for (k, slot) in self.slots.iter_mut().enumerate() {
            let state = &mut slot.state;
            state.step += 1;
            state.cost.train_rows += rows[k];
            state.cost.train_tokens += tokens[k];
            state.cost.train_s += seconds;
            state.cost.wall_s += seconds;
            state.window.steps += 1;
            state.window.loss += losses[k];
            state.window.rows += rows[k];
            state.window.seconds += seconds;
            state.window.grad_norm = norms[k];
        }
    }

    /// Forward and backward over the step's micro-batches: losses `[K]`, rows and tokens per slot.
    fn accumulate_gradients(&mut self) -> (Tensor, Vec<u64>, Vec<u64>) {
        let train = self.store.part(Part::Train).expect("the store was checked at the start");
        let padding = padding(&self.pack.model.architecture);
        let steps: Vec<Vec<Vec<u32>>> =
            self.slots.iter_mut().map(|slot| slot.micro_batches().to_vec()).collect();
        let rows: Vec<u64> =
            steps.iter().map(|step| step.iter().map(|rows| rows.len() as u64).sum()).collect();
        let count = |rows: &[u32]| rows.iter().map(|row| u64::from(train.length(*row))).sum::<u64>();
        let tokens = steps.iter().map(|step| step.iter().map(|rows| count(rows)).sum()).collect();
        let mut losses = Tensor::zeros([index(steps.len())], (Kind::Float, self.device));
        for micro in 0..steps.iter().map(Vec::len).max().unwrap_or(0) {
            let slots: Vec<(&[u32], f64)> = steps
                .iter()
                .zip(&rows)
                .map(|(step, rows)| (step.get(micro).map_or(&[][..], Vec::as_slice), 1.0 / *rows as f64))
                .collect();
            let batch = assemble(train, &slots, padding, self.device);
            let streams = self.slots.iter().map(|slot| (slot.key, slot.micro_step(micro))).collect();
            let logits = self.model.forward(&batch.inputs, &mut Pass::training(streams));
            let per_slot = (row_losses(&logits, &batch.labels) * &batch.weights).sum_dim_intlist(
                [1].as_slice(),
                false,
                Kind::Float,
            );
            per_slot.sum(Kind::Float).backward();
            losses += per_slot.detach();
        }
        (losses, rows, tokens)
    }

    /// Fails the slots whose loss or gradient is no longer finite; the others go on without them.
    pub(super) fn quarantine_diverged(&mut self) -> Result<(), Failure> {
        let sound =
            |slot: &Slot| slot.state.window.loss.is_finite() && slot.state.window.grad_norm.is_finite();
        let kept: Vec<usize> = (0..self.slots.len()).filter(|k| sound(&self.slots[*k])).collect();
        for slot in self.slots.iter().filter(|slot| !sound(slot)) {
            let failure = Failure::Diverged { step: slot.state.step };
            files::write_json(&self.context.layout.failure(slot.trial.id), &failure).map_err(bad_data)?;
            (self.context.say)(ChildLine::Failed { trial: slot.trial.id, failure: failure.clone() });
            self.failure = Some(failure);
        }
        self.keep_slots(&kept);
        Ok(())
    }

    /// Validates the slots for which it is time.
    pub(super) fn evaluate_due(&mut self) -> Result<(), Failure> {
        for k in 0..self.slots.len() {
            if !self.slots[k].evaluation_due() {
                continue;
            }
            let scores = self.validate(k)?;
            let slot = &mut self.slots[k];
            let step = slot.state.step;
            slot.state.latest = Some((step, scores));
            slot.write(&MetricLine::Validation { step, epoch: slot.epochs_done(), scores })
                .map_err(bad_data)?;
            if slot.state.best.is_none_or(|(_, best)| scores.accuracy > best.accuracy) {
                slot.state.best = Some((step, scores));
                let path = self.context.layout.best_checkpoint(slot.trial.id);
                checkpoint::save(&path, &slot.state, &self.params.snapshot(k)).map_err(bad_data)?;
            }
        }
        Ok(())
    }

    /// Writes training lines where they are due, and tells the parent where the slots stand.
    pub(super) fn report(&mut self) -> Result<(), Failure> {
        let speak = self.said.elapsed() > Duration::from_millis(200);
        for slot in &mut self.slots {
            let window = slot.state.window;
            let mean = window.loss / window.steps as f64;
            let speed = window.rows as f64 / window.seconds;
            if speak || slot.finished() {
                let progress = Progress {
                    trial: slot.trial.id,
                    step: slot.state.step,
                    steps: slot.total,
                    loss: mean,
                    rows_per_s: speed,
                    validation: slot.state.latest.map(|(_, scores)| scores),
                };
                (self.context.say)(ChildLine::Progress(progress));
                self.said = Instant::now();
            }
            let step = slot.state.step;
            if step.is_multiple_of(LINE_EVERY) || slot.finished() {
                let line = MetricLine::Train {
                    step,
                    epoch: slot.epochs_done(),
                    loss: mean,
                    learning_rate: learning_rate(&slot.trial.configuration.training, step - 1, slot.total),
                    grad_norm: window.grad_norm,
                    rows_per_s: speed,
                };
                slot.write(&line).map_err(bad_data)?;
                slot.state.window = Window::default();
            }
        }
        Ok(())
    }

    /// Writes the results of slots that did all their steps; they leave the pack.
    pub(super) fn finish_done_slots(&mut self) -> Result<(), Failure> {
        for k in 0..self.slots.len() {
            if self.slots[k].finished() {
                self.finish(k)?;
            }
        }
        let kept: Vec<usize> = (0..self.slots.len()).filter(|k| !self.slots[*k].finished()).collect();
        self.keep_slots(&kept);
        Ok(())
    }

    fn finish(&mut self, k: usize) -> Result<(), Failure> {
        let layout = &self.context.layout;
        let id = self.slots[k].trial.id;
        let missing = || bad_data("the trial ended without a validation");
        let weights = self.params.snapshot(k);
        let (kept_step, validation) = match self.slots[k].trial.configuration.training.keep {
            Keep::Last => self.slots[k].state.latest.ok_or_else(missing)?,
            Keep::Best => {
                let (_, best) = checkpoint::load(&layout.best_checkpoint(id)).map_err(bad_data)?;
                self.params.restore(k, &best).map_err(bad_data)?;
                self.slots[k].state.best.ok_or_else(missing)?
            }
        };
        let test = match self.store.part(Part::Test) {
            Some(test) if !test.is_empty() => Some(self.score(k, Part::Test, &all_rows(test))?),
            Some(_) | None => None,
        };
        let (trainable_params, total_params) = self.params.only(k).count();
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
        files::write_json(&layout.result(id), &result).map_err(bad_data)?;
        // The optimiser's state is of no use any more; the final weights stay.
        checkpoint::save(&layout.last_checkpoint(id), &slot.state, &weights).map_err(bad_data)?;
        (self.context.say)(ChildLine::Finished { trial: id });
        self.results += 1;
        Ok(())
    }

    fn validate(&mut self, k: usize) -> Result<Scores, Failure> {
        match self.slots[k].trial.splitting {
            Splitting::KFold { .. } | Splitting::HoldOut { .. } => {
                let rows = self.slots[k].rows.validation.clone();
                self.score(k, Part::Train, &rows)
            }
            Splitting::File => {
                let rows = all_rows(part(&self.store, Part::Validation)?);
                self.score(k, Part::Validation, &rows)
            }
        }
    }

    /// The scores of one slot's weights on these rows; the time is charged to it.
    fn score(&mut self, k: usize, of: Part, rows: &[u32]) -> Result<Scores, Failure> {
        let started = Instant::now();
        let architecture = &self.pack.model.architecture;
        let adapters = self.adapters.as_ref().map(|settings| settings.retain(&[k]));
        let model = Classifier::new(architecture, &self.params.only(k), adapters.as_ref());
        let classes = self.pack.task.labels.len();
        let scores =
            evaluate(&model, part(&self.store, of)?, rows, (classes, padding(architecture)), self.device);
        let seconds = started.elapsed().as_secs_f64();
        let cost = &mut self.slots[k].state.cost;
        cost.evaluate_s += seconds;
        cost.wall_s += seconds;
        cost.evaluated_rows += rows.len() as u64;
        Ok(scores)
    }

    fn keep_slots(&mut self, kept: &[usize]) {
        if kept.len() == self.slots.len() {
            return;
        }
        let mut position = 0;
        self.slots.retain(|_| {
            position += 1;
            kept.contains(&(position - 1))
        });
        if kept.is_empty() {
            return;
        }
        self.params = self.params.retain(kept);
        self.optimiser = self.optimiser.retain(kept);
        self.adapters = self.adapters.as_ref().map(|settings| settings.retain(kept));
        self.model = Classifier::new(&self.pack.model.architecture, &self.params, self.adapters.as_ref());
    }

    /// Checkpoints every slot when so much was done since the last time that writing costs little.
    pub(super) fn checkpoint_if_worth_it(&mut self) -> Result<(), Failure> {
        if self.saved.elapsed().mul_f64(CHECKPOINT_SHARE) > self.save_took {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Checkpoints every slot.
    pub(super) fn checkpoint(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        for (k, slot) in self.slots.iter_mut().enumerate() {
            slot.state.cost.peak_memory_mib = slot.state.cost.peak_memory_mib.max(peak_memory_mib());
            let mut tensors = self.params.snapshot(k);
            tensors.extend(self.optimiser.snapshot(k));
            checkpoint::save(&self.context.layout.last_checkpoint(slot.trial.id), &slot.state, &tensors)
                .map_err(bad_data)?;
        }
        self.saved = Instant::now();
        self.save_took = started.elapsed();
        Ok(())
    }

    /// Takes a slot to where its checkpoint stands; without a usable one it starts over.
    fn resume(&mut self, k: usize) -> Result<(), Failure> {
        let path = self.context.layout.last_checkpoint(self.slots[k].trial.id);
        if let Ok((state, tensors)) = checkpoint::load(&path)
            && state.trial == self.slots[k].trial.id
            && self.restore(k, &tensors).is_ok()
        {
            self.slots[k].state = state;
        }
        self.slots[k].rewind_metrics().map_err(bad_data)
    }

    fn restore(&mut self, k: usize, tensors: &BTreeMap<String, Tensor>) -> Result<(), String> {
        self.optimiser.restore(k, tensors)?;
        self.params.restore(k, tensors)
    }
}

fn slot_step(slot: &Slot) -> SlotStep<'_> {
    let training = &slot.trial.configuration.training;
    SlotStep {
        training,
        done: slot.state.step,
        learning_rate: learning_rate(training, slot.state.step, slot.total),
    }
}

fn padding(architecture: &Architecture) -> usize {
    match architecture {
        Architecture::Bert(config) => config.pad_token_id,
    }
}

fn part(store: &TokenStore, part: Part) -> Result<&PartView, Failure> {
    store.part(part).ok_or_else(|| bad_data(format!("the token store has no {part:?} rows")))
}

fn all_rows(part: &PartView) -> Vec<u32> {
    (0..u32::try_from(part.len()).expect("stores hold fewer than 2^32 rows")).collect()
}

fn host(values: &Tensor) -> Vec<f64> {
    Vec::try_from(values.to_device(Device::Cpu).to_kind(Kind::Double)).expect("a vector of numbers")
}

fn bad_data(error: impl std::fmt::Display) -> Failure {
    Failure::BadData { message: error.to_string() }
}

/// Largest resident memory of this process so far, in MiB; 0 where the system does not tell.
fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
