//! Owns what a model in transformers' layout predicts: from the class in `config.json`, its `problem_type`, and
//! the head's tensors. Builds no model.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::base::ModelFolder;
use super::error::AdapterError;
use super::peft;
use crate::families::{Head, OtherHead, TOKEN_CLASSES};
use crate::tasks::{Problem, Purpose};

/// Checks that a folder holds a whole model that can answer for whole texts, before its weights are read.
///
/// # Errors
/// When there is no `config.json`, or it names a class with another head.
pub fn check_class(folder: &Path) -> Result<(), AdapterError> {
    let file = folder.join("config.json");
    let Ok(text) = fs::read(&file) else { return Err(not_a_model(folder)) };
    // Other faults of the file are reported where its shapes are read.
    let Ok(config) = serde_json::from_slice::<Map<String, Value>>(&text) else { return Ok(()) };
    let Some(class) = class(&config) else { return Ok(()) };
    match OtherHead::of_class(class).filter(|other| **other != TOKEN_CLASSES) {
        Some(other) => Err(other_head(folder, &format!("`{class}`"), other)),
        None => Ok(()),
    }
}

/// The purpose of a folder's model.
///
/// # Errors
/// When it has no head, or one that does not answer for whole texts.
pub fn purpose(model: &ModelFolder) -> Result<Purpose, AdapterError> {
    let about = model.architecture.about();
    let rows = |name: String| model.tensors.find(&name, about).ok()?.shape.first().copied();
    if class(&model.config).is_some_and(|class| class.ends_with(TOKEN_CLASSES.class)) {
        let tags = model.architecture.class_rows(Head::Tagger { labels: 1 }).and_then(rows);
        let tags = tags.ok_or_else(|| AdapterError::Headless { folder: model.path.clone() })?;
        return Ok(Purpose::Tagging { labels: names(model, tags)? });
    }
    let classes = model.architecture.class_rows(Head::Classifier { labels: 1 }).and_then(rows);
    if class(&model.config).is_none() {
        check_tensors(model, classes.is_some())?;
    }
    match classes {
        Some(classes) => {
            let labels = names(model, classes)?;
            Ok(Purpose::Classification { labels, pairs: false, problem: problem(model, classes)? })
        }
        // Without a classifier, a decoder still has its output layer, which is its word embedding.
        None if model.architecture.supports(Head::LanguageModel) && !names_classifier(model) => {
            Ok(Purpose::LanguageModelling)
        }
        None => Err(AdapterError::Headless { folder: model.path.clone() }),
    }
}

/// The names of a head's outputs.
fn names(model: &ModelFolder, outputs: usize) -> Result<Vec<String>, AdapterError> {
    let own = model.labels();
    if let Some(names) = own.as_ref().filter(|names| names.len() != outputs) {
        let reason = format!("`id2label` names {} classes, and the head has {outputs} rows", names.len());
        return Err(AdapterError::Settings { path: model.path.join("config.json"), reason });
    }
    Ok(own.unwrap_or_else(|| Purpose::numbered(outputs)))
}

/// The meaning of the numbers from a folder's head, by its `problem_type`.
///
/// # Errors
/// When that is not one of transformers' words.
pub fn problem(model: &ModelFolder, classes: usize) -> Result<Problem, AdapterError> {
    let word = model.config.get("problem_type").and_then(Value::as_str);
    Problem::of(word, classes).ok_or_else(|| AdapterError::Settings {
        path: model.path.join("config.json"),
        reason: format!("`problem_type` is `{}`, which transformers does not have", word.unwrap_or_default()),
    })
}

/// The class that a `config.json` names.
fn class(config: &Map<String, Value>) -> Option<&str> {
    config.get("architectures")?.as_array()?.first()?.as_str()
}

fn names_classifier(model: &ModelFolder) -> bool {
    class(&model.config).is_some_and(|class| class.ends_with("ForSequenceClassification"))
}

/// Checks by the tensors, where no class is named.
fn check_tensors(model: &ModelFolder, has_classifier: bool) -> Result<(), AdapterError> {
    let has = |name: &str| model.tensors.tensor(name).is_some();
    if has_classifier {
        // A classifier of whole texts reads the pooler's output, where its family has one.
        let tensors = model.architecture.tensors();
        return if tensors.iter().any(|place| model.tensors.lacks(&model.architecture, &place.name)) {
            let called = format!("{} (it has no pooler)", TOKEN_CLASSES.called);
            Err(other_head(&model.path, &called, &TOKEN_CLASSES))
        } else {
            Ok(())
        };
    }
    match OtherHead::of_tensors(has) {
        Some(other) => Err(other_head(&model.path, other.called, other)),
        None => Ok(()),
    }
}

fn other_head(folder: &Path, class: &str, other: &OtherHead) -> AdapterError {
    AdapterError::OtherHead { folder: folder.to_path_buf(), class: class.to_owned(), answers: other.does }
}

/// The error for a folder that does not hold a whole model.
fn not_a_model(folder: &Path) -> AdapterError {
    let shown = folder.display();
    let (found, hint) = if !folder.is_dir() {
        let hint = "check the path; a model of the hub is downloaded with `hf download NAME --local-dir DIR`";
        ("there is no such folder", hint.to_owned())
    } else if folder.join(super::manifest::MANIFEST).exists() {
        ("it holds an adapter", format!("`lorasweep predict --adapter {shown}` asks that"))
    } else if folder.join(peft::CONFIG).exists() {
        let hint = format!(
            "`lorasweep import {shown} --base FOLDER --out DIR` makes `DIR` of it, and \
             `lorasweep predict --adapter DIR` asks that"
        );
        ("it holds an adapter that PEFT saved", hint)
    } else {
        (
            "it has no config.json",
            "give the folder that `save_pretrained` or `lorasweep export` wrote".to_owned(),
        )
    };
    AdapterError::OtherFolder { folder: folder.to_path_buf(), wanted: "a whole model", found, hint }
}
