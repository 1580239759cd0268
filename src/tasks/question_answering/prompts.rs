//! Owns how a question becomes a prompt followed by an answer. Reads no file, judges no answer.

use rayon::prelude::*;

use super::QuestionAnswering;
use crate::tasks::Question;
use crate::tasks::kind::{EncodeError, Encoder};
use crate::tokenizer::{Sequence, Tokenizer, TokenizerError};

/// Makes prompts that leave room for their answers.
#[derive(Clone, Copy, Debug)]
pub struct Prompts<'a> {
    tokenizer: &'a Tokenizer,
    objective: &'a QuestionAnswering,
    max_length: usize,
    end: u32,
}

impl<'a> Prompts<'a> {
    /// Prompts of a task.
    ///
    /// # Errors
    /// Where the tokenizer has no end-of-text token.
    pub fn new(objective: &'a QuestionAnswering, by: Encoder<'a>) -> Result<Self, EncodeError> {
        let (tokenizer, end) = by.end()?;
        Ok(Self { tokenizer, objective, max_length: by.max_length, end })
    }

    /// Questions with their first gold answers and the end-of-text token, [`Sequence::second`] at the
    /// answer, on all of rayon's threads.
    ///
    /// Contexts are truncated until everything fits, even with an answer of the longest length that may be
    /// generated: any row can be used for training or be held out.
    ///
    /// # Errors
    /// Where a question is too long or the tokenizer rejects a text.
    pub fn rows(&self, questions: &[Question]) -> Result<Vec<Sequence>, EncodeError> {
        questions.par_iter().map(|question| self.row(question)).collect()
    }

    fn row(&self, asked: &Question) -> Result<Sequence, EncodeError> {
        // GPT-2's words include the space before them.
        let mut answer = self.encode(&format!(" {}", asked.answers[0]))?;
        answer.push(self.end);
        let mut tokens = self.prompt(&asked.context, &asked.question, answer.len())?;
        let second = u32::try_from(tokens.len()).expect("a prompt has at most max_length tokens");
        tokens.extend(answer);
        Ok(Sequence { tokens, second })
    }

    /// The tokens of a prompt that leaves room for `answer` tokens, and for an answer of the longest length
    /// that may be generated; the end of the context is cut as far as needed.
    ///
    /// # Errors
    /// Where it does not fit even without a context.
    pub fn prompt(&self, context: &str, question: &str, answer: usize) -> Result<Vec<u32>, EncodeError> {
        let room = self.max_length.saturating_sub(answer.max(self.objective.max_new_tokens));
        let template = &self.objective.template;
        let mut tokens = self.encode(&fill(template, context, question))?;
        if tokens.len() <= room {
            return Ok(tokens);
        }
        let ends = self.tokenizer.token_ends(context)?;
        let mut kept = ends.len();
        while kept > 0 {
            // Cutting can add a token at the cut, so one round may not be enough.
            kept = kept.saturating_sub(tokens.len() - room);
            let end = kept.checked_sub(1).map_or(0, |last| ends[last]);
            tokens = self.encode(&fill(template, &context[..end], question))?;
            if tokens.len() <= room {
                return Ok(tokens);
            }
        }
        Err(EncodeError::TooLong {
            question: question.chars().take(60).collect(),
            max_length: self.max_length,
        })
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.tokenizer.encode_plain(&[text])?.swap_remove(0))
    }
}

/// A template with `{context}` and `{question}` filled in. The inserted texts are not searched again.
#[must_use]
pub fn fill(template: &str, context: &str, question: &str) -> String {
    let mut filled = String::with_capacity(template.len() + context.len() + question.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, brace) = rest.split_at(at);
        filled.push_str(before);
        let (value, behind) = if let Some(behind) = brace.strip_prefix("{context}") {
            (context, behind)
        } else if let Some(behind) = brace.strip_prefix("{question}") {
            (question, behind)
        } else {
            brace.split_at(1)
        };
        filled.push_str(value);
        rest = behind;
    }
    filled + rest
}

/// The lengths of prompts as [`Prompts`] makes them, before contexts are truncated, including room for the
/// longest answer that may be generated.
///
/// # Errors
/// Where the tokenizer rejects a text.
pub(super) fn lengths(
    questions: &[Question],
    objective: &QuestionAnswering,
    tokenizer: &Tokenizer,
) -> Result<Vec<usize>, TokenizerError> {
    let filled = |asked: &Question| fill(&objective.template, &asked.context, &asked.question);
    let prompts = tokenizer.encode_plain(&questions.iter().map(filled).collect::<Vec<_>>())?;
    let answer = |asked: &Question| format!(" {}", asked.answers.first().map_or("", String::as_str));
    let answers = tokenizer.encode_plain(&questions.iter().map(answer).collect::<Vec<_>>())?;
    let room = |answer: &Vec<u32>| (answer.len() + 1).max(objective.max_new_tokens);
    Ok(prompts.iter().zip(&answers).map(|(prompt, answer)| prompt.len() + room(answer)).collect())
}
