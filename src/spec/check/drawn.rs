//! Owns what the record of a sweep says of its draw. Draws nothing.

use crate::search::{Sampler, Scale, Spread};
use crate::spec::raw::{RawAxis, RawSweep};
use crate::spec::value::Tie;
use crate::sweep::{Drawn, DrawnRange};

/// How the points of blocks with a range were drawn; `None` where none has one.
pub(in crate::spec) fn drawn(raw: &RawSweep) -> Option<Drawn> {
    let search = raw.search.as_ref()?;
    let blocks = || raw.grid.iter().filter(|block| block.drawn.is_some());
    blocks().next()?;
    let sampler = search.sampler.as_ref().map_or(Sampler::Sobol, |at| at.value);
    let word = Sampler::WORDS.iter().find(|word| Sampler::of(word) == Some(sampler))?;
    let mut ranges: Vec<DrawnRange> = Vec::new();
    for range in blocks().flat_map(|block| &block.axes).filter_map(range) {
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    Some(Drawn {
        sampler: (*word).to_owned(),
        trials: search.trials.as_ref()?.value,
        seed: search.seed,
        ranges,
    })
}

/// An axis with a range, or a multiple of another; `None` where it has a list.
fn range(axis: &RawAxis) -> Option<DrawnRange> {
    let written = axis.spread().map(of_spread).or_else(|| axis.tie().map(of_tie))?;
    Some(DrawnRange { axis: axis.name().to_owned(), written })
}

fn of_spread(spread: &Spread) -> String {
    let scale = match spread.scale {
        Scale::Linear => "uniform",
        Scale::Log => "log_uniform",
    };
    let whole = if spread.whole { "int_" } else { "" };
    format!("{whole}{scale} [{}, {}]", number(spread.low), number(spread.high))
}

fn of_tie(tie: &Tie) -> String {
    let by: Vec<String> = tie.by.iter().map(|by| number(by.value)).collect();
    format!("{} × {}", tie.times.value, by.join(" or "))
}

/// A number as people write it: `0.1`, `1e-4`.
fn number(number: f64) -> String {
    let plain = number.to_string();
    let short = format!("{number:e}");
    if short.len() < plain.len() { short } else { plain }
}
