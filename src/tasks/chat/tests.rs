use std::path::Path;

use super::*;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/chat"))
}

fn chat() -> Chat {
    let template = std::fs::read_to_string(folder().join("chatml.jinja")).unwrap();
    Chat { template: Some(template), ..Chat::EMPTY }
}

fn told(all: &[(Role, &str)]) -> Conversation {
    Conversation { turns: all.iter().map(|(role, content)| Turn::new(*role, *content)).collect() }
}

fn long() -> Conversation {
    told(&[
        (Role::User, "the cat"),
        (Role::Assistant, "sat on the mat"),
        (Role::User, "Why?"),
        (Role::Assistant, "because it is"),
    ])
}

fn encoded(kind: &Chat, rows: Vec<Conversation>, max_length: usize) -> Vec<EncodedRow> {
    let tokenizer = Tokenizer::load(folder()).unwrap();
    kind.encode(&Examples::Conversations(rows), Encoder { tokenizer: &tokenizer, max_length }).unwrap()
}

fn row(encoded: &EncodedRow) -> Row<'_> {
    let EncodedRow { sequence, target, answers } = encoded;
    Row { tokens: &sequence.tokens, second: sequence.second, target: target.borrowed(), answers }
}

/// What is learned of a row, as text with its special tokens.
fn learned(kind: &Chat, encoded: &EncodedRow) -> String {
    let tokenizer = Tokenizer::load(folder()).unwrap();
    let wanted = kind.predictions(row(encoded)).unwrap();
    let said = wanted.iter().map(|one| tokenizer.token(one.wanted).unwrap().replace('Ġ', " "));
    assert!(wanted.iter().all(|one| encoded.sequence.tokens[one.reads as usize + 1] == one.wanted));
    said.collect()
}

#[test]
fn the_assistants_tokens_and_what_ends_its_turns_are_learned() {
    let rows = encoded(&chat(), vec![long()], 4096);
    assert_eq!(learned(&chat(), &rows[0]), "sat on the mat<|im_end|>because it is<|im_end|>");
    let all = Chat { loss_on: LossOn::All, ..chat() };
    let rows = encoded(&all, vec![long()], 4096);
    assert_eq!(all.predictions(row(&rows[0])).unwrap().len(), rows[0].sequence.tokens.len() - 1);
}

#[test]
fn an_answer_is_asked_for_where_the_last_turn_begins_and_has_its_own_end() {
    let rows = encoded(&chat(), vec![long()], 4096);
    let tokenizer = Tokenizer::load(folder()).unwrap();
    let begin = &rows[0].sequence.tokens[..rows[0].sequence.second as usize];
    assert!(tokenizer.decode(begin).unwrap().ends_with("assistant\n"));
    let stop = chat().stop(row(&rows[0])).unwrap();
    assert_eq!(tokenizer.token(stop).unwrap(), "<|im_end|>");
    assert_eq!(rows[0].answers, ["because it is"]);
    let (prompt, end) = chat().prompt("the cat", &tokenizer).unwrap();
    assert_eq!(end, Some(stop));
    let first = encoded(&chat(), vec![told(&[(Role::User, "the cat"), (Role::Assistant, "sat")])], 4096);
    assert_eq!(prompt, first[0].sequence.tokens[..first[0].sequence.second as usize]);
}

#[test]
fn conversations_are_cut_at_a_turn_or_left_out() {
    let whole = encoded(&chat(), vec![long()], 4096);
    let length = whole[0].sequence.tokens.len();
    let short = told(&[(Role::User, "Why?"), (Role::Assistant, "so")]);
    let rows = encoded(&chat(), vec![long(), short.clone()], length - 1);
    assert_eq!(rows.len(), 2);
    assert_eq!(learned(&chat(), &rows[0]), "sat on the mat<|im_end|>");
    assert_eq!(rows[0].answers, ["sat on the mat"]);
    let least = rows[1].sequence.tokens.len();
    let left = encoded(&chat(), vec![long(), short], least);
    assert_eq!(left.len(), 1, "the first exchange of the other is longer");
    let tokenizer = Tokenizer::load(folder()).unwrap();
    let unfit = |max_length| {
        let by = Encoder { tokenizer: &tokenizer, max_length };
        chat().unfit(&Examples::Conversations(vec![long()]), by).unwrap()
    };
    assert_eq!([unfit(length - 1), unfit(least)], [0, 1]);
}

