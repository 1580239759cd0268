//! Owns questions in JSON: SQuAD's official nesting (Rajpurkar et al. 2016), and the shapes in which
//! gold answers are written.

use serde::Deserialize;
use serde_json::Value;

use super::table::{CONTEXT, Located, Place, QUESTION, Request, Table};
use super::{Problem, table::ANSWERS};

#[derive(Deserialize)]
struct Squad {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    question: String,
    answers: Value,
}

/// Reads SQuAD's nested JSON; a row is a question.
pub(super) fn parse(text: &str, request: &Request<'_>) -> Result<Table, Located> {
    let squad: Squad = serde_json::from_str(text).map_err(|error| {
        let place = Place { row: None, line: Some(error.line()) };
        (Some(place), Problem::NotSquad(reason(&error)))
    })?;
    let mut table =
        Table { names: [CONTEXT, QUESTION, ANSWERS].map(str::to_owned).into(), ..Table::default() };
    let (mut contexts, mut questions) = (Vec::new(), Vec::new());
    for paragraph in squad.data.into_iter().flat_map(|article| article.paragraphs) {
        for asked in paragraph.qas {
            contexts.push(paragraph.context.clone());
            questions.push(asked.question);
            if request.answers {
                table.answers.push(gold(asked.answers));
            }
        }
    }
    table.rows = questions.len();
    if table.rows == 0 {
        return Err((None, Problem::NoRows));
    }
    table.texts = [(CONTEXT.to_owned(), contexts), (QUESTION.to_owned(), questions)].into();
    Ok(table)
}

/// Gold answers: a text, a list of texts, or either as the field `text` of an object. What is
/// anything else is no answer.
pub(super) fn gold(answers: Value) -> Vec<String> {
    match answers {
        Value::String(text) => vec![text],
        Value::Array(list) => list.into_iter().flat_map(gold).collect(),
        Value::Object(mut fields) => fields.remove("text").map(gold).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// A JSON error without its position.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
