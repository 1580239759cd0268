//! Owns single values: what a node of the tree is as a value of a key's kind, and how such kinds are
//! told in messages. Notes no error.

use super::keys::{self, Kind, Range};
use super::number::Number;
use super::source::{At, Sources};
use super::tree::{Content, Entry, Node};
use super::words::quoted;
use crate::data::sources::encoding;
use crate::sweep::DeviceRequest;

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
    Labels(Labels),
}

/// How a task names its classes.
#[derive(Clone, Debug)]
pub(super) enum Labels {
    /// What the file calls a class, and the class's name.
    Map(Vec<(At<String>, At<String>)>),
    /// Names for the file's whole numbers, in order.
    List(Vec<At<String>>),
}

/// The value that a node is; `None` where it is none of this kind.
pub(super) fn parse(kind: &Kind, node: &Node, sources: &Sources) -> Option<Value> {
    match kind {
        Kind::Section(_) | Kind::Named(_) | Kind::Blocks(_) | Kind::Zip | Kind::Profiles => None,
        Kind::Text => text(node, sources).map(Value::Text),
        Kind::Texts => texts(node, sources).filter(|all| !all.is_empty()).map(Value::Texts),
        Kind::TextsOrNone => texts(node, sources).map(Value::Texts),
        Kind::Labels => labels(node, sources).map(Value::Labels),
        Kind::Character => character(&text(node, sources)?).map(|one| Value::Text(one.to_string())),
        Kind::Encoding => encoding(&text(node, sources)?).map(|name| Value::Text(name.to_owned())),
        Kind::Count(min, max) => {
            let count = number(node, sources)?.whole()?;
            (*min..=*max).contains(&count).then_some(Value::Count(count))
        }
        Kind::Number(range) => {
            let number = number(node, sources)?.real()?;
            range.holds(number).then_some(Value::Number(number))
        }
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
    all.collect()
}

fn labels(node: &Node, sources: &Sources) -> Option<Labels> {
    match &node.content {
        Content::List(_) => texts(node, sources).filter(|all| !all.is_empty()).map(Labels::List),
        // An empty mapping renames nothing: that is how a profile takes the names back.
        Content::Map(entries) => {
            let name = |entry: &Entry| {
                let value = text(&entry.value, sources)?;
                Some((entry.key.clone(), At { value, place: entry.value.place }))
            };
            entries.iter().map(name).collect::<Option<_>>().map(Labels::Map)
        }
        Content::Null | Content::Flag(_) | Content::Number | Content::Text(_) => None,
    }
}

fn text(node: &Node, sources: &Sources) -> Option<String> {
    match &node.content {
        Content::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        // A column may be called `2024`, a label `true`: taken as written.
        Content::Flag(_) | Content::Number => Some(sources.slice(node.place).to_owned()),
        Content::Null | Content::List(_) | Content::Map(_) => None,
    }
}

/// An ASCII character, by itself or by its name.
fn character(text: &str) -> Option<char> {
    let named = match text {
        "tab" | "\\t" => Some('\t'),
        "comma" => Some(','),
        "semicolon" => Some(';'),
        "pipe" => Some('|'),
        "space" => Some(' '),
        _ => None,
    };
    let mut chars = text.chars();
    let single = chars.next().filter(|one| one.is_ascii() && !matches!(one, '\n' | '\r'));
    named.or(single.filter(|_| chars.next().is_none()))
}

/// The number as it is written: what YAML makes of it depends on the version.
fn number(node: &Node, sources: &Sources) -> Option<Number> {
    match &node.content {
        Content::Number => Number::read(sources.slice(node.place)),
        Content::Text(text) => Number::read(text),
        Content::Null | Content::Flag(_) | Content::List(_) | Content::Map(_) => None,
    }
}

fn flag(node: &Node) -> Option<bool> {
    if let Content::Flag(flag) = node.content { Some(flag) } else { None }
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
    /// Whether its values are read elsewhere: mappings, and lists of them.
    pub(super) fn has_own_reader(&self) -> bool {
        matches!(self, Self::Section(_) | Self::Named(_) | Self::Blocks(_) | Self::Zip | Self::Profiles)
    }

    /// Whether its values are whole numbers.
    pub(super) fn is_count(&self) -> bool {
        matches!(self, Self::Count(..) | Self::OrNull(Self::Count(..)))
    }

    /// What a value may be, in words.
    pub(super) fn wanted(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Texts => "a text, or a list of texts".to_owned(),
            Self::TextsOrNone => "a text, or a list of texts, which may be empty".to_owned(),
            Self::Labels => "a mapping from values to class names, or a list of class names".to_owned(),
            Self::Character => {
                "one ASCII character, or `tab`, `comma`, `semicolon`, `pipe`, `space`".to_owned()
            }
            Self::Encoding => {
                "an encoding such as `utf-8`, `utf-16le`, `latin-1`, `windows-1252`, `shift_jis`".to_owned()
            }
            Self::Profiles => "a mapping from names to mappings from paths to values".to_owned(),
            Self::Count(0, _) => "a whole number".to_owned(),
            Self::Count(min, keys::MANY..) => format!("a whole number, at least {min}"),
            Self::Count(min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(Range::Positive) => "a number above 0".to_owned(),
            Self::Number(Range::NotNegative) => "a number, at least 0".to_owned(),
            Self::Number(Range::Share) => "a number, at least 0 and below 1".to_owned(),
            Self::Number(Range::OpenShare) => "a number above 0 and below 1".to_owned(),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Choice(words) => quoted(words),
            Self::Devices => crate::sweep::devices::ALLOWED.to_owned(),
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

    /// The one character, where it is one.
    pub(super) fn character(&self) -> Option<char> {
        let Self::Text(text) = self else { return None };
        let mut chars = text.chars();
        chars.next().filter(|_| chars.next().is_none())
    }

    /// The flag, where it is one.
    pub(super) fn flag(&self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(*flag) } else { None }
    }

    /// The class names, where they are some.
    pub(super) fn into_labels(self) -> Option<Labels> {
        if let Self::Labels(labels) = self { Some(labels) } else { None }
    }

    /// The devices, where they are some.
    pub(super) fn into_devices(self) -> Option<DeviceRequest> {
        if let Self::Devices(devices) = self { Some(devices) } else { None }
    }

    /// Whether it is `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}
