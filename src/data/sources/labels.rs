//! Owns the class names of a file's labels: from the task, from a label's number however it is written, or the
//! label itself. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The meaning of a row's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Its name.
    Named(String),
    /// A label whose rows are left out.
    Dropped,
    /// No label, and the task leaves such rows out.
    DroppedMissing,
    /// No label, and the task does not say what to do with such rows.
    Missing,
}

/// How labels get their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Naming<'a> {
    /// From a label in the file to its name.
    pub(super) map: &'a BTreeMap<String, String>,
    /// Labels whose rows are left out.
    pub(super) dropped: &'a BTreeSet<String>,
    /// The task's classes, where they are known.
    pub(super) known: Option<&'a [String]>,
}

/// The canonical form of a number: `+1`, `01` and `1.0` are `1`. `None` for any other text.
#[must_use]
pub fn canonical_number(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(are_digits(whole) && are_digits(fraction)) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let number = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
    Some(if number == "0" { number } else { format!("{sign}{number}") })
}

/// The class of each value.
pub(super) fn classes(values: &[String], naming: Naming<'_>) -> Vec<Class> {
    let distinct: BTreeSet<&str> = values.iter().map(String::as_str).collect();
    let mut found: HashMap<&str, Class> = HashMap::new();
    for value in &distinct {
        if let Some(class) = naming.said(value) {
            found.insert(value, class);
        }
    }
    let unsaid: Vec<&str> = distinct.into_iter().filter(|value| !found.contains_key(value)).collect();
    let all_numbers = unsaid.iter().all(|value| canonical_number(value).is_some());
    for value in unsaid {
        found.insert(value, Class::Named(naming.own(value, all_numbers)));
    }
    values.iter().map(|value| found[value.as_str()].clone()).collect()
}

impl Naming<'_> {
    /// The class that the task gives for a value.
    fn said(self, value: &str) -> Option<Class> {
        let value = if value.trim().is_empty() { "" } else { value };
        if let Some(name) = self.map.get(value) {
            return Some(Class::Named(name.clone()));
        }
        if value.is_empty() {
            let dropped = self.dropped.contains(value);
            return Some(if dropped { Class::DroppedMissing } else { Class::Missing });
        }
        if self.dropped.contains(value) {
            return Some(Class::Dropped);
        }
        let number = canonical_number(value)?;
        let same = |key: &&String| canonical_number(key).as_ref() == Some(&number);
        if let Some((_, name)) = self.map.iter().find(|(key, _)| same(key)) {
            return Some(Class::Named(name.clone()));
        }
        self.dropped.iter().find(same).map(|_| Class::Dropped)
    }

    /// The name of a value for which the task gives none.
    fn own(self, value: &str, all_numbers: bool) -> String {
        let number = canonical_number(value);
        match self.known {
            Some(known) if known.iter().any(|name| name == value) => value.to_owned(),
            Some(known) => {
                let same = |name: &&String| number.is_some() && canonical_number(name) == number;
                known.iter().find(same).cloned().unwrap_or_else(|| value.to_owned())
            }
            None => number.filter(|_| all_numbers).unwrap_or_else(|| value.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        for (text, number) in [
            ("1", "1"),
            ("+1", "1"),
            ("01", "1"),
            ("1.0", "1"),
            ("1.", "1"),
            (" 1 ", "1"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("007", "7"),
            ("2.50", "2.5"),
            (".5", "0.5"),
            ("-01.10", "-1.1"),
            ("00", "0"),
            ("12345678901234567890123", "12345678901234567890123"),
        ] {
            assert_eq!(canonical_number(text).as_deref(), Some(number), "{text}");
        }
        for text in ["", ".", "+", "-", "a", "1a", "1e5", "--1", "+-1", "1.2.3", "0x1", "nan", "٣"] {
            assert_eq!(canonical_number(text), None, "{text}");
        }
    }

    fn named(values: &[&str], map: &[(&str, &str)], dropped: &[&str], known: Option<&[&str]>) -> Vec<Class> {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let map = map.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let (dropped, known) = (own(dropped).into_iter().collect(), known.map(own));
        classes(&own(values), Naming { map: &map, dropped: &dropped, known: known.as_deref() })
    }

    #[test]
    fn what_is_left_out_is_not_asked_whether_it_is_a_number() {
        let class = |name: &str| Class::Named(name.to_owned());
        let found = named(&["01", "+1", "-", "", "2.0"], &[], &["-", ""], None);
        assert_eq!(found, [class("1"), class("1"), Class::Dropped, Class::DroppedMissing, class("2")]);
        let found = named(&["01", "1", "x", "-1.0"], &[], &["-1"], None);
        assert_eq!(found, [class("01"), class("1"), class("x"), Class::Dropped]);
        let found = named(&["+1", "0.0", " ", "2"], &[("1", "yes"), ("0", "no")], &[], None);
        assert_eq!(found, [class("yes"), class("no"), Class::Missing, class("2")]);
    }

    #[test]
    fn other_files_follow_the_training_files_classes() {
        let class = |name: &str| Class::Named(name.to_owned());
        let found = named(&["1.0", "01", "x", "3"], &[], &[], Some(&["01", "x", "1"]));
        assert_eq!(found, [class("01"), class("01"), class("x"), class("3")]);
    }
}
