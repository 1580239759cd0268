//! Bytes that nobody meant: every reader of files gets its corpus, and mutations of it, and must
//! answer or refuse. It never panics, and it never takes long.
//!
//! Each target is a test. It runs for `FUZZ_SECONDS` (1 by default; `make fuzz` gives it ten
//! minutes) from a seed that is printed and can be set as `FUZZ_SEED`. An input that fails is put into
//! `corpus/<target>`, and is a test from then on. One that ends the process or hangs is the last one
//! written to the build's `tmp/fuzz/<target>`.

#![expect(clippy::unwrap_used, reason = "a harness that cannot work should end")]

mod data;
mod mutate;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use lorasweep::values::ContentHash;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// An input may take this long, also where nothing is optimised.
const SLOW: Duration = Duration::from_secs(20);

/// What stands between the files of an input that is several.
const BETWEEN: &[u8] = b"\n%%%%\n";

/// A reader and what it reads.
struct Target {
    name: &'static str,
    /// The names of its files, in the order in which an input has them.
    files: &'static [&'static str],
    /// Inputs that are sound.
    seeds: Vec<Vec<u8>>,
    /// Pieces that mean something to it.
    words: &'static [&'static str],
    /// Reads the files in a folder.
    read: fn(&Path),
}

impl Target {
    /// Replays the corpus, then mutates it for as long as is asked for.
    #[expect(clippy::print_stdout, reason = "who repeats a run needs its seed")]
    fn run(&self) {
        let seconds = number("FUZZ_SECONDS").unwrap_or(1);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed = number("FUZZ_SEED").unwrap_or(now.as_secs());
        println!("{}: FUZZ_SEED={seed}", self.name);
        let mut inputs = self.seeds.clone();
        inputs.extend(kept(&self.corpus()));
        for input in &inputs {
            self.attempt(input);
        }
        let (begun, mut count) = (Instant::now(), inputs.len());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        while begun.elapsed() < Duration::from_secs(seconds) {
            self.attempt(&mutate::mutate(&inputs, self.words, &mut rng));
            count += 1;
        }
        println!("{}: {count} inputs", self.name);
    }

    /// Reads one input; one that fails is kept.
    fn attempt(&self, input: &[u8]) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(self.name);
        fs::create_dir_all(&folder).unwrap();
        let mut parts = split(input).into_iter();
        for file in self.files {
            fs::write(folder.join(file), parts.next().unwrap_or_default()).unwrap();
        }
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.read)(&folder)));
        let took = begun.elapsed();
        if outcome.is_err() || took > SLOW {
            let path = self.corpus().join(ContentHash::of_bytes(input).to_string());
            fs::create_dir_all(self.corpus()).unwrap();
            fs::write(&path, input).unwrap();
            panic!("{} failed after {took:?}; the input is now {}", self.name, path.display());
        }
    }

    fn corpus(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(self.name)
    }
}

/// The files of a corpus, in order.
fn kept(corpus: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(corpus).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn split(input: &[u8]) -> Vec<&[u8]> {
    let (mut parts, mut rest) = (Vec::new(), input);
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        parts.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    parts.push(rest);
    parts
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
