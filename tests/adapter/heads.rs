//! What a model folder answers, by its `problem_type`, its class and its head: values that a hand can
//! compute, since its encoder says nothing.

use std::fs;
use std::path::{Path, PathBuf};

use lorasweep::adapter::AdapterError;
use lorasweep::adapter::import::{Request, import};
use lorasweep::adapter::model::Loaded;
use lorasweep::adapter::predict::{Answer, AnswerKind, Question, predict};
use lorasweep::error::AppError;
use lorasweep::tasks::{Problem, Purpose};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Bench, classifier, lora, write_base};

/// A BERT whose head adds these to zeros: they are its logits for every text.
pub(crate) fn model(folder: &TempDir, logits: &[f32], changes: &[(&str, Value)]) -> PathBuf {
    let path = write_base(folder.path(), "model", "bert");
    let bytes = fs::read(path.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let bias = bytes_of(logits);
    let weight = bytes_of(&vec![0.0; 32 * logits.len()]);
    let mut views: Vec<(String, TensorView<'_>)> =
        file.iter().map(|(n, view)| (n.to_owned(), view)).collect();
    views.retain(|(name, _)| !name.starts_with("classifier."));
    let view = |shape: Vec<usize>, bytes| TensorView::new(safetensors::Dtype::F32, shape, bytes).unwrap();
    views.push(("classifier.bias".to_owned(), view(vec![logits.len()], &bias)));
    views.push(("classifier.weight".to_owned(), view(vec![logits.len(), 32], &weight)));
    fs::write(path.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(path.join("config.json")).unwrap()).unwrap();
    for key in ["id2label", "label2id"] {
        config.as_object_mut().unwrap().remove(key);
    }
    for (key, value) in changes {
        config[*key] = value.clone();
    }
    fs::write(path.join("config.json"), config.to_string()).unwrap();
    path
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(crate) fn named(names: &[&str]) -> Value {
    names.iter().enumerate().map(|(index, name)| (index.to_string(), json!(name))).collect()
}

fn answer(path: &Path) -> Answer {
    let texts = ["w5 w17".to_owned()];
    let question = Question { texts: &texts, seconds: None, max_new_tokens: None, logits: true };
    predict(&Loaded::of_model(path).unwrap(), &question).unwrap().remove(0)
}

#[track_caller]
fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} is not {expected:?}");
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, AdapterError>, words: &[&str]) {
    let error = AppError::from(result.unwrap_err());
    let said = format!("{error} / {}", error.hint().unwrap_or_default());
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

// ln 3 and -ln 3 have the sigmoids 3/4 and 1/4; 0 has one half.
pub(crate) const LN_3: f32 = 1.098_612_3;

#[test]
fn one_class_of_several_is_right_by_softmax() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(&folder, &[0.0, LN_3], &[("id2label", named(&["no", "yes, or so"]))]);
    let AnswerKind::Label { label, probabilities } = answer(&path).kind else { panic!("a label") };
    assert_eq!(label, "yes, or so");
    close(&probabilities, &[0.25, 0.75]);
}

#[test]
fn each_class_is_right_by_itself_by_sigmoid() {
    let folder = tempfile::tempdir().unwrap();
    let changes = [
        ("problem_type", json!("multi_label_classification")),
        ("id2label", named(&["toxic", "insult", "threat"])),
    ];
    let answer = answer(&model(&folder, &[LN_3, 0.0, -LN_3], &changes));
    let AnswerKind::Labels { labels, probabilities } = answer.kind else { panic!("labels") };
    assert_eq!(labels, ["toxic", "insult"]);
    close(&probabilities, &[0.75, 0.5, 0.25]);
    close(&answer.logits, &[LN_3, 0.0, -LN_3]);
}

#[test]
fn a_head_of_one_number_is_a_score_unless_it_is_said_to_be_a_label() {
    for (kind, expected) in [
        (Value::Null, AnswerKind::Scores(vec![-2.5])),
        (json!("regression"), AnswerKind::Scores(vec![-2.5])),
        (json!("single_label_classification"), AnswerKind::Scores(vec![-2.5])),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = model(&folder, &[-2.5], &[("problem_type", kind), ("id2label", named(&["LABEL_0"]))]);
        assert_eq!(answer(&path).kind, expected);
    }
    let folder = tempfile::tempdir().unwrap();
    let kind = ("problem_type", json!("multi_label_classification"));
    let AnswerKind::Labels { labels, probabilities } = answer(&model(&folder, &[-LN_3], &[kind])).kind else {
        panic!("labels")
    };
    assert!(labels.is_empty());
    close(&probabilities, &[0.25]);
}

#[test]
fn a_regression_to_several_numbers_gives_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(&folder, &[3.5, -1.0], &[("problem_type", json!("regression"))]);
    assert_eq!(answer(&path).kind, AnswerKind::Scores(vec![3.5, -1.0]));
}

