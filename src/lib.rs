//! lorasweep
pub mod arch;
pub mod content;
pub mod data;
pub mod error;
pub mod exec;
pub mod job;
pub mod model;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod run;
pub mod sched;
pub mod spec;
pub mod stream;
pub mod task;
pub mod trial;
pub mod ui;
