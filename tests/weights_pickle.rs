//! Reading what `torch.save` writes, and refusing what it never does.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use lorasweep::model::weights::{self, Fault, Kind, StateDict, WeightsError};
use proptest::prelude::*;
use tempfile::TempDir;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// An archive as torch lays it out.
fn archive(pickle: &[u8], storages: &[&[u8]]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut add = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("pytorch_model/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    add("data.pkl", pickle);
    add("byteorder", b"little");
    for (key, storage) in storages.iter().enumerate() {
        add(&format!("data/{key}"), storage);
    }
    zip.finish().unwrap().into_inner()
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn integers(numbers: &[i64]) -> Vec<u8> {
    let longs = numbers.iter().map(|number| [&[0x8a, 8][..], &number.to_le_bytes()].concat());
    [b"(".to_vec(), longs.collect::<Vec<_>>().concat(), b"t".to_vec()].concat()
}

/// Name and tensor, ready for SETITEMS.
fn tensor(name: &str, class: &str, key: usize, (offset, shape, strides): (i64, &[i64], &[i64])) -> Vec<u8> {
    let class = format!("ctorch\n{class}\n");
    [
        &text(name)[..],
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        class.as_bytes(),
        &text(&key.to_string()),
        &text("cpu"),
        b"K\x04tQ\x8a\x08",
        &offset.to_le_bytes(),
        &integers(shape),
        &integers(strides),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

fn dictionary(tensors: &[Vec<u8>]) -> Vec<u8> {
    [b"\x80\x02}(", &tensors.concat()[..], b"u."].concat()
}

/// Reads the file and looks at every byte of it.
fn read(file: &[u8], name: &str) -> Result<usize, WeightsError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), file).unwrap();
    weights::read(folder.path())
        .map(|checkpoint| checkpoint.names().map(|name| checkpoint.tensor(name).unwrap().bytes.len()).sum())
}

fn fault(file: &[u8]) -> Fault {
    match read(file, "pytorch_model.bin").unwrap_err() {
        WeightsError::File { fault, .. } => fault,
        other @ (WeightsError::NoWeights { .. }
        | WeightsError::Absent { .. }
        | WeightsError::Read { .. }
        | WeightsError::Missing { .. }
        | WeightsError::Shape { .. }
        | WeightsError::Adapters { .. }
        | WeightsError::Quantised { .. }
        | WeightsError::UntiedOutput { .. }
        | WeightsError::NotFinite { .. }
        | WeightsError::Empty { .. }) => panic!("not about the file's content: {other}"),
    }
}

fn checkpoint(file: &[u8]) -> (TempDir, StateDict) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), file).unwrap();
    let checkpoint = weights::read(folder.path()).unwrap();
    (folder, checkpoint)
}

fn small() -> Vec<u8> {
    let pickle = dictionary(&[tensor("one", "ByteStorage", 0, (0, &[2, 2], &[2, 1]))]);
    archive(&pickle, &[b"abcd"])
}

#[test]
fn views_of_one_storage_come_out_contiguous() {
    let pickle = dictionary(&[
        tensor("whole", "ByteStorage", 0, (0, &[2, 3], &[3, 1])),
        tensor("transposed", "ByteStorage", 0, (0, &[3, 2], &[1, 3])),
        tensor("column", "ByteStorage", 0, (1, &[2], &[3])),
        tensor("row", "ByteStorage", 0, (3, &[1, 3], &[99, 1])),
        tensor("scalar", "ByteStorage", 0, (5, &[], &[])),
        tensor("empty", "ByteStorage", 0, (0, &[0, 7], &[7, 1])),
        tensor("pairs", "HalfStorage", 0, (0, &[3, 1], &[1, 1])),
    ]);
    let (_folder, checkpoint) = checkpoint(&archive(&pickle, &[b"abcdef"]));
    let bytes = |name| String::from_utf8(checkpoint.tensor(name).unwrap().bytes.into_owned()).unwrap();
    assert_eq!(bytes("whole"), "abcdef");
    assert_eq!(bytes("transposed"), "adbecf");
    assert_eq!(bytes("column"), "be");
    assert_eq!(bytes("row"), "def");
    assert_eq!(bytes("scalar"), "f");
    assert_eq!(bytes("empty"), "");
    assert_eq!(bytes("pairs"), "abcdef");
    assert_eq!(checkpoint.tensor("pairs").unwrap().kind, Kind::F16);
    assert_eq!(checkpoint.tensor("transposed").unwrap().shape, [3, 2]);
}

