//! A loss is the same in chunks and in micro-batches, with its gradient.

use std::path::PathBuf;

use tch::{Device, Reduction};

use super::*;
use crate::data::store::{PartBuilder, TokenStore};
use crate::families::{Architecture, Gpt2Config, Head};
use crate::model::params::{Params, index};
use crate::tasks::{
    Classification, DataFile, LanguageModelling, Objective, QuestionAnswering, Row, RowTarget, Task,
    TextLayout,
};
use crate::train::batch::{Collator, Seen};
use crate::values::{ContentHash, Part, Training};

const VOCABULARY: usize = 37;
/// Rounding in 32 bits of numbers around 1.
const APART: f64 = 1e-6;

/// A small GPT-2 with weights of its own in each slot. They are no random numbers: libtorch has one
/// generator for all tests of this process.
fn small_model(slots: usize) -> (Params, Model) {
    let config = Gpt2Config {
        vocab_size: VOCABULARY,
        n_positions: 16,
        n_embd: 8,
        n_layer: 2,
        n_head: 2,
        ..Gpt2Config::default()
    };
    let architecture = Architecture::Gpt2(config);
    let mut params = Params::new(slots);
    for (n, shape) in (0_i64..).zip(architecture.tensors()) {
        let size: Vec<i64> = shape.shape.iter().map(|n| index(*n)).collect();
        let values = |k: usize| {
            let start = 1000 * n + 100_000 * index(k);
            let scattered =
                Tensor::arange_start(start, start + index(shape.numel()), (Kind::Double, Device::Cpu));
            ((scattered.square() * 0.7).sin() * 0.4).to_kind(Kind::Float).view(size.as_slice())
        };
        params.train(&shape.name, &(0..slots).map(values).collect::<Vec<_>>(), shape.role.decays());
    }
    let model = Model::new(&architecture, Head::LanguageModel, &params, None);
    (params, model)
}

fn objectives() -> [Objective; 2] {
    let layout = TextLayout::Documents;
    [
        Objective::LanguageModelling(LanguageModelling { text: Vec::new(), layout }),
        Objective::QuestionAnswering(QuestionAnswering {
            template: String::new(),
            max_new_tokens: 4,
            unanswerable: None,
        }),
    ]
}

/// Rows of 3 to 9 tokens; what counts as an answer begins at the second or a later one.
fn store() -> (tempfile::TempDir, TokenStore) {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = PartBuilder::default();
    for row in 0..8_u32 {
        let tokens: Vec<u32> = (0..3 + row * 5 % 7).map(|i| (row * 11 + i * i) % VOCABULARY as u32).collect();
        let target = RowTarget::Class(0);
        builder.push(Row { tokens: &tokens, second: 1 + row % 2, target, answers: &[] });
    }
    builder.write(folder.path(), Part::Train).unwrap();
    let store = TokenStore::open(folder.path()).unwrap();
    (folder, store)
}

/// The gradients gathered since the last call.
fn take_gradients(params: &Params) -> Vec<Tensor> {
    let take = |tensor: &Tensor| {
        let mut gradient = tensor.grad();
        let taken = gradient.copy();
        let _ = gradient.zero_();
        taken
    };
    params.trainable().map(|(_, trainable)| take(&trainable.tensor)).collect()
}

#[track_caller]
fn assert_close(a: &Tensor, b: &Tensor) {
    let apart = (a - b).abs().max().double_value(&[]);
    assert!(apart < APART, "{apart:.1e} apart");
}

#[track_caller]
fn assert_all_close(a: &[Tensor], b: &[Tensor]) {
    assert!(a.iter().any(|gradient| gradient.abs().max().double_value(&[]) > 0.01), "there are gradients");
    a.iter().zip(b).for_each(|(a, b)| assert_close(a, b));
}

/// The training loss of slots with these shares of label smoothing.
fn smoothed<'a>(kind: &'a dyn TaskKind, shares: &[f64]) -> TrainingLoss<'a> {
    let slots: Vec<Training> =
        shares.iter().map(|share| Training { label_smoothing: *share, ..Training::default() }).collect();
    TrainingLoss::of(kind, smoothing(slots.iter(), Device::Cpu).as_ref())
}

