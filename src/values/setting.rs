//! Owns the value of a setting, whatever its type: what is read from a sweep file, shown in tables and
//! written to JSON. Knows no setting by name.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Serialize, Serializer};

/// A value of a setting. Equal numbers are equal settings, however they are written.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Count(u64),
    /// A number, never NaN.
    Number(f64),
    /// One of some words.
    Word(&'static str),
    /// Any text.
    Text(String),
    /// Texts in their order.
    Texts(Vec<String>),
    /// Whole numbers in their order.
    Counts(Vec<u64>),
}

impl Eq for Setting {}

impl Setting {
    /// The texts; empty for any other setting.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        if let Self::Texts(texts) = self { texts } else { &[] }
    }

    /// The number, where it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "counts of a sweep are far below 2^52")]
            Self::Count(count) => Some(*count as f64),
            Self::Null | Self::Flag(_) | Self::Word(_) | Self::Text(_) | Self::Texts(_) | Self::Counts(_) => {
                None
            }
        }
    }

    /// The same with a list sorted and without duplicates; neither changes its meaning.
    #[must_use]
    pub fn in_order(&self) -> Self {
        fn sorted<T: Ord + Clone>(all: &[T]) -> Vec<T> {
            let mut all = all.to_vec();
            all.sort();
            all.dedup();
            all
        }
        match self {
            Self::Texts(texts) => Self::Texts(sorted(texts)),
            Self::Counts(counts) => Self::Counts(sorted(counts)),
            Self::Null | Self::Flag(_) | Self::Count(_) | Self::Number(_) | Self::Word(_) | Self::Text(_) => {
                self.clone()
            }
        }
    }
}

impl Hash for Setting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Flag(flag) => flag.hash(state),
            Self::Count(count) => count.hash(state),
            // 0 and -0 are equal.
            Self::Number(number) => (number + 0.0).to_bits().hash(state),
            Self::Word(word) => word.hash(state),
            Self::Text(text) => text.hash(state),
            Self::Texts(texts) => texts.hash(state),
            Self::Counts(counts) => counts.hash(state),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("none"),
            Self::Flag(flag) => flag.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => f.write_str(text),
            Self::Texts(texts) if texts.is_empty() => f.write_str("none"),
            Self::Texts(texts) => f.write_str(&texts.join("+")),
            Self::Counts(counts) => {
                let counts: Vec<_> = counts.iter().map(ToString::to_string).collect();
                f.write_str(&counts.join("+"))
            }
        }
    }
}

impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Flag(flag) => flag.serialize(serializer),
            Self::Count(count) => count.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            Self::Word(word) => word.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Texts(texts) => texts.serialize(serializer),
            Self::Counts(counts) => counts.serialize(serializer),
        }
    }
}

/// The type of a field that has a row in the table of axes.
pub(super) trait Value: Sized {
    fn setting(&self) -> Setting;
    /// `None` where the setting has another type.
    fn of(setting: &Setting) -> Option<Self>;
}

impl Value for bool {
    fn setting(&self) -> Setting {
        Setting::Flag(*self)
    }

    fn of(setting: &Setting) -> Option<Self> {
        if let Setting::Flag(flag) = setting { Some(*flag) } else { None }
    }
}

impl Value for u64 {
    fn setting(&self) -> Setting {
        Setting::Count(*self)
    }

    fn of(setting: &Setting) -> Option<Self> {
        if let Setting::Count(count) = setting { Some(*count) } else { None }
    }
}

impl Value for usize {
    fn setting(&self) -> Setting {
        Setting::Count(*self as u64)
    }

    fn of(setting: &Setting) -> Option<Self> {
        u64::of(setting)?.try_into().ok()
    }
}

impl Value for f64 {
    fn setting(&self) -> Setting {
        Setting::Number(*self)
    }

    fn of(setting: &Setting) -> Option<Self> {
        if let Setting::Number(number) = setting { Some(*number) } else { None }
    }
}

impl Value for Vec<String> {
    fn setting(&self) -> Setting {
        Setting::Texts(self.clone())
    }

    fn of(setting: &Setting) -> Option<Self> {
        if let Setting::Texts(texts) = setting { Some(texts.clone()) } else { None }
    }
}

impl Value for Vec<usize> {
    fn setting(&self) -> Setting {
        Setting::Counts(self.iter().map(|count| *count as u64).collect())
    }

    fn of(setting: &Setting) -> Option<Self> {
        let Setting::Counts(counts) = setting else { return None };
        counts.iter().map(|count| usize::try_from(*count).ok()).collect()
    }
}

impl<T: Value> Value for Option<T> {
    fn setting(&self) -> Setting {
        self.as_ref().map_or(Setting::Null, T::setting)
    }

    fn of(setting: &Setting) -> Option<Self> {
        if matches!(setting, Setting::Null) { Some(None) } else { T::of(setting).map(Some) }
    }
}

/// Gives the variants of an enum their words in sweep files and tables, and makes it the type of a
/// setting.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// All of them, in the order of the variants.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Their words, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word in sweep files and tables.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl $crate::values::setting::Value for $type {
            fn setting(&self) -> $crate::values::Setting {
                $crate::values::Setting::Word(self.name())
            }

            fn of(setting: &$crate::values::Setting) -> Option<Self> {
                let $crate::values::Setting::Word(word) = setting else { return None };
                Self::ALL.iter().copied().find(|one| one.name() == *word)
            }
        }
    };
}

pub(super) use words;
