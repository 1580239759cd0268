//! Owns which part of a rendered conversation is the assistant's, in bytes and in tokens, and where a conversation
//! that is too long is cut.
//!
//! A template may say itself what is the assistant's, in `{% generation %}` blocks. Otherwise an assistant's turn
//! begins where the prompt for it ends, and ends where the template ends a conversation after it. The token that
//! ends the turn is the assistant's, for a model must learn to stop; white space behind such a token is not.

use std::ops::Range;

use super::{ChatError, ChatTemplate, Role, Turn, jinja};
use crate::tokenizer::{Tokenizer, TokenizerError};

/// What ends a model's thoughts, which some templates leave out of all but the last turn.
const THOUGHT: &str = "</think>";

/// A conversation as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The assistant's parts, as bytes of the text.
    pub learned: Vec<Range<usize>>,
}

/// A conversation as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedChat {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// The assistant's parts, as indices of tokens: in ascending order, apart from one another, none empty.
    pub learned: Vec<Range<usize>>,
    /// The number of turns that it has.
    pub turns: usize,
    /// The token that ends the assistant's turns; `None` where it is one of the vocabulary's.
    pub stop: Option<u32>,
}

/// Token ids, and where each token is in its text.
struct Located {
    tokens: Vec<u32>,
    bytes: Vec<(usize, usize)>,
}

impl ChatTemplate {
    /// A conversation as text, with the assistant's parts.
    ///
    /// # Errors
    /// Where the template fails, or writes a turn in a way that hides where it begins or ends.
    pub fn learned(&self, turns: &[Turn], by: &Tokenizer) -> Result<Rendered, ChatError> {
        if self.marks {
            return self.marked(turns);
        }
        let text = self.render(turns, false)?;
        let mut learned = Vec::new();
        for (at, turn) in turns.iter().enumerate().filter(|(_, turn)| turn.role == Role::Assistant) {
            let diverges = || ChatError::Diverges { origin: self.origin.clone(), turn: at + 1 };
            let prompt = self.render(&turns[..at], true)?;
            let rest = text.strip_prefix(&prompt).ok_or_else(diverges)?;
            let last = self.render(&turns[..=at], false)?;
            let last = last.strip_prefix(&prompt).ok_or_else(diverges)?;
            let own = common(last, rest, turn).ok_or_else(diverges)?;
            let trimmed = own.trim_end();
            let end = if by.ends_in_added(trimmed) { trimmed.len() } else { own.len() };
            learned.push(prompt.len()..prompt.len() + end);
        }
        Ok(Rendered { text, learned })
    }

    /// A conversation by a template that marks the assistant's text.
    fn marked(&self, turns: &[Turn]) -> Result<Rendered, ChatError> {
        let ([begin, end], marks) = jinja::marks(turns);
        let whole = self.run(turns, false, marks)?;
        let (mut text, mut learned) = (String::with_capacity(whole.len()), Vec::new());
        let (mut depth, mut start) = (0, 0);
        for c in whole.chars() {
            if c == begin {
                start = if depth == 0 { text.len() } else { start };
                depth += 1;
            } else if c == end {
                depth -= 1;
                if depth == 0 && text.len() > start {
                    learned.push(start..text.len());
                }
            } else {
                text.push(c);
            }
        }
        Ok(Rendered { text, learned })
    }

    /// A conversation as at most `max_length` tokens: whole turns are cut off at its end until it fits, and it
    /// ends with a turn of the assistant. `None` where nothing is left. The assistant's parts are found only if
    /// `asks` for them.
    ///
    /// # Errors
    /// As of [`Self::learned`], and where the tokenizer rejects the text.
    pub fn encode(
        &self,
        turns: &[Turn],
        by: &Tokenizer,
        max_length: usize,
        asks: bool,
    ) -> Result<Option<EncodedChat>, ChatError> {
        let answered = (0..turns.len()).rev().filter(|at| turns[*at].role == Role::Assistant);
        for kept in answered.map(|at| &turns[..=at]) {
            let text = self.render(kept, false)?;
            let Located { tokens, bytes } = by.encode_located(&text)?;
            if tokens.len() <= max_length {
                let learned = if asks { self.learned(kept, by)?.learned } else { Vec::new() };
                let learned = in_tokens(&bytes, &learned);
                let last = learned.last().map(|range| tokens[range.end - 1]);
                let stop = last.filter(|token| by.is_added(*token));
                return Ok(Some(EncodedChat { tokens, learned, turns: kept.len(), stop }));
            }
        }
        Ok(None)
    }

