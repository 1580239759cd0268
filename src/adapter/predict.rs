//! Owns prediction: texts in, classes, scores or generated text out. Trains nothing.

mod tagged;

use tch::{Device, Kind, Tensor};

use super::error::AdapterError;
use super::model::Loaded;
use crate::data::{batches, clean};
use crate::families::Architecture;
use crate::model::params::index;
use crate::model::pass::Pass;
use crate::model::{InputRow, Inputs, Model};
use crate::tasks::{Encoder, Problem, Prompts, Purpose};
use crate::tokenizer::Tokenizer;

/// Most tokens in one batch, padding counted.
pub(super) const BATCH_TOKENS: usize = 4096;
/// Prompts continued in one batch.
const PROMPTS: usize = 16;
/// Default length limit of generated text, in tokens.
const DEFAULT_NEW_TOKENS: usize = 50;

/// The input of a prediction.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Texts, prompts or questions.
    pub texts: &'a [String],
    /// The second text of each pair, or the context of each question.
    pub seconds: Option<&'a [String]>,
    /// Longest generated text, in tokens.
    pub max_new_tokens: Option<usize>,
    /// Whether to return the logits.
    pub logits: bool,
}

/// A model's answer for one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The answer itself.
    pub kind: AnswerKind,
    /// Logits of the classes, or of the token that follows the prompt; empty unless requested.
    pub logits: Vec<f32>,
}

/// An answer, by the model's purpose.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerKind {
    /// One class.
    Label {
        /// Its name.
        label: String,
        /// The probability of each class, by index.
        probabilities: Vec<f32>,
    },
    /// Any number of classes, each judged by itself.
    Labels {
        /// The names of the classes whose probability reaches the model's threshold.
        labels: Vec<String>,
        /// The probability of each class, by index.
        probabilities: Vec<f32>,
    },
    /// The predicted numbers: one, or several for a regression with several outputs.
    Scores(Vec<f32>),
    /// A tag for each word of the text, as it stands between blanks.
    Tags {
        /// The words.
        words: Vec<String>,
        /// The tag of each; `None` for a word that was cut off.
        tags: Vec<Option<String>>,
        /// The probability of each tag; 0 for a word that was cut off.
        probabilities: Vec<f32>,
    },
    /// The continuation of the text, or the answer to the question.
    Text(String),
}

/// The model's answers, one per text.
///
/// # Errors
/// When the tokenizer is not the model's, or the model cannot answer such a question.
pub fn predict(loaded: &Loaded, question: &Question<'_>) -> Result<Vec<Answer>, AdapterError> {
    let tokenizer = Tokenizer::load(&loaded.tokenizer)?;
    let rows = loaded.manifest.architecture.vocab_size();
    if tokenizer.vocabulary_size() > rows {
        return Err(AdapterError::Vocabulary { highest: tokenizer.vocabulary_size() - 1, rows });
    }
    let mut texts = question.texts.to_vec();
    clean::strip(&mut texts, &loaded.manifest.cleaning);
    let mut seconds = question.seconds.map(<[String]>::to_vec);
    if let Some(seconds) = &mut seconds {
        clean::strip(seconds, &loaded.manifest.cleaning);
    }
    let question = &Question { texts: &texts, seconds: seconds.as_deref(), ..*question };
    let model = loaded.model();
    tch::no_grad(|| match &loaded.manifest.purpose {
        Purpose::Classification { labels, pairs, problem } => {
            if *pairs && question.seconds.is_none() {
                return Err(AdapterError::Question {
                    message: "the model reads pairs of texts, and only one text is given".to_owned(),
                    hint: "give the second text, or its column, with `--pair`".to_owned(),
                });
            }
            classify(loaded, (&model, &tokenizer), (labels, *problem), question)
        }
        Purpose::Tagging { labels } => tagged::tag(loaded, (&model, &tokenizer), labels, question),
        Purpose::LanguageModelling | Purpose::QuestionAnswering(_) | Purpose::Chat(_) => {
            go_on(loaded, (&model, &tokenizer), Asked::of(loaded, &tokenizer, question)?, question)
        }
    })
}

