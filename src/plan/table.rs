//! Owns the overview of a plan as plain text. Computes nothing and prints nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use comfy_table::{Cell, CellAlignment, Table};

use crate::cost::Basis;
use crate::plan::overview::{
    Bound, ConfigurationRow, JobKind, JobRow, Overview, Stopping, ToPropose, TrialRow,
};
use crate::values::axes::{self, Axis};
use crate::values::{Configuration, TrialId, quantity};

/// Lines of a table, in comfy-table's order: only one, below the header.
const RULE_BELOW_HEADER: &str = "     ──            ";
/// Shown where there is no value.
const NONE: &str = "–";
/// Most configurations that are listed one by one; a longer list would not be read.
const LISTED: usize = 200;

/// The overview as text for the terminal: configurations, jobs, predicted cost. No colours; no blanks at the
/// ends of lines and no final line feed.
#[must_use]
pub fn table(overview: &Overview) -> String {
    let todo: HashSet<TrialId> = overview.jobs.iter().flat_map(|job| job.trials.iter().copied()).collect();
    let predicted = &overview.predicted;
    [
        format!(
            "{}: {}, {}{}, {} to run{}",
            overview.sweep,
            quantity::counted(overview.configurations.len(), "configuration"),
            quantity::counted(overview.trials.len(), "trial"),
            earlier(overview),
            todo.len(),
            stopping(overview),
        ),
        configurations(&overview.configurations),
        graph(overview),
        jobs(overview),
        format!(
            "predicted on {}: {} (no schedule is shorter than {}: {}), {} of memory, {} of disk",
            overview.resources,
            quantity::predicted(predicted.duration_s),
            quantity::predicted(predicted.lower_bound_s),
            match predicted.bound_by {
                Bound::Places => "training keeps all of it busy that long",
                Bound::LongestPack => "the longest pack trains that long",
                Bound::Beside => "preparation and reports take that long",
            },
            quantity::mib(predicted.mem_mib),
            quantity::mib(predicted.disk_mib),
        ) + basis(overview.basis)
            + &to_propose(overview.to_propose.as_ref()),
    ]
    .join("\n\n")
}

/// What the predicted times rest on.
fn basis(basis: Option<Basis>) -> &'static str {
    match basis {
        Some(Basis::Assumed) => {
            "\nthese are guesses until trials have run here; later plans use what those took"
        }
        Some(Basis::Similar) => "\nfrom what other trials took here",
        Some(Basis::Measured) => "\nfrom what such trials took here",
        None => "",
    }
}

/// What is not known yet, and what is assumed of it.
fn to_propose(beyond: Option<&ToPropose>) -> String {
    let Some(ToPropose { points, at_once, assumed_s, budget_s }) = beyond else { return String::new() };
    let points_told = quantity::counted(*points, "further point");
    if let Some(budget_s) = budget_s.filter(|_| *assumed_s <= 0.0) {
        let budget = quantity::predicted(budget_s);
        return format!("\nthe budget of {budget} leaves no time for {points_told}; a larger `budget` does");
    }
    let budget = budget_s.map_or_else(String::new, |budget_s| {
        format!(" as long as the budget of {} lasts,", quantity::predicted(budget_s))
    });
    format!(
        "\nnot in this prediction: {}, proposed {at_once} at a time{budget} when those before are over; {} more, if each \
         time takes as long",
        points_told,
        quantity::about(*assumed_s),
    )
}

/// What earlier runs have done already.
fn earlier(overview: &Overview) -> String {
    let done = match overview.done {
        0 => String::new(),
        done => format!(", {done} done"),
    };
    let failed = match overview.failed {
        0 => done,
        failed => format!("{done}, {failed} failed (`lorasweep run --retry-failed` tries them again)"),
    };
    match overview.stopped {
        0 => failed,
        stopped => format!("{failed}, {stopped} stopped early (`lorasweep run --no-stop` continues them)"),
    }
}

