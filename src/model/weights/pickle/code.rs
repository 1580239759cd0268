//! Owns the bytes of a pickle: the numbers of its instructions and the reading of their arguments. Interprets
//! no value.

use super::super::error::Fault;

/// Instructions, named and numbered as in Python's `pickle` module.
pub(super) mod op {
    pub(crate) const MARK: u8 = b'(';
    pub(crate) const STOP: u8 = b'.';
    pub(crate) const NONE: u8 = b'N';
    pub(crate) const NEWTRUE: u8 = 0x88;
    pub(crate) const NEWFALSE: u8 = 0x89;
    pub(crate) const BINFLOAT: u8 = b'G';
    pub(crate) const BININT: u8 = b'J';
    pub(crate) const BININT1: u8 = b'K';
    pub(crate) const BININT2: u8 = b'M';
    pub(crate) const LONG1: u8 = 0x8a;
    pub(crate) const BINUNICODE: u8 = b'X';
    pub(crate) const SHORT_BINUNICODE: u8 = 0x8c;
    /// Python 2 wrote its texts as strings of bytes.
    pub(crate) const BINSTRING: u8 = b'T';
    pub(crate) const SHORT_BINSTRING: u8 = b'U';
    pub(crate) const EMPTY_TUPLE: u8 = b')';
    pub(crate) const TUPLE: u8 = b't';
    pub(crate) const TUPLE1: u8 = 0x85;
    pub(crate) const TUPLE2: u8 = 0x86;
    pub(crate) const TUPLE3: u8 = 0x87;
    pub(crate) const EMPTY_LIST: u8 = b']';
    pub(crate) const APPEND: u8 = b'a';
    pub(crate) const APPENDS: u8 = b'e';
    pub(crate) const EMPTY_DICT: u8 = b'}';
    pub(crate) const SETITEM: u8 = b's';
    pub(crate) const SETITEMS: u8 = b'u';
    pub(crate) const BINPUT: u8 = b'q';
    pub(crate) const LONG_BINPUT: u8 = b'r';
    pub(crate) const MEMOIZE: u8 = 0x94;
    pub(crate) const BINGET: u8 = b'h';
    pub(crate) const LONG_BINGET: u8 = b'j';
    pub(crate) const GLOBAL: u8 = b'c';
    pub(crate) const STACK_GLOBAL: u8 = 0x93;
    pub(crate) const BINPERSID: u8 = b'Q';
    pub(crate) const REDUCE: u8 = b'R';
    pub(crate) const BUILD: u8 = b'b';
    pub(crate) const PROTO: u8 = 0x80;
    pub(crate) const FRAME: u8 = 0x95;
}

/// A pickle, read from its start. Positions are the file's.
pub(super) struct Code<'p> {
    bytes: &'p [u8],
    position: usize,
}

impl<'p> Code<'p> {
    pub(super) fn new(bytes: &'p [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'p [u8], Fault> {
        let taken = self.rest().get(..length).ok_or_else(|| self.fault("an early end"))?;
        self.position += length;
        Ok(taken)
    }

    /// An unsigned number of up to four little-endian bytes.
    pub(super) fn unsigned(&mut self, width: usize) -> Result<u32, Fault> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    pub(super) fn text(&mut self, length: usize) -> Result<&'p str, Fault> {
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.fault("a text that is not UTF-8"))
    }

    /// The text up to the end of the line.
    pub(super) fn line(&mut self) -> Result<&'p str, Fault> {
        let end = self.rest().iter().position(|&byte| byte == b'\n');
        let text = self.text(end.ok_or_else(|| self.fault("a line without end"))?)?;
        self.position += 1;
        Ok(text)
    }

    fn rest(&self) -> &'p [u8] {
        self.bytes.get(self.position..).unwrap_or(&[])
    }

    /// An error at the current position.
    pub(super) fn fault(&self, reason: &'static str) -> Fault {
        Fault::Pickle { position: self.position, reason }
    }
}
