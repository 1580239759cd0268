//! Owns a task's rows as they are before they become tokens.

/// A task's rows in file order, after cleaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Examples {
    /// Of classification.
    Labelled {
        /// The text of each row.
        texts: Vec<String>,
        /// The second text of each row, where the task has pairs.
        pairs: Option<Vec<String>>,
        /// The class of each row, as an index into the task's labels.
        labels: Vec<u32>,
    },
    /// Texts of their own.
    Documents(Vec<String>),
    /// The lines of one text, without line ends.
    Lines(Vec<String>),
    /// Of question answering.
    Questions(Vec<Question>),
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

impl Examples {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Labelled { labels, .. } => labels.len(),
            Self::Documents(texts) | Self::Lines(texts) => texts.len(),
            Self::Questions(questions) => questions.len(),
        }
    }

    /// Each row's class; 0 where there are none.
    #[must_use]
    pub fn labels(&self) -> Vec<u32> {
        match self {
            Self::Labelled { labels, .. } => labels.clone(),
            Self::Documents(texts) | Self::Lines(texts) => vec![0; texts.len()],
            Self::Questions(questions) => vec![0; questions.len()],
        }
    }

    /// These rows and the others, each in their order. `rows` go up.
    #[must_use]
    pub fn split(self, rows: &[u32]) -> (Self, Self) {
        match self {
            Self::Labelled { texts, pairs, labels } => {
                let (texts, labels) = (split(texts, rows), split(labels, rows));
                let (these, others) = pairs.map(|pairs| split(pairs, rows)).unzip();
                (
                    Self::Labelled { texts: texts.0, pairs: these, labels: labels.0 },
                    Self::Labelled { texts: texts.1, pairs: others, labels: labels.1 },
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
}

fn split<T>(values: Vec<T>, rows: &[u32]) -> (Vec<T>, Vec<T>) {
    let mut wanted = rows.iter().peekable();
    let (these, others): (Vec<_>, Vec<_>) =
        (0..).zip(values).partition(|(row, _)| wanted.next_if_eq(&row).is_some());
    let bare = |rows: Vec<(u32, T)>| rows.into_iter().map(|(_, value)| value).collect();
    (bare(these), bare(others))
}
