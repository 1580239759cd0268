//! Owns the grouping of a record's long frames: spreads over trials, means over folds and over seeds, learning
//! curves, epochs. Each is an expression on a frame of `long`. Knows no configuration and no statistics beyond
//! those of a group. Pure.
//!
//! A number that is undefined for one trial of a group has no mean there: no trial is left out of an average.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::{DataFrame, NamedFrom, PolarsResult, Series, StringChunked, UInt32Chunked};
use polars_lazy::prelude::{Expr, IntoLazy, JoinArgs, JoinType, LazyFrame, NULL, col, len, lit, when};

use super::curves::Curve;
use super::long::{DONE, EPOCH, FOLD, GROUP, NAME, NUMBER, SEED, STEP, TRIAL, VALUE, name};
use super::statistics::Spread;

const MEAN: &str = "mean";
const STD: &str = "std";
const MIN: &str = "min";
const MAX: &str = "max";
const COUNT: &str = "count";
/// Index of a configuration that is the same on several tasks.
const POOL: &str = "pool";

/// Values by the keys of a group, and by the name of the number.
pub(super) type ByName<const N: usize, Value> = HashMap<[u32; N], BTreeMap<String, Value>>;

/// A record's results, grouped.
pub(super) struct Grouped {
    /// Over all trials of a group.
    pub(super) spreads: ByName<1, Spread>,
    /// Over a group's trials with one seed.
    pub(super) seeds: ByName<2, Spread>,
    /// Means over a group's trials on one fold.
    pub(super) folds: ByName<2, Spread>,
    /// Over the seeds of a group; a seed's value is its mean over folds.
    pub(super) over_seeds: ByName<1, Spread>,
    /// Optimiser steps of a group's first finished trial.
    pub(super) steps: ByName<1, f64>,
}

impl Grouped {
    /// Groups a record's results.
    ///
    /// # Errors
    /// Only if the frame lacked a column.
    pub(super) fn of(results: &DataFrame) -> PolarsResult<Self> {
        let results = || results.clone().lazy();
        let by_seed = moments(results(), &[GROUP, SEED]).filter(col(MEAN).is_not_null());
        let seeds = by_seed.select([col(GROUP), col(NAME), col(MEAN).alias(VALUE)]);
        Ok(Self {
            spreads: spreads(results(), [GROUP])?,
            seeds: spreads(results(), [GROUP, SEED])?,
            folds: spreads(results(), [GROUP, FOLD])?,
            over_seeds: spreads(seeds, [GROUP])?,
            steps: values(results().filter(col(NAME).eq(lit(name::STEPS))), [GROUP], col(VALUE).first())?,
        })
    }
}

/// Moments of each number in each group of these keys; null where a value is.
fn moments(frame: LazyFrame, keys: &[&str]) -> LazyFrame {
    let keys: Vec<Expr> = keys.iter().chain(&[NAME]).map(|key| col(*key)).collect();
    let whole = |value: Expr| when(col(VALUE).null_count().eq(lit(0))).then(value).otherwise(lit(NULL));
    frame.group_by_stable(keys).agg([
        len().alias(COUNT),
        whole(col(VALUE).mean()).alias(MEAN),
        whole(col(VALUE).std(1)).alias(STD),
        whole(col(VALUE).min()).alias(MIN),
        whole(col(VALUE).max()).alias(MAX),
    ])
}

/// The spread of each number in each group of these keys.
fn spreads<const N: usize>(frame: LazyFrame, keys: [&str; N]) -> PolarsResult<ByName<N, Spread>> {
    let frame = moments(frame, &keys).filter(col(MEAN).is_not_null()).collect()?;
    let rows = Rows::of(&frame, keys)?;
    let (n, std) = (frame.column(COUNT)?.u32()?, frame.column(STD)?.f64()?);
    let [mean, min, max] = [MEAN, MIN, MAX].map(|name| reals(&frame, name));
    let (mean, min, max) = (mean?, min?, max?);
    Ok(rows.collect(|row| {
        let n = n.get(row).map_or(0, |n| n as usize);
        Spread::of_moments(n, mean[row], std.get(row), (min[row], max[row]))
    }))
}

/// One value of each number in each group of these keys, where it is not null.
fn values<const N: usize>(frame: LazyFrame, keys: [&str; N], value: Expr) -> PolarsResult<ByName<N, f64>> {
    let by: Vec<Expr> = keys.iter().chain(&[NAME]).map(|key| col(*key)).collect();
    let frame = frame.group_by_stable(by).agg([value]).filter(col(VALUE).is_not_null()).collect()?;
    let (rows, values) = (Rows::of(&frame, keys)?, reals(&frame, VALUE)?);
    Ok(rows.collect(|row| values[row]))
}

