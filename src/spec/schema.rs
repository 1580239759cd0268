//! Owns the JSON Schema of the sweep file, made from the reader's table of keys, so that editors complete and
//! check exactly what the reader accepts. The reader does not use it.

use serde_json::{Map, Value, json};

use super::keys::{self, Chooser, Key, Kind, Section};
use super::range;
use crate::values::axes::AXES;
use crate::values::{Domain, Range};

/// The sweep file's JSON Schema (draft 2020-12).
///
/// In an editor with the YAML language server, the line `# yaml-language-server: $schema=sweep.schema.json` at
/// the top of a sweep file enables it.
#[must_use]
pub fn schema() -> Value {
    let mut schema = section(&keys::SWEEP);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("lorasweep sweep");
    // Keys that exist only for anchors.
    schema["patternProperties"] = json!({ "^x-": true });
    schema["anyOf"] = json!([{ "required": ["task"] }, { "required": ["tasks"] }]);
    schema
}

fn section(section: &Section) -> Value {
    let properties: Map<String, Value> =
        section.keys().map(|key| (key.name.to_owned(), property(key, section))).collect();
    let required = |key: &&Key| key.required && key.only.is_empty();
    let mut schema = json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "required": section.keys().filter(required).map(|key| key.name).collect::<Vec<_>>(),
        "additionalProperties": false,
    });
    if let Some(chooser) = section.chooser {
        schema["allOf"] = json!(choices(section, chooser));
    }
    schema
}

/// For each value of the section's chooser, the required keys and those that do not apply.
fn choices(section: &Section, chooser: Chooser) -> Vec<Value> {
    let words = section.keys().find(|key| key.name == chooser.key).map(|key| &key.kind);
    let Some(Kind::Plain(Domain::Choice(words))) = words else { return Vec::new() };
    let choice = |word: &&str| {
        let restricted = || section.keys().filter(|key| !key.only.is_empty());
        let banned: Map<String, Value> = restricted()
            .filter(|key| !key.only.contains(word))
            .map(|key| (key.name.to_owned(), json!(false)))
            .collect();
        let needed: Vec<&str> = restricted()
            .filter(|key| key.is_required(Some(*word)) && key.only.contains(word))
            .map(|key| key.name)
            .collect();
        // Where the chooser is absent, a condition on its value is true, which is right only for its default.
        let required = if chooser.default == Some(*word) { vec![] } else { vec![chooser.key] };
        json!({
            "if": { "properties": { chooser.key: { "const": word } }, "required": required },
            "then": { "properties": banned, "required": needed },
        })
    };
    words.iter().map(choice).collect()
}

fn property(key: &Key, section: &Section) -> Value {
    let one = kind(&key.kind);
    let mut schema = if section.lists && key.row.is_some() {
        let mut forms = vec![one.clone(), json!({ "type": "array", "items": one, "minItems": 1 })];
        // An exclusion compares values.
        let has_ranges = section.name == keys::grid::BLOCK.name;
        forms.extend(range::words(key).filter(|_| has_ranges).map(ranged));
        json!({ "anyOf": forms })
    } else {
        one
    };
    let doc = key.row.map_or_else(|| key.doc.to_owned(), |row| AXES[row].description());
    schema["description"] = json!(doc);
    schema
}