#[test]
fn heads_for_other_questions_are_refused_by_name() {
    for (class, word) in [
        ("BertForQuestionAnswering", "span of an answer"),
        ("BertForMaskedLM", "masked words"),
        ("BertForMultipleChoice", "chooses among several texts"),
        ("BertForNextSentencePrediction", "follows another"),
        ("BertForPreTraining", "masked words"),
        ("BertLMHeadModel", "decoder"),
        ("RobertaForCausalLM", "decoder"),
        ("ElectraForPreTraining", "words of a text were replaced"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = model(&folder, &[0.0, 1.0], &[("architectures", json!([class]))]);
        says(Loaded::of_model(&path), &[class, word, "pipeline"]);
    }
}

/// The head's bias decides: every word is a name but for those that have no place in the row.
#[test]
fn a_model_for_the_classes_of_tokens_tags_words() {
    let folder = tempfile::tempdir().unwrap();
    let keys =
        [("architectures", json!(["BertForTokenClassification"])), ("id2label", named(&["O", "B-PER"]))];
    let path = model(&folder, &[0.0, LN_3], &keys);
    let loaded = Loaded::of_model(&path).unwrap();
    assert_eq!(loaded.manifest.purpose, Purpose::Tagging { labels: vec!["O".into(), "B-PER".into()] });
    let texts = ["w1  w2".to_owned(), "w3 ".repeat(60)];
    let question = Question { texts: &texts, seconds: None, max_new_tokens: None, logits: false };
    let answers = predict(&loaded, &question).unwrap();
    let AnswerKind::Tags { words, tags, probabilities } = &answers[0].kind else { panic!("tags") };
    assert_eq!(*words, ["w1", "w2"]);
    assert_eq!(*tags, [Some("B-PER".to_owned()), Some("B-PER".to_owned())]);
    close(probabilities, &[0.75, 0.75]);
    let AnswerKind::Tags { words, tags, .. } = &answers[1].kind else { panic!("tags") };
    assert_eq!((words.len(), tags.len()), (60, 60));
    assert!(tags[0].is_some() && tags[59].is_none(), "the model reads 40 tokens");
}

#[test]
fn without_the_name_of_a_class_the_tensors_tell() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(&folder, &[0.0, 1.0], &[("architectures", Value::Null)]);
    assert!(matches!(answer(&path).kind, AnswerKind::Label { .. }));
    without(&path, "bert.pooler.");
    says(Loaded::of_model(&path), &["pooler"]);
}

