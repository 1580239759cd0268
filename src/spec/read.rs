//! Owns how a mapping of the tree becomes values of the right type, by the table of keys. Collects
//! every unknown key and every bad value, and goes on. Knows no meaning beyond the table.

use super::DeviceRequest;
use super::error::{Problem, Report, SpecError, quoted};
use super::keys::{self, Key, Kind, Range, Section};
use super::source::{At, Place, Sources};
use super::tree::{Content, Entry, Node};

/// A value that has the type and range of its key.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Text(String),
    Texts(Vec<At<String>>),
    Count(u64),
    Number(f64),
    Flag(bool),
    Devices(DeviceRequest),
}

/// The known keys that a mapping has.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    /// Where the mapping stands.
    pub(super) place: Place,
    /// In the file's order, each key once.
    pub(super) fields: Vec<Field<'n>>,
}

/// A known key and what it holds.
#[derive(Debug)]
pub(super) struct Field<'n> {
    pub(super) key: &'static Key,
    /// Where the key stands.
    pub(super) place: Place,
    /// What was written.
    pub(super) node: &'n Node,
    /// The good values among those written; more than one only for an axis.
    pub(super) values: Vec<At<Value>>,
    /// How many values were written.
    pub(super) written: usize,
}

/// Reads a mapping; `title` names it in messages. `None` where it is no mapping.
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
            let error = report.error(entry.key.place, unknown_key(name, title));
            error.one_of(name, section.keys().map(|key| key.name));
            continue;
        };
        let values = values(key, section.lists, &entry.value, report);
        let written = written(key, section.lists, &entry.value);
        fields.push(Field { key, place: entry.key.place, node: &entry.value, values, written });
    }
    for key in section.keys().filter(|key| key.required) {
        if !fields.iter().any(|field| field.key.name == key.name) {
            missing(key.name, title, node.place, report).hint(uncapitalised(key.doc));
        }
    }
    Some(Fields { place: node.place, fields })
}

/// A mapping's entries, each key once: what comes twice is an error.
pub(super) fn entries<'n>(node: &'n Node, title: &str, report: &mut Report) -> Option<Vec<&'n Entry>> {
    let Content::Map(all) = &node.content else {
        bad(title, node, "a mapping", report);
        return None;
    };
    let mut firsts: std::collections::HashMap<&str, Place> = std::collections::HashMap::new();
    let mut kept = Vec::with_capacity(all.len());
    for entry in all {
        if let Some(first) = firsts.get(entry.key.value.as_str()) {
            let first = report.sources.spot(*first).line;
            report.error(entry.key.place, Problem::DuplicateKey { key: entry.key.value.clone(), first });
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

/// Notes a missing key.
pub(super) fn missing<'r>(key: &str, title: &str, place: Place, report: &'r mut Report) -> &'r mut SpecError {
    // Point at the beginning: the end of a mapping says nothing about what it lacks.
    let place = Place { end: place.start, ..place };
    report.error(place, Problem::MissingKey { key: key.to_owned(), section: title.to_owned() })
}

fn uncapitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn unknown_key(name: &str, title: &str) -> Problem {
    Problem::UnknownKey { key: name.to_owned(), section: title.to_owned() }
}

/// The good values of a key; an axis of a block may have a list of them.
pub(super) fn values(key: &'static Key, lists: bool, node: &Node, report: &mut Report) -> Vec<At<Value>> {
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

/// The items, where a list means several values. A list of texts is one value of a list of texts.
fn axis_list<'n>(key: &Key, lists: bool, node: &'n Node) -> Option<&'n [Node]> {
    let Content::List(items) = &node.content else { return None };
    let nested = items.iter().any(|item| matches!(item.content, Content::List(_)));
    let one_value = matches!(key.kind, Kind::Texts) && !nested;
    (lists && key.axis.is_some() && !one_value).then_some(items.as_slice())
}

