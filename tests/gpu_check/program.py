"""The program under test as processes: runs with their events, and what it says of the machine. Judges nothing."""

import json
import os
import re
import resource
import subprocess
import threading
import time

import compare

from .checks import Failed

# A run that has ended in good order: done, some trials failed, interrupted.
ENDED = (0, 3, 4)


class Program:
    """The built program, with a folder for what it reads and writes, and a time by which all must be done."""

    def __init__(self, path, folder, devices, minutes):
        self.path, self.folder, self.devices = path.resolve(), folder, devices
        self.ends = time.monotonic() + 60 * minutes
        self.environment = {**os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        if self.ask("--version").returncode and compare.PYTHON:
            self.take_libraries_of(compare.PYTHON)

    def take_libraries_of(self, python):
        """Uses the libtorch of a Python that has torch, where the program finds none of its own."""
        script = "import pathlib, torch; print(pathlib.Path(torch.__file__).parent / 'lib')"
        found = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
        self.environment["LD_LIBRARY_PATH"] = found.stdout.strip()

    @property
    def on_gpu(self):
        return self.devices.startswith("cuda")

    @property
    def index(self):
        """Of the first of the GPUs, as torch counts them."""
        return int(re.search(r"\d+|$", self.devices).group() or 0)

    def remaining_s(self):
        left = self.ends - time.monotonic()
        if left < 5:
            raise Failed("the time for all checks is over")
        return left

    def ask(self, *arguments):
        """A short command, to its end."""
        return subprocess.run([str(part) for part in (self.path, *arguments)], capture_output=True, text=True,
                              cwd=self.folder, env=self.environment, timeout=self.remaining_s(), check=False)

    def doctor(self):
        said = self.ask("doctor", "--results", self.folder)
        if said.returncode:
            raise Failed(f"`doctor` ended with exit code {said.returncode}: {last_line(said.stdout + said.stderr)}")
        return said.stdout

    def plan(self, sweep, results="plan"):
        """What the program foresees of a sweep on the devices, beside the runs of a folder."""
        file, results = self.write(sweep, "plan"), self.folder / results / "results"
        said = self.ask("plan", file, "--json", "--devices", self.devices, "--results", results)
        if said.returncode:
            raise Failed(f"`plan` ended with exit code {said.returncode}: {last_line(said.stderr)}")
        return json.loads(said.stdout)

    def write(self, sweep, place):
        folder = self.folder / place
        folder.mkdir(exist_ok=True)
        file = folder / "sweep.yaml"
        # JSON is YAML.
        file.write_text(json.dumps(sweep), encoding="utf-8")
        return file

    def run(self, sweep, place, *options, **settings):
        """Starts or continues a sweep in a folder of its own, and follows it to its end."""
        return Run(self, sweep, place, options, **settings)


class Run:
    """One `lorasweep run`. `on_event` is called with this run and each event while it goes on. `host_mib` limits the
    memory that each of its processes may have on the host. It must end with one of the exit codes `ends`."""

    def __init__(self, program, sweep, place, options, devices=None, on_event=None, host_mib=None, ends=ENDED):
        devices = devices or program.devices
        self.results = program.folder / place / "results" / sweep["name"]
        command = [program.path, "run", program.write(sweep, place), "--json", "--devices", devices, *options]
        command += ["--results", self.results.parent, "--reports", program.folder / place / "reports"]
        self.report = program.folder / place / "reports" / sweep["name"] / "report.md"
        errors = program.folder / place / "stderr"
        started, self.events = time.monotonic(), []

        def limit():
            if host_mib:
                resource.setrlimit(resource.RLIMIT_DATA, (host_mib << 20, host_mib << 20))

        with errors.open("w", encoding="utf-8") as file, subprocess.Popen(
                [str(part) for part in command], stdout=subprocess.PIPE, stderr=file, text=True,
                env=program.environment, preexec_fn=limit) as self.process:
            watch = threading.Timer(program.remaining_s(), self.process.kill)
            watch.start()
            try:
                for line in self.process.stdout:
                    self.events.append(json.loads(line))
                    if on_event:
                        on_event(self, self.events[-1])
            except BaseException:
                self.process.kill()
                raise
            finally:
                watch.cancel()
        self.code, self.seconds = self.process.returncode, time.monotonic() - started
        self.said = errors.read_text(encoding="utf-8")
        program.remaining_s()
        if self.code not in ends:
            raise Failed(f"`run` in {place} ended with exit code {self.code}: {self.why}")
        kinds = {event["placement"]["device"]["kind"] for event in self.packs}
        if kinds - {"cuda" if devices.startswith("cuda") else "cpu"}:
            raise Failed(f"packs of {place} trained on {', '.join(sorted(kinds))}, and --devices is {devices}")

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    @property
    def packs(self):
        return [event for event in self.of("job_launching") if event["trials"]]

    @property
    def pids(self):
        return [event["pid"] for event in self.of("job_started")]

    def pid(self, key):
        """Of the process that does a job."""
        return [event["pid"] for event in self.of("job_started") if event["key"] == key][-1]

    @property
    def failures(self):
        """Kinds of failures of jobs, in their order."""
        return [event["failure"]["kind"] for event in self.of("job_failed")]

    @property
    def trials(self):
        """What each trial of the run's folder is, by its id."""
        files = sorted(self.results.glob("trials/*/trial.json"))
        return {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files}

    def result(self, trial):
        """A trial's result; None where it has none."""
        file = self.results / "trials" / trial / "result.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def demand_all_done(self):
        left = [trial for trial in self.trials if not self.result(trial)]
        if left or not self.trials:
            raise Failed(f"{len(left)} of {len(self.trials)} trials have no result: {self.why}")
        return self

    @property
    def why(self):
        """What was the matter: the first failure of a trial or a job, or what the program said last."""
        for event in (*self.of("trial_failed"), *self.of("job_failed")):
            return event["failure"].get("message", event["failure"]["kind"]).splitlines()[0][:200]
        return last_line(self.said)


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("error", "missing"))]
    return (told or lines or ["it said nothing"])[-1]
