//! Owns chat: the assistant's turns of conversations, written out by a chat template; cross-entropy on the
//! assistant's tokens alone, and scores of answers that are generated. Reads no file and trains nothing.

mod rouge;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::keys::{Given, KeyValue, TaskKey};
use super::kind::{
    Answered, Constant, EncodeError, EncodedRow, Encoder, Measured, Prediction, Row, Tally, TaskKind, Words,
    next_tokens,
};
use super::language_modelling::TokenLosses;
use super::{Classes, Conversation, Examples, Fields, Objective, Purpose, RowTarget};
use crate::families::Head;
use crate::tokenizer::{ChatError, ChatTemplate, EncodedChat, Role, Sequence, Tokenizer, Turn};
use crate::values::{Count, JudgedRow, Metric, RowAnswer, Scores};

const NAME: &str = "chat";

/// The assistant's turns of conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chat {
    /// The template's text; the tokenizer's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What conversations begin with that have no instructions of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The tokens with a loss.
    pub loss_on: LossOn,
    /// Longest generated answer in tokens; no answers are generated where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<usize>,
}

/// The tokens with a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossOn {
    /// Those of the assistant's turns, and what ends them.
    Assistant,
    /// All of them.
    All,
}

const ALL: &str = "all";
/// The key for another template.
const TEMPLATE: &str = "chat_template";
/// Default of the longest generated answer, in tokens.
const MAX_NEW_TOKENS: usize = 128;

const KEYS: &[TaskKey] = &[
    TaskKey::optional(
        TEMPLATE,
        KeyValue::Template,
        "Chat template: the path of a .jinja file, or its text (default: the tokenizer's own)",
    ),
    TaskKey::optional(
        "loss_on",
        KeyValue::Choice(&["assistant", ALL]),
        "The tokens that are learned: the assistant's, or all (default: assistant)",
    ),
    TaskKey::optional(
        "system",
        KeyValue::Text,
        "A system message before conversations that have none (default: none)",
    ),
    TaskKey::optional(
        "generate",
        KeyValue::Flag,
        "Whether the last answer of each conversation is generated and compared (default: no)",
    ),
    TaskKey::optional("max_new_tokens", KeyValue::Count, "Longest generated answer in tokens (default: 128)"),
];

const METRICS: &[Metric] = &[
    Metric::Loss,
    Metric::Perplexity,
    Metric::TokenAccuracy,
    Metric::SequenceLoss,
    Metric::RougeL,
    Metric::ExactMatch,
];
/// Metrics without generated answers: so many of the first.
const WITHOUT_ANSWERS: usize = 4;

const WORDS: Words = Words {
    loss_unit: "nats per token",
    shown: &[Metric::Loss, Metric::Perplexity, Metric::TokenAccuracy, Metric::RougeL, Metric::ExactMatch],
    headline: &[Metric::Loss, Metric::Perplexity, Metric::TokenAccuracy],
    metrics_note: Some(
        "Loss is the mean cross-entropy over learned tokens, perplexity its exponential, and token accuracy the share \
         of them that are the most probable ones. Where answers are generated, greedily, ROUGE-L is the F-measure of \
         the longest common subsequence of words (Lin 2004), and an exact match is the whole answer but for white \
         space around it.",
    ),
    baseline: None,
    baseline_note: "",
    constant: Constant::ANY,
};

impl Chat {
    /// Without any settings.
    pub const EMPTY: Self =
        Self { template: None, system: None, loss_on: LossOn::Assistant, max_new_tokens: None };

    /// The template that turns conversations into text.
    ///
    /// # Errors
    /// Where the tokenizer has none and none is given, or it is wrong.
    pub fn template(&self, tokenizer: &Tokenizer) -> Result<ChatTemplate, ChatError> {
        ChatTemplate::of(tokenizer, self.template.as_deref().map(|text| (text, "`chat_template`")))
    }

    /// A question as the tokens that an answer follows, and the token that ends the answer.
    ///
    /// # Errors
    /// As [`Self::template`], and where the template fails.
    pub fn prompt(
        &self,
        question: &str,
        tokenizer: &Tokenizer,
    ) -> Result<(Vec<u32>, Option<u32>), ChatError> {
        let turns = self.turns(&[Turn::new(Role::User, question)]);
        self.template(tokenizer)?.prompt(&turns, tokenizer)
    }

