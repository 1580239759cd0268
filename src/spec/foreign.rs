//! Owns the names of keys and values in other programs: W&B, Hugging Face's Trainer, PEFT and the like.
//! Suggests how to write the same here; reports no error and reads no file.

use super::keys::{self, Kind, Section};
use super::number::Number;
use super::range;
use super::source::Sources;
use super::tree::{Content, Entry, Node};
use super::words::quoted;
use crate::families;
use crate::values::axes::AXES;
use crate::values::{Axis, Domain};

/// Names in other programs, the matching key here, and how its value differs. Names of axes are in the table of
/// axes.
const ALIASES: &[(&[&str], &str, &str)] = &[
    (
        &["max_seq_length", "max_seq_len", "max_len", "sequence_len", "seq_length", "cutoff_len"],
        "max_length",
        "",
    ),
    (&["max_samples", "max_train_samples", "num_train_samples"], "rows", ""),
    (&["max_test_samples", "max_eval_samples"], "test_rows", ""),
    (&["train_file", "train_path", "train_data", "train_dataset", "data_path", "dataset_name"], "train", ""),
    (&["validation_file", "valid_file", "eval_file", "val_file", "dev_file"], "validation", ""),
    (&["test_file", "test_path", "test_data"], "test", ""),
    (&["test_size", "test_split"], "test_fraction", ""),
    (&["val_size", "valid_size", "validation_split", "val_set_size", "eval_size"], "fraction", ""),
    (&["text_column", "text_column_name", "text_field", "sentence1_key", "inputs"], "text", ""),
    (&["sentence2_key", "text_pair", "text_column2"], "pair", ""),
    (&["label_column", "label_column_name", "label_field", "target", "target_column"], "label", ""),
    (&["label_map", "label_names", "class_names", "classes", "id2label"], "labels", ""),
    (&["dataset", "datasets", "data", "task_name"], "task", "which names the files and columns"),
    (&["model_name_or_path", "base_model", "model_name", "pretrained_model", "checkpoint"], "from", ""),
    (&["model", "model_name", "model_name_or_path", "base_model"], "models", "{base: {from: FOLDER}}"),
    (&["model_name", "model_name_or_path", "base_model"], "model", "a name from `models`"),
    (&["tokenizer_name", "tokenizer_name_or_path"], "tokenizer", ""),
    (&["num_hidden_layers", "num_layers", "n_layer"], "layers", ""),
    (&["hidden_size", "d_model", "n_embd"], "hidden", ""),
    (&["num_attention_heads", "num_heads", "n_head"], "heads", ""),
    (&["num_key_value_heads"], "kv_heads", ""),
    (&["intermediate_size", "d_ff"], "intermediate", ""),
    (&["max_position_embeddings", "n_positions"], "positions", ""),
    (&["n_splits", "num_folds", "n_folds", "folds", "cv"], "k", ""),
    (&["cross_validation"], "kfold", ""),
    (&["parameters", "search_space", "param_grid", "param_space", "hyperparameters"], "grid", ""),
    (&["device", "accelerator", "gpus", "n_gpu"], "devices", ""),
];

/// The keys that match a name in another program, each with how its value differs.
fn aliases(found: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_axis = |axis: &'static Axis| axis.aliases.iter().map(|(names, note)| (*names, axis.name, *note));
    let all = AXES.iter().flat_map(of_axis).chain(ALIASES.iter().copied());
    all.filter(move |(names, ..)| names.contains(&found)).map(|(_, key, note)| (key, note))
}

/// The known key that an unknown key means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// Another key of the same mapping.
    Here(String),
    /// A key of other mappings.
    Elsewhere(String),
}

/// The known key that an unknown key of a mapping means, for a hint.
pub(super) fn meant(found: &str, section: &Section) -> Option<Meant> {
    let has = |section: &Section, name: &str| section.keys().any(|key| key.name == name);
    let plain = found.to_lowercase().replace('-', "_");
    let known = aliases(&plain).chain(known(&plain).map(|key| (key, "")));
    let mut elsewhere = None;
    for (key, note) in known {
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        if has(section, key) {
            return Some(Meant::Here(format!("did you mean `{key}`{note}?")));
        }
        let homes = homes(key);
        if elsewhere.is_none() && !homes.is_empty() {
            let key = if key == plain { "it".to_owned() } else { format!("here it is `{key}`{note}, which") };
            elsewhere = Some(Meant::Elsewhere(format!("{key} belongs {}", homes.join(" or "))));
        }
    }
    elsewhere
}

