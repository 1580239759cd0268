//! Owns the checked sweep: its configurations, tasks and models, and what their ids are made of. `spec` reads
//! one from a file; `changes` compares it with an earlier one. Read this file first, then `identity.rs`.

mod block;
pub mod card;
pub mod changes;
pub mod devices;
mod drawn;
mod identity;
mod own_head;
mod point;
mod proposed;
mod refit;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use block::{Block, Lists, Row, Sets, multiple};
pub use devices::DeviceRequest;
pub use drawn::{Drawn, DrawnRange};
pub use identity::{ForeignId, Template};
pub use own_head::{By, OwnHead};
pub use point::{Given, Templates, default, is_same};
pub use proposed::Proposing;
pub use refit::{Chosen, Refit};
pub use stored::{Unsound, is_folder_name};

use crate::families::ModelSpec;
use crate::search::{self, StopRule};
use crate::sweep::card::Card;
use crate::tasks::Task;
use crate::values::{Configuration, Metric, Select, Splitting, Trial};

/// A checked sweep: its parts can be read and not changed. [`spec::load`](crate::spec::load) makes one from a
/// file; parts that come from elsewhere, `sweep.json` included, are checked by `TryFrom`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SweepParts")]
pub struct SweepSpec(SweepParts);

/// What a sweep is made of; a [`SweepSpec`] once it is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepParts {
    /// Name of the sweep and of its folders.
    pub name: String,
    /// The tasks by name.
    pub tasks: BTreeMap<String, Arc<Task>>,
    /// The models that some configuration uses, by name.
    pub models: BTreeMap<String, ModelSpec>,
    /// The grid's points in file order, each once.
    pub configurations: Vec<Arc<Configuration>>,
    /// How points are proposed while the sweep runs, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposing: Option<Proposing>,
    /// How training rows are divided.
    pub splitting: Splitting,
    /// The metrics that select.
    #[serde(default, skip_serializing_if = "Select::is_kinds")]
    pub select: Select,
    /// What is stopped early, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopRule>,
    /// How points were drawn, where an axis has a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
    /// Where the configurations were chosen from another run, to be trained on all rows: from which, for each
    /// task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refits: Vec<Refit>,
    /// What `--only` kept of the grid, as it was typed; empty where these are all its points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// The devices to use.
    pub devices: DeviceRequest,
    /// Warnings about the sweep file, for example about a grid that varies alpha with one learning rate.
    pub warnings: Vec<String>,
    /// The data card of each task, with its warnings, in the tasks' order. Empty in records of versions without
    /// cards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<Card>,
}

impl Deref for SweepSpec {
    type Target = SweepParts;

    fn deref(&self) -> &SweepParts {
        &self.0
    }
}

impl SweepSpec {
    /// The sweep with other parts.
    ///
    /// # Errors
    /// Why these are not those of a sweep.
    pub fn with(&self, change: impl FnOnce(&mut SweepParts)) -> Result<Self, Unsound> {
        let mut parts = self.0.clone();
        change(&mut parts);
        Self::try_from(parts)
    }

    /// All warnings, about the sweep file and about the data.
    pub fn all_warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.warnings.iter().cloned().chain(self.cards.iter().flat_map(Card::warning_lines))
    }

    /// The task that a configuration learns.
    ///
    /// # Panics
    /// When the configuration is not one of a checked sweep's.
    #[must_use]
    pub fn task(&self, configuration: &Configuration) -> &Arc<Task> {
        self.tasks.get(&configuration.task).expect("a checked sweep holds the tasks it uses")
    }

    /// The model that a configuration starts from.
    ///
    /// # Panics
    /// When the configuration is not one of a checked sweep's.
    #[must_use]
    pub fn model(&self, configuration: &Configuration) -> &ModelSpec {
        self.models.get(&configuration.model).expect("a checked sweep holds the models it uses")
    }

    /// The only task, or the first by name.
    ///
    /// # Panics
    /// When there is no task: a checked sweep has one.
    #[must_use]
    pub fn first_task(&self) -> &Arc<Task> {
        self.tasks.values().next().expect("a checked sweep has a task")
    }

    /// The metric that selects on a task.
    #[must_use]
    pub fn selecting(&self, task: &Task) -> Metric {
        self.select.of(&task.name).unwrap_or_else(|| task.objective.primary())
    }

    /// What is to be known of these trials where they are compared, to stop those that cannot win.
    #[must_use]
    pub fn compared(&self, trials: &[Trial]) -> search::Known {
        let losses = self.cards.iter().filter_map(|card| Some((card.task.as_str(), card.untrained_loss()?)));
        let losses: BTreeMap<&str, f64> = losses.collect();
        search::Known::of(trials, &|configuration| losses.get(configuration.task.as_str()).copied())
    }

    /// Every trial: configurations in grid order, folds innermost.
    #[must_use]
    pub fn trials(&self) -> Vec<Trial> {
        self.configurations.iter().flat_map(|one| self.trials_of(one)).collect()
    }

    /// The trials of a configuration: one for each fold.
    pub fn trials_of(&self, one: &Arc<Configuration>) -> impl Iterator<Item = Trial> + use<> {
        let (one, splitting) = (Arc::clone(one), self.splitting);
        (0..splitting.splits()).map(move |fold| Trial::new(&one, splitting, fold))
    }
}
