//! Owns which files of a model repository are wanted. Pure: sees paths, never contents.

use super::{Files, Problem};

const CONFIGURATION: &str = "config.json";

/// Tokenizer files that can be read, each taken where present.
const TOKENIZER: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Files of tokenizers that cannot be read without a `tokenizer.json`: sentencepiece models, and the merges of
/// fastBPE, whose `vocab.txt` is not WordPiece.
const FOREIGN: [&str; 6] =
    ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model", "source.spm", "bpe.codes"];

/// The file that an adapter's folder has instead of a model's configuration.
const ADAPTER: &str = "adapter_config.json";

/// Weights, best first: prefix and extension.
const WEIGHTS: [(&str, &str); 2] = [("model", ".safetensors"), ("pytorch_model", ".bin")];

/// Configuration, tokenizer, and one kind of weights, never two.
pub(super) fn model_files(paths: &[&str], what: Files) -> Result<Vec<String>, Problem> {
    if !paths.contains(&CONFIGURATION) {
        return Err(if paths.contains(&ADAPTER) { Problem::Adapter } else { Problem::NoConfiguration });
    }
    let mut files = vec![CONFIGURATION.to_owned()];
    match what {
        Files::WithoutWeights => {}
        Files::All => files.extend(weights(paths)?),
    }
    files.extend(tokenizer(paths)?);
    files.sort_unstable();
    Ok(files)
}

fn weights(paths: &[&str]) -> Result<Vec<String>, Problem> {
    for (stem, ending) in WEIGHTS {
        let (whole, index) = (format!("{stem}{ending}"), format!("{stem}{ending}.index.json"));
        if paths.contains(&whole.as_str()) {
            return Ok(vec![whole]);
        }
        if paths.contains(&index.as_str()) {
            let of_stem = |path: &&str| {
                path.strip_suffix(ending).is_some_and(|rest| part(rest).is_some_and(|(name, _)| name == stem))
            };
            let parts: Vec<&str> = paths.iter().copied().filter(of_stem).collect();
            let mut files = vec![index];
            check_parts(&parts, ending)?;
            files.extend(parts.into_iter().map(str::to_owned));
            return Ok(files);
        }
    }
    Err(Problem::NoWeights)
}

fn tokenizer(paths: &[&str]) -> Result<Vec<String>, Problem> {
    let has = |name: &str| paths.contains(&name);
    let foreign = FOREIGN.into_iter().find(|name| has(name)).filter(|_| !has("tokenizer.json"));
    let is_known = has("tokenizer.json") || has("vocab.txt") || (has("vocab.json") && has("merges.txt"));
    match foreign {
        None if is_known => Ok(TOKENIZER.into_iter().filter(|name| has(name)).map(str::to_owned).collect()),
        foreign => Err(Problem::NoTokenizer(foreign)),
    }
}

/// The name of one part among several, as the hub writes it: `train-00000-of-00002`, sometimes followed by a
/// checksum. Gives the name before it and the number of parts.
pub(super) fn part(stem: &str) -> Option<(&str, usize)> {
    let (head, tail) = stem.split_once("-of-")?;
    let (name, number) = head.rsplit_once('-')?;
    let count = tail.split_once('-').map_or(tail, |(count, _)| count);
    let digits = |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(number) && digits(count)).then(|| count.parse().ok().map(|count| (name, count)))?
}

/// Whether all parts that the names announce are present. Files that are not in parts pass.
pub(super) fn check_parts(paths: &[&str], ending: &str) -> Result<(), Problem> {
    let Some(example) = paths.first() else { return Err(Problem::NoWeights) };
    match example.strip_suffix(ending).and_then(part) {
        Some((_, expected)) if expected != paths.len() => {
            Err(Problem::MissingParts { example: (*example).to_owned(), found: paths.len(), expected })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_weights_and_no_other_frameworks_files() {
        let gpt2 = [
            "64.tflite",
            "config.json",
            "flax_model.msgpack",
            "generation_config.json",
            "merges.txt",
            "model.safetensors",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "rust_model.ot",
            "tf_model.h5",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json",
        ];
        let files = model_files(&gpt2, Files::All).unwrap();
        let wanted = [
            "config.json",
            "merges.txt",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json",
        ];
        assert_eq!(files, wanted);
        let without = model_files(&gpt2, Files::WithoutWeights).unwrap();
        assert_eq!(
            without,
            ["config.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"]
        );
        let tiny = ["config.json", "pytorch_model.bin", "vocab.txt"];
        assert_eq!(model_files(&tiny, Files::All).unwrap(), tiny);
    }

    #[test]
    fn shards_come_with_their_index_and_all_of_them() {
        let mut paths = vec![
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin",
            "vocab.txt",
        ];
        let files = model_files(&paths, Files::All).unwrap();
        assert!(files.len() == 5 && !files.contains(&"pytorch_model.bin".to_owned()), "{files:?}");
        paths.remove(2);
        let error = model_files(&paths, Files::All).unwrap_err();
        assert!(matches!(error, Problem::MissingParts { found: 1, expected: 2, .. }));
    }

    #[test]
    fn what_is_missing_is_named() {
        let problem = |paths: &[&str]| model_files(paths, Files::All).unwrap_err();
        assert!(matches!(problem(&["model.safetensors", "vocab.txt"]), Problem::NoConfiguration));
        assert!(matches!(problem(&["config.json", "tf_model.h5", "vocab.txt"]), Problem::NoWeights));
        let sentencepiece = ["config.json", "model.safetensors", "spiece.model", "vocab.json"];
        assert!(matches!(problem(&sentencepiece), Problem::NoTokenizer(Some("spiece.model"))));
        let bertweet = ["config.json", "model.safetensors", "vocab.txt", "bpe.codes"];
        assert!(matches!(problem(&bertweet), Problem::NoTokenizer(Some("bpe.codes"))));
        assert!(matches!(problem(&["config.json", "model.safetensors"]), Problem::NoTokenizer(None)));
        let with_both = ["config.json", "model.safetensors", "spiece.model", "tokenizer.json"];
        assert!(model_files(&with_both, Files::All).is_ok());
        assert!(matches!(problem(&["adapter_config.json", "adapter_model.safetensors"]), Problem::Adapter));
    }

    #[test]
    fn parts_are_read_from_names() {
        assert_eq!(part("train-00000-of-00002"), Some(("train", 2)));
        assert_eq!(part("train-00000-of-00001-a09b74b3ef9c3b56"), Some(("train", 1)));
        for stem in ["train", "best-of-00001", "a-0-of-2", "train-00000-of-"] {
            assert_eq!(part(stem), None, "{stem}");
        }
    }
}
