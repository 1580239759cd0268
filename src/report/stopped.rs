//! Owns the sentences on what was stopped early: by which rule, what it saved, and what it leaves unknown. Sentences
//! that the terminal shows too have no full stop. Pure.

use std::sync::Arc;

use crate::search::{ComparedOn, Stop, StopRule, Ties};
use crate::values::axes::{self, SEED};
use crate::values::{MethodKind, Metric, quantity};

use super::entry::Entry;
use super::findings::{Findings, TaskFindings};
use super::format;
use super::left::{Left, Rung, Saved};
use super::measure::Measure;

/// With more values of an axis than this that only stopped configurations have, they are not listed.
const MOST_VALUES: usize = 6;
/// With more rungs than this, the terminal tells of all in one line.
const MOST_RUNGS: usize = 4;

/// What was stopped early, in the opening of a report; nothing where nothing was.
#[must_use]
pub(super) fn told(findings: &Findings<'_>) -> Vec<String> {
    if findings.stopped().next().is_none() {
        return Vec::new();
    }
    let mut told = vec![counted(findings)];
    told.extend(saved(findings));
    told.extend(close(findings));
    told.push(unknown(findings));
    told
}

fn counted(findings: &Findings<'_>) -> String {
    let proposed: usize = findings.tasks.iter().map(TaskFindings::tried).sum();
    let stopped = findings.stopped().count();
    let by_hand = findings.stopped().filter(|entry| rung(entry).is_none()).count();
    let mut said = format!(
        "Stopped early: {stopped} of {} that were proposed",
        quantity::counted(proposed, "configuration")
    );
    match findings.record.sweep.stop.filter(|_| by_hand < stopped) {
        Some(rule) => {
            said += &format!(", by {}", ruled(findings, &rule));
            if by_hand > 0 {
                said += &format!("; {by_hand} of them by hand");
            }
            said += &whole(findings, &rule);
        }
        None if by_hand == stopped => said += ", by hand",
        None => {}
    }
    said + "."
}

/// A sentence on the configurations that a rule does not stop; empty without any.
fn whole(findings: &Findings<'_>, rule: &StopRule) -> String {
    let is_whole =
        |entry: &&Entry| !entry.summary.is_base() && !rule.may_stop(&entry.summary.configuration.method);
    let whole: Vec<&Entry> = findings.entries().filter(is_whole).collect();
    let methods =
        MethodKind::ALL.iter().filter(|kind| whole.iter().any(|one| one.summary.method() == **kind));
    let methods: Vec<&str> = methods.map(|kind| kind.title()).collect();
    match whole.len() {
        0 => String::new(),
        1 => format!(". One configuration ({}) is not compared so and runs whole", methods.concat()),
        n => format!(". {n} configurations ({}) are not compared so and run whole", methods.join(", ")),
    }
}

/// A rule in words: `halving: the best third goes on by validation loss on the first fold, at …`.
pub(super) fn ruled(findings: &Findings<'_>, rule: &StopRule) -> String {
    let name = match rule.stop {
        Stop::Halving => "halving",
        Stop::Median => "the median rule",
    };
    let share = if (rule.keep - 1.0 / 3.0).abs() < 1e-9 {
        "the best third goes on".to_owned()
    } else if (rule.keep - 0.5).abs() < 1e-9 {
        "the best half goes on".to_owned()
    } else {
        format!("the best {} % go on", format::percent(rule.keep))
    };
    let rungs: Vec<String> = rule.rungs().iter().map(|share| format!("{:.0} %", 100.0 * share)).collect();
    let rungs = match rungs.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        Some(_) | None => rungs.concat(),
    };
    let by = rule.by.map_or("loss", Metric::title);
    let ties = match rule.ties {
        Ties::Exact => "",
        Ties::Noise => ", and with it what has no larger loss beyond the noise of single rows",
    };
    format!(
        "{name}: {share} by validation {by}{}{ties}, at the first validation after {rungs} of the steps or later",
        compared_on(findings, rule)
    )
}

