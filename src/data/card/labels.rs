//! Owns the check of a label column by its classes' names and sizes: numbers that are not classes, and classes
//! that a split cannot divide. Pure.

use crate::sweep::card::ClassRows;
use crate::sweep::card::Warning;
use crate::tasks::{Task, held_out_rows};
use crate::values::Splitting;

/// Number of distinct whole numbers from which on they count as a scale.
const MANY_NUMBERS: usize = 20;
/// Numbers that are classes have more rows each than this.
const FEW_ROWS: usize = 5;

/// Number of rows of each class in a file.
pub(super) fn counts<'n>(labels: &[u32], names: &'n [String]) -> Vec<(&'n str, usize)> {
    let mut counts: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 0)).collect();
    labels.iter().for_each(|label| counts[*label as usize].1 += 1);
    counts
}

fn number(name: &str) -> Option<f64> {
    name.trim().parse().ok().filter(|value: &f64| value.is_finite())
}

/// Whether the classes of a column, each with its rows, are numbers that measure something.
#[must_use]
pub fn numbers(column: &str, classes: &[(&str, usize)]) -> Option<Warning> {
    let values: Option<Vec<f64>> = classes.iter().map(|(name, _)| number(name)).collect();
    let mut values = values.filter(|values| values.len() > 1)?;
    values.sort_by(f64::total_cmp);
    let (least, most) = (*values.first()?, *values.last()?);
    let rows: usize = classes.iter().map(|(_, rows)| rows).sum();
    let fractions = values.iter().any(|value| value.fract() != 0.0);
    let counted = |first: f64| {
        (0_u32..).zip(&values).all(|(n, value)| value.total_cmp(&(first + f64::from(n))).is_eq())
    };
    let numbered = (counted(0.0) || counted(1.0)) && rows > FEW_ROWS * values.len();
    let scale = fractions || values.len() >= MANY_NUMBERS && !numbered;
    scale.then(|| Warning::Numbers { column: column.to_owned(), different: values.len(), least, most })
}

/// Number of a class's rows that are divided, including the rows that a share holds out.
fn divided(class: &ClassRows, splitting: &Splitting) -> usize {
    class.training + if is_held_out(splitting) { class.validation } else { 0 }
}

/// Classes with one row, from which no share can be held out.
pub(super) fn of_one_row(classes: &[ClassRows], splitting: &Splitting) -> Option<Warning> {
    let single = classes.iter().filter(|class| divided(class, splitting) == 1);
    let single: Vec<String> = single.map(|class| class.name.clone()).collect();
    (is_held_out(splitting) && !single.is_empty()).then_some(Warning::OneRow { classes: single })
}

/// Classes with too few rows for the sweep's division.
pub(super) fn unevenly_divided(classes: &[ClassRows], splitting: &Splitting, task: &Task) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let there = || classes.iter().filter(|class| divided(class, splitting) > 0);
    match splitting {
        Splitting::HoldOut { fraction, stratified, .. } => {
            let all = there().map(|class| divided(class, splitting)).sum();
            let (wanted, held) = (held_out_rows(all, *fraction), there().map(|class| class.validation).sum());
            if *stratified && held > wanted {
                warnings.push(Warning::MoreHeldOut { key: "split.fraction".to_owned(), held, wanted });
            }
        }
        Splitting::KFold { .. } => {
            let lost = |class: &&ClassRows| class.folds.contains(&class.training);
            let lost: Vec<String> = there().filter(lost).map(|class| class.name.clone()).collect();
            if !lost.is_empty() {
                warnings.push(Warning::InOneFold { classes: lost });
            }
        }
        Splitting::File | Splitting::All => {}
    }
    if let (Some(held), Some(fraction)) = (task.held_out, task.test_fraction) {
        let wanted = held_out_rows(task.drawn_rows(), fraction);
        if held > wanted {
            warnings.push(Warning::MoreHeldOut { key: "test_fraction".to_owned(), held, wanted });
        }
    }
    warnings
}

fn is_held_out(splitting: &Splitting) -> bool {
    matches!(splitting, Splitting::HoldOut { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(classes: &[(&str, usize)]) -> Option<Warning> {
        numbers("score", classes)
    }

    #[test]
    fn scores_are_not_classes_and_numbers_of_classes_are() {
        let scores = told(&[("2.5", 3), ("3.75", 3), ("1", 8)]);
        let expected = Warning::Numbers { column: "score".to_owned(), different: 3, least: 1.0, most: 3.75 };
        assert_eq!(scores, Some(expected));
        let range = |first: u32, last: u32, rows| {
            let names: Vec<String> = (first..=last).map(|n| n.to_string()).collect();
            told(&names.iter().map(|name| (name.as_str(), rows)).collect::<Vec<_>>())
        };
        assert_eq!(range(0, 76, 40), None, "77 intents");
        assert_eq!(range(1, 20, 50), None);
        assert_eq!(range(1, 5, 2), None, "stars");
        assert_eq!(told(&[("1.0", 2), ("2.0", 9)]), None, "a nullable column of whole numbers");
        assert!(matches!(range(0, 100, 2), Some(Warning::Numbers { different: 101, .. })), "few rows each");
        assert!(matches!(range(1990, 2020, 50), Some(Warning::Numbers { different: 31, .. })), "years");
    }
}
