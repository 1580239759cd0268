//! Owns what the user sees while a sweep runs. With `main`, the only printer.
//!
//! Each display is a [`Reader`] of the run's events. `board` keeps the state that displays show; `terminal`
//! draws it, `plain` writes it line by line, both with the words of `phrase` and `line`; `json` passes the
//! events on to programs. Read `board` first. Nothing here decides anything about the run.

mod board;
pub(crate) mod data_card;
pub mod downloads;
mod json;
mod line;
pub mod output;
pub(crate) mod phrase;
mod plain;
mod terminal;
pub mod waiting;

use std::io::{self, IsTerminal};

use crate::values::Reader;

/// How much to show, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For a person: live lines on a terminal, plain lines elsewhere; on standard error.
    Person,
    /// For a person who wants to see failures only; on standard error.
    Quiet,
    /// For a program: one JSON object per line on standard output.
    Json,
}

/// The display for a style, depending on whether there is a terminal.
#[must_use]
pub fn display(style: Style) -> Box<dyn Reader> {
    match style {
        Style::Json => Box::new(json::Json::new(io::stdout())),
        Style::Quiet => Box::new(plain::Plain::failures_only(io::stderr())),
        Style::Person if io::stderr().is_terminal() => Box::new(terminal::Terminal::new()),
        Style::Person => Box::new(plain::Plain::new(io::stderr(), plain::PROGRESS_EVERY)),
    }
}
