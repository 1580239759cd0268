//! From files on disk to a token store, as a sweep's first job does it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use lorasweep::data::prepare;
use lorasweep::data::store::{TokenStore, store_key};
use lorasweep::disk::layout::Layout;
use lorasweep::job::Prepare;
use lorasweep::tasks::Task;
use lorasweep::values::{ContentHash, Failure, Part};

use super::support::{classification, file, look, task, train_on, write};

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\n##s\n!\ncafe\nbad\n";

struct Bench {
    folder: tempfile::TempDir,
    prepare: Prepare,
}

impl Bench {
    fn new(train: &str, test: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let tokenizer = write(&folder, "vocab.txt", VOCABULARY);
        let mut task =
            Task { max_length: 6, rows: Some(4), ..task(classification(&["title", "text"], &[], &[])) };
        train_on(&mut task, &write(&folder, "train.csv", train));
        let path = write(&folder, "test.csv", test);
        task.test = Some(file(&path, &look(&path, &task, None).expect("the fixture is sound")));
        let store = store_key(&task, ContentHash::of_bytes(VOCABULARY.as_bytes()));
        Self { folder, prepare: Prepare { store, task: Arc::new(task), tokenizer } }
    }

    /// Changes the task.
    fn with(mut self, change: impl FnOnce(&mut Task)) -> Self {
        change(Arc::make_mut(&mut self.prepare.task));
        self
    }

    fn stores(&self) -> PathBuf {
        self.folder.path().join("stores")
    }

    fn run(&self) -> Result<(), Failure> {
        prepare::run(&self.prepare, &self.stores())
    }

    fn store_folder(&self) -> PathBuf {
        Layout::store(&self.stores(), self.prepare.store)
    }

    fn draft_folder(&self) -> PathBuf {
        Layout::store_draft(&self.stores(), self.prepare.store)
    }

    fn store(&self) -> TokenStore {
        TokenStore::open(&self.store_folder()).expect("the store was made")
    }
}

fn bench() -> Bench {
    let train = "title,text,label\nhello,worlds,yes\nbad,,no\nhello,hello,yes\n\"hello\n\",world!,yes\nCAFÉ,x,no\n\
                 hello,bad,yes\nhello,bad,yes\nbad,bad bad bad bad bad,no\n";
    Bench::new(train, "label,text,title\nno,world,\nyes,[SEP],hello\n")
}

#[test]
fn columns_are_joined_tokenised_and_cut_to_the_length() {
    let bench = bench();
    bench.run().unwrap();
    let store = bench.store();
    let test = store.part(Part::Test).unwrap();
    assert_eq!((test.tokens(0), test.target(0).class()), (&[2, 6, 3][..], Some(0)));
    assert_eq!((test.tokens(1), test.target(1).class()), (&[2, 5, 3, 3][..], Some(1)));
    assert!(store.part(Part::Validation).is_none());
    let whole = bench.with(|task| task.rows = None);
    fs::remove_dir_all(whole.stores()).unwrap();
    whole.run().unwrap();
    let store = whole.store();
    let train = store.part(Part::Train).unwrap();
    assert_eq!(train.labels(), [1, 0, 1, 1, 0, 1, 1, 0]);
    assert_eq!(train.tokens(0), [2, 5, 6, 7, 3]);
    assert_eq!(train.tokens(3), [2, 5, 6, 8, 3]);
    assert_eq!(train.tokens(4), [2, 9, 1, 3]);
    assert_eq!(train.tokens(7), [2, 10, 10, 10, 10, 3]);
}

#[test]
fn empty_texts_other_scripts_and_very_long_ones_are_rows_like_others() {
    let long = "hello ".repeat(17_000);
    let unbroken = "x".repeat(100_000);
    let train = format!(
        "title,text,label\n,,yes\n  ,\t,no\n東京 мир,\u{5e9}\u{5dc}\u{5d5}\u{5dd} 🙂,yes\n{long},,no\n{unbroken},,yes\nhello,,no\n"
    );
    let bench = Bench::new(&train, "title,text,label\n,,no\n").with(|task| task.rows = None);
    bench.run().unwrap();
    let store = bench.store();
    let train = store.part(Part::Train).unwrap();
    let rows: Vec<&[u32]> = (0..6).map(|row| train.tokens(row)).collect();
    assert_eq!(train.len(), rows.len());
    assert_eq!(
        rows,
        [&[2, 3][..], &[2, 3], &[2, 1, 1, 1, 1, 3], &[2, 5, 5, 5, 5, 3], &[2, 1, 3], &[2, 5, 3]]
    );
    assert_eq!(store.part(Part::Test).unwrap().tokens(0), [2, 3]);
}

