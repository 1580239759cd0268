//! The models, their gradients and the optimiser against transformers, PEFT and torch, on recorded
//! fixtures.
//!
//! `tests/fixtures/make_fixtures.py` makes them; 32-bit arithmetic, tolerance 1e-5.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bert;
mod gpt2;
mod gptmini;
mod packs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use lorasweep::arch::{Architecture, Head};
use lorasweep::model::build::{self, Base, Start};
use lorasweep::model::params::{self, Weight};
use lorasweep::model::weights::{self, Checkpoint};
use lorasweep::model::{Inputs, Model};
use lorasweep::train::optimiser::{AdamW, SlotStep};
use lorasweep::trial::{Configuration, Keep, Lora, Method, Precision, Schedule, Splitting, Training, Trial};
use tch::{Device, Kind, Reduction, Tensor};

const TOLERANCE: f64 = 1e-5;
const STEPS: i64 = 5;

/// One recorded model and what was recorded of it.
struct Fixture {
    folder: PathBuf,
    architecture: Architecture,
    head: Head,
    recorded: BTreeMap<String, Tensor>,
    /// Loss per slot `[K]` and logits `[K, …]` of a model for the batch of a step.
    forward: fn(&Fixture, &Model, step: i64, slots: i64) -> (Tensor, Tensor),
}

