//! Owns the rotation of queries and keys by their positions: by which angle each pair of numbers turns from one
//! position to the next. Rotates nothing.

use std::f64::consts::TAU;

/// Rotary positions (Su et al. 2021): of each head, number i and number i + width / 2 are turned together by an angle
/// that is proportional to the position.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// Numbers of a head; even.
    pub width: usize,
    /// From one pair to the next, the angle per position shrinks by `base^(2 / width)`.
    pub base: f64,
    /// How angles were changed for rows longer than those that the model was first trained on.
    pub scaling: Option<Scaling>,
}

/// How angles per position are made smaller, so that longer rows turn as far as shorter ones did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaling {
    /// All by one factor (Chen et al. 2023).
    Linear {
        /// What they are divided by.
        factor: f64,
    },
    /// Slow ones by a factor, fast ones not, with a smooth change between: Llama 3.1's (Grattafiori et al. 2024).
    Llama3 {
        /// What slow ones are divided by.
        factor: f64,
        /// A pair is slow if it makes fewer turns than this over the first rows' length.
        low: f64,
        /// A pair is fast if it makes more turns than this over the first rows' length.
        high: f64,
        /// The length of the rows that the model was first trained on, in tokens.
        original: f64,
    },
}

impl Rotary {
    /// The angle by which each pair turns from one position to the next, `width / 2` of them, in radians.
    #[must_use]
    pub fn angles(&self) -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a head's width is far below 2^52")]
        let angle = |pair: usize| self.base.powf(-2.0 * pair as f64 / self.width as f64);
        (0..self.width / 2).map(angle).map(|angle| self.scaling.map_or(angle, |by| by.of(angle))).collect()
    }
}

impl Scaling {
    /// Whether angles can be scaled so: by finite factors above 0, of which the slow ones' is below the fast ones'.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let is_positive = |number: f64| number.is_finite() && number > 0.0;
        match *self {
            Self::Linear { factor } => is_positive(factor),
            Self::Llama3 { factor, low, high, original } => {
                [factor, low, high, original].into_iter().all(is_positive) && low < high
            }
        }
    }

    fn of(self, angle: f64) -> f64 {
        match self {
            Self::Linear { factor } => angle / factor,
            Self::Llama3 { factor, low, high, original } => {
                let turns = original * angle / TAU;
                let fast = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                fast * angle + (1.0 - fast) * angle / factor
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_fall_from_one_to_the_base() {
        let angles = Rotary { width: 4, base: 100.0, scaling: None }.angles();
        assert_eq!(angles, [1.0, 0.1]);
    }

    #[test]
    fn scaling_leaves_fast_pairs_and_slows_the_others() {
        let plain = Rotary { width: 64, base: 500_000.0, scaling: None };
        let of = |scaling| Rotary { scaling: Some(scaling), ..plain.clone() }.angles();
        let ratios = |scaled: Vec<f64>| -> Vec<f64> {
            plain.angles().iter().zip(scaled).map(|(plain, scaled)| plain / scaled).collect()
        };
        assert!(ratios(of(Scaling::Linear { factor: 4.0 })).iter().all(|ratio| (ratio - 4.0).abs() < 1e-9));
        let llama = Scaling::Llama3 { factor: 32.0, low: 1.0, high: 4.0, original: 8192.0 };
        let ratios = ratios(of(llama));
        assert!(ratios.is_sorted(), "{ratios:?}");
        assert!((ratios[0] - 1.0).abs() < 1e-12 && (ratios[31] - 32.0).abs() < 1e-9, "{ratios:?}");
        // Pair i turns 8192 / (2 pi) * 500000^(-i / 32) times: pair 14 4.2 times, pair 15 2.8 times, pair 18 0.8 times.
        assert!((ratios[14] - 1.0).abs() < 1e-12 && (ratios[18] - 32.0).abs() < 1e-9);
        assert!(ratios[15] > 1.5 && ratios[15] < 3.0, "{}", ratios[15]);
    }
}
