//! Owns the raw form of the sweep file: its mappings as structs, every value with its place. Bad or absent
//! values are `None`; bad ones have an error in the report. Compares no value with another.

mod search;
pub(super) mod task;

pub(super) use self::search::RawSearch;
use self::task::RawTask;
use crate::search::Spread;
use crate::spec::error::{Problem, Report};
use crate::spec::foreign::{self, Foreign};
use crate::spec::grid::MAX_POINTS;
use crate::spec::keys::{self, Kind, Section};
use crate::spec::point::{Given, TASK};
use crate::spec::read::{self, Field, Fields};
use crate::spec::source::{At, Place};
use crate::spec::tree::{Content, Node};
use crate::spec::value::{Tie, Value};
use crate::spec::words::short;
use crate::sweep::{DeviceRequest, Proposing};
use crate::values::axes::AXES;
use crate::values::quantity;

/// The sweep file.
#[derive(Debug, Default)]
pub(super) struct RawSweep {
    pub(super) name: Option<At<String>>,
    pub(super) tasks: Vec<RawTask>,
    pub(super) models: Vec<RawModel>,
    pub(super) grid: Vec<RawBlock>,
    /// Place of the key `grid`.
    pub(super) grid_place: Place,
    pub(super) search: Option<RawSearch>,
    /// How points are proposed while the sweep runs, where they are.
    pub(super) proposing: Option<Proposing>,
    pub(super) kfold: Option<RawKFold>,
    pub(super) split: Option<RawSplit>,
    pub(super) training: Vec<RawAxis>,
    /// The name of a metric.
    pub(super) select: Option<At<String>>,
    pub(super) devices: Option<At<DeviceRequest>>,
    /// The names of `profiles`.
    pub(super) profiles: Vec<At<String>>,
}

/// An entry of `models`.
#[derive(Debug)]
pub(super) struct RawModel {
    pub(super) name: At<String>,
    pub(super) place: Place,
    pub(super) from: Option<At<String>>,
    pub(super) revision: Option<At<String>>,
    pub(super) architecture: Option<At<String>>,
    pub(super) tokenizer: Option<At<String>>,
    pub(super) layers: Option<At<usize>>,
    pub(super) hidden: Option<At<usize>>,
    pub(super) heads: Option<At<usize>>,
    pub(super) kv_heads: Option<At<usize>>,
    pub(super) intermediate: Option<At<usize>>,
    pub(super) positions: Option<At<usize>>,
    pub(super) length: Option<At<usize>>,
    pub(super) hidden_dropout: Option<At<f64>>,
    pub(super) attention_dropout: Option<At<f64>>,
    /// Seed of random weights.
    pub(super) seed: u64,
    /// The keys in the file, with good or bad values.
    pub(super) keys: Vec<At<&'static str>>,
}

/// `kfold`.
#[derive(Debug)]
pub(super) struct RawKFold {
    pub(super) place: Place,
    pub(super) k: Option<At<usize>>,
    pub(super) stratified: Option<At<bool>>,
    pub(super) seed: u64,
}

/// `split`.
#[derive(Debug)]
pub(super) struct RawSplit {
    /// Place of its key.
    pub(super) place: Place,
    pub(super) fraction: Option<At<f64>>,
    pub(super) stratified: Option<At<bool>>,
    pub(super) seed: u64,
}

/// The values of a drawn point, by rows of the table of axes.
pub(super) type Drawn = Vec<(usize, Given)>;

/// A block of `grid`.
#[derive(Debug)]
pub(super) struct RawBlock {
    pub(super) place: Place,
    pub(super) axes: Vec<RawAxis>,
    pub(super) zips: Vec<At<Vec<At<String>>>>,
    pub(super) exclusions: Vec<RawExclusion>,
    /// The points of a block with a range; the first ones, where others are proposed later.
    pub(super) drawn: Option<Vec<Drawn>>,
    /// What all points of a block whose points are proposed can be, as a block without ranges.
    pub(super) outline: Option<Box<RawBlock>>,
}

/// An axis with its good values.
#[derive(Clone, Debug)]
pub(super) struct RawAxis {
    /// Its row in the table of axes.
    pub(super) row: usize,
    /// Place of its key.
    pub(super) place: Place,
    pub(super) values: Vec<Given>,
    /// Number of values in the file, good or bad.
    pub(super) written: usize,
    pub(super) form: Form,
    /// For each value of the axis that this one is a multiple of, its own.
    pub(super) tied: Vec<Vec<Given>>,
}

/// How an axis is written.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// By its values.
    Listed,
    /// By a range.
    Spread(Spread),
    /// As a multiple of another axis.
    Tied(Tie),
}

impl RawAxis {
    /// Its key.
    pub(super) fn name(&self) -> &'static str {
        AXES[self.row].name
    }

    /// Its range.
    pub(super) fn spread(&self) -> Option<&Spread> {
        if let Form::Spread(spread) = &self.form { Some(spread) } else { None }
    }

    /// What it is a multiple of.
    pub(super) fn tie(&self) -> Option<&Tie> {
        if let Form::Tied(tie) = &self.form { Some(tie) } else { None }
    }
}

