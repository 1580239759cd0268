//! What a slot computes does not depend on its neighbours, and starts are drawn as they should be.

use lorasweep::families::{self, Architecture, Gpt2Config, GptMiniConfig, Head, Sizes};
use lorasweep::model::build::{self, Base, Start};
use lorasweep::model::params::Weight;
use lorasweep::model::pass::{Pass, Stream};
use lorasweep::model::{Inputs, Model};
use lorasweep::values::stream::StreamKey;
use lorasweep::values::{Lora, Method};
use tch::{Device, Kind, Tensor};

use super::dora::dora;
use super::{TOLERANCE, adapters, assert_close, trial};

const CLASSES: Head = Head::Classifier { labels: 3 };

fn gpt2() -> Architecture {
    Architecture::Gpt2(Gpt2Config {
        vocab_size: 50,
        n_positions: 12,
        n_embd: 16,
        n_layer: 2,
        n_head: 2,
        ..Gpt2Config::default()
    })
}

fn gptmini() -> Architecture {
    Architecture::GptMini(GptMiniConfig { vocab_size: 50, hidden_size: 8, length: 9, pad_token_id: 0 })
}

/// Of the family's own dropouts.
fn drawn(family: &str) -> Architecture {
    let sizes = Sizes {
        layers: Some(2),
        hidden: Some(16),
        heads: Some(2),
        kv_heads: Some(1),
        intermediate: Some(24),
        positions: Some(12),
        length: None,
    };
    let mut architecture = (families::named(family).unwrap().drawn)(&sizes).unwrap();
    architecture.set_vocabulary(50);
    architecture
}

fn start(architecture: &Architecture, method: &Method, seeds: &[u64], base: &Base) -> Start {
    let trials: Vec<_> = seeds.iter().map(|seed| trial(method.clone(), *seed)).collect();
    build::start(architecture, CLASSES, &trials, base, Device::Cpu).unwrap()
}

fn dropping(targets: &[&str]) -> Method {
    let Method::Lora(lora) = adapters(targets, &["head"]) else { panic!("adapters are LoRA") };
    Method::Lora(Lora { dropout: 0.3, ..lora })
}

/// Rows of these lengths per slot, padded with token 0 to the longest.
fn inputs(slots: &[&[i64]]) -> Inputs {
    let rows = slots.iter().map(|lengths| lengths.len()).max().unwrap();
    let width = slots.iter().copied().flatten().copied().max().unwrap();
    let shape = [slots.len() as i64, rows as i64, width];
    let (ids, mask) = (
        Tensor::zeros(shape, (Kind::Int64, Device::Cpu)),
        Tensor::full(shape, f64::from(f32::MIN), (Kind::Float, Device::Cpu)),
    );
    for (k, lengths) in (0..).zip(slots) {
        for (b, length) in (0..).zip(*lengths) {
            let tokens = Tensor::arange(*length, (Kind::Int64, Device::Cpu)) * 7 + 3 * b + 1;
            ids.get(k).get(b).narrow(0, 0, *length).copy_(&tokens.remainder(50));
            mask.get(k)
                .get(b)
                .narrow(0, 0, *length)
                .copy_(&Tensor::zeros([*length], (Kind::Float, Device::Cpu)));
        }
    }
    Inputs { shape, ids, token_types: None, mask: Some(mask.view([-1, 1, 1, width])) }
}

fn streams(seeds: &[u64], rows: i64) -> Pass {
    let stream = |seed: &u64| Stream { key: StreamKey::from_seed(*seed), step: 3, first_row: 2 };
    Pass::training(seeds.iter().map(stream).collect(), rows)
}

/// Logits of the slot with seed 1 and rows of lengths 3 and 4, alone and beside a larger neighbour.
fn alone_and_beside(architecture: &Architecture, method: &Method) -> [Tensor; 2] {
    let own: &[i64] = &[3, 4];
    let slots: [(&[u64], &[&[i64]]); 2] = [(&[1], &[own]), (&[2, 1], &[&[8, 2, 5], own])];
    slots.map(|(seeds, lengths)| {
        let start = start(architecture, method, seeds, &Base::Drawn { seed: 5 });
        // Adapters that do nothing, as fresh ones, would hide their dropout.
        for (name, trainable) in start.params.trainable().filter(|(name, _)| name.contains("lora_B")) {
            let _ = tch::no_grad(|| trainable.tensor.shallow_clone().fill_(0.1 + name.len() as f64 / 100.0));
        }
        let model = Model::new(architecture, CLASSES, &start.params, start.adapters.as_ref());
        let inputs = inputs(lengths);
        let pass = &mut streams(seeds, inputs.shape[1]);
        let logits = model.classify(&model.trunk(&inputs, pass), pass);
        logits.get(seeds.len() as i64 - 1).narrow(0, 0, 2)
    })
}

