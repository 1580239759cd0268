//! Owns the density of some points of a space: a kernel around each of them, and an even one over the whole space.
//!
//! A kernel is the product of one for each dimension (Falkner et al. 2018), so that what goes together in points goes
//! together in their density. Each is one over the dimension's shares, from 0 to 1:
//!
//! - in a range, and for numbers of a list, a normal distribution around the point, cut off at both ends. It is as wide
//!   as the way to the farther one of the two neighbours (Bergstra et al. 2011, section 4.2), and at least 1 / (k + 1) with
//!   k kernels, or a hundredth ("magic clipping": Watanabe 2023). Whole numbers and items have the probability of
//!   their parts;
//! - for items without an order, 1 / k and for the point's own 1 more, divided by their sum;
//! - where the point lacks the dimension, an even one, as everywhere in the kernel of no point.

use rand::Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::search::{Space, Values};
use crate::values::{Place, Point};

/// The most kernels of which each makes all narrower.
const MOST_NARROWING: f64 = 99.0;

/// A density over a space.
pub(super) struct Mixture<'s> {
    space: &'s Space,
    /// Of each point, in each dimension.
    kernels: Vec<Vec<Kernel>>,
    /// The distribution with mean 0 and deviation 1.
    normal: Normal,
}

/// The density of one dimension around one point.
#[derive(Clone, Copy)]
enum Kernel {
    /// All places alike.
    Even,
    /// A normal distribution, with its probabilities below 0 and below 1, at which it is cut off.
    Normal { mean: f64, deviation: f64, below: (f64, f64) },
    /// An item, and the probability of each other one.
    Item { item: usize, other: f64 },
}

impl<'s> Mixture<'s> {
    pub(super) fn of(space: &'s Space, points: &[&Point]) -> Self {
        let normal = Normal::standard();
        let mut kernels = vec![Vec::with_capacity(space.dimensions.len()); points.len()];
        for (at, dimension) in space.dimensions.iter().enumerate() {
            let places: Vec<Option<Place>> =
                points.iter().map(|point| point.0.get(at).copied().flatten()).collect();
            let own = in_dimension(&dimension.values, &places, &normal);
            kernels.iter_mut().zip(own).for_each(|(kernels, own)| kernels.push(own));
        }
        Self { space, kernels, normal }
    }

    /// The density at a point, divided by that of an even one.
    pub(super) fn density(&self, point: &Point) -> f64 {
        let of = |kernels: &Vec<Kernel>| -> f64 {
            let each = kernels.iter().zip(&self.space.dimensions).zip(&point.0);
            // A kernel adds up to 1 over a dimension that the point lacks.
            let densities = each.map(|((kernel, dimension), place)| {
                place.map_or(1.0, |place| kernel_density(*kernel, &dimension.values, place, &self.normal))
            });
            densities.product()
        };
        let sum: f64 = self.kernels.iter().map(of).sum();
        (sum + 1.0) / (self.kernels.len() as f64 + 1.0)
    }

    /// A point drawn from the density.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> Point {
        let kernels = self.kernels.get(rng.random_range(0..=self.kernels.len()));
        let place = |(at, values): (usize, &Values)| {
            let kernel = kernels.map_or(Kernel::Even, |kernels| kernels[at]);
            place(kernel, values, rng.random(), &self.normal)
        };
        let values = self.space.dimensions.iter().map(|dimension| &dimension.values);
        let places = values.enumerate().map(place).map(Some).collect();
        self.space.without_absent(places)
    }
}

/// The place below which this share of a kernel lies.
fn place(kernel: Kernel, values: &Values, share: f64, normal: &Normal) -> Place {
    match (kernel, values) {
        (Kernel::Normal { mean, deviation, below: (low, high) }, _) => {
            let share = mean + deviation * normal.inverse_cdf(low + share * (high - low));
            values.at_in_order(share.clamp(0.0, 1.0 - f64::EPSILON))
        }
        (Kernel::Item { item, other }, Values::List { count, .. }) => {
            // What is left of 1 comes last, and is its own.
            let even = other * *count as f64;
            if share < even { values.at(share / even) } else { Place::Item(item) }
        }
        (Kernel::Even, _) | (Kernel::Item { .. }, Values::Range(_)) => values.at(share),
    }
}

/// A kernel's density at a place, divided by that of an even one.
fn kernel_density(kernel: Kernel, values: &Values, place: Place, normal: &Normal) -> f64 {
    match (kernel, values) {
        (Kernel::Normal { mean, deviation, below: (low, high) }, _) => {
            let Some((from, to)) = values.part(place) else { return 1.0 };
            let inside = high - low;
            if from < to {
                let below = |share: f64| normal.cdf((share - mean) / deviation);
                (below(to) - below(from)) / inside / (to - from)
            } else {
                let z = (from - mean) / deviation;
                (-0.5 * z * z).exp() / (std::f64::consts::TAU.sqrt() * deviation * inside)
            }
        }
        (Kernel::Item { item, other }, Values::List { count, .. }) => {
            let even = other * *count as f64;
            if place == Place::Item(item) { even + *count as f64 * (1.0 - even) } else { even }
        }
        (Kernel::Even, _) | (Kernel::Item { .. }, Values::Range(_)) => 1.0,
    }
}

/// The kernels of points in a dimension.
fn in_dimension(values: &Values, places: &[Option<Place>], normal: &Normal) -> Vec<Kernel> {
    let count = places.len() as f64 + 1.0;
    let least = 1.0 / (count.min(MOST_NARROWING) + 1.0);
    let middle = |place| values.part(place).map(|(from, to)| f64::midpoint(from, to));
    let mut all: Vec<f64> = places.iter().copied().flatten().filter_map(middle).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let kernel = |place: &Option<Place>| {
        let Some(place) = *place else { return Kernel::Even };
        match (values, place, middle(place)) {
            (_, _, Some(mean)) => {
                let deviation = to_neighbours(&all, mean).clamp(least, 1.0);
                let below = |share: f64| normal.cdf((share - mean) / deviation);
                Kernel::Normal { mean, deviation, below: (below(0.0), below(1.0)) }
            }
            (Values::List { count: items, .. }, Place::Item(item), None) => {
                Kernel::Item { item, other: 1.0 / (count + *items as f64) }
            }
            (Values::List { .. } | Values::Range(_), Place::Item(_) | Place::Value(_), None) => Kernel::Even,
        }
    };
    places.iter().map(kernel).collect()
}

/// The way to the farther one of two neighbours; the ends count as such only where there is no other point.
fn to_neighbours(sorted: &[f64], own: f64) -> f64 {
    let at = sorted.partition_point(|one| *one < own);
    let before = at.checked_sub(1).map(|before| own - sorted[before]);
    let after = sorted.get(at + 1).map(|after| after - own);
    match (before, after) {
        (Some(before), Some(after)) => before.max(after),
        (Some(way), None) | (None, Some(way)) => way,
        (None, None) => own.max(1.0 - own),
    }
}
