//! What a store keeps, and that damage is an error.

use std::fs;

use proptest::prelude::*;

use super::shape::HEADER;
use super::*;

fn write(folder: &Path, part: Part, rows: &[Row<'_>]) {
    let mut builder = PartBuilder::default();
    rows.iter().for_each(|row| builder.push(*row));
    assert_eq!((builder.len(), builder.is_empty()), (rows.len(), rows.is_empty()));
    builder.write(folder, part).unwrap();
}

/// Tokens, a target, the start of the second part as a share of the row, answers.
type Drawn = (Vec<u32>, RowTarget, f64, Vec<String>);

fn drawn(column: TargetColumn) -> impl Strategy<Value = Drawn> {
    let tokens = prop::collection::vec(any::<u32>(), 0..9);
    let list = prop::collection::vec(any::<u32>(), 0..4);
    let target = (any::<u32>(), -1e9..1e9, list).prop_map(move |(class, number, list)| match column {
        TargetColumn::Classes => RowTarget::Class(class),
        TargetColumn::Numbers => RowTarget::Number(number),
        TargetColumn::Lists => RowTarget::List(list),
    });
    (tokens, target, 0.0..=1.0, prop::collection::vec(".{0,4}", 0..3))
}

/// The rows of a part, which all have targets of one kind.
fn drawn_rows() -> impl Strategy<Value = Vec<Drawn>> {
    let columns = [TargetColumn::Classes, TargetColumn::Numbers, TargetColumn::Lists];
    prop::sample::select(columns.to_vec()).prop_flat_map(|column| prop::collection::vec(drawn(column), 0..9))
}

fn row((tokens, target, share, answers): &Drawn) -> Row<'_> {
    let second = (tokens.len() as f64 * share) as u32;
    Row { tokens, second, target: target.borrowed(), answers }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_was_written_is_read(drawn in drawn_rows()) {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<Row<'_>> = drawn.iter().map(row).collect();
        write(folder.path(), Part::Train, &rows);
        let store = TokenStore::open(folder.path()).unwrap();
        prop_assert!(store.part(Part::Validation).is_none() && store.part(Part::Test).is_none());
        let view = store.part(Part::Train).unwrap();
        prop_assert_eq!((view.len(), view.is_empty()), (rows.len(), rows.is_empty()));
        for (at, row) in (0..).zip(&rows) {
            prop_assert_eq!(&view.row(at), row);
            prop_assert_eq!(view.length(at) as usize, row.tokens.len());
        }
        prop_assert_eq!(view.lengths().len(), view.labels().len());
    }
}

#[test]
fn a_file_cut_anywhere_or_with_any_bit_flipped_is_an_error() {
    let answers = vec!["Zoë".to_owned(), String::new()];
    let lists = [&[4, 7][..], &[9]].map(RowTarget::List);
    for targets in [[1, 0].map(RowTarget::Class), [-0.5, 3.75].map(RowTarget::Number), lists] {
        let rows = [
            Row { tokens: &[101, 7592, 102], second: 2, target: targets[0], answers: &answers },
            Row { tokens: &[101, 102], second: 2, target: targets[1], answers: &[] },
        ];
        is_an_error_where_it_is_damaged(&rows);
    }
}

fn is_an_error_where_it_is_damaged(rows: &[Row<'_>]) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), Part::Train, rows);
    let path = Layout::store_part(folder.path(), Part::Train);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(TokenStore::open(folder.path()).is_err(), "cut to {length} bytes");
    }
    for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << bit;
        fs::write(&path, damaged).unwrap();
        assert!(TokenStore::open(folder.path()).is_err(), "bit {bit} of byte {at}");
    }
    fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
    assert!(TokenStore::open(folder.path()).is_err(), "one byte too many");
    fs::write(&path, whole).unwrap();
    assert!(TokenStore::open(folder.path()).is_ok());
}

#[test]
fn each_error_names_the_file_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let says = |words: &str| {
        let said = TokenStore::open(folder.path()).unwrap_err().to_string();
        assert!(said.contains("train.tokens") && said.contains(words), "{said}");
    };
    says("No such file");
    let row = Row { tokens: &[1, 2], second: 0, target: RowTarget::Class(0), answers: &[] };
    write(folder.path(), Part::Train, &[row]);
    let path = Layout::store_part(folder.path(), Part::Train);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..HEADER - 1]).unwrap();
    says("is truncated; delete its folder");
    let mut other = whole.clone();
    other[8] = 9;
    fs::write(&path, other).unwrap();
    says("is not a token store of this version; delete its folder");
    let mut damaged = whole;
    damaged[HEADER + 20] ^= 1;
    fs::write(&path, damaged).unwrap();
    says("is damaged; delete its folder");
}

/// Stores of versions before this one, in which the version said what the targets are.
#[test]
fn a_store_of_a_version_before_is_refused_by_name() {
    let stores = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stores");
    for version in ["version_2", "version_3", "version_4"] {
        let said = TokenStore::open(&stores.join(version)).unwrap_err();
        assert!(matches!(said, StoreError::Version { .. }), "{version}: {said}");
    }
}
