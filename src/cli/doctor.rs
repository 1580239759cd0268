//! `lorasweep doctor`: what this machine has, what is missing, and the command that mends it.

use std::fmt::Write as _;
use std::path::Path;

use super::DoctorArgs;
use crate::error::AppError;
use crate::exec::devices::{self, Machine};
use crate::libtorch::{self, Origin};
use crate::ui::{output, phrase};

/// Free disk below which a sweep soon ends, in MiB.
const LOW_DISK_MIB: u64 = 1024;

/// One line of the answer.
#[derive(Debug, PartialEq)]
struct Finding {
    what: &'static str,
    text: String,
    /// The command or act that mends it, where something needed is missing.
    mend: Option<String>,
}

pub(super) fn call(args: &DoctorArgs) -> Result<(), AppError> {
    let machine = devices::detect();
    let origin = std::env::current_exe().map_or(Origin::Source, |program| libtorch::origin(&program));
    let folder = libtorch::folder();
    let mut findings = vec![torch(folder.as_deref(), origin), cuda(&machine, folder.as_deref(), origin)];
    findings.extend(machine.gpus.iter().map(|gpu| {
        let state = if gpu.busy { ", in use by other processes" } else { "" };
        let (free, total) = (gpu.mem_free_mib, gpu.mem_total_mib);
        ok("gpu", format!("cuda:{} {}, {free} of {total} MiB free{state}", gpu.index, gpu.name))
    }));
    findings.push(ok("cores", format!("{} usable, {}", machine.cores.len(), machine.cpu_name)));
    findings.push(ok("memory", format!("{} of {} MiB free", machine.ram_free_mib, machine.ram_total_mib)));
    findings.push(disk(&args.results));
    output::data(&text(&findings))?;
    match findings.iter().filter(|finding| finding.mend.is_some()).count() {
        0 => Ok(()),
        missing => Err(AppError::Environment {
            message: format!("{missing} of {} checks found something missing", findings.len()),
            hint: Some("each line marked `missing` says what mends it".to_owned()),
        }),
    }
}

fn ok(what: &'static str, text: String) -> Finding {
    Finding { what, text, mend: None }
}

/// The libtorch that this process has loaded from `folder`.
fn torch(folder: Option<&Path>, origin: Origin) -> Finding {
    let missing = |text: String, mend: &str| Finding { what: "libtorch", text, mend: Some(mend.to_owned()) };
    if !cfg!(feature = "torch") {
        return missing("this program was built without it and cannot train".to_owned(), "make build");
    }
    // The loader found it, or the program would not have started.
    let Some(folder) = folder else { return ok("libtorch", libtorch::VERSION.to_owned()) };
    match libtorch::version(folder) {
        Some(found) if !libtorch::fits(&found) => {
            let (needed, shown) = (libtorch::VERSION, folder.display());
            let text = format!("{found} in {shown}, but the program was built with {needed}");
            let mend = match origin {
                Origin::Wheel => "pip install 'torch==2.11.*'",
                Origin::Source => "rm -r .libtorch && make setup && make build",
            };
            missing(text, mend)
        }
        found => {
            let version = found.unwrap_or_else(|| libtorch::VERSION.to_owned());
            ok("libtorch", format!("{version}, {}", folder.display()))
        }
    }
}

/// GPUs need the CUDA library that lies beside the CPU one; without GPUs it is no loss.
fn cuda(machine: &Machine, folder: Option<&Path>, origin: Origin) -> Finding {
    let library = folder.map(|folder| folder.join("libtorch_cuda.so"));
    let found = library.filter(|library| library.is_file());
    let driver = machine.driver.as_deref().unwrap_or("unknown");
    match (machine.gpus.len(), found) {
        (0, None) => ok("cuda", "no NVIDIA GPU; trials train on the CPU".to_owned()),
        (0, Some(_)) => ok("cuda", "library found, but no NVIDIA GPU; trials train on the CPU".to_owned()),
        (count, Some(library)) => {
            let count = phrase::count(count, "GPU");
            ok("cuda", format!("{count}, driver {driver}, {}", library.display()))
        }
        (count, None) => {
            let count = phrase::count(count, "GPU");
            let text = format!("{count}, driver {driver}, but libtorch has no CUDA library");
            let mend = match origin {
                Origin::Wheel => "pip install --force-reinstall 'torch==2.11.*' (the build on PyPI has CUDA)",
                Origin::Source => "rm -r .libtorch && make setup && make build",
            };
            Finding { what: "cuda", text, mend: Some(mend.to_owned()) }
        }
    }
}

fn disk(results: &Path) -> Finding {
    let shown = results.display();
    match devices::disk_free_mib(results) {
        Ok(free) if free >= LOW_DISK_MIB => ok("disk", format!("{free} MiB free for `{shown}`")),
        Ok(free) => Finding {
            what: "disk",
            text: format!("only {free} MiB free for `{shown}`"),
            mend: Some("free some space, or use `--results DIR` on another disk".to_owned()),
        },
        Err(error) => Finding {
            what: "disk",
            text: format!("cannot look at `{shown}`: {error}"),
            mend: Some("choose another folder with `--results DIR`".to_owned()),
        },
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { what, text: found, mend } in findings {
        let mark = if mend.is_some() { "missing" } else { "ok" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark:<7}  {what:<8}  {found}");
        if let Some(mend) = mend {
            let _ = writeln!(text, "{:19}mend it: {mend}", "");
        }
    }
    text
}
