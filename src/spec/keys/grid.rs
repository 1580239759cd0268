//! Owns the keys of a block of the grid: the axes, each made from its row of [`AXES`], and how they combine.
//! Reads nothing.

use super::{Key, Kind, Section, axis, key};
use crate::values::axes::{AXES, COUNT, FIRST_OF_TRAINING};

/// A block of `grid`.
pub(in crate::spec) static BLOCK: Section = Section {
    name: "a grid block",
    doc: "A block: each key is an axis, with one value or a list of them",
    groups: &[ALL, COMBINING],
    lists: true,
    chooser: None,
};

/// The keys of an exclusion.
pub(in crate::spec) static EXCLUSION: Section = Section {
    name: "an exclusion",
    doc: "Points with all of these values are left out",
    groups: &[ALL],
    lists: true,
    chooser: None,
};

/// Every axis.
const ALL: &[Key] = &{
    let mut keys = [axis(0, &AXES[0]); COUNT];
    let mut row = 1;
    while row < COUNT {
        keys[row] = axis(row, &AXES[row]);
        row += 1;
    }
    keys
};

/// The training loop's settings.
pub(super) const TRAINING: &[Key] = ALL.split_at(FIRST_OF_TRAINING).1;

const COMBINING: &[Key] = &[
    key(
        "zip",
        Kind::Zip,
        "Axes that move together: [[rank, alpha]] pairs their lists, which are equally long",
    ),
    key("exclude", Kind::Blocks(&EXCLUSION), "Points to leave out: [{rank: 4, alpha: 32}]"),
];
