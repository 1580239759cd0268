//! From data files to token stores.

mod cleaning;
mod files;
mod formats;
mod languages;
mod prepare;
mod sources;
mod support;
mod tokenizer;
mod tokens_beside;
