//! What sweep files mean: tasks, models, profiles, plans without weights, and files made to do harm.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly, also in its fixtures")]

mod cards;
mod exported;
mod folder;
mod hostile;
mod ids;
mod labels;
mod looks;
mod models;
mod plan;
mod regression;
mod searches;
mod starters;
mod tasks;
