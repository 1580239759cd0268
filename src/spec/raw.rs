//! Owns the mirror of the sweep file: its mappings as structs, every value with its place. What is
//! bad or absent is `None`; the report has it. Judges no value against another.

use super::DeviceRequest;
use super::error::{Problem, Report};
use super::keys::{self, Kind, Section};
use super::read::{self, Field, Fields};
use super::setting::{Axis, Setting};
use super::source::{At, Place};
use super::tree::{Content, Node};

/// The sweep file.
#[derive(Debug, Default)]
pub(super) struct RawSweep {
    pub(super) name: Option<At<String>>,
    pub(super) task: Option<RawTask>,
    pub(super) models: Vec<RawModel>,
    pub(super) grid: Vec<RawBlock>,
    /// Where the key `grid` stands.
    pub(super) grid_place: Place,
    pub(super) kfold: Option<RawKFold>,
    pub(super) split: Option<RawSplit>,
    pub(super) training: Vec<RawAxis>,
    pub(super) devices: Option<At<DeviceRequest>>,
}

/// `task`.
#[derive(Debug)]
pub(super) struct RawTask {
    pub(super) train: Option<At<String>>,
    pub(super) validation: Option<At<String>>,
    pub(super) test: Option<At<String>>,
    pub(super) columns: Option<At<Vec<At<String>>>>,
    pub(super) text: Option<At<Vec<At<String>>>>,
    pub(super) label: Option<At<String>>,
    pub(super) max_length: Option<At<usize>>,
    pub(super) rows: Option<At<usize>>,
    pub(super) test_rows: Option<At<usize>>,
    pub(super) sample_seed: u64,
}

/// An entry of `models`.
#[derive(Debug)]
pub(super) struct RawModel {
    pub(super) name: At<String>,
    pub(super) place: Place,
    pub(super) from: Option<At<String>>,
    pub(super) tokenizer: Option<At<String>>,
    pub(super) layers: Option<At<usize>>,
    pub(super) hidden: Option<At<usize>>,
    pub(super) heads: Option<At<usize>>,
    pub(super) intermediate: Option<At<usize>>,
    pub(super) positions: Option<At<usize>>,
    pub(super) hidden_dropout: Option<At<f64>>,
    pub(super) attention_dropout: Option<At<f64>>,
    /// The keys that are there, with good values or bad ones.
    pub(super) keys: Vec<At<&'static str>>,
}

/// `kfold`.
#[derive(Debug)]
pub(super) struct RawKFold {
    pub(super) place: Place,
    pub(super) k: Option<At<usize>>,
    pub(super) stratified: bool,
    pub(super) seed: u64,
}

/// `split`.
#[derive(Debug)]
pub(super) struct RawSplit {
    /// Where its key stands.
    pub(super) place: Place,
    pub(super) fraction: Option<At<f64>>,
    pub(super) stratified: bool,
    pub(super) seed: u64,
}

/// A block of `grid`.
#[derive(Debug)]
pub(super) struct RawBlock {
    pub(super) place: Place,
    pub(super) axes: Vec<RawAxis>,
    pub(super) zips: Vec<At<Vec<At<String>>>>,
    pub(super) exclusions: Vec<RawExclusion>,
}

/// An axis and its good values.
#[derive(Clone, Debug)]
pub(super) struct RawAxis {
    pub(super) axis: Axis,
    /// Where its key stands.
    pub(super) place: Place,
    pub(super) values: Vec<At<Setting>>,
    /// How many values were written, good ones and bad ones.
    pub(super) written: usize,
}

/// Points that a block leaves out.
#[derive(Debug)]
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
    let Some(top) = read::fields(tree, &keys::SWEEP, keys::SWEEP.name, report) else {
        return RawSweep::default();
    };
    RawSweep {
        name: top.text("name"),
        task: section(&top, "task", report).map(|fields| task(&fields)),
        models: models(&top, report),
        grid: blocks(&top, report),
        grid_place: top.key_place("grid").unwrap_or_default(),
        kfold: section(&top, "kfold", report).map(|fields| RawKFold {
            place: top.key_place("kfold").unwrap_or(fields.place),
            k: fields.size("k"),
            stratified: fields.take("stratified", |value| value.flag()).is_none_or(|at| at.value),
            seed: fields.seed("seed"),
        }),
        split: section(&top, "split", report).map(|fields| RawSplit {
            place: top.key_place("split").unwrap_or(fields.place),
            fraction: fields.take("fraction", |value| value.number()),
            stratified: fields.take("stratified", |value| value.flag()).is_none_or(|at| at.value),
            seed: fields.seed("seed"),
        }),
        training: section(&top, "training", report).map(axes).unwrap_or_default(),
        devices: top.take("devices", |value| value.devices()),
    }
}

