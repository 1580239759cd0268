//! Owns the conversion between texts and token ids. Truncates on request, counting special tokens; never pads.
//! Read `files.rs` next.

mod added;
mod chat;
mod error;
mod files;
mod settings;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tokenizers::utils::truncation::{TruncationParams, truncate_encodings};
use tokenizers::{Encoding, Model, PostProcessor};

pub use chat::{ChatError, ChatTemplate, EncodedChat, Rendered, Role, Turn};
pub use error::{Fault, TokenizerError};
pub use files::{content, files};
pub use settings::python_class;

/// Turns texts into token ids, and back.
#[derive(Debug)]
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    end_of_text: Option<u32>,
    padding: Option<u32>,
}

/// A text or a pair of texts, as a model reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids, special tokens included.
    pub tokens: Vec<u32>,
    /// Index of the first token of type 1, which begins the second text of a pair; the number of tokens where
    /// there is none.
    pub second: u32,
}

/// A text given as words, as a model reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Its tokens.
    pub sequence: Sequence,
    /// The position of each word's first token; [`Placed::CUT`] for a word that has none.
    pub first: Vec<u32>,
}

impl Placed {
    /// In place of a position, for a word that was cut off, or of which the tokenizer leaves nothing.
    pub const CUT: u32 = u32::MAX;
}

impl Sequence {
    /// Tokens of a single text.
    ///
    /// # Panics
    /// Where there are 2^32 tokens or more.
    #[must_use]
    pub fn whole(tokens: Vec<u32>) -> Self {
        let second = u32::try_from(tokens.len()).expect("sequences are far shorter");
        Self { tokens, second }
    }
}

