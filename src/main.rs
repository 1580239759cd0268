//! The program: arguments in, one command, an exit code out. What can be done is in
//! [`lorasweep::cli`], how it is done in the rest of the library.

use std::io::{self, Write};

use lorasweep::{cli, ui};

fn main() {
    let code = match cli::parse(std::env::args_os()) {
        Ok(command) => command.call().unwrap_or_else(|error| {
            ui::output::error(&error);
            error.exit_code()
        }),
        Err(answered) => answered,
    };
    // A reader that has gone away is no error. Beside this everything of ours is written, and libtorch
    // would take a fifth of a second to clear its tables away.
    let _ = io::stdout().flush();
    signal_hook::low_level::exit(code.into());
}