/// One value of the wanted kind. Mappings and lists of them are for their own readers.
fn value(key: &'static Key, node: &Node, report: &mut Report) -> Option<At<Value>> {
    if matches!(key.kind, Kind::Section(_) | Kind::Named(_) | Kind::Blocks(_) | Kind::Zip) {
        return None;
    }
    if let Some(value) = parse(&key.kind, node, &report.sources) {
        return Some(At { value, place: node.place });
    }
    let written = report.sources.slice(node.place).to_owned();
    let culprit = culprit(&key.kind, node);
    let found = match key.kind {
        // Among words the wrong one needs no explanation.
        Kind::Choice(_) | Kind::Devices if matches!(culprit.content, Content::Text(_)) => {
            format!("`{written}`")
        }
        _ => describe(culprit, report),
    };
    let problem = Problem::BadValue { key: format!("`{}`", key.name), found };
    let error = report.error(culprit.place, problem);
    if let Kind::Choice(words) = &key.kind {
        error.one_of(&written, words.iter().copied());
    } else {
        error.allowed(key.kind.wanted());
    }
    if key.axis.is_some() && matches!(culprit.content, Content::List(_)) {
        error.hint("to vary it, put a list of values into a block of `grid`");
    }
    None
}

/// The part of a value that is wrong: an item of a list of texts, or all of it.
fn culprit<'n>(kind: &Kind, node: &'n Node) -> &'n Node {
    let (Content::List(items), Kind::Texts) = (&node.content, kind) else { return node };
    let no_text = |item: &&Node| matches!(item.content, Content::Null | Content::List(_) | Content::Map(_));
    items.iter().find(no_text).unwrap_or(node)
}

fn parse(kind: &Kind, node: &Node, sources: &Sources) -> Option<Value> {
    match kind {
        Kind::Section(_) | Kind::Named(_) | Kind::Blocks(_) | Kind::Zip => None,
        Kind::Text => text(node, sources).map(Value::Text),
        Kind::Texts => texts(node, sources).map(Value::Texts),
        Kind::Count(min, max) => count(node).filter(|count| (min..=max).contains(&count)).map(Value::Count),
        Kind::Number(range) => number(node).filter(|number| range.holds(*number)).map(Value::Number),
        Kind::Flag => flag(node).map(Value::Flag),
        Kind::Choice(words) => {
            text(node, sources).filter(|word| words.contains(&word.as_str())).map(Value::Text)
        }
        Kind::Devices => text(node, sources)?.parse().ok().map(Value::Devices),
        Kind::OrNull(_) if matches!(node.content, Content::Null) => Some(Value::Null),
        Kind::OrNull(kind) => parse(kind, node, sources),
    }
}

fn texts(node: &Node, sources: &Sources) -> Option<Vec<At<String>>> {
    let nodes = if let Content::List(items) = &node.content { items } else { std::slice::from_ref(node) };
    let all = nodes.iter().map(|item| Some(At { value: text(item, sources)?, place: item.place }));
    all.collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())
}

fn text(node: &Node, sources: &Sources) -> Option<String> {
    match &node.content {
        Content::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        // A column may be called `2024`, a label `true`: taken as written.
        Content::Flag(_) | Content::Count(_) | Content::Number(_) => {
            Some(sources.slice(node.place).to_owned())
        }
        Content::Null | Content::List(_) | Content::Map(_) => None,
    }
}

fn count(node: &Node) -> Option<u64> {
    if let Content::Count(count) = node.content { Some(count) } else { None }
}

#[expect(clippy::cast_precision_loss, reason = "settings are far below 2^52")]
fn number(node: &Node) -> Option<f64> {
    match node.content {
        Content::Count(count) => Some(count as f64),
        Content::Number(number) => Some(number),
        Content::Null | Content::Flag(_) | Content::Text(_) | Content::List(_) | Content::Map(_) => None,
    }
}

fn flag(node: &Node) -> Option<bool> {
    if let Content::Flag(flag) = node.content { Some(flag) } else { None }
}

