//! Owns the space that a block's points are drawn from: its dimensions, and which points it has. Draws none, and knows no
//! axis.

use serde::{Deserialize, Serialize};

use super::{Draw, Spread};
use crate::values::{Place, Point};

/// What a block's points differ in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// Its dimensions.
    pub dimensions: Vec<Dimension>,
}

/// What points differ in: an axis, or axes that move together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// Its values.
    pub values: Values,
    /// Where it exists; everywhere where there is no condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Condition>,
}

/// The values of a dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Those of a range.
    Range(Spread),
    /// Items of a list.
    List {
        /// How many.
        count: usize,
        /// Where they are numbers, how many are smaller than each of them. Empty for items without an order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        order: Vec<usize>,
    },
}

/// A condition: another dimension has one of some items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The other dimension, one without a condition.
    pub dimension: usize,
    /// The items.
    pub items: Vec<usize>,
}

impl Space {
    /// The point with these shares, from 0 up to but not including 1, one for each dimension.
    #[must_use]
    pub fn point(&self, mut share: impl FnMut(usize) -> f64) -> Point {
        let places = self.dimensions.iter().enumerate().map(|(at, one)| Some(one.values.at(share(at))));
        self.without_absent(places.collect())
    }

    /// A point of a sequence.
    #[must_use]
    pub fn drawn(&self, draw: Draw, number: u32) -> Point {
        self.point(|at| draw.share(number, u32::try_from(at).expect("a block has few axes")))
    }

    /// The point at these places, without those of dimensions that do not exist there.
    pub(super) fn without_absent(&self, mut places: Vec<Option<Place>>) -> Point {
        for (at, dimension) in self.dimensions.iter().enumerate() {
            let exists = dimension.only.as_ref().is_none_or(|condition| condition.holds(&places));
            if !exists {
                places[at] = None;
            }
        }
        Point(places)
    }

    /// Whether a point is one of this space.
    #[must_use]
    pub fn holds(&self, point: &Point) -> bool {
        let each = || self.dimensions.iter().zip(&point.0);
        let is_held = |(dimension, place): (&Dimension, &Option<Place>)| match place {
            Some(place) => dimension.values.holds(*place),
            None => dimension.only.is_some(),
        };
        self.dimensions.len() == point.0.len()
            && each().all(is_held)
            && each().all(|(dimension, place)| {
                let exists = dimension.only.as_ref().is_none_or(|condition| condition.holds(&point.0));
                exists == place.is_some()
            })
    }

    /// Whether every dimension has values, and conditions name others that exist everywhere.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_item = |condition: &Condition| {
            let other = self.dimensions.get(condition.dimension);
            other.is_some_and(|other| other.only.is_none() && matches!(other.values, Values::List { .. }))
        };
        self.dimensions.iter().all(|one| one.values.are_sound() && one.only.iter().all(is_item))
    }

    /// Every point, where all dimensions have few values and there are at most so many.
    #[must_use]
    pub fn all(&self, most: usize) -> Option<Vec<Point>> {
        let counts: Vec<usize> =
            self.dimensions.iter().map(|one| one.values.count()).collect::<Option<_>>()?;
        let count = counts.iter().try_fold(1_usize, |product, one| product.checked_mul(*one))?;
        if count > most {
            return None;
        }
        let mut all: Vec<Point> = Vec::with_capacity(count);
        for number in 0..count {
            let mut rest = number;
            let places = self.dimensions.iter().zip(&counts).map(|(dimension, count)| {
                let place = dimension.values.number(rest % count);
                rest /= count;
                Some(place)
            });
            let point = self.without_absent(places.collect());
            // Without what does not exist there, some are the same.
            if !all.contains(&point) {
                all.push(point);
            }
        }
        Some(all)
    }
}

impl Condition {
    fn holds(&self, places: &[Option<Place>]) -> bool {
        matches!(places.get(self.dimension), Some(Some(Place::Item(item))) if self.items.contains(item))
    }
}

impl Values {
    /// What lies at a share of them, from 0 up to but not including 1: each item of a list has an equal part.
    #[must_use]
    pub fn at(&self, share: f64) -> Place {
        match self {
            Self::Range(spread) => Place::Value(spread.value(share)),
            Self::List { count, .. } => {
                Place::Item(floor(share * *count as f64).min(count.saturating_sub(1)))
            }
        }
    }

    /// The same of items in the order of their numbers.
    pub(super) fn at_in_order(&self, share: f64) -> Place {
        match (self, self.at(share)) {
            (Self::List { order, .. }, Place::Item(at)) if !order.is_empty() => {
                Place::Item(order.iter().position(|one| *one == at).unwrap_or(at))
            }
            (Self::Range(_) | Self::List { .. }, place) => place,
        }
    }

    /// From which share to which other one a place is, of items in the order of their numbers; these are equal
    /// where it is a single one of many. `None` for items without an order.
    pub(super) fn part(&self, place: Place) -> Option<(f64, f64)> {
        match (self, place) {
            (Self::Range(spread), Place::Value(value)) => Some(spread.part(value)),
            (Self::List { count, order }, Place::Item(item)) => {
                let at = *order.get(item)? as f64;
                Some((at / *count as f64, (at + 1.0) / *count as f64))
            }
            (Self::Range(_), Place::Item(_)) | (Self::List { .. }, Place::Value(_)) => None,
        }
    }

    fn are_sound(&self) -> bool {
        match self {
            Self::Range(spread) => spread.is_sound(),
            Self::List { count, order } => {
                *count > 0 && (order.is_empty() || order.len() == *count && order.iter().all(|at| at < count))
            }
        }
    }

    fn holds(&self, place: Place) -> bool {
        match (self, place) {
            (Self::Range(spread), Place::Value(value)) => spread.holds(value),
            (Self::List { count, .. }, Place::Item(item)) => item < *count,
            (Self::Range(_), Place::Item(_)) | (Self::List { .. }, Place::Value(_)) => false,
        }
    }

    /// How many there are, where that can be counted.
    fn count(&self) -> Option<usize> {
        match self {
            Self::Range(spread) => spread.count(),
            Self::List { count, .. } => Some(*count),
        }
    }

    /// The value of this number, where they can be counted.
    fn number(&self, number: usize) -> Place {
        match self {
            Self::Range(spread) => Place::Value(spread.low + number as f64),
            Self::List { .. } => Place::Item(number),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a list's length")]
fn floor(value: f64) -> usize {
    value as usize
}