/// Points that a block leaves out.
#[derive(Clone, Debug)]
pub(super) struct RawExclusion {
    pub(super) place: Place,
    pub(super) axes: Vec<RawAxis>,
}

/// Reads the whole tree.
pub(super) fn read(tree: &Node, report: &mut Report) -> RawSweep {
    if matches!(tree.content, Content::Null) {
        let hint = "`lorasweep init DATA.csv` writes a sweep to start from";
        read::bad("the file", tree, "a mapping with `name`, `task`, `models` and `grid`", report).hint(hint);
        return RawSweep::default();
    }
    if let Some(Foreign { what, key, hint }) = foreign::whole_file(tree, &report.sources) {
        report.error(key.key.place, Problem::Foreign(what)).hint(hint);
        return RawSweep::default();
    }
    let Some(top) = read::fields(tree, &keys::SWEEP, keys::SWEEP.name, report) else {
        return RawSweep::default();
    };
    let tasks = tasks(&top, report);
    RawSweep {
        name: top.text("name"),
        models: models(&top, report),
        grid: blocks(&top, &tasks, report),
        tasks,
        grid_place: top.key_place("grid").unwrap_or_default(),
        search: section(&top, "search", report).map(|fields| RawSearch::read(&top, &fields)),
        proposing: None,
        kfold: section(&top, "kfold", report).map(|fields| RawKFold {
            place: top.key_place("kfold").unwrap_or(fields.place),
            k: fields.size("k"),
            stratified: fields.flag("stratified"),
            seed: fields.seed("seed"),
        }),
        split: section(&top, "split", report).map(|fields| RawSplit {
            place: top.key_place("split").unwrap_or(fields.place),
            fraction: fields.number("fraction"),
            stratified: fields.flag("stratified"),
            seed: fields.seed("seed"),
        }),
        training: section(&top, "training", report).map(axes).unwrap_or_default(),
        select: top.text("select"),
        devices: top.take("devices", Value::into_devices),
        profiles: profiles(&top, report),
    }
}

/// Reads `task` or `tasks`, whichever exists.
fn tasks(top: &Fields<'_>, report: &mut Report) -> Vec<RawTask> {
    match (top.has("task"), top.key_place("tasks")) {
        (true, Some(place)) => {
            let problem = Problem::Conflict { key: "tasks".to_owned(), other: "task".to_owned() };
            report.error(place, problem).hint("keep one of them");
        }
        (false, None) => {
            read::missing("task", keys::SWEEP.name, top.place, report).hint("what to learn from which data");
        }
        (true, None) | (false, Some(_)) => {}
    }
    task::tasks(top, report)
}

/// The names of `profiles`; a profile's content is read when it is chosen.
fn profiles(top: &Fields<'_>, report: &mut Report) -> Vec<At<String>> {
    let Some(field) = top.field("profiles") else { return Vec::new() };
    let entries = read::entries(field.node, "`profiles`", report).unwrap_or_default();
    for entry in &entries {
        read::entries(&entry.value, &format!("profile `{}`", short(&entry.key.value)), report);
    }
    entries.into_iter().map(|entry| entry.key.clone()).collect()
}

/// Reads the mapping under a key of the sweep, if it exists.
fn section<'n>(top: &Fields<'n>, name: &str, report: &mut Report) -> Option<Fields<'n>> {
    let field = top.fields.iter().find(|field| field.key.name == name)?;
    let Kind::Section(section) = &field.key.kind else { return None };
    read::fields(field.node, section, &format!("`{name}`"), report)
}

fn models(top: &Fields<'_>, report: &mut Report) -> Vec<RawModel> {
    let Some(field) = top.fields.iter().find(|field| field.key.name == "models") else { return Vec::new() };
    let Kind::Named(section) = &field.key.kind else { return Vec::new() };
    let entries = read::entries(field.node, "`models`", report).unwrap_or_default();
    let read_one = |entry: &crate::spec::tree::Entry| {
        let title = format!("model `{}`", entry.key.value);
        let fields = read::fields(&entry.value, section, &title, report)?;
        Some(model(entry.key.clone(), &fields))
    };
    entries.into_iter().filter_map(read_one).collect()
}

fn model(name: At<String>, fields: &Fields<'_>) -> RawModel {
    RawModel {
        name,
        place: fields.place,
        from: fields.text("from"),
        revision: fields.text("revision"),
        architecture: fields.text("architecture"),
        tokenizer: fields.text("tokenizer"),
        layers: fields.size("layers"),
        hidden: fields.size("hidden"),
        heads: fields.size("heads"),
        kv_heads: fields.size("kv_heads"),
        intermediate: fields.size("intermediate"),
        positions: fields.size("positions"),
        length: fields.size("length"),
        hidden_dropout: fields.number("hidden_dropout"),
        attention_dropout: fields.number("attention_dropout"),
        seed: fields.seed("seed"),
        keys: fields.fields.iter().map(|field| At { value: field.key.name, place: field.place }).collect(),
    }
}

