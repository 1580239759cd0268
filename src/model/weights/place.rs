//! Owns where a tensor lies in its storage, in either of torch's formats. Trusts no size before comparing it
//! with the file.

use std::ops::Range;

use super::error::Fault;
use super::pickle::Described;
use super::tensor::{Kind, Stored};

/// Finds a tensor's bytes in its storage, and checks that all of them exist.
pub(super) fn place(name: &str, tensor: &Described<'_>, storage: &Range<usize>) -> Result<Stored, Fault> {
    let outside = || Fault::Outside { tensor: name.to_owned() };
    let class = tensor.storage.class;
    let kind = Kind::from_storage(class)
        .ok_or_else(|| Fault::UnknownKind { tensor: name.to_owned(), found: format!("torch.{class}") })?;
    let storage = part(storage, tensor.storage.part, kind.width()).ok_or_else(outside)?;
    let room = storage.len() / kind.width();
    let count = tensor.shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
    let count = count.ok_or_else(outside)?;
    if count > room {
        return Err(Fault::Oversized {
            what: format!("tensor `{name}`"),
            claimed: (count as u64).saturating_mul(kind.width() as u64),
            limit: storage.len() as u64,
        });
    }
    let contiguous = count == 0 || is_contiguous(&tensor.shape, &tensor.strides);
    let span = if contiguous { Some(count) } else { span(&tensor.shape, &tensor.strides) };
    let end = span.and_then(|span| tensor.offset.checked_add(span)).filter(|&end| end <= room);
    let end = end.ok_or_else(outside)?;
    let bytes = storage.start + tensor.offset * kind.width()..storage.start + end * kind.width();
    let strides = (!contiguous).then(|| tensor.strides.clone());
    Ok(Stored { kind, shape: tensor.shape.clone(), strides, bytes })
}

/// A part of a storage, as first element and number of elements.
fn part(storage: &Range<usize>, part: Option<(usize, usize)>, width: usize) -> Option<Range<usize>> {
    let Some((first, length)) = part else { return Some(storage.clone()) };
    let start = storage.start.checked_add(first.checked_mul(width)?)?;
    let end = start.checked_add(length.checked_mul(width)?)?;
    (end <= storage.end).then_some(start..end)
}

/// Whether the elements follow each other in row-major order. The stride of a dimension of one element does not
/// matter.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == step;
        step *= size;
        fits
    })
}

/// Number of elements from the first to the last of a non-empty tensor; `None` when out of bounds.
fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    shape
        .iter()
        .zip(strides)
        .try_fold(1_usize, |span, (&size, &stride)| span.checked_add(stride.checked_mul(size - 1)?))
}
