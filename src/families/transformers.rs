//! Owns what is known of transformers' classes, except models that answer for whole texts: models with other
//! heads, and tokenizers that are a vocabulary without a `tokenizer.json`. What belongs to a single family is
//! in that family's own table.

use super::ALL;

/// A kind of model that does not answer for whole texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherHead {
    /// Suffix of its classes' names.
    pub class: &'static str,
    /// Tensors that only such models have.
    pub tensors: &'static [&'static str],
    /// Its description where no class is named.
    pub called: &'static str,
    /// What such a model does.
    pub does: &'static str,
}

/// The tokenizers of a family's models whose files are a vocabulary only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokenizers {
    /// Their classes, without `Fast`. The first one is used for files that name none.
    pub classes: &'static [&'static str],
    /// What their vocabulary holds.
    pub vocabulary: Vocabulary,
}

/// What a vocabulary holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// Pieces of words (WordPiece), with the special tokens of [`Around::Tokens`].
    Pieces([&'static str; 5]),
    /// Bytes and sequences merged from them (byte-level BPE).
    Bytes(Around),
}

/// The special tokens that a tokenizer puts around a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// Nothing.
    Nothing {
        /// The token that ends a text.
        end: &'static str,
    },
    /// A token before it and one after it. The special tokens: padding, unknown, first, last and mask.
    Tokens([&'static str; 5]),
}

/// Heads shared by many families.
const SHARED: [OtherHead; 6] = [
    TOKEN_CLASSES,
    OtherHead {
        class: "ForQuestionAnswering",
        tensors: &["qa_outputs.weight"],
        called: "model for question answering",
        does: "it marks the span of an answer in a text",
    },
    OtherHead {
        class: "ForMultipleChoice",
        tensors: &[],
        called: "model for multiple choice",
        does: "it chooses among several texts",
    },
    OtherHead {
        class: "ForPreTraining",
        tensors: &[],
        called: "model as it was pretrained",
        does: "it fills in masked words and says whether one text follows another",
    },
    OtherHead {
        class: "ForConditionalGeneration",
        tensors: &[],
        called: "model for conditional generation",
        does: "it turns one text into another",
    },
    OtherHead::masked_words("ForMaskedLM", &[]),
];

/// Labels tokens. Its tensors have the same names as a classifier of whole texts.
pub const TOKEN_CLASSES: OtherHead = OtherHead {
    class: "ForTokenClassification",
    tensors: &[],
    called: "model for the classes of tokens",
    does: "it labels each token",
};

impl OtherHead {
    /// Fills in masked words.
    pub(super) const fn masked_words(class: &'static str, tensors: &'static [&'static str]) -> Self {
        Self { class, tensors, called: "model for masked words", does: "it fills in masked words" }
    }

    /// Predicts the next token although its family reads texts in both directions.
    pub(super) const fn decoder(class: &'static str) -> Self {
        let called = "decoder made of an encoder";
        Self { class, tensors: &[], called, does: "it is a decoder made of an encoder" }
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        SHARED.iter().chain(ALL.into_iter().flat_map(|about| about.others))
    }

    /// The description of a class, by the longest matching suffix.
    #[must_use]
    pub fn of_class(class: &str) -> Option<&'static Self> {
        Self::all().filter(|other| class.ends_with(other.class)).max_by_key(|other| other.class.len())
    }

    /// The description of a model with these tensors.
    #[must_use]
    pub fn of_tensors(has: impl Fn(&str) -> bool) -> Option<&'static Self> {
        Self::all().find(|other| other.tensors.iter().any(|name| has(name)))
    }
}

impl Tokenizers {
    /// The tokenizers with vocabularies of bytes, or else of pieces of words.
    pub fn of_bytes(bytes: bool) -> impl Iterator<Item = &'static Self> {
        let all = ALL.into_iter().filter_map(|about| about.tokenizers.as_ref());
        all.filter(move |all| bytes != matches!(all.vocabulary, Vocabulary::Pieces(_)))
    }

    /// The tokenizers with such a vocabulary that a class belongs to or, without one, a `model_type`; the first
    /// family's where neither is given.
    ///
    /// # Panics
    /// Where no family has such a vocabulary.
    #[must_use]
    pub fn of(bytes: bool, class: Option<&str>, model_type: Option<&str>) -> &'static Self {
        let found = match class {
            Some(class) => Self::of_bytes(bytes).find(|all| all.reads(class)),
            None => {
                let about = ALL.into_iter().find(|about| Some(about.name()) == model_type);
                let own = about.and_then(|about| about.tokenizers.as_ref());
                Self::of_bytes(bytes).find(|all| Some(*all) == own)
            }
        };
        found.or_else(|| Self::of_bytes(bytes).next()).expect("families have both kinds of vocabularies")
    }

    /// Whether this class, with or without `Fast`, is one of them.
    #[must_use]
    pub fn reads(&self, class: &str) -> bool {
        self.classes.contains(&class.strip_suffix("Fast").unwrap_or(class))
    }
}

