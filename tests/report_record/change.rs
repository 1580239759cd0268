//! Changes to the task of a made-up record.

use std::sync::Arc;

use lorasweep::record::RunRecord;
use lorasweep::sweep::SweepParts;
use lorasweep::tasks::{Objective, Task};

/// Changes the first task of a record, and leaves the ids of its trials.
pub(crate) fn change_task(record: &mut RunRecord, change: impl FnOnce(&mut Task)) {
    let mut task = Task::clone(record.sweep.first_task());
    change(&mut task);
    let put = |sweep: &mut SweepParts| drop(sweep.tasks.insert(task.name.clone(), Arc::new(task)));
    record.sweep = record.sweep.with(put).expect("the changed task is one of a sweep");
}

/// The class names of a task that has classes.
pub(crate) fn class_names(task: &mut Task) -> &mut Vec<String> {
    let Objective::Classification(classes) = &mut task.objective else { panic!("classes") };
    &mut classes.labels
}
