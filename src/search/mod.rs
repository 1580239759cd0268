//! Owns what a sweep proposes where an axis has a range instead of a list of values, and what it stops early. Pure:
//! a drawn point is a function of a seed and its number, so that a sweep which is planned, continued or extended has
//! the same points again, and what TPE proposes or a rule decides is one of what has happened. Knows no sweep file.

mod brackets;
mod draw;
mod rule;
mod space;
mod spread;
mod tpe;

pub use self::brackets::{Brackets, Known, Turn};
pub use self::draw::{Draw, MOST_POINTS, Sampler};
pub use self::rule::{Baselines, ComparedOn, Stop, StopRule, Ties};
pub use self::space::{Condition, Dimension, Space, Values};
pub use self::spread::{Scale, Spread};
pub use self::tpe::{Generation, Outcome, Tried, propose};
