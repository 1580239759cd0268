//! Owns what class names and class sizes tell of a label column that is not what it should be: values
//! that say that there is no label, names that differ by a slip, numbers that are no classes, classes
//! that a split cannot divide. Pure.

use std::collections::BTreeMap;

use crate::sweep::card::ClassRows;
use crate::sweep::card::Warning;
use crate::tasks::{Task, held_out_rows};
use crate::values::Splitting;

/// What files write where a label is missing, as they write it: `none` in small letters is often a
/// class.
const NO_LABEL: [&str; 18] = [
    "-", "--", "?", ".", "nan", "NaN", "NAN", "None", "null", "Null", "NULL", "NA", "N/A", "n/a", "#N/A",
    "<NA>", "NaT", "_",
];
/// From so many different whole numbers on they are looked at as a scale.
const MANY_NUMBERS: usize = 20;
/// Numbers of classes have more rows each than this.
const FEW_ROWS: usize = 5;

/// The rows of each class in a file.
pub(super) fn counts(labels: &[u32], names: &[String]) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = names.iter().map(|name| (name.clone(), 0)).collect();
    labels.iter().for_each(|label| counts[*label as usize].1 += 1);
    counts
}

/// What is odd about the classes of a training file.
pub(super) fn warnings(column: &str, classes: &[(String, usize)]) -> Vec<Warning> {
    let missing: Vec<_> = classes.iter().filter(|(name, _)| is_no_label(name, classes)).cloned().collect();
    let named: Vec<_> = classes.iter().filter(|class| !missing.contains(class)).collect();
    let mut warnings = Vec::new();
    if !missing.is_empty() {
        warnings.push(Warning::NoLabel { values: missing });
    }
    let alike = spellings(&named);
    if !alike.is_empty() {
        warnings.push(Warning::Spellings { groups: alike });
    }
    let bare: Vec<(&str, usize)> = named.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
    warnings.extend(numbers(column, &bare));
    warnings
}

/// Whether a class's name says that its rows have none.
fn is_no_label(name: &str, classes: &[(String, usize)]) -> bool {
    let bare = name.trim();
    if NO_LABEL.contains(&bare) {
        return true;
    }
    // -1 marks what has no label, but beside 1 alone, and 0, it is a class: negative and positive.
    let beside = |wanted: &[&str]| classes.iter().all(|(other, _)| wanted.contains(&other.trim()));
    is_minus_one(bare)
        && !beside(&["-1", "1", "+1", "-1.0", "1.0"])
        && !beside(&["-1", "0", "1", "-1.0", "0.0", "1.0"])
        && classes.iter().filter_map(|(other, _)| number(other)).all(|value| value >= -1.0)
}

fn is_minus_one(name: &str) -> bool {
    number(name).is_some_and(|value| value.total_cmp(&-1.0).is_eq())
}

/// Names that are one but for upper and lower case and white space.
fn spellings(classes: &[&(String, usize)]) -> Vec<Vec<(String, usize)>> {
    let mut groups: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for (name, rows) in classes {
        let plain = name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
        groups.entry(plain).or_default().push((name.clone(), *rows));
    }
    let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    // The name that most rows have is the one that was meant.
    groups.iter_mut().for_each(|group| group.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0))));
    groups
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

