//! Owns a task's rows before they are tokenised. Reads no file.

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
    /// Independent texts.
    Documents(Vec<String>),
    /// The lines of one text, without line ends.
    Lines(Vec<String>),
    /// Questions with their contexts and answers.
    Questions(Vec<Question>),
}

/// The targets of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets<C = u32> {
    /// The class of each, as an index into the task's labels; or its name, as a file has it.
    Classes(Vec<C>),
    /// The number of each.
    Numbers(Vec<f64>),
}

/// The target of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowTarget {
    /// Its class, as an index into the task's labels; 0 where there are none.
    Class(u32),
    /// Its number.
    Number(f64),
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

impl RowTarget {
    /// Its class, where it has one.
    #[must_use]
    pub fn class(self) -> Option<u32> {
        match self {
            Self::Class(class) => Some(class),
            Self::Number(_) => None,
        }
    }

    /// As a number: the index of its class, or its own number.
    #[must_use]
    pub fn as_number(self) -> f64 {
        match self {
            Self::Class(class) => f64::from(class),
            Self::Number(number) => number,
        }
    }
}

impl Targets {
    /// Number of targets.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Whether there are no targets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The target of a row.
    #[must_use]
    pub fn of(&self, row: usize) -> RowTarget {
        match self {
            Self::Classes(classes) => RowTarget::Class(classes[row]),
            Self::Numbers(numbers) => RowTarget::Number(numbers[row]),
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
        }
    }
}

impl Examples {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Texts { texts, .. } | Self::Documents(texts) | Self::Lines(texts) => texts.len(),
            Self::Questions(questions) => questions.len(),
        }
    }

    /// Each row's class; 0 where there are none.
    #[must_use]
    pub fn labels(&self) -> Vec<u32> {
        match self {
            Self::Texts { targets: Targets::Classes(classes), .. } => classes.clone(),
            Self::Texts { targets: Targets::Numbers(_), .. }
            | Self::Documents(_)
            | Self::Lines(_)
            | Self::Questions(_) => vec![0; self.rows()],
        }
    }

    /// Each row's number; `None` where rows have none.
    #[must_use]
    pub fn numbers(&self) -> Option<&[f64]> {
        match self {
            Self::Texts { targets: Targets::Numbers(numbers), .. } => Some(numbers),
            Self::Texts { targets: Targets::Classes(_), .. }
            | Self::Documents(_)
            | Self::Lines(_)
            | Self::Questions(_) => None,
        }
    }

    /// Bytes of a row's texts.
    #[must_use]
    pub fn bytes(&self, row: usize) -> usize {
        match self {
            Self::Texts { texts, pairs, .. } => {
                texts[row].len() + pairs.as_ref().map_or(0, |pairs| pairs[row].len())
            }
            Self::Documents(texts) | Self::Lines(texts) => texts[row].len(),
            Self::Questions(all) => all[row].context.len() + all[row].question.len(),
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
        }
    }

    /// A copy of these rows, in this order.
    #[must_use]
    pub fn chosen(&self, rows: &[u32]) -> Self {
        match self {
            Self::Texts { texts, pairs, targets } => Self::Texts {
                texts: chosen(texts, rows),
                pairs: pairs.as_deref().map(|pairs| chosen(pairs, rows)),
                targets: match targets {
                    Targets::Classes(classes) => Targets::Classes(chosen(classes, rows)),
                    Targets::Numbers(numbers) => Targets::Numbers(chosen(numbers, rows)),
                },
            },
            Self::Documents(texts) => Self::Documents(chosen(texts, rows)),
            Self::Lines(lines) => Self::Lines(chosen(lines, rows)),
            Self::Questions(questions) => Self::Questions(chosen(questions, rows)),
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
