//! Owns the range and the moments of the numbers that a task's rows have to be learned. Pure.

use crate::sweep::card::{Numbers, Warning};

impl Numbers {
    /// What these numbers amount to; `None` where there are none.
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    pub(super) fn of(column: &str, mut all: Vec<f64>) -> Option<Self> {
        all.sort_by(f64::total_cmp);
        let (least, most) = (*all.first()?, *all.last()?);
        let rows = all.len() as f64;
        let mean = all.iter().sum::<f64>() / rows;
        let deviation = (all.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / rows).sqrt();
        all.dedup();
        Some(Self { column: column.to_owned(), least, most, mean, deviation, different: all.len() })
    }

    /// Of one number alone there is nothing to learn.
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
        assert_eq!(Numbers::of("score", Vec::new()), None);
    }
}