/// Notes a value of the wrong kind or out of range.
pub(super) fn bad<'r>(title: &str, node: &Node, wanted: &str, report: &'r mut Report) -> &'r mut SpecError {
    let problem = Problem::BadValue { key: title.to_owned(), found: describe(node, report) };
    report.error(node.place, problem).allowed(wanted)
}

fn describe(node: &Node, report: &Report) -> String {
    let written: String = report.sources.slice(node.place).chars().take(60).collect();
    match &node.content {
        Content::Null => "empty".to_owned(),
        Content::Flag(_) | Content::Count(_) | Content::Number(_) => format!("`{written}`"),
        Content::Text(_) => format!("the text `{written}`"),
        Content::List(items) if items.is_empty() => "an empty list".to_owned(),
        Content::List(_) => "a list".to_owned(),
        Content::Map(_) => "a mapping".to_owned(),
    }
}

impl Range {
    fn holds(self, number: f64) -> bool {
        number.is_finite()
            && match self {
                Self::Positive => number > 0.0,
                Self::NotNegative => number >= 0.0,
                Self::Share => (0.0..1.0).contains(&number),
                Self::OpenShare => number > 0.0 && number < 1.0,
            }
    }
}

impl Kind {
    /// What a value may be, in words.
    pub(super) fn wanted(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Texts => "a text, or a list of texts".to_owned(),
            Self::Count(0, _) => "a whole number".to_owned(),
            Self::Count(min, keys::MANY..) => format!("a whole number, at least {min}"),
            Self::Count(min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(Range::Positive) => "a number above 0".to_owned(),
            Self::Number(Range::NotNegative) => "a number, at least 0".to_owned(),
            Self::Number(Range::Share) => "a number, at least 0 and below 1".to_owned(),
            Self::Number(Range::OpenShare) => "a number above 0 and below 1".to_owned(),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Choice(words) => quoted(words),
            Self::Devices => super::DEVICES.to_owned(),
            Self::OrNull(kind) => format!("{}, or `null`", kind.wanted()),
            Self::Section(_) | Self::Named(_) => "a mapping".to_owned(),
            Self::Blocks(_) => "a list of mappings".to_owned(),
            Self::Zip => "a list of lists of axes, for example `[[rank, alpha]]`".to_owned(),
        }
    }
}

impl Value {
    /// The text, where it is one.
    pub(super) fn into_text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The texts, where they are some.
    pub(super) fn into_texts(self) -> Option<Vec<At<String>>> {
        if let Self::Texts(texts) = self { Some(texts) } else { None }
    }

    /// The whole number, where it is one.
    pub(super) fn count(&self) -> Option<u64> {
        if let Self::Count(count) = self { Some(*count) } else { None }
    }

    /// The whole number as a size, where it is one that fits.
    pub(super) fn size(&self) -> Option<usize> {
        self.count().and_then(|count| usize::try_from(count).ok())
    }

    /// The number, where it is one.
    pub(super) fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The flag, where it is one.
    pub(super) fn flag(&self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(*flag) } else { None }
    }

    /// The devices, where they are some.
    pub(super) fn devices(&self) -> Option<DeviceRequest> {
        if let Self::Devices(devices) = self { Some(*devices) } else { None }
    }

    /// Whether it is `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<'n> Fields<'n> {
    /// What a key holds, as written.
    pub(super) fn node(&self, name: &str) -> Option<&'n Node> {
        self.field(name).map(|field| field.node)
    }

    /// Whether the key is there, with a good value or a bad one.
    pub(super) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// Where a key stands.
    pub(super) fn key_place(&self, name: &str) -> Option<Place> {
        self.field(name).map(|field| field.place)
    }

    /// A key's one value, converted.
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

    /// A key's seed; 42 where there is none.
    pub(super) fn seed(&self, name: &str) -> u64 {
        self.take(name, |value| value.count()).map_or(42, |at| at.value)
    }

    fn field(&self, name: &str) -> Option<&Field<'n>> {
        self.fields.iter().find(|field| field.key.name == name)
    }
}