/// Reads the mapping under a key of the sweep, where it is there.
fn section<'n>(top: &Fields<'n>, name: &str, report: &mut Report) -> Option<Fields<'n>> {
    let field = top.fields.iter().find(|field| field.key.name == name)?;
    let Kind::Section(section) = &field.key.kind else { return None };
    read::fields(field.node, section, &format!("`{name}`"), report)
}

fn task(fields: &Fields<'_>) -> RawTask {
    RawTask {
        train: fields.text("train"),
        validation: fields.text("validation"),
        test: fields.text("test"),
        columns: fields.take("columns", read::Value::into_texts),
        text: fields.take("text", read::Value::into_texts),
        label: fields.text("label"),
        max_length: fields.size("max_length"),
        rows: fields.size("rows"),
        test_rows: fields.size("test_rows"),
        sample_seed: fields.seed("sample_seed"),
    }
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
        tokenizer: fields.text("tokenizer"),
        layers: fields.size("layers"),
        hidden: fields.size("hidden"),
        heads: fields.size("heads"),
        intermediate: fields.size("intermediate"),
        positions: fields.size("positions"),
        hidden_dropout: fields.take("hidden_dropout", |value| value.number()),
        attention_dropout: fields.take("attention_dropout", |value| value.number()),
        keys: fields.fields.iter().map(|field| At { value: field.key.name, place: field.place }).collect(),
    }
}

fn blocks(top: &Fields<'_>, report: &mut Report) -> Vec<RawBlock> {
    let Some(field) = top.fields.iter().find(|field| field.key.name == "grid") else { return Vec::new() };
    let Kind::Blocks(section) = &field.key.kind else { return Vec::new() };
    let nodes = read::items(field.node, "`grid`", &field.key.kind.wanted(), report);
    if nodes.is_empty() && matches!(field.node.content, Content::List(_)) {
        read::bad("`grid`", field.node, "at least one block", report);
    }
    nodes.iter().filter_map(|node| block(node, section, report)).collect()
}

fn block(node: &Node, section: &'static Section, report: &mut Report) -> Option<RawBlock> {
    let fields = read::fields(node, section, section.name, report)?;
    for (name, hint) in [("method", "for example `method: lora`"), ("model", "a name from `models`")] {
        if !fields.has(name) {
            read::missing(name, section.name, node.place, report).hint(hint);
        }
    }
    let zips = fields.node("zip").map(|node| zips(node, report)).unwrap_or_default();
    let exclusions = fields.node("exclude").map(|node| exclusions(node, report)).unwrap_or_default();
    Some(RawBlock { place: node.place, axes: axes(fields), zips, exclusions })
}

fn axes(fields: Fields<'_>) -> Vec<RawAxis> {
    fields.fields.into_iter().filter_map(axis).collect()
}

/// An axis from what its key holds; `None` for keys that are no axes.
pub(super) fn axis(field: Field<'_>) -> Option<RawAxis> {
    let axis = field.key.axis?;
    let setting = |at: At<_>| {
        let place = at.place;
        Setting::from_value(axis, at).map(|value| At { value, place })
    };
    let values = field.values.into_iter().filter_map(setting).collect();
    Some(RawAxis { axis, place: field.place, values, written: field.written })
}

fn zips(node: &Node, report: &mut Report) -> Vec<At<Vec<At<String>>>> {
    let mut zips = Vec::new();
    for group in read::items(node, "`zip`", &Kind::Zip.wanted(), report) {
        let mut names = Vec::new();
        for item in
            read::items(group, "an item of `zip`", "a list of axes, for example `[rank, alpha]`", report)
        {
            match &item.content {
                Content::Text(name) => names.push(At { value: name.clone(), place: item.place }),
                Content::Null
                | Content::Flag(_)
                | Content::Count(_)
                | Content::Number(_)
                | Content::List(_)
                | Content::Map(_) => {
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
        let fields = read::fields(item, &keys::EXCLUSION, keys::EXCLUSION.name, report)?;
        Some(RawExclusion { place: item.place, axes: axes(fields) })
    };
    items.iter().filter_map(read_one).collect()
}