impl Tokenizer {
    /// The tokenizer in this folder, or with this main file.
    ///
    /// # Errors
    /// Where there is none, or its files cannot be read.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let fail = |fault: Fault| TokenizerError { path: path.to_path_buf(), fault };
        let main = files(path)?.swap_remove(0);
        let files::Loaded { mut inner, end_of_text, padding } = files::load(&main).map_err(fail)?;
        inner.with_truncation(None).map_err(|error| fail(error.into()))?;
        inner.with_padding(None);
        Ok(Self { path: path.to_path_buf(), inner, end_of_text, padding })
    }

    /// Tokens that a text, or the two texts of a pair, may have within `max_length`.
    ///
    /// # Errors
    /// Where special tokens leave no room.
    pub fn room(&self, max_length: usize, pair: bool) -> Result<usize, TokenizerError> {
        let special = self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(pair));
        max_length.checked_sub(special).filter(|room| *room > 0).ok_or_else(|| {
            self.fail(&format!(
                "max_length {max_length} leaves no room for text besides {special} special tokens"
            ))
        })
    }

    /// Encodes each text, or pair of texts, on all of rayon's threads. What is too long is truncated, the
    /// longer text of a pair first, as in transformers.
    ///
    /// # Errors
    /// Where special tokens leave no room in `max_length`, or the tokenizer's model rejects a text, for example
    /// because it has no unknown token.
    pub fn encode_rows(
        &self,
        texts: &[String],
        pairs: Option<&[String]>,
        max_length: usize,
    ) -> Result<Vec<Sequence>, TokenizerError> {
        let truncation = TruncationParams {
            max_length: self.room(max_length, pairs.is_some())?,
            ..TruncationParams::default()
        };
        let encode = |row: usize| {
            let pair = pairs.map(|pairs| self.inner.encode_fast(pairs[row].as_str(), false)).transpose()?;
            let pair = pair.map(|mut pair| {
                pair.set_type_ids(vec![1; pair.len()]);
                pair
            });
            let text = self.inner.encode_fast(texts[row].as_str(), false)?;
            let (mut text, mut pair) = truncate_encodings(text, pair, &truncation)?;
            // The part cut off is never read, and a long text has much of it.
            for encoding in std::iter::once(&mut text).chain(&mut pair) {
                encoding.take_overflowing();
            }
            self.inner.post_process(text, pair, true).map(|encoding| sequence(&encoding))
        };
        let rows: tokenizers::Result<_> = (0..texts.len()).into_par_iter().map(encode).collect();
        rows.map_err(|error| self.fail(&error.to_string()))
    }

    /// Encodes texts that are given as words, each of which begins a token, on all of rayon's threads: the words'
    /// text with a blank between them, as transformers' `is_split_into_words` reads it. What is too long is
    /// truncated.
    ///
    /// # Errors
    /// As [`Self::encode_rows`].
    pub fn encode_words(
        &self,
        rows: &[Vec<String>],
        max_length: usize,
    ) -> Result<Vec<Placed>, TokenizerError> {
        let truncation =
            TruncationParams { max_length: self.room(max_length, false)?, ..TruncationParams::default() };
        let encode = |words: &Vec<String>| {
            let text = self.inner.encode(words.join(" "), false)?;
            let (mut text, _) = truncate_encodings(text, None, &truncation)?;
            text.take_overflowing();
            let encoding = self.inner.post_process(text, None, true)?;
            Ok(Placed { sequence: sequence(&encoding), first: first_tokens(words, &encoding) })
        };
        let rows: tokenizers::Result<_> = rows.par_iter().map(encode).collect();
        rows.map_err(|error| self.fail(&error.to_string()))
    }

    /// The token ids of each text alone, whole and without special tokens, on all of rayon's threads.
    ///
    /// # Errors
    /// Where the tokenizer's model rejects a text.
    pub fn encode_plain<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<u32>>, TokenizerError> {
        let encode = |text: &T| self.inner.encode_fast(text.as_ref(), false).map(|e| e.get_ids().to_vec());
        let ids: tokenizers::Result<_> = texts.par_iter().map(encode).collect();
        ids.map_err(|error| self.fail(&error.to_string()))
    }

    /// For each token of a text, without special tokens, the byte after it: where the text can be cut. An end
    /// within a character moves back to the start of that character.
    ///
    /// # Errors
    /// Where the tokenizer's model rejects the text.
    pub fn token_ends(&self, text: &str) -> Result<Vec<usize>, TokenizerError> {
        let encoding = self.inner.encode(text, false).map_err(|error| self.fail(&error.to_string()))?;
        Ok(encoding.get_offsets().iter().map(|(_, end)| text.floor_char_boundary(*end)).collect())
    }

    /// The text of token ids, without special tokens.
    ///
    /// # Errors
    /// Where the tokenizer's decoder rejects them.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(ids, true).map_err(|error| self.fail(&error.to_string()))
    }

    /// The token that ends a text: what `tokenizer_config.json` calls `eos_token`, or GPT-2's.
    #[must_use]
    pub fn end_of_text(&self) -> Option<u32> {
        self.end_of_text
    }

    /// The padding token: `pad_token` in the files, else BERT's or RoBERTa's.
    #[must_use]
    pub fn padding(&self) -> Option<u32> {
        self.padding
    }

    /// Rows that a model's word embedding needs at least: the highest token id plus one, since a vocabulary may
    /// skip ids.
    #[must_use]
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |highest| highest as usize + 1)
    }

    /// The token with this id, as the vocabulary writes it.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        // Tokens outside the vocabulary may be stored as the normaliser writes them.
        self.inner.get_model().id_to_token(id).or_else(|| self.inner.id_to_token(id))
    }

    fn fail(&self, detail: &str) -> TokenizerError {
        TokenizerError { path: self.path.clone(), fault: Fault::Unusable(detail.to_owned()) }
    }
}

/// The first token of each word of a text that was encoded with a blank between the words. No token is the first of
/// two words.
fn first_tokens(words: &[String], encoding: &Encoding) -> Vec<u32> {
    let special = encoding.get_special_tokens_mask();
    let offsets = (0_u32..).zip(encoding.get_offsets()).zip(special);
    let mut tokens = offsets.filter(|(_, special)| **special == 0).map(|(token, _)| token).peekable();
    let mut start = 0;
    let place = |word: &String| {
        let end = start + word.len();
        // Tokens of white space, and of the word before.
        while tokens.next_if(|(_, (_, last))| *last <= start).is_some() {}
        let found = tokens.next_if(|(_, (first, _))| *first < end).map_or(Placed::CUT, |(token, _)| token);
        start = end + 1;
        found
    };
    words.iter().map(place).collect()
}

fn sequence(encoding: &Encoding) -> Sequence {
    let types = encoding.get_type_ids();
    let second = types.iter().position(|kind| *kind == 1).unwrap_or(types.len());
    Sequence {
        tokens: encoding.get_ids().to_vec(),
        second: u32::try_from(second).expect("a sequence has at most max_length tokens"),
    }
}
