//! Owns single values: the value of a node for a kind of key, and the description of such kinds in messages.
//! Reports no error.

use super::keys::Kind;
use super::number::Number;
use super::source::{At, Place, Sources};
use super::tree::{Content, Entry, Node};
use crate::data::sources::encoding;
use crate::search::Spread;
use crate::sweep::DeviceRequest;
use crate::values::{Domain, Setting};

/// A value that has the type and range of its key.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A value of a domain, and the place of each item of a list.
    Plain(Setting, Vec<Place>),
    Devices(DeviceRequest),
    Labels(Labels),
    /// Numbers by class name.
    Weights(Vec<(At<String>, f64)>),
    /// The range of an axis.
    Spread(Spread),
    /// An axis that is a multiple of another.
    Tied(Tie),
}

/// An axis that is a multiple of another one.
#[derive(Clone, Debug)]
pub(super) struct Tie {
    /// The other axis.
    pub(super) times: At<String>,
    /// Its factors.
    pub(super) by: Vec<At<f64>>,
}

/// How a task names its classes.
#[derive(Clone, Debug)]
pub(super) enum Labels {
    /// From a class in the file to the class's name.
    Map(Vec<(At<String>, At<String>)>),
    /// Names for the file's whole numbers, in order.
    List(Vec<At<String>>),
}

/// The value of a node; `None` where it is not of this kind.
pub(super) fn parse(kind: &Kind, node: &Node, sources: &Sources) -> Option<Value> {
    let one = |setting| Value::Plain(setting, Vec::new());
    match kind {
        Kind::Section(_) | Kind::Named(_) | Kind::Blocks(_) | Kind::Zip | Kind::Profiles => None,
        Kind::Plain(domain) => {
            let (setting, items) = plain(domain, node, sources)?;
            domain.holds(&setting).then_some(Value::Plain(setting, items))
        }
        Kind::Labels => labels(node, sources).map(Value::Labels),
        Kind::Weights(words) => weights(words, node, sources),
        Kind::Character => {
            character(&text(node, sources)?).map(|one| Setting::Text(one.to_string())).map(one)
        }
        Kind::Encoding => encoding(&text(node, sources)?).map(|name| Setting::Text(name.to_owned())).map(one),
        Kind::Devices => text(node, sources)?.parse().ok().map(Value::Devices),
    }
}

/// The setting of a domain's type that a node holds, in its range or not, and the places of a list's items.
fn plain(domain: &Domain, node: &Node, sources: &Sources) -> Option<(Setting, Vec<Place>)> {
    let setting = match domain {
        Domain::OrNull(_) if matches!(node.content, Content::Null) => Setting::Null,
        Domain::OrNull(inner) => return plain(inner, node, sources),
        Domain::Text => Setting::Text(text(node, sources)?),
        Domain::Count(..) => Setting::Count(number(node, sources)?.whole()?),
        Domain::Number(_) => Setting::Number(number(node, sources)?.real()?),
        Domain::Flag => Setting::Flag(flag(node)?),
        Domain::Choice(words) => {
            let text = text(node, sources)?;
            Setting::Word(words.iter().find(|word| **word == text)?)
        }
        Domain::Texts | Domain::TextsOrNone => {
            let (texts, places) = texts(node, sources)?.into_iter().map(|at| (at.value, at.place)).unzip();
            return Some((Setting::Texts(texts), places));
        }
        Domain::Counts => {
            let counts = items(node).iter().map(|item| number(item, sources)?.whole());
            let places = items(node).iter().map(|item| item.place).collect();
            return Some((Setting::Counts(counts.collect::<Option<_>>()?), places));
        }
    };
    Some((setting, Vec::new()))
}

/// A list's items; any other node is its only item.
fn items(node: &Node) -> &[Node] {
    if let Content::List(items) = &node.content { items } else { std::slice::from_ref(node) }
}

fn texts(node: &Node, sources: &Sources) -> Option<Vec<At<String>>> {
    let all = items(node).iter().map(|item| Some(At { value: text(item, sources)?, place: item.place }));
    all.collect()
}

