//! Owns what the five functions and classes that a state dictionary needs would build. Any other
//! one is refused by name.

use super::super::error::Fault;
use super::code::op;
use super::{Described, Id, Machine, Storage, Value};

/// More dimensions than weights have; keeps a description small.
const MAX_RANK: usize = 8;

/// Longest name shown in an error; a file can hold any.
const SHOWN_CHARS: usize = 100;

/// A function or class that may be named.
#[derive(Clone, Copy)]
pub(super) enum Callable<'p> {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …)`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter(tensor, …)`.
    RebuildParameter,
    /// `torch.<type>Storage`: only named, to say the element type.
    StorageClass(&'p str),
}

impl<'p> Callable<'p> {
    fn named(module: &'p str, name: &'p str) -> Result<Self, Fault> {
        match (module, name) {
            ("collections", "OrderedDict") => Ok(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Ok(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Ok(Self::RebuildParameter),
            ("torch", class) if class.ends_with("Storage") => Ok(Self::StorageClass(class)),
            _ => {
                let global = format!("{module}.{name}").escape_debug().take(SHOWN_CHARS).collect();
                Err(Fault::Refused { global })
            }
        }
    }
}

impl<'p> Machine<'p> {
    pub(super) fn callable(&mut self, instruction: u8) -> Result<(), Fault> {
        let (module, name) = if instruction == op::GLOBAL {
            (self.code.line()?, self.code.line()?)
        } else {
            let name = self.pop()?;
            let module = self.pop()?;
            (self.text_of(module)?, self.text_of(name)?)
        };
        self.push(Value::Callable(Callable::named(module, name)?))
    }

    /// The reference to a storage: `("storage", class, key, device, length)`. The length is not
    /// used: the archive says how many bytes there are.
    pub(super) fn persistent(&mut self) -> Result<(), Fault> {
        let reference = self.pop()?;
        let &[tag, class, key, _device, _length] = self.sequence(reference)? else {
            return Err(self.fault("an unknown kind of reference"));
        };
        match (&self.values[class], self.text_of(tag)?) {
            (&Value::Callable(Callable::StorageClass(class)), "storage") => {
                let key = self.text_of(key)?;
                self.push(Value::Storage(Storage { class, key }))
            }
            _ => Err(self.fault("a reference to something that is no storage")),
        }
    }

    pub(super) fn reduce(&mut self) -> Result<(), Fault> {
        let arguments = self.pop()?;
        let called = self.pop()?;
        let Value::Callable(callable) = self.values[called] else {
            return Err(self.fault("a call of something that is no function"));
        };
        match (callable, self.sequence(arguments)?) {
            (Callable::OrderedDict, []) => self.push(Value::Dict(Vec::new())),
            (Callable::RebuildTensor, &[storage, offset, size, stride, ..]) => {
                let described = self.describe(storage, offset, size, stride)?;
                self.push(Value::Tensor(described))
            }
            (Callable::RebuildParameter, &[tensor, ..]) => {
                self.stack.push(tensor);
                Ok(())
            }
            (
                Callable::OrderedDict
                | Callable::RebuildTensor
                | Callable::RebuildParameter
                | Callable::StorageClass(_),
                _,
            ) => Err(self.fault("a call with unknown arguments")),
        }
    }

    fn describe(&self, storage: Id, offset: Id, size: Id, stride: Id) -> Result<Described<'p>, Fault> {
        let Value::Storage(storage) = self.values[storage] else {
            return Err(self.fault("a tensor without a storage"));
        };
        let shape = self.extents(size)?;
        let strides = self.extents(stride)?;
        if shape.len() != strides.len() {
            return Err(self.fault("a tensor with unequal numbers of sizes and strides"));
        }
        Ok(Described { storage, offset: self.extent(offset)?, shape, strides })
    }

    fn extents(&self, id: Id) -> Result<Vec<usize>, Fault> {
        let items = self.sequence(id)?;
        if items.len() > MAX_RANK {
            return Err(self.fault("a tensor of more than 8 dimensions"));
        }
        items.iter().map(|&item| self.extent(item)).collect()
    }

    fn extent(&self, id: Id) -> Result<usize, Fault> {
        match self.values[id] {
            Value::Int(number) => usize::try_from(number).map_err(|_| self.fault("a negative size")),
            _ => Err(self.fault("a size that is no number")),
        }
    }

    fn sequence(&self, id: Id) -> Result<&[Id], Fault> {
        match &self.values[id] {
            Value::Sequence(items) => Ok(items),
            _ => Err(self.fault("something else where a tuple belongs")),
        }
    }

    fn text_of(&self, id: Id) -> Result<&'p str, Fault> {
        match self.values[id] {
            Value::Text(text) => Ok(text),
            _ => Err(self.fault("something else where a text belongs")),
        }
    }

    /// The named tensors of the dictionary on top of the stack.
    pub(super) fn tensors(&self) -> Result<Vec<(&'p str, Described<'p>)>, Fault> {
        let Value::Dict(items) = &self.values[*self.top()?] else {
            return Err(self.fault("something else than a dictionary"));
        };
        let named: Vec<_> = items
            .iter()
            .filter_map(|&(name, value)| match (&self.values[name], &self.values[value]) {
                (&Value::Text(name), Value::Tensor(tensor)) => Some((name, tensor.clone())),
                _ => None,
            })
            .collect();
        if named.is_empty() {
            return Err(self.fault("a dictionary without tensors"));
        }
        Ok(named)
    }
}
