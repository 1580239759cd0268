//! Owns a tokenizer's files: which they are, and what `vocab.txt` and `vocab.json` mean beside
//! `tokenizer.json`.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Model, Tokenizer};

use super::TokenizerError;

/// BERT's special tokens; a text that contains one has it as that token.
const BERT_SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// Most bytes of one file: the largest vocabularies in use have a tenth of it.
const MAX_BYTES: u64 = 256 << 20;

/// GPT-2's end of text.
const END_OF_TEXT: &str = "<|endoftext|>";

/// What `tokenizer_config.json` says that matters here; defaults are BERT's and GPT-2's.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Settings {
    do_lower_case: bool,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: bool,
    add_prefix_space: bool,
    /// A text, or an object with it as `content`.
    eos_token: Value,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            do_lower_case: true,
            strip_accents: None,
            tokenize_chinese_chars: true,
            add_prefix_space: false,
            eos_token: Value::Null,
        }
    }
}

/// The files that decide what a tokenizer does, the main one first. Their bytes are its content.
///
/// # Errors
/// Where there is no `tokenizer.json`, no `vocab.txt` and no `vocab.json`, or one has over 256 MiB.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, TokenizerError> {
    let named = ["tokenizer.json", "vocab.txt", "vocab.json"].map(|name| path.join(name));
    let Some(main) = named.into_iter().chain([path.to_path_buf()]).find(|file| file.is_file()) else {
        let detail = "there is neither a tokenizer.json nor a vocab.txt, nor a vocab.json with merges.txt; \
                      give a folder with one";
        return Err(TokenizerError { path: path.to_path_buf(), detail: detail.to_owned() });
    };
    let merges = is_byte_level(&main).then(|| main.with_file_name("merges.txt"));
    let settings = Some(main.with_file_name("tokenizer_config.json")).filter(|file| file.is_file());
    let files: Vec<PathBuf> = [Some(main), merges, settings].into_iter().flatten().collect();
    match files.iter().find(|file| file.metadata().is_ok_and(|found| found.len() > MAX_BYTES)) {
        None => Ok(files),
        Some(file) => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let detail = format!("{name} has more than {} MiB", MAX_BYTES >> 20);
            Err(TokenizerError { path: path.to_path_buf(), detail })
        }
    }
}

/// The tokenizer whose main file this is, and its end-of-text token.
pub(super) fn load(main: &Path) -> tokenizers::Result<(Tokenizer, Option<u32>)> {
    let settings = match std::fs::read(main.with_file_name("tokenizer_config.json")) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| format!("tokenizer_config.json: {e}"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Settings::default(),
        Err(error) => return Err(error.into()),
    };
    let tokenizer = if is_byte_level(main) {
        byte_level(main, &settings)?
    } else if main.extension().is_some_and(|ending| ending == "json") {
        Tokenizer::from_file(main)?
    } else {
        wordpiece(main, &settings)?
    };
    let named = settings.eos_token.as_str().or_else(|| settings.eos_token["content"].as_str());
    let end = named.into_iter().chain([END_OF_TEXT]).find_map(|token| tokenizer.token_to_id(token));
    Ok((tokenizer, end))
}

fn is_byte_level(main: &Path) -> bool {
    main.file_name().is_some_and(|name| name == "vocab.json")
}

/// BERT's tokenizer over a vocabulary file with one token a line (Devlin et al. 2018).
fn wordpiece(vocabulary: &Path, settings: &Settings) -> tokenizers::Result<Tokenizer> {
    let tokens = WordPiece::read_bytes(&std::fs::read(vocabulary)?)?;
    let token = |name: &str| match tokens.get(name) {
        Some(id) => Ok((name.to_owned(), *id)),
        None => Err(format!("the vocabulary has no token {name}")),
    };
    let processing = BertProcessing::new(token("[SEP]")?, token("[CLS]")?);
    token("[UNK]")?;
    let special = BERT_SPECIAL.into_iter().filter(|name| tokens.contains_key(*name));
    let special: Vec<AddedToken> = special.map(|name| AddedToken::from(name, true)).collect();
    let mut tokenizer = Tokenizer::new(WordPiece::builder().vocab(tokens).build()?);
    let Settings { do_lower_case, strip_accents, tokenize_chinese_chars, .. } = *settings;
    let normalizer = BertNormalizer::new(true, tokenize_chinese_chars, strip_accents, do_lower_case);
    tokenizer.with_normalizer(Some(normalizer))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(processing));
    tokenizer.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
    tokenizer.add_special_tokens(special)?;
    Ok(tokenizer)
}

/// GPT-2's tokenizer (Radford et al. 2019): byte-level BPE over `vocab.json` and, beside it,
/// `merges.txt`.
fn byte_level(vocabulary: &Path, settings: &Settings) -> tokenizers::Result<Tokenizer> {
    let merges = vocabulary.with_file_name("merges.txt");
    let [vocabulary, merges] = [vocabulary, &merges]
        .map(|path| path.to_str().ok_or_else(|| format!("the path `{}` is not UTF-8", path.display())));
    let (tokens, merges) = BPE::read_file(vocabulary?, merges?)?;
    if let Some((a, b)) = merges.iter().find(|(a, b)| !tokens.contains_key(&format!("{a}{b}"))) {
        return Err(format!("merges.txt makes the token `{a}{b}`, and vocab.json has none such").into());
    }
    let model = BPE::builder().vocab_and_merges(tokens, merges).build()?;
    let known = model.token_to_id(END_OF_TEXT).is_some();
    let mut tokenizer = Tokenizer::new(model);
    let bytes = ByteLevel::default().add_prefix_space(settings.add_prefix_space);
    tokenizer.with_pre_tokenizer(Some(bytes));
    tokenizer.with_decoder(Some(bytes));
    tokenizer.with_post_processor(Some(bytes.trim_offsets(false)));
    if known {
        tokenizer.add_special_tokens([AddedToken::from(END_OF_TEXT, true)])?;
    }
    Ok(tokenizer)
}