#[test]
fn every_other_function_is_refused_by_name() {
    let by_lines = b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.".to_vec();
    let by_stack =
        [&b"\x80\x04"[..], &text("os"), &text("system"), b"\x93", &text("true"), b"\x85R."].concat();
    for pickle in [by_lines, by_stack] {
        assert_eq!(fault(&archive(&pickle, &[])), Fault::Refused { global: "os.system".to_owned() });
        let said = read(&archive(&pickle, &[]), "pytorch_model.bin").unwrap_err().to_string();
        assert!(said.contains("refuses to run `os.system`"), "{said}");
    }
    for global in
        ["builtins\neval", "torch\nload", "torch._utils\n_rebuild_sparse_tensor", "collections\nCounter"]
    {
        let pickle = format!("\u{28}c{global}\n.");
        assert_eq!(
            fault(&archive(pickle.as_bytes(), &[])),
            Fault::Refused { global: global.replace('\n', ".") }
        );
    }
}

#[test]
fn claims_beyond_the_file_are_refused() {
    let shaped = |offset, shape: &[i64], strides: &[i64]| {
        fault(&archive(
            &dictionary(&[tensor("one", "FloatStorage", 0, (offset, shape, strides))]),
            &[&[0; 16]],
        ))
    };
    let outside = Fault::Outside { tensor: "one".to_owned() };
    assert!(matches!(shaped(0, &[1 << 40], &[1]), Fault::Oversized { claimed, .. } if claimed == 4 << 40));
    assert!(matches!(shaped(0, &[1 << 40], &[0]), Fault::Oversized { .. }));
    assert!(matches!(shaped(0, &[5], &[1]), Fault::Oversized { .. }));
    assert_eq!(shaped(1, &[4], &[1]), outside);
    assert_eq!(shaped(i64::MAX, &[4], &[1]), outside);
    assert_eq!(shaped(0, &[2, 2], &[3, 1]), outside);
    assert_eq!(shaped(0, &[2, 2], &[i64::MAX, i64::MAX]), outside);
    assert_eq!(shaped(0, &[1 << 32, 1 << 32], &[1, 1]), outside);
    assert!(matches!(shaped(0, &[-1], &[1]), Fault::Pickle { .. }));
    assert!(matches!(shaped(0, &[1; 9], &[1; 9]), Fault::Pickle { .. }));
    assert!(matches!(shaped(0, &[4], &[]), Fault::Pickle { .. }));

    // The sizes of the last member, as the central directory gives them: compressed and plain.
    let mut bomb = small();
    let entry = bomb.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    bomb[entry + 20..entry + 28].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
    assert!(matches!(fault(&bomb), Fault::Oversized { claimed: 0x7fff_ffff, .. }));

    let mut packed = small();
    packed[entry + 10] = 8;
    assert!(matches!(fault(&packed), Fault::Damaged { reason } if reason.contains("compressed")));

    let long = archive(&vec![b'N'; (16 << 20) + 1], &[]);
    assert!(matches!(fault(&long), Fault::Oversized { what, .. } if what == "`data.pkl`"));
}

/// Members are looked up in the archive, under its one folder; none is a path of the disk.
#[test]
fn a_storage_leads_to_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("0"), b"abcd").unwrap();
    let absolute = folder.path().join("0").to_string_lossy().into_owned();
    for key in
        ["../../../../../etc/passwd", "../byteorder", "../data.pkl", "/etc/passwd", &absolute, "..", ""]
    {
        let reference =
            [&b"("[..], &text("storage"), b"ctorch\nByteStorage\n", &text(key), &text("cpu"), b"K\x04tQ"];
        let call =
            [&b"ctorch._utils\n_rebuild_tensor_v2\n("[..], &reference.concat(), b"K\x00K\x04\x85K\x01\x85tR"];
        let pickle = [&b"\x80\x02}"[..], &text("one"), &call.concat(), b"s."].concat();
        fs::write(folder.path().join("pytorch_model.bin"), archive(&pickle, &[b"abcd"])).unwrap();
        let error = weights::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("the archive has no `data/"), "{key}: {error}");
    }
}

