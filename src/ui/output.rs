//! Owns the two outputs of every command: data on standard output, everything else on standard error.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;

use crate::error::AppError;

/// Width of a table where no terminal gives one, in columns.
const DEFAULT_WIDTH: usize = 120;

/// Writes data to standard output. A closed pipe is not an error.
///
/// # Errors
/// When standard output cannot be written for another reason, such as a full disk.
pub fn data(text: &str) -> Result<(), AppError> {
    write(|out| out.write_all(text.as_bytes()))
}

/// Writes a value as indented JSON to standard output.
///
/// # Errors
/// As for [`data`].
pub fn json<T: serde::Serialize>(value: &T) -> Result<(), AppError> {
    write(|out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        out.write_all(b"\n")
    })
}

/// Writes a value as one line of JSON to standard output.
///
/// # Errors
/// As for [`data`].
pub fn json_line<T: serde::Serialize>(value: &T) -> Result<(), AppError> {
    write(|out| {
        serde_json::to_writer(&mut *out, value)?;
        out.write_all(b"\n")
    })
}

/// Lets `fill` write to standard output piece by piece, since the plan of a large sweep is too long to hold as
/// one text.
fn write(fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), AppError> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match fill(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(AppError::Unexpected(format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says which files were written, each on a line of its own.
///
/// # Errors
/// When standard output cannot be written.
pub fn paths(files: &[PathBuf]) -> Result<(), AppError> {
    let lines: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
    data(&lines)
}

/// Writes a message to standard error.
pub fn say(text: &str) {
    // If this fails, there is nobody to report it to.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Reports an error and what to do next.
pub fn error(error: &AppError) {
    say(&format!("{}: {error}", label("error", "31")));
    if let Some(hint) = error.hint() {
        self::hint(&hint);
    }
}

/// Prints what to do next.
pub fn hint(text: &str) {
    say(&format!("{}: {text}", label("hint", "36")));
}

/// Whether a person can answer questions.
#[must_use]
pub fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks a yes-or-no question; the answer is no where nobody can answer.
#[must_use]
pub fn ask(question: &str) -> bool {
    if !can_ask() {
        return false;
    }
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = io::BufRead::read_line(&mut io::stdin().lock(), &mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Prints a warning: something that is allowed but worth knowing.
pub fn warning(message: &str) {
    say(&format!("{}: {message}", label("warning", "33")));
}

/// A word in bold and an ANSI colour, or plain where colour is unwanted (<https://no-color.org>).
fn label(word: &str, colour: &str) -> String {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if unwanted || !io::stderr().is_terminal() {
        return word.to_owned();
    }
    format!("\u{1b}[1;{colour}m{word}\u{1b}[0m")
}

/// Width of a table on standard output, in columns.
#[must_use]
pub fn width() -> usize {
    let terminal = rustix::termios::tcgetwinsize(io::stdout()).ok();
    terminal.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(DEFAULT_WIDTH)
}
