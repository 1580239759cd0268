//! Owns a block of the grid whose points are drawn from a space: what its points are, and the configurations of each.
//! It is all that is needed of a sweep file to try further points while the sweep runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{Given, SweepSpec, Templates};
use crate::search::{self, Space, Values};
use crate::values::axes::AXES;
use crate::values::{Configuration, Place, Point, Setting};

/// A block of the grid whose points are drawn from a space.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// What its points differ in.
    pub space: Space,
    /// What each dimension of the space sets.
    pub sets: Vec<Sets>,
    /// What each point is combined with: tasks, seeds, and what moves with them.
    pub repeats: Vec<Lists>,
    /// What all points have, where they are given nothing else.
    pub given: Lists,
    /// Points with one of the settings of each axis are left out, for each of these.
    pub exclude: Vec<Lists>,
    /// Only points with one of the settings of each axis are kept.
    pub only: Lists,
}

/// What a dimension of a space sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sets {
    /// An axis, to the number of a range.
    Number(Row),
    /// Axes that move together, each to an item of its list.
    Lists(Lists),
    /// An axis, to a multiple of another one's number.
    Multiple {
        /// The axis.
        axis: Row,
        /// The other one.
        times: Row,
        /// The factors.
        by: Vec<f64>,
    },
}

/// A row of the table of axes; its name in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Row(pub usize);

/// Settings of some axes, by their rows.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Vec<Value>>")]
pub struct Lists(Vec<(usize, Vec<Setting>)>);

impl From<Row> for String {
    fn from(Row(row): Row) -> Self {
        AXES[row].name.to_owned()
    }
}

impl TryFrom<String> for Row {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let row = AXES.iter().position(|axis| axis.name == name);
        row.map(Self).ok_or_else(|| format!("there is no axis `{name}`"))
    }
}

impl Serialize for Lists {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(row, settings)| (AXES[*row].name, settings)))
    }
}

impl TryFrom<BTreeMap<String, Vec<Value>>> for Lists {
    type Error = String;

    fn try_from(lists: BTreeMap<String, Vec<Value>>) -> Result<Self, String> {
        let list = |(name, values): (String, Vec<Value>)| {
            let Row(row) = Row::try_from(name)?;
            let setting = |value: &Value| {
                let axis = &AXES[row];
                axis.domain.of_json(value).ok_or_else(|| format!("`{}` cannot be {value}", axis.name))
            };
            Ok((row, values.iter().map(setting).collect::<Result<_, String>>()?))
        };
        lists.into_iter().map(list).collect()
    }
}

impl FromIterator<(usize, Vec<Setting>)> for Lists {
    fn from_iter<I: IntoIterator<Item = (usize, Vec<Setting>)>>(lists: I) -> Self {
        let mut lists: Vec<(usize, Vec<Setting>)> = lists.into_iter().collect();
        // Their order means nothing.
        lists.sort_by_key(|(row, _)| *row);
        Self(lists)
    }
}

impl Lists {
    /// How many settings each of them has, where these are equally many.
    fn length(&self) -> Option<usize> {
        let mut lengths = self.0.iter().map(|(_, settings)| settings.len());
        let first = lengths.next()?;
        lengths.all(|length| length == first).then_some(first)
    }

    /// The item of each list.
    fn item(&self, item: usize) -> impl Iterator<Item = (usize, &Setting)> {
        self.0.iter().filter_map(move |(row, settings)| Some((*row, settings.get(item)?)))
    }

    /// The same, without axes on which no result depends.
    pub(super) fn deciding(&self) -> Self {
        self.0.iter().filter(|(row, _)| AXES[*row].decides).cloned().collect()
    }

    /// Whether a point has one of the settings of each axis.
    fn match_point(&self, point: &Given<'_>) -> bool {
        self.0.iter().all(|(row, settings)| settings.iter().any(|setting| point.has(*row, setting)))
    }
}

/// A setting times a factor, as a setting of this axis; `None` where it cannot be one.
#[must_use]
pub fn multiple(row: usize, other: &Setting, by: f64) -> Option<Setting> {
    // Without what a multiplication in binary adds: 0.1 times 3 is 0.3.
    let product = format!("{:.12e}", other.number()? * by).parse().ok()?;
    AXES[row].domain.plain().of_number(product)
}

