//! Owns the plain data that all rooms share: ids, trials, methods, settings, scores, failures, devices, events.
//! Does no I/O, reads no clock and uses no other room. Read `trial.rs` first, then `axes.rs` and `event.rs`.

pub mod axes;
mod content;
pub mod domain;
mod event;
mod failure;
mod horizon;
mod job_key;
mod method;
mod metric;
mod naming;
mod outcome;
mod part;
mod place;
mod policy;
mod precision;
pub mod quantity;
mod row;
mod rung;
mod scores;
mod setting;
pub mod shell;
pub mod stream;
mod training;
mod trial;

pub use axes::{Axis, PackKey, Settings};
pub use content::{ContentHash, NoHash};
pub use domain::{Domain, Range};
pub use event::{CommandLine, Event, Progress, Reader, TrialsOfWidth, What};
pub use failure::Failure;
pub use horizon::Horizon;
pub use job_key::{JobKey, NoJobKey};
pub use method::{Lora, Method, MethodKind};
pub use metric::{Digits, Direction, Follows, Metric, MetricRow, Unit};
pub use naming::Naming;
pub use outcome::{ClassRows, Cost, EMA_DECAY, MetricLine, Reference, TrialResult};
pub use part::Part;
pub use place::{Device, KnownGpu, Placement, Resources, Speed, Width};
pub use policy::{Limits, Policy, RunSettings};
pub use precision::Precision;
pub use row::{JudgedRow, JudgedRows, RowAnswer, ratio};
pub use rung::{Bracket, Candidate, Pause, Ranked, RungDecision, RungPutOff, StopReason};
pub use scores::{Count, Scores};
pub use setting::Setting;
pub use training::{Keep, Schedule, Training};
pub use trial::{Configuration, ConfigurationId, Splitting, Trial, TrialId};
