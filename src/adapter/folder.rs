//! Owns the writing of output folders: each is written aside and renamed as a whole, so that a half-written
//! model never appears under the final name. Chooses no content.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value, json};

use super::error::AdapterError;
use crate::model::weights::Kind;
use crate::tokenizer;

/// Files of a tokenizer that only Python reads.
const BESIDE_TOKENIZER: [&str; 9] = [
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    CHAT_TEMPLATE,
    "chat_template.json",
];
/// The file with the template that turns conversations into text.
const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// A tensor to be written.
#[derive(Debug)]
pub struct Values<'a> {
    /// Element type.
    pub kind: Kind,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Contiguous, row-major, little-endian.
    pub bytes: Cow<'a, [u8]>,
}

/// A folder in the making.
#[derive(Debug)]
pub struct Draft {
    aside: PathBuf,
    out: PathBuf,
}

impl Draft {
    /// Starts a folder that will be renamed to `out`.
    ///
    /// # Errors
    /// When `out` is taken, or its parent folder cannot be written.
    pub fn begin(out: &Path) -> Result<Self, AdapterError> {
        let occupied = match fs::read_dir(out) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => fs::symlink_metadata(out).is_ok(),
        };
        let name = out.file_name().filter(|_| !occupied);
        let Some(name) = name else { return Err(AdapterError::Occupied { path: out.to_path_buf() }) };
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        let aside = parent.join(format!(".new-{}-{}", std::process::id(), name.to_string_lossy()));
        fs::create_dir_all(&aside).map_err(AdapterError::write(&aside))?;
        Ok(Self { aside, out: out.to_path_buf() })
    }

    /// Writes a file of the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &[u8]) -> Result<(), AdapterError> {
        fs::write(self.aside.join(name), text).map_err(AdapterError::write(self.out.join(name)))
    }

    /// Writes tensors as a safetensors file, marked as transformers and PEFT expect it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tensors(&self, name: &str, tensors: &BTreeMap<String, Values<'_>>) -> Result<(), AdapterError> {
        let failed = |error| AdapterError::write(self.out.join(name))(std::io::Error::other(error));
        let views: Vec<_> = tensors
            .iter()
            .map(|(name, values)| {
                TensorView::new(dtype(values.kind), values.shape.clone(), &values.bytes)
                    .map(|view| (name.as_str(), view))
            })
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let path = self.aside.join(name);
        safetensors::serialize_to_file(views, Some(metadata), &path).map_err(failed)?;
        // The crate makes the file readable by its owner only; everyone who can read the folder should be able
        // to read it.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
            .map_err(AdapterError::write(self.out.join(name)))
    }

    /// Copies a tokenizer: the files that decide its behaviour, under their standard names, and the files that
    /// only Python reads.
    ///
    /// # Errors
    /// When there is no tokenizer, or a file cannot be read or written.
    pub fn tokenizer(&self, path: &Path) -> Result<(), AdapterError> {
        let files = tokenizer::files(path)?;
        let main = &files[0];
        let known = BESIDE_TOKENIZER.into_iter().find(|name| main.ends_with(name));
        let json = main.extension().is_some_and(|ending| ending == "json");
        self.copy(main, known.unwrap_or(if json { "tokenizer.json" } else { "vocab.txt" }))?;
        for name in BESIDE_TOKENIZER {
            let beside = main.with_file_name(name);
            // Where the tokenizer is given as a single file, the other files in its folder may be unrelated.
            if beside != *main && beside.is_file() && (path.is_dir() || files.contains(&beside)) {
                self.copy(&beside, name)?;
            }
        }
        // Without a `config.json` next to it, Python identifies the tokenizer by this name alone.
        let own = fs::read(self.aside.join("tokenizer_config.json")).unwrap_or_else(|_| b"{}".to_vec());
        match serde_json::from_slice::<Map<String, Value>>(&own) {
            Ok(mut settings) if !settings.contains_key("tokenizer_class") => {
                settings.insert("tokenizer_class".to_owned(), json!(tokenizer::python_class(main)));
                let text = format!("{:#}\n", Value::Object(settings));
                self.write("tokenizer_config.json", text.as_bytes())
            }
            // A file that cannot be parsed here is copied unchanged.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Writes a chat template, which Python prefers to that of the tokenizer.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn chat_template(&self, text: &str) -> Result<(), AdapterError> {
        self.write(CHAT_TEMPLATE, text.as_bytes())
    }

    /// Renames the folder to its final name and returns its files.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn finish(self) -> Result<Vec<PathBuf>, AdapterError> {
        fs::rename(&self.aside, &self.out).map_err(AdapterError::write(&self.out))?;
        let entries = fs::read_dir(&self.out).map_err(AdapterError::read(&self.out))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        Ok(files)
    }

    fn copy(&self, from: &Path, name: &str) -> Result<(), AdapterError> {
        let text = fs::read(from).map_err(AdapterError::read(from))?;
        self.write(name, &text)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `finish` nothing is left; before it, the partial folder is useless.
        drop(fs::remove_dir_all(&self.aside));
    }
}

fn dtype(kind: Kind) -> Dtype {
    match kind {
        Kind::F64 => Dtype::F64,
        Kind::F32 => Dtype::F32,
        Kind::F16 => Dtype::F16,
        Kind::BF16 => Dtype::BF16,
        Kind::I64 => Dtype::I64,
        Kind::I32 => Dtype::I32,
        Kind::I16 => Dtype::I16,
        Kind::I8 => Dtype::I8,
        Kind::U8 => Dtype::U8,
        Kind::Bool => Dtype::BOOL,
    }
}
