//! Owns what is tried next, where points of a space have been tried: the tree-structured Parzen estimator (TPE) of
//! Bergstra et al. 2011, section 4. Draws from the densities of `mixture`, and remembers nothing.
//!
//! The tried points are divided into a few good ones and all others, and each part gets a density, l and g. Of some points
//! that are drawn from l the one with the largest l / g is proposed: the expected improvement rises with it (their
//! equation 3). Densities are joint over all dimensions, and what is good is a rank, never a value, so that any score
//! does.
//!
//! A generation is proposed before any of its points is tried. Each of them counts as one of the others for those after
//! it, so that these keep away from it (a constant liar: Ginsbourger et al. 2010).

mod mixture;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use rand_chacha::ChaCha8Rng;

use self::mixture::Mixture;
use super::{Draw, Sampler, Space};
use crate::values::Point;
use crate::values::stream::{self, StreamKey};

/// Points that are Sobol's before there is enough to learn from, at least; always those of the first generation.
const FIRST: u32 = 8;
/// Of n points with a score, this times the square root of n are good.
const GOOD: f64 = 0.75;
/// Points of which the best is proposed (Bergstra et al. 2011 and all that followed them).
const CANDIDATES: usize = 24;
/// Most that are drawn for as many that were not there before.
const MOST_DRAWN: usize = 16 * CANDIDATES;
/// Where none of them is new, all points of the space are looked at, if these are not more.
const MOST_LISTED: usize = 4_096;

/// A point that was proposed before.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The point.
    pub point: Point,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It was trained to its end.
    Finished {
        /// Its score; less is better.
        score: f64,
    },
    /// It was stopped before. It comes after all that finished, since others were better when it was stopped and its
    /// score is one of another time; of stopped ones those come first that went farther.
    Stopped {
        /// The share of its steps that were done.
        share: f64,
        /// Its score then; less is better.
        score: f64,
    },
    /// It has no score: it failed, or was left out. It counts as bad, which a learning rate that diverges is.
    Unscored,
}

/// Which points are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// What is drawn with.
    pub seed: u64,
    /// How many points were proposed before, in the generations before this one.
    pub before: u32,
    /// How many are proposed.
    pub size: usize,
}

/// The points of a generation: none of them equal to another or to one that was tried, and each one that `fits`.
/// There are fewer where the space has no more.
///
/// A function of its arguments. Where scores are equal, those count as better that come first in `history`.
pub fn propose(
    space: &Space,
    history: &[Tried],
    generation: Generation,
    fits: &dyn Fn(&Point) -> bool,
) -> Vec<Point> {
    let Generation { seed, before, size } = generation;
    let (good, others) = divide(history);
    let mut search = Search {
        space,
        fits,
        tried: history.iter().map(|tried| &tried.point).collect(),
        proposed: Vec::with_capacity(size),
        rng: StreamKey::from_seed(seed).rng(stream::Draw::Proposals(before.into())),
    };
    let likely = Mixture::of(space, &good);
    for number in (before..).take(size) {
        let first = (number < FIRST || good.is_empty())
            .then(|| space.drawn(Draw { sampler: Sampler::Sobol, seed }, number))
            .filter(|point| search.is_new(point));
        let next = first.or_else(|| {
            let bad: Vec<&Point> = others.iter().copied().chain(&search.proposed).collect();
            let unlikely = Mixture::of(space, &bad);
            search.next(&likely, &unlikely)
        });
        match next {
            Some(point) => search.proposed.push(point),
            None => break,
        }
    }
    search.proposed
}

/// The good points of a history, and the others.
fn divide(history: &[Tried]) -> (Vec<&Point>, Vec<&Point>) {
    let mut ranked: Vec<&Tried> = history.iter().collect();
    ranked.sort_by(|one, other| order(one.outcome, other.outcome));
    let scored = ranked.iter().filter(|tried| class(tried.outcome) < UNSCORED).count();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "less than the history's length"
    )]
    let good = ((GOOD * (scored as f64).sqrt()).ceil() as usize).min(scored);
    let points: Vec<&Point> = ranked.into_iter().map(|tried| &tried.point).collect();
    let (good, others) = points.split_at(good);
    (good.to_vec(), others.to_vec())
}

/// The class of what has no score.
const UNSCORED: u8 = 2;

fn class(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Finished { score } if !score.is_nan() => 0,
        Outcome::Stopped { share, score } if !share.is_nan() && !score.is_nan() => 1,
        Outcome::Finished { .. } | Outcome::Stopped { .. } | Outcome::Unscored => UNSCORED,
    }
}

/// The order from good to bad.
fn order(one: Outcome, other: Outcome) -> Ordering {
    let within = match (one, other) {
        (Outcome::Finished { score: one }, Outcome::Finished { score: other }) => one.total_cmp(&other),
        (Outcome::Stopped { share: a, score: one }, Outcome::Stopped { share: b, score: other }) => {
            b.total_cmp(&a).then(one.total_cmp(&other))
        }
        (Outcome::Finished { .. } | Outcome::Stopped { .. } | Outcome::Unscored, _) => Ordering::Equal,
    };
    let (one, other) = (class(one), class(other));
    one.cmp(&other).then(if one < UNSCORED { within } else { Ordering::Equal })
}

/// The proposals of a generation while they are found.
struct Search<'a> {
    space: &'a Space,
    fits: &'a dyn Fn(&Point) -> bool,
    tried: Vec<&'a Point>,
    proposed: Vec<Point>,
    rng: ChaCha8Rng,
}

impl Search<'_> {
    fn is_new(&self, point: &Point) -> bool {
        !self.tried.contains(&point) && !self.proposed.contains(point) && (self.fits)(point)
    }

    /// The next proposal; `None` where none is found that is new.
    fn next(&mut self, likely: &Mixture<'_>, unlikely: &Mixture<'_>) -> Option<Point> {
        let mut candidates = Vec::new();
        for _ in 0..MOST_DRAWN {
            let point = likely.draw(&mut self.rng);
            if self.is_new(&point) {
                candidates.push(point);
            }
            if candidates.len() == CANDIDATES {
                break;
            }
        }
        if candidates.is_empty() {
            candidates = match self.space.all(MOST_LISTED) {
                Some(all) => all.into_iter().filter(|point| self.is_new(point)).collect(),
                None => self.anywhere().into_iter().collect(),
            };
        }
        let ratio = |point: &Point| likely.density(point) / unlikely.density(point);
        let ratios = candidates.into_iter().map(|point| (ratio(&point), point));
        // Of equal ones the first.
        let best = ratios.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, point)| point)
    }

    /// A new point from anywhere in the space.
    fn anywhere(&mut self) -> Option<Point> {
        let even = Mixture::of(self.space, &[]);
        let points = (0..MOST_LISTED).map(|_| even.draw(&mut self.rng)).collect::<Vec<_>>();
        points.into_iter().find(|point| self.is_new(point))
    }
}
