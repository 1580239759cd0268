//! Owns the checksum of a trial's checkpoint, and reading one without libtorch. The training process writes and
//! loads checkpoints; this file neither changes nor interprets one.

use std::io;
use std::path::Path;

use safetensors::SafeTensors;
use serde::Deserialize;

use crate::disk::mapped;
use crate::values::TrialId;

/// The part of a checkpoint's state that names its trial.
#[derive(Deserialize)]
struct Owner {
    trial: TrialId,
}

/// The value of `checksum` in a checkpoint's metadata: CRC-32 of the state's text and of each tensor's name and
/// bytes, in the order of their names.
#[must_use]
pub fn checksum<'a>(state: &str, tensors: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(state.as_bytes());
    for (name, bytes) in tensors {
        hasher.update(name.as_bytes());
        hasher.update(bytes);
    }
    format!("{:08x}", hasher.finalize())
}

/// Reads all of a trial's checkpoint, compares it with its checksum, and returns its length in
/// bytes; `None` where there is no such file.
///
/// # Errors
/// What is wrong with it.
pub fn verify(path: &Path, trial: TrialId) -> Result<Option<u64>, String> {
    let file = match mapped::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| error.to_string())?,
    };
    let (_, header) = SafeTensors::read_metadata(&file).map_err(|error| error.to_string())?;
    let held = SafeTensors::deserialize(&file).map_err(|error| error.to_string())?;
    let field = |name: &str| header.metadata().as_ref().and_then(|fields| fields.get(name));
    let state = field("state").ok_or("it has no state")?;
    let mut tensors: Vec<_> = held.iter().map(|(name, view)| (name, view.data())).collect();
    tensors.sort_unstable_by_key(|(name, _)| *name);
    if field("checksum") != Some(&checksum(state, tensors)) {
        return Err("its checksum does not match".to_owned());
    }
    let owner: Owner = serde_json::from_str(state).map_err(|error| error.to_string())?;
    if owner.trial != trial {
        return Err(format!("it belongs to trial {}", owner.trial));
    }
    Ok(Some(file.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{Dtype, TensorView};
    use std::collections::HashMap;

    #[test]
    fn every_damaged_bit_of_a_checkpoint_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        let trial: TrialId = "00000000000000ab".parse().unwrap();
        assert_eq!(verify(&path, trial), Ok(None));
        let state = format!("{{\"trial\":\"{trial}\",\"step\":3}}");
        let [a, b] = [[1_u8; 8], [2; 8]];
        let sum = checksum(&state, [("a", &a[..]), ("b", &b[..])]);
        let metadata = HashMap::from([("state".to_owned(), state), ("checksum".to_owned(), sum)]);
        let view = |bytes| TensorView::new(Dtype::F32, vec![2], bytes).unwrap();
        let whole = safetensors::serialize([("b", view(&b)), ("a", view(&a))], Some(metadata)).unwrap();
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(verify(&path, trial), Ok(Some(whole.len() as u64)));
        assert!(verify(&path, "00000000000000cd".parse().unwrap()).unwrap_err().contains(&trial.to_string()));
        let data = whole.len() - 16;
        for (position, bit) in (0..whole.len()).flat_map(|position| (0..8).map(move |bit| (position, bit))) {
            let mut damaged = whole.clone();
            damaged[position] ^= 1 << bit;
            std::fs::write(&path, &damaged).unwrap();
            let found = verify(&path, trial);
            // Shapes and types are those of the model, and are compared with it when it is loaded.
            assert!(found.is_err() || position < data, "byte {position}");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(verify(&path, trial).is_err(), "{length} bytes");
        }
    }
}
