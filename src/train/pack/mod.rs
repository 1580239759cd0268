//! Owns a pack at work: model, optimiser and slots, and the parts of one round of the loop. Decides
//! neither their order, which is the loop's, nor what is tried again after a failure.

mod judge;

use std::io;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

use crate::arch::Weights;
use crate::data::folds;
use crate::data::store::{PartView, TokenStore};
use crate::job::{ChildLine, Pack, Progress};
use crate::model::build::{self, Base};
use crate::model::layers::AdapterSettings;
use crate::model::params::{Params, fill, index};
use crate::model::pass::{Pass, Stream};
use crate::model::{Model, device, weights};
use crate::outcome::{EMA_DECAY, Failure, MetricLine};
use crate::run::files;
use crate::run::layout::Layout;
use crate::task::Part;
use crate::train::checkpoint::{self, CheckpointError, State, Window};
use crate::train::evaluate::Evaluator;
use crate::train::objective::{backward, units};
use crate::train::optimiser::{AdamW, SlotStep};
use crate::train::schedule::learning_rate;
use crate::train::slot::Slot;
use crate::train::training::{Context, Ended};
use crate::trial::Method;

/// A training line every so many optimiser steps.
const LINE_EVERY: u64 = 10;

/// Writing checkpoints may take this share of the time.
const CHECKPOINT_SHARE: f64 = 0.02;

/// A pack at work.
pub(in crate::train) struct Trainer<'a> {
    pack: &'a Pack,
    context: &'a Context<'a>,
    device: Device,
    evaluator: Evaluator<'a>,
    store: TokenStore,
    slots: Vec<Slot>,
    params: Params,
    adapters: Option<AdapterSettings>,
    model: Model,
    optimiser: AdamW,
    failure: Option<Failure>,
    results: usize,
    said: Option<Instant>,
    saved: Instant,
    save_took: Duration,
}

impl<'a> Trainer<'a> {
    /// The pack before its first step, or where its checkpoints stand.
    pub(in crate::train) fn start(pack: &'a Pack, context: &'a Context<'a>) -> Result<Self, Failure> {
        let device = device::select(context.placement.device)?;
        if !context.placement.cores.is_empty() {
            tch::set_num_threads(i32::try_from(context.placement.cores.len()).unwrap_or(i32::MAX));
        }
        let store =
            TokenStore::open(&Layout::store(context.layout.stores(), pack.store)).map_err(bad_data)?;
        let train = part(&store, Part::Train)?;
        let mut slots = Vec::new();
        for trial in &pack.slots {
            let rows = folds::split(train.labels(), &trial.splitting, trial.fold);
            slots.push(Slot::new(trial, rows, train.lengths(), context));
        }
        let fresh = pack.slots.iter().all(|trial| trial.configuration.method == Method::Scratch);
        let folder = match &pack.model.weights {
            Weights::Folder { path, .. } if !fresh => Some(weights::read(path).map_err(bad_data)?),
            Weights::Folder { .. } | Weights::Random { .. } | Weights::Absent => None,
        };
        let base = match (&pack.model.weights, &folder) {
            (_, Some(folder)) => Base::Read(folder),
            (Weights::Random { seed }, None) if !fresh => Base::Drawn { seed: *seed },
            (Weights::Absent, None) if !fresh => {
                return Err(bad_data(format!("the model `{}` has no weights", pack.model.name)));
            }
            (Weights::Folder { .. } | Weights::Random { .. } | Weights::Absent, None) => Base::Fresh,
        };
        let head = pack.task.objective.head();
        let start = build::start(&pack.model.architecture, head, &pack.slots, base, device);
        let start = start.map_err(bad_data)?;
        let model = Model::new(&pack.model.architecture, head, &start.params, start.adapters.as_ref());
        let optimiser = AdamW::new(&start.params);
        let evaluator = Evaluator::new(&pack.task, &pack.model, device).map_err(bad_data)?;
        let now = Instant::now();
        let mut trainer = Self {
            pack,
            context,
            device,
            evaluator,
            store,
            slots,
            params: start.params,
            adapters: start.adapters,
            model,
            optimiser,
            failure: None,
            results: 0,
            said: None,
            saved: now,
            save_took: Duration::ZERO,
        };
        for k in 0..trainer.slots.len() {
            trainer.resume(k)?;
        }
        Ok(trainer)
    }

