//! Token ids as transformers gives them: recorded for two tiny vocabularies, and known for real ones.

use std::fs;
use std::path::Path;

use lorasweep::tokenizer::{Sequence, Tokenizer, files};
use serde_json::Value;

use super::support::{fixture, names, shared, write};

fn recorded() -> Value {
    let text = fs::read(fixture("tokens.json")).expect("the fixture is there");
    serde_json::from_slice(&text).expect("the fixture is sound")
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("the fixture is sound")
}

fn encode(path: &Path, text: &str) -> Vec<u32> {
    let tokenizer = Tokenizer::load(path).expect("the tokenizer is sound");
    tokenizer.encode_rows(&[text.to_owned()], None, 128).expect("the text is sound").remove(0).tokens
}

#[test]
fn ids_pairs_and_truncation_are_those_of_transformers() {
    let recorded = recorded();
    let texts: Vec<String> = read(&recorded["texts"]);
    let (first, second): (Vec<String>, Vec<String>) =
        read::<Vec<(String, String)>>(&recorded["pair_texts"]).into_iter().unzip();
    for name in ["bert", "gpt2", "roberta"] {
        let tokenizer = Tokenizer::load(&fixture(name)).unwrap();
        let known = &recorded[name];
        assert_eq!(tokenizer.encode_plain(&texts).unwrap(), read::<Vec<Vec<u32>>>(&known["plain"]), "{name}");
        for cut in known["cut"].as_array().unwrap() {
            let rows = tokenizer.encode_rows(&texts, None, read(&cut["max_length"])).unwrap();
            let tokens: Vec<Vec<u32>> = rows.iter().map(|row| row.tokens.clone()).collect();
            assert_eq!(tokens, read::<Vec<Vec<u32>>>(&cut["ids"]), "{name} {}", cut["max_length"]);
            assert!(rows.iter().all(|row| row.second as usize == row.tokens.len()));
        }
        for cut in known["pairs"].as_array().unwrap() {
            let rows = tokenizer.encode_rows(&first, Some(&second), read(&cut["max_length"])).unwrap();
            let types: Vec<Vec<u32>> = read(&cut["types"]);
            for ((row, ids), types) in rows.iter().zip(read::<Vec<Vec<u32>>>(&cut["ids"])).zip(types) {
                assert_eq!(row.tokens, ids, "{name} {}", cut["max_length"]);
                let second = types.iter().filter(|kind| **kind == 0).count();
                assert_eq!(row.second as usize, second, "{name} {}", cut["max_length"]);
            }
        }
    }
}

#[test]
fn gpt2_ids_become_text_again() {
    let known = &recorded()["gpt2"];
    let tokenizer = Tokenizer::load(&fixture("gpt2")).unwrap();
    assert_eq!(tokenizer.end_of_text(), Some(read(&known["end_of_text"])));
    let plain: Vec<Vec<u32>> = read(&known["plain"]);
    let decoded: Vec<String> = plain.iter().map(|ids| tokenizer.decode(ids).unwrap()).collect();
    assert_eq!(decoded, read::<Vec<String>>(&known["decoded"]));
    assert_eq!(Tokenizer::load(&fixture("bert")).unwrap().end_of_text(), None);
    assert_eq!(
        Tokenizer::load(&fixture("bert")).unwrap().decode(&[2, 5, 6, 20, 18, 3]).unwrap(),
        "hello worlds!"
    );
}

#[test]
fn a_text_can_be_cut_behind_each_of_its_tokens() {
    let tokenizer = Tokenizer::load(&fixture("gpt2")).unwrap();
    let text = "the cat 東京\u{1f600} हिन्दी sat";
    let (ends, ids) =
        (tokenizer.token_ends(text).unwrap(), tokenizer.encode_plain(&[text]).unwrap().remove(0));
    assert_eq!((ends.len(), ends.last()), (ids.len(), Some(&text.len())));
    assert!(ends.is_sorted() && ends.iter().all(|end| text.is_char_boundary(*end)));
}

#[test]
fn long_texts_are_cut() {
    for name in ["bert", "gpt2"] {
        let tokenizer = Tokenizer::load(&fixture(name)).unwrap();
        for long in ["the cat 東 ".repeat(10_000), "x".repeat(100_000), "東".repeat(100_000)] {
            let row = tokenizer.encode_rows(&names(&["the cat"]), Some(&[long]), 64).unwrap().remove(0);
            assert!(row.tokens.len() <= 64 && (row.second as usize) < row.tokens.len());
        }
    }
}

