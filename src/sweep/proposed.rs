//! Owns how a sweep grows by points that are proposed while it runs: which come next, and what it is with those so far.
//! Pure: what was proposed and what came of it is told to it.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Block, SweepSpec};
use crate::search::{Draw, Generation, Sampler, Tried, propose};
use crate::values::{ConfigurationId, ContentHash, Point, Proposed, TrialId};

/// How a sweep goes on after the first generation of points, which is among its configurations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposing {
    /// How points are chosen.
    pub sampler: Sampler,
    /// What is drawn with.
    pub seed: u64,
    /// Points of each block, in all generations.
    pub trials: u32,
    /// Points of a generation of each block.
    pub generation: u32,
    /// Seconds that all runs of the sweep may take together; no further generation begins that would take longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_s: Option<f64>,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// Points that a space is searched for at most, to know whether it has more.
const MOST_LISTED: usize = 512;

impl Proposing {
    /// The next generation of a block's points, after those that were tried. There are none after the last one.
    #[must_use]
    pub fn next(&self, block: &Block, history: &[Tried]) -> Vec<Point> {
        let before = u32::try_from(history.len()).unwrap_or(u32::MAX);
        let size = self.generation.min(self.trials.saturating_sub(before));
        match self.sampler {
            Sampler::Tpe => {
                let generation = Generation { seed: self.seed, before, size: size as usize };
                propose(&block.space, history, generation, &|point| block.fits(point))
            }
            sampler @ (Sampler::Grid | Sampler::Sobol | Sampler::Random) => {
                let draw = Draw { sampler, seed: self.seed };
                (before..).take(size as usize).map(|number| block.space.drawn(draw, number)).collect()
            }
        }
    }

    /// What tells each block from all whose points would be others: what they are drawn with and from, in which
    /// generations, and what they are trained with. Tasks and seeds do not count: a further one is one of all points.
    #[must_use]
    pub fn keys(&self) -> Vec<ContentHash> {
        let mut keys: Vec<ContentHash> = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let drawn = Block { repeats: Vec::new(), given: block.given.deciding(), ..block.clone() };
            let key =
                |twin: usize| ContentHash::of_json(&(self.sampler, self.seed, self.generation, &drawn, twin));
            // Of blocks that differ only in their tasks or seeds each is a search of its own.
            let key = (0..).map(key).find(|key| !keys.contains(key));
            keys.extend(key);
        }
        keys
    }

    /// The points of each block so far, in the order of their proposal: those of the first generation, which the sweep
    /// file gives, and those that were proposed since, as many as are asked for.
    #[must_use]
    pub fn points(&self, proposed: &[Proposed]) -> Vec<Vec<Point>> {
        let of_block = |(block, key): (&Block, ContentHash)| -> Vec<Point> {
            let since =
                proposed.iter().filter(|one| one.block == key).flat_map(|one| one.points.iter().cloned());
            let all = self.next(block, &[]).into_iter().chain(since);
            all.filter(|point| block.space.holds(point)).take(self.trials as usize).collect()
        };
        self.blocks.iter().zip(self.keys()).map(of_block).collect()
    }

    /// How many points are asked for and not proposed yet, in all blocks. A large space may have fewer, which is not
    /// known before.
    #[must_use]
    pub fn left(&self, proposed: &[Proposed]) -> usize {
        let points = self.points(proposed);
        let blocks = self.blocks.iter().zip(points);
        blocks.map(|(block, points)| self.most(block, &points).saturating_sub(points.len())).sum()
    }

    /// How many points a block can have that has these.
    fn most(&self, block: &Block, points: &[Point]) -> usize {
        let (trials, first) = (self.trials as usize, self.generation.min(self.trials) as usize);
        if !self.learns() {
            // Those that repeat others count.
            trials
        } else if points.len() < first {
            // The first generation found no more.
            points.len()
        } else {
            let all = block.space.all(MOST_LISTED);
            all.map_or(trials, |all| trials.min(all.iter().filter(|point| block.fits(point)).count()))
        }
    }

    /// Whether points follow from what came of others.
    fn learns(&self) -> bool {
        self.sampler == Sampler::Tpe
    }

    /// How many points all blocks have at once.
    #[must_use]
    pub fn at_once(&self) -> usize {
        self.generation as usize * self.blocks.len()
    }

    /// How long each generation took that is over, in the mean, where all runs took so long; nothing where none is.
    #[must_use]
    pub fn mean(&self, spent: Duration, proposed: &[Proposed]) -> Duration {
        let known: usize = self.points(proposed).iter().map(Vec::len).sum();
        let over = u32::try_from(known / self.at_once().max(1)).unwrap_or(u32::MAX).saturating_sub(1);
        spent.checked_div(over).unwrap_or_default()
    }

    /// How long the generations may take that are not proposed yet, if `each` takes so long, and the budget leaves as
    /// much once all runs have taken this long.
    #[must_use]
    pub fn beyond(&self, each: Duration, by_then: Duration, proposed: &[Proposed]) -> Duration {
        let left = self.left(proposed).div_ceil(self.at_once().max(1)) as f64;
        let seconds = each.as_secs_f64();
        let fit = |budget_s: f64| ((budget_s - by_then.as_secs_f64()) / seconds.max(1e-3)).floor().max(0.0);
        let left = self.budget_s.map_or(left, |budget_s| left.min(fit(budget_s)));
        each.mul_f64(left)
    }
}

impl SweepSpec {
    /// The trials of all points so far of blocks that have more to come.
    #[must_use]
    pub fn searched(&self, proposed: &[Proposed]) -> HashSet<TrialId> {
        let Some(proposing) = &self.proposing else { return HashSet::new() };
        let points = proposing.blocks.iter().zip(proposing.points(proposed));
        let all = points.flat_map(|(block, points)| points.into_iter().map(move |point| (block, point)));
        let configurations = all.flat_map(|(block, point)| self.configurations_of(block, &point));
        configurations.flat_map(|one| self.trials_of(&one)).map(|trial| trial.id).collect()
    }

    /// The sweep with the configurations of all points that were proposed so far, each once, after its own: generation by
    /// generation, as a run finds them.
    ///
    /// # Panics
    /// Never: the configurations of a checked block's points are such as a check accepts.
    #[must_use]
    pub fn grown(&self, proposed: &[Proposed]) -> Self {
        let Some(proposing) = &self.proposing else { return self.clone() };
        let (keys, points) = (proposing.keys(), proposing.points(proposed));
        let mut known: HashSet<ConfigurationId> = self.configurations.iter().map(|one| one.id).collect();
        let mut configurations = self.configurations.clone();
        let since = proposed.iter().filter_map(|one| {
            let block = keys.iter().position(|key| *key == one.block)?;
            let of_block = &points[block];
            Some(
                one.points
                    .iter()
                    .filter(move |point| of_block.contains(point))
                    .map(move |point| (block, point)),
            )
        });
        for (block, point) in since.flatten() {
            let all = self.configurations_of(&proposing.blocks[block], point);
            configurations.extend(all.into_iter().filter(|one| known.insert(one.id)));
        }
        let grown = self.with(|parts| parts.configurations = configurations);
        grown.expect("the configurations of a checked block are checked ones")
    }
}
