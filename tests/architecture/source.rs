//! The source as the tests look at it: code without comments and without its own tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// A source file.
pub(crate) struct File {
    /// Its path below `src/`.
    pub(crate) name: String,
    /// Its code, without comments and without tests.
    pub(crate) code: String,
}

impl File {
    /// The room it is in: its folder below `src/`, or its own name.
    pub(crate) fn room(&self) -> String {
        let first = self.name.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first).to_owned()
    }

    /// The names of the module that it is, from the room down.
    pub(crate) fn module(&self) -> Vec<&str> {
        let path = self.name.strip_suffix(".rs").unwrap();
        path.strip_suffix("/mod").unwrap_or(path).split('/').collect()
    }
}

/// Every source file that is not a test.
pub(crate) fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let mut tests = BTreeSet::new();
    let texts: Vec<(PathBuf, String)> =
        paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    let modules = Regex::new(r"#\[cfg\(test\)\]\s*(?:pub(?:\([a-z]+\))? )?mod (\w+);").unwrap();
    for (path, text) in &texts {
        let folder = match path.file_stem().unwrap().to_str().unwrap() {
            "mod" | "lib" => path.parent().unwrap().to_path_buf(),
            _ => path.with_extension(""),
        };
        for found in modules.captures_iter(text) {
            tests.insert(folder.join(&found[1]));
        }
    }
    let is_test = |path: &Path| path.with_extension("").ancestors().any(|part| tests.contains(part));
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    let texts = texts.iter().filter(|(path, _)| !is_test(path));
    texts.map(|(path, text)| File { name: name(path), code: code(text) }).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            paths.push(path);
        }
    }
}

/// A module of tests within a file.
static TESTS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"#\[cfg\((?:all\()?test[^\]]*\]\s*mod \w+ \{").unwrap());

/// Text up to the first module of tests in it, without comments. No string of ours holds ` //`.
fn code(text: &str) -> String {
    let end = TESTS.find(text).map_or(text.len(), |found| found.start());
    let lines = text[..end].lines().map(|line| match line.find("//") {
        Some(0) => "",
        Some(at) if line[..at].ends_with(' ') => &line[..at],
        Some(_) | None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The rooms that code names by `crate::`, in paths and in lists in braces.
pub(crate) fn imports(code: &str) -> Vec<String> {
    behind(code, "crate::")
}

/// The names that stand behind a path, in paths and in lists in braces.
pub(crate) fn behind(code: &str, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(path) {
        // `$crate::`, `super::super::` and the like are names of something else.
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || "_$:".contains(before)) {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(of_list(list)),
            None => found.push(name(rest)),
        }
    }
    found
}

/// The first name of each part of a list in braces, whose opening brace is gone.
fn of_list(list: &str) -> Vec<String> {
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(name(list[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(name(list[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::disk::files;\nuse crate::{job, values::{A, B}};\nlet x = crate::cost::of(1);";
    assert_eq!(imports(code), ["disk", "job", "values", "cost"]);
    let code = "use super::super::{a::B, c};\nuse super::d;\nuse crate::ui::{e, f::G};";
    assert_eq!(behind(code, "super::super::"), ["a", "c"]);
    assert_eq!(behind(code, "crate::ui::"), ["e", "f"]);
    assert_eq!(super::source::code("a // b\n//! c\nd\n#[cfg(test)]\nmod tests {\nuse crate::ui;"), "a \n\nd");
}
