//! Owns the way from a tokenizer's files to token ids: `tokenizer.json` as it is, or a WordPiece
//! `vocab.txt` as BERT reads it. Truncates to a length with special tokens included; never pads.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, TruncationParams};

/// BERT's special tokens; a text that contains one has it as that token.
const BERT_SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// A tokenizer that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the tokenizer `{}`: {detail}", path.display())]
pub struct TokenizerError {
    /// The file or folder.
    pub path: PathBuf,
    /// Why not.
    pub detail: String,
}

/// Turns texts into token ids.
#[derive(Debug)]
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
}

/// What `tokenizer_config.json` says that changes how `vocab.txt` is used; defaults are BERT's.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct BertSettings {
    do_lower_case: bool,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: bool,
}

impl Default for BertSettings {
    fn default() -> Self {
        Self { do_lower_case: true, strip_accents: None, tokenize_chinese_chars: true }
    }
}

impl Tokenizer {
    /// The tokenizer in a folder or file, cutting texts to `max_length` tokens.
    ///
    /// # Errors
    /// Where there is no `tokenizer.json` or `vocab.txt`, it cannot be read, or special tokens alone
    /// are longer than `max_length`.
    pub fn load(path: &Path, max_length: usize) -> Result<Self, TokenizerError> {
        let fail = |detail: String| TokenizerError { path: path.to_path_buf(), detail };
        let file = files(path)?.swap_remove(0);
        let json = file.extension().is_some_and(|ending| ending == "json");
        let loaded = if json { tokenizers::Tokenizer::from_file(&file) } else { wordpiece(&file) };
        let mut inner = loaded.map_err(|error| fail(error.to_string()))?;
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        inner.with_truncation(Some(truncation)).map_err(|error| fail(error.to_string()))?;
        inner.with_padding(None);
        let special = inner.encode_fast("", true).map_err(|error| fail(error.to_string()))?.len();
        if special >= max_length {
            return Err(fail(format!(
                "max_length {max_length} leaves no room beside {special} special tokens"
            )));
        }
        Ok(Self { path: path.to_path_buf(), inner })
    }

    /// The token ids of each text, special tokens included, on all of rayon's threads.
    ///
    /// # Errors
    /// Where the tokenizer's model rejects a text, for example for want of an unknown token.
    pub fn encode(&self, texts: &[String]) -> Result<Vec<Vec<u32>>, TokenizerError> {
        let encode =
            |text: &String| self.inner.encode_fast(text.as_str(), true).map(|e| e.get_ids().to_vec());
        let ids: tokenizers::Result<_> = texts.par_iter().map(encode).collect();
        ids.map_err(|error| TokenizerError { path: self.path.clone(), detail: error.to_string() })
    }

    /// Rows that a model's word embedding needs at least: one more than the highest token id, since
    /// a vocabulary may leave ids out.
    #[must_use]
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |highest| highest as usize + 1)
    }
}

/// The files that decide what a tokenizer does, the main one first. Their bytes are its content.
///
/// # Errors
/// Where there is no `tokenizer.json` or `vocab.txt`.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, TokenizerError> {
    let candidates = [path.join("tokenizer.json"), path.join("vocab.txt"), path.to_path_buf()];
    let Some(main) = candidates.into_iter().find(|candidate| candidate.is_file()) else {
        let detail = "there is neither a tokenizer.json nor a vocab.txt; give a folder with one".to_owned();
        return Err(TokenizerError { path: path.to_path_buf(), detail });
    };
    let settings = main.with_file_name("tokenizer_config.json");
    let json = main.extension().is_some_and(|ending| ending == "json");
    Ok(if !json && settings.is_file() { vec![main, settings] } else { vec![main] })
}

/// BERT's tokenizer over a vocabulary file with one token a line (Devlin et al. 2018).
fn wordpiece(vocabulary: &Path) -> tokenizers::Result<tokenizers::Tokenizer> {
    let settings = match std::fs::read(vocabulary.with_file_name("tokenizer_config.json")) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BertSettings::default(),
        Err(error) => return Err(error.into()),
    };
    let tokens = WordPiece::read_bytes(&std::fs::read(vocabulary)?)?;
    let token = |name: &str| match tokens.get(name) {
        Some(id) => Ok((name.to_owned(), *id)),
        None => Err(format!("the vocabulary has no token {name}")),
    };
    let processing = BertProcessing::new(token("[SEP]")?, token("[CLS]")?);
    token("[UNK]")?;
    let special = BERT_SPECIAL.into_iter().filter(|name| tokens.contains_key(*name));
    let special: Vec<AddedToken> = special.map(|name| AddedToken::from(name, true)).collect();
    let mut tokenizer = tokenizers::Tokenizer::new(WordPiece::builder().vocab(tokens).build()?);
    let BertSettings { do_lower_case, strip_accents, tokenize_chinese_chars } = settings;
    let normalizer = BertNormalizer::new(true, tokenize_chinese_chars, strip_accents, do_lower_case);
    tokenizer.with_normalizer(Some(normalizer))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(processing));
    tokenizer.add_special_tokens(special)?;
    Ok(tokenizer)
}
