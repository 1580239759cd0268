//! Owns a tokenizer's files: which they are, and what `vocab.txt` and `vocab.json` mean without a
//! `tokenizer.json`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Model, Tokenizer};

use super::added::{self, Declared};
use super::settings::{Settings, foreign_file, is_byte_level, is_whole, text_of};
use super::{Fault, TokenizerError};
use crate::families::{Around, Vocabulary};
use crate::values::ContentHash;

/// The file with the template that turns conversations into text.
pub(super) const CHAT_TEMPLATE: &str = "chat_template.jinja";
/// Most bytes of one file: the largest vocabularies in use are a tenth of it.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// The files that decide what a tokenizer does, the main one first. Their bytes are its content.
///
/// # Errors
/// Where there is no `tokenizer.json`, no `vocab.txt` and no `vocab.json`, or one has over 256 MiB.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, TokenizerError> {
    let named = ["tokenizer.json", "vocab.txt", "vocab.json"].map(|name| path.join(name));
    let Some(main) = named.into_iter().chain([path.to_path_buf()]).find(|file| file.is_file()) else {
        let fault = foreign_file(path).map_or(Fault::Absent, Fault::OtherFile);
        return Err(TokenizerError { path: path.to_path_buf(), fault });
    };
    let merges = is_byte_level(&main).then(|| main.with_file_name("merges.txt"));
    let settings = Some(main.with_file_name("tokenizer_config.json")).filter(|file| file.is_file());
    let mut files: Vec<PathBuf> = [Some(main.clone()), merges, settings].into_iter().flatten().collect();
    limit(path, &files)?;
    // Files that change nothing are left out, so that the tokenizer's hash stays the same.
    let read = Settings::beside(&main).unwrap_or_default();
    files.extend(Some(main.with_file_name(CHAT_TEMPLATE)).filter(|file| file.is_file()));
    files.extend(added::files(&main, &read, read.tokenizers(&main).vocabulary.special()));
    limit(path, &files)?;
    Ok(files)
}

/// The hash of these files' bytes, which identifies the tokenizer in trials' ids.
///
/// # Errors
/// Where one cannot be read.
pub fn content(files: &[PathBuf]) -> io::Result<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update_reader(File::open(file)?)?;
    }
    Ok(ContentHash::from_digest(&hasher.finalize()))
}

/// Refuses files that are larger than any tokenizer needs.
fn limit(path: &Path, files: &[PathBuf]) -> Result<(), TokenizerError> {
    match files.iter().find(|file| file.metadata().is_ok_and(|found| found.len() > MAX_BYTES)) {
        None => Ok(()),
        Some(file) => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let fault = Fault::Unusable(format!("{name} has more than {} MiB", MAX_BYTES >> 20));
            Err(TokenizerError { path: path.to_path_buf(), fault })
        }
    }
}

/// A tokenizer as its files describe it.
pub(super) struct Loaded {
    pub(super) inner: Tokenizer,
    /// The token that ends a text.
    pub(super) end_of_text: Option<u32>,
    /// The padding token.
    pub(super) padding: Option<u32>,
}

/// The tokenizer whose main file this is.
pub(super) fn load(main: &Path) -> Result<Loaded, Fault> {
    let settings = Settings::beside(main)?;
    let declared = added::declared(main, &settings)?;
    let mut tokenizer = if is_whole(main) {
        Tokenizer::from_file(main)?
    } else {
        settings.check_kind(main)?;
        match settings.tokenizers(main).vocabulary {
            Vocabulary::Pieces(special) => wordpiece(main, &settings, &declared, special)?,
            Vocabulary::Bytes(around) => byte_level(main, &settings, &declared, around)?,
        }
    };
    added::add(&mut tokenizer, declared)?;
    let id = |token: &str| tokenizer.token_to_id(token);
    let end_of_text = text_of(&settings.eos_token).and_then(id).or_else(|| Vocabulary::ends().find_map(id));
    let padding = match padding(main, &settings) {
        Some(named) => id(&named),
        None => Vocabulary::padding().find_map(id),
    };
    Ok(Loaded { inner: tokenizer, end_of_text, padding })
}

/// The name of the padding token in the files.
fn padding(main: &Path, settings: &Settings) -> Option<String> {
    let named = settings.part("pad_token").map(str::to_owned);
    named.or_else(|| added::part(main, "pad_token").ok().flatten())
}