#[test]
fn other_things_than_state_dictionaries_are_told_apart() {
    let unknown_kind = dictionary(&[tensor("one", "QInt8Storage", 0, (0, &[4], &[1]))]);
    let found = Fault::UnknownKind { tensor: "one".to_owned(), found: "torch.QInt8Storage".to_owned() };
    assert_eq!(fault(&archive(&unknown_kind, &[b"abcd"])), found);

    let mut wrong_byte = small();
    let storage = wrong_byte.windows(4).position(|four| four == b"abcd").unwrap();
    wrong_byte[storage] = b'A';
    assert!(
        matches!(fault(&wrong_byte), Fault::Damaged { reason } if reason.contains("checksum of `data/0`"))
    );

    let absent = dictionary(&[tensor("one", "ByteStorage", 7, (0, &[4], &[1]))]);
    assert!(
        matches!(fault(&archive(&absent, &[b"abcd"])), Fault::Damaged { reason } if reason.contains("`data/7`"))
    );

    for pickle in
        [&b"\x80\x02}."[..], b"", b".", b"N.", b"(u.", b"h\x05.", b"}(Nu.", b"NNs.", b"0", b"\x8a\xff", b"(t"]
    {
        assert!(matches!(fault(&archive(pickle, &[])), Fault::Pickle { .. }), "{pickle:?}");
    }
}

#[test]
fn nesting_has_no_depth_to_exhaust() {
    let tuples = [&b")"[..], &vec![0x85; 1 << 20], b"."].concat();
    assert!(matches!(fault(&archive(&tuples, &[])), Fault::Pickle { .. }));
    let marks = [vec![b'('; 1 << 20], vec![b't'; 1 << 20], b".".to_vec()].concat();
    assert!(matches!(fault(&archive(&marks, &[])), Fault::Pickle { .. }));
    // A list that holds itself.
    let cycle = [&b"]q\x00h\x00a}"[..], &text("one"), b"h\x00s."].concat();
    assert!(matches!(fault(&archive(&cycle, &[])), Fault::Pickle { .. }));
}

fn fixtures() -> [(&'static str, Vec<u8>); 2] {
    ["model.safetensors", "pytorch_model.bin"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert").join(name);
        (name, fs::read(path).unwrap())
    })
}

fn small_safetensors() -> Vec<u8> {
    let header = br#"{"one":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, b"abcd"].concat()
}

#[test]
fn every_truncation_is_an_error() {
    for (name, whole) in [("model.safetensors", small_safetensors()), ("pytorch_model.bin", small())] {
        assert_eq!(read(&whole, name).unwrap(), 4);
        for length in 0..whole.len() {
            assert!(read(&whole[..length], name).is_err(), "{length} bytes of `{name}`");
        }
    }
    for (name, whole) in fixtures() {
        for length in (0..whole.len()).step_by(397) {
            assert!(read(&whole[..length], name).is_err(), "{length} bytes of `{name}`");
        }
    }
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
    ) {
        let small = [("model.safetensors", small_safetensors()), ("pytorch_model.bin", small())];
        for (name, mut file) in small.into_iter().chain(fixtures()) {
            for (place, flip) in &flips {
                let place = place.index(file.len());
                file[place] ^= flip;
            }
            drop(read(&file, name));
        }
    }

    #[test]
    fn no_pickle_panics(pickle in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(read(&archive(&pickle, &[b"abcd"]), "pytorch_model.bin"));
    }

    #[test]
    fn no_changed_state_dictionary_panics(place: prop::sample::Index, byte: u8) {
        let mut pickle = dictionary(&[
            tensor("one", "FloatStorage", 0, (0, &[2, 2], &[1, 2])),
            tensor("two", "LongStorage", 0, (0, &[1, 2], &[1, 1])),
        ]);
        let place = place.index(pickle.len());
        pickle[place] = byte;
        drop(read(&archive(&pickle, &[&[0; 16]]), "pytorch_model.bin"));
    }
}
