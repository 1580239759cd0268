//! Owns one trial's side of a pack: its rows, its progress through them, its files. Computes nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;

use super::checkpoint::{State, Window};
use super::schedule;
use super::training::Context;
use crate::data::batches;
use crate::data::folds::SplitRows;
use crate::disk::files;
use crate::values::stream::StreamKey;
use crate::values::{Cost, Horizon, JudgedRows, Method, MetricLine, Trial};

/// Optimiser steps between two training lines.
const LINE_EVERY: u64 = 10;

/// A trial in a pack.
#[derive(Debug)]
pub(super) struct Slot {
    /// The trial.
    pub(super) trial: Trial,
    /// Root of its random streams.
    pub(super) key: StreamKey,
    /// Training rows, and validation rows of the same file.
    pub(super) rows: SplitRows,
    /// Optimiser steps in all.
    pub(super) total: u64,
    /// Its progress.
    pub(super) state: State,
    /// The step after which it is to leave the pack, if its parent said so.
    pub(super) stop_after: Option<u64>,
    /// What it gave for each validation row at its latest evaluation of all, until a checkpoint is written.
    pub(super) latest_rows: Option<JudgedRows>,
    /// The first step whose loss or gradient was not finite.
    pub(super) diverged: Option<u64>,
    horizon: Horizon,
    lengths: Vec<u32>,
    epoch: Option<(u64, Vec<Vec<u32>>)>,
    micro_rows: usize,
    /// How much a row of each class counts in its training loss, where this differs.
    pub(super) class_weights: Option<Rc<[f64]>>,
    metrics: PathBuf,
}

impl Slot {
    /// A trial at its first step. `lengths` are those of all training rows, in tokens.
    #[must_use]
    pub(super) fn new(trial: &Trial, rows: SplitRows, lengths: Vec<u32>, context: &Context<'_>) -> Self {
        let configuration = &trial.configuration;
        let (per_epoch, steps) = schedule::steps(&configuration.training, rows.train.len());
        let total = match configuration.method {
            Method::Lora(_) | Method::Dora(_) | Method::Full | Method::Scratch => steps,
            Method::Base => 0,
        };
        let every = configuration.training.evaluate_every.map(|every| every as u64);
        let state = State {
            trial: trial.id,
            step: 0,
            cost: Cost::default(),
            best: None,
            latest: None,
            partly: None,
            ema_loss: None,
            window: Window::default(),
        };
        let batch_size = configuration.training.batch_size;
        Self {
            trial: trial.clone(),
            key: StreamKey::of(trial),
            rows,
            total,
            state,
            stop_after: None,
            latest_rows: None,
            diverged: None,
            horizon: Horizon { steps: total, per_epoch, every },
            lengths,
            epoch: None,
            micro_rows: context.micro_rows.map_or(batch_size, |rows| rows.clamp(1, batch_size)),
            class_weights: None,
            metrics: context.layout.metrics(trial.id),
        }
    }

    /// The micro-batches of the next optimiser step, as lists of rows. A lower limit of rows in memory gives
    /// more micro-batches with the same rows in the same order.
    pub(super) fn micro_batches(&mut self) -> Vec<Vec<u32>> {
        let training = &self.trial.configuration.training;
        let per_epoch = self.horizon.per_epoch;
        let epoch = self.state.step / per_epoch;
        if self.epoch.as_ref().is_none_or(|(current, _)| *current != epoch) {
            let batches =
                batches::training(&self.rows.train, &self.lengths, training.batch_size, self.key, epoch);
            self.epoch = Some((epoch, batches));
        }
        let batches = self.epoch.as_ref().map_or(&[][..], |(_, batches)| batches);
        let within = usize::try_from(self.state.step % per_epoch).expect("steps fit in memory");
        let first = within * training.accumulation;
        let step = &batches[first..(first + training.accumulation).min(batches.len())];
        step.iter().flat_map(|batch| batch.chunks(self.micro_rows)).map(<[u32]>::to_vec).collect()
    }

    /// Takes in a step's loss and gradient norm.
    pub(super) fn take_in(&mut self, step: u64, loss: f64, grad_norm: f64) {
        self.state.take_in(loss, grad_norm);
        if !loss.is_finite() || !grad_norm.is_finite() {
            self.diverged.get_or_insert(step);
        }
    }

    /// Whether all steps are done.
    #[must_use]
    pub(super) fn finished(&self) -> bool {
        self.state.step >= self.total
    }

    /// Passes over the training rows so far.
    #[must_use]
    pub(super) fn epochs_done(&self) -> f64 {
        self.state.step as f64 / self.horizon.per_epoch as f64
    }

    /// Whether a training line is due after the step just done.
    #[must_use]
    pub(super) fn line_due(&self) -> bool {
        self.state.step.is_multiple_of(LINE_EVERY) || self.finished()
    }

    /// Whether a validation is due after the step just done; true only once.
    #[must_use]
    pub(super) fn evaluation_due(&self) -> bool {
        let step = self.state.step;
        let is_done = self.state.latest.as_ref().is_some_and(|(at, _)| *at == step);
        !is_done
            && self.state.partly != Some(step)
            && self.trial.splitting.validates()
            && self.horizon.validates_after(step)
    }

    /// How many validation rows the validation after the step just done takes; `None` for all.
    #[must_use]
    pub(super) fn rows_due(&self) -> Option<usize> {
        let some = self.trial.configuration.training.evaluate_rows;
        some.filter(|_| !self.horizon.validates_all_after(self.state.step))
    }

    /// Lets it leave the pack at the first validation of all rows from this share of its steps on, unless that is
    /// its end.
    pub(super) fn pause_at(&mut self, share: f64) {
        self.stop_after = match self.trial.configuration.training.evaluate_rows {
            None => self.horizon.pause(share),
            Some(_) => self.horizon.pause_on_all(share),
        };
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, line: &MetricLine) -> io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        File::options().create(true).append(true).open(&self.metrics)?.write_all(text.as_bytes())
    }

    /// Removes the metric lines after the step from which the trial continues: they will be written again.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(super) fn rewind_metrics(&self) -> io::Result<()> {
        let text = match fs::read(&self.metrics) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        // A damaged line is skipped, since it is no reason to fail.
        let text = String::from_utf8_lossy(&text);
        let kept = text.lines().filter(|line| match serde_json::from_str(line) {
            Ok(MetricLine::Train { step, .. } | MetricLine::Validation { step, .. }) => {
                step <= self.state.step
            }
            Err(_) => false,
        });
        let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
        files::write_atomic(&self.metrics, kept.as_bytes())
    }
}