#[test]
fn other_families_heads_are_known_by_their_tensors() {
    for (family, tensor, word) in [
        ("roberta", "lm_head.dense.weight", "masked words"),
        ("distilbert", "vocab_transform.weight", "masked words"),
        ("electra", "discriminator_predictions.dense.weight", "replaced words"),
        ("modernbert", "decoder.bias", "masked words"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = write_base(folder.path(), "model", family);
        let config = fs::read_to_string(path.join("config.json")).unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config.as_object_mut().unwrap().remove("architectures");
        fs::write(path.join("config.json"), config.to_string()).unwrap();
        let AnswerKind::Label { label, .. } = answer(&path).kind else { panic!("{family} has classes") };
        assert!(label.starts_with("LABEL_"), "{label}");
        rename(&path, tensor);
        says(Loaded::of_model(&path), &[word]);
    }
}

/// Gives the head's first matrix another name, and takes the rest of the head away.
fn rename(path: &Path, name: &str) {
    let path = path.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let is_head = |name: &str| name.starts_with("classifier.") || name.starts_with("pre_classifier.");
    let mut views: Vec<(String, TensorView<'_>)> =
        file.iter().filter(|(name, _)| !is_head(name)).map(|(name, view)| (name.to_owned(), view)).collect();
    let head = file.iter().find(|(own, _)| is_head(own)).unwrap().1;
    views.push((name.to_owned(), head));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn a_base_without_a_head_is_said_to_have_none() {
    for class in [json!(["BertModel"]), json!(["BertForSequenceClassification"]), Value::Null] {
        let folder = tempfile::tempdir().unwrap();
        let path = model(&folder, &[0.0, 1.0], &[("architectures", class)]);
        without(&path, "classifier.");
        says(Loaded::of_model(&path), &["has no head", "--adapter"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = write_base(folder.path(), "gpt2", "gpt2");
    assert!(matches!(Loaded::of_model(&path).unwrap().manifest.purpose, Purpose::LanguageModelling));
    let config = fs::read_to_string(path.join("config.json")).unwrap();
    let config = config.replace("GPT2LMHeadModel", "GPT2ForSequenceClassification");
    fs::write(path.join("config.json"), config).unwrap();
    says(Loaded::of_model(&path), &["has no head"]);
}

#[test]
fn names_that_do_not_fit_the_head_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(&folder, &[0.0, 1.0, 2.0], &[("id2label", named(&["no", "yes"]))]);
    says(Loaded::of_model(&path), &["config.json", "`id2label` names 2 classes, and the head has 3 rows"]);
    let folder = tempfile::tempdir().unwrap();
    let path = model(&folder, &[0.0, 1.0], &[("problem_type", json!("ranking"))]);
    says(Loaded::of_model(&path), &["`problem_type` is `ranking`"]);
}

#[test]
fn a_folder_of_another_kind_says_which_option_takes_it() {
    let bench = Bench::new(&classifier("bert", 2, lora(&["query"], &["head"])));
    let out = bench.export("out", false).unwrap();
    says(Loaded::of_model(&out), &["holds an adapter", "predict --adapter"]);
    fs::remove_file(out.join("lorasweep.json")).unwrap();
    says(Loaded::of_model(&out), &["adapter that PEFT saved", "lorasweep import"]);
    says(Loaded::of_adapter(&out, None), &["as PEFT saved it", "lorasweep import"]);
    says(Loaded::of_adapter(&bench.path("base"), None), &["whole model", "predict --model"]);
    says(Loaded::of_model(&bench.path("nowhere")), &["no such folder"]);
    says(Loaded::of_adapter(&bench.path("nowhere"), None), &["no such folder"]);
    let (base, out) = (bench.path("base"), bench.path("new"));
    let import_it = |adapter: &Path| {
        import(&Request { adapter, base: &base, out: &out, labels: None, problem: None, layers: None })
    };
    says(import_it(&base), &["whole model", "predict --model"]);
    says(import_it(&bench.path("nowhere")), &["no such folder"]);
}

#[test]
fn an_adapter_answers_as_its_base_or_the_command_says() {
    let bench = Bench::new(&classifier("bert", 2, lora(&["query"], &["head"])));
    let exported = bench.export("exported", false).unwrap();
    fs::remove_file(exported.join("lorasweep.json")).unwrap();
    let base = bench.path("base");
    let kind = |problem, name: &str| {
        let out = bench.path(name);
        let request =
            Request { adapter: &exported, base: &base, out: &out, labels: None, problem, layers: None };
        import(&request).unwrap();
        let manifest = Loaded::of_adapter(&out, None).unwrap().manifest;
        let text: Value = serde_json::from_slice(&fs::read(out.join("lorasweep.json")).unwrap()).unwrap();
        let Purpose::Classification { problem, .. } = manifest.purpose else { panic!("a classifier") };
        (problem, text["format"].as_u64().unwrap())
    };
    assert_eq!(kind(None, "1"), (Problem::SingleLabel, 1));
    assert_eq!(kind(Some(Problem::MultiLabel), "2"), (Problem::MultiLabel, 2));
    let config = fs::read_to_string(base.join("config.json")).unwrap();
    let config = config.replace("\"problem_type\": null", "\"problem_type\": \"multi_label_classification\"");
    fs::write(base.join("config.json"), config).unwrap();
    assert_eq!(kind(None, "3"), (Problem::MultiLabel, 2));
    assert_eq!(kind(Some(Problem::Regression), "4"), (Problem::Regression, 2));
}

/// Leaves the tensors whose names begin so out of a model's file.
fn without(path: &Path, prefix: &str) {
    let path = path.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let views = file.iter().filter(|(name, _)| !name.starts_with(prefix));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}
