//! Owns which libtorch this process uses: its folder, its release, and whether the program was built from
//! source or installed from a wheel. Loads nothing and fixes nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// The release that tch 0.24 binds.
pub const VERSION: &str = "2.11.0";
/// The libtorch library that is loaded from the start of every program that uses it.
const LIBRARY: &str = "libtorch_cpu.so";
/// The kernel's list of what a process has in its memory.
const MAPS: &str = "/proc/self/maps";
/// A file of the wheel's Python package, in the folder above the program's.
const LAUNCHER: &str = "__main__.py";

/// How the program was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Built from a clone.
    Source,
    /// Installed from a wheel, into a Python environment that has torch.
    Wheel,
}

/// The folder of the libtorch that this process uses, with links resolved, since its libraries find one another
/// relative to it. None in a program without libtorch.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    mapped_from(&fs::read_to_string(MAPS).ok()?)
}

/// The libtorch version in `folder`, such as `2.11.0+cu130`; None where no file gives it.
#[must_use]
pub fn version(folder: &Path) -> Option<String> {
    let torch = folder.parent()?;
    // A Python package has the first file, a plain libtorch archive the second.
    let of_package =
        fs::read_to_string(torch.join("version.py")).ok().and_then(|text| assigned(&text, "__version__"));
    of_package.or_else(|| Some(fs::read_to_string(torch.join("build-version")).ok()?.trim().to_owned()))
}

/// Whether a release is compatible with the one that the program was built with: only the last number and the
/// text after it may differ.
#[must_use]
pub fn fits(version: &str) -> bool {
    let line = |version: &str| version.splitn(3, '.').take(2).map(str::to_owned).collect::<Vec<_>>();
    line(version) == line(VERSION)
}

/// The library that lets the libtorch in `folder` use GPUs: beside its others, or where the loader is told to look
/// first.
#[must_use]
pub fn cuda_library(folder: &Path) -> Option<PathBuf> {
    let told = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let mut folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&told));
    folders.find_map(|folder| Some(folder.join("libtorch_cuda.so")).filter(|library| library.is_file()))
}

/// The CUDA of the build that set-up and pip install.
pub const CUDA: (u32, u32) = (13, 0);

/// The CUDA that the libtorch in `folder` was built for; None where it was built without, or no file tells.
#[must_use]
pub fn cuda(folder: &Path) -> Option<(u32, u32)> {
    let package = fs::read_to_string(folder.parent()?.join("version.py")).unwrap_or_default();
    let (major, minor) = match assigned(&package, "cuda") {
        Some(cuda) => cuda.split_once('.').map(|(major, minor)| (major.to_owned(), minor.to_owned()))?,
        None => {
            let version = version(folder)?;
            let digits = version.split_once("+cu")?.1;
            let (major, minor) = digits.split_at_checked(digits.len().checked_sub(1)?)?;
            (major.to_owned(), minor.to_owned())
        }
    };
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The least compute capability for which a libtorch of this release has code, if built for this CUDA ("PyTorch
/// CUDA Support Matrix" in PyTorch's RELEASE.md).
#[must_use]
pub fn least_capability(cuda: (u32, u32)) -> (u32, u32) {
    if cuda >= (12, 8) { (7, 5) } else { (5, 0) }
}

/// The CUDA of the oldest libtorch of this release that has code for a compute capability; None for cards older
/// than all.
#[must_use]
pub fn oldest_cuda_for(capability: (u32, u32)) -> Option<(u32, u32)> {
    match capability {
        (10.., _) => Some((12, 8)),
        (5.., _) => Some((12, 6)),
        _ => None,
    }
}

/// The command that installs a libtorch built for this CUDA.
#[must_use]
pub fn install_for((major, minor): (u32, u32), origin: Origin) -> String {
    let index = format!("https://download.pytorch.org/whl/cu{major}{minor}");
    let pip = format!("pip install --force-reinstall 'torch==2.11.*' --index-url {index}");
    match origin {
        Origin::Wheel => format!("`{pip}`"),
        Origin::Source => {
            format!("`{pip} && rm -rf .libtorch && make setup && make build` in a virtual environment")
        }
    }
}

/// The command that installs another libtorch: the right release, with CUDA where there is a GPU.
#[must_use]
pub fn reinstall(origin: Origin) -> &'static str {
    match origin {
        Origin::Wheel => "pip install --force-reinstall 'torch==2.11.*'",
        Origin::Source => "rm -r .libtorch && make setup && make build",
    }
}

/// How this program was installed.
#[must_use]
pub fn own_origin() -> Origin {
    std::env::current_exe().map_or(Origin::Source, |program| origin(&program))
}

/// How the program at `program` was installed.
#[must_use]
pub fn origin(program: &Path) -> Origin {
    let package = program.parent().and_then(Path::parent);
    match package {
        Some(package) if package.join(LAUNCHER).is_file() => Origin::Wheel,
        Some(_) | None => Origin::Source,
    }
}

/// The folder of [`LIBRARY`] in the lines of [`MAPS`]: five fields, then a path that may contain spaces.
fn mapped_from(maps: &str) -> Option<PathBuf> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    let mut libraries = paths.filter(|path| path.file_name().is_some_and(|name| name == LIBRARY));
    libraries.next()?.parent().map(Path::to_owned)
}

