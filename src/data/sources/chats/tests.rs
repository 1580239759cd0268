use std::fs;
use std::path::Path;

use super::*;
use crate::data::sources::rows::{self, Rows};
use crate::data::sources::{LeftOut, SourceError, SurveyRequest, files};
use crate::tasks::Fields;

/// The conversations of a file in short, and what was left out.
fn read(path: &Path) -> Result<(Vec<String>, LeftOut), SourceError> {
    let request = SurveyRequest::as_it_is(path, Fields::Conversations);
    let gathered = files::open(path, request.reading)?.gather(&request)?;
    let kept = rows::kept(&gathered.table, false, &request).map_err(|located| gathered.error(located))?;
    let Rows::Conversations(all) = kept.rows else { panic!("{:?}", kept.rows) };
    assert_eq!(gathered.table.rows, gathered.table.conversations.len());
    let turn = |turn: &Turn| format!("{}: {}", &turn.role.name()[..1], turn.content);
    let told = |one: &Conversation| one.turns.iter().map(turn).collect::<Vec<_>>().join(" | ");
    Ok((all.iter().map(told).collect(), kept.left_out))
}

fn of(name: &str, text: &str) -> Result<(Vec<String>, LeftOut), SourceError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    read(&path)
}

#[test]
fn every_shape_of_a_conversation_is_read() {
    for (row, wanted) in [
        (
            r#"{"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "a"}, {"role": "assistant",
                "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}], "id": 1}"#,
            "s: be kind | u: a | a: bc",
        ),
        (
            r#"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s"}"#,
            "s: s | u: a | a: b",
        ),
        (r#"{"instruction": "a", "input": "of it", "output": "b"}"#, "u: a\n\nof it | a: b"),
        (r#"{"instruction": "a", "input": " ", "output": "b"}"#, "u: a | a: b"),
        (r#"{"instruction": "a", "output": "b"}"#, "u: a | a: b"),
        (r#"{"prompt": "[a", "completion": "b"}"#, "u: [a | a: b"),
        (
            r#"{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}"#,
            "u: a | a: b",
        ),
    ] {
        let row = row.replace('\n', " ");
        for (name, text) in [
            ("a.jsonl", format!("{row}\n{row}\n")),
            ("a.json", format!("[{row}, {row}]")),
            ("a.json", format!("{{\"data\": [{row}, {row}]}}")),
        ] {
            assert_eq!(of(name, &text).unwrap().0, [wanted, wanted], "{name}: {text}");
        }
        assert_eq!(of("one.jsonl", &row).unwrap().0, [wanted], "{row}");
    }
}

#[test]
fn each_instance_of_an_instruction_is_a_conversation_of_its_own() {
    let row = r#"{"instruction": "add", "instances": [{"input": "1 1", "output": "2"}, {"input": "", "output": "0"}]}"#;
    let (all, _) = of("a.jsonl", &format!("{row}\n{row}\n")).unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(all[..2], ["u: add\n\n1 1 | a: 2", "u: add | a: 0"]);
}

#[test]
fn tables_hold_conversations_as_text() {
    let csv = "instruction,input,output\n\"a, b\",,c\nd,e,f\n";
    assert_eq!(of("a.csv", csv).unwrap().0, ["u: a, b | a: c", "u: d\n\ne | a: f"]);
    let json =
        r#""[{""role"": ""user"", ""content"": ""a""}, {""role"": ""assistant"", ""content"": ""b""}]""#;
    let python = r#""[{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}]""#;
    let (all, _) = of("a.csv", &format!("messages,id\n{json},1\n{python},2\n")).unwrap();
    assert_eq!(all, ["u: a | a: b", "u: a | a: b"]);
}

#[test]
fn parquet_holds_conversations_as_lists_and_as_columns() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data"));
    let (all, left_out) = read(&folder.join("messages.parquet")).unwrap();
    assert_eq!(all, ["s: be kind | u: a | a: b", "u: 東 | a: c | u: d | a: e"]);
    assert_eq!(left_out.unanswered, 1);
    assert_eq!(read(&folder.join("instructions.parquet")).unwrap().0, ["u: a\n\nb | a: c", "u: d | a: e"]);
}

#[test]
fn conversations_without_an_answer_are_left_out_and_counted() {
    let rows = r#"{"messages": [{"role": "user", "content": "a"}]}
{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " "}]}
{"messages": []}
{"messages": null}
{"messages": [{"role": "assistant", "content": "b"}]}
"#;
    let (all, left_out) = of("a.jsonl", rows).unwrap();
    assert_eq!((all, left_out.unanswered), (vec!["a: b".to_owned()], 4));
    let nothing = of("a.jsonl", rows.lines().next().unwrap()).unwrap_err();
    assert!(matches!(*nothing.problem, Problem::NothingLeft), "{nothing}");
}

#[test]
fn what_is_no_conversation_is_an_error_with_its_row_and_what_to_do() {
    let good = r#"{"messages": [{"role": "user", "content": "a"}]}"#;
    for (row, told) in [
        (r#"{"messages": [{"role": "tool", "content": "a"}]}"#, "a turn has the role `tool`"),
        (r#"{"messages": [{"content": "a"}]}"#, "a turn has no role"),
        (r#"{"messages": ["a"]}"#, "column `messages` has a text"),
        (r#"{"messages": "a"}"#, "column `messages` has a text"),
        (r#"{"messages": [{"role": "user", "content": [{"type": "image"}]}]}"#, "a part that is no text"),
        (r#"{"instruction": "a", "instances": {"output": "b"}}"#, "column `instances` has an object"),
    ] {
        let error = of("a.jsonl", &format!("{good}\n{row}\n")).unwrap_err();
        let place = error.place.unwrap();
        assert_eq!((place.row, place.line), (Some(2), Some(2)), "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert!(!error.hint().is_empty());
    }
    let none = of("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}").unwrap_err();
    assert!(none.hint().contains("the columns are `text`") && none.hint().contains("`messages`"), "{none}");
    assert!(matches!(*of("a.jsonl", "\n").unwrap_err().problem, Problem::NoRows));
}