    /// The turns of a conversation, with the system message where it has none.
    fn turns(&self, turns: &[Turn]) -> Vec<Turn> {
        let lacks = turns.first().is_none_or(|first| first.role != Role::System);
        let system = self.system.iter().filter(|_| lacks).map(|text| Turn::new(Role::System, text.as_str()));
        system.chain(turns.iter().cloned()).collect()
    }

    /// A conversation as a row; `None` where not even its first answer fits.
    fn row(
        &self,
        conversation: &Conversation,
        template: &ChatTemplate,
        by: Encoder<'_>,
    ) -> Result<Option<EncodedRow>, ChatError> {
        let turns = self.turns(&conversation.turns);
        let asks = self.loss_on == LossOn::Assistant || self.max_new_tokens.is_some();
        let Some(chat) = template.encode(&turns, by.tokenizer, by.max_length, asks)? else { return Ok(None) };
        let answer = turns[chat.turns - 1].content.clone();
        let EncodedChat { tokens, learned, stop, .. } = chat;
        let at = |index: usize| u32::try_from(index).expect("sequences are short");
        let mut list: Vec<u32> = learned.iter().flat_map(|range| [at(range.start), at(range.end)]).collect();
        list.extend(stop);
        let second = learned.last().map_or(tokens.len(), |range| range.start);
        let sequence = Sequence { second: at(second), tokens };
        Ok(Some(EncodedRow { sequence, target: RowTarget::List(list), answers: vec![answer] }))
    }
}

impl TaskKind for Chat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "The assistant's turns of conversations"
    }

    fn keys(&self) -> &'static [TaskKey] {
        KEYS
    }

    fn objective(&self, given: &Given, _classes: Classes) -> Option<Objective> {
        let longest = given.number("max_new_tokens").unwrap_or(MAX_NEW_TOKENS);
        Some(Objective::Chat(Self {
            template: given.text(TEMPLATE).map(str::to_owned),
            system: given.text("system").map(str::to_owned),
            loss_on: if given.text("loss_on") == Some(ALL) { LossOn::All } else { LossOn::Assistant },
            max_new_tokens: given.flag("generate").then_some(longest),
        }))
    }

    fn fields(&self) -> Fields<'_> {
        Fields::Conversations
    }

    fn head(&self) -> Head {
        Head::LanguageModel
    }

    fn encode(&self, rows: &Examples, by: Encoder<'_>) -> Result<Vec<EncodedRow>, EncodeError> {
        let Examples::Conversations(all) = rows else { unreachable!("rows are read as conversations") };
        let template = self.template(by.tokenizer)?;
        let rows: Result<Vec<_>, ChatError> =
            all.par_iter().map(|one| self.row(one, &template, by)).collect();
        Ok(rows?.into_iter().flatten().collect())
    }

    fn measure(&self, rows: &Examples, by: Encoder<'_>) -> Result<Measured, EncodeError> {
        let Examples::Conversations(all) = rows else { unreachable!("rows are read as conversations") };
        let template = self.template(by.tokenizer)?;
        let length = |one: &Conversation| template.length(&self.turns(&one.turns), by.tokenizer);
        let lengths: Result<Vec<usize>, ChatError> = all.par_iter().map(length).collect();
        Ok(Measured::Rows(lengths?))
    }

    fn unfit(&self, rows: &Examples, by: Encoder<'_>) -> Result<usize, EncodeError> {
        Ok(rows.rows() - self.encode(rows, by)?.len())
    }

    /// The tokens in the row's list of ranges, each from the one before it.
    fn predictions(&self, row: Row<'_>) -> Option<Vec<Prediction>> {
        let mut all = next_tokens(row, 1);
        if self.loss_on == LossOn::Assistant {
            let ranges = row.target.list().as_chunks::<2>().0;
            let is_learned = |at: u32| ranges.iter().any(|[start, end]| (*start..*end).contains(&at));
            all.retain(|prediction| is_learned(prediction.reads + 1));
        }
        Some(all)
    }

    fn generates(&self) -> Option<usize> {
        self.max_new_tokens
    }

    fn stop(&self, row: Row<'_>) -> Option<u32> {
        row.target.list().as_chunks::<2>().1.first().copied()
    }

    /// Whether the right token is the most probable one.
    #[cfg(feature = "torch")]
    fn answers(&self, outputs: &tch::Tensor) -> Option<tch::Tensor> {
        Some(outputs.argmax(-1, true))
    }

    fn metrics(&self) -> &'static [Metric] {
        if self.max_new_tokens.is_some() { METRICS } else { &METRICS[..WITHOUT_ANSWERS] }
    }

    fn tally(&self) -> Box<dyn Tally + '_> {
        Box::new(Answers::new(self))
    }

    fn purpose(&self) -> Purpose {
        Purpose::Chat(self.clone())
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let loss_on = match self.loss_on {
            LossOn::Assistant => "the assistant's tokens",
            LossOn::All => "all tokens",
        };
        let own = if self.template.is_some() { "the task's" } else { "the tokenizer's" };
        let mut all = vec![("loss on", loss_on.to_owned()), ("chat template", own.to_owned())];
        all.extend(self.system.iter().map(|text| ("system message", text.replace('\n', "\\n"))));
        all.extend(self.max_new_tokens.iter().map(|most| ("longest answer (tokens)", most.to_string())));
        all
    }
}

