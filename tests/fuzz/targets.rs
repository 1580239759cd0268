//! The readers of sweep files, journals, weights and tokenizers, and sound inputs to begin with.

use std::fs;
use std::path::Path;

use lorasweep::hub::{Hub, Settings};
use lorasweep::model::weights;
use lorasweep::record::checkpoint;
use lorasweep::record::journal::{self, Journal};
use lorasweep::record::ledger::Ledger;
use lorasweep::spec::{self, Downloads, Intent, Overrides};
use lorasweep::tokenizer::{self, Tokenizer};

use crate::{BETWEEN, Target};

fn fixture(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)).unwrap()
}

const SWEEP: &str = "\
name: fuzzed
task: {kind: classification, train: train.csv, text: [text], label: label, max_length: 16, rows: 8}
models:
  small: &small {architecture: bert, layers: 1, hidden: 8, heads: 2, intermediate: 16, tokenizer: vocab.txt}
  other: {architecture: gpt2, layers: 2, hidden: 8, heads: 2, tokenizer: vocab.txt}
grid:
  - {method: scratch, model: small, learning_rate: [1e-3, 2e-3, 5e-3], seed: [1, 2], zip: [[learning_rate, seed]]}
  - {method: [lora, full], model: [small], rank: [4, 8], alpha: 16, dropout: 0.1, exclude: [{rank: 4}]}
kfold: {k: 2, stratified: true, seed: 1}
training: {epochs: 1, batch_size: 4, seed: 1, learning_rate: 1e-3, schedule: cosine, warmup: 0.1, keep: best}
devices: cpu
profiles:
  tiny: {task.rows: 4, training.epochs: 2}
";

#[test]
fn sweep() {
    let words = &[
        "&a",
        "*a",
        "<<: *small",
        "!!str",
        "? ",
        "- ",
        "|\n",
        "---\n",
        "%YAML 1.2\n",
        "name",
        "grid",
        "zip",
        "exclude",
        "tasks",
        "models",
        "profiles",
        "language_modelling",
        "question_answering",
        "lora",
        "base",
        "targets",
        "modules_to_save",
        "train.csv",
        "*.csv",
        "owner/name@main:train",
        "split: {fraction: 0.5}",
        "labels",
        "columns",
        "cuda:99",
        "../..",
        "\u{feff}",
        "\u{2028}",
        "0x10",
        ".inf",
        "1_000",
        "~",
    ];
    let seeds = vec![SWEEP.as_bytes().to_vec()];
    Target { name: "sweep", files: &["sweep.yaml"], seeds, words, read: read_sweep }.run();
}

