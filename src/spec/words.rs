//! Owns how messages write names: quoted, cut where they are very long, and the one that was meant.

/// Longest piece of a name that a message shows, in characters.
const LONGEST_NAME: usize = 80;

/// Words in backticks with commas between them.
pub(super) fn quoted<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A name as a message shows it: its beginning where it is very long.
pub(super) fn short(name: &str) -> String {
    let mut shown: String = name.chars().take(LONGEST_NAME).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

/// The known word that `found` is most likely a slip of.
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
