//! Changes to sound inputs: the small ones that disks and hands make, and the ones that hurt readers.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Numbers at the edges of what readers count with.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "18446744073709551616",
    "1e999",
    "-0.0",
    "1e-320",
    "NaN",
    "null",
];

/// Bytes that often mean something.
const BYTES: [u8; 16] = *b"\0\n\r\t \"'{}[]:,\\\x7f\xff";

/// Longest input that is made.
const LONGEST: usize = 1 << 20;

/// One of the inputs with up to eight changes.
pub(crate) fn mutate(inputs: &[Vec<u8>], words: &[&str], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut input = pick(inputs, rng).clone();
    for _ in 0..rng.random_range(1..=8) {
        change(&mut input, inputs, words, rng);
    }
    input.truncate(LONGEST);
    input
}

fn change(input: &mut Vec<u8>, inputs: &[Vec<u8>], words: &[&str], rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..=input.len());
    let piece = range(input.len(), rng);
    match rng.random_range(0..11) {
        0 => input.truncate(at),
        1 => drop(input.drain(piece)),
        2 => {
            let copy = input[piece].to_vec();
            let times = rng.random_range(1..=if copy.len() < 16 { 300 } else { 3 });
            drop(input.splice(at..at, copy.repeat(times)));
        }
        3 => {
            let other = pick(inputs, rng);
            let piece = range(other.len(), rng);
            drop(input.splice(at..at, other[piece].iter().copied()));
        }
        4 if !words.is_empty() => drop(input.splice(piece, pick(words, rng).bytes())),
        5 => drop(input.splice(at..at, pick(&NUMBERS, rng).bytes())),
        6 => replace_number(input, rng),
        7 => drop(input.splice(at..at, [*pick(&BYTES, rng)])),
        8 => {
            // A length or an offset, as files of bytes have them.
            let number: u64 = pick(&NUMBERS, rng).parse().unwrap_or(u64::MAX);
            let width = *pick(&[1, 2, 4, 8], rng);
            let end = (at + width).min(input.len());
            input[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
        }
        _ => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
    }
}

/// Puts a number of the edges where the input has one.
fn replace_number(input: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..=input.len());
    let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let digits = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    drop(input.splice(start..start + digits, pick(&NUMBERS, rng).bytes()));
}

/// A piece of so many bytes, more often short than long.
fn range(length: usize, rng: &mut ChaCha8Rng) -> std::ops::Range<usize> {
    let start = rng.random_range(0..=length);
    let most = (length - start) >> rng.random_range(0..8);
    start..start + rng.random_range(0..=most)
}

fn pick<'a, T>(all: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &all[rng.random_range(0..all.len())]
}