fn evaluation() -> Pass {
    Pass::evaluation()
}

#[test]
fn a_loss_in_chunks_is_the_whole_loss_with_its_gradient() {
    let (_folder, store) = store();
    let part = store.part(Part::Train).unwrap();
    for objective in &objectives() {
        let (params, model) = small_model(2);
        let kind: &dyn TaskKind = &**objective;
        let collator = Collator { kind, padding: 0, device: Device::Cpu };
        let slots: [&[u32]; 2] = [&[0, 1, 2, 3], &[4, 5]];
        let share = |rows: &[u32]| 1.0 / units(kind, part, rows) as f64;
        let batch = collator.collate(part, &slots.map(|rows| Seen::of(rows, share(rows))));
        let targets = &batch.targets;
        let positions = targets.positions.as_ref().unwrap();

        let trunk = || model.trunk(&batch.inputs, &mut evaluation());
        let logits = model.next_tokens(&trunk(), positions, &mut evaluation());
        let loss = smoothed(kind, &[0.0, 0.2]);
        let whole = weighted(&loss.of_each(&logits, &targets.wanted), &targets.weights);
        whole.sum(Kind::Float).backward();
        let expected = take_gradients(&params);

        let one = 2 * index(VOCABULARY);
        for logits in [1, one, 3 * one, LOGITS_AT_ONCE] {
            let hidden = model.hidden_states(&trunk(), positions, &mut evaluation());
            let (losses, gradient) = backward_to(&loss, &hidden.detach(), &model, targets, logits);
            (hidden * gradient).sum(Kind::Float).backward();
            assert_close(&losses, &whole.detach());
            assert_all_close(&take_gradients(&params), &expected);
        }
        assert_close(&backward(&loss, &model, &trunk(), targets, &mut evaluation()), &whole.detach());
        assert_all_close(&take_gradients(&params), &expected);
    }
}

#[test]
fn each_slots_labels_are_smoothed_as_torch_does_it() {
    let logits: Tensor = (Tensor::arange(3 * 5 * 7, (Kind::Double, Device::Cpu)).square() * 0.7).sin();
    let logits = logits.to_kind(Kind::Float).view([3, 5, 7]);
    let labels = Tensor::from_slice(&[0_i64, 6, 3, 3, 1]).unsqueeze(0);
    let shares = [0.0, 0.1, 0.75];
    let (ours, theirs) = (logits.copy().set_requires_grad(true), logits.set_requires_grad(true));
    let kind = &LanguageModelling { text: vec!["text".to_owned()], layout: TextLayout::Documents };
    let losses = smoothed(kind, &shares).of_each(&ours, &labels);
    losses.sum(Kind::Float).backward();
    for (slot, share) in (0..).zip(shares) {
        let (none, of_slot) = (tch::Reduction::None, theirs.get(slot));
        let expected = of_slot.cross_entropy_loss::<&Tensor>(&labels.view([-1]), None, none, -100, share);
        assert_close(&losses.get(slot), &expected);
        expected.sum(Kind::Float).backward();
    }
    assert_all_close(&[ours.grad()], &[theirs.grad()]);
    let plain = kind.losses(&ours.detach(), &labels);
    assert_eq!(
        losses.detach().get(0),
        plain.get(0),
        "a slot without smoothing has the bits that it has alone"
    );
    assert_ne!(losses.detach().get(1), plain.get(1));
}