/// A key of the sweep file, as the table spells it.
fn known(name: &str) -> Option<&'static str> {
    let mut found = None;
    walk(&keys::SWEEP, &mut |section| {
        found = found.or_else(|| section.keys().map(|key| key.name).find(|key| *key == name));
    });
    found
}

/// The sections with this key, as paths in the file.
fn homes(key: &str) -> Vec<&'static str> {
    let mut homes = Vec::new();
    walk(&keys::SWEEP, &mut |section| {
        let home = match section.name {
            "the sweep" => "at the top level of the file",
            "task" => "in `task`",
            "model" => "in an entry of `models`",
            "training" => "in `training`",
            "a grid block" => "in a block of `grid`",
            "kfold" => "in `kfold`",
            "split" => "in `split`",
            "cleaning" => "in `cleaning` of the task",
            _ => return,
        };
        if section.keys().any(|known| known.name == key) && !homes.contains(&home) {
            homes.push(home);
        }
    });
    homes
}

/// Visits a section and all sections below it.
fn walk(section: &'static Section, visit: &mut impl FnMut(&'static Section)) {
    visit(section);
    for key in section.keys() {
        if let Kind::Section(inner) | Kind::Named(inner) | Kind::Blocks(inner) = &key.kind {
            walk(inner, visit);
        }
    }
}

/// The name of a family of models here, for another of its names in transformers.
pub(super) fn family(found: &str) -> Option<String> {
    let about = families::named(&found.to_lowercase().replace('_', "-"))?;
    let name = about.name();
    Some(format!("models of type `{found}` are of the family `{name}`: write `architecture: {name}`"))
}

/// The sampler here, for what other programs call one like it.
pub(super) fn sampler(found: &str) -> Option<String> {
    let plain = found.to_lowercase();
    let names = |all: &[&str]| all.iter().any(|name| plain.contains(name));
    let own = if names(&["tpe", "bayes", "parzen", "hyperopt", "optuna"]) {
        "tpe"
    } else if names(&["qmc", "halton", "latin", "lhs"]) {
        "sobol"
    } else {
        return None;
    };
    Some(format!("the sampler like `{found}` is called `{own}`"))
}

/// The list in W&B's `{values: [...]}`.
pub(super) fn values(node: &Node) -> Option<&[Node]> {
    match &member(node, "values", &["values", "distribution"])?.content {
        Content::List(items) => Some(items),
        Content::Null | Content::Flag(_) | Content::Number | Content::Text(_) | Content::Map(_) => None,
    }
}

/// The value in W&B's `{value: x}`; the node itself if it has another form.
pub(super) fn single(node: &Node) -> &Node {
    member(node, "value", &["value", "distribution"]).unwrap_or(node)
}

/// The value of a mapping's key, if the mapping has no keys but these.
fn member<'n>(node: &'n Node, name: &str, allowed: &[&str]) -> Option<&'n Node> {
    let Content::Map(entries) = &node.content else { return None };
    let known = entries.iter().all(|entry| allowed.contains(&entry.key.value.as_str()));
    let mut named = entries.iter().filter(|entry| entry.key.value == name);
    let (first, second) = (named.next(), named.next());
    first.filter(|_| known && second.is_none()).map(|entry| &entry.value)
}

/// Keys that show a mapping to be a range or a distribution to search.
const RANGE: &[&str] =
    &["min", "max", "low", "high", "lower", "upper", "distribution", "mu", "sigma", "q", "step", "log"];