fn classify(
    loaded: &Loaded,
    (model, tokenizer): (&Model, &Tokenizer),
    (labels, problem): (&[String], Problem),
    question: &Question<'_>,
) -> Result<Vec<Answer>, AdapterError> {
    let architecture = &loaded.manifest.architecture;
    let max_length = loaded.manifest.max_length.min(architecture.max_length());
    let rows = tokenizer.encode_rows(question.texts, question.seconds, max_length)?;
    let mut answers: Vec<Option<Answer>> = vec![None; rows.len()];
    let lengths: Vec<u32> =
        rows.iter().map(|row| u32::try_from(row.tokens.len()).unwrap_or(u32::MAX)).collect();
    let all: Vec<u32> = (0..).take(rows.len()).collect();
    for batch in batches::evaluation(&all, &lengths, BATCH_TOKENS) {
        let input = |row: &u32| InputRow::from(&rows[*row as usize]);
        let inputs = inputs(batch.iter().map(input).collect(), architecture);
        let pass = &mut Pass::evaluation();
        let logits = model.classify(&model.trunk(&inputs, pass), pass).get(0);
        let values = match problem {
            Problem::SingleLabel => logits.softmax(-1, Kind::Float),
            Problem::MultiLabel => logits.sigmoid(),
            Problem::Regression => logits.shallow_clone(),
        };
        for (place, row) in (0..).zip(&batch) {
            let threshold = loaded.manifest.threshold.unwrap_or(0.5);
            let kind = answer((labels, threshold), problem, host(&values.get(place)));
            let logits = if question.logits { host(&logits.get(place)) } else { Vec::new() };
            answers[*row as usize] = Some(Answer { kind, logits });
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

/// The answer that one text's numbers mean.
fn answer((labels, threshold): (&[String], f64), problem: Problem, values: Vec<f32>) -> AnswerKind {
    match problem {
        Problem::SingleLabel => {
            let best = (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]));
            let label = best.and_then(|best| labels.get(best)).cloned().unwrap_or_default();
            AnswerKind::Label { label, probabilities: values }
        }
        Problem::MultiLabel => {
            let right =
                labels.iter().zip(&values).filter(|(_, probability)| f64::from(**probability) >= threshold);
            AnswerKind::Labels {
                labels: right.map(|(label, _)| label.clone()).collect(),
                probabilities: values,
            }
        }
        Problem::Regression => AnswerKind::Scores(values),
    }
}

/// What a model that writes is asked.
struct Asked {
    prompts: Vec<Vec<u32>>,
    /// The token that ends an answer, besides the one that ends a text.
    stop: Option<u32>,
    /// Longest answer where the caller does not say it, in tokens.
    longest: Option<usize>,
    /// Whether an answer is a text of its own, rather than the rest of one.
    answers: bool,
}

impl Asked {
    fn of(loaded: &Loaded, tokenizer: &Tokenizer, question: &Question<'_>) -> Result<Self, AdapterError> {
        let plain = || tokenizer.encode_plain(question.texts);
        let manifest = &loaded.manifest;
        Ok(match (&manifest.purpose, question.seconds) {
            (Purpose::QuestionAnswering(answering), seconds) => {
                let prompts = match seconds {
                    Some(contexts) => {
                        let max_length = manifest.max_length.min(manifest.architecture.max_length());
                        let by = Encoder { tokenizer, max_length };
                        let prompts = Prompts::new(answering, by).map_err(unanswerable)?;
                        let pairs = contexts.iter().zip(question.texts);
                        let prompts = pairs.map(|(context, text)| prompts.prompt(context, text, 0));
                        prompts.collect::<Result<_, _>>().map_err(unanswerable)?
                    }
                    None => plain()?,
                };
                Self { prompts, stop: None, longest: Some(answering.max_new_tokens), answers: true }
            }
            (Purpose::Chat(chat), _) => {
                let prompts = question.texts.iter().map(|text| chat.prompt(text, tokenizer));
                let prompts: Vec<_> = prompts.collect::<Result<_, _>>().map_err(unwritable)?;
                let stop = prompts.iter().find_map(|(_, stop)| *stop);
                let prompts = prompts.into_iter().map(|(prompt, _)| prompt).collect();
                Self { prompts, stop, longest: chat.max_new_tokens, answers: true }
            }
            (Purpose::LanguageModelling | Purpose::Classification { .. } | Purpose::Tagging { .. }, _) => {
                Self { prompts: plain()?, stop: None, longest: None, answers: false }
            }
        })
    }
}

fn go_on(
    loaded: &Loaded,
    (model, tokenizer): (&Model, &Tokenizer),
    asked: Asked,
    question: &Question<'_>,
) -> Result<Vec<Answer>, AdapterError> {
    let end = tokenizer.end_of_text().ok_or_else(|| AdapterError::Question {
        message: "the tokenizer has no token that ends a text".to_owned(),
        hint: "name it as `eos_token` in tokenizer_config.json".to_owned(),
    })?;
    let architecture = &loaded.manifest.architecture;
    let Asked { prompts, stop, longest, answers: whole } = asked;
    let ends: Vec<u32> = stop.into_iter().chain([end]).collect();
    // A model has no positions beyond its longest sequence.
    let new =
        question.max_new_tokens.or(longest).unwrap_or(DEFAULT_NEW_TOKENS).min(architecture.max_length());
    // The end of a prompt matters most, so its start is cut; where prompt and generated text both need more
    // room, each gets half of the positions.
    let room = architecture.max_length() - new.min(architecture.max_length() / 2);
    let fitted = prompts.into_iter().map(|mut prompt: Vec<u32>| {
        prompt.drain(..prompt.len().saturating_sub(room));
        if prompt.is_empty() { vec![end] } else { prompt }
    });
    let prompts: Vec<Vec<u32>> = fitted.collect();
    let mut answers = Vec::with_capacity(prompts.len());
    for some in prompts.chunks(PROMPTS) {
        let some: Vec<&[u32]> = some.iter().map(Vec::as_slice).collect();
        for (prompt, tokens) in some.iter().zip(model.generate(&some, new, &ends)) {
            let text = tokenizer.decode(&tokens)?;
            let text = if whole { text.trim().to_owned() } else { text };
            let logits = if question.logits { next(model, prompt, architecture) } else { Vec::new() };
            answers.push(Answer { kind: AnswerKind::Text(text), logits });
        }
    }
    Ok(answers)
}

/// Logits of the token that follows a prompt.
fn next(model: &Model, prompt: &[u32], architecture: &Architecture) -> Vec<f32> {
    let last = Tensor::from_slice(&[index(prompt.len()) - 1]).view([1, 1]);
    let inputs = inputs(vec![InputRow { tokens: prompt, second: prompt.len() }], architecture);
    let pass = &mut Pass::evaluation();
    host(&model.next_tokens(&model.trunk(&inputs, pass), &last, pass).view([-1]))
}

/// A batch of one slot.
pub(super) fn inputs(rows: Vec<InputRow<'_>>, architecture: &Architecture) -> Inputs {
    Inputs::of_rows(&[rows], architecture.padding())
}

pub(super) fn host(values: &Tensor) -> Vec<f32> {
    Vec::try_from(values.to_device(Device::Cpu).to_kind(Kind::Float)).expect("a vector of 32-bit numbers")
}

fn unanswerable(error: impl std::fmt::Display) -> AdapterError {
    AdapterError::Question {
        message: error.to_string(),
        hint: "shorten the question, or give the whole prompt as the text, without `--pair`".to_owned(),
    }
}

fn unwritable(error: impl std::fmt::Display) -> AdapterError {
    AdapterError::Question {
        message: error.to_string(),
        hint: "put the tokenizer's files beside the model again, its chat template among them".to_owned(),
    }
}
