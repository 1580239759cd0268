//! Owns the meaning of a finished model's head for texts, by its `config.json`: classes with their names,
//! exactly one of which is the answer, or a number. Reads no file.

use serde_json::{Map, Value};

/// transformers' name for an unnamed class.
const UNNAMED: &str = "LABEL_";

/// The names of the classes of a classifier with `outputs` outputs, in order. `None` where the outputs mean
/// something else: scores of a regression, several labels at once, labels of tokens.
#[must_use]
pub fn classes(config: &[u8], outputs: usize) -> Option<Vec<String>> {
    let config = of_texts(config, &["single_label_classification"]).filter(|_| outputs > 1)?;
    match config.get("id2label").and_then(Value::as_object) {
        None => Some((0..outputs).map(|index| format!("{UNNAMED}{index}")).collect()),
        Some(names) if names.len() == outputs => {
            (0..outputs).map(|index| Some(names.get(&index.to_string())?.as_str()?.to_owned())).collect()
        }
        Some(_) => None,
    }
}

/// Whether a head with `outputs` outputs gives a number, as a regression model does. With a single class there
/// would be nothing to choose.
#[must_use]
pub fn gives_number(config: &[u8], outputs: usize) -> bool {
    outputs == 1 && of_texts(config, &["regression", "single_label_classification"]).is_some()
}

/// A `config.json` whose model answers for whole texts and whose `problem_type` is one of these or missing.
fn of_texts(config: &[u8], problems: &[&str]) -> Option<Map<String, Value>> {
    let config: Map<String, Value> = serde_json::from_slice(config).ok()?;
    let problem = config.get("problem_type").and_then(Value::as_str);
    let class = config.get("architectures").and_then(|all| all.get(0)?.as_str());
    let answers = match class {
        Some(class) => class.ends_with("ForSequenceClassification"),
        None => config.get("id2label").is_some_and(Value::is_object),
    };
    (answers && problem.is_none_or(|problem| problems.contains(&problem))).then_some(config)
}

/// Whether these are transformers' names for unnamed classes.
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
        let number = |rest: &str, outputs| gives_number(format!("{{{rest}}}").as_bytes(), outputs);
        let kind = |kind: &str| number(&format!(r#"{class}, "problem_type": "{kind}""#), 1);
        assert!(number(class, 1) && kind("regression") && !kind("multi_label_classification"));
        assert!(!number(class, 2) && !number("", 1), "two outputs, and a head of nobody knows what");
        assert_eq!(of("", 2), None, "nothing says what the outputs are");
        for other in ["multi_label_classification", "regression"] {
            assert_eq!(of(&format!(r#"{class}, {names}, "problem_type": "{other}""#), 2), None);
        }
        assert_eq!(of(&format!(r#""architectures": ["BertForTokenClassification"], {names}"#), 2), None);
    }
}
