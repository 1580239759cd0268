//! Owns the points of a grid: the value of each axis from a block, `training` or a default, with its place.
//! Checks nothing.

use crate::sweep;
use crate::values::axes::{self, AXES, COUNT};
use crate::values::{MethodKind, Setting};

use super::source::{At, Place};
use super::value::Value;

/// Rows of the table of axes that the reader treats separately.
pub(super) const TASK: usize = axes::row("task");
pub(super) const MODEL: usize = axes::row("model");
pub(super) const METHOD: usize = axes::row("method");
pub(super) const RANK: usize = axes::row("rank");
pub(super) const ALPHA: usize = axes::row("alpha");
pub(super) const MODULES_TO_SAVE: usize = axes::row("modules_to_save");
pub(super) const LEARNING_RATE: usize = axes::row("learning_rate");
pub(super) const LABEL_SMOOTHING: usize = axes::row("label_smoothing");

/// Whether an axis repeats a configuration rather than changing it.
pub(super) fn repeats(row: usize) -> bool {
    row == TASK || AXES[row].name == axes::SEED
}

/// One value of an axis, as a sweep file gives it.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) setting: Setting,
    /// Its place.
    pub(super) place: Place,
    /// The place of each item of a list.
    pub(super) items: Vec<Place>,
}

impl Given {
    /// A value that the reader found; `None` where it cannot be the value of an axis.
    pub(super) fn read(At { value, place }: At<Value>) -> Option<Self> {
        match value {
            Value::Plain(setting, items) => Some(Self { setting, place, items }),
            Value::Devices(_) | Value::Labels(_) | Value::Weights(_) | Value::Spread(_) | Value::Tied(_) => {
                None
            }
        }
    }

    /// A text at this place.
    pub(super) fn text(text: &str, place: Place) -> Self {
        Self { setting: Setting::Text(text.to_owned()), place, items: Vec::new() }
    }

    /// The name of a task or a model.
    pub(super) fn name(&self) -> Option<At<&str>> {
        let Setting::Text(name) = &self.setting else { return None };
        Some(At { value: name, place: self.place })
    }

    /// The method, where it is one.
    pub(super) fn method(&self) -> Option<MethodKind> {
        MethodKind::of_setting(&self.setting)
    }
}

/// One point of the grid: its given values, by rows of the table of axes.
#[derive(Clone, Debug)]
pub(super) struct Point<'a>([Option<&'a Given>; COUNT]);

impl Default for Point<'_> {
    fn default() -> Self {
        Self([None; COUNT])
    }
}

impl<'a> Point<'a> {
    /// Gives an axis a value, replacing any other.
    pub(super) fn give(&mut self, row: usize, given: &'a Given) {
        self.0[row] = Some(given);
    }

    /// The given value of an axis.
    pub(super) fn given(&self, row: usize) -> Option<&'a Given> {
        self.0[row]
    }

    /// An axis's value, given or by default.
    pub(super) fn setting(&self, row: usize) -> Option<&Setting> {
        self.0[row].map(|given| &given.setting).or(sweep::default(row))
    }

    /// Without its places.
    pub(super) fn plain(&self) -> sweep::Given<'a> {
        sweep::Given::of(|row| self.0[row].map(|given| &given.setting))
    }

    /// Whether an axis has this value. An axis that does not apply to the point's method has no value.
    pub(super) fn has(&self, row: usize, setting: &Setting) -> bool {
        self.method().is_none_or(|method| AXES[row].applies_to(method))
            && self.setting(row).is_some_and(|own| sweep::is_same(own, setting))
    }

    pub(super) fn method(&self) -> Option<MethodKind> {
        self.0[METHOD]?.method()
    }

    pub(super) fn task(&self) -> Option<At<&'a str>> {
        self.0[TASK]?.name()
    }

    pub(super) fn model(&self) -> Option<At<&'a str>> {
        self.0[MODEL]?.name()
    }
}
