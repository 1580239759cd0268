//! Owns why a GPU that is there cannot be used, and what mends it. Looks at nothing.

use std::fmt;

use serde::Serialize;

use super::fault::Fault;
use crate::libtorch::{self, Origin};
use crate::values::quantity;

/// A GPU that is there, or is asked for by `CUDA_VISIBLE_DEVICES`, and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The index that it would have as [`super::Gpu::index`].
    pub index: Option<usize>,
    /// Its number in the driver's order, as `nvidia-smi` shows it.
    pub number: Option<usize>,
    /// What it is called, for people.
    pub name: String,
    /// Why.
    pub why: Why,
}

impl LeftOut {
    /// A GPU, or an instance of one, of the card with this number in the driver's order.
    pub(super) fn new(index: usize, number: Option<usize>, uuid: String, why: Why) -> Self {
        let whole = number.filter(|_| !uuid.starts_with("MIG-"));
        let name = whole.map_or(uuid, |number| format!("GPU {number}"));
        Self { index: Some(index), number, name, why }
    }
}

/// Why a GPU cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The machine has lost its connection to it.
    Lost,
    /// It asks for a reset.
    NeedsReset,
    /// It belongs to others.
    NoPermission,
    /// So many memory errors were not corrected since the driver was loaded.
    MemoryErrors(u64),
    /// A part of its memory is to be replaced by spare memory at the next reset.
    MemoryRepairPending,
    /// There is no spare memory left for a part that failed.
    MemoryRepairFailed,
    /// It is in MIG mode and nobody has divided it.
    NoInstance,
    /// An entry of `CUDA_VISIBLE_DEVICES` names no GPU that is here.
    NoSuchCard,
    /// The driver is older than the CUDA that libtorch was built for.
    DriverTooOld {
        /// The driver's CUDA version.
        has: (u32, u32),
        /// The least that will do.
        needs: (u32, u32),
        /// The CUDA of another libtorch of this release, which would do.
        instead: Option<(u32, u32)>,
    },
    /// Libtorch has no code for cards this old.
    CardTooOld {
        /// Its compute capability.
        has: (u32, u32),
        /// The least that will do.
        needs: (u32, u32),
        /// The CUDA of another libtorch of this release, which would do.
        instead: Option<(u32, u32)>,
    },
    /// Libtorch has no code for cards this new.
    CardTooNew {
        /// Its compute capability.
        has: (u32, u32),
        /// The CUDA that libtorch was built for.
        built_for: (u32, u32),
        /// The CUDA of another libtorch of this release, which would do.
        instead: (u32, u32),
    },
    /// There is a device file, but NVIDIA's library is absent.
    NoLibrary,
    /// There is a device file, and NVIDIA's library and the driver in the kernel are of different versions.
    Mismatch,
    /// There is a device file, but the driver does not answer for this reason.
    NoAnswer(String),
    /// The driver gives another reason.
    Other(String),
    /// The driver says nothing of it, but it does not compute.
    DoesNotCompute(Fault),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |(major, minor): &(u32, u32)| format!("{major}.{minor}");
        match self {
            Self::Lost => f.write_str("it fell off the bus"),
            Self::NeedsReset => f.write_str("it must be reset before it can compute again"),
            Self::NoPermission => f.write_str("this process has no permission to use it"),
            Self::MemoryErrors(1) => f.write_str("its memory had an error that could not be corrected"),
            Self::MemoryErrors(count) => {
                write!(f, "its memory had {count} errors that could not be corrected")
            }
            Self::MemoryRepairPending => f.write_str("a repair of its memory waits for a reset"),
            Self::MemoryRepairFailed => f.write_str("its memory is damaged beyond repair"),
            Self::NoInstance => f.write_str("it is in MIG mode and has no instance"),
            Self::NoSuchCard => f.write_str("no GPU here has that number or UUID"),
            Self::DriverTooOld { has, needs, .. } => {
                let (has, needs) = (version(has), version(needs));
                write!(f, "its driver is for CUDA {has}, and libtorch needs one for {needs}")
            }
            Self::CardTooOld { has, needs, .. } => {
                let (has, needs) = (version(has), version(needs));
                write!(f, "its compute capability is {has}, and libtorch needs {needs}")
            }
            Self::CardTooNew { has, built_for, .. } => {
                let (has, built_for) = (version(has), version(built_for));
                write!(
                    f,
                    "its compute capability is {has}, for which libtorch for CUDA {built_for} has no code"
                )
            }
            Self::NoLibrary => {
                f.write_str("its device file is there, but NVIDIA's library libnvidia-ml.so.1 is not")
            }
            Self::Mismatch => {
                f.write_str("NVIDIA's libraries and the driver in the kernel are of different versions")
            }
            Self::NoAnswer(said) => {
                write!(f, "its device file is there, but the driver gives no answer: {said}")
            }
            Self::Other(said) => write!(f, "the driver says of it: {said}"),
            Self::DoesNotCompute(fault) => write!(f, "it does not compute: {fault}"),
        }
    }
}

impl Why {
    /// Whether nothing is known of the card, since its driver does not answer.
    pub(super) fn is_of_driver(&self) -> bool {
        matches!(self, Self::NoLibrary | Self::Mismatch | Self::NoAnswer(_))
    }

