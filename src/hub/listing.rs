//! Owns the hub's list of a repository's files at a revision. Trusts none of it unchecked: commit and checksums
//! must be hexadecimal, and no path may lead out of its folder.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Problem;
use super::repository::Repository;
use super::sum::Sum;

/// The longest listing that is read, in bytes: enough for some hundred thousand files.
const LIMIT: u64 = 128 << 20;

/// The files of one commit.
#[derive(Debug)]
pub(super) struct Listing {
    /// 40 hexadecimal digits.
    pub(super) commit: String,
    /// By path in the repository.
    pub(super) files: BTreeMap<String, RemoteFile>,
}

/// A file on the hub.
#[derive(Debug)]
pub(super) struct RemoteFile {
    /// Its length in bytes.
    pub(super) size: u64,
    /// The checksum of its content.
    pub(super) sum: Sum,
}

#[derive(Deserialize)]
struct RawListing {
    sha: String,
    siblings: Vec<RawFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFile {
    rfilename: String,
    size: u64,
    blob_id: String,
    lfs: Option<RawLfs>,
}

#[derive(Deserialize)]
struct RawLfs {
    sha256: String,
    size: u64,
}

impl Repository<'_> {
    /// Asks the hub which commit the revision points to and which files it has.
    pub(super) fn listing(&self) -> Result<Listing, Problem> {
        let mut answer = self.ask(self.ask_for_listing(), None)?;
        let raw: RawListing = answer
            .body_mut()
            .with_config()
            .limit(LIMIT)
            .read_json()
            .map_err(|error| Problem::Answer(error.to_string()))?;
        raw.check()
    }
}

impl RawListing {
    fn check(self) -> Result<Listing, Problem> {
        if !is_commit(&self.sha) {
            return Err(Problem::Answer(format!("`{}` is not a commit", self.sha.escape_debug())));
        }
        let files = self.siblings.into_iter().map(RawFile::check).collect::<Result<_, _>>()?;
        Ok(Listing { commit: self.sha, files })
    }
}

impl RawFile {
    fn check(self) -> Result<(String, RemoteFile), Problem> {
        if !is_inside(&self.rfilename) {
            return Err(Problem::UnsafePath(self.rfilename));
        }
        let (size, sum) = match self.lfs {
            Some(lfs) => (lfs.size, Sum::sha256(lfs.sha256)),
            None => (self.size, Sum::git(self.blob_id)),
        };
        let sum = sum.ok_or_else(|| Problem::Answer(format!("`{}` has no usable sum", self.rfilename)))?;
        Ok((self.rfilename, RemoteFile { size, sum }))
    }
}

/// Whether it is a commit's full name.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a path stays within the folder that it is joined to.
fn is_inside(path: &str) -> bool {
    !path.contains(['\\', '\0']) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert!(["config.json", "a/b..c/.gitattributes", "…/ü.csv"].into_iter().all(is_inside));
        let out = ["../x", "a/../../x", "/etc/passwd", "a//b", "", "a/.", "a\\..\\b"];
        assert!(!out.into_iter().any(is_inside));
    }

    #[test]
    fn commits_and_sums_are_checked() {
        let listing = |sha: &str, blob: &str| {
            let text =
                format!(r#"{{"sha":"{sha}","siblings":[{{"rfilename":"a","size":1,"blobId":"{blob}"}}]}}"#);
            serde_json::from_str::<RawListing>(&text).unwrap().check()
        };
        let good = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(listing(good, good).unwrap().files["a"].size, 1);
        for (sha, blob) in [("../../x", good), (good, "../../x"), (good, "")] {
            assert!(matches!(listing(sha, blob), Err(Problem::Answer(_))));
        }
    }
}
