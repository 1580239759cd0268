//! Owns the sweep file: from YAML text to a checked sweep. Afterwards nobody validates.
//!
//! `raw` mirrors the file with the place of every value; `survey` looks at the files it names;
//! `check` turns both into a [`SweepSpec`] or into every error at once; `grid` expands it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::arch::ModelSpec;
use crate::task::Task;
use crate::trial::{Configuration, Splitting, Trial};
use std::sync::Arc;

/// A checked sweep. Only `spec::load` makes one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepSpec {
    /// Name of the sweep and of its folders.
    pub name: String,
    /// What to learn from which data.
    pub task: Task,
    /// The models that some configuration uses, by name.
    pub models: BTreeMap<String, ModelSpec>,
    /// The grid's points in file order, each once.
    pub configurations: Vec<Arc<Configuration>>,
    /// How training rows are divided.
    pub splitting: Splitting,
    /// The devices to use.
    pub devices: DeviceRequest,
    /// What is allowed but worth saying, for example a grid that varies alpha with one learning rate.
    pub warnings: Vec<String>,
}

/// Which devices a sweep asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceRequest {
    /// Every visible GPU, or the CPU where there is none.
    Auto,
    /// This many CPU slots; the cores are shared out among them.
    Cpu(usize),
    /// This many GPUs; all of them where absent.
    Cuda(Option<usize>),
}

impl SweepSpec {
    /// Every trial: configurations in grid order, folds innermost.
    #[must_use]
    pub fn trials(&self) -> Vec<Trial> {
        self.configurations
            .iter()
            .flat_map(|c| (0..self.splitting.splits()).map(|fold| Trial::new(c, self.splitting, fold)))
            .collect()
    }
}

/// Every error of a sweep file, each with its place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SpecErrors(pub String);
