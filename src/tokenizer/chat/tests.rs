use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::tokenizer::Tokenizer;

/// What transformers makes of a conversation, as `tests/fixtures/make_chat.py` recorded it.
#[derive(Deserialize)]
struct Case {
    template: String,
    conversation: String,
    turns: Vec<(Role, String)>,
    error: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    prompt: String,
    #[serde(default)]
    ids: Vec<u32>,
    mask: Option<Vec<usize>>,
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/chat"))
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&fs::read(folder().join("cases.json")).unwrap()).unwrap()
}

fn tokenizer() -> Tokenizer {
    Tokenizer::load(folder()).unwrap()
}

/// A template with and without its own marks around the assistant's text.
fn both(name: &str) -> [ChatTemplate; 2] {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let bare =
        text.replace("{% generation %}", "{% if true %}").replace("{% endgeneration %}", "{% endif %}");
    [text, bare].map(|text| template(&text).unwrap())
}

fn template(text: &str) -> Result<ChatTemplate, ChatError> {
    ChatTemplate::new(text, "chat.jinja", folder())
}

fn turns(all: &[(Role, &str)]) -> Vec<Turn> {
    all.iter().map(|(role, content)| Turn::new(*role, *content)).collect()
}

fn asked() -> Vec<Turn> {
    turns(&[(Role::User, "Why?"), (Role::Assistant, "so")])
}

#[test]
fn conversations_are_the_text_that_transformers_makes_of_them() {
    for case in cases() {
        let told: Vec<Turn> = case.turns.iter().map(|(role, text)| Turn::new(*role, text.as_str())).collect();
        for template in both(&case.template) {
            let found = template.render(&told, false);
            let name = format!("{}, {}", case.template, case.conversation);
            match &case.error {
                Some(error) => assert!(found.unwrap_err().to_string().contains(error), "{name}"),
                None => {
                    assert_eq!(found.unwrap(), case.text, "{name}");
                    assert_eq!(template.render(&told, true).unwrap(), case.prompt, "{name}");
                }
            }
        }
    }
}

/// By its marks as without them. A conversation that ends with a question is cut behind its last answer.
#[test]
fn ids_and_the_assistants_tokens_are_those_of_transformers() {
    let by = tokenizer();
    let mut seen = 0;
    for case in cases() {
        let Some(mask) = &case.mask else { continue };
        let told: Vec<Turn> = case.turns.iter().map(|(role, text)| Turn::new(*role, text.as_str())).collect();
        let ends = told.last().unwrap().role == Role::Assistant;
        for template in both(&case.template) {
            let name = format!("{}, {}", case.template, case.conversation);
            let found = template.encode(&told, &by, 4096, true);
            let found = found.unwrap_or_else(|error| panic!("{name}: {error}")).expect("it fits");
            assert_eq!(found.turns, told.len() - usize::from(!ends));
            let learned: Vec<usize> = found.learned.iter().cloned().flatten().collect();
            let wanted: Vec<usize> = (0..mask.len()).filter(|at| mask[*at] == 1).collect();
            if ends {
                assert_eq!(found.tokens, case.ids, "{name}");
                assert_eq!(learned, wanted, "{name}");
            } else if case.template != "thoughts.jinja" {
                assert_eq!(found.tokens, case.ids[..found.tokens.len()], "{name}");
                assert_eq!(learned, wanted, "{name}");
            }
            seen += 1;
        }
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn what_does_not_fit_is_cut_off_turn_by_turn() {
    let by = tokenizer();
    let [template, _] = both("chatml.jinja");
    let long = turns(&[
        (Role::User, "the cat"),
        (Role::Assistant, "sat"),
        (Role::User, "Why?"),
        (Role::Assistant, "because it is"),
        (Role::User, "world"),
        (Role::Assistant, "hat"),
    ]);
    let whole = template.encode(&long, &by, 4096, true).unwrap().unwrap();
    assert_eq!((whole.turns, whole.learned.len()), (6, 3));
    assert_eq!(template.length(&long, &by).unwrap(), whole.tokens.len());
    let cut = template.encode(&long, &by, whole.tokens.len() - 1, true).unwrap().unwrap();
    assert_eq!((cut.turns, &cut.learned[..]), (4, &whole.learned[..2]));
    assert_eq!(cut.tokens, whole.tokens[..cut.tokens.len()]);
    let first = template.encode(&long, &by, cut.tokens.len() - 1, true).unwrap().unwrap();
    assert_eq!(first.turns, 2);
    assert_eq!(template.encode(&long, &by, first.tokens.len() - 1, true).unwrap(), None);
    assert_eq!(template.encode(&long[..1], &by, 4096, true).unwrap(), None);
}

#[test]
fn white_space_is_learned_where_no_token_ends_the_turn() {
    let by = tokenizer();
    let told = asked();
    let plain = template(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}",
    );
    let Rendered { text, learned } = plain.unwrap().learned(&told, &by).unwrap();
    assert_eq!(learned.iter().map(|range| &text[range.clone()]).collect::<Vec<_>>(), [" so\n\n"]);
}

#[test]
fn a_template_that_hides_where_a_turn_begins_is_refused_with_a_way_out() {
    let by = tokenizer();
    let counts =
        template("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}").unwrap();
    let error = counts.learned(&asked(), &by).unwrap_err().to_string();
    assert!(
        error.contains("chat.jinja") && error.contains("turn 2") && error.contains("loss_on: all"),
        "{error}"
    );
}

#[test]
fn marks_around_the_assistants_text_leave_no_trace_whatever_is_said() {
    let by = tokenizer();
    let [marked, bare] = both("chatml.jinja");
    let told = turns(&[(Role::User, "\u{fdd0}\u{fdd1}"), (Role::Assistant, "a\u{fdd0}b\u{fdd2}")]);
    assert_eq!(marked.learned(&told, &by).unwrap(), bare.learned(&told, &by).unwrap());
    assert_eq!(marked.learned(&told, &by).unwrap().text, bare.render(&told, false).unwrap());
}

#[test]
fn failures_name_the_file_the_line_and_what_to_do() {
    let fails = |text: &str| match template(text) {
        Ok(template) => template.render(&asked(), false).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    let syntax = fails("{% for m in messages %}\n{{ m.content");
    assert!(syntax.starts_with("the chat template chat.jinja, line 2: "), "{syntax}");
    assert!(syntax.ends_with("`chat_template: copy.jinja`"), "{syntax}");
    let raised = fails("\n\n{{ raise_exception('no such role') }}");
    assert!(raised.contains("chat.jinja, line 3: no such role; remove such conversations"), "{raised}");
    let unknown = fails("{{ messages[0].content.frobnicate() }}");
    assert!(unknown.contains("line 1: unknown method"), "{unknown}");
    let endless = fails("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}");
    assert!(endless.contains("too many steps"), "{endless}");
    for reach in ["{% include '/etc/passwd' %}", "{% import '/etc/passwd' as a %}", "{% extends 'a' %}"] {
        assert!(fails(reach).contains("line 1"), "{reach}");
    }
}

/// A folder with these files.
fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let made = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(made.path().join(name), text).unwrap());
    made
}

