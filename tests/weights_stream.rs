//! Reading what `torch.save` wrote before torch 1.6: pickles and storages in one stream.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::path::Path;

use lorasweep::model::weights::{self, Fault, Kind, StateDict, WeightsError};
use proptest::prelude::*;
use tempfile::TempDir;

/// The first three pickles of every such file: magic number, version, facts about the machine.
const HEAD: &[u8] =
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";

fn fixture() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stream.bin")).unwrap()
}

fn read(file: &[u8]) -> (TempDir, Result<StateDict, WeightsError>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), file).unwrap();
    let read = weights::read(folder.path());
    (folder, read)
}

/// Looks at every byte of what can be read.
fn bytes(file: &[u8]) -> Result<usize, WeightsError> {
    let read = read(file).1?;
    Ok(read.names().map(|name| read.tensor(name).unwrap().bytes.len()).sum())
}

fn fault(file: &[u8]) -> Fault {
    let error = bytes(file).unwrap_err();
    let WeightsError::File { fault, .. } = error else { panic!("not about the content: {error}") };
    fault
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A stream with one tensor of two elements, of a storage class and with the end of a reference as
/// given, the list of keys, and what follows it.
fn stream(class: &str, part: &[u8], keys: &[&str], storages: &[u8]) -> Vec<u8> {
    let class = format!("ctorch\n{class}\n");
    let reference = [&b"("[..], &text("storage"), class.as_bytes(), &text("7"), &text("cpu"), b"K\x04"];
    let tensor = [
        &b"ctorch._utils\n_rebuild_tensor\n("[..],
        &reference.concat(),
        part,
        b"tQK\x00K\x02\x85K\x01\x85tR",
    ];
    let state = [&b"\x80\x02}"[..], &text("one"), &tensor.concat(), b"s."].concat();
    let keys: Vec<u8> = keys.iter().flat_map(|key| text(key)).collect();
    [HEAD, &state, b"\x80\x02](", &keys, b"e.", storages].concat()
}

fn four_bytes() -> Vec<u8> {
    [&4_u64.to_le_bytes()[..], b"abcd"].concat()
}

#[test]
fn torch_s_own_stream_is_read() {
    let (_folder, read) = read(&fixture());
    let read = read.unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let tensor = read.tensor(name).unwrap();
        let (fours, []) = tensor.bytes.as_chunks() else { panic!("whole elements") };
        fours.iter().map(|four| f32::from_le_bytes(*four)).collect()
    };
    let quarters = |numbers: &[u8]| numbers.iter().map(|n| f32::from(*n) / 4.0).collect::<Vec<_>>();
    let words = "bert.embeddings.word_embeddings.weight";
    assert_eq!(read.tensor(words).unwrap().shape, [3, 4]);
    assert_eq!(floats(words), quarters(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(read.tensor("transposed").unwrap().shape, [4, 3]);
    assert_eq!(floats("transposed"), quarters(&[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]));
    assert_eq!(floats("column"), quarters(&[1, 5, 9]));
    assert_eq!(floats("tied"), floats(words));

    let bert = lorasweep::families::named("bert").unwrap();
    let scale = read.find("bert.embeddings.LayerNorm.weight", bert).unwrap();
    // 1, 1.5, 2 and -0.5 in half precision.
    assert_eq!((scale.kind, &*scale.bytes), (Kind::F16, &[0, 0x3c, 0, 0x3e, 0, 0x40, 0, 0xb8][..]));
    let shift = read.find("bert.embeddings.LayerNorm.bias", bert).unwrap();
    // 0.5, -3, 0 and 256 in bfloat16.
    assert_eq!((shift.kind, &*shift.bytes), (Kind::BF16, &[0, 0x3f, 0x40, 0xc0, 0, 0, 0x80, 0x43][..]));
    let ids = read.tensor("bert.embeddings.position_ids").unwrap();
    let expected: Vec<u8> = (0..5_i64).flat_map(i64::to_le_bytes).collect();
    assert_eq!((ids.kind, ids.shape, &*ids.bytes), (Kind::I64, &[1, 5][..], &expected[..]));
    let double = read.tensor("double").unwrap();
    assert_eq!((double.shape, &*double.bytes), (&[][..], &0.1_f64.to_le_bytes()[..]));
    assert_eq!(&*read.tensor("flags").unwrap().bytes, [1, 0]);
    assert_eq!(read.names().count(), 9);
}

#[test]
fn a_storage_may_be_a_part_of_another_one() {
    let read_part = |part: &[u8]| {
        let (_folder, read) = read(&stream("ByteStorage", part, &["7"], &four_bytes()));
        String::from_utf8(read.unwrap().tensor("one").unwrap().bytes.into_owned()).unwrap()
    };
    assert_eq!(read_part(b"N"), "ab");
    assert_eq!(read_part(&[&b"("[..], &text("8"), b"K\x01K\x03t"].concat()), "bc");
    let beyond =
        stream("ByteStorage", &[&b"("[..], &text("8"), b"K\x03K\x02t"].concat(), &["7"], &four_bytes());
    assert_eq!(fault(&beyond), Fault::Outside { tensor: "one".to_owned() });
    let short =
        stream("ByteStorage", &[&b"("[..], &text("8"), b"K\x01K\x01t"].concat(), &["7"], &four_bytes());
    assert!(matches!(fault(&short), Fault::Oversized { claimed: 2, limit: 1, .. }));
}

#[test]
fn a_state_dictionary_beside_other_things_is_found() {
    let bare = stream("ByteStorage", b"N", &["7"], &four_bytes());
    // The dictionary under a key of another one, as training scripts save it.
    let at = HEAD.len() + 2;
    let state_end = at + bare[at..].windows(3).position(|three| three == b"s.\x80").unwrap() + 1;
    let nested = [
        &bare[..at],
        b"}(",
        &text("epoch"),
        b"K\x03",
        &text("state_dict"),
        &bare[at..state_end],
        b"u",
        &bare[state_end..],
    ]
    .concat();
    assert_eq!(bytes(&bare).unwrap(), 2);
    assert_eq!(bytes(&nested).unwrap(), 2);
}

#[test]
fn nothing_is_executed() {
    for program in [&b"cos\nsystem\n(X\x02\0\0\0lstR."[..], b"cposix\nsystem\n."] {
        let evil = [HEAD, b"\x80\x02", program].concat();
        let Fault::Refused { global } = fault(&evil) else { panic!("not refused: {}", fault(&evil)) };
        assert!(global.ends_with(".system"), "{global}");
        // In the place of the first pickle too.
        assert!(matches!(fault(&[b"\x80\x02", program].concat()), Fault::Refused { .. }));
    }
}

#[test]
fn what_is_not_such_a_stream_is_told() {
    let with = |keys: &[&str], storages: &[u8]| fault(&stream("ByteStorage", b"N", keys, storages));
    let damaged = |fault: Fault, said: &str| {
        assert!(matches!(&fault, Fault::Damaged { reason } if reason.contains(said)), "{fault}");
    };
    damaged(with(&[], b""), "no storage `7`");
    damaged(with(&["7", "8"], &four_bytes()), "nothing refers to its storage `8`");
    damaged(with(&["7", "7"], &[four_bytes(), four_bytes()].concat()), "`7` twice");
    let huge = [&(1_u64 << 40).to_le_bytes()[..], b"abcd"].concat();
    assert!(matches!(with(&["7"], &huge), Fault::Truncated { needed, .. } if needed > 1 << 40));
    let endless = [&u64::MAX.to_le_bytes()[..], b"abcd"].concat();
    damaged(fault(&stream("FloatStorage", b"N", &["7"], &endless)), "`7` has no size");
    let unknown = fault(&stream("QInt8Storage", b"N", &["7"], &four_bytes()));
    assert!(matches!(unknown, Fault::UnknownKind { found, .. } if found == "torch.QInt8Storage"));

    let big_endian = fixture();
    let flag = big_endian.windows(4).position(|four| four == b"q\x02\x88X").unwrap() + 2;
    let big_endian = [&big_endian[..flag], b"\x89", &big_endian[flag + 1..]].concat();
    damaged(fault(&big_endian), "little-endian");
    let mut other_version = fixture();
    other_version[18] += 1;
    damaged(fault(&other_version), "version 1001");
    assert!(matches!(fault(b"\x80\x02}."), Fault::Pickle { .. }));
}

#[test]
fn a_pickle_has_an_end() {
    // Memory grows with a pickle's length, so no pickle may be as long as the file.
    let long = [HEAD, b"\x80\x02", &vec![b'G'; 17 << 20]].concat();
    assert!(matches!(fault(&long), Fault::Pickle { .. }));
    let deep = [HEAD, b"\x80\x02)", &vec![0x85; 1 << 20], b"."].concat();
    assert!(matches!(fault(&deep), Fault::Pickle { .. }));
}

#[test]
fn every_truncation_is_an_error() {
    let whole = fixture();
    assert!(bytes(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(bytes(&whole[..length]).is_err(), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
    ) {
        let mut file = fixture();
        for (place, flip) in &flips {
            let place = place.index(file.len());
            file[place] ^= flip;
        }
        drop(bytes(&file));
    }

    #[test]
    fn no_pickle_panics(pickle in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(bytes(&[HEAD, &pickle].concat()));
    }
}
