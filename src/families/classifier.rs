//! Owns what a `config.json` says of a finished classifier: whether its outputs are classes, one of
//! which is the answer, and what they are called. Reads no file.

use serde_json::{Map, Value};

/// transformers' name for a class that nobody named.
const UNNAMED: &str = "LABEL_";

/// The names of the classes of a classifier with so many outputs, in their order. `None` where the
/// outputs mean something else: scores of a regression, several labels at once, labels of tokens.
#[must_use]
pub fn classes(config: &[u8], outputs: usize) -> Option<Vec<String>> {
    let config: Map<String, Value> = serde_json::from_slice(config).ok()?;
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    let is_other = text("problem_type").is_some_and(|kind| kind != "single_label_classification");
    let class = config.get("architectures").and_then(|all| all.get(0)?.as_str());
    let named = config.get("id2label").and_then(Value::as_object);
    let is_classifier = match class {
        Some(class) => class.ends_with("ForSequenceClassification"),
        None => named.is_some(),
    };
    if outputs < 2 || is_other || !is_classifier {
        return None;
    }
    match named {
        None => Some((0..outputs).map(|index| format!("{UNNAMED}{index}")).collect()),
        Some(names) if names.len() == outputs => {
            (0..outputs).map(|index| Some(names.get(&index.to_string())?.as_str()?.to_owned())).collect()
        }
        Some(_) => None,
    }
}

/// Whether these are the names that classes have where nobody named them.
#[must_use]
pub fn are_unnamed(classes: &[String]) -> bool {
    classes.iter().enumerate().all(|(index, name)| *name == format!("{UNNAMED}{index}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_classifiers_of_texts_have_classes() {
        let of = |rest: &str, outputs| classes(format!("{{{rest}}}").as_bytes(), outputs);
        let class = r#""architectures": ["BertForSequenceClassification"]"#;
        let names = r#""id2label": {"1": "good", "0": "bad"}"#;
        assert_eq!(of(&format!("{class}, {names}"), 2).unwrap(), ["bad", "good"]);
        assert_eq!(of(names, 2).unwrap(), ["bad", "good"]);
        let unnamed = of(class, 3).unwrap();
        assert_eq!(unnamed, ["LABEL_0", "LABEL_1", "LABEL_2"]);
        assert!(are_unnamed(&unnamed) && !are_unnamed(&["bad".to_owned()]));
        assert_eq!(of(&format!("{class}, {names}"), 3), None, "names and outputs disagree");
        assert_eq!(of(class, 1), None, "a score");
        assert_eq!(of("", 2), None, "nothing says what the outputs are");
        for other in ["multi_label_classification", "regression"] {
            assert_eq!(of(&format!(r#"{class}, {names}, "problem_type": "{other}""#), 2), None);
        }
        assert_eq!(of(&format!(r#""architectures": ["BertForTokenClassification"], {names}"#), 2), None);
    }
}
