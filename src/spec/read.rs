//! Owns reading a mapping of the tree into values of the right type, by the table of keys. Reports every
//! unknown key and every bad value, and continues. Knows nothing beyond the table.

use super::error::{Problem, Report, SpecError};
use super::foreign::{self, Meant};
use super::keys::{Key, Kind, Section};
use super::number;
use super::range;
use super::source::{At, Place, Sources};
use super::tree::{Content, Entry, Node};
use super::value::{Value, parse};
use super::words::{quoted, short};
use crate::sweep::devices;
use crate::values::{Domain, Setting};

/// The known keys of a mapping.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    /// Place of the mapping.
    pub(super) place: Place,
    /// In the file's order, each key once.
    pub(super) fields: Vec<Field<'n>>,
}

/// A known key with its content.
#[derive(Debug)]
pub(super) struct Field<'n> {
    pub(super) key: &'static Key,
    /// Place of the key.
    pub(super) place: Place,
    /// The content as written.
    pub(super) node: &'n Node,
    /// The good values; more than one only for an axis.
    pub(super) values: Vec<At<Value>>,
    /// Number of values written.
    pub(super) written: usize,
}

/// Reads a mapping; `title` is its name in messages. `None` where the node is not a mapping.
pub(super) fn fields<'n>(
    node: &'n Node,
    section: &'static Section,
    title: &str,
    report: &mut Report,
) -> Option<Fields<'n>> {
    let entries = entries(node, title, report)?;
    let mut fields: Vec<Field<'n>> = Vec::new();
    for entry in entries {
        let name = &entry.key.value;
        let Some(key) = section.keys().find(|key| key.name == *name) else {
            if !section.ignores(name) {
                unknown_key(&entry.key, section, title, report);
            }
            continue;
        };
        let values = values(key, section.lists, &entry.value, report);
        let written = written(key, section.lists, &entry.value);
        fields.push(Field { key, place: entry.key.place, node: &entry.value, values, written });
    }
    let fields = Fields { place: node.place, fields };
    let chosen = chosen(section, &fields);
    let means = |key: &Key| chosen.is_none_or(|word| key.only.is_empty() || key.only.contains(&word));
    for field in fields.fields.iter().filter(|field| !means(field.key)) {
        let noun = section.chooser.map_or("", |chooser| chooser.noun);
        inapplicable(field, &format!("{noun} `{}`", chosen.unwrap_or_default()), noun, report);
    }
    for key in section.keys().filter(|key| key.is_required(chosen) && means(key)) {
        if !fields.has(key.name) {
            missing(key.name, title, node.place, report).hint(uncapitalised(key.doc));
        }
    }
    Some(fields)
}

/// The value of the section's chooser; `None` where every key may apply.
fn chosen(section: &'static Section, fields: &Fields<'_>) -> Option<&'static str> {
    let chooser = section.chooser?;
    let Some(field) = fields.field(chooser.key) else { return chooser.default };
    let Some(At { value: Value::Plain(Setting::Word(word), _), .. }) = field.values.first() else {
        return None;
    };
    Some(word)
}

/// Reports a key that does not apply for the chooser's value.
fn inapplicable(field: &Field<'_>, whose: &str, noun: &str, report: &mut Report) {
    let problem = Problem::InapplicableKey { key: field.key.name, whose: whose.to_owned() };
    report.error(field.place, problem).hint(format!("only {noun} {} can have it", quoted(field.key.only)));
}

/// A mapping's entries, each key once; a repeated key is an error.
pub(super) fn entries<'n>(node: &'n Node, title: &str, report: &mut Report) -> Option<Vec<&'n Entry>> {
    let Content::Map(all) = &node.content else {
        bad(title, node, "a mapping", report);
        return None;
    };
    let mut firsts: std::collections::HashMap<&str, Place> = std::collections::HashMap::new();
    let mut kept = Vec::with_capacity(all.len());
    for entry in all {
        if let Some(first) = firsts.get(entry.key.value.as_str()) {
            let first = report.sources.line(*first);
            report.error(entry.key.place, Problem::DuplicateKey { key: short(&entry.key.value), first });
        } else {
            firsts.insert(&entry.key.value, entry.key.place);
            kept.push(entry);
        }
    }
    Some(kept)
}

/// A list's items.
pub(super) fn items<'n>(node: &'n Node, title: &str, wanted: &str, report: &mut Report) -> &'n [Node] {
    if let Content::List(items) = &node.content {
        return items;
    }
    bad(title, node, wanted, report);
    &[]
}