#[test]
fn a_system_message_stands_before_conversations_that_have_none() {
    let kind = Chat { system: Some("Hello!".to_owned()), ..chat() };
    let tokenizer = Tokenizer::load(folder()).unwrap();
    let own = told(&[(Role::System, "Be kind."), (Role::User, "Why?"), (Role::Assistant, "so")]);
    let rows = encoded(&kind, vec![long(), own], 4096);
    let texts: Vec<String> = rows.iter().map(|row| tokenizer.decode(&row.sequence.tokens).unwrap()).collect();
    assert!(texts[0].starts_with("system\nHello!\n"), "{}", texts[0]);
    assert!(texts[1].starts_with("system\nBe kind.\n"), "{}", texts[1]);
}

#[test]
fn a_tokenizer_without_a_template_is_an_error_that_says_how_to_give_one() {
    let tokenizer = Tokenizer::load(folder()).unwrap();
    let by = Encoder { tokenizer: &tokenizer, max_length: 64 };
    let error = Chat::EMPTY.encode(&Examples::Conversations(vec![long()]), by).unwrap_err();
    assert!(error.to_string().contains("`chat_template: chat.jinja`"), "{error}");
}

#[test]
fn keys_become_settings() {
    let mut given = Given::default();
    assert_eq!(Chat::EMPTY.objective(&given, Classes::default()), Some(Objective::Chat(Chat::EMPTY)));
    given.say("loss_on", "all");
    given.say("system", "s");
    given.say(TEMPLATE, "t");
    given.count("max_new_tokens", 7);
    let objective = Chat::EMPTY.objective(&given, Classes::default());
    let Some(Objective::Chat(found)) = objective else { panic!("{objective:?}") };
    let [template, system] = ["t", "s"].map(|text| Some(text.to_owned()));
    assert_eq!(found, Chat { template, system, loss_on: LossOn::All, max_new_tokens: None });
    assert_eq!(found.metrics().len(), WITHOUT_ANSWERS);
    given.set("generate", true);
    let objective = Chat::EMPTY.objective(&given, Classes::default()).unwrap();
    assert_eq!((objective.generates(), objective.metrics().len()), (Some(7), METRICS.len()));
}

#[test]
fn tokens_and_answers_are_scored() {
    let kind = Chat { max_new_tokens: Some(9), ..chat() };
    let rows = encoded(&kind, vec![long()], 4096);
    let row = row(&rows[0]);
    let wanted = kind.predictions(row).unwrap();
    let losses = vec![0.5; wanted.len()];
    let mut answers: Vec<f64> = wanted.iter().map(|one| f64::from(one.wanted)).collect();
    answers[0] += 1.0;
    let mut tally = kind.tally();
    tally.add_text(3, " because it was\n", row);
    tally.add(&Answered { index: 3, row, losses: &losses, answers: &answers });
    let scores = tally.scores();
    #[expect(clippy::cast_precision_loss, reason = "a handful of tokens")]
    let right = 1.0 - 1.0 / wanted.len() as f64;
    assert_eq!((scores.loss(), scores.get(Metric::ExactMatch)), (Some(0.5), Some(0.0)));
    assert!((scores.get(Metric::TokenAccuracy).unwrap() - right).abs() < 1e-12);
    assert!((scores.get(Metric::RougeL).unwrap() - 2.0 / 3.0).abs() < 1e-12);
    let judged = tally.take_rows();
    let RowAnswer::Text { text, exact_match, .. } = &judged[0].answer else { panic!("{judged:?}") };
    assert_eq!((text.as_str(), *exact_match), ("because it was", false));
    let nothing = Chat::EMPTY.tally().scores();
    assert_eq!((nothing.loss(), nothing.get(Metric::TokenAccuracy)), (Some(0.0), Some(0.0)));
}
