//! A folder with a sweep's files: data of every kind of task, a BERT and tokenizers.

use std::fs;
use std::path::Path;

use lorasweep::families::Architecture;
use lorasweep::hub::{Hub, Settings};
use lorasweep::spec::{self, Downloads, Intent, Overrides, SpecErrors};
use lorasweep::sweep::SweepSpec;
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32}"#;

pub(crate) struct Folder(TempDir);

impl Folder {
    /// Twelve rows to train and four to test, four lines of text, two questions; `tiny` is a BERT of
    /// zeros, `bytes` a tokenizer of GPT-2's kind.
    pub(crate) fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        let row = |i: usize| format!("row {i},{}\n", ["no", "yes"][i % 2]);
        let rows = |n: usize| format!("text,label\n{}", (0..n).map(row).collect::<String>());
        folder.write("train.csv", &rows(12));
        folder.write("test.csv", &rows(4));
        folder.write("book.txt", "Call me.\nSome years ago.\nNever mind.\nHow long.\n");
        folder.write("squad.json", SQUAD);
        folder.write("tiny/config.json", CONFIG);
        folder.write("tiny/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nrow\ntext\n");
        folder.write("bytes/vocab.json", r#"{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}"#);
        folder.write("bytes/merges.txt", "#version: 0.2\na b\n");
        folder.write_weights("tiny");
        folder
    }

    /// Zeros for the model whose `config.json` is in a folder, as transformers saves a base model.
    pub(crate) fn write_weights(&self, model: &str) {
        let config = self.read(&format!("{model}/config.json"));
        let architecture = Architecture::from_config(config.as_bytes()).unwrap();
        let tensors = architecture.tensors();
        let zeros = vec![0; tensors.iter().map(|tensor| 4 * tensor.numel()).max().unwrap()];
        let views = tensors.iter().map(|tensor| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &zeros[..4 * tensor.numel()]);
            (tensor.name.trim_start_matches(architecture.base_prefix()), view.unwrap())
        });
        let file = self.0.path().join(model).join("model.safetensors");
        fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    pub(crate) fn load(&self, sweep: &str) -> Result<SweepSpec, SpecErrors> {
        self.load_as(sweep, &Overrides::default(), Intent::Run)
    }

    /// Loads a sweep with a hub that is offline and keeps its files in `hub`.
    pub(crate) fn load_as(
        &self,
        sweep: &str,
        overrides: &Overrides,
        intent: Intent,
    ) -> Result<SweepSpec, SpecErrors> {
        self.write("demo.yaml", sweep);
        self.load_file(overrides, intent)
    }

    /// Loads `demo.yaml` as it is.
    pub(crate) fn load_file(&self, overrides: &Overrides, intent: Intent) -> Result<SweepSpec, SpecErrors> {
        let cache = self.0.path().join("hub");
        let endpoint = "http://127.0.0.1:9".to_owned();
        let hub = Hub::new(Settings { cache, endpoint, token: None, offline: true });
        let downloads = Downloads { hub: &hub, progress: &|_| {} };
        spec::load(&self.0.path().join("demo.yaml"), overrides, intent, downloads)
    }

    /// The whole message, with the folder's path taken out.
    pub(crate) fn message(&self, sweep: &str) -> String {
        self.plain(&self.load(sweep).unwrap_err())
    }

    pub(crate) fn plain(&self, errors: &SpecErrors) -> String {
        self.without_path(&errors.to_string())
    }

    pub(crate) fn without_path(&self, text: &str) -> String {
        let folder = self.0.path().to_string_lossy().into_owned();
        text.replace(&format!("{folder}/"), "").replace(&folder, ".")
    }
}

const SQUAD: &str = r#"{"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "a b a b",
    "qas": [{"id": "1", "question": "b?", "answers": [{"text": "b", "answer_start": 2}]},
            {"id": "2", "question": "a?", "answers": [{"text": "a", "answer_start": 0}]}]}]}]}"#;
