//! Owns greedy generation: prompts of different lengths in one batch, with every token computed once. Trains
//! nothing and samples nothing.

use tch::{Device, Kind, Tensor};

use super::attention::{Cache, Visibility};
use super::device;
use super::inputs::UNSEEN;
use super::layer::Layer;
use super::params::index;
use super::pass::Pass;
use super::transformer::Model;

/// Prompts and their continuations so far. Prompts are padded on the left, so that all rows continue in the
/// same column.
struct Rows {
    /// Column where each prompt begins, `[B]`.
    starts: Tensor,
    answers: Vec<Vec<u32>>,
    /// Longest allowed answer of each prompt, in tokens.
    limits: Vec<usize>,
    ended: Vec<bool>,
}

impl Model {
    /// The most likely token after each prompt, and so on, as transformers' `generate(do_sample=False)`: until
    /// any of `ends`, which is left out, for at most `max_new` tokens, and within the model's longest sequence. For one
    /// slot. An empty prompt has no answer.
    /// # Panics
    /// For a classifier.
    #[must_use]
    pub fn generate(&self, prompts: &[&[u32]], max_new: usize, ends: &[u32]) -> Vec<Vec<u32>> {
        let device = self.embeddings.words.device();
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let mut rows = Rows::new(prompts, longest, (max_new, self.max_length), device);
        tch::no_grad(|| {
            let cache = |_: &Layer| Cache::new(index(longest + max_new));
            let mut caches: Vec<Cache> = self.layers.iter().map(cache).collect();
            let (mut ids, mut column) = (left_padded(prompts, longest, device), 0);
            while !rows.ended.iter().all(|ended| *ended) {
                let next = self.next(&ids, column, &rows.starts, &mut caches);
                column += ids.size()[1];
                ids = next.unsqueeze(1);
                rows.push(&next, ends);
            }
        });
        rows.answers
    }

    /// The most likely next tokens, `[B]`, after `ids` `[B, n]` in the columns from `column` on.
    fn next(&self, ids: &Tensor, column: i64, starts: &Tensor, caches: &mut [Cache]) -> Tensor {
        let (batch, new) = (ids.size()[0], ids.size()[1]);
        let columns = Tensor::arange_start(column, column + new, (Kind::Int64, ids.device()));
        // Columns before a prompt or after a finished answer have no position of their own.
        let positions = (&columns - starts.view([-1, 1])).clamp(0, index(self.max_length) - 1);
        let (mask, turns) = (mask(&columns, column + new, starts), self.turns(&positions));
        let pass = &mut Pass::evaluation();
        let mut x = self.embeddings.at(&ids.reshape([1, -1]), &positions.view([1, -1]), pass);
        for (layer, cache) in self.layers.iter().zip(caches) {
            x = layer.forward(
                &x,
                None,
                Visibility::Cached { cache, column, mask: &mask, turns: &turns },
                pass,
            );
        }
        let last = x.view([batch, new, -1]).select(1, -1).unsqueeze(0);
        self.token_logits(&self.normed(&last)).argmax(-1, false).view([-1])
    }
}

impl Rows {
    fn new(
        prompts: &[&[u32]],
        longest: usize,
        (max_new, max_length): (usize, usize),
        device: Device,
    ) -> Self {
        // The last new token is never read, so it needs no position.
        let limit = |prompt: &&[u32]| match prompt.len() {
            0 => 0,
            n => max_new.min((max_length + 1).saturating_sub(n)),
        };
        let limits: Vec<usize> = prompts.iter().map(limit).collect();
        let starts: Vec<i64> = prompts.iter().map(|prompt| index(longest - prompt.len())).collect();
        Self {
            starts: device::send(&Tensor::from_slice(&starts), device),
            answers: vec![Vec::new(); prompts.len()],
            ended: limits.iter().map(|limit| *limit == 0).collect(),
            limits,
        }
    }

    fn push(&mut self, next: &Tensor, ends: &[u32]) {
        let next = Vec::<i64>::try_from(next.to_device(Device::Cpu)).expect("argmax gives 64-bit integers");
        for (row, token) in next.into_iter().enumerate() {
            if self.ended[row] {
                continue;
            }
            let token = u32::try_from(token).expect("vocabularies are small");
            let ends = ends.contains(&token);
            if !ends {
                self.answers[row].push(token);
            }
            self.ended[row] = ends || self.answers[row].len() == self.limits[row];
        }
    }
}

fn left_padded(prompts: &[&[u32]], longest: usize, device: Device) -> Tensor {
    let mut ids = vec![0_i64; prompts.len() * longest];
    for (row, prompt) in prompts.iter().enumerate() {
        let end = (row + 1) * longest;
        for (place, token) in ids[end - prompt.len()..end].iter_mut().zip(*prompt) {
            *place = i64::from(*token);
        }
    }
    device::send(&Tensor::from_slice(&ids).view([index(prompts.len()), index(longest)]), device)
}

/// `[B, 1, n, so_far]`: which columns the new tokens in `columns` can see, from the start of their prompt to
/// themselves.
fn mask(columns: &Tensor, so_far: i64, starts: &Tensor) -> Tensor {
    let keys = Tensor::arange(so_far, (Kind::Int64, columns.device())).view([1, 1, 1, -1]);
    let before = keys.lt_tensor(&starts.view([-1, 1, 1, 1]));
    let behind = keys.gt_tensor(&columns.view([1, 1, -1, 1]));
    before.logical_or(&behind).to_kind(Kind::Float) * f64::from(UNSEEN)
}