#[test]
fn a_neighbour_changes_no_logit_in_training() {
    let methods = |targets| {
        let [lora, dropping] = [adapters(targets, &[]), dropping(targets)];
        [Method::Full, dora(&lora), dora(&dropping), dropping, lora, Method::Base]
    };
    let decoder = (gpt2(), &["c_attn", "c_proj"][..]);
    let others =
        ["bert", "roberta", "distilbert", "electra", "modernbert", "llama", "mistral", "qwen2", "qwen3"];
    let others = others.map(|family| (drawn(family), &[][..]));
    let models = [decoder, (gptmini(), &["query", "value"])].into_iter().chain(others);
    for (architecture, targets) in models {
        let targets = if targets.is_empty() { architecture.default_lora_targets() } else { targets };
        for method in methods(targets) {
            let [alone, beside] = alone_and_beside(&architecture, &method);
            assert_close(method.name(), &beside, &alone, TOLERANCE);
        }
    }
}

fn std(tensor: &Tensor) -> f64 {
    tensor.std(true).double_value(&[])
}

fn weight(start: &Start, name: &str) -> Tensor {
    match start.params.weight(name) {
        Weight::Shared(tensor) | Weight::Stacked(tensor) => tensor,
    }
}

#[test]
fn fresh_models_start_as_their_authors_say() {
    let large = Architecture::Gpt2(Gpt2Config {
        n_layer: 8,
        vocab_size: 500,
        n_embd: 256,
        n_head: 4,
        ..Gpt2Config::default()
    });
    let gpt2 = start(&large, &Method::Base, &[1], &Base::Drawn { seed: 5 });
    for (name, expected) in [
        ("transformer.wte.weight", 0.02),
        ("transformer.h.3.attn.c_attn.weight", 0.02),
        ("transformer.h.3.attn.c_proj.weight", 0.02 / 4.0),
        ("transformer.h.3.mlp.c_proj.weight", 0.02 / 4.0),
        ("transformer.h.3.attn.c_attn.bias", 0.0),
        ("transformer.ln_f.weight", 0.0),
    ] {
        let found = std(&weight(&gpt2, name));
        assert!((found - expected).abs() <= 0.02 * expected, "{name}: {found} {expected}");
    }
    let sizes = Sizes {
        layers: Some(8),
        hidden: Some(256),
        heads: Some(4),
        intermediate: Some(384),
        ..Sizes::default()
    };
    let mut modernbert = (families::named("modernbert").unwrap().drawn)(&sizes).unwrap();
    modernbert.set_vocabulary(500);
    let modernbert = start(&modernbert, &Method::Base, &[1], &Base::Drawn { seed: 5 });
    // Normal values without those beyond two standard deviations have 0.88 of one.
    let (into, onto) = (0.02 * 0.8796, 0.02 / 4.0 * 0.8796);
    for (name, expected) in [
        ("model.embeddings.tok_embeddings.weight", into),
        ("model.layers.3.attn.Wqkv.weight", into),
        ("model.layers.3.attn.Wo.weight", onto),
        ("model.layers.3.mlp.Wi.weight", into),
        ("model.layers.3.mlp.Wo.weight", onto),
        ("head.dense.weight", onto),
        ("head.norm.weight", 0.0),
    ] {
        let found = std(&weight(&modernbert, name));
        assert!((found - expected).abs() <= 0.02 * expected, "{name}: {found} {expected}");
    }
    let mini = start(&gptmini(), &Method::Full, &[1], &Base::Fresh);
    for (name, bound) in
        [("attention.query.weight", 8.0_f64), ("attention.query.bias", 8.0), ("embedding.weight", 50.0)]
    {
        let largest = weight(&mini, name).abs().max().double_value(&[]);
        assert!(largest <= bound.sqrt().recip() && largest > 0.5 * bound.sqrt().recip(), "{name}: {largest}");
    }
}

#[test]
fn an_untrained_base_is_one_for_all_slots_and_a_head_is_each_ones_own() {
    let seeds = [1, 2];
    for method in [Method::Base, adapters(&["c_attn"], &[])] {
        let start = start(&gpt2(), &method, &seeds, &Base::Drawn { seed: 5 });
        assert!(matches!(start.params.weight("transformer.wte.weight"), Weight::Shared(_)));
        let Weight::Stacked(heads) = start.params.weight("score.weight") else {
            panic!("it is each one's own")
        };
        assert_ne!(heads.get(0), heads.get(1));
        assert!(!heads.requires_grad());
        for (slot, seed) in (0..).zip(seeds) {
            let alone = self::start(&gpt2(), &method, &[seed], &Base::Drawn { seed: 5 });
            for name in ["transformer.wte.weight", "score.weight"] {
                let [kept, only] = [start.params.retain(&[slot]), start.params.only(slot)].map(|params| {
                    match params.weight(name) {
                        Weight::Shared(tensor) => tensor,
                        Weight::Stacked(tensor) => tensor.get(0),
                    }
                });
                assert_eq!(kept, weight(&alone, name), "{name} of {slot}");
                assert_eq!(only, kept);
            }
            assert_eq!(alone.params.count(0), start.params.count(slot));
        }
        let other = self::start(&gpt2(), &method, &seeds, &Base::Drawn { seed: 6 });
        assert_ne!(weight(&other, "transformer.wte.weight"), weight(&start, "transformer.wte.weight"));
    }
    let scratch = start(&gpt2(), &Method::Scratch, &seeds, &Base::Fresh);
    let words = weight(&scratch, "transformer.wte.weight");
    assert_ne!(words.get(0), words.get(1));
}
