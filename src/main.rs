//! The program: arguments in, one command, an exit code out. What can be done is in
//! [`lorasweep::cli`], how it is done in the rest of the library.

use std::process::ExitCode;

use lorasweep::{cli, ui};

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(answered) => return ExitCode::from(answered),
    };
    match command.call() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            ui::output::error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
