//! Owns the JSON Schema of the sweep file, made from the table of keys that the reader uses, so that
//! editors complete and check what the reader accepts. Decides nothing at run time.

use serde_json::{Map, Value, json};

use super::keys::{self, Key, Kind, Range, Section};

/// The sweep file's JSON Schema (draft 2020-12).
///
/// In an editor with the YAML language server, the line
/// `# yaml-language-server: $schema=sweep.schema.json` at the top of a sweep file turns it on.
#[must_use]
pub fn schema() -> Value {
    let mut schema = section(&keys::SWEEP);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("lorasweep sweep");
    schema
}

fn section(section: &Section) -> Value {
    let properties: Map<String, Value> =
        section.keys().map(|key| (key.name.to_owned(), property(key, section.lists))).collect();
    let required: Vec<&str> = section.keys().filter(|key| key.required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key, lists: bool) -> Value {
    let one = kind(&key.kind);
    let mut schema = if lists && key.axis.is_some() {
        json!({ "anyOf": [one.clone(), { "type": "array", "items": one, "minItems": 1 }] })
    } else {
        one
    };
    schema["description"] = json!(key.doc);
    schema
}

fn kind(wanted: &Kind) -> Value {
    match wanted {
        // A column may be called `2024`.
        Kind::Text => json!({ "type": ["string", "number", "boolean"] }),
        Kind::Texts => {
            let text = kind(&Kind::Text);
            json!({ "anyOf": [text.clone(), { "type": "array", "items": text, "minItems": 1 }] })
        }
        Kind::Count(min, u64::MAX) => json!({ "type": "integer", "minimum": min }),
        Kind::Count(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Number(Range::Positive) => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Kind::Number(Range::NotNegative) => json!({ "type": "number", "minimum": 0 }),
        Kind::Number(Range::Share) => json!({ "type": "number", "minimum": 0, "exclusiveMaximum": 1 }),
        Kind::Number(Range::OpenShare) => {
            json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 })
        }
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Devices => json!({ "type": "string", "pattern": "^(auto|(cpu|cuda)(:[1-9][0-9]*)?)$" }),
        Kind::OrNull(inner) => json!({ "anyOf": [kind(inner), { "type": "null" }] }),
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
                Kind::Text
                | Kind::Texts
                | Kind::Count(..)
                | Kind::Number(_)
                | Kind::Flag
                | Kind::Choice(_)
                | Kind::Devices
                | Kind::OrNull(_)
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
