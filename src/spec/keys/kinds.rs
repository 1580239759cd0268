//! Owns the keys of the kinds of tasks, as each kind's own file lists them, in one table. Reads nothing.

use std::sync::LazyLock;

use super::{FLAG, KIND, Key, Kind, TEXT, TEXTS, choice, count, key, of};
use crate::tasks::{self, KeyValue, TaskKey, TaskKind};
use crate::values::domain::MANY;

/// The kind of a task, and all kinds' own keys, each once.
pub(super) static TASK_KINDS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut names: Vec<&TaskKey> = Vec::new();
    for own in tasks::KINDS.iter().flat_map(|kind| kind.keys()) {
        if names.iter().all(|known| known.name != own.name) {
            names.push(own);
        }
    }
    let kinds: Vec<&str> = tasks::KINDS.iter().map(|kind| kind.name()).collect();
    let kind = key(KIND, choice(kinds.leak()), "Kind of task (default: classification)");
    std::iter::once(kind).chain(names.into_iter().map(of_kinds)).collect()
});

/// A key with the kinds that have it. If its meaning differs between kinds, its text says so.
fn of_kinds(first: &TaskKey) -> Key {
    let own = |kind: &&dyn TaskKind| kind.keys().iter().find(|key| key.name == first.name);
    let kinds: Vec<&&dyn TaskKind> = tasks::KINDS.iter().filter(|kind| own(kind).is_some()).collect();
    let mut doc = first.doc.to_owned();
    for kind in &kinds {
        if let Some(other) = own(kind).filter(|own| own.doc != first.doc) {
            doc.push_str(&format!("; {}: {}", kind.name(), other.doc.to_lowercase()));
        }
    }
    let value = match first.value {
        KeyValue::Text | KeyValue::Column | KeyValue::Template => TEXT,
        KeyValue::Flag => FLAG,
        KeyValue::Columns => TEXTS,
        KeyValue::Choice(words) => choice(words),
        KeyValue::Count => count(1, MANY),
        KeyValue::Labels => Kind::Labels,
        KeyValue::Weights(words) => Kind::Weights(words),
    };
    let only: Vec<&'static str> = kinds.iter().map(|kind| kind.name()).collect();
    let with = |required: bool| -> Vec<&'static str> {
        let are = |kind: &&&&dyn TaskKind| own(kind).is_some_and(|key| key.required == required);
        kinds.iter().filter(are).map(|kind| kind.name()).collect()
    };
    let (required, optional) = (!with(true).is_empty(), with(false));
    let optional: &'static [&'static str] = if required { optional.leak() } else { &[] };
    Key { required, optional, ..of(only.leak(), key(first.name, value, doc.leak())) }
}
