//! Machines with NVIDIA GPUs that are made up: the library of `tests/fake_nvml` in a folder of its own, and the text
//! from which it answers.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::cli_support::{Said, lorasweep_with, sweep_folder};

/// The folder with the library; None where there is no C compiler.
static LIBRARY: LazyLock<Option<TempDir>> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_nvml/nvml.c");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = folder.path().join("libnvidia-ml.so.1");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source);
    let built = cc.status().ok()?;
    assert!(built.success(), "the library is not built");
    Some(folder)
});

/// A machine, and a folder with a sweep on it.
pub(crate) struct Machine {
    pub(crate) folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Machine {
    /// A machine that is as these lines say. None, and the reason is printed, where no library can be built.
    pub(crate) fn new(lines: &str) -> Option<Self> {
        let Some(library) = LIBRARY.as_ref() else {
            writeln!(std::io::stderr(), "skipped: there is no C compiler (`cc`)").expect("standard error");
            return None;
        };
        let folder = sweep_folder();
        let text = folder.path().join("nvml.txt");
        fs::write(&text, lines).expect("a writable folder");
        let before = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
        let variables = vec![
            ("LD_LIBRARY_PATH", format!("{}:{before}", library.path().display())),
            ("FAKE_NVML", text.display().to_string()),
            ("TMPDIR", folder.path().display().to_string()),
        ];
        Some(Self { folder, variables })
    }

    /// The same machine to a process with one more variable.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Runs the program on it.
    pub(crate) fn lorasweep(&self, args: &[&str]) -> Said {
        lorasweep_with(self.folder.path(), args, |command| self.surround(command))
    }

    /// Gives a command the machine, and nothing of the GPUs of this one.
    pub(crate) fn surround(&self, command: &mut Command) {
        for name in ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"] {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// What `doctor` says of its GPUs, line by line.
    pub(crate) fn doctor(&self) -> Vec<String> {
        let said = self.lorasweep(&["doctor", "--quick"]);
        let (mut lines, mut is_ours) = (Vec::new(), false);
        for line in said.stdout.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[0] != "fix:" {
                is_ours = words[1] == "gpu";
            }
            if is_ours {
                lines.push(words.join(" "));
            }
        }
        lines
    }

    /// The GPUs on which a sweep would train, by index, or the refusal.
    pub(crate) fn plan(&self, devices: &str) -> Result<(Vec<u64>, String), Said> {
        let said = self.lorasweep(&["plan", "sweep.yaml", "--devices", devices, "--json"]);
        if said.code != 0 {
            return Err(said);
        }
        let plan: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
        let gpus = plan["resources"]["gpus"].as_array().expect("a list");
        let indices = gpus.iter().map(|gpu| gpu["device"]["index"].as_u64().expect("a number"));
        Ok((indices.collect(), said.stderr))
    }
}

/// Another process, until it is dropped.
pub(crate) struct Other(std::process::Child);

impl Other {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        Self(command.spawn().expect("it starts"))
    }

    pub(crate) fn child(&mut self) -> &mut std::process::Child {
        &mut self.0
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