#[test]
fn special_tokens_must_leave_room() {
    let tokenizer = Tokenizer::load(&fixture("bert")).unwrap();
    assert_eq!((tokenizer.room(3, false).unwrap(), tokenizer.room(4, true).unwrap()), (1, 1));
    let said = tokenizer.room(3, true).unwrap_err().to_string();
    assert!(said.ends_with("max_length 3 leaves no room for text besides 3 special tokens"), "{said}");
    assert!(tokenizer.encode_rows(&names(&["a"]), Some(&names(&["b"])), 3).is_err());
}

#[test]
fn the_settings_beside_a_vocabulary_count() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "vocab.txt", fs::read(fixture("bert/vocab.txt")).unwrap());
    assert_eq!(encode(folder.path(), "HELLO"), [2, 5, 3]);
    let settings = "{\"do_lower_case\": false, \"eos_token\": {\"content\": \"[SEP]\"}}";
    write(&folder, "tokenizer_config.json", settings);
    assert_eq!(encode(folder.path(), "HELLO hello"), [2, 1, 5, 3]);
    assert_eq!(files(folder.path()).unwrap().len(), 2);
    assert_eq!(Tokenizer::load(folder.path()).unwrap().end_of_text(), Some(3));
    write(&folder, "tokenizer_config.json", "{");
    let said = Tokenizer::load(folder.path()).unwrap_err().to_string();
    assert!(said.contains("tokenizer_config.json: "), "{said}");
}

#[test]
fn broken_tokenizers_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let says = |words: &str| {
        let said = Tokenizer::load(folder.path()).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    };
    says("neither a tokenizer.json nor a vocab.txt, nor a vocab.json with merges.txt");
    write(&folder, "vocab.json", "{\"a\": 0, \"b\": 1}");
    says("No such file");
    write(&folder, "merges.txt", "#version: 0.2\na b\n");
    says("merges.txt makes the token `ab`, and vocab.json has none such");
    write(&folder, "vocab.txt", "[PAD]\n");
    says("the vocabulary has no token [SEP]");
    write(&folder, "tokenizer.json", "{\"version\": \"1.0\"");
    says("EOF while parsing");
}

#[test]
fn an_embedding_has_room_for_the_highest_id_of_a_vocabulary_with_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let model = r#"{"type": "WordLevel", "vocab": {"[UNK]": 0, "hello": 9}, "unk_token": "[UNK]"}"#;
    write(
        &folder,
        "tokenizer.json",
        format!(r#"{{"version": "1.0", "added_tokens": [], "model": {model}}}"#),
    );
    assert_eq!(encode(folder.path(), "hello"), [9]);
    assert_eq!(Tokenizer::load(folder.path()).unwrap().vocabulary_size(), 10);
}

#[test]
fn ids_are_those_of_bert_base_uncased() {
    let Some(folder) = shared("tokenizers/bert-base-uncased") else { return };
    let texts = names(&["Hello world!", "", "naïve \u{1f600} 東京 [MASK] unaffable"]);
    let [by_json, by_vocabulary] = ["tokenizer.json", "vocab.txt"].map(|file| {
        let tokenizer = Tokenizer::load(&folder.join(file)).unwrap();
        assert_eq!(tokenizer.vocabulary_size(), 30_522);
        tokenizer.encode_rows(&texts, None, 128).unwrap()
    });
    assert_eq!(by_json[0].tokens, [101, 7592, 2088, 999, 102]);
    assert_eq!(by_json[1].tokens, [101, 102]);
    assert_eq!(by_json, by_vocabulary);
    let pair = Tokenizer::load(&folder).unwrap().encode_rows(&texts[..1], Some(&texts[..1]), 7).unwrap();
    let tokens = vec![101, 7592, 2088, 102, 7592, 2088, 102];
    assert_eq!(pair, [Sequence { tokens, second: 4 }]);
}

#[test]
fn ids_are_those_of_gpt2() {
    let Some(folder) = shared("tokenizers/gpt2") else { return };
    let texts = names(&["Hello world!\n\nIt's  naïve \u{1f600} 東京", "<|endoftext|>"]);
    let [by_json, by_vocabulary] = ["tokenizer.json", "vocab.json"].map(|file| {
        let tokenizer = Tokenizer::load(&folder.join(file)).unwrap();
        assert_eq!((tokenizer.vocabulary_size(), tokenizer.end_of_text()), (50_257, Some(50_256)));
        let ids = tokenizer.encode_plain(&texts).unwrap();
        assert_eq!(tokenizer.decode(&ids[0]).unwrap(), texts[0]);
        ids
    });
    assert_eq!(by_json, by_vocabulary);
    assert_eq!(by_json[0][..5], [15496, 995, 0, 198, 198]);
    assert_eq!(by_json[1], [50_256]);
}
