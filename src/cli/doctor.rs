//! `lorasweep doctor`: what this machine has, what is missing, and how to fix it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::probe;
use crate::error::AppError;
use crate::exec::devices::{self, Gpu, Group, Machine, Why};
use crate::libtorch::{self, Origin};
use crate::ui::output;
use crate::values::{Device, quantity};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Folder where runs would go, to see its free space
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Do not try whether GPUs compute, which takes seconds and some of their memory
    #[arg(long)]
    quick: bool,
}

/// Free disk below which a sweep soon ends, in MiB.
const LOW_DISK_MIB: u64 = 1024;

/// One line of the output.
#[derive(Debug, PartialEq)]
struct Finding {
    what: &'static str,
    text: String,
    /// The command or action that fixes it, where something needed is missing.
    mend: Option<String>,
}

pub(super) fn call(args: &DoctorArgs) -> Result<(), AppError> {
    let mut machine = devices::detect();
    let (origin, folder) = (libtorch::own_origin(), libtorch::folder());
    let tries = !args.quick
        && !machine.gpus.is_empty()
        && folder.as_deref().and_then(libtorch::cuda_library).is_some();
    let works = if tries { probe::leave_out_all_broken(&mut machine)? } else { Vec::new() };
    let mut findings = vec![torch(folder.as_deref(), origin), cuda(&machine, folder.as_deref(), origin)];
    findings.extend(machine.gpus.iter().map(|gpu| ok("gpu", told(gpu, &works))));
    findings.extend(devices::groups(&machine.left_out).iter().map(|group| left_out(group, &machine)));
    findings.push(ok("cores", format!("{} usable, {}", machine.cores.len(), machine.cpu_name)));
    findings.push(ok("memory", format!("{} of {} MiB free", machine.ram_free_mib, machine.ram_total_mib)));
    findings.push(disk(&args.results));
    output::data(&text(&findings))?;
    match findings.iter().filter(|finding| finding.mend.is_some()).count() {
        0 => Ok(()),
        missing => Err(AppError::Environment {
            message: format!("{missing} of {} checks found something missing", findings.len()),
            hint: Some("each line marked `missing` has its fix below it".to_owned()),
        }),
    }
}

/// A GPU that can be used; `works` are those that were tried.
fn told(gpu: &Gpu, works: &[Device]) -> String {
    let Gpu { index, number: _, uuid, name, mem_total_mib, mem_free_mib, speed: _, busy } = gpu;
    let busy = busy.as_ref().map_or_else(String::new, |busy| format!("; {busy}"));
    let computes = if works.contains(&Device::Cuda { index: *index }) { "; computes" } else { "" };
    format!("cuda:{index} {name}, {mem_free_mib} of {mem_total_mib} MiB free, {uuid}{computes}{busy}")
}

/// GPUs that cannot be used. Those of other people are missed only by whoever has none.
fn left_out(group: &Group<'_>, machine: &Machine) -> Finding {
    if group.is_of_others() && !machine.gpus.is_empty() {
        return ok("gpu", group.told());
    }
    Finding { what: "gpu", text: group.told(), mend: Some(group.mend()) }
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
            let shown = folder.display();
            let text = format!("{found} in {shown}, but the program was built with {}", libtorch::VERSION);
            missing(text, libtorch::reinstall(origin))
        }
        found => {
            let version = found.unwrap_or_else(|| libtorch::VERSION.to_owned());
            ok("libtorch", format!("{version}, {}", folder.display()))
        }
    }
}

/// GPUs need the CUDA library next to the CPU library; without GPUs it is not missed.
fn cuda(machine: &Machine, folder: Option<&Path>, origin: Origin) -> Finding {
    let found = folder.and_then(libtorch::cuda_library);
    let driver = machine.driver.as_deref().unwrap_or("unknown");
    let cuda = machine.cuda.map_or_else(String::new, |(major, minor)| format!(" for CUDA {major}.{minor}"));
    let driver = format!("driver {driver}{cuda}");
    let named_only = machine.left_out.iter().filter(|one| one.why == Why::NoSuchCard).count();
    let none = match std::env::var("CUDA_VISIBLE_DEVICES") {
        // A driver that answers has most often cards to hide.
        Ok(hides) if machine.driver.is_some() => {
            format!("CUDA_VISIBLE_DEVICES=`{hides}` shows no NVIDIA GPU")
        }
        Ok(_) | Err(_) => "no NVIDIA GPU".to_owned(),
    };
    let on_cpu = if named_only == 0 { "; trials train on the CPU" } else { "" };
    match (machine.gpus.len() + machine.left_out.len() - named_only, found) {
        (0, None) => ok("cuda", format!("{none}{on_cpu}")),
        (0, Some(_)) => ok("cuda", format!("library found, but {none}{on_cpu}")),
        (count, Some(library)) => {
            let count = quantity::counted(count, "GPU");
            ok("cuda", format!("{count}, {driver}, {}", library.display()))
        }
        (count, None) => {
            let count = quantity::counted(count, "GPU");
            let text = format!("{count}, {driver}, but libtorch has no CUDA library");
            Finding { what: "cuda", text, mend: Some(libtorch::reinstall(origin).to_owned()) }
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
            let _ = writeln!(text, "{:19}fix: {mend}", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_gpu_without_a_cuda_library_is_mended_where_the_program_came_from() {
        let folder = tempfile::tempdir().unwrap();
        let mend = |origin| cuda(&Machine::example(vec![Gpu::example(0)]), Some(folder.path()), origin).mend;
        assert_eq!(mend(Origin::Wheel).unwrap(), "pip install --force-reinstall 'torch==2.11.*'");
        assert_eq!(mend(Origin::Source).unwrap(), "rm -r .libtorch && make setup && make build");
        std::fs::write(folder.path().join("libtorch_cuda.so"), "").unwrap();
        assert_eq!(mend(Origin::Wheel), None);
    }

    #[cfg(feature = "torch")]
    #[test]
    fn another_release_of_libtorch_is_told_with_its_version() {
        let package = tempfile::tempdir().unwrap();
        let folder = package.path().join("lib");
        let tell = |version: &str| {
            let text = format!("__version__ = '{version}'\n");
            std::fs::write(package.path().join("version.py"), text).unwrap();
            torch(Some(&folder), Origin::Wheel)
        };
        assert_eq!(tell("2.11.1+cpu"), ok("libtorch", format!("2.11.1+cpu, {}", folder.display())));
        let other = tell("2.12.0");
        assert!(other.text.starts_with("2.12.0 in ") && other.mend.is_some(), "{other:?}");
    }
}