/// Summed scores of learned tokens and of generated answers.
#[derive(Debug)]
struct Answers<'a> {
    kind: &'a Chat,
    losses: TokenLosses,
    right_tokens: u64,
    exact_matches: u64,
    rouge: f64,
    answers: u64,
    /// The answers to rows, each with the right one, whether it is right and its ROUGE-L.
    texts: BTreeMap<u32, (String, String, bool, f64)>,
}

impl<'a> Answers<'a> {
    fn new(kind: &'a Chat) -> Self {
        let (losses, texts) = (TokenLosses::default(), BTreeMap::new());
        Self { kind, losses, right_tokens: 0, exact_matches: 0, rouge: 0.0, answers: 0, texts }
    }
}

impl Tally for Answers<'_> {
    fn add(&mut self, row: &Answered<'_>) {
        self.losses.add(row);
        let wanted = self.kind.predictions(row.row).unwrap_or_default();
        let right = wanted.iter().zip(row.answers).filter(|(one, answer)| f64::from(one.wanted) == **answer);
        self.right_tokens += right.count() as u64;
    }

    fn add_text(&mut self, index: u32, answer: &str, row: Row<'_>) {
        let (answer, gold) = (answer.trim(), row.answers.first().map_or("", |gold| gold.trim()));
        let (is_right, rouge) = (answer == gold, rouge::rouge_l(gold, answer));
        self.answers += 1;
        self.exact_matches += u64::from(is_right);
        self.rouge += rouge;
        self.texts.insert(index, (answer.to_owned(), gold.to_owned(), is_right, rouge));
    }

    fn take_rows(&mut self) -> Vec<JudgedRow> {
        let mut rows = self.losses.take_rows();
        for row in &mut rows {
            let tokens = row.predictions();
            if let Some((text, gold, exact_match, f1)) = self.texts.remove(&row.row) {
                row.answer = RowAnswer::Text { tokens, text, target: Some(gold), exact_match, f1 };
            }
        }
        rows
    }

    /// Zeros where nothing was counted.
    #[expect(clippy::cast_precision_loss, reason = "row and token counts are far below 2^52")]
    fn scores(&self) -> Scores {
        let tokens = self.losses.tokens();
        let scores = Scores::of(NAME)
            .with(Metric::Loss, self.losses.mean())
            .with(Metric::SequenceLoss, self.losses.mean_of_sequences())
            .with(Metric::TokenAccuracy, self.right_tokens as f64 / tokens.max(1) as f64)
            .with_count(Count::Tokens, tokens);
        if self.kind.max_new_tokens.is_none() {
            return scores;
        }
        let answers = self.answers.max(1) as f64;
        scores
            .with(Metric::RougeL, self.rouge / answers)
            .with(Metric::ExactMatch, self.exact_matches as f64 / answers)
    }
}

#[cfg(test)]
mod tests;