/// The string that a Python file assigns to a name.
fn assigned(text: &str, name: &str) -> Option<String> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.split_once("= "));
    // A type may stand between.
    let value = values.find(|(between, _)| between.trim().is_empty() || between.starts_with(':'))?.1;
    let value = value.trim().strip_prefix(['\'', '"'])?;
    value.strip_suffix(['\'', '"']).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_read_from_the_kernels_lines_with_spaces_in_it() {
        let maps = "\
55d0c0000000-55d0c0001000 r--p 00000000 fe:00 12                         /opt/a b/bin/lorasweep
7f0000000000-7f0000001000 r--p 00000000 fe:00 34                         /opt/a b/torch/lib/libtorch_cpu.so
7f0000001000-7f0000002000 r-xp 00001000 fe:00 34                         /opt/a b/torch/lib/libtorch_cpu.so
7f0000003000-7f0000004000 rw-p 00000000 00:00 0
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
";
        assert_eq!(mapped_from(maps), Some(PathBuf::from("/opt/a b/torch/lib")));
        let without = maps.replace("libtorch_cpu.so", "libtorch_cpu.so.bak");
        assert_eq!(mapped_from(&without), None);
    }

    #[test]
    fn a_package_and_an_archive_each_tell_their_version() {
        let torch = tempfile::tempdir().unwrap();
        let folder = torch.path().join("lib");
        assert_eq!(version(&folder), None);
        fs::write(torch.path().join("build-version"), "2.11.0+cpu\n").unwrap();
        assert_eq!(version(&folder).as_deref(), Some("2.11.0+cpu"));
        let module = "from typing import Optional\n\n__all__ = ['__version__', 'debug']\n__version__ = '2.11.1+cu130'\n";
        fs::write(torch.path().join("version.py"), module).unwrap();
        assert_eq!(version(&folder).as_deref(), Some("2.11.1+cu130"));
    }

    #[test]
    fn the_cuda_of_a_build_is_in_its_version() {
        let torch = tempfile::tempdir().unwrap();
        let told = |version: &str| {
            fs::write(torch.path().join("build-version"), version).unwrap();
            cuda(&torch.path().join("lib"))
        };
        assert_eq!(["2.11.0+cu130", "2.11.1+cu126"].map(told), [Some((13, 0)), Some((12, 6))]);
        assert_eq!(["2.11.0+cpu", "2.11.0", "2.11.0+cu", "2.11.0+cuda"].map(told), [None; 4]);
        let package =
            "__version__ = '2.11.0a0+git70d9'\ncuda: Optional[str] = '13.1'\nhip: Optional[str] = None\n";
        fs::write(torch.path().join("version.py"), package).unwrap();
        assert_eq!(told("2.11.0+cu126"), Some((13, 1)));
    }

    #[test]
    fn each_card_has_the_oldest_build_with_code_for_it() {
        assert_eq!(
            [(3, 7), (6, 1), (7, 0), (7, 5), (9, 0), (12, 0)].map(oldest_cuda_for),
            [None, Some((12, 6)), Some((12, 6)), Some((12, 6)), Some((12, 6)), Some((12, 8))]
        );
        assert_eq!(least_capability(CUDA), (7, 5));
        assert!(oldest_cuda_for((7, 0)).is_some_and(|cuda| least_capability(cuda) <= (7, 0)));
    }

    #[test]
    fn releases_of_one_line_fit_and_others_do_not() {
        assert!(["2.11.0", "2.11.0+cu130", "2.11.3+cpu"].into_iter().all(fits));
        assert!(["2.1.1", "2.10.0", "2.12.0+cpu", "3.11.0", ""].into_iter().all(|version| !fits(version)));
    }

    #[test]
    fn a_launcher_above_the_programs_folder_tells_of_a_wheel() {
        let package = tempfile::tempdir().unwrap();
        let program = package.path().join("bin/lorasweep");
        assert_eq!(origin(&program), Origin::Source);
        fs::write(package.path().join(LAUNCHER), "").unwrap();
        assert_eq!(origin(&program), Origin::Wheel);
        assert_eq!(origin(Path::new("lorasweep")), Origin::Source);
    }

    #[cfg(feature = "torch")]
    #[test]
    fn this_process_finds_the_libtorch_it_runs_on() {
        // So that the linker keeps it, whatever else is tested here.
        let _ = tch::Cuda::is_available();
        let folder = folder().unwrap();
        assert!(folder.join("libc10.so").is_file(), "{}", folder.display());
        assert!(version(&folder).is_none_or(|version| fits(&version)));
    }
}
