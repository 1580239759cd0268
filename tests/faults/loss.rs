//! A loss that is infinite while every gradient is finite.

use std::fs;
use std::path::Path;
use std::process::Command;

use lorasweep::disk::layout::Layout;
use lorasweep::record::{self, TrialState};
use lorasweep::values::Failure;
use safetensors::tensor::{Dtype, TensorView};

use crate::site::PROGRAM;

const SWEEP: &str = "
name: loss
task: {kind: language_modelling, train: train.txt, validation: train.txt, max_length: 8}
models: {infinite: {from: infinite}, sound: {from: sound}}
grid:
  - {method: lora, model: [infinite, sound], rank: 2, alpha: 2, learning_rate: 1e-3}
training: {epochs: 1, batch_size: 4}
devices: cpu:1
";

/// Hidden size of the models.
const D: usize = 8;
/// Size of their vocabulary.
const TOKENS: usize = 300;
/// Their longest sequence, in tokens.
const POSITIONS: usize = 8;

/// A GPT-2 of one layer whose last LayerNorm gives `shift` at every position, whatever it reads. Half
/// of the tokens have the embedding 1, the others -1: logits are `D * shift` and `-D * shift`.
fn write_model(folder: &Path, shift: f32) {
    let embedding = (0..TOKENS * D).map(|at| if (at / D).is_multiple_of(2) { 1.0 } else { -1.0 }).collect();
    let same = |value: f32, n: usize| vec![value; n];
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = vec![
        ("wte.weight".to_owned(), vec![TOKENS, D], embedding),
        ("wpe.weight".to_owned(), vec![POSITIONS, D], same(0.0, POSITIONS * D)),
        ("ln_f.weight".to_owned(), vec![D], same(0.0, D)),
        ("ln_f.bias".to_owned(), vec![D], same(shift, D)),
    ];
    for norm in ["ln_1", "ln_2"] {
        tensors.push((format!("h.0.{norm}.weight"), vec![D], same(1.0, D)));
        tensors.push((format!("h.0.{norm}.bias"), vec![D], same(0.0, D)));
    }
    let linears =
        [("attn.c_attn", D, 3 * D), ("attn.c_proj", D, D), ("mlp.c_fc", D, 4 * D), ("mlp.c_proj", 4 * D, D)];
    for (name, inputs, outputs) in linears {
        tensors.push((format!("h.0.{name}.weight"), vec![inputs, outputs], same(0.0, inputs * outputs)));
        tensors.push((format!("h.0.{name}.bias"), vec![outputs], same(0.0, outputs)));
    }
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape, values)| (name, shape, values.into_iter().flat_map(f32::to_le_bytes).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let config = format!(
        r#"{{"model_type": "gpt2", "n_embd": {D}, "n_head": 2, "n_layer": 1, "n_positions": {POSITIONS},
            "vocab_size": {TOKENS}, "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}}"#
    );
    fs::write(folder.join("config.json"), config).unwrap();
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/gpt2");
    for file in ["vocab.json", "merges.txt"] {
        fs::copy(tokenizer.join(file), folder.join(file)).unwrap();
    }
}

#[test]
fn an_infinite_loss_fails_its_trial_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    // Logits of 2.4e38 and -2.4e38 are numbers; their difference, the loss, is none in single precision.
    write_model(&folder.path().join("infinite"), 3e37);
    write_model(&folder.path().join("sound"), 1.0);
    fs::write(folder.path().join("train.txt"), "all the letters that there are\n".repeat(8)).unwrap();
    fs::write(folder.path().join("sweep.yaml"), SWEEP).unwrap();
    let said = Command::new(PROGRAM).args(["run", "sweep.yaml"]).current_dir(folder.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("1 of 2 trials failed"), "{stderr}");
    let record = record::load(Layout::new(&folder.path().join("results"), "loss").run()).unwrap();
    let [infinite, sound] = &record.trials[..] else { panic!("there are two trials") };
    assert_eq!(infinite.state, TrialState::Failed { failure: Failure::Diverged { step: 1 } });
    assert_eq!(sound.state, TrialState::Done);
}