/// Classes that have too few rows for the division that the sweep makes, but for those of which
/// something else is `told` already.
pub(super) fn too_small(
    classes: &[ClassRows],
    (splitting, task): (&Splitting, &Task),
    told: &[Warning],
) -> Vec<Warning> {
    let is_told = |name: &String| {
        told.iter().any(|warning| match warning {
            Warning::NoLabel { values } => values.iter().any(|(other, _)| other == name),
            Warning::Spellings { groups } => groups.iter().flatten().any(|(other, _)| other == name),
            // Of a column of numbers it says enough that it is one.
            Warning::Numbers { .. } => true,
            Warning::EmptyTexts { .. }
            | Warning::Leak { .. }
            | Warning::OneNumber { .. }
            | Warning::Contradicting { .. }
            | Warning::OneRow { .. }
            | Warning::InOneFold { .. }
            | Warning::MoreHeldOut { .. }
            | Warning::Cut { .. }
            | Warning::AllWarmUp { .. }
            | Warning::FewSteps { .. }
            | Warning::OneEvaluation { .. } => false,
        })
    };
    let mut warnings = Vec::new();
    let rows = |class: &ClassRows| class.training + if is_held_out(splitting) { class.validation } else { 0 };
    let there = || classes.iter().filter(|class| rows(class) > 0);
    match splitting {
        Splitting::HoldOut { fraction, stratified, .. } => {
            let single: Vec<String> =
                there().filter(|class| rows(class) == 1).map(|class| class.name.clone()).collect();
            let single: Vec<String> = single.into_iter().filter(|name| !is_told(name)).collect();
            let all = there().map(rows).sum();
            let (wanted, held) = (held_out_rows(all, *fraction), there().map(|class| class.validation).sum());
            if !single.is_empty() {
                warnings.push(Warning::OneRow { classes: single });
            }
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
        Splitting::File => {}
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

    fn told(classes: &[(&str, usize)]) -> Vec<Warning> {
        let classes: Vec<_> = classes.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect();
        warnings("score", &classes)
    }

    fn alike(names: &[(&str, usize)]) -> Vec<(String, usize)> {
        names.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()
    }

    #[test]
    fn values_that_say_that_there_is_no_label() {
        for name in ["-", "nan", "None", "?", "-1"] {
            let values = alike(&[(name, 2)]);
            let found = told(&[("0", 9), ("1", 9), ("2", 9), (name, 2)]);
            assert_eq!(found, [Warning::NoLabel { values }], "{name}");
        }
        let renamed = told(&[("entailment", 9), ("neutral", 9), ("-1", 2)]);
        assert_eq!(renamed, [Warning::NoLabel { values: alike(&[("-1", 2)]) }]);
        for classes in
            [&["-1", "1"][..], &["-1", "0", "1"], &["-2", "-1", "0", "1", "2"], &["none", "against"]]
        {
            let classes: Vec<_> = classes.iter().map(|name| (*name, 9)).collect();
            assert_eq!(told(&classes), [], "{classes:?}");
        }
    }

    #[test]
    fn names_that_differ_by_case_or_space_are_told_together() {
        let found = told(&[
            (" negative", 1),
            ("Positive", 1),
            ("negative", 3),
            ("other", 4),
            ("positive", 4),
            ("positive ", 1),
        ]);
        let groups = vec![
            alike(&[("negative", 3), (" negative", 1)]),
            alike(&[("positive", 4), ("Positive", 1), ("positive ", 1)]),
        ];
        assert_eq!(found, [Warning::Spellings { groups }]);
    }

    #[test]
    fn scores_are_not_classes_and_numbers_of_classes_are() {
        let scores = told(&[("2.5", 3), ("3.75", 3), ("1", 8)]);
        let expected = Warning::Numbers { column: "score".to_owned(), different: 3, least: 1.0, most: 3.75 };
        assert_eq!(scores, [expected]);
        let range = |first: u32, last: u32, rows| {
            let names: Vec<String> = (first..=last).map(|n| n.to_string()).collect();
            told(&names.iter().map(|name| (name.as_str(), rows)).collect::<Vec<_>>())
        };
        assert_eq!(range(0, 76, 40), [], "77 intents");
        assert_eq!(range(1, 20, 50), []);
        assert_eq!(range(1, 5, 2), [], "stars");
        assert_eq!(told(&[("1.0", 2), ("2.0", 9)]), [], "a nullable column of whole numbers");
        assert!(matches!(range(0, 100, 2)[..], [Warning::Numbers { different: 101, .. }]), "few rows each");
        assert!(matches!(range(1990, 2020, 50)[..], [Warning::Numbers { different: 31, .. }]), "years");
    }
}
