//! Owns the names of the parts of a task's rows.

use serde::{Deserialize, Serialize};

/// A part of a task's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The training file's rows (also those that a fold holds out).
    Train,
    /// The validation file's rows.
    Validation,
    /// The test rows.
    Test,
}
