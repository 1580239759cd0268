//! Owns the YAML tree: every value and every key with its place. Knows no key's meaning, so that one
//! bad value never hides the rest of the file.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Location, Spanned};

use super::source::{At, Place};

/// Deepest nesting: a sweep needs six levels.
const MAX_DEPTH: usize = 32;
/// Most values that aliases may repeat.
const MAX_REPEATED: usize = 100_000;

/// A YAML value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) place: Place,
}

/// What a YAML value is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number that is not negative.
    Count(u64),
    /// Any other number.
    Number(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping; keys may still occur twice.
    Map(Vec<Entry>),
}

/// One key of a mapping and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: At<String>,
    pub(super) value: Node,
}

/// A text that is not YAML: the parser's words, and line and column from 1 where it knows them.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) at: Option<(usize, usize)>,
}

/// Parses one YAML document. Places count from the text's first byte in source 0.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let budget = serde_yaml::budget! { max_depth: MAX_DEPTH, max_nodes: 1_000_000 };
    let alias_limits = serde_yaml::alias_limits! { max_total_replayed_events: MAX_REPEATED };
    let options = serde_yaml::options! {
        budget: budget,
        alias_limits: alias_limits,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: serde_yaml::NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| SyntaxError {
        // The other formatter talks to Rust programmers.
        message: message_of(&error.render_with_formatter(&serde_yaml::UserMessageFormatter)),
        at: error.location().map(|at| (to_usize(at.line()), to_usize(at.column()))),
    })
}

impl Node {
    /// Moves every place of the tree into another source, `offset` bytes further on.
    pub(super) fn relocate(&mut self, source: usize, offset: usize) {
        relocate(&mut self.place, source, offset);
        match &mut self.content {
            Content::List(items) => items.iter_mut().for_each(|item| item.relocate(source, offset)),
            Content::Map(entries) => {
                for entry in entries {
                    relocate(&mut entry.key.place, source, offset);
                    entry.value.relocate(source, offset);
                }
            }
            Content::Null | Content::Flag(_) | Content::Count(_) | Content::Number(_) | Content::Text(_) => {}
        }
    }
}

fn relocate(place: &mut Place, source: usize, offset: usize) {
    *place = Place { source, start: place.start + offset, end: place.end + offset };
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self { content: spanned.value, place: place(spanned.defined) })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Flag(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Count(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "negative whole numbers are never allowed values")]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Content, E> {
        Ok(u64::try_from(value).map_or(Content::Number(value as f64), Content::Count))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Number(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = At { place: place(key.defined), value: key.value };
            entries.push(Entry { key, value: map.next_value()? });
        }
        Ok(Content::Map(entries))
    }
}

fn place(location: Location) -> Place {
    let span = location.span();
    let start = to_usize(span.byte_offset().unwrap_or_else(|| span.offset()));
    let length = to_usize(span.byte_len().unwrap_or_else(|| span.len()));
    Place { source: 0, start, end: start + length }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The parser's message without its place, which we show ourselves.
fn message_of(text: &str) -> String {
    let line = text.lines().next().unwrap_or("it has no value");
    line.split(" at line ").next().unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(node: &Node) -> &[Entry] {
        let Content::Map(entries) = &node.content else { panic!("not a mapping: {node:?}") };
        entries
    }

    #[test]
    fn every_key_and_value_has_its_place() {
        let text = "task: {label: Prö, k: 5e-3}\nß: [no, -1, 'x y', ]\n? 7\n: ~\nnone:\n";
        let node = parse(text).unwrap();
        let at = |place: Place| &text[place.start..place.end];
        let top = entries(&node);
        let task = entries(&top[0].value);
        assert_eq!(
            (at(top[0].key.place), at(task[0].key.place), at(task[0].value.place)),
            ("task", "label", "Prö")
        );
        assert!(matches!(task[1].value.content, Content::Number(x) if (x - 0.005).abs() < 1e-12));
        assert_eq!(at(task[1].value.place), "5e-3");
        let Content::List(items) = &top[1].value.content else { panic!() };
        assert!(matches!(&items[0].content, Content::Text(no) if no == "no"));
        assert_eq!(items.iter().map(|i| at(i.place)).collect::<Vec<_>>(), ["no", "-1", "'x y'"]);
        assert_eq!(top[2].key.value, "7");
        assert!(matches!(top[3].value.content, Content::Null));
    }

    #[test]
    fn duplicate_keys_survive_and_aliases_are_bounded() {
        assert_eq!(entries(&parse("a: 1\na: 2\n").unwrap()).len(), 2);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![before; 9].join(", "));
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(10_000)).is_err());
    }

    #[test]
    fn a_syntax_error_has_a_place() {
        let error = parse("a: [1, 2\nb: 3\n").unwrap_err();
        assert!(error.at.is_some(), "{error:?}");
        assert!(parse("a: 1\n---\nb: 2\n").is_err());
    }
}
