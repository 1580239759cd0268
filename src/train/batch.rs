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

/// The rows of a batch that a slot sees.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'r> {
    /// The rows.
    pub rows: &'r [u32],
    /// The weight of each prediction in the slot's loss.
    pub weight: f64,
    /// What else multiplies it, by the row's class.
    pub classes: Option<&'r [f64]>,
}

impl<'r> Seen<'r> {
    /// Rows of which each prediction has this weight.
    #[must_use]
    pub fn of(rows: &'r [u32], weight: f64) -> Self {
        Self { rows, weight, classes: None }
    }
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
    /// A batch from one list of rows per slot. Slots with fewer rows than others are padded with empty rows.
    #[must_use]
    pub fn collate(&self, part: &PartView, slots: &[Seen<'_>]) -> Batch {
        let mut batch = self.on_host(part, slots);
        device::send_together(batch.tensors().collect(), self.device);
        batch
    }

    /// Several batches, which go to the device together.
    #[must_use]
    pub fn collate_all(&self, part: &PartView, batches: &[Vec<Seen<'_>>]) -> Vec<Batch> {
        let mut batches: Vec<Batch> = batches.iter().map(|slots| self.on_host(part, slots)).collect();
        device::send_together(batches.iter_mut().flat_map(Batch::tensors).collect(), self.device);
        batches
    }

    fn on_host(&self, part: &PartView, slots: &[Seen<'_>]) -> Batch {
        let inputs: Vec<Vec<InputRow<'_>>> =
            slots.iter().map(|slot| slot.rows.iter().map(|row| self.input(part, *row)).collect()).collect();
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

    fn targets(&self, part: &PartView, slots: &[Seen<'_>], width: usize) -> Targets {
        let wanted: Vec<Vec<Wanted<'_>>> =
            slots.iter().map(|slot| wanted(self.kind, part, *slot, width)).collect();
        let most = wanted.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let (kind, classes) = match self.kind.fields().target() {
            Target::None | Target::Class { .. } => (Kind::Int64, None),
            Target::Number { .. } => (Kind::Float, None),
            Target::Classes { .. } => (Kind::Float, Some(self.kind.labels().len())),
        };
        let (size, each) = (slots.len() * most, classes.unwrap_or(1));
        let (mut positions, mut values) = (vec![0_i64; size], vec![0.0_f64; size * each]);
        let mut weights = vec![0.0_f64; size];
        for (k, slot) in wanted.iter().enumerate() {
            for (at, wanted) in (k * most..).zip(slot) {
                (positions[at], weights[at]) = (wanted.position, wanted.weight);
                match wanted.value {
                    // Whole numbers up to 2^53 are exact in 64 bits.
                    Value::Number(number) => values[at * each] = number,
                    Value::Classes(all) => {
                        all.iter().for_each(|class| values[at * each + *class as usize] = 1.0)
                    }
                }
            }
        }
        let shape = [slots.len(), most].map(index);
        let full: Vec<i64> = shape.into_iter().chain(classes.map(index)).collect();
        Targets {
            positions: self.kind.by_token().then(|| Tensor::from_slice(&positions).view(shape)),
            wanted: Tensor::from_slice(&values).to_kind(kind).view(full.as_slice()),
            weights: Tensor::from_slice(&weights).to_kind(Kind::Float).view(shape),
        }
    }
}

/// What a row weighs by its class.
pub(super) fn class_weight(target: RowTarget<&[u32]>, classes: &[f64]) -> f64 {
    target.class().and_then(|class| classes.get(class as usize)).copied().unwrap_or(1.0)
}

/// What is to be predicted in one place.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    /// The token that is read, counted over all rows.
    position: i64,
    value: Value<'a>,
    /// Its weight in the slot's loss.
    weight: f64,
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    /// A number, or the index of a class or token.
    Number(f64),
    /// The indices of any number of classes.
    Classes(&'a [u32]),
}

/// What is to be predicted in rows of `width` tokens, row by row.
fn wanted<'p>(kind: &dyn TaskKind, part: &'p PartView, slot: Seen<'_>, width: usize) -> Vec<Wanted<'p>> {
    let of_row = |(b, row): (usize, &u32)| {
        let row = part.row(*row);
        let weight = slot.weight * slot.classes.map_or(1.0, |classes| class_weight(row.target, classes));
        let Some(tokens) = kind.predictions(row) else {
            let value = match row.target {
                RowTarget::Class(class) => Value::Number(f64::from(class)),
                RowTarget::Number(number) => Value::Number(number),
                RowTarget::List(classes) => Value::Classes(classes),
            };
            return vec![Wanted { position: index(b * width), value, weight }];
        };
        let read = |at: Prediction| Wanted {
            position: index(b * width + at.reads as usize),
            value: Value::Number(f64::from(at.wanted)),
            weight,
        };
        tokens.into_iter().map(read).collect()
    };
    slot.rows.iter().enumerate().flat_map(of_row).collect()
}
