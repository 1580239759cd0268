//! Language models' sequences and questions' prompts, from files to stores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lorasweep::data::prepare;
use lorasweep::data::store::{PartView, TokenStore};
use lorasweep::disk::layout::Layout;
use lorasweep::job::Prepare;
use lorasweep::tasks::{Objective, QuestionAnswering, Task, TextLayout, fill};
use lorasweep::tokenizer::Tokenizer;
use lorasweep::values::{ContentHash, Failure, Part};

use super::support::{fixture, language, names, questions, shared, task, train_on, write};

/// Prepares a task whose training file is `path`, with the tiny GPT-2 tokenizer.
fn store(path: &Path, change: impl FnOnce(&mut Task), objective: Objective) -> Result<TokenStore, String> {
    store_with(fixture("gpt2"), path, change, objective)
}

fn store_with(
    tokenizer: PathBuf,
    path: &Path,
    change: impl FnOnce(&mut Task),
    objective: Objective,
) -> Result<TokenStore, String> {
    let mut task = task(objective);
    change(&mut task);
    train_on(&mut task, path);
    let store = ContentHash::of_json(&task);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let made = prepare::run(&Prepare { store, task: Arc::new(task), tokenizer }, folder.path());
    match made {
        Ok(()) => Ok(TokenStore::open(&Layout::store(folder.path(), store)).expect("the store was made")),
        Err(Failure::BadData { message }) => Err(message),
        Err(other) => panic!("{other:?}"),
    }
}

fn rows(part: &PartView) -> Vec<Vec<u32>> {
    (0..).take(part.len()).map(|row| part.tokens(row).to_vec()).collect()
}

fn train(store: &TokenStore) -> &PartView {
    store.part(Part::Train).expect("every store has training rows")
}

fn gpt2() -> Tokenizer {
    Tokenizer::load(&fixture("gpt2")).expect("the fixture is sound")
}

/// The tokens of a text, and the end of text behind them.
fn ended(text: &str) -> Vec<u32> {
    let mut tokens = gpt2().encode_plain(&[text]).expect("the text is sound").remove(0);
    tokens.extend(gpt2().end_of_text());
    tokens
}

#[test]
fn a_text_file_is_cut_into_blocks_of_the_tokens_that_it_has_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    // Long enough for several pieces, with all kinds of white space between words.
    let spaces = [" ", "\n", "\n\n", " \n \n", "  ", "\t", "\u{a0}", " \u{3000}"];
    let words = ["the", "cat's", "東京", "\u{1f600}", "mat,", "12", "हिन्दी"];
    let text: String = (0..30_000_usize)
        .flat_map(|n| [words[n * 7919 % 97 % words.len()], spaces[n * 104_729 % 89 % spaces.len()]])
        .collect();
    let path = write(&folder, "a.txt", &text);
    let store = store(&path, |task| task.max_length = 100, language(&[], TextLayout::Blocks)).unwrap();
    let blocks = rows(train(&store));
    let (last, full) = blocks.split_last().unwrap();
    assert!(full.iter().all(|block| block.len() == 100) && last.len() <= 100);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(blocks.concat(), ended(&lines.join("\n")));
    let view = train(&store);
    assert!(
        (0..view.len() as u32)
            .all(|row| view.row(row).second == view.length(row) && view.target(row).class() == Some(0))
    );
}

#[test]
fn rows_are_joined_with_an_end_behind_each_and_a_last_single_token_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let csv = write(&folder, "a.csv", "text,n\nthe cat,1\n  ,2\nthe mat,3\n");
    let whole = [ended("the cat"), ended("the mat")].concat();
    for length in 2..=whole.len() {
        let store =
            store(&csv, |task| task.max_length = length, language(&["text"], TextLayout::Blocks)).unwrap();
        let kept = if whole.len() % length == 1 { whole.len() - 1 } else { whole.len() };
        assert_eq!(rows(train(&store)).concat(), whole[..kept], "{length}");
    }
    let said = store(&csv, |task| task.max_length = 1, language(&["text"], TextLayout::Blocks)).unwrap_err();
    assert!(said.contains("no row has enough tokens"), "{said}");
}

#[test]
fn documents_are_sequences_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.txt", "the cat sat\n\nthe mat\n");
    let store = store(&path, |task| task.max_length = 4, language(&[], TextLayout::Documents)).unwrap();
    let expected = ["the cat sat", "the mat"].map(|text| ended(text).into_iter().take(4).collect::<Vec<_>>());
    assert_eq!(rows(train(&store)), expected);
}

#[test]
fn documents_are_drawn_and_held_out_before_they_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        write(&folder, "a.jsonl", (0..20).map(|n| format!("{{\"text\": \"{n}\"}}\n")).collect::<String>());
    let change = |task: &mut Task| {
        (task.rows, task.test_fraction, task.max_length) = (Some(10), Some(0.3), 1000);
    };
    let store = store(&path, change, language(&["text"], TextLayout::Blocks)).unwrap();
    let documents = |part| {
        let end = gpt2().end_of_text().unwrap();
        rows(store.part(part).unwrap()).concat().into_iter().filter(|token| *token == end).count()
    };
    assert_eq!((documents(Part::Train), documents(Part::Test)), (7, 3));
}

