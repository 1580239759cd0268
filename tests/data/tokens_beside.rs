//! Tokens beside a vocabulary, with the ids that transformers gives them, and tokenizers that are
//! refused because other tokens would come of them.

use std::fs;
use std::path::Path;

use lorasweep::tokenizer::{Tokenizer, files};
use tempfile::TempDir;

use super::support::{fixture, write};

const TEXT: &str = "[E1] the cat[E2] HELLO covid covid19 Covid";

/// The vocabulary of 25 tokens, with these files beside it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(&folder, "vocab.txt", fs::read(fixture("bert/vocab.txt")).expect("the fixture is there"));
    for (name, text) in files {
        write(&folder, name, text.as_bytes());
    }
    folder
}

fn encode(folder: &Path, text: &str) -> Vec<u32> {
    let tokenizer = Tokenizer::load(folder).expect("a sound tokenizer");
    tokenizer.encode_rows(&[text.to_owned()], None, 128).expect("a sound text").remove(0).tokens
}

fn names(folder: &Path) -> Vec<String> {
    let files = files(folder).expect("a tokenizer");
    files.iter().map(|file| file.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
}

#[test]
fn added_tokens_have_the_ids_that_transformers_gives_them() {
    let added = r#"{"[E2]": 26, "[E1]": 25}"#;
    let special = r#"{"additional_special_tokens": ["[E1]", {"content": "[E2]"}], "cls_token": "[CLS]"}"#;
    let entry = |content: &str, special: bool, single: bool| {
        format!(
            r#"{{"content": "{content}", "special": {special}, "normalized": {}, "lstrip": false,
                "rstrip": false, "single_word": {single}}}"#,
            !special
        )
    };
    let decoder = format!(
        r#"{{"added_tokens_decoder": {{"26": {}, "25": {}, "2": {}}}}}"#,
        entry("covid", false, true),
        entry("[E1]", true, false),
        entry("[CLS]", true, false)
    );
    for (beside, expected) in [
        (
            &[("added_tokens.json", added), ("special_tokens_map.json", special)][..],
            &[2, 25, 7, 8, 26, 5, 1, 1, 1, 3][..],
        ),
        (&[("added_tokens.json", added)], &[2, 25, 7, 8, 26, 5, 1, 1, 1, 3]),
        (&[("added_tokens.json", r#"{"covid": 25}"#)], &[2, 1, 1, 1, 7, 8, 1, 1, 1, 5, 25, 25, 1, 25, 3]),
        (&[("tokenizer_config.json", &decoder)], &[2, 25, 7, 8, 1, 1, 1, 5, 26, 1, 26, 3]),
        // Where there is a decoder, it says all.
        (
            &[("tokenizer_config.json", &decoder), ("added_tokens.json", r#"{"[E2]": 31}"#)],
            &[2, 25, 7, 8, 1, 1, 1, 5, 26, 1, 26, 3],
        ),
        // Ids need not follow the vocabulary's.
        (&[("added_tokens.json", r#"{"[E1]": 99}"#)], &[2, 99, 7, 8, 1, 1, 1, 5, 1, 1, 1, 3]),
    ] {
        assert_eq!(encode(folder(beside).path(), TEXT), expected, "{beside:?}");
    }
    let gap = folder(&[("added_tokens.json", r#"{"[E1]": 99}"#)]);
    assert_eq!(Tokenizer::load(gap.path()).unwrap().vocabulary_size(), 100);
    // A special token of the vocabulary is not divided.
    let special = folder(&[("special_tokens_map.json", r#"{"additional_special_tokens": ["'"]}"#)]);
    assert_eq!(encode(special.path(), "cat's"), [2, 8, 16, 17, 3]);
    let unnumbered = folder(&[("special_tokens_map.json", r#"{"additional_special_tokens": ["[X]"]}"#)]);
    assert_eq!(encode(unnumbered.path(), "the[X]"), [2, 7, 25, 3]);
}

#[test]
fn added_tokens_of_a_byte_level_tokenizer_and_of_a_tokenizer_json_count_too() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "vocab.json", r#"{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}"#);
    write(&folder, "merges.txt", "#version: 0.2\na b\n");
    write(&folder, "added_tokens.json", r#"{"<pad>": 4}"#);
    write(&folder, "special_tokens_map.json", r#"{"pad_token": "<pad>"}"#);
    assert_eq!(encode(folder.path(), "ab<pad>a"), [2, 4, 0]);
    assert_eq!(
        names(folder.path()),
        ["vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json"]
    );

    let whole = tempfile::tempdir().unwrap();
    let json = r#"{"version": "1.0", "added_tokens": [{"id": 2, "content": "[A]", "single_word": false,
        "lstrip": false, "rstrip": false, "normalized": false, "special": true}], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "unk_token": "u", "vocab": {"u": 0, "x": 1}}}"#;
    write(&whole, "tokenizer.json", json);
    write(&whole, "added_tokens.json", r#"{"[A]": 2}"#);
    assert_eq!(names(whole.path()), ["tokenizer.json"], "what adds nothing changes no id");
    assert_eq!(encode(whole.path(), "x[A]"), [1, 2]);
    write(&whole, "added_tokens.json", r#"{"[A]": 2, "[B]": 3}"#);
    assert_eq!(names(whole.path()).len(), 2);
    assert_eq!(encode(whole.path(), "x[A][B]"), [1, 2, 3]);
}

#[test]
fn files_that_change_nothing_are_none_of_the_tokenizers() {
    let usual = r#"{"cls_token": "[CLS]", "mask_token": "[MASK]", "pad_token": {"content": "[PAD]"}}"#;
    let folder = folder(&[("special_tokens_map.json", usual), ("added_tokens.json", "{}")]);
    assert_eq!(names(folder.path()), ["vocab.txt"]);
    assert_eq!(encode(folder.path(), "the [MASK]"), [2, 7, 4, 3]);
}

#[test]
fn ids_that_contradict_the_vocabulary_are_told() {
    for (added, said) in [
        (r#"{"[E1]": 5}"#, "`[E1]` is declared with id 5, which `hello` has"),
        (r#"{"hello": 30}"#, "`hello` is declared with id 30, and has 5"),
        ("[", "added_tokens.json: "),
    ] {
        let error = Tokenizer::load(folder(&[("added_tokens.json", added)]).path()).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn other_tokenizers_are_refused_by_name_and_never_replaced() {
    let refused = |beside: &[(&str, &str)], said: &str| {
        let folder = folder(beside);
        let error = Tokenizer::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(said), "{beside:?}: {error}");
    };
    let japanese = r#"{"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"}"#;
    refused(&[("tokenizer_config.json", japanese)], "BertJapaneseTokenizer");
    // Old folders say it in the model's configuration.
    refused(&[("config.json", japanese)], "BertJapaneseTokenizer");
    for (settings, said) in [
        (
            r#"{"tokenizer_class": "BertTokenizer", "word_tokenizer_type": "mecab"}"#,
            "`word_tokenizer_type` is `mecab`",
        ),
        (r#"{"subword_tokenizer_type": "character"}"#, "`subword_tokenizer_type` is `character`"),
        (r#"{"do_basic_tokenize": false}"#, "`do_basic_tokenize` is `false`"),
        (r#"{"tokenizer_class": "BertweetTokenizer"}"#, "BertweetTokenizer"),
        (r#"{"tokenizer_class": "MPNetTokenizer"}"#, "MPNetTokenizer"),
    ] {
        refused(&[("tokenizer_config.json", settings)], said);
    }
    refused(&[("bpe.codes", "")], "`bpe.codes`");
    refused(&[("spiece.model", "")], "`spiece.model`");
    for class in ["BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer"] {
        let settings = format!(r#"{{"tokenizer_class": "{class}", "word_tokenizer_type": "basic"}}"#);
        assert_eq!(encode(folder(&[("tokenizer_config.json", &settings)]).path(), "cat"), [2, 8, 3]);
    }

    let bare = tempfile::tempdir().unwrap();
    write(&bare, "sentencepiece.bpe.model", "");
    let error = files(bare.path()).unwrap_err().to_string();
    assert!(error.contains("`sentencepiece.bpe.model`") && error.contains("save_pretrained"), "{error}");
    let model = bare.path().join("sentencepiece.bpe.model");
    assert!(Tokenizer::load(&model).unwrap_err().to_string().contains("save_pretrained"));

    write(&bare, "vocab.json", r#"{"a": 0}"#);
    write(&bare, "merges.txt", "#version: 0.2\n");
    write(&bare, "tokenizer_config.json", r#"{"tokenizer_class": "BartTokenizer"}"#);
    assert!(Tokenizer::load(bare.path()).unwrap_err().to_string().contains("BartTokenizer"));
}
