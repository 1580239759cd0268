//! Owns the figures that are told of a rule, and the tables of them. Replays, and decides nothing.

use crate::grid::Grid;
use crate::replay::{Field, Rule, replay};

/// A rule on one decision problem: a grid and the fold that comes first.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    /// Share of the candidates' steps that was not trained.
    pub(crate) saved: f64,
    /// The same with what is never stopped among the steps.
    pub(crate) saved_of_all: f64,
    /// By how much the choice is worse than that of the whole grid, in points of mean accuracy: on the validation rows,
    /// on which both choose, and on the test rows.
    pub(crate) validation: f64,
    pub(crate) test: f64,
    /// Whether the choice of the whole grid was stopped.
    pub(crate) lost: bool,
}

impl Figures {
    fn of(grid: &Grid, rule: &Rule, field: &Field, first: usize) -> Self {
        let outcome = replay(grid, rule, field, first, false);
        let all = grid.steps();
        let scores = |number: Option<usize>| number.and_then(|n| grid.candidates[n].scores());
        let best = grid.best(0..grid.candidates.len());
        let untrained = (grid.majority, grid.majority);
        let (wanted, had) = (
            scores(best).unwrap_or(untrained),
            scores(grid.best(outcome.whole.iter().copied())).unwrap_or(untrained),
        );
        let saved = (all - outcome.steps) as f64;
        Self {
            saved: saved / all as f64,
            saved_of_all: saved / (all + grid.baseline_steps) as f64,
            validation: 100.0 * (wanted.0 - had.0),
            test: 100.0 * (wanted.1 - had.1),
            lost: best.is_some_and(|best| !outcome.whole.contains(&best)),
        }
    }

    /// A rule on each of these grids, each fold being the first once.
    pub(crate) fn on(grids: &[Grid], rule: &Rule) -> Vec<Self> {
        let mut figures = Vec::new();
        let mut field = Field::of(&grids[0], rule);
        for grid in grids {
            if !field.is_of(grid) {
                field = Field::of(grid, rule);
            }
            figures
                .extend((0..grid.candidates[0].folds.len()).map(|first| Self::of(grid, rule, &field, first)));
        }
        figures
    }
}

pub(crate) fn mean(of: &[Figures], what: impl Fn(&Figures) -> f64) -> f64 {
    of.iter().map(what).sum::<f64>() / of.len() as f64
}

fn worst(of: &[Figures], what: impl Fn(&Figures) -> f64) -> f64 {
    of.iter().map(what).fold(f64::NEG_INFINITY, f64::max)
}

/// How often the choice of the whole grid was stopped.
pub(crate) fn lost(of: &[Figures]) -> usize {
    of.iter().filter(|one| one.lost).count()
}

/// One row for each rule.
pub(crate) fn of_grids(grids: &[Grid], rules: &[Rule]) -> String {
    let mut table = "| rule | steps saved, % | with the baseline | worse on validation, points: mean, worst \
                     | on test: mean, worst | best one stopped |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for rule in rules {
        let of = Figures::on(grids, rule);
        let points = |what: fn(&Figures) -> f64| format!("{:.1}, {:.1}", mean(&of, what), worst(&of, what));
        table += &format!(
            "| {} | {:.0} | {:.0} | {} | {} | {} of {} |\n",
            rule.label,
            100.0 * mean(&of, |one| one.saved),
            100.0 * mean(&of, |one| one.saved_of_all),
            points(|one| one.validation),
            points(|one| one.test),
            lost(&of),
            of.len(),
        )
        .replace("-0.0", "0.0");
    }
    table
}

/// One row for each rule, and a column for each kind of grids.
pub(crate) fn of_kinds(kinds: &[(String, Vec<Grid>)], rules: &[Rule]) -> String {
    let names: Vec<&str> = kinds.iter().map(|(name, _)| name.as_str()).collect();
    let mut table = format!("| rule | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(kinds.len()));
    for rule in rules {
        let cells = kinds.iter().map(|(_, grids)| {
            let of = Figures::on(grids, rule);
            let stopped = 100.0 * lost(&of) as f64 / of.len() as f64;
            let saved = 100.0 * mean(&of, |one| one.saved);
            format!("{saved:.0}; {stopped:.0}; {:.1}", mean(&of, |one| one.test)).replace("-0.0", "0.0")
        });
        table += &format!("| {} | {} |\n", rule.label, cells.collect::<Vec<String>>().join(" | "));
    }
    table
}
