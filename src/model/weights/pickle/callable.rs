//! Owns the functions and classes that a state dictionary may name, and what each would build. Any other is
//! refused by name.

use super::super::error::Fault;
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
    /// `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …)`; before torch 0.4
    /// `_rebuild_tensor` with those four.
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
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Ok(Self::RebuildTensor),
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
    /// A function or class, named by two lines.
    pub(super) fn global(&mut self) -> Result<(), Fault> {
        let (module, name) = (self.code.line()?, self.code.line()?);
        self.push(Value::Callable(Callable::named(module, name)?));
        Ok(())
    }

    /// A function or class, named by the two texts on top of the stack.
    pub(super) fn stack_global(&mut self) -> Result<(), Fault> {
        let name = self.pop()?;
        let module = self.pop()?;
        let callable = Callable::named(self.text_of(module)?, self.text_of(name)?)?;
        self.push(Value::Callable(callable));
        Ok(())
    }

    /// The reference to a storage: `("storage", class, key, device, length)`, and before torch 1.6 a sixth item
    /// for a storage that is part of another one: `None` or `(key, first, length)`. The length is ignored: the
    /// file itself shows how many bytes there are.
    pub(super) fn persistent(&mut self) -> Result<(), Fault> {
        let reference = self.pop()?;
        let (&[tag, class, key, _device, _length], part) = self
            .sequence(reference)?
            .split_first_chunk()
            .ok_or_else(|| self.fault("an unknown kind of reference"))?;
        let (Value::Callable(Callable::StorageClass(class)), "storage") =
            (&self.values[class], self.text_of(tag)?)
        else {
            return Err(self.fault("a reference to something that is not a storage"));
        };
        let part = match *part {
            [] => None,
            [part] => self.part_of_storage(part)?,
            _ => return Err(self.fault("an unknown kind of reference")),
        };
        let storage = Storage { class, key: self.text_of(key)?, part };
        self.push(Value::Storage(storage));
        Ok(())
    }

    fn part_of_storage(&self, id: Id) -> Result<Option<(usize, usize)>, Fault> {
        match &self.values[id] {
            Value::Opaque => Ok(None),
            Value::Sequence(items) => match items[..] {
                [_key, first, length] => Ok(Some((self.extent(first)?, self.extent(length)?))),
                _ => Err(self.fault("an unknown part of a storage")),
            },
            Value::Flag(_)
            | Value::Int(_)
            | Value::Wide(_)
            | Value::Text(_)
            | Value::Dict(_)
            | Value::Callable(_)
            | Value::Storage(_)
            | Value::Tensor(_) => Err(self.fault("an unknown part of a storage")),
        }
    }

    pub(super) fn reduce(&mut self) -> Result<(), Fault> {
        let arguments = self.pop()?;
        let called = self.pop()?;
        let Value::Callable(callable) = self.values[called] else {
            return Err(self.fault("a call of something that is not a function"));
        };
        match (callable, self.sequence(arguments)?) {
            (Callable::OrderedDict, []) => self.push(Value::Dict(Vec::new())),
            (Callable::RebuildTensor, &[storage, offset, size, stride, ..]) => {
                let described = self.describe(storage, offset, size, stride)?;
                self.push(Value::Tensor(Box::new(described)));
            }
            (Callable::RebuildParameter, &[tensor, ..]) => self.stack.push(tensor),
            (
                Callable::OrderedDict
                | Callable::RebuildTensor
                | Callable::RebuildParameter
                | Callable::StorageClass(_),
                _,
            ) => return Err(self.fault("a call with unknown arguments")),
        }
        Ok(())
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
        let Value::Int(number) = self.values[id] else {
            return Err(self.fault("a size that is not a number"));
        };
        usize::try_from(number).map_err(|_| self.fault("a negative size"))
    }

    pub(super) fn sequence(&self, id: Id) -> Result<&[Id], Fault> {
        let Value::Sequence(items) = &self.values[id] else {
            return Err(self.fault("something else where a tuple belongs"));
        };
        Ok(items)
    }

    pub(super) fn text_of(&self, id: Id) -> Result<&'p str, Fault> {
        let Value::Text(text) = self.values[id] else {
            return Err(self.fault("something else where a text belongs"));
        };
        Ok(text)
    }
}
