//! Owns the keys of `search`. Reads nothing.

use super::{SEED, Section, TEXT, choice, count, key, number};
use crate::search::{Baselines, ComparedOn, MOST_POINTS, Sampler, Stop, Ties};
use crate::values::Range;

pub(super) static SEARCH: Section = Section {
    name: "search",
    doc: "How configurations are drawn where an axis of a block has a range, and which are stopped early",
    groups: &[&[
        key(
            "sampler",
            choice(Sampler::WORDS),
            "How points are chosen (default: sobol where an axis has a range)",
        ),
        key(
            "trials",
            count(1, MOST_POINTS as u64),
            "Configurations of each block with a range; blocks without run whole",
        ),
        key(
            "generation",
            count(1, 1_000),
            "tpe, or with a budget: configurations that are proposed at once, when those before are over (default: 8)",
        ),
        key(
            "budget",
            TEXT,
            "Time for all runs of the sweep together, such as 90m or 2h: no further generation begins that would end later (default: none)",
        ),
        key("seed", SEED, "Seed of the draw (default: 42)"),
        key(
            "stop",
            choice(Stop::WORDS),
            "How configurations that cannot win are stopped early (default: none are)",
        ),
        key(
            "keep",
            number(Range::OpenShare),
            "Share that goes on at each rung (default: a third for halving, half for median)",
        ),
        key("rank_by", TEXT, "Metric of the validation rows that ranks them (default: the loss)"),
        key(
            "ties",
            choice(Ties::WORDS),
            "Which go on with the last one that does: exact, those with its score; noise, those that are no worse by more than the standard error of the difference over the same rows (default: exact)",
        ),
        key(
            "folds",
            choice(ComparedOn::WORDS),
            "staged: they are compared on the first fold and seed, and those that come through get the others; all: on all (default: staged)",
        ),
        key(
            "baselines",
            choice(Baselines::WORDS),
            "Whether full and scratch train whole, or may be stopped (default: whole)",
        ),
    ]],
    lists: false,
    chooser: None,
};
