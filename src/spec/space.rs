//! Owns the space of a block with ranges: a dimension for each axis that is drawn, and what it sets. Draws nothing.

use super::grid::{self, groups};
use super::point::{Given, LABEL_SMOOTHING, METHOD, MODEL, repeats};
use super::raw::{Form, RawAxis, RawBlock};
use crate::search::{Condition, Dimension, Values};
use crate::sweep::{Block, Lists, Row, Sets};
use crate::values::axes::AXES;
use crate::values::{MethodKind, Setting};

/// The space of a block. Lists come first, in the file's order, with axes that move together in one dimension; then
/// axes that are multiples of others, each of which has the dimension of its factors.
pub(super) fn of(block: &RawBlock, training: &[RawAxis], only: &[RawAxis]) -> Block {
    let mut of_block = Block {
        repeats: repeated(block),
        given: given(training),
        exclude: block.exclusions.iter().map(|exclusion| lists(exclusion.axes.iter())).collect(),
        only: lists(only.iter()),
        ..Block::default()
    };
    let groups: Vec<Vec<&RawAxis>> = groups(block)
        .into_iter()
        .filter(|group| !group.iter().any(|axis| repeats(axis.row) || axis.tie().is_some()))
        .collect();
    let methods = methods(&groups);
    let mut add = |rows: &[usize], values: Values, sets: Sets| {
        let only = methods.as_ref().and_then(|methods| methods.having(rows));
        of_block.space.dimensions.push(Dimension { values, only });
        of_block.sets.push(sets);
    };
    for group in &groups {
        let rows: Vec<usize> = group.iter().map(|axis| axis.row).collect();
        match group.as_slice() {
            [RawAxis { row, form: Form::Spread(spread), .. }] => {
                add(&rows, Values::Range(*spread), Sets::Number(Row(*row)));
            }
            group => {
                let count = group.iter().map(|axis| axis.values.len()).min().unwrap_or(0);
                let order = if let [axis] = group { order(axis) } else { Vec::new() };
                add(&rows, Values::List { count, order }, Sets::Lists(lists(group.iter().copied())));
            }
        }
    }
    for axis in &block.axes {
        let Some(tie) = axis.tie() else { continue };
        // One that moves with a task has its multiples there, and one that is not there is reported already.
        let other = groups.iter().flatten().find(|other| other.name() == tie.times.value);
        let Some(other) = other else { continue };
        let by: Vec<f64> = tie.by.iter().map(|by| by.value).collect();
        let values = Values::List { count: by.len(), order: sizes(&by) };
        add(&[axis.row], values, Sets::Multiple { axis: Row(axis.row), times: Row(other.row), by });
    }
    of_block
}

/// The methods of a block, and the dimension that they are in.
struct Methods {
    dimension: usize,
    items: Vec<MethodKind>,
}

fn methods(groups: &[Vec<&RawAxis>]) -> Option<Methods> {
    let is_it = |axis: &&&RawAxis| axis.row == METHOD;
    let dimension = groups.iter().position(|group| group.iter().any(|axis| is_it(&axis)))?;
    let axis = groups[dimension].iter().find(is_it)?;
    let items = axis.values.iter().map(Given::method).collect::<Option<_>>()?;
    Some(Methods { dimension, items })
}

impl Methods {
    /// The condition of a dimension with these axes; `None` where every method has one of them.
    fn having(&self, rows: &[usize]) -> Option<Condition> {
        let has = |method: &MethodKind| rows.iter().any(|row| AXES[*row].applies_to(*method));
        let items: Vec<usize> = (0..self.items.len()).filter(|item| has(&self.items[*item])).collect();
        (items.len() < self.items.len()).then_some(Condition { dimension: self.dimension, items })
    }
}

/// How many numbers of a list are smaller than each; empty where they are no numbers.
fn order(axis: &RawAxis) -> Vec<usize> {
    let numbers: Option<Vec<f64>> = axis.values.iter().map(|given| given.setting.number()).collect();
    numbers.map(|numbers| sizes(&numbers)).unwrap_or_default()
}

fn sizes(numbers: &[f64]) -> Vec<usize> {
    numbers.iter().map(|one| numbers.iter().filter(|other| *other < one).count()).collect()
}

/// The values of axes.
fn lists<'a>(axes: impl Iterator<Item = &'a RawAxis>) -> Lists {
    let settings = |axis: &RawAxis| axis.values.iter().map(|given| given.setting.clone()).collect();
    axes.map(|axis| (axis.row, settings(axis))).collect()
}

/// What `training` gives.
fn given(training: &[RawAxis]) -> Lists {
    let last = |axis: &RawAxis| Some((axis.row, vec![axis.values.last()?.setting.clone()]));
    training.iter().filter_map(last).collect()
}

/// What each point of a block is combined with.
fn repeated(block: &RawBlock) -> Vec<Lists> {
    let of = |steps: Vec<Vec<(usize, Setting)>>| -> Lists {
        let mut lists: Vec<(usize, Vec<Setting>)> = Vec::new();
        for (row, setting) in steps.into_iter().flatten() {
            match lists.iter_mut().find(|(known, _)| *known == row) {
                Some((_, settings)) => settings.push(setting),
                None => lists.push((row, vec![setting])),
            }
        }
        lists.into_iter().collect()
    };
    grid::repeated(block).into_iter().map(of).collect()
}

/// A block with every combination that a check of tasks, models and methods tells apart, among those of the points that
/// may be proposed in a block: its ranges have their ends as values, and other axes one of theirs.
pub(super) fn outline(block: &RawBlock) -> RawBlock {
    let is_told_apart = |axis: &RawAxis| tells_apart(axis.row);
    let exclusions = block.exclusions.iter().filter(|one| one.axes.iter().all(is_told_apart));
    RawBlock {
        place: block.place,
        axes: block.axes.iter().map(|axis| outlined(block, axis)).collect(),
        zips: block.zips.clone(),
        exclusions: exclusions.cloned().collect(),
        drawn: None,
        outline: None,
    }
}

/// Whether checks of points tell them apart by this axis.
pub(super) fn tells_apart(row: usize) -> bool {
    repeats(row) || matches!(row, MODEL | METHOD | LABEL_SMOOTHING) || AXES[row].domain.is_list()
}

fn outlined(block: &RawBlock, axis: &RawAxis) -> RawAxis {
    let mut axis = axis.clone();
    let is_zipped = block.zips.iter().any(|zip| zip.value.iter().any(|name| name.value == axis.name()));
    if let Form::Spread(spread) = axis.form {
        let end = |value| Given { setting: spread.setting(value), place: axis.place, items: Vec::new() };
        axis.values = vec![end(spread.low), end(spread.high)];
        axis.form = Form::Listed;
    } else if !is_zipped && !tells_apart(axis.row) {
        axis.values.truncate(1);
    }
    axis
}
