//! Owns the allowed values of a setting: its kind and its range, and how messages describe them. Knows no
//! setting by name.

use std::fmt;

use serde_json::Value;

use super::Setting;

/// A bound above anything that a sweep needs.
pub const MANY: u64 = 1_000_000_000;

/// The values that a setting may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Text; a number or a flag is taken as it is written.
    Text,
    /// One or more texts; a single one needs no list.
    Texts,
    /// Texts, or an empty list.
    TextsOrNone,
    /// One or more whole numbers; a single one needs no list.
    Counts,
    /// A whole number, from the least to the most.
    Count(u64, u64),
    /// A number.
    Number(Range),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Also `null`.
    OrNull(&'static Domain),
}

/// Which numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Above zero.
    Positive,
    /// Zero or above.
    NotNegative,
    /// At least 0, below 1.
    Share,
    /// Above 0, below 1.
    OpenShare,
}

impl Range {
    /// Whether a number is in it. None holds NaN or infinity.
    #[must_use]
    pub fn holds(self, number: f64) -> bool {
        number.is_finite()
            && match self {
                Self::Positive => number > 0.0,
                Self::NotNegative => number >= 0.0,
                Self::Share => (0.0..1.0).contains(&number),
                Self::OpenShare => number > 0.0 && number < 1.0,
            }
    }
}

impl Domain {
    /// Whether a setting can have this value.
    #[must_use]
    pub fn holds(&self, setting: &Setting) -> bool {
        match self {
            Self::Text => matches!(setting, Setting::Text(text) if !text.is_empty()),
            Self::Texts => matches!(setting, Setting::Texts(texts) if !texts.is_empty()),
            Self::TextsOrNone => matches!(setting, Setting::Texts(_)),
            Self::Counts => matches!(setting, Setting::Counts(counts) if !counts.is_empty()),
            Self::Count(least, most) => {
                matches!(setting, Setting::Count(count) if (least..=most).contains(&count))
            }
            Self::Number(range) => matches!(setting, Setting::Number(number) if range.holds(*number)),
            Self::Flag => matches!(setting, Setting::Flag(_)),
            Self::Choice(words) => matches!(setting, Setting::Word(word) if words.contains(word)),
            Self::OrNull(inner) => *setting == Setting::Null || inner.holds(setting),
        }
    }

    /// A number as a value of the domain; `None` where it is none, or the domain's values are whole and it is not.
    #[must_use]
    pub fn of_number(&self, number: f64) -> Option<Setting> {
        let setting = if self.is_count() { Setting::Count(whole(number)?) } else { Setting::Number(number) };
        self.holds(&setting).then_some(setting)
    }

    /// A value of the domain as JSON has it.
    #[must_use]
    pub fn of_json(&self, json: &Value) -> Option<Setting> {
        let setting = match self {
            Self::Text => Setting::Text(json.as_str()?.to_owned()),
            Self::Texts | Self::TextsOrNone => {
                let text = |one: &Value| one.as_str().map(str::to_owned);
                Setting::Texts(json.as_array()?.iter().map(text).collect::<Option<_>>()?)
            }
            Self::Counts => {
                Setting::Counts(json.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?)
            }
            Self::Count(..) => Setting::Count(json.as_u64()?),
            Self::Number(_) => Setting::Number(json.as_f64()?),
            Self::Flag => Setting::Flag(json.as_bool()?),
            Self::Choice(words) => Setting::Word(words.iter().find(|word| json.as_str() == Some(**word))?),
            Self::OrNull(_) if json.is_null() => Setting::Null,
            Self::OrNull(inner) => return inner.of_json(json),
        };
        self.holds(&setting).then_some(setting)
    }

    /// The domain without `null`.
    #[must_use]
    pub fn plain(&self) -> Self {
        if let Self::OrNull(inner) = self { **inner } else { *self }
    }

    /// Whether one value of it is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.plain(), Self::Texts | Self::TextsOrNone | Self::Counts)
    }

    /// Whether its values are single whole numbers.
    #[must_use]
    pub fn is_count(&self) -> bool {
        matches!(self.plain(), Self::Count(..))
    }

    /// Whether its values are single numbers that need not be whole.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(self.plain(), Self::Number(_))
    }

    /// Whether its values are texts or words, alone or in lists.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.plain(), Self::Text | Self::Texts | Self::TextsOrNone | Self::Choice(_))
    }
}

/// A whole number that is one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is cut off makes it another number"
)]
fn whole(number: f64) -> Option<u64> {
    let whole = number as u64;
    #[expect(
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "one that loses precision is another number"
    )]
    (whole as f64 == number).then_some(whole)
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a text"),
            Self::Texts => f.write_str("a text, or a list of texts"),
            Self::TextsOrNone => f.write_str("a text, or a list of texts, which may be empty"),
            Self::Counts => f.write_str("a whole number, or a list of whole numbers"),
            Self::Count(0, _) => f.write_str("a whole number"),
            Self::Count(least, MANY..) => write!(f, "a whole number, at least {least}"),
            Self::Count(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Number(range) => write!(f, "a number{range}"),
            Self::Flag => f.write_str("`true` or `false`"),
            Self::Choice(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
                f.write_str(&quoted.join(", "))
            }
            Self::OrNull(inner) => write!(f, "{inner}, or `null`"),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Positive => " above 0",
            Self::NotNegative => ", at least 0",
            Self::Share => ", at least 0 and below 1",
            Self::OpenShare => " above 0 and below 1",
        })
    }
}