#[test]
fn micro_batches_of_unlike_lengths_add_up_to_the_mean_over_all_tokens() {
    let (_folder, store) = store();
    let part = store.part(Part::Train).unwrap();
    for objective in &objectives() {
        let (params, model) = small_model(1);
        let kind: &dyn TaskKind = &**objective;
        let collator = Collator { kind, padding: 0, device: Device::Cpu };
        let rows = [0, 1, 2, 3, 4, 5, 6];
        let share = 1.0 / units(kind, part, &rows) as f64;
        let loss = |rows: &[u32]| {
            let batch = collator.collate(part, &[Seen::of(rows, share)]);
            let trunk = model.trunk(&batch.inputs, &mut evaluation());
            let plain = smoothed(kind, &[0.0]);
            backward(&plain, &model, &trunk, &batch.targets, &mut evaluation()).double_value(&[0])
        };
        let whole = loss(&rows);
        let expected = take_gradients(&params);
        let parts = loss(&rows[..1]) + loss(&rows[1..5]) + loss(&rows[5..]);
        assert!((whole - parts).abs() < APART);
        assert_all_close(&take_gradients(&params), &expected);
        // Evaluation sees the same losses, one by one.
        let batch = collator.collate(part, &[Seen::of(&rows, share)]);
        let trunk = model.trunk(&batch.inputs, &mut evaluation());
        let (losses, answers) = judged(kind, &model, &trunk, &batch.targets);
        assert!(answers.is_none(), "a language model's tally counts losses alone");
        assert_eq!(losses.size(), [1, index(units(kind, part, &rows))]);
        assert!((losses.sum(Kind::Double).double_value(&[]) * share - whole).abs() < APART);
    }
}

/// torch's cross-entropy with weights of the classes, over a step of two batches.
#[test]
fn weights_of_classes_are_those_of_torch() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = PartBuilder::default();
    for class in [0, 1, 1, 2, 0] {
        builder.push(Row { tokens: &[1, 2], second: 2, target: RowTarget::Class(class), answers: &[] });
    }
    builder.write(folder.path(), Part::Train).unwrap();
    let store = TokenStore::open(folder.path()).unwrap();
    let part = store.part(Part::Train).unwrap();
    let kind =
        Classification { labels: ["a", "b", "c"].map(str::to_owned).to_vec(), ..Classification::EMPTY };
    let collator = Collator { kind: &kind, padding: 0, device: Device::Cpu };
    let classes = [0.5, 2.0, 7.0];
    let step = [0, 1, 2, 3, 4];
    let share = 1.0 / weight(&kind, part, &step, Some(&classes));
    let logits = (Tensor::arange(15, (Kind::Float, Device::Cpu)) * 0.7).sin().view([1, 5, 3]);
    let loss = |rows: &[u32]| {
        let batch = collator.collate(part, &[Seen { rows, weight: share, classes: Some(&classes) }]);
        let logits = logits.narrow(1, i64::from(rows[0]), index(rows.len()));
        let losses = smoothed(&kind, &[0.0]).of_each(&logits, &batch.targets.wanted);
        weighted(&losses, &batch.targets.weights).double_value(&[0])
    };
    let ours = loss(&step[..3]) + loss(&step[3..]);
    let (wanted, weights) = (Tensor::from_slice(&[0_i64, 1, 1, 2, 0]), Tensor::from_slice(&classes));
    let weights = Some(weights.to_kind(Kind::Float));
    let theirs =
        logits.get(0).cross_entropy_loss(&wanted, weights, Reduction::Mean, -100, 0.0).double_value(&[]);
    assert!((ours - theirs).abs() < APART, "{ours} is not {theirs}");
}

#[test]
fn a_pairs_second_text_has_its_own_token_type_and_an_answer_has_none() {
    let (_folder, store) = store();
    let part = store.part(Part::Train).unwrap();
    let file = DataFile {
        path: PathBuf::new(),
        content: ContentHash::of_bytes(b""),
        rows: 8,
        rows_read: None,
        text_bytes: 0,
    };
    let pairs = Task::classification(file, "text", "label", &["a", "b"]).objective;
    let collate = |objective: &Objective| {
        let kind: &dyn TaskKind = &**objective;
        Collator { kind, padding: 0, device: Device::Cpu }.collate(part, &[Seen::of(&[1, 0], 0.5)])
    };
    let batch = collate(&pairs);
    let types = batch.inputs.token_types.unwrap();
    assert_eq!(types.size(), [1, 2, 8]);
    let types = Vec::<i64>::try_from(types.view([-1])).unwrap();
    // Row 1 has 8 tokens, the second text from token 2 on; row 0 has 3, from token 1 on.
    assert_eq!(types, [0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0]);
    for objective in &objectives() {
        assert!(collate(objective).inputs.token_types.is_none());
    }
}
