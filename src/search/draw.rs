//! Owns where in a space of so many dimensions each point lies. Knows no axis.

use serde::{Deserialize, Serialize};

use crate::values::stream::Words;

/// Most points of a Sobol sequence, as the crate `sobol_burley` computes it.
pub const MOST_POINTS: u32 = 1 << 16;

/// How points are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// All points of the product of lists.
    Grid,
    /// A Sobol sequence with Owen's scrambling (Sobol 1967, Owen 1995; Burley 2020): points that fill the space more
    /// evenly than random ones, as many as there are so far.
    Sobol,
    /// Independent points (Bergstra & Bengio 2012).
    Random,
    /// Generations of points, each where those before did well ([`propose`](super::propose)); the first is Sobol's.
    Tpe,
}

impl Sampler {
    /// All of them, by the words of the sweep file.
    pub const WORDS: &'static [&'static str] = &["grid", "sobol", "random", "tpe"];

    /// The sampler that a word names.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "grid" => Some(Self::Grid),
            "sobol" => Some(Self::Sobol),
            "random" => Some(Self::Random),
            "tpe" => Some(Self::Tpe),
            _ => None,
        }
    }
}

/// A sequence of points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// How they are chosen.
    pub sampler: Sampler,
    /// What they are chosen with.
    pub seed: u64,
}

impl Draw {
    /// Where a point lies in a dimension, from 0 up to but not including 1. Points count from 0, and there are
    /// [`MOST_POINTS`].
    #[must_use]
    pub fn share(&self, point: u32, dimension: u32) -> f64 {
        // The halves of a seed are mixed, so that all its bits count.
        let word = Words::of_state(self.seed);
        match self.sampler {
            Sampler::Grid => 0.0,
            Sampler::Sobol | Sampler::Tpe => {
                let seed = u32::try_from(word >> 32).expect("32 bits are left");
                f64::from(sobol_burley::sample(point, dimension, seed))
            }
            Sampler::Random => {
                let state = word ^ Words::of_state(u64::from(point) << 32 | u64::from(dimension));
                // The upper 53 bits, which a number of 64 bits has.
                (Words::of_state(state) >> 11) as f64 / (1_u64 << 53) as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLERS: [Sampler; 2] = [Sampler::Sobol, Sampler::Random];

    fn points(draw: Draw, count: u32) -> Vec<[f64; 2]> {
        (0..count).map(|point| [0, 1].map(|dimension| draw.share(point, dimension))).collect()
    }

    /// Points in each square of a four by four board.
    fn on_board(points: &[[f64; 2]]) -> [u32; 16] {
        let mut board = [0; 16];
        for [x, y] in points {
            board[(x * 4.0) as usize * 4 + (y * 4.0) as usize] += 1;
        }
        board
    }

    #[test]
    fn a_sobol_sequence_fills_the_space_evenly_at_every_power_of_two() {
        for seed in 0..50 {
            let draw = Draw { sampler: Sampler::Sobol, seed };
            assert_eq!(on_board(&points(draw, 16)), [1; 16]);
            assert_eq!(on_board(&points(draw, 256)), [16; 16]);
        }
    }

    #[test]
    fn random_points_are_spread_as_random_points_are() {
        let draw = Draw { sampler: Sampler::Random, seed: 1 };
        let board = on_board(&points(draw, 16_000));
        // Chi-squared with 15 degrees of freedom: above 37.7 once in a thousand.
        let chi: f64 = board.iter().map(|count| (f64::from(*count) - 1_000.0).powi(2) / 1_000.0).sum();
        assert!(chi < 37.7, "{chi}");
        assert!(on_board(&points(draw, 16)).iter().any(|count| *count != 1));
    }

    #[test]
    fn seeds_and_dimensions_draw_apart_and_every_point_is_in_the_space() {
        for sampler in SAMPLERS {
            let shares = |seed, dimension| {
                let draw = Draw { sampler, seed };
                (0..64).map(move |point| draw.share(point, dimension)).collect::<Vec<_>>()
            };
            assert_ne!(shares(1, 0), shares(2, 0));
            assert_ne!(shares(1, 0), shares(1 << 40 | 1, 0), "the upper half of a seed counts");
            assert_ne!(shares(1, 0), shares(1, 1));
            assert!(shares(7, 200).iter().all(|share| (0.0..1.0).contains(share)));
            let _ = Draw { sampler, seed: u64::MAX }.share(MOST_POINTS - 1, 255);
        }
    }
}
