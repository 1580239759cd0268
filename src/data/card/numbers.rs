//! Owns the range and the moments of the target numbers of a task's rows. Pure.

use crate::sweep::card::{Numbers, Warning};

impl Numbers {
    /// The statistics of these numbers; `None` where there are none.
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    pub(super) fn of(column: &str, mut all: Vec<f64>) -> Option<Self> {
        all.sort_by(f64::total_cmp);
        let (least, most) = (*all.first()?, *all.last()?);
        let rows = all.len() as f64;
        // Relative to the largest number, so that no sum or square overflows.
        let scale = all.iter().fold(f64::MIN_POSITIVE, |most, number| most.max(number.abs()));
        let mean = scale * (all.iter().map(|number| number / scale).sum::<f64>() / rows);
        let parts = all.iter().map(|number| (number / scale - mean / scale).powi(2));
        let deviation = scale * (parts.sum::<f64>() / rows).sqrt();
        all.dedup();
        Some(Self { column: column.to_owned(), least, most, mean, deviation, different: all.len() })
    }

    /// With a single number there is nothing to learn.
    pub(super) fn warning(&self) -> Option<Warning> {
        (self.different == 1).then(|| Warning::OneNumber { column: self.column.clone(), number: self.least })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_by_their_range_and_their_moments() {
        let numbers = Numbers::of("score", vec![4.0, 1.0, 1.0, 2.0]).unwrap();
        assert_eq!((numbers.least, numbers.most, numbers.mean, numbers.different), (1.0, 4.0, 2.0, 3));
        assert!((numbers.deviation - 1.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(numbers.warning(), None);
        let one = Numbers::of("score", vec![2.5; 3]).unwrap();
        assert_eq!(one.warning(), Some(Warning::OneNumber { column: "score".to_owned(), number: 2.5 }));
        assert_eq!((one.mean, one.deviation), (2.5, 0.0));
        assert_eq!(Numbers::of("score", Vec::new()), None);
    }

    #[test]
    fn numbers_near_the_end_of_their_range_have_moments_too() {
        let numbers = Numbers::of("score", vec![1.5e308, 1.5e308, -1.5e308, -1.5e308]).unwrap();
        assert_eq!((numbers.mean, numbers.deviation), (0.0, 1.5e308));
    }
}
