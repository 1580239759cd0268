//! Owns evaluation: one slot's weights over some rows, in order of length, without dropout. Keeps nothing
//! and chooses nothing.

use tch::{Device, Kind};

use super::batch::{assemble, row_losses};
use super::metrics::Tally;
use crate::data::batches;
use crate::data::store::PartView;
use crate::model::Model;
use crate::model::pass::Pass;
use crate::outcome::Scores;

/// Most tokens in one evaluation batch, padding counted: enough to keep the cores busy, little
/// enough to stay in the cache.
const BATCH_TOKENS: usize = 4096;

/// The scores of a one-slot classifier on these rows of a part.
#[must_use]
pub fn evaluate(
    model: &Model,
    part: &PartView,
    rows: &[u32],
    (classes, padding): (usize, usize),
    device: Device,
) -> Scores {
    let mut tally = Tally::new(classes);
    tch::no_grad(|| {
        for rows in batches::evaluation(rows, &part.lengths(), BATCH_TOKENS) {
            let batch = assemble(part, &[(&rows, 1.0)], padding, device);
            let logits = model.classify(&batch.inputs, &mut Pass::evaluation());
            tally.add_loss(row_losses(&logits, &batch.labels).sum(Kind::Double).double_value(&[]));
            let guesses = logits.argmax(-1, false).view([-1]).to_device(Device::Cpu);
            let guesses = Vec::<i64>::try_from(guesses).expect("argmax gives 64-bit integers");
            for (row, guess) in rows.iter().zip(guesses) {
                tally.add(part.label(*row) as usize, usize::try_from(guess).expect("classes count from 0"));
            }
        }
    });
    Scores::Classification(tally.scores())
}
