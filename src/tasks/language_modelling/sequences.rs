//! Owns how texts become sequences: one each, or joined and cut into blocks. Reads no file.

use crate::tokenizer::{Sequence, Tokenizer, TokenizerError};

/// Approximate bytes of a running text that are tokenised in one piece.
const PIECE: usize = 1 << 16;
/// A sequence of one token has nothing to predict.
const SHORTEST: usize = 2;

/// Each text and the end-of-text token as one sequence, cut to `max_length`.
///
/// # Errors
/// Where the tokenizer rejects a text.
pub(super) fn documents(
    texts: &[String],
    (tokenizer, end): (&Tokenizer, u32),
    max_length: usize,
) -> Result<Vec<Sequence>, TokenizerError> {
    let mut sequences = tokenizer.encode_plain(texts)?;
    for tokens in &mut sequences {
        tokens.push(end);
        tokens.truncate(max_length);
    }
    sequences.retain(|tokens| tokens.len() >= SHORTEST);
    Ok(sequences.into_iter().map(Sequence::whole).collect())
}

/// All texts one after the other, each followed by the end-of-text token, in blocks of `max_length` tokens. The
/// last block may be shorter.
///
/// # Errors
/// Where the tokenizer rejects a text.
pub(super) fn blocks(
    texts: &[String],
    (tokenizer, end): (&Tokenizer, u32),
    max_length: usize,
) -> Result<Vec<Sequence>, TokenizerError> {
    let mut stream = Vec::new();
    for tokens in tokenizer.encode_plain(texts)? {
        stream.extend(tokens);
        stream.push(end);
    }
    Ok(cut(&stream, max_length))
}

/// Lines as one text, followed by one end-of-text token, in blocks.
///
/// # Errors
/// Where the tokenizer rejects the text.
pub(super) fn running(
    lines: &[String],
    (tokenizer, end): (&Tokenizer, u32),
    max_length: usize,
) -> Result<Vec<Sequence>, TokenizerError> {
    let text = lines.join("\n");
    let mut stream = tokenizer.encode_plain(&pieces(&text, PIECE))?.concat();
    stream.push(end);
    Ok(cut(&stream, max_length))
}

fn cut(stream: &[u32], max_length: usize) -> Vec<Sequence> {
    let blocks = stream.chunks(max_length).filter(|block| block.len() >= SHORTEST);
    blocks.map(|block| Sequence::whole(block.to_vec())).collect()
}

/// A text in pieces of at least `size` bytes that together have the same tokens as the whole.
///
/// Pieces end where white space begins: no token of BERT's or GPT-2's continues from a word into the space
/// after it, and how they encode a space does not depend on the text before it.
fn pieces(text: &str, size: usize) -> Vec<&str> {
    let mut pieces = Vec::with_capacity(text.len() / size + 1);
    let mut rest = text;
    while let Some(at) = boundary(rest, size) {
        let (piece, behind) = rest.split_at(at);
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    pieces
}

/// Where white space first follows something else, `size` bytes in or later.
fn boundary(text: &str, size: usize) -> Option<usize> {
    let start = text.floor_char_boundary(size);
    let mut in_space = true;
    text[start..].char_indices().find_map(|(at, c)| {
        let begins = c.is_whitespace() && !in_space;
        in_space = c.is_whitespace();
        begins.then_some(start + at)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_end_before_white_space(text in "[ab東\n\u{a0} ]{0,40}", size in 1_usize..9) {
            let pieces = pieces(&text, size);
            prop_assert_eq!(pieces.concat(), text.as_str());
            for pair in pieces.windows(2) {
                prop_assert!(pair[0].len() >= size);
                prop_assert!(pair[0].ends_with(|c: char| !c.is_whitespace()));
                prop_assert!(pair[1].starts_with(char::is_whitespace));
            }
        }
    }
}
