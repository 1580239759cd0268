//! Owns the YAML tree: every value and every key with its place. Knows no key's meaning, so that one bad value
//! never hides the rest of the file.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Location, Spanned};

use super::source::{At, Place};

/// Deepest nesting: a sweep needs six levels.
const MAX_DEPTH: usize = 32;
/// Most values that may be repeated by aliases.
const MAX_REPEATED: usize = 100_000;

/// A YAML value and its place.
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
    /// A number, whose value is read from the text at its place, since YAML's versions disagree.
    Number,
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

/// A text that is not YAML: the parser's message, with line and column from 1 if known.
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
    let mut node: Node = serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map(|at| (to_usize(at.line()), to_usize(at.column())));
        // The other formatter is meant for Rust programmers.
        let message = message_of(&error.render_with_formatter(&serde_yaml::UserMessageFormatter));
        indented_by_tab(text, at).unwrap_or(SyntaxError { message, at })
    })?;
    node.name_null_keys(text);
    Ok(node)
}

/// The error of a text that fails at a line indented by a tab, or just before it, since the parser's own
/// message does not mention tabs.
fn indented_by_tab(text: &str, at: Option<(usize, usize)>) -> Option<SyntaxError> {
    let (broken, _) = at?;
    let tab = |line: &str| line.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t');
    let lines = text.lines().enumerate().take(broken + 1).skip(broken.saturating_sub(2));
    let (index, column) = lines.filter_map(|(index, line)| Some((index, tab(line)?))).next()?;
    let message = "a tab in the indentation: YAML indents with spaces".to_owned();
    Some(SyntaxError { message, at: Some((index + 1, column + 1)) })
}

impl Node {
    /// Gives keys that YAML reads as null their written name: a label may be called `null`.
    fn name_null_keys(&mut self, text: &str) {
        match &mut self.content {
            Content::List(items) => items.iter_mut().for_each(|item| item.name_null_keys(text)),
            Content::Map(entries) => {
                for Entry { key, value } in entries {
                    let written = text.get(key.place.start..key.place.end).unwrap_or_default();
                    if key.value.is_empty() && !written.starts_with(['\'', '"']) {
                        written.clone_into(&mut key.value);
                    }
                    value.name_null_keys(text);
                }
            }
            Content::Null | Content::Flag(_) | Content::Number | Content::Text(_) => {}
        }
    }

    /// Moves every place of the tree to another source, `offset` bytes later.
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
            Content::Null | Content::Flag(_) | Content::Number | Content::Text(_) => {}
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

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Content, E> {
        Ok(Content::Number)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Content, E> {
        Ok(Content::Number)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Content, E> {
        Ok(Content::Number)
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
        while let Some(key) = map.next_key::<Spanned<Option<String>>>()? {
            // No text is null, which `name_null_keys` names.
            let key = At { place: place(key.defined), value: key.value.unwrap_or_default() };
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

/// The parser's message without its position, which is shown separately.
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
        assert!(matches!(task[1].value.content, Content::Number));
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
    fn keys_are_texts_whatever_yaml_makes_of_them() {
        let node = parse("null: 1\n~: 2\nNULL: 3\nno: 4\ntrue: 5\n010: 6\n'': 7\n'null': 8\n").unwrap();
        let keys: Vec<&str> = entries(&node).iter().map(|entry| entry.key.value.as_str()).collect();
        assert_eq!(keys, ["null", "~", "NULL", "no", "true", "010", "", "null"]);
    }

    #[test]
    fn a_value_s_place_is_that_of_the_value_alone() {
        let text = "a: &x 010\nb: !!str 7\nc: *x\nd: {<<: {e: +1_0}}\n";
        let node = parse(text).unwrap();
        let at = |node: &Node| text[node.place.start..node.place.end].to_owned();
        let top = entries(&node);
        assert_eq!([0, 1, 2].map(|i| at(&top[i].value)), ["010", "7", "010"]);
        assert_eq!(at(&entries(&top[3].value)[0].value), "+1_0");
    }

    #[test]
    fn a_tab_in_the_indentation_is_called_a_tab() {
        for (text, line) in [("a:\n\t- 1\n", 2), ("a:\n  b: 1\n\tc: 2\n", 3), ("a:\n  - b: 1\n  \tc: 2\n", 3)]
        {
            let error = parse(text).unwrap_err();
            assert!(error.message.starts_with("a tab in the indentation"), "{text:?}: {error:?}");
            assert_eq!(error.at.unwrap().0, line, "{text:?}");
        }
        assert!(parse("a:\t1\nb: [1,\t2]\n").is_ok(), "a tab elsewhere is a space");
    }

    #[test]
    fn a_syntax_error_has_a_place() {
        let error = parse("a: [1, 2\nb: 3\n").unwrap_err();
        assert!(error.at.is_some(), "{error:?}");
        assert!(parse("a: 1\n---\nb: 2\n").is_err());
    }
}