/// Reports a missing key.
pub(super) fn missing<'r>(key: &str, title: &str, place: Place, report: &'r mut Report) -> &'r mut SpecError {
    // Point at the beginning: the end of a mapping does not help to find what is missing.
    let place = Place { end: place.start, ..place };
    report.error(place, Problem::MissingKey { key: key.to_owned(), section: title.to_owned() })
}

fn uncapitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Reports a key that the section does not have; `title` is the section's name in messages.
fn unknown_key(key: &At<String>, section: &Section, title: &str, report: &mut Report) {
    let name = key.value.as_str();
    let problem = Problem::UnknownKey { key: short(name), section: title.to_owned() };
    let error = report.error(key.place, problem);
    error.one_of(name, section.keys().map(|key| key.name));
    match foreign::meant(name, section) {
        Some(Meant::Here(hint)) => error.hint = Some(hint),
        Some(Meant::Elsewhere(hint)) if error.hint.is_none() => error.hint = Some(hint),
        Some(Meant::Elsewhere(_)) | None => {}
    }
    if error.hint.is_none() && section.ignores("x-") && name.starts_with(['.', '_']) {
        error.hint(format!("a key for anchors alone is called `x-{}`", name.trim_start_matches(['.', '_'])));
    }
}

/// The good values of a key; an axis of a block may have a list of them.
pub(super) fn values(key: &'static Key, lists: bool, node: &Node, report: &mut Report) -> Vec<At<Value>> {
    if lists
        && key.row.is_some()
        && let Some(value) = range::read(key, node, report)
    {
        return value.into_iter().map(|value| At { value, place: node.place }).collect();
    }
    match axis_list(key, lists, node) {
        Some([]) => {
            bad(&format!("`{}`", key.name), node, &key.kind.wanted(), report);
            Vec::new()
        }
        Some(items) => items.iter().filter_map(|item| value(key, item, report)).collect(),
        None => value(key, node, report).into_iter().collect(),
    }
}

fn written(key: &Key, lists: bool, node: &Node) -> usize {
    axis_list(key, lists, node).map_or(1, <[Node]>::len)
}

/// The items of a list that means several values. A list of texts counts as one value if its axis holds lists
/// of texts.
fn axis_list<'n>(key: &Key, lists: bool, node: &'n Node) -> Option<&'n [Node]> {
    if let Some(items) = foreign::values(node).filter(|_| lists && key.row.is_some()) {
        return Some(items);
    }
    let Content::List(items) = &node.content else { return None };
    let nested = items.iter().any(|item| matches!(item.content, Content::List(_)));
    let one_value = matches!(key.kind, Kind::Plain(domain) if domain.is_list()) && !nested;
    (lists && key.row.is_some() && !one_value).then_some(items.as_slice())
}

/// One value of the expected kind. Mappings and lists of mappings have their own readers.
fn value(key: &'static Key, node: &Node, report: &mut Report) -> Option<At<Value>> {
    if key.kind.has_own_reader() {
        return None;
    }
    let node = if key.row.is_some() { foreign::single(node) } else { node };
    if let Some(value) = parse(&key.kind, node, &report.sources) {
        return Some(At { value, place: node.place });
    }
    let written = report.sources.slice(node.place).to_owned();
    let culprit = culprit(&key.kind, node, &report.sources);
    // A wrong word needs no explanation.
    let word = matches!(key.kind, Kind::Plain(Domain::Choice(_)) | Kind::Devices)
        && matches!(node.content, Content::Text(_));
    let found = if word { format!("`{written}`") } else { describe(culprit, report) };
    let problem = Problem::BadValue { key: format!("`{}`", key.name), found };
    let advice = advice(key, culprit, &report.sources);
    let error = report.error(culprit.place, problem);
    if let Kind::Plain(Domain::Choice(words)) = &key.kind {
        error.one_of(&written, words.iter().copied());
    } else {
        error.allowed(key.kind.wanted());
    }
    if let Some(advice) = advice {
        error.hint(advice);
    } else if key.row.is_some()
        && (matches!(culprit.content, Content::List(_)) || foreign::values(node).is_some())
    {
        error.hint("to vary it, put a list of values into a block of `grid`");
    }
    None
}