    /// Whether any slot has steps to do.
    pub(in crate::train) fn active(&self) -> bool {
        !self.slots.is_empty()
    }

    /// How it ended, once no slot is left.
    pub(in crate::train) fn ended(self) -> Result<Ended, Failure> {
        match self.failure {
            Some(failure) if self.results == 0 => Err(failure),
            Some(_) | None => Ok(Ended::Finished),
        }
    }

    /// One optimiser step of every slot.
    pub(in crate::train) fn step(&mut self) {
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
            state.ema_loss =
                Some(state.ema_loss.map_or(losses[k], |ema| EMA_DECAY * ema + (1.0 - EMA_DECAY) * losses[k]));
            state.window.rows += rows[k];
            state.window.tokens += tokens[k];
            state.window.seconds += seconds;
            state.window.grad_norm = norms[k];
        }
    }

    /// Forward and backward over the step's micro-batches: losses `[K]`, rows and tokens per slot.
    fn accumulate_gradients(&mut self) -> (Tensor, Vec<u64>, Vec<u64>) {
        let train = self.store.part(Part::Train).expect("the store was checked at the start");
        let collator = self.evaluator.collator();
        let steps: Vec<Vec<Vec<u32>>> = self.slots.iter_mut().map(Slot::micro_batches).collect();
        let rows: Vec<Vec<u32>> = steps.iter().map(|step| step.concat()).collect();
        let weights = rows.iter().map(|rows| 1.0 / units(collator.objective, train, rows) as f64);
        let weights: Vec<f64> = weights.collect();
        let mut losses = Tensor::zeros([index(steps.len())], (Kind::Float, self.device));
        for micro in 0..steps.iter().map(Vec::len).max().unwrap_or(0) {
            let slots: Vec<(&[u32], f64)> = steps
                .iter()
                .zip(&weights)
                .map(|(step, weight)| (step.get(micro).map_or(&[][..], Vec::as_slice), *weight))
                .collect();
            let batch = collator.collate(train, &slots);
            let streams = self.slots.iter().zip(&batch.sizes).map(|(slot, [rows, tokens])| Stream {
                key: slot.key,
                step: slot.micro_step(micro),
                rows: *rows,
                tokens: *tokens,
            });
            losses += backward(&self.model, &batch, &mut Pass::training(streams.collect()));
        }
        let tokens = |rows: &Vec<u32>| rows.iter().map(|row| u64::from(train.length(*row))).sum();
        (losses, rows.iter().map(|rows| rows.len() as u64).collect(), rows.iter().map(tokens).collect())
    }

    /// Fails the slots whose loss or gradient is no longer finite; the others go on without them.
    pub(in crate::train) fn quarantine_diverged(&mut self) -> Result<(), Failure> {
        let sound =
            |slot: &Slot| slot.state.window.loss.is_finite() && slot.state.window.grad_norm.is_finite();
        let kept: Vec<usize> = (0..self.slots.len()).filter(|k| sound(&self.slots[*k])).collect();
        for k in (0..self.slots.len()).filter(|k| !kept.contains(k)) {
            self.fail_diverged(k)?;
        }
        self.keep_slots(&kept);
        Ok(())
    }

    /// Writes and tells that a slot diverged; it still has to leave the pack.
    fn fail_diverged(&mut self, k: usize) -> Result<(), Failure> {
        let state = &self.slots[k].state;
        let failure = Failure::Diverged { step: state.step };
        files::write_json(&self.context.layout.failure(state.trial), &failure).map_err(bad_data)?;
        (self.context.say)(ChildLine::Failed { trial: state.trial, failure: failure.clone() });
        self.failure = Some(failure);
        Ok(())
    }

    /// Writes training lines where they are due, and tells the parent where the slots stand.
    pub(in crate::train) fn report(&mut self) -> Result<(), Failure> {
        // The first step is told at once.
        let speak = self.said.is_none_or(|said| said.elapsed() > Duration::from_millis(200));
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
                self.said = Some(Instant::now());
            }
            let step = slot.state.step;
            if step.is_multiple_of(LINE_EVERY) || slot.finished() {
                let line = MetricLine::Train {
                    step,
                    epoch: slot.epochs_done(),
                    loss: mean,
                    ema_loss: slot.state.ema_loss.unwrap_or(mean),
                    learning_rate: learning_rate(&slot.trial.configuration.training, step - 1, slot.total),
                    grad_norm: window.grad_norm,
                    rows_per_s: speed,
                    tokens_per_s: window.tokens as f64 / window.seconds,
                };
                slot.write(&line).map_err(bad_data)?;
                slot.state.window = Window::default();
            }
        }
        Ok(())
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
        self.optimiser = self.optimiser.retain(&self.params, kept);
        self.params = self.params.retain(kept);
        self.adapters = self.adapters.as_ref().map(|settings| settings.retain(kept));
        let head = self.pack.task.objective.head();
        self.model = Model::new(&self.pack.model.architecture, head, &self.params, self.adapters.as_ref());
    }

    /// Checkpoints every slot when so much was done since the last time that writing costs little.
    pub(in crate::train) fn checkpoint_if_worth_it(&mut self) -> Result<(), Failure> {
        if self.saved.elapsed().mul_f64(CHECKPOINT_SHARE) > self.save_took {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Checkpoints every slot.
    pub(in crate::train) fn checkpoint(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        for (k, slot) in self.slots.iter_mut().enumerate() {
            slot.state.cost.peak_memory_mib = slot.state.cost.peak_memory_mib.max(peak_memory_mib());
            let mut tensors = self.params.slot(k);
            tensors.extend(self.optimiser.slot(&self.params, k));
            checkpoint::save(&self.context.layout.last_checkpoint(slot.trial.id), &slot.state, &tensors)
                .map_err(bad_data)?;
        }
        self.saved = Instant::now();
        self.save_took = started.elapsed();
        Ok(())
    }

    /// Takes a slot to where its checkpoint stands; without a usable one it starts over.
    fn resume(&mut self, k: usize) -> Result<(), Failure> {
        match self.restore(k) {
            Ok(state) => self.slots[k].state = state,
            Err(CheckpointError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => (self.context.say)(ChildLine::Warning {
                trial: self.slots[k].trial.id,
                message: format!("{error}; the trial starts over"),
            }),
        }
        self.slots[k].rewind_metrics().map_err(bad_data)
    }

    /// Fills a slot's tensors from its checkpoint; on an error they are as they were.
    fn restore(&self, k: usize) -> Result<State, CheckpointError> {
        let (layout, id) = (&self.context.layout, self.slots[k].trial.id);
        let damaged = |what: String| CheckpointError::Damaged(what);
        let (state, values) = checkpoint::load(&layout.last_checkpoint(id))?;
        if state.trial != id {
            return Err(damaged(format!("it is that of the trial {}", state.trial)));
        }
        if state.best.is_some() {
            // The best weights so far cannot be made again from here.
            let best = checkpoint::load(&layout.best_checkpoint(id));
            best.map_err(|error| damaged(format!("of the best weights, {error}")))?;
        }
        let mut tensors = self.params.slot(k);
        tensors.extend(self.optimiser.slot(&self.params, k));
        fill(&tensors, &values).map_err(damaged)?;
        Ok(state)
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

fn part(store: &TokenStore, part: Part) -> Result<&PartView, Failure> {
    store.part(part).ok_or_else(|| bad_data(format!("the token store has no {part:?} rows")))
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
