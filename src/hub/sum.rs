//! Owns the checksums that the hub gives for files, which also name the cache's blobs: SHA-256 for files in
//! large file storage, git's SHA-1 for all others. Fetches nothing.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Expected checksum of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    /// The SHA-256 of the content.
    Sha256(String),
    /// The SHA-1 of `blob LENGTH`, a zero byte, and the content.
    Git(String),
}

impl Sum {
    /// `None` unless it is 64 hexadecimal digits.
    pub(super) fn sha256(digits: String) -> Option<Self> {
        is_hex(&digits, 64).then_some(Self::Sha256(digits))
    }

    /// `None` unless it is 40 hexadecimal digits.
    pub(super) fn git(digits: String) -> Option<Self> {
        is_hex(&digits, 40).then_some(Self::Git(digits))
    }

    /// The name of the blob in the cache.
    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::Git(digits) => digits,
        }
    }

    /// Whether a file has this checksum. Reads all of it.
    pub(super) fn fits(&self, path: &Path) -> io::Result<bool> {
        let mut file = File::open(path)?;
        let found = match self {
            Self::Sha256(_) => digest(Sha256::new(), &mut file)?,
            Self::Git(_) => {
                let head = format!("blob {}\0", file.metadata()?.len());
                digest(Sha1::new_with_prefix(head), &mut file)?
            }
        };
        Ok(found.eq_ignore_ascii_case(self.digits()))
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn digest(mut hasher: impl Digest, content: &mut impl Read) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = content.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all text");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_sha256sum_and_git() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        std::fs::write(&path, "hello\n").unwrap();
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert!(Sum::sha256(sha256.into()).unwrap().fits(&path).unwrap());
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert!(Sum::git(git.into()).unwrap().fits(&path).unwrap());
        std::fs::write(&path, "hallo\n").unwrap();
        assert!(!Sum::git(git.into()).unwrap().fits(&path).unwrap());
        assert_eq!((Sum::git(sha256.into()), Sum::sha256("../x".into())), (None, None));
    }
}
