//! Owns reading the pickle of a state dictionary without executing it.
//!
//! A pickle is a program for a stack machine. This one knows only the instructions that
//! `torch.save` writes for a dictionary of tensors (protocols 2 to 5, as in Python's
//! `pickletools`), and only the functions and classes that occur there. Building one of them
//! makes a description; nothing is called. Values live in one list and refer to each other by
//! index, so that no nesting, however deep, needs recursion, and memory grows with the pickle's
//! length alone.

use std::collections::HashMap;

use super::error::Fault;

mod callable;
mod code;
mod unpickled;

use callable::Callable;
use code::{Code, op};

/// Longest pickle: a description of 50,000 tensors stays below it. Reading one takes at most fifty times its
/// size in memory.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Bytes of a storage, as the pickle describes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage<'p> {
    /// torch's class, for example `FloatStorage`.
    pub(super) class: &'p str,
    /// Name of the archive's member, or of the storage in a stream.
    pub(super) key: &'p str,
    /// First element and number of elements, where it is part of the storage under that key.
    pub(super) part: Option<(usize, usize)>,
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

/// A pickle that was read completely.
pub(super) struct Unpickled<'p> {
    machine: Machine<'p>,
}

/// Reads the pickle that starts at a byte of a file, and no more than [`MAX_BYTES`] of it.
pub(super) fn unpickle(file: &[u8], start: usize) -> Result<Unpickled<'_>, Fault> {
    let end = file.len().min(start.saturating_add(MAX_BYTES));
    let mut machine = Machine {
        code: Code::new(&file[..end], start),
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        match machine.code.byte()? {
            op::STOP => return Ok(Unpickled { machine }),
            instruction => machine.step(instruction)?,
        }
    }
}

/// Index of a value.
type Id = usize;

enum Value<'p> {
    /// `None` or a float: nothing about a tensor depends on it.
    Opaque,
    Flag(bool),
    Int(i64),
    /// An integer beyond 64 bits: its little-endian bytes.
    Wide(&'p [u8]),
    Text(&'p str),
    /// A tuple or a list.
    Sequence(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Callable(Callable<'p>),
    Storage(Storage<'p>),
    Tensor(Box<Described<'p>>),
}

struct Machine<'p> {
    code: Code<'p>,
    values: Vec<Value<'p>>,
    stack: Vec<Id>,
    /// Heights of the stack where a `MARK` was set.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl<'p> Machine<'p> {
    fn step(&mut self, instruction: u8) -> Result<(), Fault> {
        match instruction {
            op::PROTO => drop(self.code.byte()?),
            op::FRAME => drop(self.code.take(8)?),
            op::NONE => self.push(Value::Opaque),
            op::NEWTRUE | op::NEWFALSE => self.push(Value::Flag(instruction == op::NEWTRUE)),
            op::BINFLOAT => {
                self.code.take(8)?;
                self.push(Value::Opaque);
            }
            op::BININT1 => self.integer(1, false)?,
            op::BININT2 => self.integer(2, false)?,
            op::BININT => self.integer(4, true)?,
            op::LONG1 => {
                let width = self.code.byte()?;
                self.integer(width.into(), true)?;
            }
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING => self.text(1)?,
            op::BINUNICODE | op::BINSTRING => self.text(4)?,
            op::MARK => self.marks.push(self.stack.len()),
            op::EMPTY_TUPLE | op::EMPTY_LIST => self.push(Value::Sequence(Vec::new())),
            op::TUPLE1 => self.tuple(1)?,
            op::TUPLE2 => self.tuple(2)?,
            op::TUPLE3 => self.tuple(3)?,
            op::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Value::Sequence(items));
            }
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new())),
            op::APPEND => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            op::APPENDS => {
                let items = self.pop_to_mark()?;
                self.append(&items)?;
            }
            op::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            op::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            op::BINPUT => self.put(1)?,
            op::LONG_BINPUT => self.put(4)?,
            op::MEMOIZE => self.memoize()?,
            op::BINGET => self.get(1)?,
            op::LONG_BINGET => self.get(4)?,
            op::GLOBAL => self.global()?,
            op::STACK_GLOBAL => self.stack_global()?,
            op::BINPERSID => self.persistent()?,
            op::REDUCE => self.reduce()?,
            // The state of an ordered dictionary is torch's `_metadata`: versions of modules.
            op::BUILD => drop(self.pop()?),
            _ => return Err(self.fault("an instruction that state dictionaries do not use")),
        }
        Ok(())
    }

    /// Reads an integer of this many little-endian bytes.
    fn integer(&mut self, width: usize, signed: bool) -> Result<(), Fault> {
        let bytes = self.code.take(width)?;
        let mut wide = match bytes.last() {
            Some(last) if signed && last & 0x80 != 0 => [0xff; 8],
            Some(_) | None => [0; 8],
        };
        let value = match wide.get_mut(..width) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            None => Value::Wide(bytes),
        };
        self.push(value);
        Ok(())
    }

    /// Reads a text whose length is written in this many bytes.
    fn text(&mut self, width: usize) -> Result<(), Fault> {
        let length = self.code.unsigned(width)?;
        let text = self.code.text(length as usize)?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn tuple(&mut self, length: usize) -> Result<(), Fault> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::Sequence(items));
        Ok(())
    }

    /// Adds to the list on top of the stack.
    fn append(&mut self, added: &[Id]) -> Result<(), Fault> {
        let list = self.top()?;
        let Value::Sequence(items) = &mut self.values[list] else {
            return Err(self.fault("items for something that is not a list"));
        };
        items.extend(added);
        Ok(())
    }

    /// Adds to the dictionary on top of the stack: keys and values in turn.
    fn set_items(&mut self, added: &[Id]) -> Result<(), Fault> {
        let dict = self.top()?;
        let (pairs, rest) = added.as_chunks();
        let Value::Dict(items) = &mut self.values[dict] else {
            return Err(self.fault("items for something that is not a dictionary"));
        };
        items.extend(pairs.iter().map(|&[key, value]| (key, value)));
        if rest.is_empty() { Ok(()) } else { Err(self.fault("a key without a value")) }
    }

    /// Remembers the top of the stack under a key of this many bytes.
    fn put(&mut self, width: usize) -> Result<(), Fault> {
        let key = self.code.unsigned(width)?;
        let top = self.top()?;
        self.memo.insert(key as usize, top);
        Ok(())
    }

    /// Remembers the top of the stack under the next free key.
    fn memoize(&mut self) -> Result<(), Fault> {
        let top = self.top()?;
        self.memo.insert(self.memo.len(), top);
        Ok(())
    }

    fn get(&mut self, width: usize) -> Result<(), Fault> {
        let key = self.code.unsigned(width)? as usize;
        let known = self.memo.get(&key).ok_or_else(|| self.fault("a reference to nothing"))?;
        self.stack.push(*known);
        Ok(())
    }

    fn push(&mut self, value: Value<'p>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// The value on top of the stack, down to the last mark.
    fn top(&self) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = self.stack.get(floor..).unwrap_or(&[]);
        above.last().copied().ok_or_else(|| self.fault("an empty stack"))
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let top = self.top()?;
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
