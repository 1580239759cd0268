//! Laws of proposals, and what they are worth.

use proptest::prelude::*;

use super::*;
use crate::search::{Condition, Dimension, Scale, Spread, Values};
use crate::values::Place;

fn range(low: f64, high: f64, scale: Scale, whole: bool) -> Dimension {
    Dimension { values: Values::Range(Spread { low, high, scale, whole }), only: None }
}

fn items(count: usize, order: Vec<usize>) -> Dimension {
    Dimension { values: Values::List { count, order }, only: None }
}

/// A learning rate, a rank that the first of two methods has, numbers of a list and words.
fn mixed() -> Space {
    let only = Some(Condition { dimension: 0, items: vec![0] });
    let rank = Dimension { only, ..range(2.0, 64.0, Scale::Log, true) };
    let learning_rate = range(1e-5, 1e-1, Scale::Log, false);
    Space {
        dimensions: vec![items(2, vec![]), learning_rate, rank, items(4, vec![2, 0, 3, 1]), items(3, vec![])],
    }
}

fn number(point: &Point, at: usize) -> f64 {
    match point.0[at] {
        Some(Place::Value(value)) => value,
        Some(Place::Item(item)) => item as f64,
        None => f64::NAN,
    }
}

/// Points with scores, in generations of this size.
fn search(
    space: &Space,
    score: impl Fn(&Point) -> f64,
    seed: u64,
    trials: usize,
    size: usize,
) -> Vec<(Point, f64)> {
    let mut history: Vec<Tried> = Vec::new();
    while history.len() < trials {
        let before = u32::try_from(history.len()).unwrap();
        let points = propose(space, &history, Generation { seed, before, size }, &|_| true);
        assert_eq!(points.len(), size);
        history.extend(points.into_iter().map(|point| {
            let outcome = Outcome::Finished { score: score(&point) };
            Tried { point, outcome }
        }));
    }
    history.into_iter().map(|Tried { point, .. }| (point.clone(), score(&point))).collect()
}