fn labels(node: &Node, sources: &Sources) -> Option<Labels> {
    match &node.content {
        Content::List(_) => texts(node, sources).filter(|all| !all.is_empty()).map(Labels::List),
        // An empty mapping renames nothing, which lets a profile remove the names.
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

fn weights(words: &[&'static str], node: &Node, sources: &Sources) -> Option<Value> {
    let Content::Map(entries) = &node.content else {
        let text = text(node, sources)?;
        let word = words.iter().find(|word| **word == text)?;
        return Some(Value::Plain(Setting::Word(word), Vec::new()));
    };
    let weight = |entry: &Entry| {
        let weight = number(&entry.value, sources)?.real()?;
        (weight > 0.0 && weight.is_finite()).then(|| (entry.key.clone(), weight))
    };
    entries.iter().map(weight).collect::<Option<_>>().map(Value::Weights)
}

fn text(node: &Node, sources: &Sources) -> Option<String> {
    match &node.content {
        Content::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        // A column may be called `2024` and a label `true`: they are taken as written.
        Content::Flag(_) | Content::Number => Some(sources.slice(node.place).to_owned()),
        Content::Null | Content::List(_) | Content::Map(_) => None,
    }
}

/// An ASCII character, given directly or by its name.
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

/// The number as it is written, since its YAML value depends on the version.
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

impl Kind {
    /// Whether its values have their own reader: mappings, and lists of them.
    pub(super) fn has_own_reader(&self) -> bool {
        matches!(self, Self::Section(_) | Self::Named(_) | Self::Blocks(_) | Self::Zip | Self::Profiles)
    }

    /// The allowed values, in words.
    pub(super) fn wanted(&self) -> String {
        match self {
            Self::Plain(domain) => domain.to_string(),
            Self::Weights(words) => {
                format!("`{}`, or a mapping from class names to numbers greater than 0", words.join("`, `"))
            }
            Self::Labels => "a mapping from values to class names, or a list of class names".to_owned(),
            Self::Character => {
                "one ASCII character, or `tab`, `comma`, `semicolon`, `pipe`, `space`".to_owned()
            }
            Self::Encoding => {
                "an encoding such as `utf-8`, `utf-16le`, `latin-1`, `windows-1252`, `shift_jis`".to_owned()
            }
            Self::Profiles => "a mapping from names to mappings from paths to values".to_owned(),
            Self::Devices => crate::sweep::devices::ALLOWED.to_owned(),
            Self::Section(_) | Self::Named(_) => "a mapping".to_owned(),
            Self::Blocks(_) => "a list of mappings".to_owned(),
            Self::Zip => "a list of lists of axes, for example `[[rank, alpha]]`".to_owned(),
        }
    }
}

impl Value {
    fn plain(&self) -> Option<&Setting> {
        if let Self::Plain(setting, _) = self { Some(setting) } else { None }
    }

    /// The text, if it is one.
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Plain(Setting::Text(text), _) => Some(text),
            Self::Plain(Setting::Word(word), _) => Some(word.to_owned()),
            Self::Plain(..)
            | Self::Devices(_)
            | Self::Labels(_)
            | Self::Weights(_)
            | Self::Spread(_)
            | Self::Tied(_) => None,
        }
    }

    /// The texts with their places, if it has some.
    pub(super) fn into_texts(self) -> Option<Vec<At<String>>> {
        let Self::Plain(Setting::Texts(texts), places) = self else { return None };
        Some(texts.into_iter().zip(places).map(|(value, place)| At { value, place }).collect())
    }

    /// The word, if it is one.
    pub(super) fn word(&self) -> Option<&'static str> {
        if let Some(Setting::Word(word)) = self.plain() { Some(word) } else { None }
    }

    /// The whole number, if it is one.
    pub(super) fn count(&self) -> Option<u64> {
        if let Some(Setting::Count(count)) = self.plain() { Some(*count) } else { None }
    }

    /// The whole number as a size, if it is one that fits.
    pub(super) fn size(&self) -> Option<usize> {
        self.count().and_then(|count| usize::try_from(count).ok())
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        if let Some(Setting::Number(number)) = self.plain() { Some(*number) } else { None }
    }

    /// The single character, if it is one.
    pub(super) fn character(&self) -> Option<char> {
        let Some(Setting::Text(text)) = self.plain() else { return None };
        let mut chars = text.chars();
        chars.next().filter(|_| chars.next().is_none())
    }

    /// The flag, if it is one.
    pub(super) fn flag(&self) -> Option<bool> {
        if let Some(Setting::Flag(flag)) = self.plain() { Some(*flag) } else { None }
    }

    /// The class names, if it has some.
    pub(super) fn into_labels(self) -> Option<Labels> {
        if let Self::Labels(labels) = self { Some(labels) } else { None }
    }

    /// Numbers by class name, if it has some.
    pub(super) fn into_weights(self) -> Option<Vec<(At<String>, f64)>> {
        if let Self::Weights(weights) = self { Some(weights) } else { None }
    }

    /// The devices, if it names some.
    pub(super) fn into_devices(self) -> Option<DeviceRequest> {
        if let Self::Devices(devices) = self { Some(devices) } else { None }
    }
}
