//! Owns the syntax of class names on the command line and in a file. Pure.

use std::collections::BTreeSet;

use super::error::AdapterError;

/// The names in a comma-separated line. A name that contains a comma is put in double quotes, and a double
/// quote within those is doubled, as in CSV; blanks around a name are dropped.
///
/// # Errors
/// When a quote is not closed, or is not followed by a comma.
pub fn split(line: &str) -> Result<Vec<String>, AdapterError> {
    let mut names = Vec::new();
    let mut rest = line.trim();
    loop {
        let (name, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or_else(|| wrong("have a double quote that is not closed"))?,
            None => {
                let (name, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (name.trim().to_owned(), behind)
            }
        };
        names.push(name);
        match behind.trim_start().strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if behind.trim().is_empty() => return Ok(names),
            None => return Err(wrong("have text behind a closing quote, where a comma should be")),
        }
    }
}

/// The names in a file with one per line; empty lines are skipped.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Checks that all class names are different and not empty.
///
/// # Errors
/// Names the first one that is empty or repeated.
pub fn check(names: &[String]) -> Result<(), AdapterError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.trim().is_empty() {
            return Err(wrong("have an empty name"));
        }
        if !seen.insert(name) {
            return Err(AdapterError::LabelNames { reason: format!("have `{name}` twice") });
        }
    }
    Ok(())
}

/// The text up to the closing quote, and the rest after it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        name.push_str(before);
        match behind.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

fn wrong(reason: &str) -> AdapterError {
    AdapterError::LabelNames { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_commas_outside_of_quotes() {
        for (line, expected) in [
            ("no,yes", vec!["no", "yes"]),
            (" no , yes ", vec!["no", "yes"]),
            (r#""Payday loan, title loan",Mortgage"#, vec!["Payday loan, title loan", "Mortgage"]),
            (r#"a, "b ""c"", d" "#, vec!["a", "b \"c\", d"]),
            ("one", vec!["one"]),
            ("5\" pipe,x", vec!["5\" pipe", "x"]),
            ("a,", vec!["a", ""]),
        ] {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
        for line in [r#""open, never closed"#, r#""a" b,c"#] {
            assert!(split(line).unwrap_err().to_string().contains("quote"), "{line}");
        }
    }

    #[test]
    fn lines_are_names_with_whatever_is_in_them() {
        assert_eq!(
            lines("\u{feff}Mortgage\r\nPayday loan, title loan\n\n  \"x\" \n"),
            ["Mortgage", "Payday loan, title loan", "\"x\"",]
        );
        assert!(lines(" \n").is_empty());
    }

    #[test]
    fn every_class_has_a_name_of_its_own() {
        let check = |names: &[&str]| check(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(check(&["a", "b, c"]).is_ok());
        assert!(check(&["a", "b", "a"]).unwrap_err().to_string().contains("`a` twice"));
        assert!(check(&["a", ""]).unwrap_err().to_string().contains("empty"));
    }
}
