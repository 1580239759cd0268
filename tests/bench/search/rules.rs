//! Owns which rules are compared. Replays none.

use lorasweep::search::{ComparedOn, Stop, StopRule};
use lorasweep::values::Metric;

use crate::replay::Rule;

/// The whole grid.
pub(crate) const WHOLE: Rule =
    Rule { label: "the whole grid", stop: None, rungs_at: 1.0, not_before: 0.0, knows_plateaus: true };

fn with(label: &'static str, stop: Stop, change: impl Fn(&mut StopRule)) -> Rule {
    let mut rule = StopRule::new(stop);
    change(&mut rule);
    Rule { label, stop: Some(rule), ..WHOLE }
}

/// The same rule with its first rung at this share of the steps, the others as much earlier or later, and none put off.
fn first_rung_at(label: &'static str, share: f64, rule: Rule) -> Rule {
    let first = rule.stop.map_or(1.0, |stop| stop.rungs()[0]);
    Rule { label, rungs_at: share / first, knows_plateaus: false, ..rule }
}

/// The same rule with a single rung, at this share of the steps, and that not put off.
fn one_rung_at(label: &'static str, share: f64, rule: Rule) -> Rule {
    // Rungs that would stand before this share stand there, all in one.
    let not_before = 0.9;
    Rule { label, rungs_at: share / not_before, not_before, knows_plateaus: false, ..rule }
}

/// The rules as a sweep file names them.
pub(crate) fn defaults() -> [Rule; 2] {
    [with("**`halving`**", Stop::Halving, |_| {}), with("**`median`**", Stop::Median, |_| {})]
}

/// All rules of the table. "After one epoch" is what trains everything for one of two epochs, and then the best to its
/// end.
pub(crate) fn all() -> Vec<Rule> {
    let [halving, median] = defaults();
    let best_alone = with("", Stop::Halving, |rule| rule.keep = 1e-3);
    vec![
        WHOLE,
        halving,
        with("`halving`, half kept", Stop::Halving, |rule| rule.keep = 0.5),
        with("`halving`, a quarter kept", Stop::Halving, |rule| rule.keep = 0.25),
        with("`halving` by accuracy", Stop::Halving, |rule| rule.by = Some(Metric::Accuracy)),
        with("`halving` on all folds", Stop::Halving, |rule| rule.compared_on = ComparedOn::All),
        Rule { label: "`halving`, never put off", knows_plateaus: false, ..halving },
        first_rung_at("the same, rungs at 10 and 20 %", 0.1, halving),
        first_rung_at("the same, rungs at 20 and 40 %", 0.2, halving),
        one_rung_at("the same, one rung at 40 %", 0.4, halving),
        median,
        with("`median` by accuracy", Stop::Median, |rule| rule.by = Some(Metric::Accuracy)),
        with("`median` on all folds", Stop::Median, |rule| rule.compared_on = ComparedOn::All),
        Rule { label: "`median`, never put off", knows_plateaus: false, ..median },
        one_rung_at("after one epoch, a third kept", 0.5, halving),
        one_rung_at("after one epoch, the best kept", 0.5, best_alone),
    ]
}