/// What to write instead of a range on an axis; `key` is the axis.
pub(super) fn instead_of_range(key: &str, whole: bool, node: &Node, sources: &Sources) -> Option<String> {
    let write = |range: String| Some(format!("in a block of `grid` it is `{key}: {range}`"));
    let call = |text: &str| {
        let name: String =
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || "._".contains(*c)).collect();
        !name.is_empty() && text.trim_start()[name.len()..].starts_with('(') && text.trim_end().ends_with(')')
    };
    match &node.content {
        Content::Text(text) if call(text) => write(as_range(whole, None)),
        Content::Map(entries) if is_range(entries) => write(as_range(whole, bounds(entries, sources))),
        Content::Map(entries) if range::is_one(entries) => {
            Some("a block of `grid` can have it, in place of a list of values".to_owned())
        }
        // `{grid: [...]}`, `{choices: [...]}`: the list alone is enough.
        Content::Map(entries) => match &entries[..] {
            [Entry { key: word, value: Node { content: Content::List(_), .. } }]
                if range::meant(&word.value).is_some() =>
            {
                range::meant(&word.value).map(|word| format!("did you mean `{word}`?"))
            }
            [Entry { value: list @ Node { content: Content::List(_), .. }, .. }] => {
                Some(format!("write the list itself: `{key}: {}`", shown(list, sources)))
            }
            _ => None,
        },
        Content::Null | Content::Flag(_) | Content::Number | Content::Text(_) | Content::List(_) => None,
    }
}

/// Whether a mapping has the keys of a range.
pub(super) fn is_range(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| RANGE.contains(&entry.key.value.as_str()))
}

/// The bounds of a range, and whether its values are spaced by ratio.
fn bounds(entries: &[Entry], sources: &Sources) -> Option<(f64, f64, bool)> {
    let text = |entry: &Entry| match &entry.value.content {
        Content::Text(text) => text.clone(),
        Content::Null | Content::Flag(_) | Content::Number | Content::List(_) | Content::Map(_) => {
            sources.slice(entry.value.place).to_owned()
        }
    };
    let named = |names: &[&str]| entries.iter().find(|entry| names.contains(&entry.key.value.as_str()));
    let number = |names: &[&str]| Number::read(&text(named(names)?))?.real();
    let (least, most) = (number(&["min", "low", "lower"])?, number(&["max", "high", "upper"])?);
    let log = named(&["distribution"]).is_some_and(|entry| text(entry).contains("log"))
        || named(&["log"]).is_some_and(|entry| text(entry) == "true");
    (least.is_finite() && most > least).then_some((least, most, least > 0.0 && (log || most / least >= 10.0)))
}

/// A range between two bounds, or an example of one.
fn as_range(whole: bool, bounds: Option<(f64, f64, bool)>) -> String {
    let Some((least, most, by_ratio)) = bounds else {
        return if whole { "{int_log_uniform: [4, 64]}" } else { "{log_uniform: [1e-4, 1e-2]}" }.to_owned();
    };
    let word = match (whole, by_ratio) {
        (true, true) => "int_log_uniform",
        (true, false) => "int_uniform",
        (false, true) => "log_uniform",
        (false, false) => "uniform",
    };
    format!("{{{word}: [{}, {}]}}", figure(least, whole), figure(most, whole))
}

