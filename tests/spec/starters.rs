//! What `init` writes is a sweep that loads, for each kind of task, with the right columns and settings that
//! can learn something.

use std::path::Path;

use lorasweep::spec::Starter;
use lorasweep::sweep::SweepSpec;
use lorasweep::tasks::{self, Objective};
use serde_json::json;

use crate::folder::Folder;

/// The starter for a data file and a model, loaded as `check` does.
fn started(folder: &Folder, kind: &str, data: &str, model: &str) -> SweepSpec {
    let path = folder.path().join(data);
    let starter = Starter {
        data: &path,
        data_in_sweep: Path::new(data),
        model: Path::new(model),
        model_folder: Some(&folder.path().join(model)),
        kind: tasks::kind(kind),
    };
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

    let classes = started(&folder, "classification", "train.csv", "bert");
    let Objective::Classification(task) = &classes.first_task().objective else { panic!() };
    assert_eq!((task.text.as_slice(), task.label.as_str()), (&["text".to_owned()][..], "label"));

    let rows = "{\"id\": 1, \"story\": \"Call me.\"}\n".repeat(2_000);
    folder.write("novel.txt", &"Call me.\n".repeat(2_000));
    folder.write("stories.jsonl", &rows);
    for data in ["novel.txt", "stories.jsonl"] {
        let language = started(&folder, "language_modelling", data, "gpt2");
        assert!(matches!(language.first_task().objective, Objective::LanguageModelling(_)));
    }

    let question = |id: usize| json!({"id": id.to_string(), "question": "b?", "answers": [{"text": "b", "answer_start": 2}]});
    let questions: Vec<_> = (0..12).map(question).collect();
    let paragraph = json!({"context": "a b a b", "qas": questions});
    folder.write("q.json", &json!({"data": [{"title": "t", "paragraphs": [paragraph]}]}).to_string());
    let answers = started(&folder, "question_answering", "q.json", "gpt2");
    assert!(matches!(answers.first_task().objective, Objective::QuestionAnswering(_)));
    assert_eq!(answers.first_task().train.rows, 12);
}

/// A BERT of six layers that reads 128 tokens and knows three words.
fn encoder(folder: &Folder) {
    let config = r#"{"model_type": "bert", "vocab_size": 7, "hidden_size": 8, "num_hidden_layers": 6,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 512}"#;
    folder.write("base/config.json", config);
    folder.write("base/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\nfilm\n");
    folder.write_weights("base");
}

