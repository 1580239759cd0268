//! Owns what a sweep proposes where an axis has a range instead of a list of values. Pure, and without memory: a
//! point is a function of a seed and its number, so that a sweep which is planned, continued or extended has the
//! same points again. Knows no sweep file.

mod draw;
mod spread;

pub use self::draw::{Draw, MOST_POINTS, Sampler};
pub use self::spread::{Scale, Spread};