/// On which rows configurations are compared: ` on the first fold`; empty where there is one split and one seed.
fn compared_on(findings: &Findings<'_>, rule: &StopRule) -> String {
    let folds = findings.record.sweep.splitting.splits() > 1;
    let what = match (folds, findings.seeds() > 1) {
        (false, false) => return String::new(),
        (true, false) => ["fold", "folds"],
        (false, true) => ["seed", "seeds"],
        (true, true) => ["fold and seed", "folds and seeds"],
    };
    match rule.compared_on {
        ComparedOn::First => format!(" on the first {}", what[0]),
        ComparedOn::All => format!(" over all {}", what[1]),
    }
}

fn saved(findings: &Findings<'_>) -> Option<String> {
    let Saved { all, stoppable, left_out } = Saved::of(findings.record)?;
    let of_all = format!("{} % of all optimiser steps", percent(left_out, all));
    Some(if stoppable < all {
        let of_stoppable = percent(left_out, stoppable);
        format!(
            "That left out {of_stoppable} % of the optimiser steps of the configurations that could be stopped, and \
             {of_all}."
        )
    } else {
        format!("That left out {of_all}.")
    })
}

#[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
fn percent(part: u64, whole: u64) -> String {
    format::percent(part as f64 / whole.max(1) as f64)
}

/// How many missed the last one that was kept by less than the standard error of their own loss; `None` without any.
fn close(findings: &Findings<'_>) -> Option<String> {
    let left = || findings.stopped().filter_map(|entry| entry.left.as_ref());
    let is_close = |left: &&Left| left.margin().zip(left.error).is_some_and(|(margin, error)| margin < error);
    let known = left().filter(|left| left.margin().is_some() && left.error.is_some()).count();
    let close = left().filter(is_close).count();
    (close > 0).then(|| {
        format!(
            "{close} of {known} were behind the last one that was kept by less than the standard error of their own \
             loss over rows: it may be chance that these were stopped."
        )
    })
}

/// What is not known of those that were stopped.
fn unknown(findings: &Findings<'_>) -> String {
    let mut said = "What the stopped ones would have scored is not known and not estimated: one whose curve would have \
                    crossed those of the others later is missed, and so is the effect of what only stopped ones have"
        .to_owned();
    let only = only_stopped(findings);
    if !only.is_empty() {
        said += &format!(" ({})", only.join("; "));
    }
    said + "."
}

/// The settings that only stopped configurations have: `learning rate 1e-4, 2e-2`. Drawn values are all different.
fn only_stopped(findings: &Findings<'_>) -> Vec<String> {
    let of = |entry: &'_ Entry| Arc::clone(&entry.summary.configuration);
    let stopped: Vec<_> = findings.stopped().map(of).collect();
    let ranked = findings.tasks.iter().flat_map(|task| &task.entries);
    let ranked: Vec<_> = ranked.filter(|entry| !entry.summary.is_base()).map(of).collect();
    let ranges = findings.record.sweep.drawn.iter().flat_map(|drawn| &drawn.ranges);
    let is_drawn = |name: &str| ranges.clone().any(|range| range.axis == name);
    let listed = axes::shown().filter(|axis| axis.name != SEED && !is_drawn(axis.name)).filter_map(|axis| {
        let mut values: Vec<String> = Vec::new();
        for value in stopped.iter().filter_map(|one| axis.value(one)) {
            if !values.contains(&value) && ranked.iter().all(|one| axis.value(one).as_ref() != Some(&value)) {
                values.push(value);
            }
        }
        let is_told =
            (1..=MOST_VALUES).contains(&values.len()) && ranked.iter().any(|one| axis.get(one).is_some());
        is_told.then(|| format!("{} {}", axis.title, values.join(", ")))
    });
    listed.collect()
}

