//! Owns how tags of words make spans: `B-`, `I-`, `E-` and `S-` with a type, or `O` for none (Ramshaw and Marcus 1995),
//! read leniently as CoNLL's and seqeval's evaluation does: a span may begin with `I-`. Pure.

use std::collections::BTreeSet;

/// What a tag says of its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It belongs to no span.
    Outside,
    /// It begins a span.
    Begin,
    /// It is inside one.
    Inside,
    /// It ends one.
    End,
    /// It is a span by itself.
    Single,
}

/// The meaning of each of a task's tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scheme {
    /// Each tag's part, and the type of its span.
    tags: Vec<(Part, String)>,
    /// The tag that says that a word belongs to no span.
    pub(super) outside: Option<u32>,
}

/// A span: its type, its first word and its last one.
type Span<'a> = (&'a str, usize, usize);

impl Scheme {
    /// The scheme of these tags; `None` where one of them is no part of a span, or all words are outside.
    pub(super) fn of(labels: &[String]) -> Option<Self> {
        let tags: Vec<(Part, String)> = labels.iter().map(|label| part(label)).collect::<Option<_>>()?;
        let outside = tags.iter().position(|(part, _)| *part == Part::Outside);
        let outside = outside.and_then(|place| u32::try_from(place).ok());
        tags.iter().any(|(part, _)| *part != Part::Outside).then_some(Self { tags, outside })
    }

    /// The spans of a row's tags; a word without one belongs to none.
    pub(super) fn spans(&self, row: impl Iterator<Item = Option<u32>>) -> BTreeSet<Span<'_>> {
        let mut spans = BTreeSet::new();
        let mut open: Option<(Part, Span<'_>)> = None;
        for (place, tag) in row.enumerate() {
            let (part, kind) = tag
                .and_then(|tag| self.tags.get(tag as usize))
                .map_or((Part::Outside, ""), |(part, kind)| (*part, kind.as_str()));
            let goes_on = open.is_some_and(|(before, (of, ..))| continues(before, part) && of == kind);
            open = match (part, open) {
                (Part::Outside, ended) => {
                    spans.extend(ended.map(|(_, span)| span));
                    None
                }
                (_, Some((_, (of, first, _)))) if goes_on => Some((part, (of, first, place))),
                (_, ended) => {
                    spans.extend(ended.map(|(_, span)| span));
                    Some((part, (kind, place, place)))
                }
            };
        }
        spans.extend(open.map(|(_, span)| span));
        spans
    }
}

/// Whether a word goes on with the span of the word before it, if both are of one type.
fn continues(before: Part, part: Part) -> bool {
    matches!(before, Part::Begin | Part::Inside) && matches!(part, Part::Inside | Part::End)
}

/// What a tag means; `None` for a tag of another kind.
fn part(tag: &str) -> Option<(Part, String)> {
    if tag == "O" {
        return Some((Part::Outside, String::new()));
    }
    let (part, kind) = tag.split_once('-').unwrap_or((tag, ""));
    let part = match part {
        "B" => Part::Begin,
        "I" => Part::Inside,
        // In BILOU the last word has `L`, and a word by itself `U`.
        "E" | "L" => Part::End,
        "S" | "U" => Part::Single,
        _ => return None,
    };
    Some((part, kind.to_owned()))
}

/// Whether a text has a tag that goes on with a span which the tag before did not begin. Every such tag begins a span
/// of its own.
pub fn is_unbegun<'t>(tags: impl Iterator<Item = &'t str>) -> bool {
    let mut before: Option<(Part, String)> = None;
    for tag in tags {
        let Some((part, kind)) = part(tag) else { return false };
        let goes_on = before.as_ref().is_some_and(|(before, of)| continues(*before, part) && *of == kind);
        if matches!(part, Part::Inside | Part::End) && !goes_on {
            return true;
        }
        before = Some((part, kind));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(tags: &str) -> Vec<(String, usize, usize)> {
        let labels: Vec<String> = ["O", "B-X", "I-X", "B-Y", "I-Y", "E-X", "S-X"].map(str::to_owned).to_vec();
        let scheme = Scheme::of(&labels).unwrap();
        let index =
            |tag: &str| labels.iter().position(|label| label == tag).map(|at| u32::try_from(at).unwrap());
        let found = scheme.spans(tags.split_whitespace().map(index));
        found.into_iter().map(|(kind, first, last)| (kind.to_owned(), first, last)).collect()
    }

    fn of(found: &[(&str, usize, usize)]) -> Vec<(String, usize, usize)> {
        found.iter().map(|(kind, first, last)| ((*kind).to_owned(), *first, *last)).collect()
    }

    /// `seqeval.metrics.sequence_labeling.get_entities`, 1.2.2.
    #[test]
    fn spans_are_those_of_seqeval() {
        assert_eq!(spans("B-X I-X O B-Y"), of(&[("X", 0, 1), ("Y", 3, 3)]));
        assert_eq!(spans("I-X I-X"), of(&[("X", 0, 1)]));
        assert_eq!(spans("B-X B-X"), of(&[("X", 0, 0), ("X", 1, 1)]));
        assert_eq!(spans("B-X I-Y I-Y"), of(&[("X", 0, 0), ("Y", 1, 2)]));
        assert_eq!(spans("O I-Y B-Y I-X"), of(&[("X", 3, 3), ("Y", 1, 1), ("Y", 2, 2)]));
        assert_eq!(spans("B-X I-X E-X I-X"), of(&[("X", 0, 2), ("X", 3, 3)]));
        assert_eq!(spans("S-X S-X E-X"), of(&[("X", 0, 0), ("X", 1, 1), ("X", 2, 2)]));
        assert_eq!(spans("O O"), of(&[]));
    }

    #[test]
    fn tags_of_another_kind_make_no_spans() {
        let of = |labels: &[&str]| Scheme::of(&labels.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(of(&["NN", "VB"]).is_none() && of(&["O"]).is_none() && of(&["O", "X-PER"]).is_none());
        assert!(of(&["O", "B", "I"]).is_some() && of(&["I-PER-son", "O"]).is_some());
    }

    #[test]
    fn a_span_that_no_tag_began_is_seen() {
        let is = |tags: &str| is_unbegun(tags.split_whitespace());
        assert!(is("O I-X") && is("B-X I-Y") && is("S-X I-X") && is("E-X"));
        assert!(!is("B-X I-X E-X S-X O") && !is("NN VB") && !is(""));
    }
}
