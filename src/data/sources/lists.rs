//! Owns the notations of a list in a field: JSON's, Python's and numpy's as pandas writes them, or values between
//! separators. Pure.

use serde_json::Value;

use super::python;

/// The values of a field. Without a separator, a field that is no list is one value; a blank field is an empty list.
/// `None` for a list with other things than texts and numbers in it.
pub(super) fn values(field: &str, separator: Option<&str>) -> Option<Vec<String>> {
    if field.trim().is_empty() {
        return Some(Vec::new());
    }
    if let Some(list) = listed(field) {
        return list;
    }
    let parts = match separator {
        Some(separator) => field.split(separator).map(str::trim).map(str::to_owned).collect(),
        None => vec![field.to_owned()],
    };
    Some(parts)
}

/// The words of a field: a list, in JSON or as Python writes it, or what stands between blanks. `None` for a list with
/// other things than words in it.
#[must_use]
pub fn words(field: &str) -> Option<Vec<String>> {
    listed(field).unwrap_or_else(|| Some(field.split_whitespace().map(str::to_owned).collect()))
}

/// The values of a field in the notation of a list; `None` for any other field.
fn listed(field: &str) -> Option<Option<Vec<String>>> {
    if !python::begins(field) {
        return None;
    }
    let value = serde_json::from_str(field).ok().or_else(|| python::value(field))?;
    let Value::Array(items) = value else { return None };
    let text = |item: Value| match item {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    Some(items.into_iter().map(text).collect())
}

/// Whether a field says that a row has a class; `None` where it says neither.
pub(super) fn flag(field: &str) -> Option<bool> {
    match field.trim().to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" => Some(true),
        "0" | "0.0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_every_notation() {
        let joy = || Some(vec!["joy".to_owned(), "2".to_owned()]);
        for field in [r#"["joy", 2]"#, "['joy', '2']", "['joy', 2]"] {
            assert_eq!(values(field, None), joy(), "{field}");
            assert_eq!(values(field, Some(",")), joy(), "{field}");
        }
        assert_eq!(values("joy, 2", Some(",")), joy());
        assert_eq!(values("joy, 2", None), Some(vec!["joy, 2".to_owned()]));
        assert_eq!(values(" ", Some(",")), Some(Vec::new()));
        assert_eq!(values("[]", None), Some(Vec::new()));
        assert_eq!(values("[[1]]", None), None);
        assert_eq!(words("joy  2"), joy());
        assert_eq!(words(r#"["New York"]"#), Some(vec!["New York".to_owned()]));
        assert_eq!(words("[x"), Some(vec!["[x".to_owned()]), "a word that looks like the start of a list");
    }

    #[test]
    fn flags_are_ones_and_zeros() {
        assert_eq!(["1", "1.0", "True", "0", "false"].map(flag), [true, true, true, false, false].map(Some));
        assert_eq!(["", "2", "yes"].map(flag), [None; 3]);
    }
}
