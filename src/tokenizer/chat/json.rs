//! Owns the filter `tojson` as transformers has it: Python's `json.dumps`, in which only what JSON must escape is
//! escaped.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// How a value is written.
struct Style {
    ascii: bool,
    /// What a level is indented by; `None` for one line.
    indent: Option<String>,
    /// Between items, and after keys.
    separators: (String, String),
    sorted: bool,
}

/// A value as JSON.
pub(super) fn dump(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent = match options.get::<Option<Value>>("indent")? {
        Some(text) if text.as_str().is_some() => text.as_str().map(str::to_owned),
        Some(width) if !width.is_none() => Some(" ".repeat(width.as_usize().unwrap_or(0).min(100))),
        Some(_) | None => None,
    };
    let usual = if indent.is_some() { "," } else { ", " };
    let separators = match options.get::<Option<Value>>("separators")?.filter(|given| !given.is_none()) {
        Some(given) => {
            let part =
                |at| Ok::<_, Error>(given.get_item_by_index(at)?.as_str().unwrap_or_default().to_owned());
            (part(0)?, part(1)?)
        }
        None => (usual.to_owned(), ": ".to_owned()),
    };
    let style = Style {
        ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        indent,
        separators,
        sorted: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    style.written(value, 0)
}

impl Style {
    /// A value `depth` levels deep.
    fn written(&self, value: &Value, depth: usize) -> Result<String, Error> {
        let kind = value.kind();
        Ok(if kind == ValueKind::None {
            "null".to_owned()
        } else if kind == ValueKind::Bool {
            value.is_true().to_string()
        } else if kind == ValueKind::Number {
            value.to_string()
        } else if let Some(text) = value.as_str() {
            self.quoted(text)
        } else if kind == ValueKind::Map {
            let mut keys = value.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?;
            if self.sorted {
                keys.sort();
            }
            let pair = |key: Value| {
                let name = self.quoted(&key.to_string());
                Ok(name + &self.separators.1 + &self.written(&value.get_item(&key)?, depth + 1)?)
            };
            self.between(['{', '}'], depth, &keys.into_iter().map(pair).collect::<Result<Vec<_>, Error>>()?)
        } else if kind == ValueKind::Seq || kind == ValueKind::Iterable {
            let item = |item: Result<Value, Error>| self.written(&item?, depth + 1);
            self.between(
                ['[', ']'],
                depth,
                &value.try_iter()?.checked().map(item).collect::<Result<Vec<_>, _>>()?,
            )
        } else {
            let message = format!("tojson: {kind} cannot be written as JSON");
            return Err(Error::new(ErrorKind::BadSerialization, message));
        })
    }

    /// Items between two brackets.
    fn between(&self, [open, close]: [char; 2], depth: usize, items: &[String]) -> String {
        let line = |depth| self.indent.as_ref().map(|indent| format!("\n{}", indent.repeat(depth)));
        let first = line(depth + 1).filter(|_| !items.is_empty()).unwrap_or_default();
        let last = line(depth).filter(|_| !items.is_empty()).unwrap_or_default();
        format!("{open}{first}{}{last}{close}", items.join(&format!("{}{first}", self.separators.0)))
    }

    fn quoted(&self, text: &str) -> String {
        let mut out = String::from('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ascii && (c == '\u{7f}' || !c.is_ascii())) => {
                    let mut units = [0; 2];
                    c.encode_utf16(&mut units).iter().for_each(|unit| _ = write!(out, "\\u{unit:04x}"));
                }
                c => out.push(c),
            }
        }
        out.push('"');
        out
    }
}