/// The names of a tokenizer's special tokens as its files give them, with the defaults in `usual`: padding,
/// unknown, first, last and mask.
fn special_parts(main: &Path, settings: &Settings, usual: [&str; 5]) -> Result<[String; 5], String> {
    let mut parts = usual.map(str::to_owned);
    let keys = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"];
    for (part, key) in parts.iter_mut().zip(keys) {
        let named = settings.part(key).map(str::to_owned);
        *part =
            named.map_or_else(|| added::part(main, key), |named| Ok(Some(named)))?.unwrap_or(part.clone());
    }
    Ok(parts)
}

/// BERT's tokenizer over a vocabulary file with one token a line (Devlin et al. 2018).
fn wordpiece(
    vocabulary: &Path,
    settings: &Settings,
    declared: &[Declared],
    special: [&str; 5],
) -> tokenizers::Result<Tokenizer> {
    let mut tokens = WordPiece::read_bytes(&std::fs::read(vocabulary)?)?;
    let taken: BTreeMap<u32, String> = tokens.iter().map(|(token, id)| (*id, token.clone())).collect();
    let mut new = Vec::new();
    added::place(declared, |token| tokens.get(token).copied(), |token, id| new.push((token, id)), &taken)?;
    tokens.extend(new);
    let token = |name: &str| match tokens.get(name) {
        Some(id) => Ok((name.to_owned(), *id)),
        None => Err(format!("the vocabulary has no token {name}")),
    };
    let parts = special_parts(vocabulary, settings, special)?;
    let [_, unknown, first, last, _] = &parts;
    let processing = BertProcessing::new(token(last)?, token(first)?);
    token(unknown)?;
    let special = parts.iter().filter(|name| tokens.contains_key(*name));
    let special: Vec<AddedToken> = special.map(|name| AddedToken::from(name.as_str(), true)).collect();
    let model = WordPiece::builder().vocab(tokens).unk_token(unknown.clone()).build()?;
    let mut tokenizer = Tokenizer::new(model);
    let Settings { do_lower_case, strip_accents, tokenize_chinese_chars, .. } = *settings;
    let normalizer = BertNormalizer::new(true, tokenize_chinese_chars, strip_accents, do_lower_case);
    tokenizer.with_normalizer(Some(normalizer))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(processing));
    tokenizer.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
    tokenizer.add_special_tokens(special)?;
    Ok(tokenizer)
}

/// GPT-2's tokenizer (Radford et al. 2019): byte-level BPE over `vocab.json` and `merges.txt` next to it.
/// RoBERTa's (Liu et al. 2019) puts `<s>` before a text, `</s>` after it, and `</s></s>` between two.
fn byte_level(
    vocabulary: &Path,
    settings: &Settings,
    declared: &[Declared],
    around: Around,
) -> tokenizers::Result<Tokenizer> {
    let merges = vocabulary.with_file_name("merges.txt");
    let [file, merges] = [vocabulary, &merges]
        .map(|path| path.to_str().ok_or_else(|| format!("the path `{}` is not UTF-8", path.display())));
    let (mut tokens, merges) = BPE::read_file(file?, merges?)?;
    let taken: BTreeMap<u32, String> = tokens.iter().map(|(token, id)| (*id, token.clone())).collect();
    let mut new = Vec::new();
    added::place(declared, |token| tokens.get(token).copied(), |token, id| new.push((token, id)), &taken)?;
    tokens.extend(new);
    if let Some((a, b)) = merges.iter().find(|(a, b)| !tokens.contains_key(&format!("{a}{b}"))) {
        return Err(format!("merges.txt makes the token `{a}{b}`, and vocab.json has none such").into());
    }
    let model = BPE::builder().vocab_and_merges(tokens, merges).build()?;
    let bytes = ByteLevel::default().add_prefix_space(settings.add_prefix_space);
    let id = |token: &str| model.token_to_id(token);
    let (special, around) = match around {
        Around::Tokens(usual) => {
            let parts = special_parts(vocabulary, settings, usual)?;
            let token = |name: &str| {
                let known = id(name).map(|id| (name.to_owned(), id));
                known.ok_or_else(|| format!("the vocabulary has no token {name}"))
            };
            let around = RobertaProcessing::new(token(&parts[3])?, token(&parts[2])?);
            let around = around.add_prefix_space(settings.add_prefix_space);
            (parts.to_vec(), PostProcessorWrapper::from(around))
        }
        Around::Nothing { end } => {
            (vec![end.to_owned()], PostProcessorWrapper::from(bytes.trim_offsets(false)))
        }
    };
    let special = special.iter().filter(|name| id(name).is_some());
    let special: Vec<AddedToken> = special.map(|name| AddedToken::from(name.as_str(), true)).collect();
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(bytes));
    tokenizer.with_decoder(Some(bytes));
    tokenizer.with_post_processor(Some(around));
    tokenizer.add_special_tokens(special)?;
    Ok(tokenizer)
}
