//! Owns the hashes that name things by what they contain. Reads no file and knows no meaning.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A 128-bit BLAKE3 digest, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash([u8; 16]);

impl ContentHash {
    /// The hash of a byte string.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::from_digest(&blake3::hash(bytes))
    }

    /// The hash of a value's JSON text. Field order is declaration order, so it is stable.
    ///
    /// # Panics
    /// When the value has no JSON form (a map whose keys are not strings); all values hashed here have one.
    #[must_use]
    pub fn of_json<T: Serialize>(value: &T) -> Self {
        let text = serde_json::to_vec(value).expect("identity values are plain structs with string keys");
        Self::of_bytes(&text)
    }

    /// The first 128 bits of a finished digest.
    #[must_use]
    pub fn from_digest(digest: &blake3::Hash) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&digest.as_bytes()[..16]);
        Self(short)
    }

    /// The first 64 bits as a number: what ids are made of.
    #[must_use]
    pub fn leading_u64(self) -> u64 {
        let mut head = [0; 8];
        head.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(head)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a hash of 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a hash of 32 hexadecimal digits")]
pub struct NoHash(String);

impl FromStr for ContentHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        match u128::from_str_radix(text, 16) {
            Ok(bits) if text.len() == 32 => Ok(Self(bits.to_be_bytes())),
            Ok(_) | Err(_) => Err(NoHash(text.to_owned())),
        }
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_survives_json() {
        let hash = ContentHash::of_bytes(b"lorasweep");
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(text.len(), 34);
        assert_eq!(serde_json::from_str::<ContentHash>(&text).unwrap(), hash);
        assert!(serde_json::from_str::<ContentHash>("\"12\"").is_err());
    }
}
