//! `lorasweep schema`: the JSON Schema of sweep files, from the types that read them.

use crate::error::AppError;
use crate::ui::output;

pub(super) fn call() -> Result<(), AppError> {
    output::json(&crate::spec::schema())
}
