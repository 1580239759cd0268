//! What columns are told apart by.

use super::*;
use crate::spec::starter::guess::Guess;

fn column(name: &str, values: &[&str]) -> Column {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    Column::of(name, &values)
}

/// The same values over and over, so that they can be classes.
fn many(name: &str, values: &[&str]) -> Column {
    column(name, &values.repeat(10))
}

#[test]
fn words_are_told_from_what_is_none() {
    for text in ["a good film", "Ärger mit der Bank", "これは良い映画です", "no", "it's 5 stars!", "Hello"]
    {
        assert!(is_language(text), "{text}");
    }
    for text in [
        "2024-03-01",
        "12.5",
        "https://example.org/a-page",
        "a@b.org",
        "550e8400-e29b-41d4-a716-446655440000",
        "{\"a\": \"some words\"}",
        "['a', 'b']",
        "usr/local/bin",
        "A1B2C3D4E5F6G7H8",
        "(555) 123-4567",
    ] {
        assert!(!is_language(text), "{text}");
    }
}

#[test]
fn the_text_has_words_and_not_the_longest_values() {
    let json = "{\"id\": 123456789012345678901234567890, \"source\": \"a long machine readable value\", \"more\": [1, 2]}";
    let columns = [
        many("id", &["550e8400-e29b-41d4-a716-446655440000", "650e8400-e29b-41d4-a716-446655440000"]),
        many(
            "url",
            &["https://example.org/a-very-long-address/with/many/parts/and-words-in-it-of-every-kind"; 2],
        ),
        many("meta", &[json; 2]),
        many("when", &["2024-03-01 12:00:00", "2024-03-02 13:00:00"]),
        column(
            "comment",
            &["I was charged twice", "they never wrote back to me", "fine by me", "all is well"].repeat(5),
        ),
        many("label", &["good", "bad"]),
    ];
    let guess = Guess::labelled(&columns, false);
    assert_eq!((guess.text, guess.pair), (vec!["comment".to_owned()], None));
    assert_eq!(guess.label.unwrap().name, "label");
}

#[test]
fn a_pair_is_known_by_its_names_and_a_title_joins_its_body() {
    let text = |name: &str| many(name, &["one two three", "four five six"]);
    let label = || many("gold", &["yes", "no"]);
    let guess = Guess::labelled(&[text("premise"), text("hypothesis"), label()], false);
    assert_eq!((guess.text, guess.pair), (vec!["premise".to_owned()], Some("hypothesis".to_owned())));
    let guess = Guess::labelled(&[label(), text("title"), text("description")], false);
    assert_eq!((guess.text, guess.pair), (vec!["title".to_owned(), "description".to_owned()], None));
}

#[test]
fn the_label_is_the_column_with_the_name_and_the_others_are_named() {
    let columns = [
        many("timely", &["Yes", "No"]),
        many("state", &["CA", "NY", "TX"]),
        many("Category", &["loan", "card", "bank", "debt"]),
        column(
            "text",
            &["some words here", "and some more of them", "other words", "the last words"].repeat(10),
        ),
    ];
    let guess = Guess::labelled(&columns, false);
    assert_eq!(guess.label.unwrap().name, "Category");
    let others: Vec<&str> = guess.other_labels.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(others, ["timely", "state"]);
    // A constant, a number for each row and a sentence are no labels.
    let none = [
        many("all", &["x"]),
        column("n", &["1", "2", "3", "4"]),
        many("s", &["one two three four five six seven eight nine"; 2]),
    ];
    assert!(Guess::labelled(&none, false).label.is_none());
}

#[test]
fn missing_values_are_counted() {
    let label = column("label", &["a", "", "b", " ", "a", "b"]);
    assert_eq!((label.empty, label.classes.len(), label.smallest(), label.largest()), (2, 2, 2, 2));
    assert!(label.can_be_label());
}
