//! Owns the batches of a pack, made from rows of a token store. Pads to the longest row, no further.

use tch::{Device, Kind, Tensor};

use crate::data::store::PartView;
use crate::model::params::index;
use crate::model::{InputRow, Inputs, device};
use crate::tasks::TaskKind;

/// Inputs and labels of one forward pass.
#[derive(Debug)]
pub struct Batch {
    /// The model's input.
    pub inputs: Inputs,
    /// The values to be predicted.
    pub targets: Targets,
}

/// The predictions that a batch asks for: N per slot, in the order of the rows, padded at the end.
#[derive(Debug)]
pub struct Targets {
    /// Tokens after which the predicted ones come, as `[K, N]` indices into B * T, 64-bit integers; `None`
    /// where each row has its own target, so that N = B.
    pub positions: Option<Tensor>,
    /// The values to be predicted, `[K, N]`: classes or token ids in 64-bit integers, or numbers in 32 bits.
    pub wanted: Tensor,
    /// Weight of each prediction in its slot's loss, `[K, N]`; 0 for padding.
    pub weights: Tensor,
}

/// How rows become batches, the same for all slots of a pack.
#[derive(Clone, Copy, Debug)]
pub struct Collator<'a> {
    /// The kind of task, which defines the targets.
    pub kind: &'a dyn TaskKind,
    /// Id of the padding token.
    pub padding: usize,
    /// The device of the batches.
    pub device: Device,
}

impl Batch {
    fn tensors(&mut self) -> impl Iterator<Item = &mut Tensor> {
        let Targets { positions, wanted, weights } = &mut self.targets;
        self.inputs.tensors().chain(positions).chain([wanted, weights])
    }
}

impl Collator<'_> {
    /// A batch from one list of rows per slot, with the weight of each of the slot's predictions in its loss.
    /// Slots with fewer rows than others are padded with empty rows.
    #[must_use]
    pub fn collate(&self, part: &PartView, slots: &[(&[u32], f64)]) -> Batch {
        let mut batch = self.on_host(part, slots);
        device::send_together(batch.tensors().collect(), self.device);
        batch
    }

    /// Several batches, which go to the device together.
    #[must_use]
    pub fn collate_all(&self, part: &PartView, batches: &[Vec<(&[u32], f64)>]) -> Vec<Batch> {
        let mut batches: Vec<Batch> = batches.iter().map(|slots| self.on_host(part, slots)).collect();
        device::send_together(batches.iter_mut().flat_map(Batch::tensors).collect(), self.device);
        batches
    }

    fn on_host(&self, part: &PartView, slots: &[(&[u32], f64)]) -> Batch {
        let inputs: Vec<Vec<InputRow<'_>>> =
            slots.iter().map(|(rows, _)| rows.iter().map(|row| self.input(part, *row)).collect()).collect();
        let inputs = Inputs::of_rows(&inputs, self.padding);
        let width = usize::try_from(inputs.shape[2]).expect("rows are short");
        Batch { inputs, targets: self.targets(part, slots, width) }
    }

    /// A row as the model reads it. Tokens that are to be predicted are of the same type as those before
    /// them.
    fn input<'p>(&self, part: &'p PartView, row: u32) -> InputRow<'p> {
        let row = part.row(row);
        let second = match self.kind.predicted(row) {
            None => row.second as usize,
            Some(_) => row.tokens.len(),
        };
        InputRow { tokens: row.tokens, second }
    }

    fn targets(&self, part: &PartView, slots: &[(&[u32], f64)], width: usize) -> Targets {
        let predictions: Vec<Vec<(i64, f64)>> =
            slots.iter().map(|(rows, _)| predictions(self.kind, part, rows, width)).collect();
        let most = predictions.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let size = slots.len() * most;
        let (mut positions, mut wanted) = (vec![0_i64; size], vec![0.0_f64; size]);
        let mut weights = vec![0.0_f64; size];
        for (k, (slot, (_, weight))) in predictions.iter().zip(slots).enumerate() {
            for (at, (position, value)) in (k * most..).zip(slot) {
                (positions[at], wanted[at], weights[at]) = (*position, *value, *weight);
            }
        }
        let shape = [slots.len(), most].map(index);
        // Whole numbers up to 2^53 are exact in 64 bits.
        let numbers = self.kind.fields().has_numbers();
        let kind = if numbers { Kind::Float } else { Kind::Int64 };
        Targets {
            positions: self.kind.by_token().then(|| Tensor::from_slice(&positions).view(shape)),
            wanted: Tensor::from_slice(&wanted).to_kind(kind).view(shape),
            weights: Tensor::from_slice(&weights).to_kind(Kind::Float).view(shape),
        }
    }
}

/// The targets of rows of `width` tokens, row by row: the token after which each comes, counted over all rows,
/// and the class, number or token.
fn predictions(kind: &dyn TaskKind, part: &PartView, rows: &[u32], width: usize) -> Vec<(i64, f64)> {
    let of_row = |(b, row): (usize, &u32)| {
        let row = part.row(*row);
        match kind.predicted(row) {
            None => vec![(index(b * width), row.target.as_number())],
            Some(tokens) => tokens.map(|t| (index(b * width + t - 1), f64::from(row.tokens[t]))).collect(),
        }
    };
    rows.iter().enumerate().flat_map(of_row).collect()
}