impl Fixture {
    fn folder(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    fn recorded(name: &str) -> BTreeMap<String, Tensor> {
        Tensor::read_safetensors(Self::folder(name).join("parity.safetensors")).unwrap().into_iter().collect()
    }

    fn read(&self, base: &Checkpoint, trials: &[Trial]) -> Start {
        let start = || build::start(&self.architecture, self.head, trials, Base::Read(base), Device::Cpu);
        drawing(start).unwrap()
    }

    /// A start from the fixture's weights; `slots` trials of one method, each with the set's values.
    fn start(&self, set: &str, method: &Method, slots: usize) -> Start {
        let base = weights::read(&self.folder).unwrap();
        let trials: Vec<Trial> = (0..slots).map(|_| trial(method.clone(), 1)).collect();
        let start = self.read(&base, &trials);
        let model = Tensor::read_safetensors(self.folder.join("model.safetensors")).unwrap();
        let model: BTreeMap<String, Tensor> = model.into_iter().collect();
        let recorded = |name: &str| {
            let adapter = self.recorded.get(&format!("{set}.start.{}{name}", prefix(method)));
            adapter.or_else(|| model.get(name)).map(|value| value.to_kind(Kind::Float).copy())
        };
        for slot in 0..slots {
            let mut values = start.params.slot(slot);
            values.iter_mut().for_each(|(name, value)| *value = recorded(name).unwrap());
            params::fill(&start.params.slot(slot), &values).unwrap();
        }
        // A frozen head is fresh as well; the reference has the one in the file.
        for shape in self.architecture.head_tensors(self.head) {
            let (Some(Weight::Shared(mut head) | Weight::Stacked(mut head)), Some(value)) =
                (start.params.find(&shape.name), recorded(&shape.name))
            else {
                panic!("there is no {}", shape.name);
            };
            tch::no_grad(|| head.copy_(&value));
        }
        start
    }

    fn model(&self, start: &Start) -> Model {
        Model::new(&self.architecture, self.head, &start.params, start.adapters.as_ref())
    }

    /// The batch of a step, for every slot the same.
    fn inputs(&self, step: i64, slots: i64) -> Inputs {
        let all = |tensor: &Tensor| tensor.get(step).unsqueeze(0).repeat([slots, 1, 1].as_slice());
        let take = |name: &str| self.recorded.get(name).map(all);
        let ids = take("input_ids").unwrap();
        let size = ids.size();
        let mask = take("attention_mask").map(|mask| {
            let mask: Tensor = (1.0 - mask.to_kind(Kind::Float)) * f64::from(f32::MIN);
            mask.view([slots * size[1], 1, 1, size[2]])
        });
        let shape = [slots, size[1], size[2]];
        Inputs { shape, token_types: take("token_type_ids"), mask, ids }
    }

    /// Follows the recorded steps in every slot: losses, logits, gradients, norms and weights.
    fn follow(&self, set: &str, method: &Method, slots: usize) {
        let start = self.start(set, method, slots);
        let model = self.model(&start);
        let params = &start.params;
        let recorded = |what: &str| &self.recorded[&format!("{set}.{what}")];
        let close = |what: &str, ours: &Tensor, theirs: &Tensor| {
            assert_close(&format!("{set}: {what}"), ours, theirs, TOLERANCE);
        };
        let (mut optimiser, training) = (AdamW::new(params), training(1));
        for step in 0..STEPS {
            let (losses, logits) = (self.forward)(self, &model, step, slots as i64);
            losses.sum(Kind::Float).backward();
            for slot in 0..slots as i64 {
                close("loss", &losses.get(slot), &recorded("losses").get(step));
                if step == 0 {
                    close("logits", &logits.get(slot), recorded("logits"));
                    for (name, trainable) in params.trainable() {
                        let gradient = recorded(&format!("grad.{}{name}", prefix(method)));
                        close(name, &trainable.tensor.grad().get(slot), gradient);
                    }
                }
            }
            let slot_step = SlotStep { training: &training, done: step as u64, learning_rate: 1e-3 };
            let norms = optimiser.step(params, &vec![slot_step; slots]);
            close("gradient norm", &norms.get(0), &recorded("grad_norms").get(step));
        }
        for (name, trainable) in params.trainable() {
            let after = recorded(&format!("after.{}{name}", prefix(method)));
            for slot in 0..slots as i64 {
                assert_trained(name, &trainable.tensor.get(slot), after);
            }
        }
    }
}

/// A shift of all keys cancels in the softmax: the exact gradient of their bias is 0, and AdamW
/// scales rounding noise up to whole steps. Measured between 32 and 64 bits: 6e-4.
#[track_caller]
fn assert_trained(name: &str, ours: &Tensor, theirs: &Tensor) {
    const OF_KEYS: f64 = 5e-3;
    if name.ends_with("c_attn.bias") {
        for (part, tolerance) in [(0, TOLERANCE), (1, OF_KEYS), (2, TOLERANCE)] {
            let [ours, theirs] = [ours, theirs].map(|bias| bias.view([3, -1]).get(part));
            assert_close(name, &ours, &theirs, tolerance);
        }
    } else {
        assert_close(name, ours, theirs, if name.ends_with("key.bias") { OF_KEYS } else { TOLERANCE });
    }
}

#[track_caller]
fn assert_close(what: &str, ours: &Tensor, theirs: &Tensor, tolerance: f64) {
    assert_eq!(ours.size(), theirs.size(), "{what}");
    let distance = (ours.to_kind(Kind::Double) - theirs.to_kind(Kind::Double)).abs();
    let allowed = theirs.to_kind(Kind::Double).abs() * tolerance + tolerance;
    let worst = (distance / allowed).max().double_value(&[]);
    assert!(worst <= 1.0, "{what}: {worst:.2} times the tolerance of {tolerance:e} away");
}

/// Mean cross-entropy per slot, `[K]`: logits `[K, …, C]` and labels `[…]`, -100 where nothing is asked.
fn losses(logits: &Tensor, labels: &Tensor) -> Tensor {
    let classes = *logits.size().last().unwrap();
    let of = |slot: i64| {
        let logits = logits.get(slot).reshape([-1, classes]);
        logits.cross_entropy_loss::<&Tensor>(&labels.reshape([-1]), None, Reduction::Mean, -100, 0.0)
    };
    Tensor::stack(&(0..logits.size()[0]).map(of).collect::<Vec<_>>(), 0)
}

/// libtorch has one random generator for all threads: whoever seeds it is alone until the draw.
fn drawing<T>(draw: impl FnOnce() -> T) -> T {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    draw()
}

/// What PEFT puts before a name.
fn prefix(method: &Method) -> &'static str {
    method.lora().map_or("", |_| "base_model.model.")
}

fn adapters(targets: &[&str], modules_to_save: &[&str]) -> Method {
    let modules_to_save = modules_to_save.iter().map(ToString::to_string).collect();
    Method::Lora(Lora { modules_to_save, ..Lora::new(targets, 4, 8.0) })
}

fn training(seed: u64) -> Training {
    Training {
        learning_rate: 1e-3,
        epochs: 1.0,
        batch_size: 3,
        accumulation: 1,
        schedule: Schedule::Constant,
        warmup: 0.0,
        weight_decay: 0.01,
        clip_norm: Some(1.0),
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        evaluate_every: None,
        keep: Keep::Last,
        seed,
        precision: Precision::Fp32,
    }
}

fn trial(method: Method, seed: u64) -> Trial {
    let id = "00000000000000aa".parse().unwrap();
    let (task, model) = ("task".to_owned(), "tiny".to_owned());
    let configuration = Configuration { id, task, model, method, training: training(seed) };
    Trial::new(&Arc::new(configuration), Splitting::File, 0)
}
