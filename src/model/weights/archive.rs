//! Owns the zip archive that `torch.save` writes: `data.pkl` describes the tensors, and each storage is an
//! uncompressed file `data/<key>` next to it. Unpacks nothing and copies no bytes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Cursor;
use std::ops::Range;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::error::Fault;
use super::pickle;
use super::place::place;
use super::tensor::Stored;

/// The tensors of a file with this content.
pub(super) fn tensors(file: &[u8]) -> Result<Vec<(String, Stored)>, Fault> {
    let archive = Archive::open(file)?;
    let pickle = pickle::unpickle(archive.pickle()?, 0)?;
    let described = pickle.state_dict()?;
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
    /// The folder in the archive that holds everything.
    root: String,
    members: BTreeMap<String, Member>,
}

struct Member {
    bytes: Range<usize>,
    /// 0 where torch did not compute it.
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

    /// The range of a member's bytes, after its checksum was verified.
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
        if bytes.len() > pickle::MAX_BYTES {
            return Err(Fault::Oversized {
                what: "`data.pkl`".to_owned(),
                claimed: bytes.len() as u64,
                limit: pickle::MAX_BYTES as u64,
            });
        }
        Ok(&self.file[bytes])
    }
}

/// All members, each within the file, and together not larger than it.
fn members(file: &[u8]) -> Result<BTreeMap<String, Member>, Fault> {
    let unreadable = |error: ZipError| Fault::damaged(format!("it is not a readable zip archive: {error}"));
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
