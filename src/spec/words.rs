//! Owns how messages write names: quoted, shortened if very long, and the most likely intended name. Knows no
//! meaning.

/// Longest part of a name shown in a message, in characters.
const LONGEST_NAME: usize = 80;

/// Words in backticks with commas between them.
pub(super) fn quoted<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A name for a message, shortened if it is very long.
pub(super) fn short(name: &str) -> String {
    let mut shown: String = name.chars().take(LONGEST_NAME).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

/// The known word of which `found` is most likely a misspelling.
pub(super) fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    if found.len() > LONGEST_NAME {
        return None;
    }
    let found = found.to_lowercase();
    let beginning = known.iter().find(|word| found.len() >= 3 && word.to_lowercase().starts_with(&found));
    if let Some(word) = beginning {
        return Some(word);
    }
    let distance = |word: &str| strsim::damerau_levenshtein(&found, &word.to_lowercase());
    known
        .iter()
        .map(|word| (distance(word), *word))
        .min()
        .filter(|(distance, word)| *distance <= word.chars().count().max(3) / 3)
        .map(|(_, word)| word)
}
