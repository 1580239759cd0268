//! Owns the queries on a completely read pickle, whose result is a single value. Reads no byte.

use std::collections::BTreeMap;

use super::super::error::Fault;
use super::{Described, Id, Storage, Unpickled, Value};

/// Keys under which training scripts save the state dictionary together with other data.
const NESTED: [&str; 4] = ["state_dict", "model_state_dict", "model", "module"];

impl<'p> Unpickled<'p> {
    /// The position in the file after the pickle.
    pub(crate) fn end(&self) -> usize {
        self.machine.code.position()
    }

    /// Whether the value is an integer of more than 64 bits with these little-endian bytes.
    pub(crate) fn is_wide(&self, bytes: &[u8]) -> bool {
        matches!(self.value(), Ok(Value::Wide(found)) if *found == bytes)
    }

    /// The value as an integer.
    pub(crate) fn integer(&self) -> Option<i64> {
        if let Ok(Value::Int(number)) = self.value() { Some(*number) } else { None }
    }

    /// The truth value under a key, where the value is a dictionary.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        let Ok(Value::Dict(items)) = self.value() else { return None };
        if let Value::Flag(flag) = self.machine.values[self.named(items, key)?] { Some(flag) } else { None }
    }

    /// The texts, where the value is a list.
    pub(crate) fn texts(&self) -> Result<Vec<&'p str>, Fault> {
        let items = self.machine.sequence(self.machine.top()?)?;
        items.iter().map(|&item| self.machine.text_of(item)).collect()
    }

    /// Every referenced storage, by its key.
    pub(crate) fn storages(&self) -> Result<BTreeMap<&'p str, Storage<'p>>, Fault> {
        let mut storages: BTreeMap<&str, Storage<'_>> = BTreeMap::new();
        for value in &self.machine.values {
            if let Value::Storage(storage) = value
                && let Some(other) = storages.insert(storage.key, *storage)
                && other.class != storage.class
            {
                return Err(self.machine.fault("a storage of two types"));
            }
        }
        Ok(storages)
    }

    /// The tensors of the dictionary, by name; other values are left out. Where it has none, the tensors of the
    /// nested dictionary that holds the state.
    pub(crate) fn state_dict(&self) -> Result<Vec<(&'p str, Described<'p>)>, Fault> {
        let Value::Dict(items) = self.value()? else {
            return Err(self.machine.fault("something else than a dictionary"));
        };
        let nested = || {
            NESTED.iter().find_map(|key| match &self.machine.values[self.named(items, key)?] {
                Value::Dict(items) => Some(self.tensors(items)).filter(|tensors| !tensors.is_empty()),
                Value::Opaque
                | Value::Flag(_)
                | Value::Int(_)
                | Value::Wide(_)
                | Value::Text(_)
                | Value::Sequence(_)
                | Value::Callable(_)
                | Value::Storage(_)
                | Value::Tensor(_) => None,
            })
        };
        let tensors = Some(self.tensors(items)).filter(|tensors| !tensors.is_empty());
        tensors.or_else(nested).ok_or_else(|| self.machine.fault("a dictionary without tensors"))
    }

    fn value(&self) -> Result<&Value<'p>, Fault> {
        Ok(&self.machine.values[self.machine.top()?])
    }

    fn named(&self, items: &[(Id, Id)], key: &str) -> Option<Id> {
        let is_key = |id: Id| matches!(self.machine.values[id], Value::Text(text) if text == key);
        items.iter().rev().find(|(name, _)| is_key(*name)).map(|(_, value)| *value)
    }

    fn tensors(&self, items: &[(Id, Id)]) -> Vec<(&'p str, Described<'p>)> {
        let named = items.iter().filter_map(|&(name, value)| {
            let Value::Text(name) = self.machine.values[name] else { return None };
            let Value::Tensor(tensor) = &self.machine.values[value] else { return None };
            Some((name, Described::clone(tensor)))
        });
        named.collect()
    }
}
