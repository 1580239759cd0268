//! Owns SQuAD's official nesting (Rajpurkar et al. 2016; version 2.0, 2018). Scores nothing.

use serde::Deserialize;
use serde_json::Value;

use super::Problem;
use super::answers;
use super::json::reason;
use super::table::{ANSWERS, CONTEXT, Located, Place, QUESTION, Request, Table};

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
    #[serde(default)]
    answers: Value,
    #[serde(default)]
    is_impossible: bool,
}

/// Reads SQuAD's JSON; a row is a question.
pub(super) fn parse(text: &str, request: &Request<'_>) -> Result<Table, Located> {
    let squad: Squad = serde_json::from_str(text).map_err(|error| {
        let place = Place { row: None, line: Some(error.line()) };
        (Some(place), Problem::NotSquad(reason(&error)))
    })?;
    rows(squad.data, request)
}

/// The questions of SQuAD's list of articles.
pub(super) fn table(articles: Value, request: &Request<'_>) -> Result<Table, Located> {
    let articles = serde_json::from_value(articles);
    rows(articles.map_err(|error| (None, Problem::NotSquad(reason(&error))))?, request)
}

fn rows(articles: Vec<Article>, request: &Request<'_>) -> Result<Table, Located> {
    let mut table =
        Table { names: [CONTEXT, QUESTION, ANSWERS].map(str::to_owned).into(), ..Table::default() };
    let (mut contexts, mut questions) = (Vec::new(), Vec::new());
    for paragraph in articles.into_iter().flat_map(|article| article.paragraphs) {
        for asked in paragraph.qas {
            contexts.push(paragraph.context.clone());
            questions.push(asked.question);
            if request.answers {
                // The answers of an impossible question are there to mislead.
                table.answers.push(if asked.is_impossible {
                    Vec::new()
                } else {
                    answers::gold(asked.answers)
                });
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
