//! Owns reading the pickle of a state dictionary without executing it.
//!
//! A pickle is a program for a stack machine. This one knows only the instructions that
//! `torch.save` writes for a dictionary of tensors (protocols 2 to 5, as in Python's
//! `pickletools`), and only the five functions and classes that occur there. Building one of them
//! makes a description; nothing is called. Values live in one list and refer to each other by
//! index, so that no nesting, however deep, needs recursion, and memory grows with the pickle's
//! length alone.

use std::collections::HashMap;

use super::error::Fault;

mod callable;
mod code;

use callable::Callable;
use code::{Code, op};

/// Bytes of a storage, as the pickle describes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage<'p> {
    /// torch's class, for example `FloatStorage`.
    pub(super) class: &'p str,
    /// Name of the archive's member.
    pub(super) key: &'p str,
}

/// A tensor, as the pickle describes it; nothing is checked against the storage yet.
#[derive(Clone, Debug)]
pub(super) struct Described<'p> {
    pub(super) storage: Storage<'p>,
    /// First element, counted in elements of the storage.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// In elements, one per dimension.
    pub(super) strides: Vec<usize>,
}

/// The tensors of a pickled dictionary, under their names. Values that are no tensors are left out.
pub(super) fn state_dict(pickle: &[u8]) -> Result<Vec<(&str, Described<'_>)>, Fault> {
    let mut machine = Machine {
        code: Code::new(pickle),
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        match machine.code.byte()? {
            op::STOP => return machine.tensors(),
            instruction => machine.step(instruction)?,
        }
    }
}

/// Index of a value.
type Id = usize;

enum Value<'p> {
    /// `None`, a truth value or a float: nothing about a tensor depends on it.
    Opaque,
    Int(i64),
    Text(&'p str),
    /// A tuple or a list.
    Sequence(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Callable(Callable<'p>),
    Storage(Storage<'p>),
    Tensor(Described<'p>),
}

struct Machine<'p> {
    code: Code<'p>,
    values: Vec<Value<'p>>,
    stack: Vec<Id>,
    /// Heights of the stack where a `MARK` was set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'p> Machine<'p> {
    fn step(&mut self, instruction: u8) -> Result<(), Fault> {
        match instruction {
            op::PROTO => self.code.byte().map(drop),
            op::FRAME => self.code.take(8).map(drop),
            op::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::NONE | op::NEWTRUE | op::NEWFALSE => self.push(Value::Opaque),
            op::BINFLOAT => {
                self.code.take(8)?;
                self.push(Value::Opaque)
            }
            op::BININT1 => self.integer(1, false),
            op::BININT2 => self.integer(2, false),
            op::BININT => self.integer(4, true),
            op::LONG1 => {
                let length = self.code.byte()?;
                self.integer(length.into(), true)
            }
            op::SHORT_BINUNICODE => self.text(1),
            op::BINUNICODE => self.text(4),
            op::EMPTY_TUPLE | op::EMPTY_LIST => self.push(Value::Sequence(Vec::new())),
            op::TUPLE1 => self.tuple(1),
            op::TUPLE2 => self.tuple(2),
            op::TUPLE3 => self.tuple(3),
            op::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Value::Sequence(items))
            }
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new())),
            op::APPEND | op::APPENDS | op::SETITEM | op::SETITEMS => self.extend(instruction),
            op::BINPUT | op::LONG_BINPUT | op::MEMOIZE | op::BINGET | op::LONG_BINGET => {
                self.remember(instruction)
            }
            op::GLOBAL | op::STACK_GLOBAL => self.callable(instruction),
            op::BINPERSID => self.persistent(),
            op::REDUCE => self.reduce(),
            // The state of an ordered dictionary is torch's `_metadata`: versions of modules.
            op::BUILD => self.pop().map(drop),
            _ => Err(self.fault("an instruction that state dictionaries do not use")),
        }
    }

    /// Reads an integer of this many little-endian bytes.
    fn integer(&mut self, width: usize, signed: bool) -> Result<(), Fault> {
        let bytes = self.code.take(width)?;
        let mut wide = match bytes.last() {
            Some(last) if signed && last & 0x80 != 0 => [0xff; 8],
            Some(_) | None => [0; 8],
        };
        let low = wide.get_mut(..width).ok_or_else(|| self.fault("an integer beyond 64 bits"))?;
        low.copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(wide)))
    }

    /// Reads a text whose length is written in this many bytes.
    fn text(&mut self, width: usize) -> Result<(), Fault> {
        let length = self.code.unsigned(width)?;
        let text = self.code.text(length as usize)?;
        self.push(Value::Text(text))
    }

    fn tuple(&mut self, length: usize) -> Result<(), Fault> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::Sequence(items))
    }

    /// Adds what is on top of the stack to the list or dictionary below it.
    fn extend(&mut self, instruction: u8) -> Result<(), Fault> {
        let added = match instruction {
            op::APPEND => vec![self.pop()?],
            op::SETITEM => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        let is_dict = matches!(instruction, op::SETITEM | op::SETITEMS);
        let into = *self.top()?;
        match &mut self.values[into] {
            Value::Sequence(items) if !is_dict => items.extend(added),
            Value::Dict(items) if is_dict && added.len().is_multiple_of(2) => {
                items.extend(added.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err(self.fault("items for something that is no container of them")),
        }
        Ok(())
    }

    /// Stores the top of the stack in the memo, or fetches a value from it.
    fn remember(&mut self, instruction: u8) -> Result<(), Fault> {
        let key = match instruction {
            op::BINPUT | op::BINGET => self.code.unsigned(1)?,
            op::LONG_BINPUT | op::LONG_BINGET => self.code.unsigned(4)?,
            _ => self.memo.len() as u32,
        };
        if matches!(instruction, op::BINGET | op::LONG_BINGET) {
            let known = self.memo.get(&key).ok_or_else(|| self.fault("a reference to nothing"))?;
            self.stack.push(*known);
        } else {
            let top = *self.top()?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    fn push(&mut self, value: Value<'p>) -> Result<(), Fault> {
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// The top of the stack, as far as the last mark.
    fn top(&self) -> Result<&Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.get(floor..).and_then(<[Id]>::last).ok_or_else(|| self.fault("an empty stack"))
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let top = *self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let mark = self.marks.pop().ok_or_else(|| self.fault("no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn fault(&self, reason: &'static str) -> Fault {
        self.code.fault(reason)
    }
}