/// A mapping that gives an axis a range, or ties it to another.
fn ranged(word: &str) -> Value {
    let form = |properties: Value| {
        let required: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
        json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
    };
    if word == range::TIMES {
        let factor = json!({ "type": "number", "exclusiveMinimum": 0 });
        let by = json!({ "anyOf": [factor, { "type": "array", "items": factor, "minItems": 1 }] });
        return form(json!({ word: { "type": "string" }, range::BY: by }));
    }
    form(json!({ word: { "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 } }))
}

fn kind(wanted: &Kind) -> Value {
    match wanted {
        Kind::Plain(plain) => domain(plain),
        Kind::Labels => {
            let text = domain(&Domain::Text);
            json!({ "anyOf": [
                { "type": "array", "items": text.clone(), "minItems": 1 },
                { "type": "object", "additionalProperties": text },
            ] })
        }
        Kind::Weights(words) => {
            let weight = json!({ "type": "number", "exclusiveMinimum": 0 });
            json!({ "anyOf": [{ "enum": words }, { "type": "object", "additionalProperties": weight }] })
        }
        Kind::Character | Kind::Encoding => json!({ "type": "string" }),
        Kind::Profiles => {
            json!({ "type": "object", "additionalProperties": { "type": "object" } })
        }
        Kind::Devices => {
            json!({ "type": "string", "pattern": "^(auto|cpu(:[1-9][0-9]*)?|cuda(:[0-9]+(,[0-9]+)*)?|gpu|gpus(:[1-9][0-9]*)?)$" })
        }
        Kind::Section(inner) => section(inner),
        Kind::Named(inner) => {
            json!({ "type": "object", "additionalProperties": section(inner), "minProperties": 1 })
        }
        Kind::Blocks(inner) => json!({ "type": "array", "items": section(inner) }),
        Kind::Zip => {
            let axes = json!({ "type": "array", "items": { "type": "string" }, "minItems": 2 });
            json!({ "type": "array", "items": axes })
        }
    }
}

fn domain(wanted: &Domain) -> Value {
    let one_or_many = |item: Value, least: u64| json!({ "anyOf": [item.clone(), { "type": "array", "items": item, "minItems": least }] });
    match wanted {
        // A column may be called `2024`.
        Domain::Text => json!({ "type": ["string", "number", "boolean"] }),
        Domain::Texts => one_or_many(domain(&Domain::Text), 1),
        Domain::TextsOrNone => one_or_many(domain(&Domain::Text), 0),
        Domain::Counts => one_or_many(domain(&Domain::Count(0, u64::MAX)), 1),
        Domain::Count(least, u64::MAX) => json!({ "type": "integer", "minimum": least }),
        Domain::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Domain::Number(Range::Positive) => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Domain::Number(Range::NotNegative) => json!({ "type": "number", "minimum": 0 }),
        Domain::Number(Range::Share) => json!({ "type": "number", "minimum": 0, "exclusiveMaximum": 1 }),
        Domain::Number(Range::OpenShare) => {
            json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 })
        }
        Domain::Flag => json!({ "type": "boolean" }),
        Domain::Choice(words) => json!({ "enum": words }),
        Domain::OrNull(inner) => json!({ "anyOf": [domain(inner), { "type": "null" }] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every section that can be reached, with its schema.
    fn walk(section: &'static Section, schema: &Value, visit: &mut impl FnMut(&'static Section, &Value)) {
        visit(section, schema);
        for key in section.keys() {
            let below = &schema["properties"][key.name];
            match &key.kind {
                Kind::Section(inner) => walk(inner, below, visit),
                Kind::Named(inner) => walk(inner, &below["additionalProperties"], visit),
                Kind::Blocks(inner) => walk(inner, &below["items"], visit),
                Kind::Plain(_)
                | Kind::Labels
                | Kind::Weights(_)
                | Kind::Character
                | Kind::Encoding
                | Kind::Profiles
                | Kind::Devices
                | Kind::Zip => {}
            }
        }
    }

    #[test]
    fn every_key_is_in_the_schema_with_its_meaning() {
        let schema = schema();
        let mut seen = 0;
        walk(&keys::SWEEP, &schema, &mut |section, schema| {
            let known: Vec<&str> = section.keys().map(|key| key.name).collect();
            let told = schema["properties"].as_object().unwrap();
            assert_eq!(told.len(), known.len(), "{}", section.name);
            for key in known {
                assert!(told[key]["description"].as_str().unwrap().len() > 10, "{key}");
                seen += 1;
            }
            assert_eq!(schema["additionalProperties"], json!(false));
        });
        assert!(seen > 80, "{seen}");
    }
}
