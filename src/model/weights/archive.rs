//! Owns the zip archive that `torch.save` writes: `data.pkl` describes the tensors, and each
//! storage is a file `data/<key>` beside it, uncompressed. Unpacks nothing and copies no bytes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Cursor;
use std::ops::Range;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::error::Fault;
use super::pickle::{self, Described};
use super::tensor::{Kind, Stored};

/// A description of 50,000 tensors stays below it. Reading one takes at most fifty times its size.
const MAX_PICKLE_BYTES: usize = 16 << 20;

/// The tensors of a file with this content.
pub(super) fn tensors(file: &[u8]) -> Result<Vec<(String, Stored)>, Fault> {
    // Every pickle of protocol 2 or later begins like this, and only the old format begins with one.
    if file.starts_with(&[0x80]) {
        return Err(Fault::OldFormat);
    }
    let archive = Archive::open(file)?;
    let described = pickle::state_dict(archive.pickle()?)?;
    let mut checked = BTreeMap::new();
    let mut stored = Vec::with_capacity(described.len());
    for (name, tensor) in described {
        let storage = match checked.entry(tensor.storage.key) {
            Entry::Occupied(storage) => storage.into_mut(),
            Entry::Vacant(new) => new.insert(archive.member(&format!("data/{}", tensor.storage.key))?),
        };
        stored.push((name.to_owned(), place(name, &tensor, storage)?));
    }
    Ok(stored)
}

struct Archive<'f> {
    file: &'f [u8],
    /// The one folder that torch puts everything into.
    root: String,
    members: BTreeMap<String, Member>,
}

struct Member {
    bytes: Range<usize>,
    /// 0 when torch was told not to compute it.
    crc32: u32,
}

impl<'f> Archive<'f> {
    fn open(file: &'f [u8]) -> Result<Self, Fault> {
        let members = members(file)?;
        let root = members
            .keys()
            .find_map(|name| name.strip_suffix("/data.pkl").filter(|root| !root.contains('/')))
            .ok_or_else(|| Fault::damaged("the archive has no `data.pkl`"))?
            .to_owned();
        let archive = Self { file, root, members };
        if archive.members.contains_key(&archive.path("byteorder"))
            && archive.file[archive.member("byteorder")?] != *b"little"
        {
            return Err(Fault::damaged("its numbers are not in little-endian order"));
        }
        Ok(archive)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    /// Where a member's bytes are, once their checksum is right.
    fn member(&self, name: &str) -> Result<Range<usize>, Fault> {
        let member = self
            .members
            .get(&self.path(name))
            .ok_or_else(|| Fault::damaged(format!("the archive has no `{name}`")))?;
        if member.crc32 != 0 && crc32fast::hash(&self.file[member.bytes.clone()]) != member.crc32 {
            return Err(Fault::damaged(format!("the checksum of `{name}` is wrong")));
        }
        Ok(member.bytes.clone())
    }

    fn pickle(&self) -> Result<&'f [u8], Fault> {
        let bytes = self.member("data.pkl")?;
        if bytes.len() > MAX_PICKLE_BYTES {
            return Err(Fault::Oversized {
                what: "`data.pkl`".to_owned(),
                claimed: bytes.len() as u64,
                limit: MAX_PICKLE_BYTES as u64,
            });
        }
        Ok(&self.file[bytes])
    }
}

/// All members, each within the file, and together no larger than it.
fn members(file: &[u8]) -> Result<BTreeMap<String, Member>, Fault> {
    let unreadable = |error: ZipError| Fault::damaged(format!("it is no readable zip archive: {error}"));
    let mut archive = ZipArchive::new(Cursor::new(file)).map_err(unreadable)?;
    let mut members = BTreeMap::new();
    let mut left = file.len();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(unreadable)?;
        let name = entry.name().map_err(unreadable)?.into_owned();
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(Fault::damaged(format!("`{name}` is compressed, which `torch.save` never does")));
        }
        let claimed = entry.size().max(entry.compressed_size());
        let oversized = || Fault::Oversized { what: format!("`{name}`"), claimed, limit: left as u64 };
        let size = usize::try_from(claimed).map_err(|_| oversized())?;
        let rest = left.checked_sub(size).ok_or_else(oversized)?;
        let bytes = entry
            .data_start()
            .and_then(|start| usize::try_from(start).ok())
            .and_then(|start| Some(start..start.checked_add(size)?))
            .filter(|bytes| bytes.end <= file.len())
            .ok_or_else(oversized)?;
        let crc32 = entry.crc32();
        left = rest;
        members.insert(name, Member { bytes, crc32 });
    }
    Ok(members)
}

/// Finds a tensor's bytes in its storage, and makes sure that they are all there.
fn place(name: &str, tensor: &Described<'_>, storage: &Range<usize>) -> Result<Stored, Fault> {
    let outside = || Fault::Outside { tensor: name.to_owned() };
    let class = tensor.storage.class;
    let kind = Kind::from_storage(class)
        .ok_or_else(|| Fault::UnknownKind { tensor: name.to_owned(), found: format!("torch.{class}") })?;
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

/// Whether the elements follow each other in row-major order. The stride of a dimension of one
/// element means nothing.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == step;
        step *= size;
        fits
    })
}

/// Elements from the first to the last of a tensor that has any; `None` when out of all bounds.
fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    shape
        .iter()
        .zip(strides)
        .try_fold(1_usize, |span, (&size, &stride)| span.checked_add(stride.checked_mul(size - 1)?))
}