/// What is stopped early, and what is assumed of it.
fn stopping(overview: &Overview) -> String {
    let Some(Stopping { rule, rungs, brackets, configurations, not_started }) = &overview.stopping else {
        return String::new();
    };
    let compared = quantity::counted(*configurations, "configuration");
    let brackets = if *brackets == 1 { String::new() } else { format!(" in {brackets} brackets") };
    let percent = |share: &f64| format!("{:.0} %", 100.0 * share);
    let rungs: Vec<String> = rungs.iter().map(percent).collect();
    format!(
        "\n{compared}{brackets} {} compared at {} of the steps, where {} go on each time; which is not known: assumed are \
         the first of the sweep, so that {} would not start",
        if *configurations == 1 { "is" } else { "are" },
        rungs.join(", "),
        percent(&rule.keep),
        quantity::counted(*not_started, "trial"),
    )
}

/// The dependencies between jobs.
fn graph(overview: &Overview) -> String {
    let of = |kind| overview.jobs.iter().filter(move |job| job.kind == kind);
    // One that trains in several parts is in several packs.
    let trials = of(JobKind::Train).flat_map(|job| &job.trials).collect::<HashSet<_>>().len();
    let prepare = match of(JobKind::Prepare).count() {
        0 => None,
        stores => Some(format!("prepare {}", quantity::counted(stores, "token store"))),
    };
    let train = match of(JobKind::Train).count() {
        0 => None,
        packs => Some(format!(
            "train {} in {}",
            quantity::counted(trials, "trial"),
            quantity::counted(packs, "pack")
        )),
    };
    let steps = prepare.into_iter().chain(train).chain(["write the report".to_owned()]);
    steps.collect::<Vec<_>>().join(" → ")
}

fn configurations(rows: &[ConfigurationRow]) -> String {
    let all: Vec<&Configuration> = rows.iter().map(|row| &*row.settings.0).collect();
    let listed = &rows[..rows.len().min(LISTED)];
    // Without the axes that vary, rows of a grid over them would look alike.
    let axes: Vec<&Axis> = axes::shown().filter(|axis| axis.leads || axis.varies(&all)).collect();
    let (texts, numbers): (Vec<&Axis>, Vec<&Axis>) = axes.into_iter().partition(|axis| axis.domain.is_text());
    let several_tasks = all.iter().any(|one| one.task != all[0].task);
    let mut titles = vec!["configuration"];
    titles.extend(several_tasks.then_some("task"));
    titles.extend(texts.iter().map(|axis| axis.title));
    let counted = ["trainable", "%", "total", "folds"];
    let mut table = plain(&titles, &numbers.iter().map(|axis| axis.title).chain(counted).collect::<Vec<_>>());
    for row in listed {
        let one = &*row.settings.0;
        let mut cells = vec![text(row.id)];
        cells.extend(several_tasks.then(|| text(&one.task)));
        cells.extend(texts.iter().map(|axis| text(axis.value(one).as_deref().unwrap_or(NONE))));
        cells.extend(numbers.iter().map(|axis| number(axis.value(one).as_deref().unwrap_or(NONE))));
        cells.push(number(quantity::count(row.trainable_params)));
        cells.push(number(format!("{:.3}", row.trainable_percent)));
        cells.push(number(quantity::count(row.total_params)));
        cells.push(number(row.folds));
        table.add_row(cells);
    }
    match rows.len() - listed.len() {
        0 => table.trim_fmt(),
        more => format!(
            "{}\n … and {} more; `--json` lists them all",
            table.trim_fmt(),
            quantity::count(more as u64)
        ),
    }
}

fn jobs(overview: &Overview) -> String {
    let trials: HashMap<_, _> = overview.trials.iter().map(|trial| (trial.id, trial)).collect();
    let mut kinds: BTreeMap<(JobKind, String), Vec<&JobRow>> = BTreeMap::new();
    for job in &overview.jobs {
        let first = job.trials.first().and_then(|id| trials.get(id).copied());
        kinds.entry((job.kind, name(job, first))).or_default().push(job);
    }
    let mut table = plain(&["job"], &["count", "longest", "together", "most memory", "disk"]);
    for ((_, name), of_kind) in &kinds {
        let longest = of_kind.iter().map(|row| row.duration_s).fold(0.0, f64::max);
        let largest = of_kind.iter().map(|row| row.mem_mib).fold(0.0, f64::max);
        table.add_row([
            text(name),
            number(of_kind.len()),
            number(quantity::predicted(longest)),
            number(quantity::predicted(of_kind.iter().map(|row| row.duration_s).sum())),
            number(quantity::mib(largest)),
            number(quantity::mib(of_kind.iter().map(|row| row.disk_mib).sum())),
        ]);
    }
    table.trim_fmt()
}

