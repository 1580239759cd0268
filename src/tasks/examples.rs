//! Owns a task's rows before they are tokenised. Reads no file.

use crate::tokenizer::Turn;

/// A task's rows in file order, after cleaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Examples {
    /// Texts, each with its target.
    Texts {
        /// The text of each row.
        texts: Vec<String>,
        /// The second text of each row, where the task has pairs.
        pairs: Option<Vec<String>>,
        /// The target of each row.
        targets: Targets,
    },
    /// Texts as lists of words, each word with the index of its tag.
    Words {
        /// The words of each text.
        words: Vec<Vec<String>>,
        /// As many tags for each.
        tags: Vec<Vec<u32>>,
    },
    /// Independent texts.
    Documents(Vec<String>),
    /// The lines of one text, without line ends.
    Lines(Vec<String>),
    /// Questions with their contexts and answers.
    Questions(Vec<Question>),
    /// Conversations.
    Conversations(Vec<Conversation>),
}

/// The targets of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets<C = u32> {
    /// The class of each, as an index into the task's labels; or its name, as a file has it.
    Classes(Vec<C>),
    /// The number of each.
    Numbers(Vec<f64>),
    /// The classes of each, none or several.
    Lists(Vec<Vec<C>>),
}

/// The target of a row, with its list as `L`: its own, or borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowTarget<L = Vec<u32>> {
    /// Its class, as an index into the task's labels; 0 where there are none.
    Class(u32),
    /// Its number.
    Number(f64),
    /// What its kind of task makes of it: the classes that it has, or its words with their tags.
    List(L),
}

/// A question about a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The text.
    pub context: String,
    /// The question.
    pub question: String,
    /// Gold answers, at least one.
    pub answers: Vec<String>,
}

/// What a user and a model say to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Its messages in their order.
    pub turns: Vec<Turn>,
}

impl Conversation {
    /// Bytes of all messages.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.turns.iter().map(|turn| turn.content.len()).sum()
    }
}

impl<'a> RowTarget<&'a [u32]> {
    /// Its class, where it has one.
    #[must_use]
    pub fn class(self) -> Option<u32> {
        match self {
            Self::Class(class) => Some(class),
            Self::Number(_) | Self::List(_) => None,
        }
    }

    /// Its number, where it has one.
    #[must_use]
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Class(_) | Self::List(_) => None,
        }
    }

    /// Its list; empty where it has none.
    #[must_use]
    pub fn list(self) -> &'a [u32] {
        match self {
            Self::List(list) => list,
            Self::Class(_) | Self::Number(_) => &[],
        }
    }

    /// The same with a list of its own.
    #[must_use]
    pub fn owned(self) -> RowTarget {
        match self {
            Self::Class(class) => RowTarget::Class(class),
            Self::Number(number) => RowTarget::Number(number),
            Self::List(list) => RowTarget::List(list.to_vec()),
        }
    }
}

impl RowTarget {
    /// The same with its list borrowed.
    #[must_use]
    pub fn borrowed(&self) -> RowTarget<&[u32]> {
        match self {
            Self::Class(class) => RowTarget::Class(*class),
            Self::Number(number) => RowTarget::Number(*number),
            Self::List(list) => RowTarget::List(list),
        }
    }
}

impl Targets {
    /// The target of a row.
    #[must_use]
    pub fn of(&self, row: usize) -> RowTarget<&[u32]> {
        match self {
            Self::Classes(classes) => RowTarget::Class(classes[row]),
            Self::Numbers(numbers) => RowTarget::Number(numbers[row]),
            Self::Lists(lists) => RowTarget::List(&lists[row]),
        }
    }
}

impl<C: Clone> Targets<C> {
    /// Number of targets.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Lists(lists) => lists.len(),
        }
    }

    /// Whether there are no targets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn chosen(&self, rows: &[u32]) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(chosen(classes, rows)),
            Self::Numbers(numbers) => Self::Numbers(chosen(numbers, rows)),
            Self::Lists(lists) => Self::Lists(chosen(lists, rows)),
        }
    }

    fn split(self, rows: &[u32]) -> (Self, Self) {
        match self {
            Self::Classes(classes) => {
                let (these, others) = split(classes, rows);
                (Self::Classes(these), Self::Classes(others))
            }
            Self::Numbers(numbers) => {
                let (these, others) = split(numbers, rows);
                (Self::Numbers(these), Self::Numbers(others))
            }
            Self::Lists(lists) => {
                let (these, others) = split(lists, rows);
                (Self::Lists(these), Self::Lists(others))
            }
        }
    }
}