impl Vocabulary {
    /// The special tokens.
    #[must_use]
    pub fn special(&self) -> &[&'static str] {
        match self {
            Self::Pieces(special) | Self::Bytes(Around::Tokens(special)) => special,
            Self::Bytes(Around::Nothing { end }) => std::slice::from_ref(end),
        }
    }

    /// The padding tokens of all families.
    pub fn padding() -> impl Iterator<Item = &'static str> {
        let all = ALL.into_iter().filter_map(|about| about.tokenizers.as_ref());
        all.filter_map(|all| match &all.vocabulary {
            Self::Pieces([padding, ..]) | Self::Bytes(Around::Tokens([padding, ..])) => Some(*padding),
            Self::Bytes(Around::Nothing { .. }) => None,
        })
    }

    /// The end-of-text tokens of all families.
    pub fn ends() -> impl Iterator<Item = &'static str> {
        Tokenizers::of_bytes(true).filter_map(|all| match all.vocabulary {
            Vocabulary::Bytes(Around::Nothing { end }) => Some(end),
            Vocabulary::Pieces(_) | Vocabulary::Bytes(Around::Tokens(_)) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_every_family_is_found() {
        for about in ALL {
            for other in about.others {
                assert_eq!(OtherHead::of_class(other.class), Some(other));
                for tensor in other.tensors {
                    assert_eq!(OtherHead::of_tensors(|name| name == *tensor), Some(other));
                }
            }
            if let Some(tokenizers) = &about.tokenizers {
                let bytes = !matches!(tokenizers.vocabulary, Vocabulary::Pieces(_));
                for class in tokenizers.classes {
                    let found = [(*class).to_owned(), format!("{class}Fast")]
                        .map(|class| Tokenizers::of(bytes, Some(&class), None).vocabulary);
                    assert_eq!(found, [tokenizers.vocabulary; 2], "{class}");
                }
                assert_eq!(Tokenizers::of(bytes, None, Some(about.name())), tokenizers);
            }
        }
        assert_eq!(Vocabulary::ends().collect::<Vec<_>>(), ["<|endoftext|>"]);
    }

    #[test]
    fn the_longest_end_of_a_class_decides() {
        let does = |class| OtherHead::of_class(class).map(|other| other.does);
        let both = "it fills in masked words and says whether one text follows another";
        for (class, answers) in [
            ("ElectraForPreTraining", "it tells which words of a text were replaced"),
            ("BertForPreTraining", both),
            ("MobileBertForPreTraining", both),
            ("XLMRobertaForMaskedLM", "it fills in masked words"),
            ("AlbertForMaskedLM", "it fills in masked words"),
            ("BertForNextSentencePrediction", "it says whether one text follows another"),
            ("BertLMHeadModel", "it is a decoder made of an encoder"),
            ("RobertaForCausalLM", "it is a decoder made of an encoder"),
            ("GPT2DoubleHeadsModel", "it goes on with a text and chooses among several"),
            ("T5ForConditionalGeneration", "it turns one text into another"),
        ] {
            assert_eq!(does(class), Some(answers), "{class}");
        }
        assert_eq!(["BertForSequenceClassification", "GPT2LMHeadModel"].map(does), [None; 2]);
    }
}