/// The text of a starter for a classification with that encoder, and the sweep that it is.
fn classified(folder: &Folder, data: &str) -> (String, SweepSpec) {
    let path = folder.path().join(data);
    let starter = Starter {
        data: &path,
        data_in_sweep: Path::new(data),
        model: Path::new("base"),
        model_folder: Some(&folder.path().join("base")),
        kind: tasks::kind("classification"),
    };
    let text = starter.text().unwrap();
    let sweep = folder.load(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    (text, sweep)
}

/// The columns of a sweep's only task: text, pair, label.
fn columns(sweep: &SweepSpec) -> (Vec<&str>, Vec<&str>, &str) {
    let Objective::Classification(task) = &sweep.first_task().objective else { panic!() };
    (
        task.text.iter().map(String::as_str).collect(),
        task.pair.iter().map(String::as_str).collect(),
        &task.label,
    )
}

#[test]
fn nine_hundred_rows_get_a_few_hundred_steps_and_enough_validations() {
    let folder = Folder::new();
    encoder(&folder);
    let mut rows =
        "Date received,Complaint ID,Timely response?,Consumer complaint narrative,Product\n".to_owned();
    for i in 0..900 {
        let words = vec!["good film"; 5 + i % 20].join(" ");
        let product = ["Mortgage", "Mortgage", "Mortgage", "Debt collection", "Loan, card"][i % 5];
        rows += &format!(
            "2024-01-{:02},{},{},{words},\"{product}\"\n",
            i % 28 + 1,
            100_000 + i,
            ["Yes", "No"][i % 2]
        );
    }
    folder.write("complaints.csv", &rows);
    let (text, sweep) = classified(&folder, "complaints.csv");
    assert_eq!(columns(&sweep), (vec!["Consumer complaint narrative"], vec![], "Product"));
    assert!(text.contains("3 classes; 540 of 900 rows are `Mortgage`"), "{text}");
    assert!(text.contains("could be the label: \"Timely response?\" (2 classes)"), "{text}");
    assert_eq!(sweep.splitting.splits(), 3);
    // 38 of 20 lengths of 10 to 48 tokens, and [CLS] and [SEP].
    assert_eq!(sweep.first_task().max_length, 48);
    assert_eq!(sweep.first_task().rows, None);
    for configuration in &sweep.configurations {
        let training = &configuration.training;
        let steps = (600.0 * training.epochs / training.batch_size as f64).round() as usize;
        let validations = steps / training.evaluate_every.unwrap();
        assert!((200..=500).contains(&steps) && validations >= 8, "{steps} steps, {validations} validations");
    }
    let rate = |method: &str| {
        let rates = sweep.configurations.iter().filter(|one| one.method.name() == method);
        rates.map(|one| one.training.learning_rate).fold(0.0, f64::max)
    };
    assert!(
        (5.0..=30.0).contains(&(rate("lora") / rate("full"))),
        "LoRA wants about ten times the learning rate"
    );
    let lora = sweep.configurations.iter().find_map(|one| one.method.lora()).unwrap();
    assert!(
        lora.targets.iter().all(|target| target.starts_with("4.") || target.starts_with("5.")),
        "{lora:?}"
    );
    assert_eq!(sweep.warnings, Vec::<String>::new());
}

#[test]
fn many_rows_are_drawn_from_and_long_texts_are_cut() {
    let folder = Folder::new();
    encoder(&folder);
    let row = |i: usize| format!("{},{}\n", "good film ".repeat(200), ["a", "b"][i % 2]);
    folder.write("many.csv", &(0..2_500).fold("text,label\n".to_owned(), |all, i| all + &row(i)));
    let (text, sweep) = classified(&folder, "many.csv");
    assert_eq!((sweep.first_task().rows, sweep.first_task().max_length), (Some(2_000), 128));
    assert!(text.contains("95 % of the rows have up to 402"), "{text}");
    assert_eq!(sweep.splitting.splits(), 1);
}

#[test]
fn a_file_without_names_gets_them_and_loses_no_row() {
    let folder = Folder::new();
    encoder(&folder);
    let rows = (0..40).map(|i| format!("\"{}\",\"Good film\",\"a bad film number {i} it is\"\n", i % 4 + 1));
    folder.write("news.csv", &rows.collect::<String>());
    let (text, sweep) = classified(&folder, "news.csv");
    assert!(text.contains("columns: [column1, column2, column3]"), "{text}");
    assert_eq!(columns(&sweep), (vec!["column3"], vec![], "column1"));
    assert!(text.contains("could be the text: column2"), "{text}");
    assert_eq!(sweep.first_task().train.rows, 40);
    assert_eq!(sweep.first_task().objective.labels(), ["1", "2", "3", "4"]);
}

#[test]
fn two_texts_of_a_pair_are_a_pair() {
    let folder = Folder::new();
    encoder(&folder);
    let row = |i: usize| {
        let label = ["yes", "no", "maybe"][i % 3];
        json!({"idx": i, "premise": "a good film it is", "hypothesis": "a bad film", "label": label})
    };
    folder.write("pairs.jsonl", &(0..60).map(|i| format!("{}\n", row(i))).collect::<String>());
    let (_, sweep) = classified(&folder, "pairs.jsonl");
    assert_eq!(columns(&sweep), (vec!["premise"], vec!["hypothesis"], "label"));
}

#[test]
fn rows_without_text_are_left_out() {
    let folder = Folder::new();
    encoder(&folder);
    let row = |i: usize| {
        format!("{},{}\n", if i.is_multiple_of(3) { "" } else { "a good film" }, ["a", "b"][i % 2])
    };
    folder.write("gaps.csv", &(0..60).fold("text,label\n".to_owned(), |all, i| all + &row(i)));
    let (text, sweep) = classified(&folder, "gaps.csv");
    assert!(text.contains("20 rows without text are left out"), "{text}");
    assert_eq!((sweep.first_task().cleaning.min_words, sweep.first_task().train.rows), (Some(1), 40));
}

#[test]
fn rows_without_a_label_are_left_out() {
    let folder = Folder::new();
    encoder(&folder);
    let row = |i: usize| format!("a good film,{}\n", ["a", "b", ""][if i < 57 { i % 2 } else { 2 }]);
    folder.write("gaps.csv", &(0..60).fold("text,label\n".to_owned(), |all, i| all + &row(i)));
    let (text, sweep) = classified(&folder, "gaps.csv");
    assert!(text.contains("3 rows without a label are left out"), "{text}");
    assert_eq!(sweep.first_task().train.rows, 57);
    assert_eq!(sweep.first_task().objective.labels(), ["a", "b"]);
}

/// What makes the rows of a table.
type Row<'a> = &'a dyn Fn(usize) -> String;

/// The starter of a labelled file, where nobody says what is to be learned.
fn guessed(folder: &Folder, data: &str) -> (String, SweepSpec) {
    let path = folder.path().join(data);
    let starter = Starter {
        data: &path,
        data_in_sweep: Path::new(data),
        model: Path::new("tiny"),
        model_folder: None,
        kind: None,
    };
    let text = starter.text().unwrap();
    let sweep = folder.load(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    (text, sweep)
}

#[test]
fn numbers_that_measure_something_are_learned_as_numbers() {
    let folder = Folder::new();
    let table =
        |header: &str, row: Row<'_>| (0..60).fold(format!("{header}\n"), |all, i| all + &row(i) + "\n");
    let said = "a film to be seen";
    let numbers: [(&str, Row<'_>); 3] = [
        ("id,text,score", &|i| format!("{i},{said} {i},{}.{}", i % 5, i % 7)),
        ("text,split,rating", &|i| format!("{said} {i},{},{}", ["train", "dev"][i % 2], i * i)),
        ("text,genre,similarity", &|i| format!("{said} {i},{},{}.5", ["news", "forum"][i % 2], i % 4)),
    ];
    for (header, row) in numbers {
        folder.write("numbers.csv", &table(header, row));
        let (text, sweep) = guessed(&folder, "numbers.csv");
        let Objective::Regression(task) = &sweep.first_task().objective else { panic!("{text}") };
        assert!(header.ends_with(&task.label), "{text}");
        assert!(text.contains("holds numbers that measure something"), "{text}");
    }
    let classes: [(&str, Row<'_>); 3] = [
        ("text,stars", &|i| format!("{said} {i},{}", i % 5)),
        ("text,label,length", &|i| format!("{said} {i},{},{i}.5", ["bad", "good"][i % 2])),
        ("index,text,label", &|i| format!("{i},{said} {i},{}", ["bad", "good"][i % 2])),
    ];
    for (header, row) in classes {
        folder.write("classes.csv", &table(header, row));
        let (text, sweep) = guessed(&folder, "classes.csv");
        assert!(matches!(sweep.first_task().objective, Objective::Classification(_)), "{text}");
    }
}

#[test]
fn the_keys_that_read_a_file_are_written() {
    let folder = Folder::new();
    let rows = (0..40).map(|i| format!("Ein schöner Film, Nr. {i};{}\n", ["gut", "schlecht"][i % 2]));
    let text = format!("Text;Etikett\n{}", rows.collect::<String>());
    // Letters of Latin-1 have one byte each.
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    std::fs::write(folder.path().join("filme.csv"), bytes).unwrap();
    folder.write("tabs.csv", &text.replace(';', "\t"));
    for (data, keys) in [
        ("filme.csv", &["separator: \";\"", "encoding: windows-1252"][..]),
        ("tabs.csv", &["separator: tab"]),
    ] {
        let (text, sweep) = guessed(&folder, data);
        assert!(keys.iter().all(|key| text.contains(&format!("\n  {key} "))), "{text}");
        assert_eq!(columns(&sweep), (vec!["Text"], vec![], "Etikett"));
        assert_eq!(sweep.first_task().train.rows, 40);
    }
}

#[test]
fn questions_without_an_answer_are_left_out() {
    let folder = Folder::new();
    let question = |id: usize| {
        let answers = if id < 3 { json!([]) } else { json!([{"text": "b", "answer_start": 2}]) };
        json!({"id": id.to_string(), "question": "b?", "answers": answers, "is_impossible": id < 3})
    };
    let questions: Vec<_> = (0..12).map(question).collect();
    let paragraph = json!({"context": "a b a b", "qas": questions});
    folder.write("q.json", &json!({"data": [{"title": "t", "paragraphs": [paragraph]}]}).to_string());
    let path = folder.path().join("q.json");
    let starter = Starter {
        data: &path,
        data_in_sweep: Path::new("q.json"),
        model: Path::new("gpt2"),
        model_folder: None,
        kind: tasks::kind("question_answering"),
    };
    let text = starter.text().unwrap();
    assert!(text.contains("\n  unanswerable: drop    # 3 questions without an answer"), "{text}");
    assert!(text.contains(": 9 rows"), "{text}");
}
