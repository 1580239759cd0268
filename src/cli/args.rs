//! Owns the arguments shared by several commands: which sweep, which devices, which run, which trial. Reads no
//! file but the sweep's.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::hub::Hub;
use crate::spec::{self, Downloads, Intent, Overrides, SpecErrors};
use crate::sweep::SweepSpec;
use crate::ui::downloads;
use crate::values::shell;

/// The text below the list of commands.
pub(super) const AFTER_HELP: &str = "\
Exit codes:
  0  ok
  1  unexpected error
  2  bad input: arguments, sweep file or data
  3  the sweep ended, but some trials failed
  4  interrupted; the same command continues it
  5  the environment lacks something; `lorasweep doctor` says what

Data goes to standard output, everything else to standard error. NO_COLOR is honoured.";

/// A sweep file, and what to change in it for this time.
#[derive(Debug, Args)]
pub(super) struct SpecArgs {
    /// The sweep file
    pub(super) spec: PathBuf,
    /// A set of changes from the sweep's `profiles`; its results go to a folder of their own
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Set a value in the sweep, for example `training.epochs=2` (repeatable)
    #[arg(long, value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// Keep only the configurations with this value on an axis, for example `rank=8` (repeatable)
    #[arg(long, value_name = "AXIS=VALUE")]
    pub(super) only: Vec<String>,
}

/// Where to train.
#[derive(Debug, Args)]
pub(super) struct DeviceArgs {
    /// Devices to use instead of those in the sweep: `auto`, `cpu:N` (N packs at a time, on equally many cores),
    /// `cuda` (every GPU), `cuda:0` or `cuda:0,2` (by index) or `gpus:N` (any N of them)
    #[arg(long)]
    pub(super) devices: Option<String>,
    /// Most trials that train together in one process [default: what suits the devices]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) pack_slots: Option<u16>,
    /// Decide anew on how many cores, or that on a GPU, each trial trains. A trial keeps that in later runs, since
    /// its digits depend on it; one with a checkpoint from another number of cores starts over
    #[arg(long)]
    pub(super) new_widths: bool,
}

/// Which run.
#[derive(Debug, Args)]
pub(super) struct RunFolderArgs {
    /// The run's folder, or the sweep's name
    pub(super) run: PathBuf,
    /// Folder in which to look for runs by name
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(super) results: PathBuf,
}

/// Which trial of which run.
#[derive(Debug, Args)]
pub(super) struct TrialArgs {
    #[command(flatten)]
    pub(super) run: RunFolderArgs,
    /// The trial's id, or the beginning of it; the id of a configuration names its one trial
    pub(super) trial: String,
}

/// Which job, for a child process.
#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// The job's folder
    #[arg(required_unless_present = "probe")]
    pub(super) job: Option<PathBuf>,
    /// Instead of a job, try whether the GPU that this process sees computes
    #[arg(long, conflicts_with = "job")]
    pub(super) probe: bool,
}

impl SpecArgs {
    /// The changes to the sweep file, including `--devices`.
    pub(super) fn overrides(&self, devices: Option<&DeviceArgs>) -> Overrides {
        let devices = devices.and_then(|args| args.devices.as_ref());
        let set = self.set.iter().cloned().chain(devices.map(|wanted| format!("devices={wanted}")));
        Overrides { set: set.collect(), only: self.only.clone(), profile: self.profile.clone() }
    }

    /// The checked sweep, after fetching what it needs from the hub.
    pub(super) fn load(&self, devices: Option<&DeviceArgs>, intent: Intent) -> Result<SweepSpec, SpecErrors> {
        let bar = downloads::Bar::new();
        let downloads = Downloads { hub: &Hub::from_env(), progress: &|progress| bar.tell(progress) };
        spec::load(&self.spec, &self.overrides(devices), intent, downloads)
    }
}

impl RunFolderArgs {
    /// The arguments that name the same run in another command.
    pub(super) fn typed(&self) -> String {
        let run = self.run.to_string_lossy();
        if self.results == Path::new("results") {
            return shell::quoted([run]);
        }
        shell::quoted([run, "--results".into(), self.results.to_string_lossy()])
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cli::Cli;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