/// The scores of the best configurations without the fold by which some of them went on to the others; `None` where
/// none did so.
#[must_use]
pub(super) fn without_first_fold(task: &TaskFindings<'_>) -> Option<String> {
    let measure = task.measure;
    let best: Vec<&Entry> =
        task.best_per_method().into_iter().filter(|entry| !entry.summary.is_base()).collect();
    let fold = best.iter().find_map(|entry| entry.summary.compared_on)?;
    let score = |entry: &&Entry| {
        let (others, all) = (entry.summary.without(fold)?, entry.summary.over_folds()?);
        let (others, all) = (measure.said(&measure.value(others.mean)), measure.value(all.mean));
        let apart = if entry.summary.compared_on.is_none() { ", and was not compared there" } else { "" };
        Some(format!("{} has {others}, with it {all}{apart}", entry.label))
    };
    let scores: Vec<String> = best.iter().filter_map(score).collect();
    Some(format!(
        "Validation fold {} decided which configurations went on to the other folds, and tends to flatter these. Without it {}.",
        fold + 1,
        scores.join("; ")
    ))
}

/// Those that were stopped at each rung, a line each, for the terminal.
#[must_use]
pub(super) fn by_rung(findings: &Findings<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut by_hand = 0;
    for task in &findings.tasks {
        let of = if findings.has_tasks() { format!("{}: ", task.task.name) } else { String::new() };
        let left: Vec<&Left> = task.stopped.iter().filter_map(|entry| entry.left.as_ref()).collect();
        by_hand += left.iter().filter(|left| left.rung.is_none()).count();
        let at_rungs: Vec<&Left> = left.into_iter().filter(|left| left.rung.is_some()).collect();
        let same = |a: &&Left, b: &&Left| a.rung.map(key) == b.rung.map(key);
        let mut rungs: Vec<&[&Left]> = at_rungs.chunk_by(same).collect();
        rungs.sort_by_key(|here| here[0].rung.map(key));
        lines.extend(rungs.into_iter().map(|here| of.clone() + &line(task, here)));
    }
    if lines.len() > MOST_RUNGS {
        let stopped = findings.stopped().count() - by_hand;
        let all = quantity::counted(findings.tasks.iter().map(TaskFindings::tried).sum(), "configuration");
        lines = vec![format!(
            "{stopped} of {all} stopped early, at {} rungs: the report lists them",
            lines.len()
        )];
    }
    if by_hand > 0 {
        lines.push(format!("{} stopped by hand", quantity::counted(by_hand, "configuration")));
    }
    lines
}

fn key(rung: Rung) -> (usize, usize) {
    (rung.bracket, rung.number)
}

/// The line of a rung: who was stopped there, and how far from the last one that was kept.
fn line(task: &TaskFindings<'_>, here: &[&Left]) -> String {
    let Some((first, rung)) = here.first().and_then(|first| Some((first, first.rung?))) else {
        return String::new();
    };
    let measure = Measure::new(first.metric, &task.task.objective);
    let of_steps = first.steps.map_or_else(String::new, |steps| format!(" of {steps}"));
    let step = here.iter().map(|left| left.step).max().unwrap_or_default();
    let mut said = format!("{} of {} stopped early after step {step}{of_steps}", here.len(), rung.of);
    let scores: Vec<f64> = here.iter().filter_map(|left| left.score).collect();
    let (low, high) =
        scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if let [_, ..] = scores[..] {
        let span = match scores.len() {
            1 => measure.value(low),
            _ => format!("{} to {}", measure.value(low), measure.value(high)),
        };
        said += &format!(" with {}", measure.said(&span));
        if let Some(kept) = rung.last_kept {
            said += &format!("; the last one kept had {}", measure.value(kept));
        }
    }
    said
}

fn rung(entry: &Entry) -> Option<Rung> {
    entry.left.as_ref()?.rung
}

/// How configurations are left out of what is computed.
pub(super) const NOTE: &str = "Configurations that were stopped early are censored: they have no mean over folds and \
    no rank, and are part of no comparison, interval, front or map. Their curves end where they were stopped. They \
    count among those that were tried. No mean is over trials that were stopped and trials that finished.";
