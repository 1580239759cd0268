//! Owns the plain data that everything else speaks in: ids, trials, methods, settings, scores, failures,
//! places. No I/O, no clock, and no room below it.

mod content;
mod event;
mod failure;
mod job_key;
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

pub use content::{ContentHash, NoHash};
pub use event::{Event, Progress, Reader, Typed, What};
pub use failure::Failure;
pub use job_key::{JobKey, NoJobKey};
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
