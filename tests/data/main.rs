//! From data files to token stores.

mod cleaning;
mod columns;
mod exported;
mod files;
mod formats;
mod json;
mod labels;
mod languages;
mod many;
mod prepare;
mod sources;
mod support;
mod tokenizer;
mod tokens_beside;