/// The correct notation for a value of the wrong kind, where it is clear what was meant.
fn advice(key: &Key, node: &Node, sources: &Sources) -> Option<String> {
    let domain = if let Kind::Plain(domain) = &key.kind { Some(domain) } else { None };
    let whole = domain.is_some_and(Domain::is_count);
    let range = || foreign::instead_of_range(key.name, whole, node, sources);
    let written = match &node.content {
        Content::Text(text) => text.as_str(),
        Content::Flag(_) | Content::Number => sources.slice(node.place),
        Content::Null | Content::List(_) => "",
        Content::Map(_) if key.row.is_some() && foreign::values(node).is_none() => return range(),
        Content::Map(_) => "",
    };
    match domain {
        None if matches!(key.kind, Kind::Devices) => devices::advice(sources.slice(node.place)),
        Some(Domain::Choice(_)) if key.name == "architecture" => foreign::family(written),
        Some(Domain::Choice(_)) if key.name == "sampler" => foreign::sampler(written),
        None | Some(Domain::Text | Domain::Texts | Domain::TextsOrNone | Domain::Choice(_)) => None,
        Some(Domain::OrNull(_)) if written.eq_ignore_ascii_case("none") => Some("write `null`".to_owned()),
        Some(Domain::Count(..) | Domain::Number(_) | Domain::Counts | Domain::OrNull(_)) => {
            number::advice(written).or_else(range)
        }
        Some(Domain::Flag) => match written.to_lowercase().as_str() {
            "yes" | "on" | "y" | "true" | "1" => Some("write `true`".to_owned()),
            "no" | "off" | "n" | "false" | "0" => Some("write `false`".to_owned()),
            _ => None,
        },
    }
}

/// The part of a value that is wrong: an item of a list of texts or numbers, or the whole value.
fn culprit<'n>(kind: &Kind, node: &'n Node, sources: &Sources) -> &'n Node {
    let Content::List(items) = &node.content else { return node };
    let item = match kind {
        Kind::Labels => Domain::Text,
        Kind::Plain(domain) => match domain.plain() {
            Domain::Texts | Domain::TextsOrNone => Domain::Text,
            Domain::Counts => Domain::Count(0, u64::MAX),
            Domain::Text
            | Domain::Count(..)
            | Domain::Number(_)
            | Domain::Flag
            | Domain::Choice(_)
            | Domain::OrNull(_) => return node,
        },
        Kind::Devices
        | Kind::Weights(_)
        | Kind::Section(_)
        | Kind::Named(_)
        | Kind::Blocks(_)
        | Kind::Zip
        | Kind::Character
        | Kind::Encoding
        | Kind::Profiles => return node,
    };
    items.iter().find(|one| parse(&Kind::Plain(item), one, sources).is_none()).unwrap_or(node)
}

/// Reports a value of the wrong kind or out of range.
pub(super) fn bad<'r>(title: &str, node: &Node, wanted: &str, report: &'r mut Report) -> &'r mut SpecError {
    let problem = Problem::BadValue { key: title.to_owned(), found: describe(node, report) };
    report.error(node.place, problem).allowed(wanted)
}

fn describe(node: &Node, report: &Report) -> String {
    let written: String = report.sources.slice(node.place).chars().take(60).collect();
    match &node.content {
        Content::Null => "empty".to_owned(),
        Content::Flag(_) | Content::Number => format!("`{written}`"),
        Content::Text(_) => format!("the text `{written}`"),
        Content::List(items) if items.is_empty() => "an empty list".to_owned(),
        Content::List(_) => "a list".to_owned(),
        Content::Map(entries) if foreign::is_range(entries) => "a range".to_owned(),
        Content::Map(_) => "a mapping".to_owned(),
    }
}

impl<'n> Fields<'n> {
    /// The content of a key, as written.
    pub(super) fn node(&self, name: &str) -> Option<&'n Node> {
        self.field(name).map(|field| field.node)
    }

    /// Whether the key exists, with a good or a bad value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// Place of a key.
    pub(super) fn key_place(&self, name: &str) -> Option<Place> {
        self.field(name).map(|field| field.place)
    }

    /// A key's single value, converted.
    pub(super) fn take<T>(&self, name: &str, convert: impl Fn(Value) -> Option<T>) -> Option<At<T>> {
        let At { value, place } = self.field(name)?.values.first()?.clone();
        Some(At { value: convert(value)?, place })
    }

    /// A key's text.
    pub(super) fn text(&self, name: &str) -> Option<At<String>> {
        self.take(name, Value::into_text)
    }

    /// A key's whole number as a size.
    pub(super) fn size(&self, name: &str) -> Option<At<usize>> {
        self.take(name, |value| value.size())
    }

    /// A key's seed; 42 where it is absent.
    pub(super) fn seed(&self, name: &str) -> u64 {
        self.take(name, |value| value.count()).map_or(42, |at| at.value)
    }

    /// A key's number.
    pub(super) fn number(&self, name: &str) -> Option<At<f64>> {
        self.take(name, |value| value.number())
    }

    /// A key's flag.
    pub(super) fn flag(&self, name: &str) -> Option<At<bool>> {
        self.take(name, |value| value.flag())
    }

    /// A known key with its content.
    pub(super) fn field(&self, name: &str) -> Option<&Field<'n>> {
        self.fields.iter().find(|field| field.key.name == name)
    }
}
