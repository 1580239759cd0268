//! Owns the work of a child that tries the GPU it was given: it computes a little, and tells on standard output
//! what is in the way.

use std::io::{self, Write};

use super::die_with_parent;
use crate::exec::devices::Fault;
use crate::exec::{EXIT_DONE, EXIT_FAILED};

/// Tries the GPU of this process, and returns its exit code.
#[must_use]
pub fn run() -> u8 {
    let tied = die_with_parent().map_err(|error| Fault::Other(error.to_string()));
    let Err(fault) = tied.and_then(|()| compute()) else { return EXIT_DONE };
    // Who does not read it has the exit code.
    if let Ok(text) = serde_json::to_string(&fault) {
        drop(writeln!(io::stdout(), "{text}"));
    }
    EXIT_FAILED
}

#[cfg(feature = "torch")]
fn compute() -> Result<(), Fault> {
    use std::panic::catch_unwind;

    use crate::exec::devices::own_card_is_full;
    use crate::model::probe;
    use crate::values::Failure;

    catch_unwind(probe::compute)
        .unwrap_or_else(|panic| Err(Fault::of(&Failure::of_panic(&*panic, own_card_is_full()))))
}

#[cfg(not(feature = "torch"))]
fn compute() -> Result<(), Fault> {
    Err(Fault::Other("this build has no libtorch".to_owned()))
}
