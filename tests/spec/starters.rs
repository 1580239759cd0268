//! What `init` writes is a sweep that loads, for each kind of task.

use std::path::Path;

use lorasweep::spec::{Starter, StarterKind, SweepSpec};
use lorasweep::task::Objective;
use serde_json::json;

use crate::folder::Folder;

/// The starter for a data file and a model, loaded as `check` does.
fn started(folder: &Folder, kind: StarterKind, data: &str, model: &str) -> SweepSpec {
    let path = folder.path().join(data);
    let starter = Starter { data: &path, data_in_sweep: Path::new(data), model: Path::new(model), kind };
    let text = starter.text().unwrap();
    folder.load(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

#[test]
fn a_starter_of_each_kind_is_a_sound_sweep() {
    let folder = Folder::new();
    let bert = r#"{"model_type": "bert", "vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 16}"#;
    let gpt2 = r#"{"model_type": "gpt2", "vocab_size": 4, "n_embd": 8, "n_layer": 1, "n_head": 2}"#;
    for (model, config, tokenizer) in
        [("bert", bert, &["tiny/vocab.txt"][..]), ("gpt2", gpt2, &["bytes/vocab.json", "bytes/merges.txt"])]
    {
        folder.write(&format!("{model}/config.json"), config);
        folder.write_weights(model);
        for file in tokenizer {
            let name = Path::new(file).file_name().unwrap().to_string_lossy();
            folder.write(&format!("{model}/{name}"), &folder.read(file));
        }
    }

    let classes = started(&folder, StarterKind::Classification, "train.csv", "bert");
    let Objective::Classification(task) = &classes.first_task().objective else { panic!() };
    assert_eq!((task.text.as_slice(), task.label.as_str()), (&["text".to_owned()][..], "label"));

    let rows = "{\"id\": 1, \"story\": \"Call me.\"}\n".repeat(20);
    folder.write("stories.jsonl", &rows);
    for data in ["book.txt", "stories.jsonl"] {
        let language = started(&folder, StarterKind::LanguageModelling, data, "gpt2");
        assert!(matches!(language.first_task().objective, Objective::LanguageModelling(_)));
    }

    let question = |id: usize| json!({"id": id.to_string(), "question": "b?", "answers": [{"text": "b", "answer_start": 2}]});
    let questions: Vec<_> = (0..12).map(question).collect();
    let paragraph = json!({"context": "a b a b", "qas": questions});
    folder.write("q.json", &json!({"data": [{"title": "t", "paragraphs": [paragraph]}]}).to_string());
    let answers = started(&folder, StarterKind::QuestionAnswering, "q.json", "gpt2");
    assert!(matches!(answers.first_task().objective, Objective::QuestionAnswering(_)));
    assert_eq!(answers.first_task().train.rows, 12);
}
