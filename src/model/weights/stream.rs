//! Owns the format of `torch.save` before torch 1.6: five pickles one after the other (a magic number,
//! the protocol's version, facts about the machine, the state dictionary, the keys of its storages),
//! then each storage, its number of elements before it. Copies no bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use super::error::Fault;
use super::pickle::{self, Storage, Unpickled};
use super::place::place;
use super::tensor::{Kind, Stored};

/// `0x1950a86a20f9469cfc6c`, the first pickle of such a file, as bytes.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The second pickle.
const PROTOCOL: i64 = 1001;

/// Every pickle of protocol 2 or later begins like this, and no zip archive does.
pub(super) fn is_stream(file: &[u8]) -> bool {
    file.starts_with(&[0x80])
}

/// The tensors of a file with this content.
pub(super) fn tensors(file: &[u8]) -> Result<Vec<(String, Stored)>, Fault> {
    let magic = pickle::unpickle(file, 0)?;
    if !magic.is_wide(&MAGIC) {
        let reason = "something else than torch's magic number";
        return Err(Fault::Pickle { position: magic.end(), reason });
    }
    let protocol = pickle::unpickle(file, magic.end())?;
    if protocol.integer() != Some(PROTOCOL) {
        return Err(Fault::damaged("it does not have version 1001 of torch's format"));
    }
    let machine = pickle::unpickle(file, protocol.end())?;
    if machine.flag("little_endian") == Some(false) {
        return Err(Fault::damaged("its numbers are not in little-endian order"));
    }
    let state = pickle::unpickle(file, machine.end())?;
    let keys = pickle::unpickle(file, state.end())?;
    let storages = storages(file, &state, &keys)?;
    let described = state.state_dict()?;
    let stored = described.into_iter().map(|(name, tensor)| {
        let key = tensor.storage.key;
        let storage = storages.get(key);
        let storage = storage.ok_or_else(|| Fault::damaged(format!("it has no storage `{}`", shown(key))))?;
        Ok((name.to_owned(), place(name, &tensor, storage)?))
    });
    stored.collect()
}

/// Where the bytes of each storage are.
fn storages<'p>(
    file: &'p [u8],
    state: &Unpickled<'p>,
    keys: &Unpickled<'p>,
) -> Result<BTreeMap<&'p str, Range<usize>>, Fault> {
    let known = state.storages()?;
    let mut places = BTreeMap::new();
    let mut at = keys.end();
    for key in keys.texts()? {
        let Some(storage) = known.get(key) else {
            return Err(Fault::damaged(format!("nothing refers to its storage `{}`", shown(key))));
        };
        let bytes = storage_bytes(file, at, storage)?;
        at = bytes.end;
        if places.insert(key, bytes).is_some() {
            return Err(Fault::damaged(format!("it has the storage `{}` twice", shown(key))));
        }
    }
    Ok(places)
}

/// The bytes of the storage whose number of elements is written at position `at` of the file.
fn storage_bytes(file: &[u8], at: usize, storage: &Storage<'_>) -> Result<Range<usize>, Fault> {
    let found = file.len() as u64;
    let count = file.get(at..).and_then(<[u8]>::first_chunk);
    let count = count.ok_or(Fault::Truncated { needed: at as u64 + 8, found })?;
    let count = u64::from_le_bytes(*count);
    let Some(kind) = Kind::from_storage(storage.class) else {
        let (tensor, found) = (format!("storage {}", shown(storage.key)), format!("torch.{}", storage.class));
        return Err(Fault::UnknownKind { tensor, found });
    };
    let start = at as u64 + 8;
    let end = count.checked_mul(kind.width() as u64).and_then(|length| start.checked_add(length));
    let end = end.ok_or_else(|| Fault::damaged(format!("storage `{}` has no size", shown(storage.key))))?;
    match usize::try_from(end) {
        Ok(end) if end <= file.len() => Ok(at + 8..end),
        Ok(_) | Err(_) => Err(Fault::Truncated { needed: end, found }),
    }
}

/// The beginning of a name from the file.
fn shown(key: &str) -> String {
    key.escape_debug().take(100).collect()
}
