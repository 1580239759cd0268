//! Owns how a sweep grows by points that are proposed while it runs: which come next, and what it is with those so far.
//! Pure: what was proposed and what came of it is told to it.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Block, SweepSpec};
use crate::search::{Draw, Generation, Sampler, Tried, propose};
use crate::values::{ConfigurationId, ContentHash, Point};

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

/// A generation of a block's points, as a journal holds it: the block's key, and the points.
pub type Proposed = (ContentHash, Vec<Point>);

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

    /// Whether what comes next depends on what came of the points before.
    #[must_use]
    pub fn learns(&self) -> bool {
        self.sampler == Sampler::Tpe
    }

    /// What tells a block from all whose points would be others: what they are drawn with and from, and in which
    /// generations. What each point is combined with does not count: a further task or seed is one of all points.
    #[must_use]
    pub fn key(&self, block: &Block) -> ContentHash {
        let drawn = Block { space: block.space.clone(), sets: block.sets.clone(), ..Block::default() };
        ContentHash::of_json(&(self.sampler, self.seed, self.generation, drawn))
    }

    /// The points of a block so far, in the order of their proposal: those of the first generation, which the sweep
    /// file gives, and those that were proposed since, as many as are asked for.
    #[must_use]
    pub fn points(&self, block: &Block, proposed: &[Proposed]) -> Vec<Point> {
        let key = self.key(block);
        let since =
            proposed.iter().filter(|(of, _)| *of == key).flat_map(|(_, points)| points.iter().cloned());
        let all = self.next(block, &[]).into_iter().chain(since);
        all.filter(|point| block.space.holds(point)).take(self.trials as usize).collect()
    }

    /// How long the generations may take that are not proposed yet, if each takes as long as the one at hand, after what
    /// all runs have `spent` before that.
    #[must_use]
    pub fn beyond(&self, at_hand: Duration, spent: Duration, proposed: &[Proposed]) -> Duration {
        let generation = (self.generation as usize * self.blocks.len()).max(1);
        let all = at_hand.mul_f64(self.left(proposed) as f64 / generation as f64);
        let budget = self.budget_s.and_then(|budget_s| Duration::try_from_secs_f64(budget_s).ok());
        budget.map_or(all, |budget| all.min(budget.saturating_sub(spent + at_hand)))
    }

    /// How many points are asked for and not proposed yet, in all blocks. A space may have fewer.
    #[must_use]
    pub fn left(&self, proposed: &[Proposed]) -> usize {
        let left = |block: &Block| (self.trials as usize).saturating_sub(self.points(block, proposed).len());
        self.blocks.iter().map(left).sum()
    }
}

impl SweepSpec {
    /// The sweep with the configurations of all points that were proposed so far, each once, after its own.
    ///
    /// # Panics
    /// Never: the configurations of a checked block's points are such as a check accepts.
    #[must_use]
    pub fn grown(&self, proposed: &[Proposed]) -> Self {
        let Some(proposing) = &self.proposing else { return self.clone() };
        let mut known: HashSet<ConfigurationId> = self.configurations.iter().map(|one| one.id).collect();
        let mut configurations = self.configurations.clone();
        for block in &proposing.blocks {
            for point in proposing.points(block, proposed) {
                let all = self.configurations_of(block, &point);
                configurations.extend(all.into_iter().filter(|one| known.insert(one.id)));
            }
        }
        let grown = self.with(|parts| parts.configurations = configurations);
        grown.expect("the configurations of a checked block are checked ones")
    }
}
