//! What is trained in these tests: every kind of task, each with a tiny model that reads it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lorasweep::families::{Architecture, BertConfig, Gpt2Config, ModelSpec, Weights};
use lorasweep::tasks::{
    DataFile, EncodedRow, LanguageModelling, MultiLabel, Objective, QuestionAnswering, Regression, RowTarget,
    Tagging, Task, TextLayout, Threshold,
};
use lorasweep::tokenizer::Sequence;
use lorasweep::values::{
    Configuration, ContentHash, Keep, Lora, Method, Precision, Schedule, Splitting, Training, Trial,
};

pub(crate) const TRAIN_ROWS: u32 = 40;
pub(crate) const TEST_ROWS: u32 = 12;

/// The token that ends an answer: the last of the fixture's vocabulary.
pub(crate) const END: u32 = 59;

/// Longest generated answer.
pub(crate) const MAX_NEW: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Texts with one of three labels, for BERT.
    Labels,
    /// Running text, for GPT-2.
    Language,
    /// Questions with answers, for GPT-2.
    Answers,
    /// Texts with a number, for BERT.
    Numbers,
    /// Texts with any of three labels, for BERT.
    Sets,
    /// Texts with a tag for most of their words, for BERT.
    Tags,
}

impl Subject {
    pub(crate) fn task(self) -> Task {
        let content = ContentHash::of_bytes(b"rows");
        let file = |rows: u32| DataFile {
            path: PathBuf::from("rows.csv"),
            content,
            rows: rows as usize,
            rows_read: None,
            text_bytes: 0,
        };
        let train = file(TRAIN_ROWS);
        let task = match self {
            Self::Labels => Task::classification(train, "text", "label", &["a", "b", "c"]),
            Self::Language => {
                let objective = LanguageModelling { text: Vec::new(), layout: TextLayout::Documents };
                Task::new(Task::ONLY, Objective::LanguageModelling(objective), train)
            }
            Self::Answers => {
                let template = "{context}{question}".to_owned();
                let objective = QuestionAnswering { template, max_new_tokens: MAX_NEW, unanswerable: None };
                Task::new(Task::ONLY, Objective::QuestionAnswering(objective), train)
            }
            Self::Numbers => Task::new(Task::ONLY, Objective::Regression(Regression::EMPTY), train),
            Self::Sets => {
                let labels = ["a", "b", "c"].map(str::to_owned).to_vec();
                let objective = MultiLabel { labels, threshold: Threshold::Validation, ..MultiLabel::EMPTY };
                Task::new(Task::ONLY, Objective::MultiLabel(objective), train)
            }
            Self::Tags => {
                let labels = ["O", "B-X", "I-X"].map(str::to_owned).to_vec();
                Task::new(Task::ONLY, Objective::Tagging(Tagging { labels, ..Tagging::EMPTY }), train)
            }
        };
        Task { test: Some(file(TEST_ROWS)), max_length: 24, sample_seed: 1, ..task }
    }

