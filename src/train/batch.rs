//! Owns the batches of a pack, made from rows of a token store. Pads to the longest row, no further.

use tch::{Device, Kind, Tensor};

use crate::data::store::PartView;
use crate::model::params::index;
use crate::model::{InputRow, Inputs, device};
use crate::tasks::{Prediction, RowTarget, Target, TaskKind};

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
    /// The values to be predicted, `[K, N]`: classes or token ids in 64-bit integers, or numbers in 32 bits; or
    /// `[K, N, C]`, 1 for each class that a row has and 0 for others, in 32 bits.
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
        let second = if self.kind.by_token() { row.tokens.len() } else { row.second as usize };
        InputRow { tokens: row.tokens, second }
    }

    fn targets(&self, part: &PartView, slots: &[(&[u32], f64)], width: usize) -> Targets {
        let predictions: Vec<Vec<(i64, Wanted<'_>)>> =
            slots.iter().map(|(rows, _)| predictions(self.kind, part, rows, width)).collect();
        let most = predictions.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let size = slots.len() * most;
        let (kind, classes) = match self.kind.fields().target() {
            Target::None | Target::Class { .. } => (Kind::Int64, 1),
            Target::Number { .. } => (Kind::Float, 1),
            Target::Classes { .. } => (Kind::Float, self.kind.labels().len()),
        };
        let (mut positions, mut wanted) = (vec![0_i64; size], vec![0.0_f64; size * classes]);
        let mut weights = vec![0.0_f64; size];
        for (k, (slot, (_, weight))) in predictions.iter().zip(slots).enumerate() {
            for (at, (position, value)) in (k * most..).zip(slot) {
                (positions[at], weights[at]) = (*position, *weight);
                match value {
                    // Whole numbers up to 2^53 are exact in 64 bits.
                    Wanted::Number(number) => wanted[at * classes] = *number,
                    Wanted::Classes(all) => {
                        all.iter().for_each(|class| wanted[at * classes + *class as usize] = 1.0);
                    }
                }
            }
        }
        let shape = [slots.len(), most].map(index);
        let wanted = Tensor::from_slice(&wanted).to_kind(kind);
        Targets {
            positions: self.kind.by_token().then(|| Tensor::from_slice(&positions).view(shape)),
            wanted: if classes == 1 && kind == Kind::Int64 || self.kind.fields().has_numbers() {
                wanted.view(shape)
            } else {
                wanted.view([shape[0], shape[1], index(classes)])
            },
            weights: Tensor::from_slice(&weights).to_kind(Kind::Float).view(shape),
        }
    }
}

/// What is to be predicted in one place.
#[derive(Clone, Copy, Debug)]
enum Wanted<'a> {
    /// A number, or the index of a class or token.
    Number(f64),
    /// The indices of any number of classes.
    Classes(&'a [u32]),
}

/// The targets of rows of `width` tokens, row by row: the token that is read, counted over all rows, and what is
/// to be predicted from it.
fn predictions<'p>(
    kind: &dyn TaskKind,
    part: &'p PartView,
    rows: &[u32],
    width: usize,
) -> Vec<(i64, Wanted<'p>)> {
    let of_row = |(b, row): (usize, &u32)| {
        let row = part.row(*row);
        let Some(tokens) = kind.predictions(row) else {
            let wanted = match row.target {
                RowTarget::Class(class) => Wanted::Number(f64::from(class)),
                RowTarget::Number(number) => Wanted::Number(number),
                RowTarget::List(classes) => Wanted::Classes(classes),
            };
            return vec![(index(b * width), wanted)];
        };
        let read =
            |at: Prediction| (index(b * width + at.reads as usize), Wanted::Number(f64::from(at.wanted)));
        tokens.into_iter().map(read).collect()
    };
    rows.iter().enumerate().flat_map(of_row).collect()
}
