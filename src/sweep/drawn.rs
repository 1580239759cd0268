//! Owns how the points of a sweep were drawn, as its file says it. Draws none.

use serde::{Deserialize, Serialize};

/// How the points of the blocks with a range were drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// The sampler, by its word in the file.
    pub sampler: String,
    /// Points of each block with a range.
    pub trials: usize,
    /// Seed of the draw.
    pub seed: u64,
    /// The axes that have a range or are multiples of others, in the file's order; one of several blocks once for each
    /// way in which they write it.
    pub ranges: Vec<DrawnRange>,
}

/// An axis without a list of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawnRange {
    /// Its name.
    pub axis: String,
    /// Its range, as the file writes one: `log_uniform [1e-4, 1e-2]`.
    pub written: String,
}