/// A number with two digits, as learning rates are usually written.
fn figure(value: f64, whole: bool) -> String {
    if whole {
        return format!("{value:.0}");
    }
    if value != 0.0 && (value.abs() < 0.01 || value.abs() >= 1e4) {
        let text = format!("{value:.1e}");
        return text.replace(".0e", "e");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A value on one line, in the notation of a sweep file.
fn shown(node: &Node, sources: &Sources) -> String {
    match &node.content {
        Content::List(items) => {
            let items: Vec<String> = items.iter().take(20).map(|item| shown(item, sources)).collect();
            format!("[{}]", items.join(", "))
        }
        Content::Map(_) => "{…}".to_owned(),
        Content::Null | Content::Flag(_) | Content::Number | Content::Text(_) => {
            let words: Vec<&str> = sources.slice(node.place).split_whitespace().collect();
            words.join(" ").chars().take(80).collect()
        }
    }
}

/// A file of another program.
#[derive(Debug)]
pub(super) struct Foreign<'n> {
    /// Its kind.
    pub(super) what: &'static str,
    /// The key by which it was recognised.
    pub(super) key: &'n Entry,
    /// How to write the same here.
    pub(super) hint: String,
}

/// Recognises a whole file that is not a sweep file: a W&B sweep, or settings of a trainer.
pub(super) fn whole_file<'n>(tree: &'n Node, sources: &Sources) -> Option<Foreign<'n>> {
    let Content::Map(entries) = &tree.content else { return None };
    let named = |name: &str| entries.iter().find(|entry| entry.key.value == name);
    if ["task", "tasks", "models", "grid"].into_iter().any(|name| named(name).is_some()) {
        return None;
    }
    if let Some(parameters) = named("parameters")
        && let Content::Map(parameters_of) = &parameters.value.content
    {
        let what = "this is a sweep file of Weights & Biases";
        return Some(Foreign { what, key: parameters, hint: as_block(parameters_of, sources) });
    }
    let told: Vec<(&Entry, String)> =
        entries.iter().filter_map(|entry| Some((entry, translated(&entry.key.value)?))).collect();
    let [(first, _), _, ..] = &told[..] else { return None };
    let lines: Vec<&str> = told.iter().map(|(_, line)| line.as_str()).take(12).collect();
    let what = "these are settings of another program, not a sweep";
    let hint = format!(
        "`lorasweep init DATA.csv` writes a sweep to start from; in it\n       {}",
        lines.join("\n       ")
    );
    Some(Foreign { what, key: first, hint })
}

/// A trainer's key, with the matching key here.
fn translated(found: &str) -> Option<String> {
    let (key, note) = aliases(found).next()?;
    let note = if note.is_empty() { String::new() } else { format!(", {note}") };
    Some(format!("`{found}` is `{key}` {}{note}", homes(key).join(" or ")))
}

/// W&B's parameters as a block of a grid.
fn as_block(parameters: &[Entry], sources: &Sources) -> String {
    let mut lines = vec!["grid:", "  - method: lora", "    model: base"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let mut unknown = Vec::new();
    for Entry { key, value } in parameters {
        let Some(Axis { name, domain, .. }) = axis(&key.value) else {
            unknown.push(key.value.as_str());
            continue;
        };
        if matches!(*name, "method" | "model") {
            lines.retain(|line| line.trim_start_matches([' ', '-']).split(':').next() != Some(*name));
        }
        lines.push(format!("    {name}: {}", as_axis(domain, value, sources)));
    }
    let has_range = |entry: &Entry| matches!(&entry.value.content, Content::Map(of) if is_range(of));
    if parameters.iter().any(has_range) {
        lines.push("search: {sampler: sobol, trials: 32}".to_owned());
    }
    // The block's first line begins with a dash.
    if let Some(first) = lines.get_mut(1) {
        *first = format!("  - {}", first.trim_start_matches([' ', '-']));
    }
    let unknown = if unknown.is_empty() {
        String::new()
    } else {
        format!("\n       (no such setting here: {})", quoted(&unknown))
    };
    format!(
        "`lorasweep init DATA.csv` writes a sweep to start from; in it the parameters are\n       {}{unknown}",
        lines.join("\n       ")
    )
}

/// The axis that a parameter means.
fn axis(found: &str) -> Option<&'static Axis> {
    let name = aliases(found).next().map_or(found, |(key, _)| key);
    AXES.iter().find(|axis| axis.name == name)
}

/// The values of a parameter, as a list or a single value.
fn as_axis(domain: &Domain, node: &Node, sources: &Sources) -> String {
    if let Some(items) = values(node) {
        let items: Vec<String> = items.iter().map(|item| shown(item, sources)).collect();
        return format!("[{}]", items.join(", "));
    }
    match &node.content {
        Content::Map(entries) if is_range(entries) => as_range(domain.is_count(), bounds(entries, sources)),
        Content::Map(_)
        | Content::Null
        | Content::Flag(_)
        | Content::Number
        | Content::Text(_)
        | Content::List(_) => shown(single(node), sources),
    }
}