/// The curve of each number of the course, over the trials of each group of these keys. Measurements are matched
/// by their index in the trial. Where any trial of the group is done, only done ones are averaged, so that a
/// curve has the same trials throughout.
///
/// # Errors
/// Only if the frame lacked a column.
pub(super) fn curves<const N: usize>(course: &DataFrame, keys: [&str; N]) -> PolarsResult<ByName<N, Curve>> {
    let over = keys.map(col);
    let any_done = col(DONE).any(true).over(&over)?;
    let named: Vec<Expr> = over.iter().cloned().chain([col(NAME)]).collect();
    let numbered: Vec<Expr> = named.iter().cloned().chain([col(NUMBER)]).collect();
    let points = course
        .clone()
        .lazy()
        .filter(col(NUMBER).is_not_null())
        .filter(col(DONE).or(any_done.not()))
        .group_by_stable(numbered)
        .agg([
            len().alias(COUNT),
            col(STEP).mean(),
            col(VALUE).mean().alias(MEAN),
            col(VALUE).min().alias(MIN),
            col(VALUE).max().alias(MAX),
        ])
        .filter(col(COUNT).eq(col(COUNT).max().over(&named)?))
        .collect()?;
    let rows = Rows::of(&points, keys)?;
    let trials = points.column(COUNT)?.u32()?;
    let [step, mean, low, high] = [STEP, MEAN, MIN, MAX].map(|name| reals(&points, name));
    let (step, mean, low, high) = (step?, mean?, low?, high?);
    let mut curves: ByName<N, Curve> = HashMap::new();
    for row in 0..points.height() {
        let (keys, name) = rows.key(row);
        let curve = curves.entry(keys).or_default().entry(name).or_default();
        curve.steps.push(step[row]);
        curve.mean.push(mean[row]);
        curve.low.push(low[row]);
        curve.high.push(high[row]);
        curve.folds = trials.get(row).map_or(0, |n| n as usize);
    }
    Ok(curves)
}

/// For each group and epoch: the mean training loss in it, and the means of the last scores in it, over done
/// trials.
///
/// # Errors
/// Only if the frame lacked a column.
pub(super) fn epochs(course: &DataFrame, loss: &str) -> PolarsResult<ByName<2, f64>> {
    let done = || course.clone().lazy().filter(col(DONE).and(col(EPOCH).gt(lit(0))));
    let of_trial = |frame: LazyFrame, value: Expr| {
        frame.group_by_stable([col(GROUP), col(TRIAL), col(EPOCH), col(NAME)]).agg([value])
    };
    let is_loss = || col(NAME).eq(lit(loss.to_owned()));
    let mut means =
        values(of_trial(done().filter(is_loss()), col(VALUE).mean()), [GROUP, EPOCH], col(VALUE).mean())?;
    let scores = of_trial(done().filter(is_loss().not()), col(VALUE).last()).filter(col(VALUE).is_not_null());
    for (key, scores) in values(scores, [GROUP, EPOCH], col(VALUE).mean())? {
        means.entry(key).or_default().extend(scores);
    }
    Ok(means)
}

/// Numbers over tasks: each is averaged over the trials of a group, and then over the groups of a pool, in which
/// each has the same weight. `pools` has a row for each group that takes part: group and pool.
///
/// # Errors
/// Only if a frame lacked a column.
pub(super) fn over_tasks(results: &DataFrame, pools: DataFrame) -> PolarsResult<ByName<1, Spread>> {
    let joined = joined(results, pools);
    let of_task = moments(joined, &[POOL, GROUP]).select([col(POOL), col(NAME), col(MEAN).alias(VALUE)]);
    spreads(of_task, [POOL])
}

/// Numbers over all trials of a pool: see [`over_tasks`].
///
/// # Errors
/// Only if a frame lacked a column.
pub(super) fn over_trials(results: &DataFrame, pools: DataFrame) -> PolarsResult<ByName<1, f64>> {
    values(joined(results, pools), [POOL], col(VALUE).sum())
}

/// Which groups take part in which pool, as a frame.
///
/// # Errors
/// Only if two columns had the same name.
pub(super) fn members(groups: &[u32], pools: &[u32]) -> PolarsResult<DataFrame> {
    let column = |name: &str, values: &[u32]| Series::new(name.into(), values).into();
    DataFrame::new(groups.len(), vec![column(GROUP, groups), column(POOL, pools)])
}

fn joined(results: &DataFrame, pools: DataFrame) -> LazyFrame {
    let on = [col(GROUP)];
    results.clone().lazy().join(pools.lazy(), &on, &on, JoinArgs::new(JoinType::Inner))
}

/// The keys of a grouped frame's rows.
struct Rows<'a, const N: usize> {
    keys: [&'a UInt32Chunked; N],
    names: &'a StringChunked,
}

impl<'a, const N: usize> Rows<'a, N> {
    fn of(frame: &'a DataFrame, keys: [&str; N]) -> PolarsResult<Self> {
        let mut found = Vec::with_capacity(N);
        for key in keys {
            found.push(frame.column(key)?.u32()?);
        }
        let keys = found.try_into().unwrap_or_else(|_| unreachable!("one column for each key"));
        Ok(Self { keys, names: frame.column(NAME)?.str()? })
    }

    fn key(&self, row: usize) -> ([u32; N], String) {
        let name = self.names.get(row).unwrap_or_default().to_owned();
        (self.keys.map(|key| key.get(row).unwrap_or_default()), name)
    }

    fn collect<Value>(&self, value: impl Fn(usize) -> Value) -> ByName<N, Value> {
        let mut found: ByName<N, Value> = HashMap::new();
        for row in 0..self.names.len() {
            let (keys, name) = self.key(row);
            found.entry(keys).or_default().insert(name, value(row));
        }
        found
    }
}

/// A column without gaps.
fn reals(frame: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    Ok(frame.column(name)?.f64()?.into_no_null_iter().collect())
}
