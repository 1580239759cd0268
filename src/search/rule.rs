//! Owns what is stopped early: the rule of a sweep. Decides nothing.

use serde::{Deserialize, Serialize};

use crate::values::{Method, Metric};

/// The kinds of rule, which differ in where their rungs are and in how many go on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Few rungs, at each of which most are stopped (Jamieson & Talwalkar 2016).
    Halving,
    /// At every fifth of the steps, those that are worse than the median are stopped (Golovin et al. 2017).
    Median,
}

impl Stop {
    /// All of them, and none, by the words of the sweep file.
    pub const WORDS: &'static [&'static str] = &["none", "halving", "median"];

    /// The rule that a word names, if it names one; `Some(None)` stops nothing.
    #[must_use]
    pub fn of(word: &str) -> Option<Option<Self>> {
        match word {
            "none" => Some(None),
            "halving" => Some(Some(Self::Halving)),
            "median" => Some(Some(Self::Median)),
            _ => None,
        }
    }
}

/// On which folds and seeds configurations are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparedOn {
    /// On the first fold and seed; only those that come through get the others.
    #[default]
    First,
    /// On all, by their mean.
    All,
}

impl ComparedOn {
    /// All of them, by the words of the sweep file.
    pub const WORDS: &'static [&'static str] = &["staged", "all"];

    /// The one that a word names.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "staged" => Some(Self::First),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// Which methods' configurations may be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baselines {
    /// Adapters'. What trains every weight, or nothing, is what they are compared with, and runs whole.
    #[default]
    Whole,
    /// Those of all methods that train.
    Stopped,
}

impl Baselines {
    /// All of them, by the words of the sweep file.
    pub const WORDS: &'static [&'static str] = &["whole", "stopped"];

    /// The one that a word names.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "whole" => Some(Self::Whole),
            "stopped" => Some(Self::Stopped),
            _ => None,
        }
    }
}

/// Which configurations are as good as the last one that is kept, and are kept too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// Those with the same score.
    #[default]
    Exact,
    /// Those whose loss is larger by no more than the standard error of the difference, over the same validation rows.
    Noise,
}

impl Ties {
    /// All of them, by the words of the sweep file.
    pub const WORDS: &'static [&'static str] = &["exact", "noise"];

    /// The one that a word names.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "exact" => Some(Self::Exact),
            "noise" => Some(Self::Noise),
            _ => None,
        }
    }
}

/// What is stopped early in a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopRule {
    /// The kind of rule.
    pub stop: Stop,
    /// The share of the configurations at a rung that goes on, in (0, 1).
    pub keep: f64,
    /// What they are ranked by; the loss where it is not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Metric>,
    /// Which are kept too.
    #[serde(default)]
    pub ties: Ties,
    /// On which folds and seeds they are compared.
    #[serde(default)]
    pub compared_on: ComparedOn,
    /// Whether baselines may be stopped.
    #[serde(default)]
    pub baselines: Baselines,
}

impl StopRule {
    /// The rule of this kind, with its defaults.
    #[must_use]
    pub fn new(stop: Stop) -> Self {
        let keep = match stop {
            Stop::Halving => 1.0 / 3.0,
            Stop::Median => 0.5,
        };
        let (ties, compared_on, baselines) = (Ties::Exact, ComparedOn::First, Baselines::Whole);
        Self { stop, keep, by: None, ties, compared_on, baselines }
    }

    /// Whether it may stop configurations of this method.
    #[must_use]
    pub fn may_stop(&self, method: &Method) -> bool {
        match method {
            Method::Lora(_) | Method::Dora(_) => true,
            Method::Full | Method::Scratch => self.baselines == Baselines::Stopped,
            Method::Base => false,
        }
    }

    /// Where its rungs are, as shares of a trial's steps.
    #[must_use]
    pub fn rungs(&self) -> &'static [f64] {
        match self.stop {
            Stop::Halving => &[0.3, 0.6],
            Stop::Median => &[0.2, 0.4, 0.6, 0.8],
        }
    }

    /// How many of so many configurations go on, at least one.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of configurations"
    )]
    pub fn kept(&self, of: usize) -> usize {
        // A third of 24 is 8, whatever binary makes of a third.
        ((of as f64 * self.keep - 1e-9).ceil() as usize).clamp(1, of.max(1))
    }
}