    /// A transformers folder's model, with dropout. Its tokenizer is where [`words`] was written.
    pub(crate) fn model(self, tokenizer: &Path) -> ModelSpec {
        let family = match self {
            Self::Labels | Self::Numbers | Self::Sets | Self::Tags => "bert",
            Self::Language | Self::Answers => "gpt2",
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(family);
        let config = std::fs::read(path.join("config.json")).unwrap();
        let architecture = match self {
            Self::Labels | Self::Numbers | Self::Sets | Self::Tags => Architecture::Bert(BertConfig {
                hidden_dropout_prob: 0.1,
                attention_probs_dropout_prob: 0.1,
                ..serde_json::from_slice(&config).unwrap()
            }),
            Self::Language | Self::Answers => Architecture::Gpt2(Gpt2Config {
                resid_pdrop: 0.1,
                embd_pdrop: 0.1,
                attn_pdrop: 0.1,
                ..serde_json::from_slice(&config).unwrap()
            }),
        };
        let content = ContentHash::of_bytes(b"tiny");
        ModelSpec {
            name: "tiny".to_owned(),
            weights: Weights::Folder { path, content },
            tokenizer: tokenizer.to_path_buf(),
            tokenizer_content: content,
            parts: lorasweep::families::Parts::default(),
            architecture,
        }
    }

    /// Row number `row`. Of labelled rows a class has more of its own tokens
    /// than of others; the answer to a question is its first word, twice.
    pub(crate) fn row(self, row: u32) -> EncodedRow {
        let (class, length) = (row % 3, 4 + row * 7 % 13);
        let token = |i: u32| 3 + (class * 19 + (row + i) * (i % 3) * 5 + i) % 55;
        let mut tokens: Vec<u32> = (0..length).map(token).collect();
        let mut answers = Vec::new();
        match self {
            Self::Labels | Self::Language | Self::Numbers | Self::Sets | Self::Tags => {}
            Self::Answers => {
                let word = tokens[0];
                tokens.extend([word, word, END]);
                answers = vec![format!("w{word} w{word}"), format!("the w{word}.")];
            }
        }
        let target = match self {
            Self::Labels => RowTarget::Class(class),
            Self::Language | Self::Answers => RowTarget::Class(0),
            Self::Numbers => RowTarget::Number(f64::from(class) + f64::from(row) / 10.0),
            Self::Sets => RowTarget::List((0..3).filter(|label| (row >> label) % 2 == 1).collect()),
            // Every other token begins a word; the last word was cut off.
            Self::Tags => RowTarget::List(
                (1..length)
                    .step_by(2)
                    .flat_map(|t| [tokens[t as usize] % 3, t])
                    .chain([1, u32::MAX])
                    .collect(),
            ),
        };
        EncodedRow { sequence: Sequence { tokens, second: length }, target, answers }
    }

    pub(crate) fn lora(self, rank: usize, alpha: f64, dropout: f64) -> Method {
        let targets: &[&str] = match self {
            Self::Labels | Self::Numbers | Self::Sets | Self::Tags => &["query", "value"],
            Self::Language | Self::Answers => &["c_attn", "c_proj"],
        };
        Method::Lora(Lora { dropout, ..Lora::new(targets, rank, alpha) })
    }

    pub(crate) fn trial(self, method: Method, training: Training) -> Trial {
        let configuration = Configuration::new(&self.task(), &self.model(Path::new("")), method, training);
        Trial::new(&Arc::new(configuration), Splitting::KFold { k: 4, stratified: true, seed: 1 }, 0)
    }

    /// The same trials in bf16.
    pub(crate) fn in_bf16(self, trials: Vec<Trial>) -> Vec<Trial> {
        let rounded = |trial: Trial| {
            let Configuration { method, training, .. } = (*trial.configuration).clone();
            self.trial(method, Training { precision: Precision::Bf16, ..training })
        };
        trials.into_iter().map(rounded).collect()
    }

    /// Three adapters that share nothing but the batch shape, and are done after 4, 10 and 8 steps.
    /// Trials that see the same batches, as those of a grid do, but for the last, which ends early.
    pub(crate) fn grid(self) -> Vec<Trial> {
        let trial = |rank, alpha, dropout, learning_rate| {
            self.trial(self.lora(rank, alpha, dropout), Training { learning_rate, ..training() })
        };
        let smoothing = if self == Self::Sets { 0.0 } else { 0.2 };
        let short = Training { epochs: 1.5, label_smoothing: smoothing, ..training() };
        vec![
            trial(2, 4.0, 0.2, 1e-3),
            trial(8, 32.0, 0.2, 3e-3),
            trial(4, 8.0, 0.0, 1e-2),
            self.trial(self.lora(4, 16.0, 0.2), short),
        ]
    }

    pub(crate) fn unlike_adapters(self) -> Vec<Trial> {
        let last = Training { learning_rate: 1e-2, epochs: 2.0, clip_norm: None, seed: 9, ..training() };
        let smoothing = if self == Self::Sets { 0.0 } else { 0.1 };
        let smoothed = Training { weight_decay: 0.0, label_smoothing: smoothing, ..training() };
        vec![
            self.trial(
                self.lora(2, 4.0, 0.0),
                Training { learning_rate: 1e-3, epochs: 1.0, seed: 7, ..training() },
            ),
            self.trial(self.lora(8, 32.0, 0.3), smoothed),
            self.trial(self.lora(4, 8.0, 0.1), last),
        ]
    }
}

/// 30 rows train: 8 batches, 4 steps an epoch, 10 steps in all.
pub(crate) fn training() -> Training {
    Training {
        learning_rate: 3e-3,
        epochs: 2.5,
        batch_size: 4,
        accumulation: 2,
        schedule: Schedule::Cosine,
        warmup: 0.2,
        weight_decay: 0.01,
        clip_norm: Some(1.0),
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        evaluate_every: Some(3),
        keep: Keep::Last,
        seed: 1,
        ..Training::default()
    }
}

/// A tokenizer whose token n is the word `wn`, and the last one the end of a text.
pub(crate) fn words() -> String {
    let words: Vec<String> = (0..END).map(|n| format!("\"w{n}\": {n}")).collect();
    let end = format!("\"<|endoftext|>\": {END}");
    format!(
        r#"{{"version": "1.0", "truncation": null, "padding": null, "normalizer": null,
            "pre_tokenizer": {{"type": "Whitespace"}}, "post_processor": null, "decoder": null,
            "added_tokens": [{{"id": {END}, "content": "<|endoftext|>", "special": true, "normalized": false,
                               "single_word": false, "lstrip": false, "rstrip": false}}],
            "model": {{"type": "WordLevel", "unk_token": "w0", "vocab": {{{}, {end}}}}}}}"#,
        words.join(", ")
    )
}
