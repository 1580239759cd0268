//! Owns a trial's checkpoints: one safetensors file with tensors, state and checksum, replaced atomically.
//! [`record::checkpoint`](crate::record::checkpoint) reads them without libtorch. Decides neither when one is
//! written nor what follows from a damaged one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::disk::files;
use crate::record::checkpoint;
use crate::values::{Cost, EMA_DECAY, Scores, TrialId};

/// The state that a trial needs, besides tensors, to continue exactly where it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Which trial.
    pub trial: TrialId,
    /// Optimiser steps done.
    pub step: u64,
    /// What it has cost so far.
    pub cost: Cost,
    /// Step and scores of the best evaluation on all validation rows so far.
    pub best: Option<(u64, Scores)>,
    /// Step and scores of the latest evaluation on all validation rows.
    pub latest: Option<(u64, Scores)>,
    /// Step of the latest evaluation on some of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partly: Option<u64>,
    /// Exponential moving average of the steps' losses.
    pub ema_loss: Option<f64>,
    /// The sums for the next training line.
    pub window: Window,
}

/// The sums since the last training line.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Window {
    /// Optimiser steps whose loss is known.
    pub steps: u64,
    /// Their summed losses.
    pub loss: f64,
    /// Rows seen.
    pub rows: u64,
    /// Tokens seen, padding not counted.
    pub tokens: u64,
    /// Seconds spent on them.
    pub seconds: f64,
    /// Gradient norm of the latest.
    pub grad_norm: f64,
}

impl State {
    /// Counts an optimiser step: its rows and tokens.
    pub(super) fn advance(&mut self, [rows, tokens]: [u64; 2]) {
        self.step += 1;
        self.cost.train_rows += rows;
        self.cost.train_tokens += tokens;
        self.window.rows += rows;
        self.window.tokens += tokens;
    }

    /// Adds a step's loss and gradient norm.
    pub(super) fn take_in(&mut self, loss: f64, grad_norm: f64) {
        self.ema_loss = Some(self.ema_loss.map_or(loss, |ema| EMA_DECAY * ema + (1.0 - EMA_DECAY) * loss));
        self.window.steps += 1;
        self.window.loss += loss;
        self.window.grad_norm = grad_norm;
    }

    /// Adds time spent on steps.
    pub(super) fn charge(&mut self, seconds: f64) {
        self.cost.train_s += seconds;
        self.cost.wall_s += seconds;
        self.window.seconds += seconds;
    }
}

/// A checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be read or written.
    #[error("cannot access the checkpoint: {0}")]
    Io(#[from] io::Error),
    /// Its bytes were changed since they were written.
    #[error("the checkpoint is damaged: {0}")]
    Damaged(String),
}

struct Raw {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Raw {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes tensors and state to a file aside and renames it to `path`.
///
/// # Errors
/// When the folder cannot be written; the previous file stays intact.
pub fn save(path: &Path, state: &State, tensors: &BTreeMap<String, Tensor>) -> Result<(), CheckpointError> {
    let raw: BTreeMap<&str, Raw> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), raw(tensor))).collect();
    let state = serde_json::to_string(state).map_err(io::Error::from)?;
    let metadata = [("checksum".to_owned(), checksum(&state, &raw)), ("state".to_owned(), state)];
    let text = safetensors::serialize(raw.iter(), Some(metadata.into_iter().collect()))
        .map_err(|error| CheckpointError::Io(io::Error::other(error)))?;
    // A checkpoint lost in a power failure costs only time, while waiting for the disk would cost some at every
    // checkpoint.
    Ok(files::replace(path, |aside| fs::write(aside, &text))?)
}

/// Reads what [`save`] wrote.
///
/// # Errors
/// When there is no file, or it is incomplete or damaged.
pub fn load(path: &Path) -> Result<(State, BTreeMap<String, Tensor>), CheckpointError> {
    let bytes = fs::read(path)?;
    let damaged = |error: &dyn std::fmt::Display| CheckpointError::Damaged(error.to_string());
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(&e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&e))?;
    let metadata = header.metadata().as_ref().ok_or_else(|| damaged(&"it has no metadata"))?;
    let state = metadata.get("state").ok_or_else(|| damaged(&"it has no state"))?;
    let mut raw = BTreeMap::new();
    for (name, view) in file.iter() {
        raw.insert(name, Raw { shape: view.shape().to_vec(), bytes: view.data().to_vec() });
    }
    if metadata.get("checksum") != Some(&checksum(state, &raw)) {
        return Err(damaged(&"its checksum does not match"));
    }
    let tensors = raw.iter().map(|(name, raw)| {
        let size: Vec<i64> = raw.shape.iter().map(|n| crate::model::params::index(*n)).collect();
        ((*name).to_owned(), Tensor::from_data_size(&raw.bytes, &size, Kind::Float))
    });
    let tensors = tensors.collect();
    Ok((serde_json::from_str(state).map_err(|e| damaged(&e))?, tensors))
}

fn raw(tensor: &Tensor) -> Raw {
    let tensor = tensor.detach().to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut bytes = vec![0; tensor.numel() * size_of::<f32>()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    let shape = tensor.size().iter().map(|n| usize::try_from(*n).expect("sizes are positive")).collect();
    Raw { shape, bytes }
}

fn checksum(state: &str, raw: &BTreeMap<&str, Raw>) -> String {
    checkpoint::checksum(state, raw.iter().map(|(name, raw)| (*name, raw.bytes.as_slice())))
}
