//! Owns the notation for a repository of the hub: `owner/name[/folder][@revision][:split]`. Knows no address
//! and no path.

use std::fmt;

/// The longest name that the hub allows.
const MAX_NAME: usize = 96;

/// A repository of the hub, in part or as a whole. All its parts are safe as parts of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    repository: String,
    folder: Option<String>,
    revision: Option<String>,
    split: Option<String>,
}

impl Reference {
    /// Reads `owner/name`, for data sets optionally with a folder (the configuration) after it, then an
    /// optional `@` with a branch, tag or commit, then an optional `:` with a split. `None` where the text has
    /// another form, as most local paths have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, split) = cut(text, ':');
        let (rest, revision) = cut(rest, '@');
        let mut parts = rest.splitn(3, '/');
        let (owner, name, folder) = (parts.next()?, parts.next()?, parts.next());
        let fits = is_name(owner)
            && is_name(name)
            && folder.is_none_or(is_path)
            && revision.is_none_or(is_path)
            && split.is_none_or(|split| is_path(split) && !split.contains('/'));
        fits.then(|| Self {
            repository: format!("{owner}/{name}"),
            folder: folder.map(str::to_owned),
            revision: revision.map(str::to_owned),
            split: split.map(str::to_owned),
        })
    }

    /// `owner/name`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The folder of a data set's files: its configuration.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        self.folder.as_deref()
    }

    /// The branch, tag or commit: `main` where none is named.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    /// The split of a data set.
    #[must_use]
    pub fn split(&self) -> Option<&str> {
        self.split.as_deref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        for (mark, part) in [('/', &self.folder), ('@', &self.revision), (':', &self.split)] {
            if let Some(part) = part {
                write!(f, "{mark}{part}")?;
            }
        }
        Ok(())
    }
}

fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(head, tail)| (head, Some(tail)))
}

/// The hub's rule for names of owners and repositories.
fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=MAX_NAME).contains(&text.len())
        && text.chars().all(inner)
        && text.starts_with(outer)
        && text.ends_with(outer)
        && !text.contains("--")
        && !text.contains("..")
}

/// Names separated by slashes, none of which changes the path or the address otherwise.
fn is_path(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && !part.contains("..");
    text.split('/').all(part)
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back() {
        for text in [
            "prajjwal1/bert-tiny",
            "openai-community/gpt2@607a30d783dfa663caf39e06633721c8d4cfcd7e",
            "fancyzhx/ag_news:train",
            "Salesforce/wikitext/wikitext-2-raw-v1:test",
            "EdinburghNLP/xsum/default@refs/convert/parquet:train",
        ] {
            assert_eq!(Reference::parse(text).expect(text).to_string(), text);
        }
        let full = Reference::parse("o/n/a/b@refs/pr/1:dev").unwrap();
        assert_eq!((full.repository(), full.folder()), ("o/n", Some("a/b")));
        assert_eq!((full.revision(), full.split()), ("refs/pr/1", Some("dev")));
        assert_eq!(Reference::parse("o/n").unwrap().revision(), "main");
    }

    #[test]
    fn what_could_leave_the_cache_is_no_reference() {
        for text in [
            "",
            "gpt2",
            "/abs/path",
            "./a/b",
            "../a",
            "a/..",
            "a/b/../c",
            "a/b@../../x",
            "a/b@/x",
            "a/b:",
            "a/b:x/y",
            "a//b",
            "a/b/",
            "~/b",
            "a/b?x",
            "a/b@%2e%2e",
            "a b/c",
            "a/b@",
            "a/-b",
            "a/b--c",
        ] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }
}