fn read_sweep(folder: &Path) {
    let rows: String = (0..12).map(|i| format!("{}\n", ["the cat,cat", "a dog,dog"][i % 2])).collect();
    fs::write(folder.join("train.csv"), format!("text,label\n{rows}")).unwrap();
    fs::write(folder.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\na\ncat\ndog\n").unwrap();
    let endpoint = "http://127.0.0.1:9".to_owned();
    let hub = Hub::new(Settings { cache: folder.join("hub"), endpoint, token: None, offline: true });
    let downloads = Downloads { hub: &hub, progress: &|_| {} };
    let profile = Overrides { profile: Some("tiny".to_owned()), ..Overrides::default() };
    for overrides in [Overrides::default(), profile] {
        match spec::load(&folder.join("sweep.yaml"), &overrides, Intent::Plan, downloads) {
            Ok(sweep) => assert!(!sweep.trials().is_empty()),
            Err(errors) => assert!(!errors.to_string().is_empty()),
        }
    }
}

/// Entries as runs write them, one a line.
const ENTRIES: &str = r#"{"at":"2026-01-01T00:00:00Z","what":{"kind":"run_started","pid":7,"host":"h","version":"0.1.0","typed":{"folder":"/a","words":["run","b"]},"settings":{"slots":4,"fail_fast":false,"attempts":3,"pause_s":2.0,"retry_failed":true}}}
{"at":"2026-01-01T00:00:01Z","what":{"kind":"job_launching","key":"train-00000000000000ab","attempt":1,"placement":{"device":{"kind":"cpu","slot":0},"cores":[0]},"trials":["00000000000000ab"]}}
{"at":"2026-01-01T00:00:02Z","what":{"kind":"job_started","key":"train-00000000000000ab","pid":8}}
{"at":"2026-01-01T00:00:03Z","what":{"kind":"trial_failed","trial":"00000000000000ab","failure":{"kind":"diverged","step":3}}}
{"at":"2026-01-01T00:00:04Z","what":{"kind":"job_failed","key":"train-00000000000000ab","failure":{"kind":"out_of_memory"}}}
{"at":"2026-01-01T00:00:05Z","what":{"kind":"stop_requested","force":false}}
{"at":"2026-01-01T00:00:05Z","what":{"kind":"run_ended"}}"#;

/// A journal whose frames are right, whatever is in them.
fn framed(lines: &[u8]) -> Vec<u8> {
    let mut journal = b"lorasweep journal 1\n".to_vec();
    for payload in lines.split(|byte| *byte == b'\n') {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        let sum = crc32fast::hash(&[&length, payload].concat()).to_le_bytes();
        journal.extend([&length, &sum, payload].concat());
    }
    journal
}

#[test]
fn journal_bytes() {
    let seeds = vec![framed(ENTRIES.as_bytes())];
    let words = &["lorasweep journal 2\n", "{\"at\":"];
    Target { name: "journal_bytes", files: &["journal"], seeds, words, read: read_journal }.run();
}

#[test]
fn journal_entries() {
    let seeds = vec![ENTRIES.as_bytes().to_vec()];
    let words =
        &["trial_finished", "job_interrupted", "job_finished", "host", "cuda", "+275760-09-13T00:00:00Z"];
    let read = |folder: &Path| {
        let lines = fs::read(folder.join("entries")).unwrap();
        fs::write(folder.join("journal"), framed(&lines)).unwrap();
        read_journal(folder);
    };
    Target { name: "journal_entries", files: &["entries"], seeds, words, read }.run();
}

/// What was replayed can be gone on with, and is replayed again.
fn read_journal(folder: &Path) {
    let path = folder.join("journal");
    let Ok(replay) = journal::read(&path) else { return };
    assert_eq!(replay.dropped().is_some(), replay.dropped_bytes > 0);
    drop(Ledger::replay(&replay.events));
    let (mut journal, opened) = Journal::open(&path).unwrap();
    opened.aside.iter().for_each(|aside| fs::remove_file(aside).unwrap());
    let Some(first) = replay.events.first() else { return };
    journal.append(first).unwrap();
    let again = journal::read(&path).unwrap();
    assert_eq!(again.events.split_last().unwrap(), (first, &replay.events[..]));
    assert_eq!(again.dropped_bytes, 0);
}

#[test]
fn safetensors() {
    let header = br#"{"__metadata__":{"state":"{}","checksum":"0"},"one":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]},"two":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}"#;
    let small = [&(header.len() as u64).to_le_bytes()[..], header, b"abcdefgh"].concat();
    let seeds = vec![small, fixture("bert/model.safetensors")];
    let words = &["\"dtype\":\"F64\"", "\"shape\":[0]", "data_offsets", "BF16", "F4", "BOOL", "__metadata__"];
    let read = |folder: &Path| {
        drop(checkpoint::verify(&folder.join("model.safetensors"), "00000000000000ab".parse().unwrap()));
        read_weights(folder);
    };
    Target { name: "safetensors", files: &["model.safetensors"], seeds, words, read }.run();
}

#[test]
fn pickled_weights() {
    let seeds = vec![fixture("bert/pytorch_model.bin")];
    let words = &[
        "ctorch\nFloatStorage\n",
        "cos\nsystem\n",
        "PK\u{1}\u{2}",
        "PK\u{3}\u{4}",
        "q\0",
        "h\0",
        "}(",
        "tR",
    ];
    Target { name: "pickled_weights", files: &["pytorch_model.bin"], seeds, words, read: read_weights }.run();
}

#[test]
fn streamed_weights() {
    let words = &["ctorch\nHalfStorage\n", "cos\nsystem\n", "q\0", "h\0", "}(", "tR", "\u{1}\0\0\0\0\0\0\0"];
    let seeds = vec![fixture("stream.bin")];
    Target { name: "streamed_weights", files: &["pytorch_model.bin"], seeds, words, read: read_weights }
        .run();
}

/// Looks at every byte of what can be read.
fn read_weights(folder: &Path) {
    if let Ok(found) = weights::read(folder) {
        for name in found.names() {
            let tensor = found.tensor(name).unwrap();
            assert_eq!(tensor.bytes.len(), tensor.shape.iter().product::<usize>() * tensor.kind.width());
            drop(tensor.check_finite());
        }
    }
}

const TOKENIZER: &str = r###"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":0,"content":"[UNK]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],"normalizer":{"type":"Sequence","normalizers":[{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{L}+|\\s+(?!\\S)"},"behavior":"Isolated","invert":false},{"type":"BertPreTokenizer"}]},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]}}},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"[UNK]":0,"[CLS]":1,"the":2,"cat":3,"##s":4}}}"###;

#[test]
fn tokenizer_json() {
    let bytes = r#"{"version":"1.0","added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},"post_processor":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true},"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","dropout":null,"unk_token":null,"fuse_unk":false,"byte_fallback":false,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}"#;
    let unigram = r#"{"version":"1.0","added_tokens":[],"normalizer":{"type":"NFKC"},"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"always","split":true},"post_processor":{"type":"RobertaProcessing","sep":["b",1],"cls":["a",0],"trim_offsets":true,"add_prefix_space":true},"decoder":{"type":"Metaspace","replacement":"_","prepend_scheme":"always","split":true},"model":{"type":"Unigram","unk_id":0,"vocab":[["a",0.0],["b",-1.0],["ab",-2.5]],"byte_fallback":false}}"#;
    let seeds = [TOKENIZER, bytes, unigram].map(|text| text.as_bytes().to_vec()).to_vec();
    let words = &[
        "\"type\":\"BPE\"",
        "\"type\":\"WordLevel\"",
        "\"type\":\"Unigram\"",
        "\"type\":\"Digits\"",
        "\"type\":\"Strip\"",
        "\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"",
        "\"type\":\"Fuse\"",
        "\"type\":\"CTC\"",
        "(a+)+$",
        "\"truncation\":{\"direction\":\"Right\",\"max_length\":0,\"strategy\":\"LongestFirst\",\"stride\":9}",
        "\"padding\":{\"strategy\":{\"Fixed\":9},\"direction\":\"Left\",\"pad_to_multiple_of\":0,\"pad_id\":0,\"pad_type_id\":0,\"pad_token\":\"\"}",
        "\"MergedWithNext\"",
        "\"behavior\":\"Removed\"",
        "true",
        "false",
        "\\u0000",
        "\\ud800",
        "\"\"",
        "{}",
        "[]",
    ];
    let files = &["tokenizer.json", "tokenizer_config.json"];
    Target { name: "tokenizer_json", files, seeds, words, read: read_tokenizer }.run();
}

#[test]
fn tokenizer_words() {
    let seeds = vec![
        [b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n##s\n", BETWEEN, br#"{"do_lower_case": true}"#]
            .concat(),
    ];
    let words = &[
        "\n##",
        "[UNK]\n",
        "\n\n",
        "strip_accents",
        "eos_token",
        "{\"content\":\"the\"}",
        "\u{301}",
        "\u{1}",
    ];
    let files = &["vocab.txt", "tokenizer_config.json"];
    Target { name: "tokenizer_words", files, seeds, words, read: read_tokenizer }.run();
}

#[test]
fn tokenizer_bytes() {
    let vocabulary = br#"{"a": 0, "b": 1, "ab": 2, "c": 4, "abc": 7, "<|endoftext|>": 3}"#;
    let settings = br#"{"add_prefix_space": true, "eos_token": "<|endoftext|>"}"#;
    let seeds = vec![[&vocabulary[..], BETWEEN, b"#version: 0.2\na b\nab c\n", BETWEEN, settings].concat()];
    let words = &["a b\n", "\nb a", "#version", "\u{120}", "<|endoftext|>", "\n \n", "a  b"];
    let files = &["vocab.json", "merges.txt", "tokenizer_config.json"];
    Target { name: "tokenizer_bytes", files, seeds, words, read: read_tokenizer }.run();
}

fn read_tokenizer(folder: &Path) {
    drop(tokenizer::files(folder).unwrap());
    let Ok(tokenizer) = Tokenizer::load(folder) else { return };
    let texts = ["the cats", "", " ab\u{301}c  東京 \u{1f600}\0[UNK]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"]
        .map(str::to_owned);
    for pairs in [None, Some(&texts[..])] {
        if let Ok(rows) = tokenizer.encode_rows(&texts, pairs, 16) {
            assert!(rows.iter().all(|row| row.tokens.len() <= 16 && row.second as usize <= row.tokens.len()));
        }
    }
    drop(tokenizer.room(8, true));
    for text in &texts {
        if let Ok(ends) = tokenizer.token_ends(text) {
            assert!(ends.iter().all(|end| text.is_char_boundary(*end)));
        }
    }
    if let Ok(rows) = tokenizer.encode_plain(&texts) {
        rows.iter().for_each(|row| drop(tokenizer.decode(row)));
    }
    drop(tokenizer.decode(&[0, 1, 2, 3, u32::MAX]));
    assert!(tokenizer.end_of_text().is_none_or(|end| (end as usize) < tokenizer.vocabulary_size()));
}
