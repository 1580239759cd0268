//! Owns one tensor of a weight file: its element type, its shape and its bytes. Reads no file and computes
//! nothing from the values, except whether they are finite.

use std::borrow::Cow;
use std::ops::Range;

use super::error::WeightsError;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 64-bit floating point.
    F64,
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point, IEEE 754 half precision.
    F16,
    /// 16-bit floating point with the exponent of `F32`.
    BF16,
    /// 64-bit signed integer.
    I64,
    /// 32-bit signed integer.
    I32,
    /// 16-bit signed integer.
    I16,
    /// 8-bit signed integer.
    I8,
    /// 8-bit unsigned integer.
    U8,
    /// Truth value, one byte of 0 or 1.
    Bool,
}

impl Kind {
    /// Bytes of one element.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Whether its elements are floating-point numbers.
    #[must_use]
    pub fn is_float(self) -> bool {
        match self {
            Self::F64 | Self::F32 | Self::F16 | Self::BF16 => true,
            Self::I64 | Self::I32 | Self::I16 | Self::I8 | Self::U8 | Self::Bool => false,
        }
    }

    /// The kind that a safetensors header names.
    pub(super) fn from_safetensors(dtype: &str) -> Option<Self> {
        Some(match dtype {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            "I64" => Self::I64,
            "I32" => Self::I32,
            "I16" => Self::I16,
            "I8" => Self::I8,
            "U8" => Self::U8,
            "BOOL" => Self::Bool,
            _ => return None,
        })
    }

    /// The kind of torch's storage class, named without its module.
    pub(super) fn from_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }
}

/// A tensor of a weight file: contiguous, row-major, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorView<'a> {
    /// The name in the file.
    pub name: &'a str,
    /// Element type.
    pub kind: Kind,
    /// Sizes, outermost first.
    pub shape: &'a [usize],
    /// The elements. Borrowed from the mapped file, and copied only where the file has them in a different
    /// order. Not aligned.
    pub bytes: Cow<'a, [u8]>,
}

impl TensorView<'_> {
    /// The same tensor, after checking that it has the shape the model needs.
    ///
    /// # Errors
    /// [`WeightsError::Shape`] when it is not.
    pub fn with_shape(self, expected: &[usize]) -> Result<Self, WeightsError> {
        if self.shape == expected {
            return Ok(self);
        }
        Err(WeightsError::Shape {
            name: self.name.to_owned(),
            expected: expected.to_vec(),
            found: self.shape.to_vec(),
        })
    }

    /// Checks that no element is NaN or infinite.
    ///
    /// # Errors
    /// [`WeightsError::NotFinite`] with the first element that is.
    pub fn check_finite(&self) -> Result<(), WeightsError> {
        match self.first_not_finite() {
            None => Ok(()),
            Some(element) => Err(WeightsError::NotFinite { name: self.name.to_owned(), element }),
        }
    }

    /// A float is NaN or infinite exactly when all bits of its exponent are set (IEEE 754), and in
    /// all four formats the exponent is in the last two bytes.
    fn first_not_finite(&self) -> Option<usize> {
        let exponent: u16 = match self.kind {
            Kind::F64 => 0x7ff0,
            Kind::F32 | Kind::BF16 => 0x7f80,
            Kind::F16 => 0x7c00,
            Kind::I64 | Kind::I32 | Kind::I16 | Kind::I8 | Kind::U8 | Kind::Bool => return None,
        };
        let width = self.kind.width();
        self.bytes.chunks_exact(width).position(|element| {
            u16::from_le_bytes([element[width - 2], element[width - 1]]) & exponent == exponent
        })
    }
}

/// Where a file keeps a tensor. Its creator has checked that the bytes are in the file, and that the shape and
/// any strides stay within them.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) kind: Kind,
    pub(super) shape: Vec<usize>,
    /// Steps between neighbours in elements, one per dimension; `None` when contiguous.
    pub(super) strides: Option<Vec<usize>>,
    /// From the first element to the end of the last, in bytes from the start of the file.
    pub(super) bytes: Range<usize>,
}

impl Stored {
    pub(super) fn view<'a>(&'a self, name: &'a str, file: &'a [u8]) -> TensorView<'a> {
        let bytes = &file[self.bytes.clone()];
        let bytes = match &self.strides {
            None => Cow::Borrowed(bytes),
            Some(strides) => Cow::Owned(self.gather(bytes, strides)),
        };
        TensorView { name, kind: self.kind, shape: &self.shape, bytes }
    }

    /// Copies the elements into row-major order.
    fn gather(&self, bytes: &[u8], strides: &[usize]) -> Vec<u8> {
        let width = self.kind.width();
        let mut places = vec![0];
        for (&size, &stride) in self.shape.iter().zip(strides) {
            places = places.iter().flat_map(|place| (0..size).map(move |i| place + i * stride)).collect();
        }
        places.iter().flat_map(|place| &bytes[place * width..(place + 1) * width]).copied().collect()
    }
}