impl Examples {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Texts { texts, .. } | Self::Documents(texts) | Self::Lines(texts) => texts.len(),
            Self::Words { words, .. } => words.len(),
            Self::Questions(questions) => questions.len(),
            Self::Conversations(all) => all.len(),
        }
    }

    /// Each row's class; 0 where there are none.
    #[must_use]
    pub fn labels(&self) -> Vec<u32> {
        match self {
            Self::Texts { targets: Targets::Classes(classes), .. } => classes.clone(),
            Self::Texts { targets: Targets::Numbers(_) | Targets::Lists(_), .. }
            | Self::Words { .. }
            | Self::Documents(_)
            | Self::Lines(_)
            | Self::Questions(_)
            | Self::Conversations(_) => vec![0; self.rows()],
        }
    }

    /// The class of a row, all of its classes, or those of its words; empty where there are none.
    #[must_use]
    pub fn classes(&self, row: usize) -> &[u32] {
        match self {
            Self::Texts { targets: Targets::Classes(classes), .. } => std::slice::from_ref(&classes[row]),
            Self::Texts { targets: Targets::Lists(lists), .. } | Self::Words { tags: lists, .. } => {
                &lists[row]
            }
            Self::Texts { targets: Targets::Numbers(_), .. }
            | Self::Documents(_)
            | Self::Lines(_)
            | Self::Questions(_)
            | Self::Conversations(_) => &[],
        }
    }

    /// Each row's number; `None` where rows have none.
    #[must_use]
    pub fn numbers(&self) -> Option<&[f64]> {
        match self {
            Self::Texts { targets: Targets::Numbers(numbers), .. } => Some(numbers),
            Self::Texts { targets: Targets::Classes(_) | Targets::Lists(_), .. }
            | Self::Words { .. }
            | Self::Documents(_)
            | Self::Lines(_)
            | Self::Questions(_)
            | Self::Conversations(_) => None,
        }
    }

    /// Bytes of a row's texts.
    #[must_use]
    pub fn bytes(&self, row: usize) -> usize {
        match self {
            Self::Texts { texts, pairs, .. } => {
                texts[row].len() + pairs.as_ref().map_or(0, |pairs| pairs[row].len())
            }
            Self::Words { words, .. } => words[row].iter().map(|word| word.len() + 1).sum(),
            Self::Documents(texts) | Self::Lines(texts) => texts[row].len(),
            Self::Questions(all) => all[row].context.len() + all[row].question.len(),
            Self::Conversations(all) => all[row].bytes(),
        }
    }

    /// These rows and all others, each in their order. `rows` must be in ascending order.
    #[must_use]
    pub fn split(self, rows: &[u32]) -> (Self, Self) {
        match self {
            Self::Texts { texts, pairs, targets } => {
                let (texts, targets) = (split(texts, rows), targets.split(rows));
                let (these, others) = pairs.map(|pairs| split(pairs, rows)).unzip();
                (
                    Self::Texts { texts: texts.0, pairs: these, targets: targets.0 },
                    Self::Texts { texts: texts.1, pairs: others, targets: targets.1 },
                )
            }
            Self::Words { words, tags } => {
                let (words, tags) = (split(words, rows), split(tags, rows));
                (Self::Words { words: words.0, tags: tags.0 }, Self::Words { words: words.1, tags: tags.1 })
            }
            Self::Documents(texts) => {
                let (these, others) = split(texts, rows);
                (Self::Documents(these), Self::Documents(others))
            }
            Self::Lines(lines) => {
                let (these, others) = split(lines, rows);
                (Self::Lines(these), Self::Lines(others))
            }
            Self::Questions(questions) => {
                let (these, others) = split(questions, rows);
                (Self::Questions(these), Self::Questions(others))
            }
            Self::Conversations(all) => {
                let (these, others) = split(all, rows);
                (Self::Conversations(these), Self::Conversations(others))
            }
        }
    }

    /// A copy of these rows, in this order.
    #[must_use]
    pub fn chosen(&self, rows: &[u32]) -> Self {
        match self {
            Self::Texts { texts, pairs, targets } => Self::Texts {
                texts: chosen(texts, rows),
                pairs: pairs.as_deref().map(|pairs| chosen(pairs, rows)),
                targets: targets.chosen(rows),
            },
            Self::Words { words, tags } => {
                Self::Words { words: chosen(words, rows), tags: chosen(tags, rows) }
            }
            Self::Documents(texts) => Self::Documents(chosen(texts, rows)),
            Self::Lines(lines) => Self::Lines(chosen(lines, rows)),
            Self::Questions(questions) => Self::Questions(chosen(questions, rows)),
            Self::Conversations(all) => Self::Conversations(chosen(all, rows)),
        }
    }
}

fn chosen<T: Clone>(all: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| all[*row as usize].clone()).collect()
}

fn split<T>(values: Vec<T>, rows: &[u32]) -> (Vec<T>, Vec<T>) {
    let mut wanted = rows.iter().peekable();
    let (these, others): (Vec<_>, Vec<_>) =
        (0..).zip(values).partition(|(row, _)| wanted.next_if_eq(&row).is_some());
    let bare = |rows: Vec<(u32, T)>| rows.into_iter().map(|(_, value)| value).collect();
    (bare(these), bare(others))
}