/// The description of jobs that can share a row; for packs, what trains, the number of slots, and on what.
fn name(job: &JobRow, first: Option<&TrialRow>) -> String {
    match job.kind {
        JobKind::Prepare => "prepare data".to_owned(),
        JobKind::Train => {
            let what = first.map_or_else(String::new, |trial| {
                let one = &trial.settings.0;
                format!(" {}, {}", one.model, one.method.name())
            });
            let on = job.width.map_or_else(String::new, |width| format!(" on {width}"));
            format!("train{what}: {}{on}", quantity::counted(job.trials.len(), "trial"))
        }
        JobKind::Report => "report".to_owned(),
    }
}

/// An empty table: columns of text, then columns of numbers.
fn plain(texts: &[&str], numbers: &[&str]) -> Table {
    let mut table = Table::new();
    let header = texts.iter().map(text).chain(numbers.iter().map(number));
    table.load_preset(RULE_BELOW_HEADER).set_header(header);
    table
}

fn text(value: impl ToString) -> Cell {
    Cell::new(value)
}

fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{example, overview};
    use crate::values::{Resources, Training};

    fn cores() -> Resources {
        Resources { cores: vec![0, 1], ..Resources::default() }
    }

    #[test]
    fn the_text_shows_the_grid_the_jobs_and_the_cost() {
        let sweep = example::sweep();
        let run = example::foreseen(&sweep, &sweep.trials()[1..], &cores(), false);
        insta::assert_snapshot!(table(&overview(&sweep, &run, &cores())));
    }

    #[test]
    fn what_earlier_runs_did_is_told_and_costs_nothing() {
        let sweep = example::sweep();
        let run = example::foreseen(&sweep, &[], &cores(), true);
        let overview = Overview { done: 13, failed: 2, ..overview(&sweep, &run, &cores()) };
        let text = table(&overview);
        let first =
            "example: 5 configurations, 15 trials, 13 done, 2 failed (`lorasweep run --retry-failed` ";
        assert!(text.starts_with(first) && text.contains("again), 0 to run\n"), "{text}");
        assert!(text.contains("\n\nwrite the report\n\n"), "{text}");
    }

    #[test]
    fn what_is_proposed_later_is_told_beside_the_prediction() {
        let sweep = example::sweep();
        let run = example::foreseen(&sweep, &sweep.trials(), &cores(), true);
        let text = |budget_s| {
            let to_propose = Some(ToPropose { points: 16, at_once: 8, assumed_s: 130.0, budget_s });
            table(&Overview { to_propose, ..overview(&sweep, &run, &cores()) })
        };
        let spent = Some(ToPropose { points: 16, at_once: 8, assumed_s: 0.0, budget_s: Some(60.0) });
        let spent = table(&Overview { to_propose: spent, ..overview(&sweep, &run, &cores()) });
        assert!(spent.contains("leaves no time for 16 further points; a larger `budget` does"), "{spent}");
        assert!(text(None).contains("not in this prediction: 16 further points, proposed 8 at a time when"));
        assert!(text(Some(7_200.0)).contains("at a time as long as the budget of 2 h 00 min lasts, when"));
        assert!(text(None).ends_with("about 2 min 10 s more, if each time takes as long"));
        assert!(!table(&overview(&sweep, &run, &cores())).contains("not in this prediction"));
    }

    #[test]
    fn an_axis_beyond_the_usual_ones_gets_its_own_column() {
        let sweep = example::sweep();
        let first = &sweep.configurations[0];
        let training = Training { epochs: 2.5, ..first.training.clone() };
        let other = Configuration::new(sweep.task(first), sweep.model(first), first.method.clone(), training);
        let sweep = sweep.with(|sweep| sweep.configurations.push(Arc::new(other))).unwrap();
        let run = example::foreseen(&sweep, &[], &cores(), true);
        let text = table(&overview(&sweep, &run, &cores()));
        let header = text.lines().find(|line| line.contains("learning rate")).unwrap();
        assert!(header.contains("epochs") && !header.contains("batch size"), "{header}");
        assert!(text.contains(" 2.5 "));
    }
}
