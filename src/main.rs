//! The program: arguments in, one command, an exit code out. What there is to do is in [`lorasweep::cli`].

use std::io::{self, Write};

use lorasweep::{cli, ui};

fn main() {
    let code = cli::call(std::env::args_os()).unwrap_or_else(|error| {
        ui::output::error(&error);
        error.exit_code()
    });
    // A reader that has gone away is no error. Beside this everything of ours is written, and libtorch
    // would take a fifth of a second to clear its tables away.
    let _ = io::stdout().flush();
    signal_hook::low_level::exit(code.into());
}
