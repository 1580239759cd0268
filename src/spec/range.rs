//! Owns how a block writes an axis without its values: a range to draw from, or a multiple of another axis. Draws
//! nothing, and compares no axis with another.

use super::error::{Problem, Report};
use super::keys::{Key, Kind};
use super::number::Number;
use super::source::{At, Sources};
use super::tree::{Content, Entry, Node};
use super::value::{Tie, Value};
use super::words::short;
use crate::search::{Scale, Spread};
use crate::values::Domain;
use crate::values::axes::SEED;

/// A range by its word: how its values are spread, and whether they are whole.
const RANGES: [(&str, Scale, bool); 4] = [
    ("uniform", Scale::Linear, false),
    ("log_uniform", Scale::Log, false),
    ("int_uniform", Scale::Linear, true),
    ("int_log_uniform", Scale::Log, true),
];
/// The keys of a multiple.
pub(super) const TIMES: &str = "times";
pub(super) const BY: &str = "by";

/// The words by which a mapping gives this axis a range, or ties it to another.
pub(super) fn words(axis: &Key) -> impl Iterator<Item = &'static str> + use<> {
    let domain = if let Kind::Plain(domain) = &axis.kind { domain.plain() } else { Domain::Flag };
    let has_range = (domain.is_number() || domain.is_count()) && axis.name != SEED;
    let ranges = RANGES.into_iter().filter(move |(_, _, whole)| *whole == domain.is_count());
    ranges.map(|(word, _, _)| word).chain([TIMES]).filter(move |_| has_range)
}

/// The word of a range that another spelling means: `loguniform`.
pub(super) fn meant(word: &str) -> Option<&'static str> {
    let plain = |word: &str| word.replace(['_', '-'], "").to_lowercase();
    RANGES.into_iter().map(|(known, _, _)| known).find(|known| plain(known) == plain(word))
}

/// Whether a mapping gives an axis a range, or ties it to another.
pub(super) fn is_one(entries: &[Entry]) -> bool {
    let words = RANGES.into_iter().map(|(word, _, _)| word).chain([TIMES]);
    words.into_iter().any(|word| entries.iter().any(|entry| entry.key.value == word))
}

/// A mapping that gives an axis a range, or ties it to another.
struct Written<'n> {
    axis: &'static str,
    domain: Domain,
    node: &'n Node,
    entries: &'n [Entry],
}

/// Reads a mapping that gives an axis a range or ties it to another; a bad one is `Some(None)`, and reported.
/// `None` where a node is neither.
pub(super) fn read(key: &'static Key, node: &Node, report: &mut Report) -> Option<Option<Value>> {
    let Content::Map(entries) = &node.content else { return None };
    if !is_one(entries) {
        return None;
    }
    let has = |word: &str| entries.iter().any(|entry| entry.key.value == word);
    let range = RANGES.into_iter().find(|(word, _, _)| has(word));
    let domain = if let Kind::Plain(domain) = &key.kind { domain.plain() } else { Domain::Flag };
    let written = Written { axis: key.name, domain, node, entries };
    let of_numbers = domain.is_number() || domain.is_count();
    Some(if !of_numbers || key.name == SEED {
        let hint = if of_numbers { "a seed repeats a configuration" } else { "only numbers have ranges" };
        written.bad("a range", "one value or a list of them", hint, report)
    } else {
        match range {
            Some(range) => written.spread(range, report).map(Value::Spread),
            None => written.tie(report).map(Value::Tied),
        }
    })
}

impl Written<'_> {
    fn spread(&self, (word, scale, whole): (&str, Scale, bool), report: &mut Report) -> Option<Spread> {
        let domain = &self.domain;
        let form = if whole { "{int_uniform: [4, 64]}" } else { "{log_uniform: [1e-4, 1e-2]}" };
        let hint = format!("for example `{}: {form}`", self.axis);
        if whole != domain.is_count() {
            let [wanted, other] =
                if whole { ["uniform", "log_uniform"] } else { ["int_uniform", "int_log_uniform"] };
            let allowed = format!("`{wanted}` or `{other}`: it is {domain}");
            return self.bad(&format!("a range `{word}`"), &allowed, "", report);
        }
        let [Entry { value, .. }] = self.entries else {
            return self.bad("a range with further keys", &format!("`{word}` alone"), &hint, report);
        };
        let numbers: Option<Vec<f64>> = match &value.content {
            Content::List(items) => items.iter().map(|item| number(item, &report.sources)).collect(),
            Content::Null | Content::Flag(_) | Content::Number | Content::Text(_) | Content::Map(_) => None,
        };
        let Some([low, high]) = numbers.as_deref().and_then(|all| <[f64; 2]>::try_from(all).ok()) else {
            let allowed = "its least and its largest value";
            return self.bad("a range without two numbers", allowed, &hint, report);
        };
        let is_good = |value: f64| domain.of_number(value).is_some();
        if low >= high || !is_good(low) || !is_good(high) || (scale == Scale::Log && low <= 0.0) {
            let above = if scale == Scale::Log { ", above 0" } else { "" };
            let allowed = format!("the lower end first{above}; each is {domain}");
            return self.bad(&format!("a range from {low} to {high}"), &allowed, &hint, report);
        }
        Some(Spread { low, high, scale, whole })
    }

    fn tie(&self, report: &mut Report) -> Option<Tie> {
        let times = self.member(TIMES).and_then(|node| match &node.content {
            Content::Text(name) => Some(At { value: name.clone(), place: node.place }),
            Content::Null | Content::Flag(_) | Content::Number | Content::List(_) | Content::Map(_) => None,
        });
        let by: Option<Vec<At<f64>>> = self.member(BY).and_then(|node| {
            let items =
                if let Content::List(items) = &node.content { items } else { std::slice::from_ref(node) };
            let read = |item: &Node| Some(At { value: number(item, &report.sources)?, place: item.place });
            items.iter().map(read).collect()
        });
        let is_positive = by.as_ref().is_none_or(|by| by.iter().all(|at| at.value > 0.0));
        let by = by.filter(|by| !by.is_empty() && is_positive);
        let unknown = self.entries.iter().find(|entry| ![TIMES, BY].contains(&entry.key.value.as_str()));
        if let (None, Some(times), Some(by)) = (unknown, times, by) {
            return Some(Tie { times, by });
        }
        let found = unknown.map_or_else(
            || {
                if is_positive { "a multiple that is not complete" } else { "a multiple by 0 or less" }
                    .to_owned()
            },
            |entry| format!("a multiple with the key `{}`", short(&entry.key.value)),
        );
        let hint = format!("for example `{}: {{times: rank, by: [1, 2]}}`", self.axis);
        self.bad(&found, "`times`, the name of an axis, and `by`, numbers above 0", &hint, report)
    }

    fn member(&self, name: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.key.value == name).map(|entry| &entry.value)
    }

    fn bad<T>(&self, found: &str, allowed: &str, hint: &str, report: &mut Report) -> Option<T> {
        let problem = Problem::BadValue { key: format!("`{}`", self.axis), found: found.to_owned() };
        let error = report.error(self.node.place, problem).allowed(allowed);
        if !hint.is_empty() {
            error.hint(hint);
        }
        None
    }
}

fn number(node: &Node, sources: &Sources) -> Option<f64> {
    let text = match &node.content {
        Content::Number => sources.slice(node.place),
        Content::Text(text) => text,
        Content::Null | Content::Flag(_) | Content::List(_) | Content::Map(_) => return None,
    };
    Number::read(text)?.real().filter(|number| number.is_finite())
}
