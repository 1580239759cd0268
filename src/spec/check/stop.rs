//! Owns the check of what is stopped early. Pure.

use std::sync::Arc;

use super::select::on_all;
use crate::search::{StopRule, Ties};
use crate::spec::error::Report;
use crate::spec::raw::RawSweep;
use crate::values::Configuration;

/// The rule of the sweep; `None` where nothing is stopped, or an error was reported.
pub(super) fn check(raw: &RawSweep, report: &mut Report) -> Option<StopRule> {
    let search = raw.search.as_ref()?;
    let of = &search.stop;
    let by = of.rank_by.as_ref().and_then(|at| on_all(raw, "`rank_by`", at, report));
    let Some(stop) = of.stop.as_ref().and_then(|at| at.value) else {
        let unused = [
            of.keep.as_ref().map(|at| (at.place, "keep")),
            of.rank_by.as_ref().map(|at| (at.place, "rank_by")),
            of.ties.as_ref().map(|at| (at.place, "ties")),
            of.folds.as_ref().map(|at| (at.place, "folds")),
            of.baselines.as_ref().map(|at| (at.place, "baselines")),
        ];
        for (place, key) in unused.into_iter().flatten() {
            report.warn(place, format!("`{key}` changes nothing, since `stop` is not `halving` or `median`"));
        }
        return None;
    };
    let usual = StopRule::new(stop);
    let rule = StopRule {
        keep: of.keep.as_ref().map_or(usual.keep, |at| at.value),
        by,
        ties: of.ties.as_ref().map_or(usual.ties, |at| at.value),
        compared_on: of.folds.as_ref().map_or(usual.compared_on, |at| at.value),
        baselines: of.baselines.as_ref().map_or(usual.baselines, |at| at.value),
        ..usual
    };
    if let (Ties::Noise, Some(by), Some(ties)) = (rule.ties, rule.by, &of.ties) {
        let message = format!(
            "`ties: noise` compares losses, while `rank_by: {}` ranks: a configuration with a small loss goes on whatever \
             its rank",
            by.name()
        );
        report.warn(ties.place, message);
    }
    Some(rule)
}

/// Warns where no configuration that may be stopped is validated before its last step.
pub(super) fn warn_of_no_rung(
    raw: &RawSweep,
    rule: Option<&StopRule>,
    configurations: &[Arc<Configuration>],
    report: &mut Report,
) {
    let stop = raw.search.as_ref().and_then(|search| search.stop.stop.as_ref());
    let (Some(rule), Some(stop)) = (rule, stop) else { return };
    let may_stop = |one: &&Arc<Configuration>| rule.may_stop(&one.method);
    let is_late =
        |one: &Arc<Configuration>| one.training.evaluate_every.is_none() && one.training.epochs <= 1.0;
    let mut compared = configurations.iter().filter(may_stop).peekable();
    if compared.peek().is_some() && compared.all(is_late) {
        let message = "no configuration that may be stopped is validated before its last step, so that only its other folds \
                       and seeds can be; set `evaluate_every` to a tenth of the steps or so";
        report.warn(stop.place, message.to_owned());
    }
}
