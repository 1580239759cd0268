//! Owns which of a task's rows is meant.

use serde::{Deserialize, Serialize};

/// Which of a task's rows.
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
