//! `lorasweep init`: a commented starter sweep for one's own CSV file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use super::InitArgs;
use crate::error::AppError;
use crate::spec;
use crate::ui::output;

pub(super) fn call(args: &InitArgs) -> Result<(), AppError> {
    let text = spec::starter(&args.csv)?;
    let out = &args.out;
    let created = OpenOptions::new().write(true).create_new(true).open(out);
    match created.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => {
            output::data(&format!("{}\n", out.display()))?;
            output::hint(&format!("look it over, then `lorasweep plan {}`", out.display()));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(AppError::Input {
            message: format!("`{}` is there already", out.display()),
            hint: Some("`--out FILE` writes elsewhere; nothing was changed".to_owned()),
        }),
        Err(error) => Err(AppError::file("write", out, &error)),
    }
}