#[test]
fn a_template_is_found_where_transformers_finds_it() {
    let config = r#"{"chat_template": "a{{ eos_token }}", "eos_token": {"content": "!"}}"#;
    let named =
        r#"{"chat_template": [{"name": "rag", "template": "b"}, {"name": "default", "template": "c"}]}"#;
    let json = r#"{"chat_template": "d"}"#;
    let said = |files: &[(&str, &str)]| {
        ChatTemplate::of_folder(with(files).path()).and_then(|found| found.render(&asked(), false))
    };
    assert_eq!(said(&[(CONFIG, config)]).unwrap(), "a!");
    assert_eq!(said(&[(CONFIG, named)]).unwrap(), "c");
    assert_eq!(said(&[(CONFIG, "{}"), (JSON, json)]).unwrap(), "d");
    assert_eq!(said(&[(CONFIG, config), (JSON, json), (JINJA, "e{{ eos_token }}")]).unwrap(), "e!");
    let absent = said(&[(CONFIG, "{}")]).unwrap_err().to_string();
    assert!(
        absent.contains("no chat template") && absent.contains("`chat_template: chat.jinja`"),
        "{absent}"
    );
    assert!(said(&[(CONFIG, "{")]).unwrap_err().to_string().contains(CONFIG));
}

#[test]
fn the_date_is_always_the_same() {
    let dated = template("{{ strftime_now('%d %b %Y') }}{{ ' yes' if strftime_now is defined }}").unwrap();
    assert_eq!(dated.render(&asked(), false).unwrap(), "26 Jul 2024 yes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a template does, it ends soon, with a text of bounded size or an error.
    #[test]
    fn rendering_is_bounded(parts in prop::collection::vec(0..8_usize, 1..7), said in ".{0,40}") {
        let pieces = [
            "{% for a in range(99999) %}",
            "{% set x = x ~ x %}",
            "{{ x * 100000 }}",
            "{{ x }}",
            "{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 2) }}{% endmacro %}{{ f(0) }}",
            "{% set ns.y = ns.y ~ ns.y ~ messages[0].content %}",
            "{{ messages | tojson(indent=90) }}",
            "{{ x.replace('a', x) }}",
        ];
        let body: String = parts.iter().map(|part| pieces[*part]).collect();
        let ends = "{% endfor %}".repeat(parts.iter().filter(|part| **part == 0).count());
        let text = format!("{{% set x = 'a' %}}{{% set ns = namespace(y='a') %}}{body}{ends}");
        let start = Instant::now();
        let found = template(&text).unwrap().render(&turns(&[(Role::User, &said)]), false);
        prop_assert!(start.elapsed() < Duration::from_secs(20));
        if let Ok(found) = found {
            prop_assert!(found.len() < 200 << 20);
        }
    }
}
