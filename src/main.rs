//! The program: arguments in, one command, an exit code out. The commands are in [`lorasweep::cli`].

use std::io::{self, Write};

use lorasweep::{cli, ui};

fn main() {
    let code = cli::call(std::env::args_os()).unwrap_or_else(|error| {
        ui::output::error(&error);
        error.exit_code()
    });
    // Ignore a closed pipe. Everything else is flushed already, and exiting this way skips libtorch's
    // destructors, which take 0.2 s.
    let _ = io::stdout().flush();
    signal_hook::low_level::exit(code.into());
}
