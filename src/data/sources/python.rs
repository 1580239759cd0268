//! Owns Python values in text form: lists, dicts and arrays that pandas wrote into a table. Reads literals and
//! the calls in which they are printed (`array([…], dtype=object)`); runs nothing, and reads any other text as
//! no value.

use serde_json::{Map, Number, Value};

/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// The value that a whole text denotes; `None` where it denotes none.
///
/// A tuple, a set and an array are lists. A call is its first argument.
#[must_use]
pub fn value(text: &str) -> Option<Value> {
    let mut parser = Parser { rest: text.trim(), depth: 0 };
    let value = parser.value()?;
    parser.space();
    parser.rest.is_empty().then_some(value)
}

/// Whether a text begins like a list or a dict.
pub(super) fn begins(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with(['[', '{']) || text.starts_with("array(")
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Skips a character, if it comes next after white space.
    fn eat(&mut self, wanted: char) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self) -> Option<Value> {
        self.space();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = match self.rest.chars().next()? {
            '[' => self.items(']').map(Value::Array),
            '(' => self.items(')').map(Value::Array),
            '{' => self.braces(),
            '\'' | '"' => self.text(false).map(Value::String),
            '+' | '-' | '.' | '0'..='9' => self.number(),
            _ => self.word(),
        };
        self.depth -= 1;
        value
    }

    /// Values up to the closing bracket, with or without commas between them: printed arrays have none.
    fn items(&mut self, close: char) -> Option<Vec<Value>> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(self.value()?);
            self.eat(',');
        }
        Some(items)
    }

    /// A dict, or a set as a list.
    fn braces(&mut self) -> Option<Value> {
        self.rest = &self.rest[1..];
        let (mut fields, mut items) = (Map::new(), Vec::new());
        while !self.eat('}') {
            let key = self.value()?;
            if self.eat(':') {
                let key = if let Value::String(key) = key { key } else { key.to_string() };
                fields.insert(key, self.value()?);
            } else {
                items.push(key);
            }
            self.eat(',');
        }
        match (fields.is_empty(), items.is_empty()) {
            (_, true) => Some(Value::Object(fields)),
            (true, false) => Some(Value::Array(items)),
            (false, false) => None,
        }
    }

    fn number(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c)));
        let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let plain = number.replace('_', "");
        if let Ok(whole) = plain.parse::<i64>() {
            return Some(whole.into());
        }
        let number: f64 = plain.parse().ok()?;
        Some(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    /// A constant, a text with a prefix, or a call.
    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if rest.starts_with(['\'', '"']) && word.len() <= 2 {
            let prefix = word.to_ascii_lowercase();
            let raw = prefix.contains('r');
            if !prefix.is_empty() && prefix.chars().all(|c| "rub".contains(c)) {
                self.rest = rest;
                return self.text(raw).map(Value::String);
            }
        }
        self.rest = rest;
        match word {
            "True" => Some(true.into()),
            "False" => Some(false.into()),
            "None" | "nan" | "NaN" | "inf" | "NaT" | "NA" => Some(Value::Null),
            "" => None,
            _ => self.call(),
        }
    }

    /// The first argument of a call; the others are skipped.
    fn call(&mut self) -> Option<Value> {
        if !self.rest.starts_with('(') {
            return None;
        }
        self.rest = &self.rest[1..];
        let mut first = None;
        while !self.eat(')') {
            let after_name = self.keyword();
            let value = if after_name { self.setting()? } else { self.value()? };
            if !after_name && first.is_none() {
                first = Some(value);
            }
            self.eat(',');
        }
        first
    }

    /// Skips `name=`, if that comes next.
    fn keyword(&mut self) -> bool {
        self.space();
        let name = self.rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        match name.strip_prefix('=') {
            Some(rest) if name.len() < self.rest.len() => {
                self.rest = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    /// The value of a keyword, or a bare name such as `object`.
    fn setting(&mut self) -> Option<Value> {
        let (rest, depth) = (self.rest, self.depth);
        if let Some(value) = self.value() {
            return Some(value);
        }
        let name = rest.trim_start_matches(|c: char| c.is_alphanumeric() || "_.".contains(c));
        (self.rest, self.depth) = (name, depth);
        (name.len() < rest.len()).then_some(Value::Null)
    }

    fn text(&mut self, raw: bool) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let triple = [quote; 3].iter().collect::<String>();
        let end = if self.rest.starts_with(&triple) { triple } else { quote.to_string() };
        self.rest = &self.rest[end.len()..];
        let mut text = String::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(&end) {
                self.rest = rest;
                return Some(text);
            }
            let next = self.rest.chars().next()?;
            self.rest = &self.rest[next.len_utf8()..];
            if next == '\\' && !raw {
                text.extend(self.escape()?);
            } else {
                text.push(next);
            }
        }
    }

    /// The meaning of a backslash sequence: nothing for a line break, both characters where it is not an
    /// escape.
    fn escape(&mut self) -> Option<Vec<char>> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        let one = |c: char| Some(vec![c]);
        match next {
            '\n' => Some(Vec::new()),
            'n' => one('\n'),
            't' => one('\t'),
            'r' => one('\r'),
            'a' => one('\u{7}'),
            'b' => one('\u{8}'),
            'f' => one('\u{c}'),
            'v' => one('\u{b}'),
            '\\' | '\'' | '"' => one(next),
            'x' => self.code(2),
            'u' => self.code(4),
            'U' => self.code(8),
            '0'..='7' => {
                let digits = self.rest.chars().take(2).take_while(|c| c.is_digit(8)).count();
                let octal = format!("{next}{}", &self.rest[..digits]);
                self.rest = &self.rest[digits..];
                char::from_u32(u32::from_str_radix(&octal, 8).ok()?).map(|c| vec![c])
            }
            _ => Some(vec!['\\', next]),
        }
    }

    /// A character given by this number of hexadecimal digits.
    fn code(&mut self, digits: usize) -> Option<Vec<char>> {
        let code = self.rest.get(..digits)?;
        self.rest = &self.rest[digits..];
        let code = u32::from_str_radix(code, 16).ok()?;
        Some(vec![char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_pandas_writes_is_read() {
        for (text, read) in [
            ("{'text': ['in May'], 'answer_start': [16]}", json!({"text": ["in May"], "answer_start": [16]})),
            (
                "{'text': array(['in May', \"it's\"], dtype=object), 'answer_start': array([16,\n  2], dtype=int32)}",
                json!({"text": ["in May", "it's"], "answer_start": [16, 2]}),
            ),
            ("['a' 'b'\n 'c']", json!(["a", "b", "c"])),
            ("[array(['x'], dtype='<U1'), np.str_('y'), numpy.int64(3)]", json!([["x"], "y", 3])),
            ("('a', None, True, nan, -1.5, 1_000)", json!(["a", null, true, null, -1.5, 1000])),
            (
                r"['\'\n\x41\u00e9\U0001f600\\ \q \101', u'x', b'y', r'\n']",
                json!(["'\nAé😀\\ \\q A", "x", "y", "\\n"]),
            ),
            ("{'a', 'b'}", json!(["a", "b"])),
            ("{}", json!({})),
            ("'''a 'b' '''", json!("a 'b' ")),
            ("{'array(': [')', ']']}", json!({"array(": [")", "]"]})),
            ("Timestamp('2020-01-01 00:00:00', tz='UTC')", json!("2020-01-01 00:00:00")),
        ] {
            assert_eq!(value(text), Some(read), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_value() {
        for text in [
            "",
            "in May",
            "[citation needed]",
            "{'text': ['in",
            "['a'] and more",
            "[1, ..., 2]",
            "{'a': 1, 'b'}",
            "array",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
        assert_eq!(value(&"[".repeat(100_000)), None);
        assert_eq!(value(&("[".repeat(40) + &"]".repeat(40))), None);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_its_quotes(text in "[a'\"\\\\\n\t é\u{1f600}]{0,20}") {
            let written = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
            prop_assert_eq!(value(&format!("['{written}']")), Some(json!([text])));
        }

        #[test]
        fn no_text_is_too_odd(text in "[\\[\\](){}'\",:=\\\\arxuU0-9a-fdtype é]{0,40}") {
            let _ = value(&text);
        }
    }
}
