//! Owns what a pack leaves in memory for the next one of its process: the token store, the tokenizer and the
//! frozen tensors of the base. Each is used again where it is what the next pack needs, and is loaded anew where
//! it is not; results are the same bits either way.

use std::path::Path;
use std::rc::Rc;

use tch::Device;

use crate::data::store::{StoreError, TokenStore};
use crate::disk::layout::Layout;
use crate::families::{Architecture, ModelSpec, Weights};
use crate::job::Pack;
use crate::model::build::Frozen;
use crate::tokenizer::{Tokenizer, TokenizerError};
use crate::values::{ContentHash, Precision};

/// What outlives a pack. Empty in a process that has trained nothing yet.
#[derive(Debug, Default)]
pub struct Warm {
    store: Option<(ContentHash, Rc<TokenStore>)>,
    tokenizer: Option<(ContentHash, Rc<Tokenizer>)>,
    base: Option<(BaseKey, Frozen)>,
}

/// What decides the bits of frozen tensors, and where they are.
#[derive(Debug, PartialEq)]
struct BaseKey {
    weights: Weights,
    architecture: Architecture,
    precision: Precision,
    device: Device,
}

impl Warm {
    /// Whether no pack came before, or the last one failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.base.is_none()
    }

    /// An open token store.
    pub(super) fn store(&mut self, stores: &Path, key: ContentHash) -> Result<Rc<TokenStore>, StoreError> {
        let there = self.store.take().filter(|(there, _)| *there == key);
        let store = match there {
            Some((_, store)) => store,
            None => Rc::new(TokenStore::open(&Layout::store(stores, key))?),
        };
        self.store = Some((key, Rc::clone(&store)));
        Ok(store)
    }

    /// A model's tokenizer.
    pub(super) fn tokenizer(&mut self, model: &ModelSpec) -> Result<Rc<Tokenizer>, TokenizerError> {
        let key = model.tokenizer_content;
        let there = self.tokenizer.take().filter(|(there, _)| *there == key);
        let tokenizer = match there {
            Some((_, tokenizer)) => tokenizer,
            None => Rc::new(Tokenizer::load(&model.tokenizer)?),
        };
        self.tokenizer = Some((key, Rc::clone(&tokenizer)));
        Ok(tokenizer)
    }

    /// The frozen tensors of a pack's base.
    pub(super) fn frozen(&mut self, pack: &Pack, device: Device) -> &mut Frozen {
        let ModelSpec { weights, architecture, .. } = (*pack.model).clone();
        let precision = pack.slots[0].configuration.training.precision;
        let key = BaseKey { weights, architecture, precision, device };
        let there = self.base.take_if(|(there, _)| *there == key);
        // Tensors of another base are freed before these are read.
        self.base = None;
        &mut self.base.insert(there.unwrap_or_else(|| (key, Frozen::on(device)))).1
    }
}