impl Block {
    /// The settings of a point of the space, by rows of the table of axes.
    ///
    /// # Errors
    /// The row of an axis whose multiple is not one of its settings, or that is a multiple of nothing.
    pub fn settings(&self, point: &Point) -> Result<Vec<(usize, Setting)>, usize> {
        let mut settings: Vec<(usize, Setting)> = Vec::new();
        for ((sets, place), dimension) in self.sets.iter().zip(&point.0).zip(&self.space.dimensions) {
            match (sets, place, &dimension.values) {
                (Sets::Number(Row(row)), Some(Place::Value(value)), Values::Range(spread)) => {
                    settings.push((*row, spread.setting(*value)));
                }
                (Sets::Lists(lists), Some(Place::Item(item)), _) => {
                    settings.extend(lists.item(*item).map(|(row, setting)| (row, setting.clone())));
                }
                (Sets::Multiple { axis: Row(axis), times: Row(times), by }, Some(Place::Item(item)), _) => {
                    let other = settings.iter().find(|(row, _)| row == times);
                    let product = other.and_then(|(_, other)| multiple(*axis, other, *by.get(*item)?));
                    settings.push((*axis, product.ok_or(*axis)?));
                }
                (Sets::Number(_) | Sets::Lists(_) | Sets::Multiple { .. }, _, _) => {}
            }
        }
        Ok(settings)
    }

    /// What a point with these settings is in combination with tasks and seeds, without what is left out.
    fn combined<'s>(&'s self, settings: &'s [(usize, Setting)]) -> Vec<Given<'s>> {
        let mut base = Given::default();
        self.given.item(0).for_each(|(row, setting)| base.give(row, setting));
        settings.iter().for_each(|(row, setting)| base.give(*row, setting));
        let mut all = vec![base];
        for lists in &self.repeats {
            let with = |point: Given<'s>| {
                (0..lists.length().unwrap_or(0)).map(move |item| {
                    let mut point = point;
                    lists.item(item).for_each(|(row, setting)| point.give(row, setting));
                    point
                })
            };
            all = all.into_iter().flat_map(with).collect();
        }
        all.retain(|point| {
            self.only.match_point(point) && !self.exclude.iter().any(|exclude| exclude.match_point(point))
        });
        all
    }

    /// Whether something of a point is left to train.
    #[must_use]
    pub fn fits(&self, point: &Point) -> bool {
        self.settings(point).is_ok_and(|settings| !self.combined(&settings).is_empty())
    }

    /// Whether its parts fit each other.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_sound = |(sets, dimension): (&Sets, &search::Dimension)| match (sets, &dimension.values) {
            (Sets::Number(Row(row)), Values::Range(spread)) => {
                let ends = [spread.low, spread.high];
                spread.whole == AXES[*row].domain.is_count()
                    && ends.iter().all(|end| AXES[*row].domain.plain().of_number(*end).is_some())
            }
            (Sets::Lists(lists), Values::List { count, .. }) => lists.length() == Some(*count),
            (Sets::Multiple { by, .. }, Values::List { count, .. }) => by.len() == *count,
            (
                Sets::Number(_) | Sets::Lists(_) | Sets::Multiple { .. },
                Values::Range(_) | Values::List { .. },
            ) => false,
        };
        self.space.is_sound()
            && self.sets.len() == self.space.dimensions.len()
            && self.sets.iter().zip(&self.space.dimensions).all(is_sound)
            && self.repeats.iter().all(|lists| lists.length().is_some_and(|length| length > 0))
    }
}

impl SweepSpec {
    /// The configurations of a point of a block, on each task and with each seed. They have the ids that a sweep file
    /// gives them which lists the point.
    #[must_use]
    pub fn configurations_of(&self, block: &Block, point: &Point) -> Vec<Arc<Configuration>> {
        let Some(settings) = block.settings(point).ok().filter(|_| block.space.holds(point)) else {
            return Vec::new();
        };
        let points = block.combined(&settings);
        let templates = Templates::of(points.iter().copied(), &self.tasks, &self.models, &self.select);
        let mut all: Vec<Arc<Configuration>> = Vec::with_capacity(points.len());
        for one in points.iter().filter_map(|point| templates.configuration(point)) {
            if all.iter().all(|known| known.id != one.id) {
                all.push(Arc::new(one));
            }
        }
        all
    }
}
