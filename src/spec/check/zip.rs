//! Owns the check of a block's `zip`: its names are axes of the block, each in one zip, with lists of equal
//! length. Pure.

use std::collections::HashSet;

use crate::spec::error::{Problem, Report};
use crate::spec::raw::{RawAxis, RawBlock};
use crate::spec::source::At;

/// Checks every zip of a block.
pub(super) fn check(block: &RawBlock, report: &mut Report) {
    let mut used: HashSet<&str> = HashSet::new();
    for zip in &block.zips {
        let mut members: Vec<&RawAxis> = Vec::new();
        for name in &zip.value {
            if !used.insert(&name.value) {
                let message = format!("axis `{}` is zipped twice", name.value);
                report.error(name.place, Problem::BadZip(message));
                continue;
            }
            match block.axes.iter().find(|axis| axis.name() == name.value) {
                Some(axis) => members.push(axis),
                None => unknown(name, block, report),
            }
        }
        let mut lengths: Vec<usize> = members.iter().map(|member| member.written).collect();
        lengths.dedup();
        if lengths.len() > 1 {
            let told: Vec<String> =
                members.iter().map(|member| format!("`{}` has {}", member.name(), member.written)).collect();
            let message = format!("zipped axes need lists of equal length: {}", told.join(", "));
            report.error(zip.place, Problem::BadZip(message));
        }
    }
}

fn unknown(name: &At<String>, block: &RawBlock, report: &mut Report) {
    let message = format!("`zip` names `{}`, which is not an axis of this block", name.value);
    let known = block.axes.iter().map(|axis| axis.name());
    report.error(name.place, Problem::BadZip(message)).one_of(&name.value, known);
}