#[test]
fn a_tokenizer_without_an_end_of_text_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.txt", "the cat\n");
    let said = store_with(fixture("bert"), &path, |_| {}, language(&[], TextLayout::Blocks)).unwrap_err();
    assert!(said.contains("the tokenizer has no end-of-text token; name it as `eos_token`"), "{said}");
}

/// JSON Lines of one question.
fn question(context: &str, question: &str, answers: &[&str]) -> String {
    serde_json::json!({"context": context, "question": question, "answers": answers}).to_string() + "\n"
}

#[test]
fn a_question_is_its_prompt_and_the_first_gold_answer() {
    let folder = tempfile::tempdir().unwrap();
    let text = question("the {question} cat 東京", "where?", &["on the mat", "mat"]);
    let store = store(&write(&folder, "a.jsonl", text), |_| {}, questions()).unwrap();
    let view = train(&store);
    let prompt = "context: the {question} cat 東京 question: where? answer:";
    let (tokens, second) = (view.tokens(0), view.row(0).second as usize);
    assert_eq!(tokens[..second], gpt2().encode_plain(&[prompt]).unwrap()[0]);
    assert_eq!(tokens[second..], ended(" on the mat"));
    assert_eq!(view.row(0).answers, names(&["on the mat", "mat"]));
}

#[test]
fn long_contexts_lose_their_ends_until_answers_fit() {
    let folder = tempfile::tempdir().unwrap();
    let contexts = [
        "the cat sat on the mat ".repeat(4000),
        "東京\u{1f600}".repeat(30),
        "x".repeat(100_000),
        String::new(),
    ];
    let text: String = contexts.iter().map(|context| question(context, "who?", &["the hat"])).collect();
    let path = write(&folder, "a.jsonl", text);
    for (max_length, max_new_tokens) in [(80, 2), (80, 30), (120, 4)] {
        let Objective::QuestionAnswering(asked) = questions() else { panic!("it is") };
        let objective = Objective::QuestionAnswering(QuestionAnswering { max_new_tokens, ..asked });
        let store = store(&path, |task| task.max_length = max_length, objective).unwrap();
        let view = train(&store);
        for (row, context) in (0..).zip(&contexts) {
            let (length, second) = (view.length(row) as usize, view.row(row).second as usize);
            assert!(length <= max_length && second + max_new_tokens <= max_length);
            let prompt = gpt2().decode(&view.tokens(row)[..second]).unwrap();
            let kept = prompt.strip_prefix("context: ").unwrap();
            let kept = kept.strip_suffix(" question: who? answer:").unwrap();
            assert!(context.starts_with(kept), "{kept}");
            // As much as fits, but for what a cut within a word costs.
            assert!(kept == context || max_length - length.max(second + max_new_tokens) <= 8, "{length}");
            assert_eq!(view.tokens(row)[second..], ended(" the hat"));
        }
    }
}

#[test]
fn a_question_that_fits_nowhere_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.jsonl", question("the cat", &"why ".repeat(25_000), &["mat"]));
    let said = store(&path, |_| {}, questions()).unwrap_err();
    assert!(
        said.contains("a.jsonl`: the prompt of the question `why why") && said.contains("raise `max_length`")
    );
}

#[test]
fn templates_are_filled_once() {
    assert_eq!(fill("{question}|{context}|{x}{", "{question}", "{context}"), "{context}|{question}|{x}{");
}

#[test]
fn real_questions_fit_and_real_text_keeps_its_tokens() {
    let (Some(squad), Some(tokenizer)) = (shared("squad/dev.json"), shared("tokenizers/gpt2")) else {
        return;
    };
    let change = |task: &mut Task| (task.max_length, task.rows) = (256, Some(300));
    let store = store_with(tokenizer.clone(), &squad, change, questions()).unwrap();
    let view = train(&store);
    assert_eq!(view.len(), 300);
    assert!((0..300).all(|row| view.length(row) <= 256 && !view.row(row).answers.is_empty()));
    let Some(text) = shared("wikitext-2/valid.txt") else { return };
    let text: Vec<String> =
        std::fs::read_to_string(text).unwrap().lines().take(800).map(str::to_owned).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.txt", text.join("\n"));
    let change = |task: &mut Task| task.max_length = 256;
    let store = store_with(tokenizer.clone(), &path, change, language(&[], TextLayout::Blocks)).unwrap();
    let whole = Tokenizer::load(&tokenizer).unwrap().encode_plain(&[text.join("\n")]).unwrap().remove(0);
    assert_eq!(rows(train(&store)).concat(), [whole, vec![50_256]].concat());
}