fn tried(space: &Space, seed: u64, outcomes: &[Outcome]) -> Vec<Tried> {
    let draw = Draw { sampler: Sampler::Random, seed };
    let one = |(at, outcome): (usize, &Outcome)| Tried {
        point: space.drawn(draw, u32::try_from(at).unwrap()),
        outcome: *outcome,
    };
    outcomes.iter().enumerate().map(one).collect()
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let score = prop_oneof![8 => -2.0..2.0, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    prop_oneof![
        score.clone().prop_map(|score| Outcome::Finished { score }),
        (0.0..1.0, score).prop_map(|(share, score)| Outcome::Stopped { share, score }),
        Just(Outcome::Unscored),
    ]
}

proptest! {
    #[test]
    fn proposals_are_new_points_of_the_space_and_a_function_of_what_is_given(
        outcomes in proptest::collection::vec(outcome(), 0..40),
        seed: u64,
        size in 1_usize..12,
    ) {
        let space = mixed();
        let history = tried(&space, seed, &outcomes);
        let generation = Generation { seed, before: u32::try_from(history.len()).unwrap(), size };
        let fits = |point: &Point| point.0[4] != Some(Place::Item(1));
        let proposed = propose(&space, &history, generation, &fits);
        prop_assert_eq!(proposed.len(), size);
        for (at, point) in proposed.iter().enumerate() {
            prop_assert!(space.holds(point) && fits(point), "{:?}", point);
            prop_assert!(!proposed[..at].contains(point) && !history.iter().any(|tried| tried.point == *point));
        }
        prop_assert_eq!(&propose(&space, &history, generation, &fits), &proposed);
    }

    #[test]
    fn only_the_order_of_scores_counts(
        scores in proptest::collection::vec(-2.0..2.0_f64, 8..30),
        seed: u64,
    ) {
        let space = mixed();
        let generation = Generation { seed, before: 30, size: 4 };
        let proposed = |score: fn(f64) -> f64| {
            let outcomes: Vec<Outcome> =
                scores.iter().map(|one| Outcome::Finished { score: score(*one) }).collect();
            propose(&space, &tried(&space, seed, &outcomes), generation, &|_| true)
        };
        prop_assert_eq!(proposed(|score| score), proposed(|score| 100.0 + 3.0 * score.exp()));
    }
}

#[test]
fn the_first_generation_is_that_of_sobol() {
    let space = mixed();
    let draw = Draw { sampler: Sampler::Sobol, seed: 3 };
    let drawn =
        |numbers: std::ops::Range<u32>| numbers.map(|number| space.drawn(draw, number)).collect::<Vec<_>>();
    let proposed = |before, size, history: &[Tried]| {
        propose(&space, history, Generation { seed: 3, before, size }, &|_| true)
    };
    assert_eq!(proposed(0, 16, &[]), drawn(0..16));
    let two =
        [0, 1].map(|at| Tried { point: space.drawn(draw, at), outcome: Outcome::Finished { score: 1.0 } });
    assert_eq!(proposed(2, 6, &two), drawn(2..8));
    assert_ne!(proposed(8, 8, &two), drawn(8..16));
    let unscored = two.map(|tried| Tried { outcome: Outcome::Unscored, ..tried });
    assert_eq!(proposed(8, 8, &unscored), drawn(8..16), "nothing is known of a space where all failed");
}

#[test]
fn a_space_is_proposed_to_its_last_point_and_no_further() {
    let only = Some(Condition { dimension: 0, items: vec![1] });
    let rank = Dimension { only, ..range(4.0, 6.0, Scale::Linear, true) };
    let space = Space { dimensions: vec![items(2, vec![]), rank] };
    let mut history: Vec<Tried> = Vec::new();
    for left in [3, 1, 0] {
        let before = u32::try_from(history.len()).unwrap();
        let points = propose(&space, &history, Generation { seed: 1, before, size: 3 }, &|_| true);
        assert_eq!(points.len(), left, "{points:?}");
        history.extend(
            points.into_iter().map(|point| Tried { point, outcome: Outcome::Finished { score: 1.0 } }),
        );
    }
    let all = space.all(10).unwrap();
    assert!(all.len() == 4 && all.iter().all(|point| history.iter().any(|tried| tried.point == *point)));
    assert!(propose(&space, &[], Generation { seed: 1, before: 0, size: 3 }, &|_| false).is_empty());
}

#[test]
fn finished_points_come_before_stopped_ones_and_these_by_how_far_they_went() {
    let sorted = [
        Outcome::Finished { score: -1.0 },
        Outcome::Finished { score: 9.0 },
        Outcome::Stopped { share: 0.5, score: 5.0 },
        Outcome::Stopped { share: 0.2, score: 1.0 },
        Outcome::Stopped { share: 0.2, score: 2.0 },
        Outcome::Finished { score: f64::NAN },
    ];
    for (at, one) in sorted.iter().enumerate() {
        for other in &sorted[at + 1..] {
            assert_eq!((order(*one, *other), order(*other, *one)), (Ordering::Less, Ordering::Greater));
        }
    }
    assert_eq!(order(Outcome::Unscored, sorted[5]), Ordering::Equal);
}

/// Mean distance of the best score from the least possible one, over 20 seeds.
fn regret(score: impl Fn(&Point) -> f64 + Copy, trials: usize, sampler: Sampler) -> f64 {
    let space = mixed();
    let best = |seed| -> f64 {
        let points = match sampler {
            Sampler::Tpe => search(&space, score, seed, trials, 8),
            Sampler::Grid | Sampler::Sobol | Sampler::Random => {
                let drawn =
                    (0..trials).map(|at| space.drawn(Draw { sampler, seed }, u32::try_from(at).unwrap()));
                drawn.map(|point| (point.clone(), score(&point))).collect()
            }
        };
        points.into_iter().map(|(_, score)| score).fold(f64::INFINITY, f64::min)
    };
    (0..20).map(best).sum::<f64>() / 20.0
}

#[test]
fn a_valley_is_found_sooner_than_by_chance() {
    // The best learning rate depends on the rank, and the second method is worse by 0.3.
    let valley = |point: &Point| {
        let rank = if point.0[2].is_some() { (number(point, 2) / 16.0).log2() } else { 0.0 };
        let rate = number(point, 1).log10() + 3.0 + 0.3 * rank;
        let word = [0.0, 0.1, 0.3][number(point, 4) as usize];
        let method = 0.3 * number(point, 0);
        rate.powi(2) + 0.1 * rank.powi(2) + word + method + 0.1 * (number(point, 3) - 2.0).abs()
    };
    let [tpe, sobol, random] =
        [Sampler::Tpe, Sampler::Sobol, Sampler::Random].map(|one| regret(valley, 64, one));
    assert!(tpe < 0.5 * random && tpe < 0.6 * sobol, "{tpe} {sobol} {random}");
}