fn blocks(top: &Fields<'_>, tasks: &[RawTask], report: &mut Report) -> Vec<RawBlock> {
    let Some(field) = top.fields.iter().find(|field| field.key.name == "grid") else { return Vec::new() };
    let Kind::Blocks(section) = &field.key.kind else { return Vec::new() };
    let nodes = read::items(field.node, "`grid`", &field.key.kind.wanted(), report);
    if nodes.is_empty() && matches!(field.node.content, Content::List(_)) {
        read::bad("`grid`", field.node, "at least one block", report);
    }
    // A block that names no task has all of them, so more blocks than this give too many points.
    if nodes.len().saturating_mul(tasks.len()) as u64 > MAX_POINTS {
        let points = format!("{} blocks for {} tasks", nodes.len(), tasks.len());
        let allowed = format!("up to {}", quantity::count(MAX_POINTS));
        report.error(field.place, Problem::GridTooLarge { points }).allowed(allowed);
        return Vec::new();
    }
    nodes.iter().filter_map(|node| block(node, section, tasks, report)).collect()
}

fn block(node: &Node, section: &'static Section, tasks: &[RawTask], report: &mut Report) -> Option<RawBlock> {
    let fields = read::fields(node, section, section.name, report)?;
    for (name, hint) in [("method", "for example `method: lora`"), ("model", "a name from `models`")] {
        if !fields.has(name) {
            read::missing(name, section.name, node.place, report).hint(hint);
        }
    }
    let zips = fields.node("zip").map(|node| zips(node, report)).unwrap_or_default();
    let exclusions = fields.node("exclude").map(|node| exclusions(node, report)).unwrap_or_default();
    let mut axes = axes(fields);
    if !axes.iter().any(|axis| axis.row == TASK) {
        axes.insert(0, every_task(tasks, node.place));
    }
    Some(RawBlock { place: node.place, axes, zips, exclusions, drawn: None, outline: None })
}

/// The axis of tasks for a block that names none.
fn every_task(tasks: &[RawTask], place: Place) -> RawAxis {
    let values = tasks.iter().map(|task| Given::text(&task.name.value, place));
    RawAxis {
        row: TASK,
        place,
        values: values.collect(),
        written: tasks.len(),
        form: Form::Listed,
        tied: Vec::new(),
    }
}

fn axes(fields: Fields<'_>) -> Vec<RawAxis> {
    fields.fields.into_iter().filter_map(axis).collect()
}

/// An axis from its key; `None` for keys that are not axes.
pub(super) fn axis(field: Field<'_>) -> Option<RawAxis> {
    let row = field.key.row?;
    let form = match field.values.first() {
        Some(At { value: Value::Spread(spread), .. }) => Form::Spread(*spread),
        Some(At { value: Value::Tied(tie), .. }) => Form::Tied(tie.clone()),
        Some(At {
            value: Value::Plain(..) | Value::Devices(_) | Value::Labels(_) | Value::Weights(_),
            ..
        })
        | None => Form::Listed,
    };
    let values = field.values.into_iter().filter_map(Given::read).collect();
    Some(RawAxis { row, place: field.place, values, written: field.written, form, tied: Vec::new() })
}

fn zips(node: &Node, report: &mut Report) -> Vec<At<Vec<At<String>>>> {
    let mut zips = Vec::new();
    for group in read::items(node, "`zip`", &Kind::Zip.wanted(), report) {
        let mut names = Vec::new();
        let wanted = "a list of axes, for example `[rank, alpha]`";
        let items = read::items(group, "an item of `zip`", wanted, report);
        for item in items.iter().take(keys::grid::EXCLUSION.keys().count() + 1) {
            match &item.content {
                Content::Text(name) => names.push(At { value: name.clone(), place: item.place }),
                Content::Null | Content::Flag(_) | Content::Number | Content::List(_) | Content::Map(_) => {
                    read::bad("an item of `zip`", item, "the name of an axis", report);
                }
            }
        }
        if names.len() == 1 {
            let message = format!("`zip` has `{}` alone", names[0].value);
            report.error(group.place, Problem::BadZip(message)).allowed("two axes or more");
        }
        zips.push(At { value: names, place: group.place });
    }
    zips
}

fn exclusions(node: &Node, report: &mut Report) -> Vec<RawExclusion> {
    let items = read::items(node, "`exclude`", "a list of mappings", report);
    let read_one = |item: &Node| {
        let fields = read::fields(item, &keys::grid::EXCLUSION, keys::grid::EXCLUSION.name, report)?;
        let axes = axes(fields);
        axes.iter().for_each(|axis| only_listed(axis, report));
        Some(RawExclusion { place: item.place, axes })
    };
    items.iter().filter_map(read_one).collect()
}

/// Reports an axis without values where only values can be compared with.
pub(super) fn only_listed(axis: &RawAxis, report: &mut Report) {
    let found = match axis.form {
        Form::Listed => return,
        Form::Spread(_) => "a range",
        Form::Tied(_) => "a multiple",
    };
    let problem = Problem::BadValue { key: format!("`{}`", axis.name()), found: found.to_owned() };
    report.error(axis.place, problem).allowed("one value or a list of them");
}