#[test]
fn a_draw_keeps_the_classes_shares() {
    let bench = bench();
    bench.run().unwrap();
    let store = bench.store();
    let train = store.part(Part::Train).unwrap();
    assert_eq!(train.len(), 4);
    // Three of eight rows are `no`: 1.5 of 4, and a tie goes to the class that stands first.
    assert_eq!(train.labels().iter().filter(|label| **label == 0).count(), 2);
}

#[test]
fn an_intact_store_is_kept_and_a_damaged_one_made_again() {
    let bench = bench();
    bench.run().unwrap();
    let file = fs::read_dir(bench.store_folder()).unwrap().next().unwrap().unwrap().path();
    let made = fs::metadata(&file).unwrap().modified().unwrap();
    bench.run().unwrap();
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), made);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    // What a process that was killed at work leaves behind is in nobody's way.
    fs::create_dir(bench.draft_folder()).unwrap();
    bench.run().unwrap();
    assert_eq!(fs::read(&file).unwrap(), whole);
    fs::remove_file(&file).unwrap();
    bench.run().unwrap();
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert!(!bench.draft_folder().exists());
}

#[test]
fn a_store_of_a_version_before_is_made_again() {
    let bench = bench();
    bench.run().unwrap();
    let file = Layout::store_part(&bench.store_folder(), Part::Train);
    let made = fs::read(&file).unwrap();
    let before = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stores/version_2/train.tokens");
    fs::copy(before, &file).unwrap();
    bench.run().unwrap();
    assert_eq!(fs::read(&file).unwrap(), made);
}

#[test]
fn what_is_no_longer_as_checked_is_bad_data_and_leaves_no_store() {
    let says = |bench: &Bench, words: &str| {
        let Err(Failure::BadData { message }) = bench.run() else { panic!("`{words}` was expected") };
        assert!(message.contains(words), "{message}");
        assert!(!bench.store_folder().exists());
    };
    let changed = bench();
    fs::write(&changed.prepare.task.train.path, "title,text,label\nhello,,yes\n").unwrap();
    says(&changed, "train.csv`: the content has changed since it was checked; start the sweep again");
    let gone = bench();
    fs::remove_file(&gone.prepare.task.test.as_ref().unwrap().path).unwrap();
    says(&gone, "test.csv`: cannot be read: No such file");
    let mut untokenised = bench();
    untokenised.prepare.tokenizer = untokenised.folder.path().join("nowhere");
    says(&untokenised, "neither a tokenizer.json nor a vocab.txt");
    let short = bench().with(|task| task.max_length = 2);
    says(&short, "max_length 2 leaves no room");
    let in_the_way = bench();
    fs::write(in_the_way.stores(), "").unwrap();
    says(&in_the_way, "cannot write the token store");
}

#[test]
fn a_share_of_the_drawn_rows_becomes_test_rows() {
    let bench = bench().with(|task| {
        task.test = None;
        task.test_fraction = Some(0.25);
        task.rows = None;
    });
    bench.run().unwrap();
    let store = bench.store();
    let [train, test] = [Part::Train, Part::Test].map(|part| store.part(part).unwrap());
    // Three of eight rows are `no`.
    assert_eq!((train.len(), test.len()), (6, 2));
    assert_eq!((train.len(), test.len()), (bench.prepare.task.train_rows(), bench.prepare.task.test_rows()));
    let of = |part: &lorasweep::data::store::PartView| {
        (0..part.len() as u32).map(|row| part.tokens(row).to_vec()).collect::<Vec<_>>()
    };
    let mut all = [of(train), of(test)].concat();
    all.sort_unstable();
    let whole = self::bench().with(|task| task.rows = None);
    whole.run().unwrap();
    let mut expected = of(whole.store().part(Part::Train).unwrap());
    expected.sort_unstable();
    assert_eq!(all, expected);
    assert_eq!([train, test].map(|part| part.labels().iter().filter(|l| **l == 0).count()), [2, 1]);
    // The store of a task with test rows is not taken for one without.
    let other = Bench { folder: bench.folder, prepare: bench.prepare }.with(|task| task.test_fraction = None);
    other.run().unwrap();
    assert!(other.store().part(Part::Test).is_none());
}
