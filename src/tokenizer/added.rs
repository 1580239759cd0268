//! Owns the tokens outside a vocabulary: those that `tokenizer_config.json`, `added_tokens.json` and
//! `special_tokens_map.json` add to it or make special, as transformers reads them. Encodes no text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::settings::{Settings, read, text_of};

const ADDED: &str = "added_tokens.json";
const SPECIAL_MAP: &str = "special_tokens_map.json";

/// Keys of the tokens with a special role: `cls_token` and so on.
const PARTS: [&str; 7] =
    ["unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "bos_token", "eos_token"];
/// Keys for lists of further special tokens, in different versions of transformers.
const MORE: [&str; 2] = ["additional_special_tokens", "extra_special_tokens"];

/// A token outside the vocabulary.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) token: AddedToken,
    /// Its id; `None` where the vocabulary gives it, or the next free one is used.
    pub(super) id: Option<u32>,
}

/// An entry of `added_tokens_decoder` in a `tokenizer_config.json`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl Entry {
    fn token(&self) -> AddedToken {
        AddedToken::from(self.content.clone(), self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized.unwrap_or(!self.special))
    }
}

/// The tokens outside the vocabulary of this main file, those with ids first, sorted by id.
pub(super) fn declared(main: &Path, settings: &Settings) -> Result<Vec<Declared>, String> {
    let mut all = Vec::new();
    if let Some(entries) = &settings.added_tokens_decoder {
        for (id, entry) in entries {
            let id = id.parse().map_err(|_| format!("added_tokens_decoder: `{id}` is not a token id"))?;
            all.push(Declared { token: entry.token(), id: Some(id) });
        }
    } else {
        let map = special_map(main)?;
        let special: BTreeSet<String> =
            [parts(&map), parts(&settings.rest), more(&map), more(&settings.rest)]
                .into_iter()
                .flatten()
                .collect();
        for (content, id) in added(main)? {
            let token = AddedToken::from(content.clone(), special.contains(&content));
            all.push(Declared { token, id: Some(id) });
        }
        all.extend(more(&map).into_iter().map(special_token));
    }
    all.sort_by_key(|declared| declared.id.unwrap_or(u32::MAX));
    all.extend(more(&settings.rest).into_iter().map(special_token));
    Ok(all)
}

fn special_token(content: String) -> Declared {
    Declared { token: AddedToken::from(content, true), id: None }
}

/// Adds the tokens that the tokenizer does not have yet.
pub(super) fn add(tokenizer: &mut Tokenizer, declared: Vec<Declared>) -> tokenizers::Result<()> {
    let known: BTreeSet<String> =
        tokenizer.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
    for Declared { token, id } in declared {
        if known.contains(&token.content) {
            continue;
        }
        let content = token.content.clone();
        tokenizer.add_tokens([token])?;
        let got = tokenizer.token_to_id(&content);
        if let (Some(wanted), Some(got)) = (id, got)
            && wanted != got
        {
            let message = format!("the token `{content}` is declared with id {wanted}, and would get {got}");
            return Err(message.into());
        }
    }
    Ok(())
}

/// Puts tokens with given ids into the vocabulary; added later, a tokenizer would number them anew.
pub(super) fn place(
    declared: &[Declared],
    mut has: impl FnMut(&str) -> Option<u32>,
    mut put: impl FnMut(String, u32),
    taken: &BTreeMap<u32, String>,
) -> Result<(), String> {
    for Declared { token, id } in declared {
        let Some(id) = *id else { continue };
        match (has(&token.content), taken.get(&id)) {
            (Some(own), _) if own == id => {}
            (Some(own), _) => {
                return Err(format!(
                    "the token `{}` is declared with id {id}, and has {own} in the vocabulary",
                    token.content
                ));
            }
            (None, Some(other)) => {
                return Err(format!(
                    "the token `{}` is declared with id {id}, which `{other}` has in the vocabulary",
                    token.content
                ));
            }
            (None, None) => put(token.content.clone(), id),
        }
    }
    Ok(())
}

/// The files next to the main one that change the tokenizer's behaviour; `known` are the special tokens that it
/// has without them.
pub(super) fn files(main: &Path, settings: &Settings, known: &[&str]) -> Vec<PathBuf> {
    if settings.added_tokens_decoder.is_some() {
        return Vec::new();
    }
    let own = own_tokens(main);
    let is_new = |token: &String| !known.contains(&token.as_str()) && !own.contains(token);
    // A file that cannot be read is kept here, and reported when it is loaded.
    let adds = added(main).map_or(true, |added| added.keys().any(is_new));
    let map = special_map(main);
    let changes = map.as_ref().map_or(true, |map| {
        more(map).iter().any(is_new) || (adds && parts(map).iter().any(is_new)) || renames(map, known)
    });
    [(ADDED, adds), (SPECIAL_MAP, changes)]
        .into_iter()
        .filter(|(_, counts)| *counts)
        .map(|(name, _)| main.with_file_name(name))
        .filter(|path| path.is_file())
        .collect()
}

/// Whether the special tokens have other names than BERT's.
fn renames(map: &Map<String, Value>, known: &[&str]) -> bool {
    let own = |part: &&str| map.get(*part).and_then(text_of);
    PARTS[..5].iter().filter_map(own).any(|name| known.len() > 1 && !known.contains(&name))
}

/// The special tokens by role.
fn parts(map: &Map<String, Value>) -> Vec<String> {
    PARTS.iter().filter_map(|part| text_of(map.get(*part)?).map(str::to_owned)).collect()
}

/// The special token for a role, where the special tokens' file names it.
pub(super) fn part(main: &Path, name: &str) -> Result<Option<String>, String> {
    Ok(special_map(main)?.get(name).and_then(text_of).map(str::to_owned))
}

/// Further special tokens: a list, or an object with names for them.
fn more(map: &Map<String, Value>) -> Vec<String> {
    let values = MORE.iter().filter_map(|key| map.get(*key)).flat_map(|value| match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(named) => named.values().collect::<Vec<_>>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    });
    values.filter_map(text_of).map(str::to_owned).collect()
}

/// The tokens that a `tokenizer.json` has outside its vocabulary.
fn own_tokens(main: &Path) -> BTreeSet<String> {
    #[derive(Deserialize)]
    struct Own {
        #[serde(default)]
        added_tokens: Vec<Entry>,
    }
    if main.file_name().is_none_or(|name| name != "tokenizer.json") {
        return BTreeSet::new();
    }
    let own = fs::read(main).ok().and_then(|bytes| serde_json::from_slice::<Own>(&bytes).ok());
    own.map(|own| own.added_tokens.into_iter().map(|token| token.content).collect()).unwrap_or_default()
}

fn added(main: &Path) -> Result<BTreeMap<String, u32>, String> {
    beside(main, ADDED)
}

fn special_map(main: &Path) -> Result<Map<String, Value>, String> {
    beside(main, SPECIAL_MAP)
}

/// A JSON file next to the main one; empty where there is none.
fn beside<T: Default + serde::de::DeserializeOwned>(main: &Path, name: &str) -> Result<T, String> {
    match read(&main.with_file_name(name)) {
        Ok(Some(bytes)) => serde_json::from_slice(&bytes).map_err(|error| format!("{name}: {error}")),
        Ok(None) => Ok(T::default()),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
