//! Owns the tags of words: a text's words in, a tag for each out.

use tch::{Kind, Tensor};

use super::{Answer, AnswerKind, BATCH_TOKENS, Question, host, inputs};
use crate::adapter::error::AdapterError;
use crate::adapter::model::Loaded;
use crate::data::{batches, sources};
use crate::model::params::index;
use crate::model::pass::Pass;
use crate::model::{InputRow, Model};
use crate::tokenizer::{Placed, Tokenizer};

/// The tags of the words of each text, which is a list of them, or has blanks between them.
pub(super) fn tag(
    loaded: &Loaded,
    (model, tokenizer): (&Model, &Tokenizer),
    labels: &[String],
    question: &Question<'_>,
) -> Result<Vec<Answer>, AdapterError> {
    let architecture = &loaded.manifest.architecture;
    let max_length = loaded.manifest.max_length.min(architecture.max_length());
    let between_blanks = |text: &String| text.split_whitespace().map(str::to_owned).collect();
    let words: Vec<Vec<String>> = question
        .texts
        .iter()
        .map(|text| sources::words(text).unwrap_or_else(|| between_blanks(text)))
        .collect();
    let rows = tokenizer.encode_words(&words, max_length)?;
    let mut answers: Vec<Option<Answer>> = vec![None; rows.len()];
    let lengths: Vec<u32> =
        rows.iter().map(|row| u32::try_from(row.sequence.tokens.len()).unwrap_or(u32::MAX)).collect();
    let all: Vec<u32> = (0..).take(rows.len()).collect();
    for batch in batches::evaluation(&all, &lengths, BATCH_TOKENS) {
        let rows: Vec<&Placed> = batch.iter().map(|row| &rows[*row as usize]).collect();
        let read: Vec<InputRow<'_>> = rows.iter().map(|row| InputRow::from(&row.sequence)).collect();
        let inputs = inputs(read, architecture);
        let width = inputs.shape[2];
        let seen = (0..).zip(&rows).flat_map(|(place, row)| {
            let tokens = row.first.iter().filter(|token| **token != Placed::CUT);
            tokens.map(move |token| place * width + i64::from(*token))
        });
        let seen: Vec<i64> = seen.collect();
        let positions = Tensor::from_slice(&seen).view([1, index(seen.len())]);
        let pass = &mut Pass::evaluation();
        let logits = model.tag(&model.trunk(&inputs, pass), &positions, pass);
        let logits = logits.expect("the purpose is to tag").get(0);
        let (most, best) = logits.softmax(-1, Kind::Float).max_dim(-1, false);
        let mut found = host(&best).into_iter().zip(host(&most));
        for (row, of_text) in batch.iter().zip(rows) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a tag's index")]
            let mut named = |token: &u32| {
                let (tag, probability) = found.next().filter(|_| *token != Placed::CUT)?;
                Some((labels.get(tag as usize)?.clone(), probability))
            };
            let tags: Vec<Option<(String, f32)>> = of_text.first.iter().map(&mut named).collect();
            let kind = AnswerKind::Tags {
                words: words[*row as usize].clone(),
                probabilities: tags.iter().map(|tag| tag.as_ref().map_or(0.0, |(_, most)| *most)).collect(),
                tags: tags.into_iter().map(|tag| tag.map(|(name, _)| name)).collect(),
            };
            answers[*row as usize] = Some(Answer { kind, logits: Vec::new() });
        }
    }
    Ok(answers.into_iter().flatten().collect())
}
