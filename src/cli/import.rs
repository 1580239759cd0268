//! `lorasweep import`: an adapter that PEFT saved, checked and made ready for `lorasweep predict`.

use super::{ImportArgs, print_paths};
use crate::adapter::import::{self, Request};
use crate::error::AppError;

pub(super) fn call(args: &ImportArgs) -> Result<(), AppError> {
    let request = Request {
        adapter: &args.adapter,
        base: &args.base,
        out: &args.out,
        labels: args.labels.as_deref(),
        layers: args.layers,
    };
    print_paths(&import::import(&request)?)
}