    /// The tokens of a conversation that the assistant's next turn follows, and the token that ends this turn.
    ///
    /// # Errors
    /// As of [`Self::learned`], and where the tokenizer rejects the text.
    pub fn prompt(&self, turns: &[Turn], by: &Tokenizer) -> Result<(Vec<u32>, Option<u32>), ChatError> {
        let Located { tokens, .. } = by.encode_located(&self.render(turns, true)?)?;
        let answered: Vec<Turn> = turns.iter().cloned().chain([Turn::new(Role::Assistant, "Yes.")]).collect();
        let stop = self.encode(&answered, by, usize::MAX, true)?.and_then(|chat| chat.stop);
        Ok((tokens, stop))
    }

    /// Length in tokens of a conversation as a whole, up to the assistant's last turn.
    ///
    /// # Errors
    /// Where the template fails, or the tokenizer rejects the text.
    pub fn length(&self, turns: &[Turn], by: &Tokenizer) -> Result<usize, ChatError> {
        let last = turns.iter().rposition(|turn| turn.role == Role::Assistant);
        let text = self.render(last.map_or(turns, |at| &turns[..=at]), false)?;
        Ok(by.encode_located(&text)?.tokens.len())
    }
}

/// What a turn that was rendered as the `last` one has in common with the text that the whole conversation goes on
/// with: all of it, or an ending with the whole answer in it, where a template keeps thoughts in the last turn
/// alone.
fn common<'t>(last: &'t str, rest: &str, turn: &Turn) -> Option<&'t str> {
    let answer = turn.content.rsplit(THOUGHT).next().unwrap_or_default().trim();
    let with_answer = last.rfind(answer)?;
    let mut endings = last.char_indices().take_while(|(at, _)| *at <= with_answer).map(|(at, _)| &last[at..]);
    endings.find(|ending| rest.starts_with(ending))
}

/// Ranges of bytes as ranges of the tokens that have any of these bytes.
fn in_tokens(tokens: &[(usize, usize)], bytes: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let is_in = |(start, end): (usize, usize), range: &Range<usize>| start < range.end && end > range.start;
    let is_learned = |token: &(usize, usize)| bytes.iter().any(|range| is_in(*token, range));
    for at in (0..tokens.len()).filter(|at| is_learned(&tokens[*at])) {
        match ranges.last_mut() {
            Some(range) if range.end == at => range.end += 1,
            Some(_) | None => ranges.push(at..at + 1),
        }
    }
    ranges
}

impl Tokenizer {
    /// The token ids of a text, whole and without special tokens around it, with the bytes of each token. Special
    /// tokens in the text are recognised.
    fn encode_located(&self, text: &str) -> Result<Located, TokenizerError> {
        let encoding = self.inner.encode(text, false).map_err(|error| self.fail(&error.to_string()))?;
        Ok(Located { tokens: encoding.get_ids().to_vec(), bytes: encoding.get_offsets().to_vec() })
    }

    /// Whether a token is outside the vocabulary.
    fn is_added(&self, token: u32) -> bool {
        self.inner.get_added_tokens_decoder().contains_key(&token)
    }

    /// Whether a text ends in a token outside the vocabulary, as those are that end a turn.
    fn ends_in_added(&self, text: &str) -> bool {
        self.inner.get_added_tokens_decoder().values().any(|token| text.ends_with(&token.content))
    }
}
