//! Owns the plain data that everything else speaks in: ids, trials, methods, settings, scores, failures,
//! places. No I/O, no clock, and no room below it.

mod content;
mod failure;
mod method;
mod outcome;
mod part;
mod place;
mod precision;
pub mod quantity;
pub mod shell;
pub mod stream;
mod training;
mod trial;

pub use content::ContentHash;
pub use failure::Failure;
pub use method::{Lora, Method};
pub use outcome::{
    AnswerScores, ClassRows, ClassificationScores, Cost, EMA_DECAY, LanguageScores, Metric, MetricLine,
    Scores, TrialResult,
};
pub use part::Part;
pub use place::{Device, Placement};
pub use precision::Precision;
pub use training::{Keep, Schedule, Training};
pub use trial::{Configuration, ConfigurationId, Splitting, Trial, TrialId};
