//! Owns the points of a space, as they are drawn or proposed and as a journal holds them. Knows no axis.

use serde::{Deserialize, Serialize};

use super::ContentHash;

/// A point of a space: where it lies in each dimension; nowhere in one that does not exist there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point(pub Vec<Option<Place>>);

/// Where a point lies in a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The item of a list, from 0.
    Item(usize),
    /// The value of a range.
    Value(f64),
}

/// Points of a block that were proposed together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposed {
    /// The key of the block.
    pub block: ContentHash,
    /// The points.
    pub points: Vec<Point>,
}
