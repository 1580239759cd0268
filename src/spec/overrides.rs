//! Owns the changes that the command line makes to a sweep: `--profile name` puts the values of a profile into
//! the tree before it is read, `--set path=value` then puts in one more, and `--only axis=value` keeps only the
//! points with that value. Checks no value against another.

use crate::values::quantity;

use super::error::{Problem, Report};
use super::keys::{self, Key};
use super::raw::{self, RawAxis};
use super::read::{self, Field};
use super::source::{At, Place};
use super::tree::{self, Content, Entry, Node};
use super::value::Value;
use super::words::short;
use crate::values::axes::AXES;

/// Changes to a sweep from the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `path=value` each, for example `training.epochs=2` or `grid.0.rank=[4, 8]`; the value is YAML.
    pub set: Vec<String>,
    /// `axis=value` each, for example `method=lora` or `rank=[4, 8]`. Several values of one axis are
    /// alternatives; a point must match every axis.
    pub only: Vec<String>,
    /// A name of `profiles`: its changes are applied before those of `set`, and it becomes part of the sweep's
    /// name.
    pub profile: Option<String>,
}

/// Most changes in a profile, since each is looked up key by key.
const MOST_CHANGES: usize = 1_000;

/// Puts a profile's values into the tree, in their order. False where there is no such profile, so that the
/// rest is not the requested sweep.
pub(super) fn profile(tree: &mut Node, name: Option<&str>, report: &mut Report) -> bool {
    let Some(name) = name else { return true };
    let profiles = member(tree, "profiles").map_or(&[][..], entries);
    let Some(chosen) = profiles.iter().find(|entry| entry.key.value == name) else {
        let source = report.sources.add(&format!("--profile {name}"), name);
        let place = Place { source, start: 0, end: name.len() };
        let error = report.error(place, Problem::UnknownProfile(short(name)));
        error.one_of(name, profiles.iter().map(|entry| entry.key.value.as_str()));
        if profiles.is_empty() {
            error.allowed = None;
            error.hint("the sweep file has no `profiles`");
        }
        return false;
    };
    let changes = entries(&chosen.value).to_vec();
    if let Some(beyond) = changes.get(MOST_CHANGES) {
        let message = format!("profile `{}` has {} changes", short(name), changes.len());
        let error = report.error(beyond.key.place, Problem::BadOverride(message));
        error.allowed(format!("up to {MOST_CHANGES}"));
        return false;
    }
    for Entry { key, value } in changes {
        let names: Vec<&str> = key.value.split('.').collect();
        if let Err(message) = put(tree, &names, key.place, value) {
            report.error(key.place, Problem::BadOverride(message));
        }
    }
    true
}

fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    entries(node).iter().find(|entry| entry.key.value == name).map(|entry| &entry.value)
}

/// A mapping's entries; empty for anything else, which its own reader reports.
fn entries(node: &Node) -> &[Entry] {
    if let Content::Map(entries) = &node.content { entries } else { &[] }
}

/// Puts the `--set` values into the tree, in their order.
pub(super) fn set(tree: &mut Node, arguments: &[String], report: &mut Report) {
    for argument in arguments {
        let Some((path, value)) = split("--set", argument, "training.epochs=2", report) else { continue };
        let names: Vec<&str> = path.value.split('.').collect();
        if let Err(message) = put(tree, &names, path.place, value) {
            report.error(path.place, Problem::BadOverride(message));
        }
    }
}

/// Reads the `--only` arguments, by the table of axes.
pub(super) fn only(arguments: &[String], report: &mut Report) -> Vec<RawAxis> {
    let mut all: Vec<RawAxis> = Vec::new();
    for argument in arguments {
        let Some((name, node)) = split("--only", argument, "method=lora", report) else { continue };
        let Some(key) = keys::grid::EXCLUSION.keys().find(|key| key.name == name.value) else {
            let message = format!("unknown axis `{}`", name.value);
            let error = report.error(name.place, Problem::BadOverride(message));
            error.one_of(&name.value, keys::grid::EXCLUSION.keys().map(|key| key.name));
            continue;
        };
        let spelled = spelled(key, &node);
        let values = spelled.map_or_else(|| read::values(key, true, &node, report), |value| vec![value]);
        let written = values.len();
        let Some(axis) = raw::axis(Field { key, place: name.place, node: &node, values, written }) else {
            continue;
        };
        raw::only_listed(&axis, report);
        match all.iter_mut().find(|known| known.row == axis.row) {
            Some(known) => known.values.extend(axis.values),
            None => all.push(axis),
        }
    }
    all
}

/// A value in the notation of tables, which show the possible values.
fn spelled(key: &Key, node: &Node) -> Option<At<Value>> {
    let Content::Text(written) = &node.content else { return None };
    let setting = AXES[key.row?].spelled(written)?;
    Some(At { value: Value::Plain(setting, Vec::new()), place: node.place })
}

/// The name before the equals sign and the value after it.
fn split(option: &str, argument: &str, example: &str, report: &mut Report) -> Option<(At<String>, Node)> {
    let source = report.sources.add(&format!("{option} {argument}"), argument);
    let whole = Place { source, start: 0, end: argument.len() };
    let Some((name, value)) = argument.split_once('=') else {
        let problem = Problem::BadOverride(format!("`{argument}` has no `=`"));
        report.error(whole, problem).hint(format!("for example `{option} {example}`"));
        return None;
    };
    let place = Place { end: name.len(), ..whole };
    match tree::parse(value) {
        Ok(mut node) => {
            node.relocate(source, name.len() + 1);
            Some((At { value: name.to_owned(), place }, node))
        }
        Err(error) => {
            let column =
                error.at.map_or(0, |(_, column)| column.saturating_sub(1)) + name.chars().count() + 1;
            let place = report.sources.place(source, 1, column + 1);
            report.error(place, Problem::Syntax(error.message));
            None
        }
    }
}

/// Follows the path, creating mappings where needed, and replaces or adds the value.
fn put(node: &mut Node, path: &[&str], place: Place, value: Node) -> Result<(), String> {
    let Some((name, rest)) = path.split_first() else {
        *node = value;
        return Ok(());
    };
    if matches!(node.content, Content::Null) {
        *node = Node { content: Content::Map(Vec::new()), place };
    }
    match &mut node.content {
        Content::Map(entries) => {
            let index = entries.iter().position(|entry| entry.key.value == *name).unwrap_or_else(|| {
                let key = At { value: (*name).to_owned(), place };
                entries.push(Entry { key, value: Node { content: Content::Null, place } });
                entries.len() - 1
            });
            put(&mut entries[index].value, rest, place, value)
        }
        Content::List(items) => {
            let length = items.len();
            let item = name.parse().ok().and_then(|index: usize| items.get_mut(index));
            let item = item.ok_or_else(|| {
                format!(
                    "no item `{name}`: the list has {}, counted from 0",
                    quantity::counted(length, "item")
                )
            })?;
            put(item, rest, place, value)
        }
        Content::Null | Content::Flag(_) | Content::Number | Content::Text(_) => {
            Err(format!("`{name}` cannot be set: its parent is a single value, not a mapping"))
        }
    }
}