    /// What to do about it, for cards with these numbers, and a program that was installed in this way.
    fn mend(&self, numbers: &str, origin: Origin) -> String {
        let reset = || format!("`sudo nvidia-smi --gpu-reset -i {numbers}`, or reboot");
        match self {
            Self::Lost => "reboot; `sudo dmesg | grep Xid` says why".to_owned(),
            Self::NeedsReset | Self::MemoryErrors(_) | Self::MemoryRepairPending => reset(),
            Self::MemoryRepairFailed => "replace it".to_owned(),
            Self::NoPermission => {
                "ask the cluster or the container for it, as by `--gres=gpu:N` or `--gpus all`".to_owned()
            }
            Self::NoInstance => {
                format!("`sudo nvidia-smi -i {numbers} -mig 0` ends that mode, `nvidia-smi mig` divides it")
            }
            Self::NoSuchCard => {
                "`nvidia-smi -L` lists those there are; correct CUDA_VISIBLE_DEVICES, or unset it".to_owned()
            }
            Self::DriverTooOld { needs, instead, .. } => {
                let driver = match needs.0 {
                    13.. => "install driver 580 or newer",
                    _ => "install a newer driver",
                };
                let another = instead.map(|cuda| libtorch::install_for(cuda, origin));
                another.map_or(driver.to_owned(), |another| format!("{driver}, or another libtorch: {another}"))
            }
            Self::CardTooOld { instead, .. } => instead.map_or_else(
                || "no libtorch of this release has code for it".to_owned(),
                |cuda| format!("install a libtorch that has code for it: {}", libtorch::install_for(cuda, origin)),
            ),
            Self::CardTooNew { instead, .. } => {
                format!("install a libtorch that has code for it: {}", libtorch::install_for(*instead, origin))
            }
            Self::NoLibrary => {
                "start the container with NVIDIA_DRIVER_CAPABILITIES=compute,utility, or install the driver's \
                 libraries"
                    .to_owned()
            }
            Self::Mismatch => "reboot".to_owned(),
            Self::NoAnswer(_) => "`nvidia-smi` says more".to_owned(),
            Self::Other(_) => format!("`nvidia-smi -i {numbers}` says more"),
            Self::DoesNotCompute(fault) => fault.mend(numbers, origin),
        }
    }
}

/// GPUs that are left out for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    members: Vec<&'a LeftOut>,
}

impl Group<'_> {
    /// Which they are and why, for people.
    #[must_use]
    pub fn told(&self) -> String {
        let names: Vec<&str> = self.members.iter().map(|one| one.name.as_str()).collect();
        format!("{}: {}", names.join(", "), self.members[0].why)
    }

    /// What to do about it.
    #[must_use]
    pub fn mend(&self) -> String {
        let mut numbers: Vec<String> =
            self.members.iter().filter_map(|one| one.number).map(|number| number.to_string()).collect();
        // Instances may be of one card, and of one whose number the driver keeps to itself.
        numbers.dedup();
        let numbers = if numbers.is_empty() { "N".to_owned() } else { numbers.join(",") };
        self.members[0].why.mend(&numbers, libtorch::own_origin())
    }

    /// The warning of a run that goes on without them.
    #[must_use]
    pub fn warning(&self) -> String {
        format!("not used: {}; {}", self.told(), self.mend())
    }

    /// Whether they are merely somebody else's.
    #[must_use]
    pub fn is_of_others(&self) -> bool {
        self.members[0].why == Why::NoPermission
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.members.len()
    }
}

/// Those that are left out, by reason, in their order.
#[must_use]
pub fn groups(left_out: &[LeftOut]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for one in left_out {
        match groups.iter_mut().find(|group| group.members[0].why == one.why) {
            Some(group) => group.members.push(one),
            None => groups.push(Group { members: vec![one] }),
        }
    }
    groups
}

/// How many there are and why they are left out, in one line.
pub(super) fn all_told(left_out: &[LeftOut]) -> String {
    let told: Vec<String> = groups(left_out).iter().map(Group::told).collect();
    format!("{} cannot be used: {}", quantity::counted(left_out.len(), "NVIDIA GPU"), told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(number: usize, why: Why) -> LeftOut {
        LeftOut { index: Some(number), number: Some(number), name: format!("GPU {number}"), why }
    }

    #[test]
    fn what_has_one_reason_is_told_and_mended_together() {
        let cards =
            [left_out(0, Why::MemoryErrors(2)), left_out(1, Why::Lost), left_out(2, Why::MemoryErrors(2))];
        let groups = groups(&cards);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].told(), "GPU 0, GPU 2: its memory had 2 errors that could not be corrected");
        assert_eq!(groups[0].mend(), "`sudo nvidia-smi --gpu-reset -i 0,2`, or reboot");
        assert!(all_told(&cards).starts_with("3 NVIDIA GPUs cannot be used: GPU 0, GPU 2: its memory"));
    }

    #[test]
    fn an_old_driver_is_mended_by_a_newer_one_or_another_libtorch() {
        let why = |instead| Why::DriverTooOld { has: (12, 4), needs: (13, 0), instead };
        assert_eq!(
            why(Some((12, 6))).to_string(),
            "its driver is for CUDA 12.4, and libtorch needs one for 13.0"
        );
        let mend = why(Some((12, 6))).mend("0", Origin::Wheel);
        assert!(mend.starts_with("install driver 580 or newer, or another libtorch: `pip install"), "{mend}");
        assert!(mend.contains("whl/cu126"), "{mend}");
        assert_eq!(why(None).mend("0", Origin::Wheel), "install driver 580 or newer");
    }
}
