//! Owns the way from rows of a token store to a pack's batch. Pads to the longest row, no further.

use tch::{Device, Kind, Tensor};

use crate::data::store::PartView;
use crate::model::Inputs;
use crate::model::params::index;

/// What is added to the attention score of a padding token; transformers uses the type's minimum.
const MASKED: f32 = f32::MIN;

/// Inputs and labels of one forward pass.
#[derive(Debug)]
pub struct Batch {
    /// What the model reads.
    pub inputs: Inputs,
    /// `[K, B]`, 64-bit integers.
    pub labels: Tensor,
    /// Share of each row in its slot's loss, `[K, B]`; 0 for rows that only fill up a slot.
    pub weights: Tensor,
    /// Each slot's own rows and the tokens of its longest one, filling not counted.
    pub sizes: Vec<[i64; 2]>,
}

/// A batch from one list of rows per slot, with the weight that each of a slot's rows has in its loss.
/// Slots with fewer rows than others are filled up with empty rows of weight 0.
#[must_use]
pub fn assemble(part: &PartView, slots: &[(&[u32], f64)], padding: usize, device: Device) -> Batch {
    let rows = slots.iter().map(|(rows, _)| rows.len()).max().unwrap_or(0);
    let length = |row: &u32| part.tokens(*row).len();
    let longest: Vec<usize> =
        slots.iter().map(|(rows, _)| rows.iter().map(length).max().unwrap_or(0)).collect();
    let width = longest.iter().copied().max().unwrap_or(0).max(1);
    let padded = slots.iter().any(|(rows, _)| rows.iter().any(|row| length(row) < width));
    let size = slots.len() * rows;
    let mut ids = vec![i64::try_from(padding).expect("token ids are small"); size * width];
    let mut mask = vec![if padded { MASKED } else { 0.0 }; if padded { size * width } else { 0 }];
    let mut labels = vec![0_i64; size];
    let mut weights = vec![0.0_f32; size];
    for (k, (slot, weight)) in slots.iter().enumerate() {
        for (b, row) in slot.iter().enumerate() {
            let at = k * rows + b;
            let tokens = part.tokens(*row);
            for (place, token) in ids[at * width..].iter_mut().zip(tokens) {
                *place = i64::from(*token);
            }
            if padded {
                mask[at * width..at * width + tokens.len()].fill(0.0);
            }
            labels[at] = i64::from(part.label(*row));
            #[expect(
                clippy::cast_possible_truncation,
                reason = "weights are shares, single precision is enough"
            )]
            let weight = *weight as f32;
            weights[at] = weight;
        }
    }
    let shape = [index(slots.len()), index(rows), index(width)];
    let mask = padded
        .then(|| Tensor::from_slice(&mask).view([shape[0] * shape[1], 1, 1, shape[2]]).to_device(device));
    let inputs = Inputs {
        shape,
        ids: Tensor::from_slice(&ids).view(shape).to_device(device),
        token_types: None,
        mask,
    };
    Batch {
        inputs,
        labels: Tensor::from_slice(&labels).view([shape[0], shape[1]]).to_device(device),
        weights: Tensor::from_slice(&weights).view([shape[0], shape[1]]).to_device(device),
        sizes: slots
            .iter()
            .zip(&longest)
            .map(|((rows, _), longest)| [index(rows.len()), index(*longest)])
            .collect(),
    }
}

/// Cross-entropy of logits `[K, B, C]` with labels `[K, B]`, per row, in nats.
pub fn row_losses(logits: &Tensor, labels: &Tensor) -> Tensor {
    let size = labels.size();
    let classes = *logits.size().last().expect("logits have classes");
    let flat = logits.view([-1, classes]).to_kind(Kind::Float);
    flat.cross_entropy_loss::<&Tensor>(&labels.view([-1]), None, tch::Reduction::None, -100, 0.0)
        .view(size.as_slice())
}
