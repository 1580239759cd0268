//! Model folders in the shapes that the hub has them in.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use lorasweep::families::{Architecture, BertConfig, Gpt2Config, Init, ModernBertConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

/// The configuration of `prajjwal1/bert-tiny` and `google/bert_uncased_L-2_H-128_A-2`: neither
/// `model_type` nor `architectures`, and not all numbers.
const TINY: &str = r#"{"hidden_size": 128, "hidden_act": "gelu", "initializer_range": 0.02,
    "vocab_size": 30522, "hidden_dropout_prob": 0.1, "num_attention_heads": 2, "type_vocab_size": 2,
    "max_position_embeddings": 512, "num_hidden_layers": 2, "intermediate_size": 512,
    "attention_probs_dropout_prob": 0.1}"#;

/// Words that the data consists of.
const WORDS: [&str; 12] =
    ["the", "team", "won", "a", "match", "bank", "loan", "fee", "card", "was", "paid", "late"];

/// A tiny BERT as those two repositories have it.
pub(crate) fn bert_tiny(folder: &Path, seed: u64) {
    fs::write(folder.join("config.json"), TINY).unwrap();
    fs::write(folder.join("vocab.txt"), vocabulary()).unwrap();
    let Ok(config) = serde_json::from_str::<BertConfig>(TINY) else { panic!("BERT's numbers") };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let old = |name: &str| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    };
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Architecture::Bert(config)
        .tensors()
        .into_iter()
        .map(|tensor| {
            (old(&tensor.name), tensor.shape.clone(), values(tensor.init, tensor.numel(), &mut rng))
        })
        .collect();
    let mut beside = |name: &str, shape: &[usize]| {
        let count = shape.iter().product();
        tensors.push((name.to_owned(), shape.to_vec(), values(Init::Normal(0.02), count, &mut rng)));
    };
    beside("cls.predictions.bias", &[30_522]);
    beside("cls.predictions.transform.dense.weight", &[128, 128]);
    beside("cls.predictions.transform.LayerNorm.gamma", &[128]);
    beside("cls.seq_relationship.weight", &[2, 128]);
    fs::write(folder.join("pytorch_model.bin"), stream(&tensors)).unwrap();
}

/// BERT's vocabulary of 30,522 tokens, its special ones where they are in the real one.
pub(crate) fn vocabulary() -> String {
    let letters = ('a'..='z').chain('0'..='9').map(String::from);
    let pieces = ('a'..='z').chain('0'..='9').map(|letter| format!("##{letter}"));
    let words = WORDS[..3].iter().chain(&WORDS[4..]).map(ToString::to_string);
    let mut tokens = vec!["[PAD]".to_owned()];
    tokens.extend((0..99).map(|n| format!("[unused{n}]")));
    tokens.extend(["[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned));
    tokens.extend(letters.chain(pieces).chain(words));
    let known = tokens.len();
    tokens.extend((known..30_522).map(|n| format!("token{n}")));
    tokens.join("\n") + "\n"
}

/// The tokenizer of a base that is not trained: a configuration and files for words.
pub(crate) fn bert_tokenizer(folder: &Path) {
    fs::write(folder.join("config.json"), r#"{"model_type": "bert", "architectures": ["BertForMaskedLM"]}"#)
        .unwrap();
    fs::write(folder.join("vocab.txt"), vocabulary()).unwrap();
    fs::write(folder.join("tokenizer_config.json"), r#"{"do_lower_case": true, "model_max_length": 512}"#)
        .unwrap();
}

/// all-MiniLM-L6-v2: a base model's names, without weights that mean anything.
pub(crate) fn mini_lm(folder: &Path) {
    let config = json!({"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384,
        "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536, "vocab_size": 30522,
        "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": "gelu", "pad_token_id": 0,
        "position_embedding_type": "absolute", "gradient_checkpointing": false});
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::write(folder.join("vocab.txt"), vocabulary()).unwrap();
    let config: BertConfig = serde_json::from_value(config).unwrap();
    zeros(folder, &Architecture::Bert(config), "bert.", &[("embeddings.position_ids", "I64", &[1, 512])]);
}

/// ModernBERT as `answerdotai/ModernBERT-base` has it: a model for masked words, and the keys of transformers before
/// version 5.
pub(crate) fn modern_bert(folder: &Path) {
    let config = json!({"model_type": "modernbert", "architectures": ["ModernBertForMaskedLM"],
        "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 50281, "classifier_activation": "gelu",
        "classifier_bias": false, "classifier_dropout": 0.0, "classifier_pooling": "mean", "cls_token_id": 50281,
        "decoder_bias": true, "deterministic_flash_attn": false, "embedding_dropout": 0.0, "eos_token_id": 50282,
        "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "gradient_checkpointing": false,
        "hidden_activation": "gelu", "hidden_size": 768, "initializer_cutoff_factor": 2.0,
        "initializer_range": 0.02, "intermediate_size": 1152, "layer_norm_eps": 1e-5, "local_attention": 128,
        "local_rope_theta": 10000.0, "max_position_embeddings": 8192, "mlp_bias": false, "mlp_dropout": 0.0,
        "norm_bias": false, "norm_eps": 1e-5, "num_attention_heads": 12, "num_hidden_layers": 22,
        "pad_token_id": 50283, "position_embedding_type": "absolute", "sep_token_id": 50282,
        "tie_word_embeddings": true, "torch_dtype": "float32", "vocab_size": 50368});
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let special = ["[CLS]", "[SEP]", "[PAD]"].into_iter().zip(50_281..);
    let added = special.map(|(token, id): (_, u32)| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    });
    let [cls, sep] = ["[CLS]", "[SEP]"].map(|id| json!({"SpecialToken": {"id": id, "type_id": 0}}));
    let [first, second] = ["A", "B"].map(|id| json!({"Sequence": {"id": id, "type_id": 0}}));
    let named = |token: &str, id: u32| json!({"id": token, "ids": [id], "tokens": [token]});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "TemplateProcessing", "single": [cls, first, sep],
            "pair": [cls, first, sep, second, sep],
            "special_tokens": {"[CLS]": named("[CLS]", 50281), "[SEP]": named("[SEP]", 50282)}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": bytes(), "merges": ["t h", "th e"]},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let config: ModernBertConfig = serde_json::from_value(config).unwrap();
    let beside: [(&str, &str, &[u64]); 1] = [("decoder.bias", "F32", &[50_368])];
    zeros(folder, &Architecture::ModernBert(config), "", &beside);
}

/// Qwen2 as `Qwen/Qwen2.5-0.5B-Instruct` has it, with a chat template of its own.
pub(crate) fn qwen(folder: &Path) {
    let config = json!({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 896,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864,
        "vocab_size": 151_936, "max_position_embeddings": 32_768, "rope_theta": 1e6, "rms_norm_eps": 1e-6,
        "hidden_act": "silu", "tie_word_embeddings": true, "use_sliding_window": false, "sliding_window": 32_768,
        "max_window_layers": 21, "bos_token_id": 151_643, "eos_token_id": 151_645, "torch_dtype": "bfloat16"});
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].into_iter().zip(151_643..);
    let added = special.map(|(token, id): (_, u32)| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": bytes(), "merges": ["t h", "th e"]},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let template = include_str!("../fixtures/chat/chatml.jinja");
    let settings = json!({"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "chat_template": template});
    fs::write(folder.join("tokenizer_config.json"), settings.to_string()).unwrap();
    let Ok(architecture) = Architecture::from_config(config.to_string().as_bytes()) else {
        panic!("Qwen's numbers")
    };
    zeros(folder, &architecture, "", &[]);
}

/// GPT-2 as `openai-community/gpt2` has it: 124 million parameters and the masks of attention.
pub(crate) fn gpt2(folder: &Path) {
    let config = json!({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_ctx": 1024,
        "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257,
        "activation_function": "gelu_new", "attn_pdrop": 0.1, "bos_token_id": 50256, "eos_token_id": 50256,
        "layer_norm_epsilon": 1e-5, "resid_pdrop": 0.1, "embd_pdrop": 0.1, "summary_type": "cls_index"});
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    gpt2_tokenizer(folder);
    let config: Gpt2Config = serde_json::from_value(config).unwrap();
    let masks: Vec<String> = (0..12).map(|layer| format!("h.{layer}.attn.bias")).collect();
    let masks: Vec<(&str, &str, &[u64])> =
        masks.iter().map(|name| (name.as_str(), "F32", &[1, 1, 1024, 1024][..])).collect();
    zeros(folder, &Architecture::Gpt2(config), "transformer.", &masks);
}

/// A byte-level tokenizer that knows letters and a few pairs of them.
pub(crate) fn gpt2_tokenizer(folder: &Path) {
    let mut vocabulary = bytes();
    vocabulary.insert("<|endoftext|>".to_owned(), json!(50256));
    fs::write(folder.join("vocab.json"), Value::Object(vocabulary).to_string()).unwrap();
    fs::write(folder.join("merges.txt"), "#version: 0.2\nt h\nth e\n").unwrap();
}

/// The vocabulary of a byte-level tokenizer without special tokens.
fn bytes() -> Map<String, Value> {
    let bytes = (b'!'..=b'~')
        .map(|byte| char::from(byte).to_string())
        .chain(["\u{120}", "\u{10a}"].map(str::to_owned));
    let tokens = bytes.chain(["th", "the"].map(str::to_owned));
    tokens.zip(0..).map(|(token, id): (_, u32)| (token, json!(id))).collect()
}

/// safetensors of zeros, by the tensors' names without this prefix, that take no room on the disk.
fn zeros(folder: &Path, architecture: &Architecture, prefix: &str, beside: &[(&str, &str, &[u64])]) {
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut end = 0_u64;
    let mut add = |name: &str, kind: &str, shape: &[u64]| {
        let width = if kind == "I64" { 8 } else { 4 };
        let start = end;
        end += shape.iter().product::<u64>() * width;
        header.insert(name.to_owned(), json!({"dtype": kind, "shape": shape, "data_offsets": [start, end]}));
    };
    for tensor in architecture.tensors() {
        let shape: Vec<u64> = tensor.shape.iter().map(|size| *size as u64).collect();
        add(tensor.name.trim_start_matches(prefix), "F32", &shape);
    }
    beside.iter().for_each(|(name, kind, shape)| add(name, kind, shape));
    let header = Value::Object(header).to_string();
    let mut file = File::create(folder.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + end).unwrap();
}

/// A tensor as it is drawn, near enough: uniform where it should be normal.
fn values(init: Init, count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    match init {
        Init::Ones => vec![1.0; count],
        Init::Zeros => vec![0.0; count],
        Init::Normal(_) | Init::Truncated { .. } | Init::Uniform(_) | Init::Sinusoids => {
            (0..count).map(|_| rng.random_range(-0.035..0.035)).collect()
        }
    }
}

/// What `torch.save` wrote before 1.6: five pickles, then the storages.
fn stream(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    file.extend(b"\x80\x02ccollections\nOrderedDict\n)R(");
    for (index, (name, shape, values)) in tensors.iter().enumerate() {
        file.extend(text(name));
        file.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        file.extend(text("storage"));
        file.extend(b"ctorch\nFloatStorage\n");
        file.extend([text(&index.to_string()), text("cpu"), integer(values.len())].concat());
        file.extend(b"NtQK\x00(");
        file.extend(shape.iter().flat_map(|size| integer(*size)));
        file.extend(b"t(");
        let strides = (0..shape.len()).map(|at| shape[at + 1..].iter().product());
        file.extend(strides.flat_map(integer));
        file.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    }
    file.extend(b"u.\x80\x02](");
    file.extend((0..tensors.len()).flat_map(|index| text(&index.to_string())));
    file.extend(b"e.");
    for (_, _, values) in tensors {
        file.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| file.extend(value.to_le_bytes()));
    }
    file
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn integer(number: usize) -> Vec<u8> {
    [b"J", &i32::try_from(number).unwrap().to_le_bytes()[..]].concat()
}
